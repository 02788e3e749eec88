"""One turn of the caller, and one run of the user's function to answer it."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import numpy as np

from .async_runner import FINISHED
from .runner import CancellableWait, GeneratorRunner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from numpy.typing import NDArray

    from gradio_webrtc._workers.workers import Worker

    from .async_runner import Step
    from .runner import Playable

Arguments: TypeAlias = tuple[object, ...]
"""What the user's function is called with."""

MAX_CARRIED_S: Final = 60.0
"""How much sound of turns that were never answered goes into the next one. People who talk on
while the function is busy have said what matters within a minute; memory needs some bound."""


@dataclass(frozen=True)
class Turn:
    """What is to be answered.

    Attributes:
        number: Counts the caller's turns from 1; 0 is what is said unasked: when the call starts,
            or because a subclass set ``generator``.
        rate_hz: The rate of ``audio``.
        audio: int16, ``(1, n)``; empty at the start, or when a reply was asked for in silence.
        generator: Played for an answer, in place of the function's.
    """

    number: int
    rate_hz: int
    audio: NDArray[np.int16]
    generator: Playable | None = None

    def after(self, earlier: NDArray[np.int16]) -> Turn:
        """This turn with the sound of earlier ones before it, the last `MAX_CARRIED_S` of it."""
        kept = earlier[:, -round(MAX_CARRIED_S * self.rate_hz) :]
        audio = np.concatenate([kept, self.audio], axis=1)
        return dataclasses.replace(self, audio=audio)


class UserFunction(Protocol):
    """A user's function, and how its arguments are completed."""

    fn: Callable[..., Any]

    def bind(self, *args: object) -> tuple[Callable[..., Any], tuple[object, ...]]:
        """Returns a callable and its positional arguments, with what is wanted besides ``args``."""


class Reply:
    """One answer in the making. Every method is called on the event loop.

    Args:
        turn: What is answered.
        callee: The user's function.
        get_arguments: Gives the values it is called with, or a coroutine that waits for the page's
            inputs first.
        on_begin: Called right before the function is.
        worker: Where the function runs when it blocks.
    """

    def __init__(
        self,
        turn: Turn,
        callee: UserFunction,
        get_arguments: Callable[[Turn], Arguments | Coroutine[Any, Any, Arguments]],
        on_begin: Callable[[Turn], None],
        worker: Worker,
    ) -> None:
        self.turn = turn
        self._callee = callee
        self._get_arguments = get_arguments
        self._on_begin = on_begin
        self._worker = worker
        self._given = turn.generator
        self._preparing = CancellableWait()
        self._runner: GeneratorRunner | None = None

    @property
    def is_interrupted(self) -> bool:
        """Whether it was ended before its time."""
        return self._preparing.is_interrupted

    @property
    def has_begun(self) -> bool:
        """Whether the user's function was called."""
        return self._runner is not None

    @property
    def generator(self) -> Iterator[object] | AsyncIterator[object] | None:
        """What the user's function gave, once it was called."""
        return self._given if self._runner is None else self._runner.generator

    async def step(self) -> Step:
        """The next item, or `FINISHED` when there is none or the reply was interrupted.

        Raises:
            Exception: Whatever the user's code raises, or the wait for its inputs.
        """
        if self.is_interrupted:
            return FINISHED
        if self._runner is None:
            arguments = () if self._given is not None else self._get_arguments(self.turn)
            if not isinstance(arguments, tuple):
                arrived = await self._preparing.run(
                    asyncio.get_running_loop().create_task(arguments)
                )
                if arrived is FINISHED:
                    return FINISHED
                arguments = arrived
            self._on_begin(self.turn)
            fn, given = self._callee.bind(*arguments)
            self._runner = GeneratorRunner(fn, given, self._worker, self._given)
        return await self._runner.step()

    def interrupt(self) -> None:
        """Ends the step in the middle at once, and every later one."""
        self._preparing.interrupt()
        if self._runner is not None:
            self._runner.interrupt()

    async def close(self) -> None:
        """Waits until the user's code has returned and cleaned up.

        Raises:
            Exception: Whatever the user's clean-up raises.
        """
        if self._runner is None and self._given is not None:
            self._runner = GeneratorRunner(self._callee.fn, (), self._worker, self._given)
        if self._runner is not None:
            await self._runner.close()
