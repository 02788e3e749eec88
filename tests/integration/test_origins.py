"""Other web pages in a visitor's browser, and names that were led to this machine."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import gradio as gr
import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from gradio_webrtc import ReplyOnPause, WebRTC
from gradio_webrtc._session import origins
from gradio_webrtc.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.network

JSON = "application/json"
SECRET = {"iceServers": [{"urls": "turn:127.0.0.1", "username": "u", "credential": "hunter2"}]}


class Server:
    """A program on a port of loopback, and what a browser or a program posts to it."""

    def __init__(self, client: httpx.AsyncClient, component: int) -> None:
        self.client, self._component = client, component

    @property
    def host(self) -> str:
        return self.client.base_url.netloc.decode()

    async def post(self, function: str, **headers: str) -> Any:
        named = {"Content-Type": JSON} | {k.replace("_", "-"): v for k, v in headers.items()}
        body = b'{"data": {"type": "close"}, "fn_name": "%s", "component_id": %d, ' % (
            function.encode(),
            self._component,
        )
        answer = await self.client.post(
            "/app/gradio_api/component_server/",
            content=body + b'"session_hash": "a"}',
            headers=named,
        )
        return answer.json()

    async def lets_in(self, **headers: str) -> bool:
        """True if both server functions answer a request with these headers, False if neither."""
        answer = await self.post("offer", **headers)
        is_in = bool(answer.get("meta", {}).get("error") == "unknown_connection")
        assert is_in == ("hunter2" in str(await self.post("turn", **headers)))
        return is_in


@asynccontextmanager
async def serve(*, auth: Any = None, **arguments: Any) -> AsyncIterator[Server]:
    with gr.Blocks() as blocks:
        call = WebRTC(modality="audio", rtc_configuration=SECRET, **arguments)
        call.stream(ReplyOnPause(print), [call], [call])
    app = gr.mount_gradio_app(FastAPI(), blocks, path="/app", auth=auth)
    config = uvicorn.Config(app, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        task = asyncio.get_running_loop().create_task(server.serve([listening]))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield Server(client, call._id)  # noqa: SLF001 - Gradio has no public name
        server.should_exit = True
        await task


@pytest.mark.parametrize("auth", [None, ("ada", "pass")])
async def test_other_pages_are_refused(auth: Any, caplog: pytest.LogCaptureFixture) -> None:
    origins._warned_s.clear()  # noqa: SLF001 - the minute of another test
    async with serve(auth=auth) as server:
        if auth is not None:
            assert "Not authenticated" in str(await server.post("offer"))
            form = {"username": "ada", "password": "pass"}
            (await server.client.post("/app/login", data=form)).raise_for_status()
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": f"http://{server.host}.evil.example"},
            {"Origin": f"http://{server.host}@evil.example"},
            {"Origin": "http://127.0.0.1:1"},
            {"Origin": "\x1b[2J"},
            {"Origin": f"http://{server.host}", "Sec_Fetch_Site": "cross-site"},
            {"Origin": f"http://{server.host}", "Sec_Fetch_Site": "same-site"},
            {"Origin": "http://evil.example", "X_Forwarded_Host": "evil.example"},
            {"Origin": "http://evil.example:7860", "Host": "evil.example:7860"},
            {"Host": "evil.example"},
            {"Host": "127.0.0.1.evil.example"},
            {"Host": "localhost.evil.example", "Sec_Fetch_Site": "same-origin"},
            {"Content_Type": "text/plain"},
            {"Content_Type": "application/jsonp"},
        ):
            assert not await server.lets_in(**headers), headers
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert len([each for each in warnings if "allowed_origins" in each]) == 1
    assert all(each.isprintable() for each in warnings)


async def test_pages_of_the_server_and_programs_are_let_in() -> None:
    async with serve() as server:
        port = server.host.rpartition(":")[2]
        for headers in (
            {},
            {"Content_Type": "application/json; charset=utf-8"},
            {"Origin": f"http://{server.host}"},
            {"Origin": f"http://{server.host}", "Sec_Fetch_Site": "same-origin"},
            {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"},
            # Gradio's rendering proxy, as the browser of another machine reaches it.
            {"Host": "192.168.1.5:7860", "Origin": "http://192.168.1.5:7860"},
            {"Host": socket.gethostname()},
            # Tunnels, share links, and proxies that end TLS and keep the Host.
            {"Host": "x.gradio.live", "Origin": "https://x.gradio.live"},
            # Proxies that do not keep it.
            {"Origin": "https://example.com", "Sec_Fetch_Site": "same-origin"},
        ):
            assert await server.lets_in(**headers), headers


async def test_listed_pages_and_trusted_proxies_are_let_in() -> None:
    async with serve(allowed_origins=["https://example.com/", "http://other.example:81"]) as server:
        assert await server.lets_in(Origin="https://example.com", Sec_Fetch_Site="cross-site")
        assert await server.lets_in(Origin="http://other.example:81")
        assert not await server.lets_in(Origin="http://other.example")
    site = origins.Site(trusted_proxies=("127.0.0.0/8",))
    for forwarded, is_refused in (("inside.example", False), ("else.example", True)):
        request = httpx.Request(
            "POST",
            "http://x",
            headers={
                "Content-Type": JSON,
                "Origin": "http://inside.example",
                "Host": "app:7860",
                "X-Forwarded-Host": forwarded,
            },
        )
        request.scope = {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2)}  # type: ignore[attr-defined]
        if is_refused:
            with pytest.raises(RequestRefused):
                origins.check_request(request, site)
        else:
            origins.check_request(request, site)


@pytest.mark.parametrize("wrong", ["https://example.com", ["example.com"], [7], ["https://x.y/z"]])
async def test_what_is_no_list_of_origins_is_refused(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="allowed_origins must be"):
        WebRTC(allowed_origins=wrong)
