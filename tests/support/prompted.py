"""A handler that emits what its test gives it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from gradio_webrtc import AsyncStreamHandler, get_current_context

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self


class Prompted(AsyncStreamHandler):
    """Emits what it is given, and keeps what it gets.

    Attributes:
        made: All copies.
        frames: The frames that ``receive`` got.
        came: Set when there was one.
        items: The items that ``emit`` returns, one after the other.
        is_shut_down: Set by ``shutdown``.
        context: The context of ``start_up``.
        rates: The sample rates, by the names of the arguments of `AsyncStreamHandler`.
    """

    rates: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, made: list[Prompted] | None = None) -> None:
        super().__init__(**self.rates)
        self.made: list[Prompted] = [] if made is None else made
        self.frames: list[Any] = []
        self.came = asyncio.Event()
        self.items: asyncio.Queue[Any] = asyncio.Queue()
        self.is_shut_down = asyncio.Event()
        self.context: Any = None

    async def start_up(self) -> None:
        self.context = get_current_context()

    async def receive(self, frame: Any) -> None:
        self.frames.append(frame)
        self.came.set()

    async def emit(self) -> Any:
        return await self.items.get()

    async def shutdown(self) -> None:
        self.is_shut_down.set()

    def copy(self) -> Self:
        clone = type(self)(self.made)
        self.made.append(clone)
        return clone
