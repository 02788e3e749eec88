"""Strangers who bring ids, or words that stand for none, over real pages and connections."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest
from support.page import PageClient, serve_page
from support.serving import server_of

from gradio_webrtc import AdditionalOutputs, AsyncStreamHandler, WebRTC, get_current_context
from gradio_webrtc._ui.claim import PageValue

if TYPE_CHECKING:
    from support.page import GradioPage

pytestmark = pytest.mark.network

RESERVED = ["__webrtc_value__", "start_webrtc_stream"]


class Notes(AsyncStreamHandler):
    """Notes the inputs that reach each session, and gives one output a session."""

    def __init__(self, seen: list[tuple[str, Any]], names: list[str]) -> None:
        super().__init__()
        self.seen, self.names = seen, names
        self._is_done = False

    async def start_up(self) -> None:
        self.names.append(get_current_context().webrtc_id)

    async def receive(self, frame: Any) -> None:
        pass

    def set_args(self, args: list[Any]) -> None:
        self.seen.append((get_current_context().webrtc_id, args[-1]))
        super().set_args(args)

    async def emit(self) -> AdditionalOutputs:
        if self._is_done:
            await asyncio.Event().wait()
        await self.wait_for_args()
        self._is_done = True
        return AdditionalOutputs(f"for {get_current_context().webrtc_id}")

    def copy(self) -> Notes:
        return Notes(self.seen, self.names)


class Site:
    """A page with a text box, and a button whose function gets the component's value."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []
        self.names: list[str] = []
        self.clicked: list[Any] = []
        with gr.Blocks() as self.blocks:
            self.call = WebRTC(modality="audio", mode="send-receive")
            text, out = gr.Textbox("mine", label="in"), gr.Textbox(label="out")
            handler = Notes(self.seen, self.names)
            self.call.stream(handler, [self.call, text], [self.call], concurrency_limit=9)
            self.call.on_additional_outputs(lambda value: value, outputs=[out], queue=False)
            gr.Button("end").click(self.end, [self.call], queue=False)
        self.sessions = server_of(self.call)

    def end(self, value: Any) -> None:
        self.clicked.append(value)
        self.call.close(value, "by the button")


async def call_in(page: GradioPage, *, with_id: bool = True) -> PageClient:
    client = PageClient(page)
    if not with_id:
        client.webrtc_id = ""
    answer = await client.call()
    assert answer.get("type") == "answer", answer
    return client


async def answered(*clients: PageClient) -> None:
    """Returns once each of them has had an output."""
    for client in clients:
        await client.until(lambda each=client: each.pages != [])  # type: ignore[misc]


async def leave(site: Site, *clients: PageClient) -> None:
    await asyncio.gather(*(client.hang_up() for client in clients))
    await site.sessions.close()


@pytest.mark.parametrize("word", RESERVED)
async def test_a_word_that_stands_for_no_session_collects_nobodys_inputs(word: str) -> None:
    site = Site()
    async with serve_page(site.blocks) as visitor, serve_page(site.blocks) as page:
        stranger = PageClient(page)
        stranger.webrtc_id = word
        refusal = await stranger.call()
        component = visitor.component("webrtc")
        for value in (word, {"webrtc_id": word, "secret": ""}, None):
            visitor.values[component] = value
            await visitor.dispatch(component, "tick")
        assert refusal["meta"]["error"] == "invalid_offer"
    assert site.seen == []


@pytest.mark.parametrize("with_id", [True, False])
async def test_a_session_goes_on_with_an_id_of_the_pages_own_and_without(*, with_id: bool) -> None:
    site = Site()
    async with serve_page(site.blocks) as page:
        client = await call_in(page, with_id=with_id)
        await answered(client)
        name = client.webrtc_id if with_id else client.answer["webrtc_id"]
        assert (site.names, site.seen) == ([name], [(name, "mine")])
        assert page.values[page.component("textbox", "out")] == f"for {name}"
        await page.dispatch(page.component("button"), "click")
        await client.ended.wait()
        assert site.clicked == [name]
        await leave(site, client)


