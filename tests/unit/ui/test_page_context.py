"""Gradio's helpers in the code of a session, and the request of a running server function."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest
from gradio.context import LocalContext
from starlette.requests import Request
from support.fake_session import FakeSession

from gradio_webrtc import Limits, WebRTC
from gradio_webrtc._handlers import MessageRelay, in_session
from gradio_webrtc._session.client_address import has_left
from gradio_webrtc._session.origins import read_origins
from gradio_webrtc._ui.page_context import (
    MAX_QUERY_CHARS,
    OfferRequest,
    SessionBlocks,
    check_page,
    find_app,
    find_request,
)
from gradio_webrtc.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Iterator


def http(body: object = None, query: bytes = b"", app: object = None, **headers: str) -> Request:
    """A request of a page; headers are written with underscores."""
    fields = {"content-type": "application/json", "host": "198.51.100.7"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    scope = {
        "type": "http",
        "scheme": "http",
        "path": "/",
        "method": "POST",
        "query_string": query,
        "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
        "client": ("10.0.0.1", 1),
        "server": ("198.51.100.7", 80),
        "app": app,
    }

    messages = [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return Request(scope, receive)


@pytest.fixture
def serve() -> Iterator[Any]:
    """Sets the request that the running server function answers."""
    before = LocalContext.request.set(None)
    yield LocalContext.request.set
    LocalContext.request.reset(before)


# The code of a session


async def test_words_of_gradio_go_to_the_page_of_the_session() -> None:
    line, session = MessageRelay("client"), FakeSession()
    with in_session(line, None):
        line.connect(session)
        gr.Warning("careful", duration=3, title="Look")
        gr.Info("by the way")
        gr.Info("unseen", visible=False)
        gr.Progress()(0.5)
    kinds = [(each["type"], each["data"]) for each in session.messages]
    assert len(kinds) == 2
    assert "careful" in str(kinds[0])
    assert "by the way" in str(kinds[1])


def test_a_call_outside_of_an_app_runs_in_none() -> None:
    blocks = SessionBlocks(None)
    assert (blocks.is_running, blocks.has_launched) == (False, False)
    with pytest.raises(AttributeError):
        _ = blocks.share_url


def test_the_blocks_of_a_session_answer_for_those_of_the_app() -> None:
    original = SimpleNamespace(is_running=True, has_launched=True, share_url="u", _queue=None)
    blocks = SessionBlocks(original)
    assert (blocks.is_running, blocks.has_launched, blocks.share_url) == (True, True, "u")


# The request of a server function


@pytest.mark.usefixtures("serve")
async def test_outside_of_a_server_function_there_is_no_request() -> None:
    assert await find_request({}) is None
    assert find_app() is None
    check_page(frozenset(), ())


async def test_a_request_has_the_session_and_the_query_of_its_page(serve: Any) -> None:
    serve(http({"session_hash": "first"}))
    request = await find_request({"query": "?voice=low"})
    assert isinstance(request, OfferRequest)
    assert (request.session_hash, request.username) == ("first", None)
    assert dict(request.query_params) == {"voice": "low"}
    assert repr(request) == "Request(username=None, session_hash='first')"


async def test_a_request_reports_that_its_page_has_left_while_it_is_answered(serve: Any) -> None:
    serve(http({"session_hash": "first"}))
    request: Any = await find_request(None)
    assert await has_left(request)
    serve(None)
    assert not await has_left(request)
    assert not await has_left(None)


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (b"own=1", {"query": "?voice=low"}),
        (b"own=1", None),
        (b"", {"query": 7}),
        (b"", {"query": "x" * (MAX_QUERY_CHARS + 1)}),
        (b"", None),
    ],
)
async def test_any_other_query_is_left_out(serve: Any, query: bytes, body: object) -> None:
    serve(http({}, query))
    request: Any = await find_request(body)
    assert dict(request.query_params) == ({"own": "1"} if query else {})


@pytest.mark.parametrize("posted", [None, 7, [], {}, {"session_hash": 7}])
async def test_a_program_has_no_session(serve: Any, posted: object) -> None:
    serve(http(posted))
    request: Any = await find_request(None)
    assert request.session_hash is None


async def test_a_form_is_not_read(serve: Any) -> None:
    serve(http({"session_hash": "first"}, content_type="text/plain"))
    request: Any = await find_request(None)
    assert request.session_hash is None


async def test_the_user_is_found_by_the_cookie_of_gradio(serve: Any) -> None:
    app = SimpleNamespace(auth_dependency=None, cookie_id="c", tokens={"token": "ada"})
    serve(http({}, app=app, cookie="access-token-c=token"))
    request: Any = await find_request(None)
    assert request.username == "ada"


@pytest.mark.parametrize("is_async", [True, False])
async def test_the_user_is_found_by_the_apps_own_dependency(serve: Any, *, is_async: bool) -> None:
    async def later(_request: Request) -> str:
        return "ada"

    app = SimpleNamespace(auth_dependency=later if is_async else lambda _request: "ada")
    serve(http({}, app=app))
    request: Any = await find_request(None)
    assert request.username == "ada"
    assert find_app() is app


async def test_a_request_of_gradios_own_is_taken_as_it_is(serve: Any) -> None:
    app = object()
    own = gr.Request(http(app=app))
    serve(own)
    assert await find_request({"query": "?voice=low"}) is own
    assert find_app() is app


# The page that asks


def test_the_page_of_another_server_is_refused(serve: Any) -> None:
    serve(http(origin="http://evil.example"))
    with pytest.raises(RequestRefused):
        check_page(frozenset(), ())
    check_page(read_origins(["http://evil.example"]), ())


def test_a_name_that_gradio_published_is_one_of_ours(serve: Any) -> None:
    request = http(host="share.example")
    request.scope["server"] = ("127.0.0.1", 7860)
    serve(request)
    with pytest.raises(RequestRefused):
        check_page(frozenset(), ())
    token = LocalContext.blocks.set(SimpleNamespace(share_url="https://share.example"))  # type: ignore[arg-type]
    check_page(frozenset(), ())
    LocalContext.blocks.reset(token)


@pytest.mark.parametrize("proxies", [(), ("10.0.0.0/8",), ["10.0.0.1"]])
async def test_the_proxies_of_a_components_limits_are_trusted(serve: Any, proxies: Any) -> None:
    with gr.Blocks():
        webrtc = WebRTC(modality="audio", limits=Limits(trusted_proxies=proxies))
    forwarded: Any = {"x_forwarded_host": "outside.example", "origin": "http://outside.example"}
    serve(http({"type": "close", "session_hash": "first"}, **forwarded))
    answer = await webrtc.offer({"type": "close"})
    assert answer["meta"]["error"] == ("unknown_connection" if proxies else "request_refused")
