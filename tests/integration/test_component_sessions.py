"""Announcements and interruptions by the id of a session, over real connections."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
import pytest
from fastapi import FastAPI
from support.client import Client
from support.serving import server_of
from support.signals import speech_at_48k
from support.socket_clients import Twilio
from support.uvicorn_server import serving

from gradio_webrtc import ReplyOnPause, Stream, WebRTC, WebRTCData, get_current_context
from gradio_webrtc._transport.webrtc.media_loop import SWITCH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray

TOKEN = "the token of an account"  # noqa: S105  # of nobody's

RATE_HZ = 24_000


def tone(seconds: float, hz: float = 440.0) -> tuple[int, NDArray[np.int16]]:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    wave: NDArray[np.float64] = 12_000 * np.sin(2 * np.pi * hz * times)
    return RATE_HZ, wave.astype(np.int16).reshape(1, -1)


def greet() -> Iterator[Any]:
    for _ in range(100):
        yield tone(0.1)


async def chime() -> AsyncIterator[Any]:
    for _ in range(8):
        yield tone(0.1, 900.0)


def make_page(**options: Any) -> WebRTC:
    with gr.Blocks():
        webrtc = WebRTC(modality="audio")
        handler = ReplyOnPause(lambda audio: audio, **options)
        webrtc.stream(handler, inputs=[webrtc], outputs=[webrtc])
    return webrtc


async def test_a_page_plays_what_is_said_from_a_thread() -> None:
    webrtc = make_page()
    manager = server_of(webrtc)
    client = Client(manager)
    await client.call()
    said = await asyncio.to_thread(webrtc.say, client.webrtc_id, chime())
    assert said is not None
    assert await asyncio.wait_for(asyncio.wrap_future(said), 20) == pytest.approx(0.8, abs=0.01)
    await client.until(lambda: client.loud_seconds() >= 0.7)
    later = webrtc.say(WebRTCData(client.webrtc_id), tone(0.4), when="silence")
    assert later is not None
    assert await asyncio.wait_for(asyncio.wrap_future(later), 20) == pytest.approx(0.4, abs=0.01)
    stats = webrtc.stats(client.webrtc_id)
    assert stats is not None
    assert stats.events == {"response_starting": 2, "response_finished": 2}
    await client.hang_up()
    await manager.wait_idle()


async def test_a_greeting_is_interrupted_by_id_and_goes_on_no_more() -> None:
    webrtc = make_page(startup_fn=greet, can_interrupt=False)
    manager = server_of(webrtc)
    client = Client(manager)
    await client.call()
    await client.until(lambda: client.loud_seconds() >= 0.5)
    waiting = webrtc.say(client.webrtc_id, tone(1.0), when="silence")
    await asyncio.to_thread(webrtc.interrupt, client.webrtc_id)
    assert waiting is not None
    assert await asyncio.wait_for(asyncio.wrap_future(waiting), 20) == 0.0
    await asyncio.sleep(0.5)
    before_s = client.loud_seconds()
    await asyncio.sleep(0.5)
    assert client.loud_seconds() == before_s < 5.0
    stats = webrtc.stats(client.webrtc_id)
    assert stats is not None
    assert stats.events["interrupted"] == 1
    await client.hang_up()
    await manager.wait_idle()


@pytest.mark.parametrize("value", ["on", "off"])
async def test_a_greeting_goes_on_behind_what_is_said_with_no_packet_lost(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, value)

    def greet_briefly() -> Iterator[Any]:
        yield tone(2.0)

    webrtc = make_page(startup_fn=greet_briefly)
    manager = server_of(webrtc)
    client = Client(manager)
    await client.call()
    await client.until(lambda: client.loud_seconds() >= 0.5)
    said = webrtc.say(client.webrtc_id, tone(0.6, 900.0))
    assert said is not None
    await asyncio.wait_for(asyncio.wrap_future(said), 20)
    await client.until(lambda: client.loud_seconds() >= 2.5)
    stats = webrtc.stats(client.webrtc_id)
    assert stats is not None
    await client.until(lambda: (webrtc.stats(client.webrtc_id) or stats).audio_played_s >= 1.999)
    await asyncio.sleep(0.5)
    assert client.loud_seconds() == pytest.approx(2.6, abs=0.1)
    await client.hang_up()
    await manager.wait_idle()


@pytest.mark.parametrize("speculative", [False, True])
async def test_of_an_answer_nothing_is_played_before_what_it_announces(
    speculative: bool,  # noqa: FBT001 - a parameter
) -> None:
    async def look_up(_audio: object) -> AsyncIterator[Any]:
        session = get_current_context().session
        assert session is not None
        session.say(tone(0.5, 900.0))
        yield tone(0.5, 300.0)

    with gr.Blocks():
        webrtc = WebRTC(modality="audio")
        webrtc.stream(
            ReplyOnPause(look_up, speculative=speculative), inputs=[webrtc], outputs=[webrtc]
        )
    manager = server_of(webrtc)
    client = Client(manager, np.append(np.zeros(24_000, np.int16), speech_at_48k("cards_003_16k")))
    await client.call()
    await client.until(lambda: client.loud_seconds() >= 0.9)
    await asyncio.sleep(0.3)
    frames = [samples.astype(int) for _, samples in client.audio_frames]
    loud = [frame for frame in frames if np.abs(frame).max() > 3_000]
    crossings = [int((np.diff(np.sign(frame)) != 0).sum()) for frame in loud]
    # 36 in a frame of the announcement, 12 in one of the answer's.
    is_announced = [each > 24 for each in crossings]
    assert is_announced[1]
    assert not is_announced[-2]
    assert is_announced == sorted(is_announced, reverse=True)
    await client.hang_up()
    await manager.wait_idle()


async def test_nobody_is_no_session() -> None:
    webrtc = make_page()
    assert webrtc.say("nobody", tone(0.1)) is None
    webrtc.interrupt("nobody")
    stream = Stream(ReplyOnPause(lambda audio: audio), modality="audio")
    assert stream.say("nobody", tone(0.1)) is None
    stream.interrupt("nobody")


@pytest.mark.network
async def test_a_telephone_confirms_what_was_played_before_it_was_interrupted() -> None:
    stream = Stream(
        ReplyOnPause(lambda audio: audio, startup_fn=greet),
        modality="audio",
        twilio_auth_token=TOKEN,
    )
    app = FastAPI()
    stream.mount(app)
    async with serving(app) as host:
        twilio = Twilio(host, token=TOKEN)
        await twilio.call()
        await twilio.until(lambda: twilio.heard().size >= 8_000)
        said = stream.say(twilio.stream_sid, tone(0.5, 900.0))
        assert said is not None
        await asyncio.sleep(0.3)
        await asyncio.to_thread(stream.interrupt, twilio.stream_sid)
        assert 0.0 <= await asyncio.wait_for(asyncio.wrap_future(said), 20) <= 0.5
        stats = stream.stats(twilio.stream_sid)
        assert stats is not None
        assert stats.events["interrupted"] == 2
        await twilio.hang_up()
        await twilio.closed.wait()
        await stream.webrtc_component.signaling.sessions.wait_idle()
