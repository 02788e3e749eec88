"""A client that connects like any other, and then sends what no page would."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager, contextmanager
from queue import Queue
from typing import TYPE_CHECKING, Any

import numpy as np
from support.serving import SessionServer

from gradio_webrtc import StreamHandler
from gradio_webrtc._ui.streaming import make_template

from .client import Client
from .signals import tone
from .wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import FrameType

    from numpy.typing import NDArray

    from gradio_webrtc.types import Modality

SCTP = ("aiortc/rtcsctptransport.py", "aiortc_internals/")
"""The files in which packets of SCTP are processed."""


class Overrun(Exception):
    """More steps than the test allows: the server would have gone on."""


class Steps:
    """Counts the lines that run, instead of the time they take.

    Attributes:
        count: The number of lines that ran since the start.
        limit: Beyond so many `Overrun` is raised where they run.
    """

    def __init__(self, limit: int, files: tuple[str, ...]) -> None:
        self.count = 0
        self.limit = limit
        self._files = files

    def enter(self, frame: FrameType, _event: str, _arg: object) -> Any:
        name = frame.f_code.co_filename
        return self.line if any(file in name for file in self._files) else None

    def line(self, _frame: FrameType, event: str, _arg: object) -> Any:
        self.count += event == "line"
        if self.count > self.limit:
            raise Overrun
        return self.line


@contextmanager
def counted(limit: int = 1_000_000, files: tuple[str, ...] = SCTP) -> Iterator[Steps]:
    steps = Steps(limit, files)
    before = sys.gettrace()
    sys.settrace(steps.enter)
    try:
        yield steps
    finally:
        sys.settrace(before)


class Echo(StreamHandler):
    """Gives back the frames that it receives."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: Queue[tuple[int, NDArray[np.int16]]] = Queue()

    def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        self.frames.put(frame)

    def emit(self) -> tuple[int, NDArray[np.int16]] | None:
        return self.frames.get()

    def copy(self) -> Echo:
        return Echo()


class Hostile(Wire):
    """Reaches into the server's end of its session, too, as both are in this process."""

    @property
    def server(self) -> Any:
        """The server's connection, as it is inside."""
        return self.transport._pc

    @property
    def transport(self) -> Any:
        """The server's end of this session."""
        return self._server.find(self.webrtc_id, self.secret).transport


def serve_echo(modality: Modality = "audio", **service: Any) -> SessionServer:
    manager = SessionServer()
    handler: Any = (
        Echo() if modality == "audio" else make_template(np.flip, "send-receive", "video")
    )
    manager.serve(handler.copy, modality=modality, concurrency_limit=8, **service)
    return manager


class Bystander(Client):
    """Another user, who gets an echo of their audio."""

    @property
    def sent_frames(self) -> int:
        """Frames that their microphone gave."""
        return self.microphone._frames

    async def share(self, frames: int) -> float:
        """The share of their audio that comes back, over the next so many frames of 20 ms."""
        received, sent = len(self.audio_frames), self.sent_frames
        await self.until(lambda: self.sent_frames >= sent + frames)
        return (len(self.audio_frames) - received) / (self.sent_frames - sent)


@asynccontextmanager
async def attacked(**service: Any) -> AsyncIterator[tuple[Hostile, Bystander]]:
    """A hostile client, and a bystander whose session must go on as before."""
    manager = serve_echo(**service)
    hostile = Hostile(manager, tone(30.0, 330))
    bystander = Bystander(manager, tone(30.0, 440))
    await asyncio.gather(hostile.call(), bystander.call())
    await bystander.until(lambda: len(bystander.audio_frames) >= 5)
    before = await bystander.share(10)
    try:
        yield hostile, bystander
        # What counting steps has held up, of both ends in this process, comes at once, and its
        # delay is worked off: that is no loss.
        await bystander.share(25)
        after = await bystander.share(25)
        assert after >= 0.8 * before, "the bystander's call suffered"
    finally:
        await asyncio.gather(hostile.hang_up(), bystander.hang_up())
        await manager.wait_idle()
