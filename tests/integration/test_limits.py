"""Limits over real connections: silence, threads that user code blocks, a loop that lags."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.client import Client
from support.dead_offers import request_from
from support.offers import make_sdp
from support.serving import SessionServer
from support.signals import chirp

from gradio_webrtc import AsyncStreamHandler, Limits, StreamHandler
from gradio_webrtc._session.lag import lag_meter
from gradio_webrtc._workers.workers import threads_blocked

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_S = 0.6


class Quiet(AsyncStreamHandler):
    async def receive(self, frame: Any) -> None:
        pass

    async def emit(self) -> None:
        return None

    def copy(self) -> Quiet:
        return Quiet()


class Echo(AsyncStreamHandler):
    def __init__(self) -> None:
        super().__init__()
        self.queue: asyncio.Queue[Any] = asyncio.Queue(50)

    async def receive(self, frame: Any) -> None:
        await self.queue.put(frame)

    async def emit(self) -> Any:
        return await self.queue.get()

    def copy(self) -> Echo:
        return Echo()


def serve(make: Callable[[], Any], **service: Any) -> SessionServer:
    manager = SessionServer()
    manager.serve(make, **service)
    return manager


async def offer(manager: SessionServer, webrtc_id: str) -> dict[str, Any]:
    body = {"type": "offer", "sdp": await make_sdp("audio"), "webrtc_id": webrtc_id}
    return await manager.handle_request(body, request_from("9.9.9.9"))


async def test_a_client_that_sends_nothing_gets_the_reason_and_is_let_go() -> None:
    manager = serve(Quiet, limits=Limits(idle_limit_s=IDLE_S))
    client = Client(manager)
    forever = asyncio.Event()

    async def send_nothing() -> Any:
        await forever.wait()

    client.microphone.recv = send_nothing  # type: ignore[method-assign]
    await client.call()
    await client.ended.wait()
    [end] = [each for each in client.messages if each["type"] == "end_stream"]
    assert end["data"] == f"No audio or video came for {IDLE_S:g} seconds."
    await manager.wait_idle()
    assert len(manager) == 0
    forever.set()
    await client.hang_up()


@pytest.mark.parametrize("mode", ["send-receive", "receive"])
async def test_silence_is_audio_and_who_sends_nothing_by_mode_is_not_idle(mode: Any) -> None:
    """Time passes by another session: one that sends nothing ends at the same limit."""
    manager = serve(Quiet, limits=Limits(idle_limit_s=IDLE_S), mode=mode, concurrency_limit=2)
    client = Client(manager, mode=mode)
    await client.call()
    # As long as three limits, measured by what another session receives of them.
    other = serve(Echo)
    clock = Client(other, chirp(3 * IDLE_S))
    await clock.call()
    await clock.until(lambda: clock.loud_seconds() >= 0.9 * 3 * IDLE_S)
    assert not client.ended.is_set()
    await clock.hang_up()
    await client.hang_up()
    await manager.close()
    await other.close()


class Blocking(StreamHandler):
    """Keeps its thread after the session, as a ``put`` into a full queue does."""

    go_on = threading.Event()

    def receive(self, frame: Any) -> None:  # noqa: ARG002 - as a handler's
        self.go_on.wait()

    def emit(self) -> None:
        return None

    def copy(self) -> Blocking:
        return Blocking()


async def test_threads_that_ended_sessions_left_blocked_are_counted_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    manager = serve(Blocking, concurrency_limit=None, limits=Limits(blocked_threads=2))
    try:
        with caplog.at_level(logging.WARNING):
            for n in range(2):
                client = Client(manager, np.zeros(480, np.int16))
                assert "secret" in await client.call(), n
                await asyncio.wait_for(_has_blocked(n + 1), 30)
                await client.hang_up()
                await manager.wait_idle()
            await asyncio.wait_for(_are_counted(2), 30)
            refusal = await offer(manager, "one-too-many")
        assert refusal["meta"]["error"] == "server_busy", refusal
        named = [text for text in caplog.messages if "keeps the thread" in text]
        assert len(named) == 1, "each place is named once"
        assert "test_limits.py" in named[0]
    finally:
        Blocking.go_on.set()
    await asyncio.wait_for(_are_counted(0), 30)
    assert "secret" in await offer(manager, "welcome")
    await manager.close()


async def _has_blocked(count: int) -> None:
    while sum("receive-" in each.name for each in threading.enumerate()) < count:  # noqa: ASYNC110 - a thread has no event for it
        await asyncio.sleep(0.02)


async def _are_counted(count: int) -> None:
    while threads_blocked() != count:  # noqa: ASYNC110 - the package has no event for it
        await asyncio.sleep(0.02)


async def test_a_loop_that_lags_takes_no_new_session_until_it_recovered() -> None:
    manager = serve(Quiet, concurrency_limit=None)
    assert "secret" in await offer(manager, "first")
    loop, is_late = asyncio.get_running_loop(), asyncio.Event()

    def block() -> None:
        # Longer than the meter's longest wait by more than the lag that is too much: each of its
        # timers comes late, and the first session, which nobody connects, is there long enough.
        time.sleep(0.45)
        if lag_meter().is_late():
            is_late.set()
        else:
            loop.call_later(0.01, block)

    block()
    # The limit of the test itself would be raised in `block`, and stay there.
    await asyncio.wait_for(is_late.wait(), 60)
    refusal = await offer(manager, "second")
    assert refusal["meta"]["error"] == "server_busy", refusal
    assert len(manager) == 1
    while lag_meter().is_late():  # noqa: ASYNC110 - measurements grow old by themselves
        await asyncio.sleep(0.05)
    assert "secret" in await offer(manager, "third")
    await manager.close()
    assert not lag_meter().is_running, "nothing is measured when nobody is there"
