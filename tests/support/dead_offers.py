"""A stranger who posts offers that never connect."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from .offers import make_sdp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


def request_from(address: str, session: str = "") -> Any:
    """A request of Gradio's, with as much as a server gets of its origin."""
    return SimpleNamespace(
        client=SimpleNamespace(host=address, port=1234), headers={}, session_hash=session
    )


class Flood:
    """Offers that never connect, ten a second.

    Args:
        post: Posts the body of an offer, and gives the answer.

    Attributes:
        taken: The number of those that were answered.
        refused: The codes of the others.
    """

    EVERY_S = 0.1

    def __init__(self, post: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]) -> None:
        self.taken = 0
        self.refused: list[str] = []
        self._post = post
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Flood]:
        """Posts offers until the block is left; it begins when the first was answered."""
        sdp = await make_sdp("audio")
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._run(sdp))
        try:
            await self.until(lambda: bool(self.taken))
            yield self
        finally:
            for each in (task, *self._tasks):
                each.cancel()
            await asyncio.gather(task, *self._tasks, return_exceptions=True)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns once the condition holds; looked at after each answer."""
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def _run(self, sdp: str) -> None:
        while True:
            task = asyncio.get_running_loop().create_task(self._offer(sdp))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(self.EVERY_S)

    async def _offer(self, sdp: str) -> None:
        answer = await self._post({"type": "offer", "sdp": sdp, "webrtc_id": str(uuid.uuid4())})
        if answer.get("status") == "failed":
            self.refused.append(answer["meta"]["error"])
        else:
            self.taken += 1
        self._news.set()
