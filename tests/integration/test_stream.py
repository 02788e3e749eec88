"""`Stream`: clients of its routes and of its page, over real connections."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import asynccontextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from support.offers import make_sdp
from support.posting import Posting, PostingClient, browser, client_of
from support.signals import chirp, nearly_whole, pitch_hz, tone

from gradio_webrtc import (
    AdditionalOutputs,
    AsyncStreamHandler,
    Limits,
    ReplyOnPause,
    StreamHandler,
    get_current_context,
)
from gradio_webrtc.stream import Body, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray

OTHER_PAGE = "https://page.example"

ANNOUNCED = {"type": "fetch_output", "data": []}
"""The message that there are outputs."""


class Echo(StreamHandler):
    """Sends the user's audio back, and what it was set to."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: SimpleQueue[tuple[int, NDArray[np.int16]]] = SimpleQueue()

    def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        self.frames.put(frame)

    def emit(self) -> Any:
        return self.frames.get(), AdditionalOutputs(*self.latest_args[1:])

    def copy(self) -> Echo:
        return Echo()


def stream_of(**options: Any) -> Stream:
    return Stream(Echo(), modality="audio", **options)


def app_of(stream: Stream, path: str = "") -> FastAPI:
    app = FastAPI()
    stream.mount(app, path)
    return app


async def gone(stream: Stream) -> None:
    """Returns once no session is left."""
    await stream.webrtc_component.signaling.sessions.wait_idle()


async def test_a_page_that_was_written_for_fastrtc_talks() -> None:
    stream = stream_of()
    sent = chirp(1.0)
    async with browser(app_of(stream)) as page:
        client = client_of(Posting(page), sent)
        answer = await client.call()
        assert answer["type"] == "answer"
        assert [*stream.handlers] == [*stream.connections] == [client.webrtc_id]
        await client.microphone.finished.wait()
        await client.until(lambda: nearly_whole(client.received_audio(), sent))
        assert stream.stats(client.webrtc_id) is not None
        await client.hang_up()
        await gone(stream)
    assert stream.handlers == {}


async def test_the_cookie_of_the_answer_is_the_secret_of_the_session() -> None:
    stream = stream_of()
    app = app_of(stream)
    async with browser(app) as page, browser(app) as stranger:
        client = client_of(Posting(page))
        await client.call()
        (cookie,) = page.cookies.jar
        assert cookie.value == client.secret
        assert cookie.path == "/webrtc"
        assert cookie.has_nonstandard_attr("HttpOnly")
        assert cookie.get_nonstandard_attr("SameSite") == "strict"
        assert cookie.expires is not None
        body = {"type": "close", "webrtc_id": client.webrtc_id}
        refused = await Posting(stranger).handle_request(body)
        assert refused["meta"]["error"] == "unknown_connection"
        assert (await Posting(page).handle_request(body)) == {"status": "success"}
        await gone(stream)
        await client.hang_up()


class Address(asyncio.DatagramProtocol):
    """An address that a page names as its own, and what comes to it."""

    def __init__(self) -> None:
        self.is_checked = asyncio.Event()

    def datagram_received(self, data: bytes, addr: Any) -> None:  # noqa: ARG002
        self.is_checked.set()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[dict[str, Any]]:
        """The candidate of the address, as a page posts it."""
        loop = asyncio.get_running_loop()
        opening = loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        transport, _ = await opening
        port = transport.get_extra_info("sockname")[1]
        yield {"candidate": f"candidate:1 1 udp 1 127.0.0.1 {port} typ host", "sdpMid": "0"}
        transport.close()


