"""Connections of which a part hangs or raises at the end: everything is freed all the same."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.client import Client
from support.serving import SessionServer

from gradio_webrtc import StreamHandler
from gradio_webrtc._transport.webrtc import peer
from gradio_webrtc._transport.webrtc.aiortc_internals import names, probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import RTCPeerConnection

Frame = tuple[int, NDArray[np.int16]]

PARTS: dict[str, Callable[[Any], tuple[object, str]]] = {
    "connection": lambda pc: (pc, "close"),
    "receiver": lambda pc: (pc.getTransceivers()[0].receiver, "stop"),
    "sender": lambda pc: (pc.getTransceivers()[0].sender, "stop"),
    "sctp": lambda pc: (pc.sctp, "stop"),
    "dtls": lambda pc: (pc.sctp.transport, "stop"),
    "ice": lambda pc: (pc.sctp.transport.transport, "stop"),
    "aioice": lambda pc: (pc.sctp.transport.transport._connection, "close"),  # noqa: SLF001
}


class Echo(StreamHandler):
    """Gives back what it receives."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: Queue[Frame | None] = Queue()

    def receive(self, frame: Frame) -> None:
        self.queue.put(frame)

    def emit(self) -> Frame | None:
        return self.queue.get()

    def shutdown(self) -> None:
        self.queue.put(None)

    def copy(self) -> Echo:
        return Echo()


async def _hang(*_: object) -> None:
    await asyncio.Event().wait()


async def _raise(*_: object) -> None:
    raise RuntimeError("a part that fails")


def _sockets() -> int:
    found = 0
    for file in Path("/proc/self/fd").iterdir():
        try:
            found += str(file.readlink()).startswith("socket:")
        except FileNotFoundError:  # the one of the listing itself
            continue
    return found


async def _call() -> tuple[SessionServer, Client, RTCPeerConnection]:
    manager = SessionServer()
    manager.serve(Echo().copy)
    client = Client(manager)
    answer = await client.call()
    session: Any = manager.find(client.webrtc_id, answer["secret"])
    return manager, client, session.transport._pc  # noqa: SLF001


async def _everything_ends(manager: SessionServer, client: Client) -> None:
    manager.find(client.webrtc_id, client.secret).end("the client left")
    await manager.wait_idle()
    await client.hang_up()
    # aiortc closes a connection that has failed in a task of its own, too.
    others = {each for each in asyncio.all_tasks() if "_hang" not in repr(each)}
    others.discard(asyncio.current_task())
    if others:
        _, pending = await asyncio.wait(others, timeout=5)
        assert not pending
    for thread in threading.enumerate():
        if thread.name.endswith("-decoder"):
            await asyncio.to_thread(thread.join, 5)
            assert not thread.is_alive()


@pytest.mark.parametrize("fault", [_hang, _raise])
@pytest.mark.parametrize("part", PARTS)
async def test_a_part_that_fails_keeps_nothing(
    part: str, fault: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "CLOSE_TIMEOUT_S", 0.2)
    before = _sockets()
    manager, client, pc = await _call()
    assert probe.has(names.TEARDOWN)
    owner, name = PARTS[part](pc)
    monkeypatch.setattr(owner, name, fault)
    await _everything_ends(manager, client)
    assert _sockets() <= before