async def test_a_secret_is_worth_nothing_in_another_gradio_session() -> None:
    site = Site()
    async with serve_page(site.blocks) as page, serve_page(site.blocks) as other:
        client, thief = await call_in(page), await call_in(other, with_id=False)
        await answered(client, thief)
        before = list(site.seen)
        component, text = page.component("webrtc"), other.component("textbox", "in")
        other.values[text] = "of a thief"
        stolen = {"webrtc_id": client.webrtc_id, "secret": client.secret}
        other.values[component] = stolen
        site.call.set_additional_outputs(client.webrtc_id)(AdditionalOutputs("private"))
        await client.until(lambda: page.values[page.component("textbox", "out")] == "private")
        other.values[other.component("textbox", "out")] = "untouched"
        for event in ("tick", "state_change"):
            await other.dispatch(component, event)
        await other.dispatch(other.component("button"), "click")
        refusals = [
            await other.call_server(component, "offer", {**stolen, "type": kind})
            for kind in ("close", "candidates", "ice-candidate")
        ]
        assert site.seen == before
        assert other.values[other.component("textbox", "out")] == "untouched"
        assert site.clicked == ["__webrtc_value__"]
        assert {each["meta"]["error"] for each in refusals} == {"unknown_connection"}
        assert not client.ended.is_set()
        await leave(site, client, thief)


async def test_an_id_that_somebody_else_uses_is_not_revealed_and_is_not_taken_over() -> None:
    site = Site()
    async with serve_page(site.blocks) as page, serve_page(site.blocks) as other:
        client = await call_in(page)
        double = PageClient(other)
        double.webrtc_id = client.webrtc_id
        answer = await double.call()
        await answered(client, double)
        assert set(site.names) == {client.webrtc_id, answer["webrtc_id"]}
        assert site.sessions.get(client.webrtc_id) is not site.sessions.get(answer["webrtc_id"])
        again = PageClient(page)
        again.webrtc_id = client.webrtc_id
        assert (await again.call())["meta"]["error"] == "connection_already_exists"
        await leave(site, client, double)
        later = PageClient(other)
        later.webrtc_id = client.webrtc_id
        await later.call()
        await answered(later)
        assert site.names[-1] != client.webrtc_id, "an alias stays with the page that brought it"
        await leave(site, later)


@pytest.mark.parametrize("kind", ["close", "candidates", "ice-candidate"])
async def test_nothing_reveals_whether_an_id_exists(kind: str) -> None:
    site = Site()
    async with serve_page(site.blocks) as page, serve_page(site.blocks) as other:
        client = await call_in(page)
        component = other.component("webrtc")
        ids: list[Any] = [client.webrtc_id, client.answer["webrtc_id"], "nobody", "x" * 100_000]
        ids += ["", None, 7, ["x"], {"a": 1}, "a\nb", "\x1b[2J", *RESERVED]
        secrets: list[Any] = ["guess", "", None, 7, ["x"], {}, "x" * 100_000]
        answers = [
            await other.call_server(
                component, "offer", {"type": kind, "webrtc_id": each, "secret": secret}
            )
            for each in ids
            for secret in secrets
        ]
        assert all(each == answers[0] for each in answers)
        surrogate = b'{"type": "%s", "webrtc_id": "\\ud800", "secret": "\\udfff"}' % kind.encode()
        assert await other.call_server_raw(component, "offer", surrogate) == answers[0]
        await leave(site, client)


async def test_a_lone_surrogate_is_a_wrong_value_like_any_other() -> None:
    site = Site()
    async with serve_page(site.blocks) as page:
        client = await call_in(page)
        manager = site.sessions
        for each in (client.webrtc_id, "\ud800"):
            for secret in ("\ud800", "guess"):
                body = {"type": "close", "webrtc_id": each, "secret": secret}
                assert (await manager.handle_request(body))["meta"]["error"] == "unknown_connection"
        await leave(site, client)


async def test_the_value_of_a_session_can_be_kept_without_the_session() -> None:
    value = PageValue("call")
    for kept in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):  # noqa: S301 - our own
        assert (kept, type(kept)) == ("call", str)


async def test_a_page_gets_none_of_the_servers_own_settings() -> None:
    with gr.Blocks() as blocks:
        servers = [{"urls": "turn:127.0.0.1", "username": "server", "credential": "hunter2"}]
        WebRTC(modality="audio", server_rtc_configuration={"iceServers": servers})
    async with serve_page(blocks) as page:
        config = str(page.config)
    assert "hunter2" not in config
    assert "SessionServer" not in config