@pytest.mark.parametrize("when", ["before the offer", "with the offer", "after the answer"])
@pytest.mark.parametrize("way", ["the route", "a route of its own"])
async def test_candidates_without_a_secret_reach_the_session_of_their_page(
    when: str, way: str
) -> None:
    stream = stream_of(limits=Limits(candidate_networks=("127.0.0.0/8",)))
    sdp, address = await make_sdp("audio"), Address()
    async with browser(app_of(stream)) as page, address.opened() as candidate:

        async def post(**body: Any) -> dict[str, Any]:
            page.cookies.clear()
            if way == "the route":
                return await Posting(page).handle_request(body)
            return await stream.offer(Body(**body))

        trickle = {"type": "ice-candidate", "candidate": candidate, "webrtc_id": "page"}
        offer = {"type": "offer", "sdp": sdp, "webrtc_id": "page"}
        requests: dict[str, list[dict[str, Any]]] = {
            "before the offer": [trickle, offer],
            "with the offer": [offer, trickle],
            "after the answer": [offer],
        }
        answers = await asyncio.gather(*(post(**each) for each in requests[when]))
        assert {each.get("status", "answered") for each in answers} <= {"answered", "success"}
        if when == "after the answer":
            assert await post(**trickle) == {"status": "success"}
        await address.is_checked.wait()
    await stream.drain(0)


async def test_a_program_sends_the_secret_itself() -> None:
    stream = stream_of()
    async with browser(app_of(stream)) as program:
        client = client_of(Posting(program))
        await client.call()
        program.cookies.clear()
        body = {"type": "close", "webrtc_id": client.webrtc_id}
        assert (await Posting(program).handle_request(body))["status"] == "failed"
        assert client.webrtc_id in stream.connections
        reply = await program.post("/webrtc/offer", json={**body, "secret": client.secret})
        assert reply.json() == {"status": "success"}
        await gone(stream)
        await client.hang_up()


async def test_routes_and_page_share_their_limit() -> None:
    stream = stream_of(concurrency_limit=1)
    component: Any = stream.webrtc_component
    async with browser(app_of(stream)) as page:
        first, second = client_of(Posting(page)), client_of(Posting(page))
        await first.call()
        refused = await second.call()
        assert refused["meta"]["error"] == "concurrency_limit_reached"
        assert refused["meta"]["limit"] == 1
        third = client_of(component.signaling)
        assert (await third.call())["status"] == "failed", "nor for the page of the stream"
        await first.hang_up()
        await gone(stream)


@pytest.mark.parametrize("header", ["x-forwarded-for", "x-of-no-proxy"])
async def test_visitors_behind_a_proxy_that_cannot_connect_keep_nobody_out(header: str) -> None:
    stream = stream_of(concurrency_limit=20)
    app, sdp = app_of(stream), await make_sdp("audio")
    for number in range(3):
        async with browser(app, "172.18.0.1", headers={header: f"203.0.113.{number}"}) as page:
            body = {"type": "offer", "sdp": sdp, "webrtc_id": f"page-{number}"}
            assert "secret" in await Posting(page).handle_request(body)
    async with browser(app, "172.18.0.1", headers={header: "203.0.113.9"}) as page:
        client = client_of(Posting(page))
        assert (await client.call())["type"] == "answer"
        await client.hang_up()
    await stream.drain(0)


async def test_inputs_and_outputs_of_a_program() -> None:
    stream = stream_of()
    async with browser(app_of(stream)) as page:
        client = client_of(Posting(page), chirp(0.5))
        await client.call()
        stream.set_input("nobody", "three", 4)
        stream.set_input(client.webrtc_id, "one", 2)
        outputs = stream.output_stream(client.webrtc_id)
        while (await anext(outputs)).args != ("one", 2):
            pass
        assert (await stream.fetch_latest_output(client.webrtc_id)).args == ("one", 2)
        stream.close(client.webrtc_id, "enough")
        await client.ended.wait()
        await gone(stream)
        assert {each.args async for each in outputs} <= {("one", 2)}, "and then no more"
        await client.hang_up()


@pytest.mark.parametrize("inputs", [(), (700,)])
async def test_a_page_that_only_receives_is_asked_for_its_inputs(inputs: tuple[int, ...]) -> None:
    def play(hz: int = 500) -> Iterator[Any]:
        yield 24_000, tone(0.5, hz, 24_000)

    stream = Stream(play, modality="audio", mode="receive")
    async with browser(app_of(stream)) as page:
        client = client_of(Posting(page), mode="receive")
        client.on_send_input = lambda: stream.set_input(client.webrtc_id, *inputs)
        await client.call()
        await client.ended.wait()
        await gone(stream)
        heard = np.concatenate([samples for _, samples in client.audio_frames])
        assert pitch_hz(heard, 48_000) == pytest.approx(inputs[0] if inputs else 500, abs=5)
        await client.hang_up()


