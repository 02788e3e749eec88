"""Telephone calls: a simulated Twilio, with real speech, over a real WebSocket."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any
from xml.etree.ElementTree import fromstring

import httpx
import numpy as np
import pytest
import soxr
from fastapi import FastAPI, Form, Request, Response
from support.prompted import Prompted
from support.signals import correlation, speech, tone
from support.socket_clients import Twilio
from support.uvicorn_server import serving

from gradio_webrtc import (
    AdditionalOutputs,
    CloseStream,
    Limits,
    ReplyOnPause,
    Stream,
)
from gradio_webrtc._server import telephone as module
from gradio_webrtc._session import origins

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray

pytestmark = pytest.mark.network

TOKEN = "the token of an account"  # noqa: S105  # of nobody's
RATE_HZ = 8_000


@pytest.fixture(autouse=True)
def _first_warning() -> None:
    origins._warned_s.clear()  # noqa: SLF001  # the minute of another test


def sentence(name: str = "asterisk_hello_world_16k") -> NDArray[np.int16]:
    """Real speech as a telephone has it, int16 ``(n,)`` at 8 kHz."""
    recorded_hz, samples = speech(name)
    return soxr.resample(samples, recorded_hz, RATE_HZ)  # type: ignore[no-any-return]


def echo(audio: Any) -> Iterator[Any]:
    yield audio


def stream_of(handler: Any = None, **options: Any) -> Stream:
    options = {"twilio_auth_token": TOKEN, **options}
    return Stream(handler or Prompted(), modality="audio", **options)


@asynccontextmanager
async def served(stream: Stream, path: str = "", **options: Any) -> AsyncIterator[str]:
    """Serves a stream; no session is left at the end."""
    app = FastAPI()
    stream.mount(app, path)
    async with serving(app, **options) as host:
        yield host
        await stream.webrtc_component.signaling.sessions.wait_idle()
    assert stream.handlers == {}


@asynccontextmanager
async def calling(host: str, **options: Any) -> AsyncIterator[Twilio]:
    """A call that is under way."""
    twilio = Twilio(host, **{"token": TOKEN, **options})
    await twilio.call()
    try:
        yield twilio
    finally:
        await twilio.leave()


async def handler_of(stream: Stream, twilio: Twilio) -> Any:
    """The handler of a call, once its session is there."""
    while twilio.stream_sid not in stream.handlers:  # noqa: ASYNC110  # nothing is sent for it
        await asyncio.sleep(0.01)
    return stream.handlers[twilio.stream_sid]


# ------------------------------------------------------------------------------- conversation


async def test_a_user_speaks_and_is_answered() -> None:
    stream, said = stream_of(ReplyOnPause(echo)), sentence()
    async with served(stream) as host, calling(host) as twilio:
        twilio.microphone.say(np.append(np.zeros(RATE_HZ // 2, np.int16), said))
        await twilio.until(lambda: len(twilio.marks) > 15)
        assert correlation(twilio.heard(), said)[0] > 0.95
        stats = stream.stats(twilio.stream_sid)
        assert stats is not None
        assert stats.transport.heard_s is not None
        # What was played last may not be confirmed yet.
        heard_s = twilio.heard().size / RATE_HZ
        assert heard_s - 0.3 <= stats.transport.heard_s <= heard_s
        assert stream.handlers[twilio.stream_sid].phone_mode
        await twilio.hang_up()
        await twilio.closed.wait()


async def test_a_user_interrupts_and_what_was_not_heard_is_dropped() -> None:
    turns: list[int] = []

    def talk(audio: Any) -> Iterator[Any]:
        turns.append(audio[1].size)
        yield 24_000, tone(20.0 if len(turns) == 1 else 0.5, 440, 24_000).reshape(1, -1)

    stream, said = stream_of(ReplyOnPause(talk)), sentence()
    async with served(stream) as host, calling(host) as twilio:
        twilio.microphone.say(np.append(np.zeros(RATE_HZ // 2, np.int16), said))
        await twilio.until(lambda: twilio.heard().size > RATE_HZ)
        before = len(twilio.events("clear"))
        twilio.microphone.say(said)
        await twilio.until(lambda: len(twilio.events("clear")) > before)
        heard = twilio.heard().size
        await twilio.until(lambda: len(turns) == 2 and len(twilio.marks) > 20)
        stats = stream.stats(twilio.stream_sid)
        assert stats is not None
        assert stats.interruptions == 1
        assert stats.transport.heard_s is not None
        assert stats.transport.heard_s * RATE_HZ <= twilio.heard().size
        # Nothing of the first answer is played behind the request to drop it.
        assert twilio.heard().size - heard < RATE_HZ
        assert turns[1] > 0


async def test_outputs_are_the_arguments_of_the_next_turn() -> None:
    turns: list[Any] = []

    def reply(audio: Any, history: list[str] | None = None) -> Iterator[Any]:
        del audio
        history = [*(history or []), f"turn {len(turns)}"]
        turns.append(history)
        yield AdditionalOutputs(history)
        yield 24_000, tone(0.1, 440, 24_000).reshape(1, -1)

    stream = stream_of(ReplyOnPause(reply))
    async with served(stream) as host, calling(host) as twilio:
        handler = await handler_of(stream, twilio)
        for number in range(1, 4):
            handler.trigger_response()
            await twilio.until(lambda number=number: len(twilio.marks) >= number)  # type: ignore[misc]
        assert turns[-1] == ["turn 0", "turn 1", "turn 2"]


async def test_a_goodbye_is_played_to_its_end() -> None:
    farewell = sentence("asterisk_demo_thanks_16k")[:RATE_HZ]
    stream = stream_of()
    async with served(stream) as host, calling(host) as twilio:
        handler = await handler_of(stream, twilio)
        handler.items.put_nowait(((RATE_HZ, farewell.reshape(1, -1)), CloseStream("Bye.")))
        await twilio.closed.wait()
        assert correlation(twilio.heard(), farewell)[0] > 0.95
        assert {each["event"] for each in twilio.received} <= {"media", "mark", "clear"}
        assert handler.is_shut_down.is_set()


async def test_keys_and_the_beginning_are_messages_to_the_session() -> None:
    stream = stream_of()
    async with served(stream) as host, calling(host) as twilio:
        handler = await handler_of(stream, twilio)
        texts: list[str] = []
        session: Any = stream.webrtc_component.signaling.sessions.get(twilio.stream_sid)
        session.transport.on_message = texts.append
        for digit in "1#":
            await twilio.press(digit)
        while len(texts) < 2:  # noqa: ASYNC110  # nothing is sent for it
            await asyncio.sleep(0.01)
        assert [json.loads(each) for each in texts] == [
            {"type": "dtmf", "digit": "1"},
            {"type": "dtmf", "digit": "#"},
        ]
        assert handler.context.webrtc_id == twilio.stream_sid
        assert handler.context.websocket.url.path == "/telephone/handler"


# --------------------------------------------------------------------------------------- limits


async def test_a_busy_line_is_refused_before_and_after_the_webhook() -> None:
    stream = stream_of(concurrency_limit=1)
    async with served(stream) as host:
        first, second = Twilio(host, TOKEN), Twilio(host, TOKEN)
        second.stream_sid = "MZ2"
        twiml = (await second.ring()).text
        await first.call()
        await handler_of(stream, first)
        assert '<Reject reason="busy"' in (await second.ring()).text
        ticket = next(fromstring(twiml).iter("Parameter")).attrib["value"]  # noqa: S314  # ours
        await second.connect_stream(f"ws://{host}/telephone/handler", {"ticket": ticket})
        await second.closed.wait()
        assert second.received[0]["meta"]["error"] == "concurrency_limit_reached"
        await second.leave()
        await first.leave()


async def test_a_server_that_stops_gives_the_busy_signal_and_no_greeting() -> None:
    stream = stream_of(handler := Prompted())
    async with served(stream) as host, calling(host) as twilio:
        await handler_of(stream, twilio)
        draining = asyncio.get_running_loop().create_task(stream.drain(0.1))
        await twilio.closed.wait()
        assert '<Reject reason="busy"' in (await Twilio(host, TOKEN).ring()).text
        await draining
        assert '<Reject reason="busy"' in (await Twilio(host, TOKEN).ring()).text
    assert [each.is_shut_down.is_set() for each in handler.made] == [True]


async def test_a_time_limit_ends_the_call() -> None:
    stream = stream_of(handler := Prompted(), time_limit=0.2)
    async with served(stream) as host, calling(host) as twilio:
        await twilio.closed.wait()
    assert [each.is_shut_down.is_set() for each in handler.made] == [True]


@pytest.mark.parametrize("how", ["hang_up", "leave", "vanish"])
async def test_shutdown_runs_however_the_user_goes(how: str) -> None:
    stream = stream_of()
    async with served(stream) as host, calling(host) as twilio:
        handler = await handler_of(stream, twilio)
        await getattr(twilio, how)()
        await handler.is_shut_down.wait()


async def test_a_line_without_media_is_given_up() -> None:
    stream = stream_of(limits=Limits(idle_limit_s=0.3))
    async with served(stream) as host:
        twilio = Twilio(host, TOKEN)
        twilio.speak = lambda: None  # type: ignore[method-assign]  # the line is dead
        await twilio.call()
        handler = await handler_of(stream, twilio)
        await twilio.closed.wait()
        await handler.is_shut_down.wait()
        await twilio.leave()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "send"}, 'needs the mode "send-receive"'),
        ({"mode": "send-receive", "modality": "video"}, "over WebRTC"),
    ],
)
async def test_a_stream_that_no_telephone_can_use(options: dict[str, str], words: str) -> None:
    handler: Any = (lambda frame: frame) if "modality" in options else Prompted()
    stream = Stream(handler, **{"modality": "audio", **options})  # type: ignore[arg-type]  # by name
    async with served(stream) as host:
        twilio = Twilio(host)
        await twilio.call()
        await twilio.closed.wait()
        assert words in twilio.received[0]["meta"]["message"]
        await twilio.leave()


# ----------------------------------------------------------------------------------- signatures


async def test_a_webhook_that_is_not_signed_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    stream = stream_of()
    async with served(stream) as host:
        for token in (None, "another"):
            reply = await Twilio(host, token).ring()
            assert (reply.status_code, reply.text) == (403, "")
        assert f"not signed for https://{host}/telephone/incoming" in caplog.text
        assert TOKEN not in caplog.text
        assert (await Twilio(host, TOKEN).ring()).status_code == 200
        assert (await Twilio(host, TOKEN, "https").ring()).status_code == 200


async def test_a_websocket_needs_a_ticket_or_a_signature() -> None:
    stream = stream_of(handler := Prompted())
    async with served(stream) as host:
        url = f"ws://{host}/telephone/handler"
        for parameters, headers in (
            ({}, {}),
            ({"ticket": "made up"}, {}),
            ({}, {"X-Twilio-Signature": "made up"}),
            ({}, Twilio(host, "another").sign(url)),
            ({}, Twilio(host, TOKEN).sign(f"ws://{host}/telephone/incoming")),
        ):
            stranger = Twilio(host)
            await stranger.connect_stream(url, parameters, **headers)
            await stranger.closed.wait()
            assert stranger.received[0]["meta"]["error"] == "request_refused"
            await stranger.leave()
        assert handler.made == []
        # As a route of the program's own connects it, which has no tickets.
        signed = Twilio(host, TOKEN)
        await signed.connect_stream(
            url, {"language": "de"}, **signed.sign(f"wss://{host}/telephone/handler/")
        )
        await handler_of(stream, signed)
        await signed.leave()


async def test_a_ticket_counts_once() -> None:
    stream = stream_of()
    async with served(stream) as host, calling(host) as twilio:
        await handler_of(stream, twilio)
        ticket = next(fromstring(twilio.twiml).iter("Parameter")).attrib["value"]  # noqa: S314  # ours
        thief = Twilio(host)
        thief.stream_sid = "MZ2"
        await thief.connect_stream(f"ws://{host}/telephone/handler", {"ticket": ticket})
        await thief.closed.wait()
        assert thief.received[0]["meta"]["error"] == "request_refused"
        await thief.leave()


async def test_without_a_token_anybody_may_call_and_the_log_has_it_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream = stream_of(twilio_auth_token=None)
    async with served(stream) as host:
        for _ in range(2):
            async with calling(host, token=None) as twilio:
                assert "Parameter" not in twilio.twiml
                await handler_of(stream, twilio)
            await stream.webrtc_component.signaling.sessions.wait_idle()
    assert caplog.text.count("taken from anybody") == 1


async def test_a_token_that_is_empty_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="twilio_auth_token is empty"):
        stream_of(twilio_auth_token="")


# ------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("limits", "headers", "url"),
    [
        (None, {}, None),
        # TLS ends at a tunnel, which sends the name alone.
        (None, {"Host": "voice.example"}, "wss://voice.example/talk/telephone/handler"),
        # Of a proxy that nobody trusts: the name is not taken.
        (None, {"X-Forwarded-Host": "evil.example"}, None),
        (
            Limits(trusted_proxies=("127.0.0.1",)),
            {
                "X-Forwarded-For": "203.0.113.9",
                "X-Forwarded-Host": "voice.example:8443",
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Prefix": "/outside",
            },
            "wss://voice.example:8443/outside/talk/telephone/handler",
        ),
    ],
)
async def test_the_websocket_is_where_the_webhook_was(
    limits: Limits | None, headers: dict[str, str], url: str | None
) -> None:
    stream = stream_of(twilio_auth_token=None, limits=limits)
    async with served(stream, "/talk") as host:
        reply = await Twilio(host).ring("/talk/telephone/incoming", headers)
        (element,) = fromstring(reply.text).iter("Stream")  # noqa: S314  # ours
        assert element.attrib["url"] == (url or f"ws://{host}/talk/telephone/handler")


async def test_a_webhook_behind_a_trusted_proxy_is_signed_for_the_outside() -> None:
    stream = stream_of(limits=Limits(trusted_proxies=("127.0.0.1",)))
    async with served(stream, root_path="/inside") as host:
        twilio = Twilio(host, TOKEN, "https")
        outside = {"X-Forwarded-Host": "voice.example", "X-Forwarded-Proto": "https"}
        signed = twilio.sign("https://voice.example/inside/telephone/incoming", {"CallSid": "CA1"})
        async with httpx.AsyncClient(base_url=f"http://{host}") as client:
            reply = await client.post(
                "/telephone/incoming", data={"CallSid": "CA1"}, headers={**outside, **signed}
            )
            assert reply.status_code == 200
            assert "wss://voice.example/inside/telephone/handler" in reply.text
            reply = await client.post(
                "/telephone/incoming", data={"CallSid": "CA2"}, headers={**outside, **signed}
            )
            assert reply.status_code == 403


async def test_routes_of_the_programs_own() -> None:
    stream = stream_of()
    app = FastAPI()

    @app.post("/ring")
    async def ring(request: Request, number: Annotated[str, Form(alias="From")]) -> Response:
        assert number == "+15005550006"
        return await stream.handle_incoming_call(
            request, handler_path="/line", greeting="Grüezi & welcome", farewell=None
        )

    app.add_api_websocket_route("/line", stream.telephone_handler)
    async with serving(app) as host:
        twilio = Twilio(host, TOKEN)
        await twilio.call("/ring")
        assert "<Say>Grüezi &amp; welcome</Say>" in twilio.twiml
        assert twilio.twiml.count("Say>") == 2
        assert f"ws://{host}/line" in twilio.twiml
        await handler_of(stream, twilio)
        await twilio.leave()
        await stream.webrtc_component.signaling.sessions.wait_idle()


async def test_fastphone_names_what_to_do_instead() -> None:
    with pytest.raises(NotImplementedError, match="/telephone/incoming"):
        stream_of().fastphone("a token", port=7860)


# --------------------------------------------------------------------------------------- hostile


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"x=1&" * 20_000, 413), (b"a=1&" * 300, 400), (b"\xff\xfe", 400), (b"", 403)],
)
async def test_a_form_is_bounded(content: bytes, status: int) -> None:
    async with (
        served(stream_of()) as host,
        httpx.AsyncClient(base_url=f"http://{host}") as client,
    ):
        reply = await client.post("/telephone/incoming", content=content)
        assert reply.status_code == status


async def test_a_webhook_whose_client_leaves_in_its_middle_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served(stream_of()) as host:
        _, writer = await asyncio.open_connection(*host.split(":"))
        head = f"POST /telephone/incoming HTTP/1.1\r\nHost: {host}\r\nContent-Length: 99\r\n\r\n"
        writer.write(f"{head}CallSid=".encode())
        await writer.drain()
        # The other's answer comes once the server has the first bytes of this one.
        assert (await Twilio(host, TOKEN).ring()).status_code == 200
        writer.close()
        await writer.wait_closed()
        assert (await Twilio(host, TOKEN).ring()).status_code == 200
    assert "Exception" not in caplog.text


@pytest.mark.parametrize(
    "message",
    [
        {"event": "media", "media": {"payload": "not Base64"}},
        {"event": "media", "media": ["x"]},
        "no JSON",
        b"\x00",
    ],
)
async def test_a_broken_message_ends_the_call(message: object) -> None:
    stream = stream_of()
    async with served(stream) as host, calling(host) as twilio:
        handler = await handler_of(stream, twilio)
        await twilio.send(message)
        await twilio.closed.wait()
        await handler.is_shut_down.wait()


@pytest.mark.parametrize(
    "first",
    [
        {"event": "media", "media": {"payload": "AAAA"}},
        {"event": "start", "start": None},
        {"event": "start", "start": {"streamSid": "no id!"}},
        {"event": "start", "start": {"streamSid": "MZ1", "mediaFormat": {"encoding": "opus"}}},
    ],
)
async def test_a_call_that_begins_otherwise_is_refused(first: object) -> None:
    stream = stream_of(handler := Prompted(), twilio_auth_token=None)
    async with served(stream) as host:
        twilio = Twilio(host)
        await twilio.connect(f"ws://{host}/telephone/handler")
        await twilio.send(first)
        await twilio.closed.wait()
        assert twilio.received[0]["meta"]["error"] == "invalid_offer"
        await twilio.leave()
    assert handler.made == []


def test_the_webhook_is_answered_beside_its_websocket() -> None:
    assert module.INCOMING.rpartition("/")[0] == module.HANDLER.rpartition("/")[0]
