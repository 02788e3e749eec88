"""WHIP and WHEP: sessions over plain HTTP, with real connections behind them."""

from __future__ import annotations

import asyncio
import re
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import gradio as gr
import httpx
import numpy as np
import pytest
from aiortc import RTCSessionDescription
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from support.offers import make_sdp
from support.posting import HOST, Posting, browser, client_of
from support.signals import chirp, nearly_whole, speech_at_48k, tone
from support.whip import FRAGMENT, SDP, WhipClient

from gradio_webrtc import AdditionalOutputs, AsyncStreamHandler, Limits, ReplyOnPause, StreamHandler
from gradio_webrtc.stream import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray

    Audio = tuple[int, NDArray[np.int16]]

TOKEN = "a-token-of-the-test-alone"  # noqa: S105 - it opens nothing
BEARER = {"authorization": f"Bearer {TOKEN}"}
OTHER_PAGE = "https://page.example"


class Echo(StreamHandler):
    """Sends the user's audio back; keeps it, and sends the client messages that it cannot get."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: SimpleQueue[Audio] = SimpleQueue()
        self.got: list[NDArray[np.int16]] = []
        self.emits = 0

    def start_up(self) -> None:
        for number in range(1000):
            self.send({"type": "number", "data": number})

    def receive(self, frame: Audio) -> None:
        self.got.append(frame[1].reshape(-1))
        self.frames.put(frame)

    def emit(self) -> Any:
        self.emits += 1
        return self.frames.get()

    def copy(self) -> Echo:
        return Echo()


class Speaker(AsyncStreamHandler):
    """Speaks three seconds, and notes when all of that has gone on its way."""

    def __init__(self) -> None:
        super().__init__()
        self.has_spoken = asyncio.Event()
        self._parts = iter(range(30))

    async def receive(self, frame: Audio) -> None: ...

    async def emit(self) -> Any:
        if next(self._parts, None) is None:
            self.has_spoken.set()
            return None
        return 48_000, tone(0.1, 440).reshape(1, -1)

    def copy(self) -> Speaker:
        return Speaker()


def app_of(stream: Stream, path: str = "") -> FastAPI:
    app = FastAPI()
    stream.mount(app, path)
    return app


async def gone(stream: Stream) -> None:
    """Returns once no session is left."""
    await stream.webrtc_component.signaling.sessions.wait_idle()


async def end(stream: Stream, http: httpx.AsyncClient, client: WhipClient) -> None:
    """Ends a session as its client does."""
    assert (await http.delete(client.location)).status_code == 200
    await client.closed.wait()
    await client.hang_up()
    await gone(stream)


def directions(sdp: str) -> list[str]:
    return re.findall(r"^a=(sendrecv|sendonly|recvonly|inactive)\r?$", sdp, re.MULTILINE)


# Sessions


async def test_a_program_publishes_audio_and_deletes_its_session() -> None:
    stream, sent = Stream(Echo(), modality="audio", mode="send"), chirp(1.0)
    async with browser(app_of(stream, "/talk")) as http:
        client = WhipClient(http, "/talk/whip", sent)
        await client.call()
        assert client.reply.headers["content-type"] == "application/sdp"
        assert re.fullmatch(r'"[0-9a-f]{16}"', client.reply.headers["etag"])
        assert re.fullmatch(r"/talk/whip/[\w-]{32}", client.location)
        assert "a=candidate:" in client.reply.text
        assert "a=rtcp-mux-only\r\n" in client.reply.text
        assert directions(client.reply.text) == ["recvonly"]
        (handler,) = stream.handlers.values()
        assert isinstance(handler, Echo)
        await client.microphone.finished.wait()
        # Frames come in a thread of the session, without an event of the loop's.
        while not handler.got or not nearly_whole(np.concatenate(handler.got), sent):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert (await http.get(client.location)).status_code == 204
        await end(stream, http, client)
        assert stream.handlers == {}
        for method in ("GET", "DELETE", "PATCH"):
            reply = await http.request(method, client.location)
            assert reply.status_code == 404
            assert reply.json()["error"] == "unknown_connection"


async def test_replies_go_back_to_a_client_that_offers_to_receive_them() -> None:
    stream, sent = Stream(Echo(), modality="audio", mode="send-receive"), chirp(1.0)
    async with browser(app_of(stream)) as http:
        client = WhipClient(http, microphone=sent, mode="send-receive")
        await client.call()
        assert directions(client.reply.text) == ["sendrecv"]
        await client.until(lambda: nearly_whole(client.received_audio(), sent))
        await end(stream, http, client)


async def test_replies_to_a_client_that_only_sends_are_dropped_and_hold_up_nothing() -> None:
    stream = Stream(Speaker(), modality="audio", mode="send-receive")
    async with browser(app_of(stream)) as http:
        client = WhipClient(http)
        await client.call()
        assert directions(client.reply.text) == ["recvonly"]
        (handler,) = stream.handlers.values()
        assert isinstance(handler, Speaker)
        await handler.has_spoken.wait()
        assert client.audio_frames == []
        await end(stream, http, client)


async def test_a_page_that_only_sends_holds_up_nothing_either() -> None:
    stream = Stream(Speaker(), modality="audio", mode="send-receive")
    async with browser(app_of(stream)) as page:
        client = client_of(Posting(page), mode="send")
        await client.call()
        (handler,) = stream.handlers.values()
        assert isinstance(handler, Speaker)
        await handler.has_spoken.wait()
        await client.hang_up()
        await gone(stream)


async def test_turns_get_the_values_that_the_inputs_have_without_a_page() -> None:
    def reply(_audio: Audio, name: str, notes: list[str]) -> Iterator[AdditionalOutputs]:
        notes.append("changed")
        yield AdditionalOutputs(name, [*notes])

    stream = Stream(
        ReplyOnPause(reply),
        modality="audio",
        mode="send",
        additional_inputs=[gr.Textbox("Ada"), gr.State([])],
    )
    said = speech_at_48k("asterisk_hello_world_16k")
    pause = np.zeros(48_000, np.int16)
    async with browser(app_of(stream)) as http:
        client = WhipClient(http, microphone=np.concatenate([pause, said, pause, said, pause]))
        await client.call()
        (webrtc_id,) = stream.handlers
        outputs = stream.output_stream(webrtc_id)
        assert (await anext(outputs)).args == ("Ada", ["changed"])
        stream.set_input(webrtc_id, "Grace", [])
        assert (await anext(outputs)).args == ("Grace", ["changed"])
        await end(stream, http, client)


async def test_a_player_gets_a_run_of_the_generator_of_its_own_from_its_first_sample() -> None:
    sent = chirp(1.0)

    def play(rounds: int) -> Iterator[Audio]:
        for _ in range(rounds):
            yield 48_000, sent.reshape(1, -1)

    slider = gr.Slider(1, 5, value=2, step=1)
    stream = Stream(
        play, modality="audio", mode="receive", additional_inputs=[slider], concurrency_limit=4
    )
    async with browser(app_of(stream)) as http:
        assert (await http.post("/whip", content="", headers=SDP)).status_code == 404
        clients = [WhipClient(http, "/whep") for _ in range(2)]
        for client in clients:
            await client.call()
            assert directions(client.reply.text) == ["sendonly"]
        for client in clients:
            await client.closed.wait()
            heard = client.received_audio()
            assert nearly_whole(heard[:60_000], sent)
            assert nearly_whole(heard[48_000:], sent)
            assert (await http.delete(client.location)).status_code == 404
            await client.hang_up()
        await gone(stream)


async def test_a_player_gets_the_greeting_of_a_handler_that_answers_others() -> None:
    sent = chirp(1.0)

    def greet(name: str) -> Iterator[Audio]:
        assert name == "Ada"
        yield 48_000, sent.reshape(1, -1)

    stream = Stream(
        ReplyOnPause(lambda audio, _name: audio, startup_fn=greet),
        modality="audio",
        mode="send-receive",
        additional_inputs=[gr.Textbox("Ada")],
    )
    async with browser(app_of(stream)) as http:
        client = WhipClient(http, "/whep")
        await client.call()
        await client.until(lambda: nearly_whole(client.received_audio(), sent))
        await end(stream, http, client)


async def test_video_goes_both_ways() -> None:
    stream = Stream(lambda frame: frame[:, ::-1], modality="video", mode="send-receive")
    async with browser(app_of(stream)) as http:
        assert (await http.post("/whep", content="", headers=SDP)).status_code == 404
        client = WhipClient(http, mode="send-receive", modality="video")
        await client.call()
        await client.until(lambda: len(client.video_frames) >= 3)
        await end(stream, http, client)


# Limits


async def test_all_routes_share_their_limit() -> None:
    stream = Stream(Echo(), modality="audio", mode="send-receive", concurrency_limit=1)
    async with browser(app_of(stream)) as http:
        first = WhipClient(http)
        await first.call()
        refused = (await WhipClient(http, "/whep").call())["meta"]
        assert (refused["status"], refused["limit"]) == (503, 1)
        assert refused["error"] == "concurrency_limit_reached"
        page = client_of(Posting(http))
        assert (await page.call())["meta"]["error"] == "concurrency_limit_reached"
        second = WhipClient(http)
        await second.call()
        assert int(second.reply.headers["retry-after"]) > 0
        await end(stream, http, first)


async def test_offers_of_one_address_count() -> None:
    limits = Limits(offers_per_minute=3)
    stream = Stream(Echo(), modality="audio", mode="send", limits=limits)
    async with browser(app_of(stream)) as http:
        replies = [await http.post("/whip", content="v=0", headers=SDP) for _ in range(2)]
        assert [each.status_code for each in replies] == [400, 429]
        assert replies[1].headers["retry-after"] == "60"


async def test_a_time_limit_ends_a_session_and_its_address() -> None:
    stream = Stream(Echo(), modality="audio", mode="send", time_limit=0.3)
    async with browser(app_of(stream)) as http:
        client = WhipClient(http)
        await client.call()
        await client.closed.wait()
        await gone(stream)
        assert (await http.get(client.location)).status_code == 404
        await client.hang_up()


async def test_a_server_that_stops_takes_no_more() -> None:
    stream = Stream(Echo(), modality="audio", mode="send")
    async with browser(app_of(stream)) as http:
        await stream.webrtc_component.drain(0)
        refused = (await WhipClient(http).call())["meta"]
        assert (refused["status"], refused["error"]) == (503, "server_stopping")


# Candidates


@pytest.fixture
async def session() -> AsyncIterator[tuple[httpx.AsyncClient, WhipClient]]:
    """A session under way, and the way to its server."""
    stream = Stream(Echo(), modality="audio", mode="send", whip_token=TOKEN)
    async with browser(app_of(stream), headers=BEARER) as http:
        client = WhipClient(http)
        await client.call()
        yield http, client
        await end(stream, http, client)


def fragment_of(client: WhipClient, **changes: str) -> str:
    sdp = client.pc.localDescription.sdp
    found = re.search(r"a=ice-ufrag:(\S+)", sdp)
    assert found is not None
    fields = {"ufrag": found[1], "line": "candidate:1 1 udp 1 203.0.113.7 5000 typ host"} | changes
    return (
        f"a=ice-ufrag:{fields['ufrag']}\r\na=ice-pwd:{'x' * 22}\r\n"
        f"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na={fields['line']}\r\na=end-of-candidates\r\n"
    )


async def test_a_client_that_trickles_connects() -> None:
    stream = Stream(Echo(), modality="audio", mode="send")
    async with browser(app_of(stream)) as http:
        client = WhipClient(http)
        body = await client.offer()
        candidates = re.findall(r"^a=candidate.*\r\n", body["sdp"], re.MULTILINE)
        bare = re.sub(r"^a=(candidate|end-of).*\r\n", "", body["sdp"], flags=re.MULTILINE)
        answer = await client.endpoint.handle_request({"sdp": bare})
        fragment = f"m=audio 9 RTP/AVP 0\r\na=mid:0\r\n{''.join(candidates)}"
        headers = {**FRAGMENT, "if-match": client.reply.headers["etag"]}
        reply = await http.patch(client.location, content=fragment, headers=headers)
        assert (reply.status_code, reply.content) == (204, b"")
        assert "etag" not in reply.headers
        await client.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        await client.connected.wait()
        await end(stream, http, client)


@pytest.mark.parametrize(
    ("changes", "headers", "status"),
    [
        ({}, {}, 204),
        ({}, {"if-match": "*"}, 204),
        ({"line": "candidate:1 1 tcp 1 203.0.113.7 9 typ host tcptype active"}, {}, 204),
        ({"line": "candidate:1 1 udp 1 169.254.169.254 5000 typ host"}, {}, 204),
        ({"line": "candidate:nonsense"}, {}, 400),
        ({"ufrag": "other"}, {}, 422),
        ({"ufrag": "other"}, {"if-match": "*"}, 422),
        ({}, {"if-match": '"other"'}, 412),
        ({}, {"if-match": ""}, 412),
        ({}, {"content-type": "application/sdp"}, 415),
    ],
)
async def test_what_is_sent_about_a_session_is_checked(
    session: tuple[httpx.AsyncClient, WhipClient],
    changes: dict[str, str],
    headers: dict[str, str],
    status: int,
) -> None:
    http, client = session
    headers = {**FRAGMENT, "if-match": client.reply.headers["etag"]} | headers
    content = fragment_of(client, **changes)
    reply = await http.patch(client.location, content=content, headers=headers)
    assert reply.status_code == status
    if status == 415:
        assert reply.headers["accept-patch"] == FRAGMENT["content-type"]
    if status != 204:
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["status"] == status


async def test_candidates_need_a_tag_and_the_token_and_may_not_be_endless(
    session: tuple[httpx.AsyncClient, WhipClient],
) -> None:
    http, client = session
    tagged = {**FRAGMENT, "if-match": client.reply.headers["etag"]}
    content = fragment_of(client)
    assert (await http.patch(client.location, content=content, headers=FRAGMENT)).status_code == 428
    for endless in (content * 200, content + "a=x:y\r\n" * 9_000):
        reply = await http.patch(client.location, content=endless, headers=tagged)
        assert reply.status_code in (400, 413)
    del http.headers["authorization"]
    for method in ("PATCH", "DELETE", "GET"):
        reply = await http.request(method, client.location, content=content, headers=tagged)
        assert reply.status_code == 401
    http.headers.update(BEARER)


# Refusals


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        ("v=0", {}, 400),
        ("nonsense", {}, 400),
        (b"\xff\xfe", {}, 400),
        ("v=0", {"content-type": "application/json"}, 415),
        ("v=0", {"content-type": ""}, 415),
        ("v=0\r\n" * 20_000, {}, 413),
        ("v=0", {"authorization": ""}, 401),
        ("v=0", {"authorization": "Basic abc"}, 401),
        ("v=0", {"authorization": f"Bearer {TOKEN}x"}, 401),
        ("v=0", {"authorization": "Bearer ünïcode".encode()}, 401),
        ("v=0", {"authorization": f"bearer {TOKEN}"}, 400),
        ("v=0", {"host": "rebound.example", "origin": "null"}, 403),
    ],
)
async def test_what_is_no_offer_gets_a_status_and_a_reason(
    content: str | bytes, headers: dict[str, Any], status: int
) -> None:
    stream = Stream(Echo(), modality="audio", mode="send", whip_token=TOKEN)
    async with browser(app_of(stream)) as http:
        reply = await http.post("/whip", content=content, headers={**SDP, **BEARER, **headers})
        assert reply.status_code == status
        assert reply.headers["content-type"] == "application/problem+json"
        problem = reply.json()
        assert problem["status"] == status
        assert problem["detail"]
        if status == 415:
            assert reply.headers["accept-post"] == "application/sdp"
        if status == 401:
            challenge = reply.headers["www-authenticate"]
            is_wrong = str(headers["authorization"]).startswith(("Bearer", "b'Bearer"))
            assert challenge == ('Bearer error="invalid_token"' if is_wrong else "Bearer")


async def test_offers_of_other_media_and_directions_are_refused() -> None:
    stream = Stream(Echo(), modality="audio", mode="send-receive")
    async with browser(app_of(stream)) as http:
        video = await http.post("/whip", content=await make_sdp("audio", "video"), headers=SDP)
        assert video.status_code == 422
        assert "Unsupported track kind 'video'" in video.json()["detail"]
        sdp = await make_sdp("audio")
        plays = sdp.replace("a=sendrecv", "a=recvonly")
        reply = await http.post("/whip", content=plays, headers=SDP)
        assert (reply.status_code, reply.json()["error"]) == (400, "invalid_offer")
        assert "the client sends audio; got audio recvonly" in reply.json()["detail"]
        sends = sdp.replace("a=sendrecv", "a=sendonly")
        reply = await http.post("/whep", content=sends, headers=SDP)
        assert "the client receives audio; got audio sendonly" in reply.json()["detail"]
    assert stream.handlers == {}


async def test_tracks_beyond_the_modality_are_declined_where_the_stream_allows_them() -> None:
    stream = Stream(Echo(), modality="audio", mode="send", allow_extra_tracks=True)
    async with browser(app_of(stream)) as http:
        client = WhipClient(http, modality="audio-video")
        await client.call()
        assert directions(client.reply.text) == ["recvonly", "inactive"]
        await end(stream, http, client)


async def test_a_handler_that_cannot_be_made_is_a_fault_of_the_server() -> None:
    class Broken(Echo):
        def copy(self) -> Echo:
            raise ValueError("the secret reason")

    stream = Stream(Broken(), modality="audio", mode="send")
    async with browser(app_of(stream)) as http:
        refused = (await WhipClient(http).call())["meta"]
        assert (refused["status"], refused["error"]) == (500, "handler_failed")
        assert "secret" not in str(refused)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/whip", "GET, HEAD, OPTIONS, POST"),
        ("PATCH", "/whep", "GET, HEAD, OPTIONS, POST"),
        ("DELETE", "/whip", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/whip/x", "DELETE, GET, HEAD, OPTIONS, PATCH"),
    ],
)
async def test_other_methods_are_not_allowed(method: str, path: str, allowed: str) -> None:
    stream = Stream(Echo(), modality="audio", mode="send-receive", whip_token=TOKEN)
    async with browser(app_of(stream)) as http:
        reply = await http.request(method, path)
        assert (reply.status_code, reply.headers["allow"]) == (405, allowed)
        assert reply.json()["status"] == 405


# Other pages, players that look around, proxies


async def test_players_detect_an_endpoint_without_a_token() -> None:
    stream = Stream(Echo(), modality="audio", mode="send-receive", whip_token=TOKEN)
    async with browser(app_of(stream)) as http:
        for method in ("GET", "HEAD"):
            reply = await http.request(method, "/whep")
            assert (reply.status_code, reply.content) == (200, b"")
            assert reply.headers["content-type"] == "application/sdp"
        options = await http.options("/whip")
        assert (options.status_code, options.headers["accept-post"]) == (200, "application/sdp")
        options = await http.options("/whip/unknown")
        assert options.headers["accept-patch"] == FRAGMENT["content-type"]


@pytest.mark.parametrize("by", ["the stream", "the app", "nobody"])
async def test_pages_of_other_origins_may_use_it_where_they_are_listed(by: str) -> None:
    origins = [OTHER_PAGE] if by == "the stream" else None
    stream = Stream(Echo(), modality="audio", mode="send", allowed_origins=origins)
    app = app_of(stream)
    if by == "the app":
        app.add_middleware(
            CORSMiddleware, allow_origins=[OTHER_PAGE], allow_methods=["*"], allow_headers=["*"]
        )
    asked = {
        "origin": OTHER_PAGE,
        "access-control-request-method": "DELETE",
        "access-control-request-headers": "authorization,if-match",
    }
    async with browser(app) as http:
        preflight = await http.options("/whip/key", headers=asked)
        expected = None if by == "nobody" else OTHER_PAGE
        assert preflight.headers.get("access-control-allow-origin") == expected
        reply = await http.post("/whip", content="v=0", headers={**SDP, "origin": OTHER_PAGE})
        assert reply.headers.get("access-control-allow-origin") == expected
        if by != "nobody":
            assert "DELETE" in preflight.headers["access-control-allow-methods"]
            assert "if-match" in preflight.headers["access-control-allow-headers"]
            assert "Location" in reply.headers["access-control-expose-headers"]


async def test_clients_with_a_token_get_the_servers_for_ice() -> None:
    calls = []

    async def credentials() -> dict[str, Any]:
        calls.append(1)
        server = {"urls": ["turn:turn.example:3478"], "username": "ada", "credential": 'a"b'}
        return {"iceServers": [{"urls": "stun:stun.example"}, server]}

    turn = '<turn:turn.example:3478>; rel="ice-server"; username="ada"; credential="a\\"b"'
    expected = [
        '<stun:stun.example>; rel="ice-server"',
        f'{turn}; credential-type="password"',
    ]
    options: dict[str, Any] = {"rtc_configuration": credentials, "modality": "audio"}
    stream = Stream(Echo(), mode="send", whip_token=TOKEN, **options)
    async with browser(app_of(stream)) as http:
        assert "link" not in (await http.options("/whip")).headers
        assert (await http.options("/whip", headers={"authorization": "Bearer x"})).is_error
        preflight = {"access-control-request-method": "POST", "origin": HOST}
        assert "link" not in (await http.options("/whip", headers=BEARER | preflight)).headers
        assert calls == []
        reply = await http.options("/whip", headers=BEARER)
        assert reply.headers.get_list("link") == expected
        client = WhipClient(http, headers=BEARER)
        await client.call()
        assert client.reply.headers.get_list("link") == expected
        assert len(calls) == 1
        http.headers.update(BEARER)
        await end(stream, http, client)
    open_stream = Stream(Echo(), mode="send", **options)
    async with browser(app_of(open_stream)) as http:
        client = WhipClient(http)
        await client.call()
        assert "link" not in client.reply.headers, "strangers get no credentials"
        await end(open_stream, http, client)


@pytest.mark.parametrize("is_in_path", [False, True])
async def test_the_address_of_a_session_is_right_behind_a_proxy(*, is_in_path: bool) -> None:
    stream = Stream(Echo(), modality="audio", mode="send")
    transport = httpx.ASGITransport(app_of(stream, "/talk"), root_path="/api")
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as http:
        prefix = "/api" if is_in_path else ""
        client = WhipClient(http, f"{prefix}/talk/whip")
        await client.call()
        assert client.location.startswith("/api/talk/whip/")
        session = client.location.removeprefix("" if is_in_path else "/api")
        assert (await http.delete(session)).status_code == 200
        await client.hang_up()
        await gone(stream)


async def test_the_routes_are_in_openapi_with_their_bodies() -> None:
    stream = Stream(Echo(), modality="audio", mode="send-receive", whip_token=TOKEN)
    paths = app_of(stream, "/talk").openapi()["paths"]
    found = [path for path in paths if path.startswith("/talk/wh")]
    assert found == ["/talk/whip", "/talk/whip/{key}", "/talk/whep", "/talk/whep/{key}"]
    for name in ("whip", "whep"):
        post = paths[f"/talk/{name}"]["post"]
        assert [*post["requestBody"]["content"]] == ["application/sdp"]
        created = post["responses"]["201"]
        assert [*created["content"]] == ["application/sdp"]
        assert {"Location", "ETag", "Link"} <= {*created["headers"]}
        problem = post["responses"]["503"]["content"]["application/problem+json"]["schema"]
        assert {"type", "title", "status", "detail"} <= {*problem["properties"]}
        assert post["security"] == [{"HTTPBearer": []}]
        assert {*paths[f"/talk/{name}/{{key}}"]} == {"patch", "delete"}
    open_paths = app_of(Stream(Echo(), modality="audio", mode="send")).openapi()["paths"]
    assert "security" not in open_paths["/whip"]["post"]
    assert "/whep" not in open_paths
