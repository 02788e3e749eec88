"""A page with one kind of handler behind one kind of server, to be stopped by a signal.

``stopping_program.py SERVER HANDLER``, or ``uvicorn support.stopping_program:app`` with the handler
in the variable HANDLER. Media stay on 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import aioice.ice
import gradio as gr
import numpy as np
import uvicorn
from fastapi import FastAPI

from gradio_webrtc import AsyncStreamHandler, StreamHandler, WebRTC

if TYPE_CHECKING:
    from collections.abc import Iterator

TONE = (48_000, (8_000 * np.sin(np.arange(48_000) * 2 * np.pi / 100)).astype(np.int16)[None])


def block() -> None:
    """Never returns, whatever happens to the session."""
    sys.stdout.write("blocked\n")
    sys.stdout.flush()
    threading.Event().wait()


class Idle(StreamHandler):
    """Emits nothing."""

    def receive(self, frame: Any) -> None: ...

    def emit(self) -> Any:
        time.sleep(0.02)

    def copy(self) -> StreamHandler:
        return type(self)()


class Talks(Idle):
    """Emits audio without an end, as fast as it is taken."""

    def emit(self) -> Any:
        return TONE


class Blocks(Idle):
    """Has an ``emit`` in a thread that never returns."""

    def emit(self) -> Any:
        block()


class BlocksReceive(Idle):
    """Has a ``receive`` in a thread that never returns."""

    def receive(self, _frame: Any) -> None:
        block()


class BlocksAround(Idle):
    """Has a ``start_up`` and a ``shutdown`` that never return."""

    def start_up(self) -> None:
        block()

    def shutdown(self) -> None:
        block()


class Ignores(AsyncStreamHandler):
    """Has an ``emit`` on the event loop that swallows its cancellation."""

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> Any:
        sys.stdout.write("blocked\n")
        sys.stdout.flush()
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue

    async def start_up(self) -> None: ...

    async def shutdown(self) -> None:
        await self.emit()

    def copy(self) -> Ignores:
        return type(self)()


class BlocksLoop(Ignores):
    """Has an ``emit`` that stops the event loop."""

    async def emit(self) -> Any:
        block()

    async def shutdown(self) -> None: ...


HANDLERS = {
    each.__name__: each
    for each in (Idle, Talks, Blocks, BlocksReceive, BlocksAround, Ignores, BlocksLoop)
}


def _loopback_only(use_ipv4: bool, use_ipv6: bool) -> list[str]:  # noqa: ARG001, FBT001 - its own
    return ["127.0.0.1"] if use_ipv4 else []


def build(handler: str) -> gr.Blocks:
    """Two components, so that there are two session managers to close."""
    demo = gr.Blocks()
    with demo:
        for label in ("first", "second"):
            webrtc = WebRTC(label=label, modality="audio")
            webrtc.stream(
                HANDLERS[handler](), inputs=[webrtc], outputs=[webrtc], concurrency_limit=9
            )
    return demo


class WithoutSignals(uvicorn.Server):
    """A server that leaves signals to its program."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes none."""
        yield


async def serve_by_hand(demo: gr.Blocks) -> None:
    """Serves until a signal comes, as programs with a loop of their own do; a second one forces."""
    app = gr.mount_gradio_app(FastAPI(), demo, path="/")
    server = WithoutSignals(uvicorn.Config(app, port=0))
    requests = 0

    def stop() -> None:
        nonlocal requests
        requests += 1
        if requests > 1:
            os._exit(9)
        server.should_exit = True

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    await server.serve()


def main(server: str, handler: str) -> None:
    """Serves the page as programs do, until the process is stopped."""
    # A shell that runs the tests in the background has them, and all that they start, ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    demo = build(handler)
    match server:
        case "launch":
            demo.launch()
        case "close":
            demo.launch(prevent_thread_lock=True)
            sys.stdin.readline()
            demo.close()
            demo.launch(prevent_thread_lock=True)
            sys.stdin.readline()
        case "exit":
            demo.launch(prevent_thread_lock=True)
            sys.stdin.readline()
            sys.exit(3)
        case "fork":
            demo.launch(prevent_thread_lock=True)
            sys.stdin.readline()
            child = multiprocessing.get_context("fork").Process(target=print, args=("child",))
            child.start()
            child.join()
            print("its status", child.exitcode, flush=True)  # noqa: T201 - the test reads it
            sys.stdin.readline()
            sys.exit(3)
        case "asyncio":
            asyncio.run(serve_by_hand(demo))
        case "own handler":
            signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
            build(handler)
            demo.launch()
        case _:
            uvicorn.run(gr.mount_gradio_app(FastAPI(), demo, path="/"), port=0)


aioice.ice.get_host_addresses = _loopback_only
if __name__ == "__main__":
    main(*sys.argv[1:])
elif "HANDLER" in os.environ:
    app = gr.mount_gradio_app(FastAPI(), build(os.environ["HANDLER"]), path="/")
