"""`/v1/realtime` over loopback: clients of the protocol, and our own handler at the other end."""

from __future__ import annotations

import asyncio
import json
import runpy
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
import pytest
import soxr
from fastapi import FastAPI
from support.client import Client
from support.link_server import AppServer
from support.posting import Posting, browser, client_of
from support.realtime_client import RATE_HZ, RealtimeClient, connected
from support.repository import ROOT
from support.serving import server_of
from support.signals import chirp, pieces_found, speech, speech_at_48k
from websockets.exceptions import InvalidStatus

from gradio_webrtc import (
    AdditionalOutputs,
    CloseStream,
    Limits,
    RealtimeHandler,
    ReplyOnPause,
    Stream,
    StreamHandler,
    WebRTCData,
    WebRTCError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray

pytestmark = pytest.mark.network

KEY = "a-key-that-nobody-guesses"
SPOKEN = "asterisk_hello_world_16k"

LONG = chirp(8.0, RATE_HZ)
"""A reply that is interrupted, in which every moment differs from every other."""

LONG_AT_48K = chirp(8.0, 48_000)


def said() -> NDArray[np.int16]:
    """A user's words, at the rate of the protocol."""
    rate_hz, samples = speech(SPOKEN)
    at_rate: NDArray[np.int16] = soxr.resample(samples, rate_hz, RATE_HZ).astype(np.int16)
    return at_rate


def silence(length_s: float) -> NDArray[np.int16]:
    return np.zeros(round(length_s * RATE_HZ), np.int16)


def reply_at_length(_audio: Any) -> Iterator[Any]:
    """In pieces, with a word each second."""
    for number, begin in enumerate(range(0, LONG.size, 2400)):
        piece = (RATE_HZ, LONG[begin : begin + 2400].reshape(1, -1))
        yield (piece, AdditionalOutputs(f"word{number // 10}")) if number % 10 == 0 else piece


@asynccontextmanager
async def serving(stream: Stream, **options: Any) -> AsyncIterator[str]:
    """Serves a stream; yields the address of its route."""
    app = FastAPI()
    stream.mount(app, realtime=True, **options)
    server = AppServer(app)
    root = await server.start()
    try:
        yield f"{root.replace('http', 'ws')}/v1/realtime?model=any"
        await stream.webrtc_component.signaling.sessions.wait_idle()
    finally:
        await server.stop()


def stream_of(fn: Any, **options: Any) -> Stream:
    handler = fn if isinstance(fn, StreamHandler) else ReplyOnPause(fn)
    return Stream(handler, modality="audio", **options)


async def refused(url: str, **options: Any) -> tuple[int, str]:
    """Returns the status and the code of the answer to a client that is not let in."""
    with pytest.raises(InvalidStatus) as raised:
        async with connected(url, **options):
            pass
    response = raised.value.response
    return response.status_code, json.loads(response.body)["error"]["code"] if response.body else ""


async def interrupt(client: RealtimeClient) -> None:
    """Speaks, listens to two seconds of the reply, and speaks again."""
    await client.event("session.created")
    await client.speak(np.concatenate([said(), silence(0.6)]))
    await client.event("response.created")
    talking = asyncio.get_running_loop().create_task(
        client.speak(np.concatenate([silence(2.0), said(), silence(20)]))
    )
    await client.event("response.done")
    talking.cancel()


# Turns


async def test_a_turn_is_answered_and_interrupted_over_the_network() -> None:
    stream = stream_of(reply_at_length)
    async with serving(stream) as url, connected(url) as client:
        await interrupt(client)
        assert client.kinds()[0] == "session.created"
        assert client.of("session.created")[0]["session"]["model"] == "any"
        first = client.of("response.created")[0]["response"]["id"]
        (done,) = client.of("response.done")
        assert done["response"]["id"] == first
        assert done["response"]["status_details"]["reason"] == "turn_detected"
        started = [client.events.index(each) for each in client.of(SPEECH_STARTED)]
        assert client.events.index(done) > started[1], "the reason comes before the end"
        heard = client.audio()
        assert min(pieces_found(heard, LONG[: heard.size - 2400])) >= 0
        assert 1.5 * RATE_HZ < heard.size < 4 * RATE_HZ
        words = "".join(each["delta"] for each in client.of(TRANSCRIPT_DELTA))
        assert words.startswith("word0 word1 word2")
        ((_, handler),) = stream.handlers.items()
        assert isinstance(handler, ReplyOnPause)
        stats = stream.stats(next(iter(stream.handlers)))
        assert stats is not None
        assert stats.interruptions == 1
        assert stats.audio_played_s == pytest.approx(heard.size / RATE_HZ, abs=0.1)


SPEECH_STARTED = "input_audio_buffer.speech_started"
TRANSCRIPT_DELTA = "response.output_audio_transcript.delta"


async def test_the_utterance_reaches_the_function_whole() -> None:
    heard: list[tuple[int, NDArray[np.int16]]] = []

    def echo(audio: tuple[int, NDArray[np.int16]]) -> Iterator[Any]:
        heard.append(audio)
        yield audio

    async with serving(stream_of(echo)) as url, connected(url) as client:
        await client.event("session.created")
        speaking = asyncio.get_running_loop().create_task(
            client.speak(np.concatenate([said(), silence(20)]))
        )
        await client.event("response.done")
        speaking.cancel()
        (audio,) = heard
        sent = speech_at_48k(SPOKEN)
        assert audio[0] == 48_000
        assert min(pieces_found(audio[1].reshape(-1), sent[9_600:48_000])) >= 0
        assert client.audio().size == pytest.approx(audio[1].size / 2, abs=1000)


async def test_a_turn_that_the_client_ends_itself_is_answered_on_request() -> None:
    async with serving(stream_of(reply_at_length)) as url, connected(url) as client:
        await client.event("session.created")
        off = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        await client.send("session.update", session=off)
        # All at once: nobody waits for a recording.
        await client.append(np.concatenate([said(), silence(1.5), said()]))
        await client.send("input_audio_buffer.commit")
        await client.event("input_audio_buffer.committed")
        assert client.of("response.created") == []
        await client.send("response.create")
        await client.event("response.output_audio.delta", 25)
        await client.send("response.cancel")
        done = await client.event("response.done")
        assert done["response"]["status_details"]["reason"] == "client_cancelled"
        assert client.of(SPEECH_STARTED) == []
        assert len(client.of("response.created")) == 1
        assert client.of("error") == []


async def test_text_is_answered_where_the_page_has_a_field_for_it() -> None:
    got: list[WebRTCData] = []

    def reply(data: WebRTCData, name: str) -> Iterator[Any]:
        got.append(data)
        messages = [{"role": "user", "content": data.textbox}]
        yield AdditionalOutputs([*messages, {"role": "assistant", "content": f"Hello {name}"}])
        yield RATE_HZ, LONG[:4800].reshape(1, -1)

    stream = stream_of(reply, ui_args={"variant": "textbox"}, additional_inputs=[gr.Textbox("Ada")])
    async with serving(stream) as url, connected(url) as client:
        await client.event("session.created")
        item = {"type": "message", "role": "user"}
        content = [{"type": "input_text", "text": "Good day"}]
        await client.send("conversation.item.create", item={**item, "content": content})
        await client.send("response.create")
        done = await client.event("response.done")
        assert [each.textbox for each in got] == ["Good day"]
        assert done["response"]["output"][0]["content"][0]["transcript"] == "Hello Ada"
        await client.speak(np.concatenate([said(), silence(1.0)]))
        await client.event("response.done", 2)
        assert [each.textbox for each in got] == ["Good day", ""]
        assert got[1].audio is not None
        assert got[1].audio[1].size > 48_000


async def test_outputs_are_the_inputs_of_the_next_turn() -> None:
    counts: list[Any] = []

    def count(_audio: Any, number: int) -> Iterator[Any]:
        counts.append(number)
        yield AdditionalOutputs(number + 1)

    stream = stream_of(count, additional_inputs=[gr.Number(3, precision=0)])
    async with serving(stream) as url, connected(url) as client:
        for turn in (1, 2):
            await client.speak(np.concatenate([said(), silence(1.0)]))
            await client.event("response.done", turn)
        assert counts == [3, 4]


class Tone(StreamHandler):
    """Sends audio by itself, and then rests."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 10

    def receive(self, frame: Any) -> None: ...

    def emit(self) -> Any:
        self.left -= 1
        return (RATE_HZ, LONG[:480].reshape(1, -1)) if self.left >= 0 else None

    def copy(self) -> Tone:
        return Tone()


async def test_a_handler_without_turns_has_responses_too() -> None:
    async with serving(stream_of(Tone())) as url, connected(url) as client:
        done = await client.event("response.done")
        assert done["response"]["status"] == "completed"
        # The last frame is padded.
        assert client.audio().size in (10 * 480, 11 * 480)
        off = {"turn_detection": None}
        await client.send("session.update", session=off)
        await client.send("response.create")
        await client.event("error", 2)
        codes = [each["error"]["code"] for each in client.of("error")]
        assert codes == ["unsupported_value", "unsupported_event"]


async def test_an_error_of_the_function_is_one_event_and_a_failed_response() -> None:
    def fail(_audio: Any) -> Iterator[Any]:
        raise WebRTCError("The model is asleep.")
        yield

    async with serving(stream_of(fail)) as url, connected(url) as client:
        await client.speak(np.concatenate([said(), silence(1.0)]))
        done = await client.event("response.done")
        assert done["response"]["status"] == "failed"
        (error,) = client.of("error")
        assert error["error"]["message"] == "The model is asleep."


async def test_a_client_of_the_beta_is_served_as_one() -> None:
    headers = {"OpenAI-Beta": "realtime=v1"}
    stream = stream_of(reply_at_length)
    async with serving(stream) as url, connected(url, additional_headers=headers) as client:
        created = await client.event("session.created")
        assert created["session"]["input_audio_format"] == "pcm16"
        await client.speak(np.concatenate([said(), silence(1.0)]))
        await client.event("response.audio.delta", 5)
        assert client.of("conversation.item.created") != []


# Admission


async def test_a_key_is_required_where_there_is_one() -> None:
    stream = stream_of(reply_at_length, concurrency_limit=4)
    async with serving(stream, realtime_key=[KEY, "another-key"]) as url:
        assert await refused(url) == (401, "invalid_api_key")
        wrong = [
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {KEY}"},
            {"Authorization": KEY},
            {"api-key": KEY[:-1]},
            {"Cookie": f"key={KEY}"},
        ]
        for headers in wrong:
            status = await refused(url, additional_headers=headers)
            assert status == (401, "invalid_api_key")
        assert await refused(f"{url}&api-key={KEY}") == (401, "invalid_api_key")
        right: list[dict[str, Any]] = [
            {"additional_headers": {"Authorization": f"bearer {KEY}"}},
            {"additional_headers": {"api-key": "another-key"}},
            {"subprotocols": ["realtime", f"openai-insecure-api-key.{KEY}"]},
        ]
        for options in right:
            async with connected(url, **options) as client:
                await client.event("session.created")


async def test_pages_of_other_origins_are_refused() -> None:
    stream = stream_of(reply_at_length, allowed_origins=["https://page.example"])
    async with serving(stream) as url:
        status, code = await refused(url, origin="https://evil.example")
        assert (status, code) == (403, "request_refused")
        async with connected(url, origin="https://page.example") as client:
            await client.event("session.created")


async def test_sessions_count_with_all_others_of_the_stream() -> None:
    # Longer than an offer waits for a session that may be ending.
    stream = stream_of(reply_at_length, concurrency_limit=1, time_limit=3)
    async with serving(stream) as url:
        async with connected(url) as client:
            await client.event("session.created")
            assert len(stream.handlers) == 1
            assert await refused(url) == (429, "concurrency_limit_reached")
            ending = await client.event("error")
            assert "time limit" in ending["error"]["message"]
            assert await client.ended() == 1000
        await stream.webrtc_component.signaling.sessions.wait_idle()
        async with connected(url) as client:
            await client.event("session.created")


async def test_a_server_that_stops_ends_its_sessions_with_the_reason() -> None:
    stream = stream_of(reply_at_length)
    async with serving(stream) as url, connected(url) as client:
        await client.event("session.created")
        draining = asyncio.get_running_loop().create_task(stream.drain(1.0))
        ending = await client.event("error")
        assert ending["error"]["code"] == "server_stopping"
        assert await client.ended() == 1000
        await draining
        assert await refused(url) == (503, "server_stopping")


async def test_a_client_that_vanishes_leaves_nothing() -> None:
    stream = stream_of(reply_at_length)
    before = asyncio.all_tasks()
    async with serving(stream) as url:
        async with connected(url) as client:
            await client.event("session.created")
            client.abort()
        await stream.webrtc_component.signaling.sessions.wait_idle()
        assert stream.handlers == {}
    left = asyncio.all_tasks() - before
    await asyncio.wait(left, timeout=5) if left else None
    assert {each for each in left if not each.done()} == set()


async def test_a_client_that_listens_may_be_silent_and_is_sent_the_reason_of_its_end() -> None:
    stream = stream_of(reply_at_length, limits=Limits(idle_limit_s=1.0))
    async with serving(stream) as url, connected(url) as client:
        await client.event("session.created")
        off = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        await client.send("session.update", session=off)
        await client.append(said())
        await client.send("input_audio_buffer.commit")
        await client.send("response.create")
        # A response that is requested can be cancelled at once, and the next one is whole.
        await client.send("response.cancel")
        done = await client.event("response.done")
        assert done["response"]["status_details"]["reason"] == "client_cancelled"
        await client.send("response.create")
        done = await client.event("response.done", 2)
        assert done["response"]["status"] == "completed"
        assert client.audio().size == pytest.approx(LONG.size, abs=480)
        assert client.of("error") == []
        assert await client.ended() == 1000
        assert "No audio or video came" in client.of("error")[-1]["error"]["message"]


async def test_a_message_that_is_too_large_ends_its_connection_and_no_other() -> None:
    stream = stream_of(reply_at_length, concurrency_limit=2)
    async with serving(stream) as url, connected(url) as client, connected(url) as other:
        await client.event("session.created")
        await client.send_raw(b"\x00" * 100)
        error = await client.event("error")
        assert error["error"]["code"] == "invalid_event"
        await client.send_raw("x" * 1_100_000)
        assert await client.ended() == 1009
        await other.send("session.update", session={})
        await other.event("session.updated")


async def test_a_handler_ends_the_session_behind_its_last_words() -> None:
    def goodbye(_audio: Any) -> Iterator[Any]:
        yield (RATE_HZ, LONG[:12_000].reshape(1, -1)), CloseStream("Goodbye.")

    async with serving(stream_of(goodbye)) as url, connected(url) as client:
        await client.speak(np.concatenate([said(), silence(0.6)]))
        assert await client.ended() == 1000
        assert client.of("error")[-1]["error"]["message"] == "Goodbye."
        assert client.audio().size == pytest.approx(12_000, abs=480)


@pytest.mark.parametrize(
    ("options", "mounting", "text"),
    [
        ({"modality": "video"}, {}, "audio both ways"),
        ({"modality": "audio", "mode": "send"}, {}, "audio both ways"),
        ({"modality": "audio"}, {"realtime_key": ""}, "must not be empty"),
        ({"modality": "audio"}, {"realtime_key": []}, "must not be empty"),
        ({"modality": "audio"}, {"realtime": False, "realtime_key": "k"}, "realtime=True"),
    ],
)
async def test_what_cannot_be_served_is_refused_where_it_is_mounted(
    options: dict[str, Any], mounting: dict[str, Any], text: str
) -> None:
    fn: Any = (
        ReplyOnPause(reply_at_length) if options["modality"] == "audio" else lambda frame: frame
    )
    stream = Stream(fn, **options)
    with pytest.raises(ValueError, match=text):
        stream.router(**{"realtime": True, **mounting})
    assert all(route.path != "/v1/realtime" for route in stream.router().routes)  # type: ignore[attr-defined]


async def test_keys_are_texts() -> None:
    with pytest.raises(TypeError, match="a text, or a list of texts"):
        stream_of(reply_at_length).router(realtime=True, realtime_key=[3])  # type: ignore[list-item]


# Against each other


class Watched(RealtimeHandler):
    """Notes what the service has confirmed."""

    truncated: list[int]

    async def on_event(self, event: dict[str, Any]) -> None:
        if event["type"] == "conversation.item.truncated":
            self.truncated.append(event["audio_end_ms"])


async def test_our_handler_and_our_route_understand_each_other() -> None:
    service = stream_of(reply_at_length, concurrency_limit=2)
    async with serving(service, realtime_key=KEY) as url:
        template = Watched(url, api_key=KEY)
        template.truncated = []
        front = Stream(template, modality="audio")
        app = FastAPI()
        front.mount(app)
        async with browser(app) as page:
            first = np.concatenate([speech_at_48k(SPOKEN), np.zeros(24_000, np.int16)])
            user = client_of(Posting(page), first)
            await user.call()
            outputs = front.output_stream(user.webrtc_id)
            await user.until(lambda: user.loud_seconds() > 2.0)
            user.microphone.say(speech_at_48k(SPOKEN))
            await user.until(lambda: bool(template.truncated))
            # All of the reply has come then, and nothing of the next one.
            await user.until(lambda: pauses_of(user) == 2)
            heard = user.received_audio()
            words = ""
            while not words.endswith("…"):
                words = (await anext(outputs)).args[0][0]["content"]
            assert words.startswith("word0 word1")
            assert_heard(heard, template.truncated)
            (name,) = service.handlers
            stats = service.stats(name)
            assert stats is not None
            assert stats.events["reply_truncated"] == 1
            await user.hang_up()
            await front.webrtc_component.signaling.sessions.wait_idle()


async def test_the_demo_talks_to_the_service_that_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(stream_of(reply_at_length)) as url:
        monkeypatch.setenv("REALTIME_URL", url)
        monkeypatch.setattr("uvicorn.run", lambda *_, **__: None)
        names = runpy.run_path(str(ROOT / "demo" / "realtime.py"), run_name="__main__")
        component = names["webrtc"]
        first = np.concatenate([speech_at_48k(SPOKEN), np.zeros(24_000, np.int16)])
        user = Client(server_of(component), first)
        await user.call()
        await user.until(lambda: user.loud_seconds() > 0.5 and bool(user.outputs))
        assert user.outputs[0][0][0]["role"] == "assistant"
        await user.hang_up()
        await server_of(component).wait_idle()


def pauses_of(user: Client) -> int:
    """The turns whose end the user's page was shown."""
    return sum(each == {"type": "log", "data": "pause_detected"} for each in user.messages)


def assert_heard(heard: NDArray[np.int16], truncated: list[int]) -> None:
    """What was heard of the reply has the length that the service gets."""
    (played_ms,) = truncated
    found = [number for number, at in enumerate(pieces_found(heard, LONG_AT_48K)) if at >= 0]
    # A busy machine may leave gaps, in which a piece is not recognised.
    assert len(found) >= 15
    # The pieces are 100 ms long, and as much may be in the network and the jitter buffer.
    assert -100 <= played_ms - 100 * (found[-1] + 1) <= 250
