"""Items on their way from a handler: its pace, its memory, and a thread that waits in ``emit``."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
from support.signals import speech, tone

from gradio_webrtc import AsyncStreamHandler, ReplyOnPause, StreamHandler
from gradio_webrtc._config import SessionConfig
from gradio_webrtc._session.session import Session
from gradio_webrtc.testing import FakeTransport, simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest
    from numpy.typing import NDArray

    from gradio_webrtc.types import EmitType

Frame = tuple[int, "NDArray[np.int16]"]


class Patient(StreamHandler):
    """Waits in its thread for inputs of a page that sends none."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.threads: list[threading.Thread] = []

    async def fetch_args(self) -> None:
        self.asked.set()

    def receive(self, _frame: Frame) -> None:
        pass

    def emit(self) -> None:
        self.threads.append(threading.current_thread())
        self.wait_for_args_sync()

    def copy(self) -> Patient:
        return Patient()


async def test_a_thread_that_waits_for_inputs_is_let_go_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handler, loop = Patient(), asyncio.get_running_loop()
    session = Session(
        "client", FakeTransport(48_000, np.zeros(960, np.int16)), handler, SessionConfig()
    )
    running = loop.create_task(session.run())
    await handler.asked.wait()
    session.end("over")
    await running
    await asyncio.to_thread(handler.threads[0].join)
    assert caplog.records == []


class Talkative(AsyncStreamHandler):
    """Always has an item to emit; notes how much of it had gone out when it was asked for more."""

    def __init__(self, transport: FakeTransport) -> None:
        super().__init__(output_sample_rate=48_000)
        self.sent: list[int] = []
        self.asked_twice = asyncio.Event()
        self._transport = transport

    async def receive(self, frame: Frame) -> None:
        pass

    async def emit(self) -> EmitType:
        self.sent.append(len(self._transport.sent))
        if len(self.sent) > 1:
            self.asked_twice.set()
        return (48_000, np.ones((1, 960), np.int16))

    def copy(self) -> Talkative:
        return Talkative(self._transport)


async def test_the_first_frame_goes_out_before_more_is_asked_for() -> None:
    transport = FakeTransport(48_000, np.zeros(960, np.int16))
    handler = Talkative(transport)
    session = Session("client", transport, handler, SessionConfig())
    running = asyncio.get_running_loop().create_task(session.run())
    await handler.asked_twice.wait()
    session.end("over")
    await running
    assert handler.sent[:2] == [0, 1]


def test_ten_minutes_in_one_piece_are_not_copied_and_can_be_interrupted() -> None:
    piece = np.tile(tone(1.0, 500, 24_000), 600).reshape(1, -1)
    replies = iter([piece, piece[:, :2_400]])

    def reply(_audio: Frame) -> Iterator[Frame]:
        yield (24_000, next(replies))

    rate_hz, hello = speech("asterisk_hello_world_16k")
    silence = np.zeros(3 * rate_hz, np.int16)
    tracemalloc.start()
    try:
        simulation = simulate(
            ReplyOnPause(reply), (rate_hz, np.concatenate([hello, silence, hello]))
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < piece.nbytes
    assert [event.name for event in simulation.events].count("interrupted") == 1
    assert len(simulation.turns) == 2
    assert simulation.duration_s < 60
