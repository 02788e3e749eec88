"""The moments of turns over real connections: they come in their order, whoever sends."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soxr
from fastapi import FastAPI
from support.client import Client
from support.serving import SessionServer
from support.signals import labels, speech
from support.socket_clients import Twilio
from support.uvicorn_server import serving

from gradio_webrtc import ReplyOnPause, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gradio_webrtc import TurnTimings

NAME = "asterisk_hello_world_16k"
SPOKEN_S = labels()[NAME]["utterances"][-1]["end_ms"] / 1000
FUNCTION_S = 0.2


def answer(_audio: object) -> Iterator[Any]:
    time.sleep(FUNCTION_S)
    yield 24_000, np.full((1, 12_000), 9_000, np.int16)


def spoken(rate_hz: int) -> NDArray[np.int16]:
    return soxr.resample(speech(NAME)[1], 16_000, rate_hz)  # type: ignore[no-any-return]


class Turns:
    """Takes the turns of a session."""

    def __init__(self) -> None:
        self.taken: list[TurnTimings] = []
        self._changed = asyncio.Event()

    async def take(self, turn: TurnTimings) -> None:
        self.taken.append(turn)
        self._changed.set()

    async def first(self) -> TurnTimings:
        await self._changed.wait()
        return self.taken[0]


def in_order(*moments: float | None) -> bool:
    return all(a is not None and b is not None and a <= b for a, b in pairwise(moments))


def check(turn: TurnTimings, *, is_speculative: bool) -> None:
    assert turn.number == 1
    assert in_order(turn.last_speech_s, turn.candidate_s, turn.decision_s)
    assert in_order(turn.decision_s, turn.first_packet_s, turn.heard_s)
    assert in_order(turn.function_start_s, turn.first_item_s, turn.first_packet_s)
    if is_speculative:
        assert in_order(turn.candidate_s, turn.function_start_s, turn.decision_s)
    else:
        assert in_order(turn.decision_s, turn.function_start_s)
    assert turn.function_s is not None
    assert turn.function_s >= FUNCTION_S
    assert turn.total_s == pytest.approx(
        sum(part or 0.0 for part in (turn.pause_s, turn.wait_s, turn.sending_s, turn.delivery_s))
    )


@pytest.mark.network
@pytest.mark.parametrize("is_speculative", [False, True])
async def test_a_page_has_the_moments_of_its_turn(is_speculative: bool) -> None:  # noqa: FBT001
    turns, manager = Turns(), SessionServer()
    handler = ReplyOnPause(answer, speculative=is_speculative)
    manager.serve(handler.copy, on_turn=turns.take, latency=True)
    client = Client(manager, np.append(np.zeros(24_000, np.int16), spoken(48_000)))
    await client.call()
    turn = await turns.first()
    check(turn, is_speculative=is_speculative)
    # Not before it was spoken: the first half second has no speech.
    assert turn.last_speech_s is not None
    assert turn.last_speech_s >= 0.5 + SPOKEN_S - 0.2
    assert turn.delivery_s is not None
    assert turn.delivery_s >= 0.1
    session = manager.find(client.webrtc_id, client.secret)
    assert session.stats().turns == (turn,)
    assert session.stats().reply_delays_s[0] == pytest.approx(
        (turn.first_packet_s or 0.0) - (turn.decision_s or 0.0), abs=0.001
    )
    await client.hang_up()
    await manager.wait_idle()
    assert turns.taken == [turn]


@pytest.mark.network
async def test_a_telephone_has_the_moments_of_its_turn() -> None:
    turns, token = Turns(), "the token of an account"
    stream = Stream(
        ReplyOnPause(answer), modality="audio", twilio_auth_token=token, on_turn=turns.take
    )
    app = FastAPI()
    stream.mount(app)
    async with serving(app) as host:
        twilio = Twilio(host, token=token)
        await twilio.call()
        twilio.microphone.say(np.append(np.zeros(4_000, np.int16), spoken(8_000)))
        check(await turns.first(), is_speculative=False)
        await twilio.hang_up()
        await twilio.closed.wait()
        await stream.webrtc_component.signaling.sessions.wait_idle()
    assert len(turns.taken) == 1