async def test_an_id_is_free_as_soon_as_its_session_is_over() -> None:
    may_end, order = threading.Event(), []

    class Slow(Echo):
        def shutdown(self) -> None:
            may_end.wait()
            order.append(stream.stats("user-7") is not None)

        def copy(self) -> Slow:
            return Slow()

    stream = Stream(Slow(), modality="audio", concurrency_limit=2)
    async with browser(app_of(stream)) as page:
        first, second = client_of(Posting(page)), client_of(Posting(page))
        first.webrtc_id = second.webrtc_id = "user-7"
        await first.call()
        assert (await second.call())["meta"]["error"] == "connection_already_exists"
        stream.close("user-7")
        await first.ended.wait()
        again = client_of(Posting(page), chirp(0.5))
        again.webrtc_id = "user-7"
        assert (await again.call())["type"] == "answer"
        may_end.set()
        await first.hang_up()
        await again.until(lambda: again.loud_seconds() > 0.1)
        assert [*stream.handlers] == ["user-7"]
        stream.set_input("user-7", 5)
        assert stream.handlers["user-7"].latest_args[1:] == [5]
        await again.hang_up()
        await gone(stream)
    assert order == [True, True]


async def test_a_time_limit_ends_the_sessions_of_routes() -> None:
    stream = stream_of(time_limit=0.3)
    async with browser(app_of(stream)) as page:
        client = client_of(Posting(page))
        await client.call()
        await client.ended.wait()
        await gone(stream)
        await client.hang_up()


async def test_a_route_of_the_programs_own() -> None:
    stream = stream_of()

    class Own:
        async def handle_request(self, body: dict[str, Any]) -> dict[str, Any]:
            return await stream.offer(Body(**body))

    own: Any = Own()
    client = client_of(own)
    await client.call()
    assert client.webrtc_id in stream.handlers
    await client.hang_up()
    await gone(stream)


async def test_a_function_may_ask_for_the_request_of_its_page() -> None:
    seen: list[Any] = []

    def answer(_audio: Any, request: gr.Request) -> Iterator[Any]:
        current: Any = get_current_context().request
        seen.append((request.headers["x-page"], request.username, request.session_hash))
        seen.append((current.client.host, current.app is app))
        yield AdditionalOutputs("done")

    stream = Stream(ReplyOnPause(answer), modality="audio")
    app = app_of(stream)
    async with browser(app, headers={"x-page": "one"}) as page:
        client = client_of(Posting(page))
        await client.call()
        outputs = stream.output_stream(client.webrtc_id)
        handler: Any = stream.handlers[client.webrtc_id]
        handler.trigger_response()
        assert (await anext(outputs)).args == ("done",)
        await client.hang_up()
        await gone(stream)
    assert seen == [("one", None, None), ("127.0.0.1", True)]


