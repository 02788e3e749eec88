"""Answers that are begun early over real connections: what is dropped never leaves the server."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soxr
from fastapi import FastAPI
from support.client import Client
from support.serving import SessionServer
from support.socket_clients import Twilio
from support.spliced import RATE_HZ, Spliced, hesitate
from support.uvicorn_server import serving

from gradio_webrtc import AdditionalOutputs, ReplyOnPause, Stream, get_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

TOKEN = "the token of an account"  # noqa: S105  # of nobody's

ANSWER_S = 0.6


class Program:
    """Answers with a tone after 0.2 s, and notes what it did."""

    def __init__(self) -> None:
        self.begun = self.booked = 0

    def answer(self, _audio: object) -> Iterator[Any]:
        self.begun += 1
        time.sleep(0.2)
        yield AdditionalOutputs(self.begun)
        times = np.arange(round(ANSWER_S * 24_000)) / 24_000
        yield 24_000, (12_000 * np.sin(2 * np.pi * 440 * times)).astype(np.int16).reshape(1, -1)
        get_turn().wait_until_certain()
        self.booked += 1

    def handler(self) -> ReplyOnPause:
        return ReplyOnPause(self.answer, speculative=True)


def hesitating() -> Spliced:
    """A sentence with a pause that is a candidate, and no end."""
    return hesitate(np.random.default_rng(5), 0.45, 0.45)


def speech_at(rate_hz: int) -> NDArray[np.int16]:
    return soxr.resample(hesitating().samples, RATE_HZ, rate_hz)  # type: ignore[no-any-return]


def check(program: Program, events: dict[str, int]) -> None:
    assert program.begun >= 2, "once too early, at least"
    assert events["reply_discarded"] == program.begun - 1
    assert events["turn_committed"] == events["pause_detected"] == 1
    assert program.booked == 1


async def test_a_page_plays_the_answer_once(caplog: pytest.LogCaptureFixture) -> None:
    program, manager = Program(), SessionServer()
    manager.serve(program.handler().copy)
    manager.has_outputs = True
    client = Client(manager, np.append(np.zeros(24_000, np.int16), speech_at(48_000)))
    await client.call()
    await client.until(lambda: client.loud_seconds() >= ANSWER_S - 0.1)
    await asyncio.sleep(1.0)
    check(program, dict(manager.find(client.webrtc_id, client.secret).stats().events))
    assert client.loud_seconds() == pytest.approx(ANSWER_S, abs=0.1)
    assert client.outputs == [(program.begun,)]
    assert "TurnDiscarded" not in caplog.text
    await client.hang_up()
    await manager.wait_idle()


@pytest.mark.network
async def test_a_telephone_plays_the_answer_once() -> None:
    program = Program()
    stream = Stream(program.handler(), modality="audio", twilio_auth_token=TOKEN)
    app = FastAPI()
    stream.mount(app)
    async with serving(app) as host:
        twilio = Twilio(host, token=TOKEN)
        await twilio.call()
        twilio.microphone.say(np.append(np.zeros(4_000, np.int16), speech_at(8_000)))

        def audible_s() -> float:
            return float((np.abs(twilio.heard()) > 1_000).sum()) / 8_000

        await twilio.until(lambda: audible_s() >= 0.8 * ANSWER_S)
        await asyncio.sleep(1.0)
        stats = stream.stats(twilio.stream_sid)
        assert stats is not None
        check(program, dict(stats.events))
        # A sine is below a tenth of its peak for a sixteenth of the time.
        assert audible_s() == pytest.approx(ANSWER_S * 15 / 16, abs=0.1)
        await twilio.hang_up()
        await twilio.closed.wait()
        await stream.webrtc_component.signaling.sessions.wait_idle()
