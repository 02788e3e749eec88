"""The reverse proxies of the tests do what they say, in front of a server of any requests."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from support.page import NO_TLS, WAIT_S
from support.reverse_proxy import reverse_proxy
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.network


def make_app() -> FastAPI:
    app = FastAPI()

    @app.get("/headers")
    async def headers(request: Request) -> dict[str, str]:
        return dict(request.headers)

    @app.get("/for-ever")
    async def for_ever() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"first"
            await asyncio.Event().wait()

        return StreamingResponse(parts(), headers={"X-Accel-Buffering": "no"})

    @app.websocket("/echo")
    async def echo(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_bytes(await ws.receive_bytes())

    return app


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """Serves an app of this process; yields its address."""
    # What still streams at the end is cut.
    config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=0)
    server = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        task = asyncio.get_running_loop().create_task(server.serve([listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await task


@asynccontextmanager
async def behind(folder: Path, **options: Any) -> AsyncIterator[str]:
    async with serving(make_app()) as url:
        with reverse_proxy(url, folder, **options) as proxy:
            yield proxy


async def test_a_websocket_gets_through_a_proxy_that_forwards_them(tmp_path: Path) -> None:
    async with (
        behind(tmp_path, websocket=True) as url,
        connect(f"{url}/echo".replace("http", "ws")) as ws,
    ):
        await ws.send(b"there")
        assert await ws.recv() == b"there"


async def test_a_websocket_is_refused_by_a_proxy_that_forwards_none(tmp_path: Path) -> None:
    async with behind(tmp_path, websocket=False) as url:
        with pytest.raises(InvalidStatus, match="404"):
            await connect(f"{url}/echo".replace("http", "ws"))


@pytest.mark.parametrize("websocket", [True, False])
async def test_an_answer_that_asks_so_is_not_held_up(tmp_path: Path, *, websocket: bool) -> None:
    async with (
        behind(tmp_path, websocket=websocket) as url,
        httpx.AsyncClient(timeout=WAIT_S, verify=NO_TLS) as client,
        client.stream("GET", f"{url}/for-ever") as answer,
    ):
        async for part in answer.aiter_bytes():
            assert part == b"first"
            break


async def test_a_server_under_a_path_gets_its_address(tmp_path: Path) -> None:
    async with (
        behind(tmp_path, websocket=False, prefix="/talk") as url,
        httpx.AsyncClient(timeout=WAIT_S, verify=NO_TLS) as client,
    ):
        outside = await client.get(url.replace("/talk", "/headers"))
        headers = (await client.get(f"{url}/headers")).json()
    assert outside.status_code == 404
    assert url == f"http://{headers['host']}/talk"
    assert headers["x-forwarded-host"] == headers["host"]
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-prefix"] == "/talk/"
