"""The routes of links with carriers that break at awkward moments, without a server."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import TYPE_CHECKING, Any

import pytest

from gradio_webrtc._server.access_log import WithoutPosts
from gradio_webrtc._server.link import LinkRoutes, LinkStream
from gradio_webrtc._session.origins import Site
from gradio_webrtc._transport.link import LinkTerms, LinkTransport, transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Leaving:
    """A WebSocket whose client has left: what is written fails, and what is read is the end.

    Args:
        ticks: Turns of the event loop until the end is read.
    """

    def __init__(self, ticks: int) -> None:
        headers = [(b"host", b"localhost")]
        self.scope = {"type": "websocket", "subprotocols": ["link", "a.b.0"], "headers": headers}
        self.sent: list[str] = []
        self._coming = [{"type": "websocket.connect"}]
        self._ticks = ticks

    async def receive(self) -> dict[str, Any]:
        if self._coming:
            return self._coming.pop()
        for _ in range(self._ticks):
            await asyncio.sleep(0)
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message["type"])
        if message["type"] != "websocket.accept":
            raise OSError("the client has left")


@pytest.fixture
async def link() -> AsyncIterator[LinkTransport]:
    made = LinkTransport(LinkTerms("opus"))
    yield made
    made.hang_up()
    await made.close()


def routes_of(link: LinkTransport) -> LinkRoutes:
    class Finder:
        def find_link(self, _webrtc_id: object, _secret: object) -> LinkTransport:
            return link

    routes = LinkRoutes()
    finder: Any = Finder()
    routes.serve(finder, Site())
    # Held weakly: by this function alone otherwise.
    routes.finder = finder  # type: ignore[attr-defined]
    return routes


@pytest.mark.parametrize("ticks", range(6))
async def test_a_client_that_leaves_while_it_is_written_to_is_no_error(
    link: LinkTransport, ticks: int, caplog: pytest.LogCaptureFixture
) -> None:
    websocket = Leaving(ticks)
    await routes_of(link).websocket(websocket.scope, websocket.receive, websocket.send)
    gc.collect()
    await asyncio.sleep(0)
    assert [each.message for each in caplog.records if each.levelname == "ERROR"] == []
    assert websocket.sent[:2] == ["websocket.accept", "websocket.send"]
    assert not link.is_over, "it may come back"


async def test_a_response_that_cannot_begin_leaves_no_carrier_behind(
    link: LinkTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "RESUME_S", 0.0)

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send(_message: object) -> None:
        raise OSError("the client has left")

    await LinkStream(link, link.open(0))({}, receive, send)
    assert "did not come back" in await link.wait_closed()


async def test_a_fault_of_the_server_is_its_own(link: LinkTransport) -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send(_message: object) -> None:
        raise ValueError("no header of ours")

    with pytest.raises(ValueError, match="no header of ours"):
        await LinkStream(link, link.open(0))({}, receive, send)


def test_uvicorns_access_log_has_all_but_the_posts_that_were_taken() -> None:
    routes_of_nobody, again = LinkRoutes(), LinkRoutes()
    del routes_of_nobody, again
    log = logging.getLogger("uvicorn.access")
    assert [type(each) for each in log.filters] == [WithoutPosts]

    def is_logged(method: str, path: str, status: int) -> bool:
        args = ("127.0.0.1:1", method, path, "1.1", status)
        record = log.makeRecord(
            log.name, logging.INFO, "", 0, '%s - "%s %s HTTP/%s" %d', args, None
        )
        return bool(log.filter(record))

    assert not is_logged("POST", "/webrtc/link", 204)
    assert not is_logged("POST", "/talk/gradio_api/gradio_webrtc/link?a=b", 204)
    assert is_logged("POST", "/webrtc/link", 404)
    assert is_logged("GET", "/webrtc/link", 200)
    assert is_logged("POST", "/webrtc/offer", 200)
    assert log.filter(log.makeRecord(log.name, logging.INFO, "", 0, "anything", (), None))