@pytest.mark.parametrize("by", ["the stream", "the app", "nobody"])
async def test_pages_of_other_origins_may_call_where_they_are_listed(by: str) -> None:
    stream = stream_of(allowed_origins=[OTHER_PAGE] if by == "the stream" else None)
    app = app_of(stream)
    if by == "the app":
        app.add_middleware(CORSMiddleware, allow_origins=[OTHER_PAGE], allow_headers=["*"])
    asked = {
        "origin": OTHER_PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    async with browser(app) as page:
        preflight = await page.options("/webrtc/offer", headers=asked)
        allowed = preflight.headers.get("access-control-allow-origin")
        assert allowed == (None if by == "nobody" else OTHER_PAGE)
        if by != "nobody":
            assert "content-type" in preflight.headers["access-control-allow-headers"]
            page.headers["origin"] = OTHER_PAGE
            client = client_of(Posting(page))
            await client.call()
            assert client.answer["secret"]
            await client.hang_up()
            await gone(stream)


async def test_openapi_describes_each_part_of_a_request_and_its_answer() -> None:
    stream = stream_of()
    app = app_of(stream, "/talk")
    route = app.openapi()["paths"]["/talk/webrtc/offer"]
    schemas = app.openapi()["components"]["schemas"]
    asked = route["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    given = route["post"]["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"]
    names = [each["$ref"].rpartition("/")[2] for each in given]
    assert (asked.rpartition("/")[2], names) == (
        "Body",
        ["Answer", "LinkAnswer", "Accepted", "Candidates", "Outputs", "Refusal"],
    )
    assert "413" in route["post"]["responses"]
    for name in ("Body", *names, "RefusalReason"):
        assert "Attributes" not in schemas[name]["description"]
        for field in schemas[name]["properties"].values():
            assert field["description"]


async def test_a_gradio_page_that_was_mounted_before_hides_no_route() -> None:
    stream = stream_of()
    app = gr.mount_gradio_app(FastAPI(), stream.ui, path="/")
    stream.mount(app)
    stream.mount(app, "/talk")
    async with browser(app) as page:
        for path in ("/webrtc/offer", "/talk/webrtc/offer"):
            reply = await page.post(path, json={"type": "close", "webrtc_id": "page"})
            assert reply.json()["meta"]["error"] == "unknown_connection"
        assert "webrtc" in (await page.get("/config")).text


async def test_sessions_end_before_the_app_that_they_came_through() -> None:
    order: list[str] = []

    class Noted(Echo):
        def shutdown(self) -> None:
            order.append("the handler")

        def copy(self) -> Noted:
            return Noted()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
        yield {"a": "state"}
        order.append("the app")

    stream = Stream(Noted(), modality="audio")
    app = FastAPI(lifespan=lifespan)
    stream.mount(app)
    async with browser(app) as page:
        for _ in range(2):
            async with app.router.lifespan_context(app) as state:
                assert state == {"a": "state"}
                client = client_of(Posting(page))
                await client.call()
            await client.ended.wait()
            assert client.messages[-1]["code"] == "server_stopping"
            assert stream.handlers == {}
            await client.hang_up()
    assert order == ["the handler", "the app"] * 2


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"type": "offer"}', "application/json", 422),
        (b"nonsense", "application/json", 422),
        (b"{" + b" " * 70_000 + b"}", "application/json", 413),
        (b'{"type": "offer", "webrtc_id": "x", "sdp": "v=0"}', "text/plain", 422),
        (rb'{"type": "\ud800"}', "application/json", 422),
        (b'{"type": NaN, "webrtc_id": 1e999}', "application/json", 422),
        (b'{"type": ' + b"[" * 30_000, "application/json", 400),
    ],
)
async def test_what_is_no_request_gets_a_status_of_its_own(
    content: bytes, kind: str, status: int
) -> None:
    async with browser(app_of(stream_of())) as page:
        reply = await page.post("/webrtc/offer", content=content, headers={"content-type": kind})
        assert reply.status_code == status


async def test_a_host_that_was_led_here_is_refused() -> None:
    async with browser(app_of(stream_of())) as page:
        body = {"type": "offer", "webrtc_id": "x", "sdp": "v=0"}
        reply = await page.post(
            "/webrtc/offer", json=body, headers={"host": "rebound.example", "origin": "null"}
        )
        assert reply.json()["meta"]["error"] == "request_refused"


class Beeps(AsyncStreamHandler):
    """Emits a tone for as long as it lasts."""

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> Any:
        return 48_000, (8_000 * np.sign(np.sin(np.arange(960)))).astype(np.int16).reshape(1, -1)

    def copy(self) -> Beeps:
        return Beeps()


class Meter(Echo):
    """Emits the values that it was set to, and notes the messages of its client."""

    def __init__(self) -> None:
        super().__init__()
        self.got: SimpleQueue[Any] = SimpleQueue()

    def on_message(self, data: Any) -> None:
        self.got.put(data)
        if data == "emit":
            self.frames.put((48_000, np.zeros((1, 960), np.int16)))

    def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        """Leaves it to `on_message` to emit."""

    def copy(self) -> Meter:
        return Meter()


class Talker(PostingClient):
    """A client that sends messages."""

    def send(self, data: Any) -> None:
        """Sends a value, once the channel is open."""
        text = json.dumps(data)
        if self.channel.readyState == "open":
            self.channel.send(text)
        else:
            self.channel.on("open", lambda: self.channel.send(text))


