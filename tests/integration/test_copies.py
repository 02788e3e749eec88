"""Handlers that are slow or unable to be made, while others are in sessions."""

from __future__ import annotations

import asyncio
import threading
from queue import Queue
from typing import TYPE_CHECKING, Any

import pytest
from support.client import Client
from support.serving import SessionServer
from support.signals import tone

from gradio_webrtc import StreamHandler

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.network


class Echo(StreamHandler):
    """Gives back what it receives; every copy but the first waits until the test lets it go on."""

    made = 0
    is_waiting: Callable[[], object]
    may_go_on: threading.Event

    def __init__(self) -> None:
        super().__init__()
        self.queue: Queue[Any] = Queue()

    def copy(self) -> Echo:
        kind = type(self)
        kind.made += 1
        if kind.made > 1:
            kind.is_waiting()
            kind.may_go_on.wait()
        return kind()

    def receive(self, frame: Any) -> None:
        self.queue.put(frame)

    def emit(self) -> Any:
        return self.queue.get()


async def test_a_session_goes_on_while_the_handler_of_another_is_made() -> None:
    loop, is_waiting = asyncio.get_running_loop(), asyncio.Event()
    Echo.is_waiting = staticmethod(lambda: loop.call_soon_threadsafe(is_waiting.set))
    Echo.may_go_on = threading.Event()
    manager = SessionServer()
    manager.serve(Echo().copy, concurrency_limit=2)
    first, second = Client(manager, tone(30.0, 440)), Client(manager)
    await first.call()
    calling = loop.create_task(second.call())
    await is_waiting.wait()
    received = len(first.audio_frames)
    await first.until(lambda: len(first.audio_frames) >= received + 50)
    assert not calling.done()
    Echo.may_go_on.set()
    assert "secret" in await calling
    await first.hang_up()
    await second.hang_up()
    await manager.wait_idle()


async def test_a_client_without_a_handler_is_refused_in_words_and_takes_no_place() -> None:
    errors: list[Exception] = [ConnectionRefusedError("hunter2")]

    class Moody(Echo):
        def copy(self) -> Echo:
            if errors:
                raise errors.pop()
            return Moody()

    manager = SessionServer()
    manager.serve(Moody().copy)
    refusal = await Client(manager).call()
    assert refusal["status"] == "failed"
    assert refusal["meta"]["error"] == "handler_failed"
    assert "see the server's log" in refusal["meta"]["message"]
    assert "hunter2" not in str(refusal)
    assert len(manager) == 0
    client = Client(manager)
    assert "secret" in await client.call()
    await client.hang_up()
    await manager.wait_idle()


async def test_a_handler_that_cannot_be_bound_is_refused_in_words() -> None:
    class Unfinished(Echo):
        def __init__(self) -> None:
            """Leaves out what every handler needs."""

        def copy(self) -> Echo:
            return Unfinished()

    manager = SessionServer()
    manager.serve(Unfinished().copy)
    refusal = await Client(manager).call()
    assert refusal["meta"]["error"] == "handler_failed"
    assert "see the server's log" in refusal["meta"]["message"]
    assert len(manager) == 0
