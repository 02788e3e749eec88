"""Behind ``auth=``: strangers reach nothing, and one user nothing of another's."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI
from support.page import WAIT_S, GradioPage, PageClient
from support.serving import server_of

from gradio_webrtc import AdditionalOutputs, AsyncStreamHandler, WebRTC, get_current_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.network

USERS = [("ann", "her word"), ("bob", "his word")]
TURN = {"iceServers": [{"urls": "turn:127.0.0.1", "username": "u", "credential": "hunter2"}]}


class Notes(AsyncStreamHandler):
    """Notes the inputs that reach any session."""

    def __init__(self, seen: list[Any]) -> None:
        super().__init__()
        self.seen = seen

    def set_args(self, args: list[Any]) -> None:
        self.seen.append((get_current_context().webrtc_id, args[-1]))
        super().set_args(args)

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> None:
        await self.wait_for_args()
        await asyncio.Event().wait()

    def copy(self) -> Notes:
        return Notes(self.seen)


class Site:
    """A page for users, with a text box for what comes and one for what goes."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        with gr.Blocks() as blocks:
            self.call = WebRTC(modality="audio", mode="send-receive", rtc_configuration=TURN)
            text, out = gr.Textbox("mine", label="in"), gr.Textbox("nothing", label="out")
            self.call.stream(Notes(self.seen), [self.call, text], [self.call], concurrency_limit=9)
            self.call.on_additional_outputs(lambda value: value, outputs=[out], queue=False)
        self.app = gr.mount_gradio_app(FastAPI(), blocks, path="/", auth=USERS)
        self.sessions = server_of(self.call)

    @asynccontextmanager
    async def client(
        self, login: tuple[str, str] | None = None
    ) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver", timeout=WAIT_S
        ) as client:
            if login is not None:
                form = {"username": login[0], "password": login[1]}
                (await client.post("/login", data=form)).raise_for_status()
            yield client

    @asynccontextmanager
    async def page(self, login: tuple[str, str]) -> AsyncIterator[GradioPage]:
        async with self.client(login) as client:
            config = (await client.get("/config")).raise_for_status().json()
            yield GradioPage(client, config)


def requests_about(client: PageClient) -> list[dict[str, Any]]:
    """Every request about a session that a holder of its secret can make."""
    known = {"webrtc_id": client.webrtc_id, "secret": client.secret}
    candidate = {"candidate": "", "sdpMid": "0", "sdpMLineIndex": 0}
    return [
        {"type": "candidates", **known},
        {"type": "ice-candidate", "candidate": candidate, **known},
        {"type": "close", **known},
    ]


async def check_untouched(site: Site, page: GradioPage, client: PageClient, seen: int) -> None:
    """The session goes on: its outputs reach its own page, and no input came from elsewhere."""
    out = page.component("textbox", "out")
    site.call.set_additional_outputs(client.webrtc_id)(AdditionalOutputs("for ann"))
    await client.until(lambda: page.values[out] == "for ann")
    assert not client.ended.is_set()
    assert len(site.seen) == seen


async def test_a_stranger_reaches_nothing() -> None:
    site = Site()
    async with site.page(USERS[0]) as page, site.client() as stranger:
        client = PageClient(page)
        await client.call()
        await client.until(lambda: site.seen != [])
        unheard = PageClient(page)
        offer = await unheard.offer()
        await unheard.hang_up()
        own = {"component_id": page.component("webrtc"), "session_hash": page._session_hash}  # noqa: SLF001 - stolen
        asked: list[dict[str, Any]] = [
            *({"fn_name": "offer", "data": each} for each in (offer, *requests_about(client))),
            {"fn_name": "turn", "data": None},
        ]
        for each in asked:
            answer = await stranger.post("/gradio_api/component_server/", json={**own, **each})
            assert (answer.status_code, "hunter2" in answer.text) == (401, False), each
        for dependency in page.config["dependencies"]:
            data = [page.values.get(each) for each in dependency["inputs"]]
            body = {"data": data, "fn_index": dependency["id"], "session_hash": own["session_hash"]}
            for path in ("run/predict", "queue/join"):
                assert (await stranger.post(f"/gradio_api/{path}", json=body)).status_code == 401
        await check_untouched(site, page, client, seen=1)
        await client.hang_up()
        await site.sessions.close()


async def test_one_user_reaches_nothing_of_another() -> None:
    site = Site()
    async with site.page(USERS[0]) as page, site.page(USERS[1]) as other:
        client = PageClient(page)
        await client.call()
        await client.until(lambda: site.seen != [])
        component = other.component("webrtc")
        for each in requests_about(client):
            answer = await other.call_server(component, "offer", each)
            assert answer["meta"]["error"] == "unknown_connection", each
        other.values[component] = page.values[component]
        for event in ("tick", "state_change", "submit"):
            await other.dispatch(component, event)
        assert other.values[other.component("textbox", "out")] == "nothing"
        await check_untouched(site, page, client, seen=1)
        await client.hang_up()
        await site.sessions.close()