class Package(Talker):
    """A client as the package has one: it sends its inputs, and reads outputs over the route."""

    def __init__(self, page: Any, *args: Any, **options: Any) -> None:
        super().__init__(Posting(page), *args, **options)  # type: ignore[arg-type]  # the part that a client calls
        self._page = page

    def send_inputs(self, *inputs: Any) -> None:
        self.send({"type": "set_inputs", "data": inputs})

    async def read_outputs(self) -> Any:
        body = {"type": "outputs", "webrtc_id": self.webrtc_id}
        return (await self._page.post("/webrtc/offer", json=body)).json()

    def errors(self) -> list[str]:
        return [each["message"] for each in self.messages if each["type"] == "error"]


async def test_a_client_sets_inputs_and_reads_outputs_itself() -> None:
    slider = gr.Slider(0, 10)
    stream = Stream(Meter(), modality="audio", additional_inputs=[slider])
    async with browser(app_of(stream)) as page, browser(app_of(stream)) as stranger:
        client = Package(page)
        await client.call()
        handler: Any = stream.handlers[client.webrtc_id]
        assert await client.read_outputs() == {"outputs": []}
        client.send_inputs(4)
        client.send("emit")
        await client.until(lambda: ANNOUNCED in client.messages)
        assert await client.read_outputs() == {"outputs": [[4]]}
        client.send_inputs(11)
        client.send_inputs("many")
        await client.until(lambda: len(client.errors()) == 2)
        assert client.errors()[0].startswith("Slider, input 1, refuses this value: Value 11 is")
        assert handler.latest_args[1:] == [4]
        assert handler.got.get() == "emit", "inputs are no messages"
        assert handler.got.empty()
        body = {"type": "outputs", "webrtc_id": client.webrtc_id}
        refused = await Posting(stranger).handle_request(body)
        assert refused["meta"]["error"] == "unknown_connection"
        await client.hang_up()
        await gone(stream)


async def test_outputs_that_json_cannot_carry_are_an_error_of_the_handlers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream = Stream(Meter(), modality="audio")
    async with browser(app_of(stream)) as page:
        client = Package(page)
        await client.call()
        assert await client.read_outputs() == {"outputs": []}
        set_outputs = stream.set_additional_outputs(client.webrtc_id)
        set_outputs(AdditionalOutputs("first", np.arange(3)))
        set_outputs(AdditionalOutputs(object()))
        set_outputs(AdditionalOutputs("third"))
        await client.until(lambda: ANNOUNCED in client.messages)
        read = await client.read_outputs()
        assert read == {"outputs": [["first", [0, 1, 2]], ["third"]]}
        await client.until(lambda: bool(client.errors()))
        assert "see the server's log" in client.errors()[0]
        assert "value 1 of AdditionalOutputs, of the type object" in caplog.text
        await client.hang_up()
        await gone(stream)


async def test_a_handler_that_only_sends_starts_with_the_word_of_its_client() -> None:
    stream = Stream(Beeps(), modality="audio", mode="receive")
    async with browser(app_of(stream)) as page:
        client = Package(page, mode="receive")
        await client.call()
        await client.until(lambda: client.loud_seconds() > 0.1)
        assert client.errors() == []
        await client.hang_up()
        await gone(stream)


async def test_a_page_of_gradios_has_its_inputs_checked_by_gradio() -> None:
    stream = Stream(Meter(), modality="audio", additional_inputs=[gr.Slider(0, 10)])
    component: Any = stream.webrtc_component
    client = Talker(component.signaling)
    await client.call()
    handler: Any = stream.handlers[client.webrtc_id]
    message = {"type": "set_inputs", "data": [4]}
    client.send(message)
    client.send("emit")
    got = [await asyncio.to_thread(handler.got.get) for _ in range(2)]
    assert got == [message, "emit"]
    assert handler.latest_args[1:] == []
    body = {"type": "outputs", "webrtc_id": client.webrtc_id, "secret": client.secret}
    refused = await component.signaling.handle_request(body)
    assert refused["status"] == "failed"
    await client.hang_up()
    await gone(stream)
