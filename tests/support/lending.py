"""A transport that has the queue of audio lent, as that of the core's thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from gradio_webrtc._config import SessionConfig
from gradio_webrtc._handlers import StreamHandlerBase
from gradio_webrtc._session.session import Session
from gradio_webrtc.testing import FakeTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradio_webrtc._transport import AudioFrameSource

RATE_HZ = 48_000
SOON_S = 30.0

T = TypeVar("T", bound=StreamHandlerBase)


def piece(level: int, frames: int = 1) -> tuple[int, np.ndarray[Any, Any]]:
    """An item for ``emit`` all of whose samples have this level."""
    return (RATE_HZ, np.full((1, 960 * frames), level, np.int16))


class Player:
    """Takes frames out of a queue on request, in the place of the core's thread."""

    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer
        self._is_room_wanted = False

    def expect_reply(self) -> None:
        pass

    def notify_room(self) -> None:
        self._is_room_wanted = True

    def notify_drained(self) -> None:
        self._is_room_wanted = True

    def play(self) -> int | None:
        """Returns the first sample of the next frame."""
        frame = self._buffer.queue.pull()
        if frame is not None and self._is_room_wanted:
            self._is_room_wanted = False
            self._buffer.note_sent(None)
        return None if frame is None else int(frame[0, 0])

    def play_all(self) -> list[int]:
        """Returns the first sample of each frame that there is."""
        levels = []
        while (level := self.play()) is not None:
            levels.append(level)
        return levels


class LendingTransport(FakeTransport):
    """Plays by itself, what it is asked to."""

    player: Player

    def play_audio(self, source: AudioFrameSource) -> None:
        self.player = Player(source)
        assert source.lend(self.player)  # type: ignore[attr-defined]


class Held(Generic[T]):
    """A session with such a transport, under way.

    Args:
        handler: Emits what is put into its ``items``, a queue.
    """

    def __init__(self, handler: T) -> None:
        self.handler = handler
        self.transport = LendingTransport(RATE_HZ, np.zeros(960, np.int16))
        self.session = Session("client", self.transport, handler, SessionConfig(has_outputs=True))
        self.running = asyncio.get_running_loop().create_task(self.session.run())

    @property
    def buffer(self) -> Any:
        return self.session.audio_buffer

    def put(self, *items: Any) -> None:
        """Has the handler emit this."""
        handler: Any = self.handler
        for item in items:
            handler.items.put_nowait(item)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON_S):
            while not is_so():  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.001)

    async def until_it_waits(self) -> None:
        """Returns when the handler waits in ``emit`` and has nothing left."""
        calls = self.session.stats().emits
        self.put(piece(1))
        await self.until(lambda: self.buffer.buffered_s > 0)
        await self.until(lambda: self.session.stats().emits > calls)
        assert self.played() == [1]

    def played(self) -> list[int]:
        """The first sample of each frame that waits to be played."""
        return self.transport.player.play_all()

    async def end(self) -> str:
        """Returns the reason for which the session has ended."""
        self.session.end("over")
        return await self.running
