"""A server with a component of each kind, which reports what its process holds.

    python tests/soak/program.py [without-collections]

Prints its address, then serves the page at ``/page`` and the counts at ``/counts``; garbage is
collected by ``/collect`` alone if it is asked to do without.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import socket
import sys
import threading
from pathlib import Path
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
import uvicorn
from fastapi import FastAPI
from numpy.typing import NDArray

from gradio_webrtc import (
    AdditionalOutputs,
    AsyncStreamHandler,
    Limits,
    ReplyOnPause,
    StreamHandler,
    WebRTC,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

Audio = tuple[int, NDArray[np.int16]]

TONE: Audio = (24_000, (8_000 * np.sin(np.arange(2_400) * 0.115)).astype(np.int16)[np.newaxis])
"""A tenth of a second."""

MANY_CALLS = 50

PAGES_KEPT = 20
"""Gradio keeps what the last pages held, by default 10,000 of them, some 15 kB each here. The
table is full before anything is counted."""


class Echo(StreamHandler):
    """Gives each frame back; the oldest go first where they are not fetched."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=48_000, output_sample_rate=48_000)
        self._frames: Queue[Audio] = Queue(maxsize=50)

    def receive(self, frame: Audio) -> None:
        """Takes 20 ms."""
        try:
            self._frames.put_nowait(frame)
        except Full:
            self._frames.get_nowait()

    def emit(self) -> Audio | None:
        """Gives the next 20 ms, or nothing after a while without any."""
        try:
            return self._frames.get(timeout=0.5)
        except Empty:
            return None

    def copy(self) -> Echo:
        """A handler for each user."""
        return Echo()


class Counting(AsyncStreamHandler):
    """Sends the page the number of every tenth frame, and emits a tone now and then."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=16_000)
        self._items: asyncio.Queue[Any] = asyncio.Queue(maxsize=4)
        self._frames = 0

    async def receive(self, _frame: Audio) -> None:
        """Takes 20 ms."""
        self._frames += 1
        if self._frames % 10 == 0 and not self._items.full():
            self._items.put_nowait((TONE, AdditionalOutputs(self._frames)))

    async def emit(self) -> Any:
        """Gives a tone with its number."""
        return await self._items.get()

    def copy(self) -> Counting:
        """A handler for each user."""
        return Counting()


def reply(_audio: Audio) -> Iterator[Any]:
    """Answers a turn with two seconds of a tone."""
    for _ in range(20):
        yield TONE
    yield AdditionalOutputs(1)


async def answer(_audio: Audio) -> AsyncIterator[Audio]:
    """Answers speech or text with a tone."""
    yield TONE


def generate() -> Iterator[Audio]:
    """Emits a tone for a second."""
    for _ in range(10):
        yield TONE


def mirror(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mirrors each frame of a camera."""
    return frame[:, ::-1]


def build() -> gr.Blocks:
    """The page, with components whose labels are the kinds of sessions."""
    page: gr.Blocks
    with gr.Blocks() as page:
        seen = gr.Number(label="seen")
        echo = WebRTC(label="echo", modality="audio")
        echo.stream(Echo(), inputs=[echo], outputs=[echo], concurrency_limit=MANY_CALLS)
        talk = WebRTC(label="talk", modality="audio")
        talk.stream(ReplyOnPause(reply), [talk], [talk], concurrency_limit=MANY_CALLS)
        talk.on_additional_outputs(lambda number: number, outputs=[seen], queue=False)
        count = WebRTC(label="count", modality="audio")
        count.stream(Counting(), inputs=[count], outputs=[count], concurrency_limit=MANY_CALLS)
        count.on_additional_outputs(lambda number: number, outputs=[seen], queue=False)
        write = WebRTC(label="write", modality="audio", variant="textbox")
        write.stream(ReplyOnPause(answer), [write], [write], concurrency_limit=MANY_CALLS)
        video = WebRTC(label="video", modality="video")
        video.stream(mirror, inputs=[video], outputs=[video], concurrency_limit=MANY_CALLS)
        receive = WebRTC(label="receive", modality="audio", mode="receive")
        button = gr.Button("start")
        receive.stream(
            generate,
            inputs=None,
            outputs=[receive],
            trigger=button.click,
            concurrency_limit=MANY_CALLS,
        )
        connect = WebRTC(
            label="connect", modality="audio", limits=Limits(offers_per_minute=1_000_000)
        )
        connect.stream(Echo(), inputs=[connect], outputs=[connect], concurrency_limit=MANY_CALLS)
    page.state_session_capacity = PAGES_KEPT
    return page


POOLS = ("asyncio_", "AnyIO")
"""Threads that Python's executors keep for whoever needs one next, up to a bound of their own."""


def count_all() -> dict[str, int]:
    """Counts whatever a session that has ended could leave behind, in this process."""
    held = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    resident = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    names = [each.name for each in threading.enumerate()]
    pooled = sum(name.startswith(POOLS) for name in names)
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": len(names) - pooled,
        "native_threads": len(list(Path("/proc/self/task").iterdir())) - pooled,
        "descriptors": len(held),
        "sockets": sum(each.startswith("socket:") for each in held),
        "resident_bytes": int(resident) * os.sysconf("SC_PAGE_SIZE"),
    }


class Mallinfo(ctypes.Structure):
    """The figures of the C library's allocator (``struct mallinfo2``)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks"),
            *("fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


BLOCK_BYTES = 80
"""The bytes that Python's own allocator takes at a time, on the average."""


def allocated_bytes() -> int:
    """The bytes in use of Python's allocator and of the C library's.

    What a process holds is more by what lies between: 8 MB behind the first hundreds of calls with
    video, and no more behind the next.
    """
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = Mallinfo
    found = libc.mallinfo2()
    return int(found.uordblks + found.hblkhd) + BLOCK_BYTES * sys.getallocatedblocks()


def serve(page: gr.Blocks) -> FastAPI:
    """The page, and what the process holds once no session is under way."""
    app = FastAPI()
    components = [each for each in page.blocks.values() if isinstance(each, WebRTC)]

    @app.get("/counts")
    async def counts() -> dict[str, int]:
        for each in components:
            await each._sessions.wait_idle()  # noqa: SLF001  # there is no public way
        return count_all()

    @app.post("/collect")
    async def collect() -> dict[str, int]:
        """Frees what the garbage collector and the C library's allocator hold on to."""
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        return {
            "held_bytes": count_all()["resident_bytes"],
            "objects": len(gc.get_objects()),
            "allocated_bytes": allocated_bytes(),
        }

    gr.mount_gradio_app(app, page, path="/page", ssr_mode=False)
    return app


def main() -> None:
    """Serves until it is ended."""
    if "without-collections" in sys.argv[1:]:
        gc.disable()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    config = uvicorn.Config(serve(build()), log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
