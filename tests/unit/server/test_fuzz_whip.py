"""Any request to the routes of WHIP: a status of HTTP, no fault of the server, and nothing left."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI
from hypothesis import example, given
from hypothesis import strategies as st

from gradio_webrtc import ReplyOnPause
from gradio_webrtc._server.bearer import BearerToken
from gradio_webrtc._server.bounded import BoundedRoute
from gradio_webrtc._server.whip import WHIP, WhipRoutes, WhipSettings
from gradio_webrtc._session.manager import SessionManager
from gradio_webrtc._session.origins import Site
from gradio_webrtc._session.signaling import Signaling

KINDS = ("application/sdp", "application/trickle-ice-sdpfrag", "application/json", "")
LINES = (
    "v=0",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "a=mid:0",
    "a=sendonly",
    "a=ice-ufrag:abcd",
    "a=ice-pwd:abcdefghijklmnopqrstuvwx",
    "a=candidate:1 1 udp 1 127.0.0.1 9 typ host",
    "a=end-of-candidates",
)
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40)
REQUESTS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["POST", "PATCH", "DELETE", "GET", "OPTIONS", "PUT", "HEAD"]),
        "url": st.sampled_from(["/whip", "/whip/key", "/whip/%ff", "/whip/%00%2f"]),
        "content": st.binary(max_size=80)
        | st.lists(st.sampled_from(LINES) | st.text(max_size=20), max_size=12).map(
            lambda lines: "\r\n".join(lines).encode()
        ),
        "headers": st.fixed_dictionaries(
            {"content-type": st.sampled_from(KINDS) | HEADER},
            optional={"authorization": HEADER, "if-match": HEADER, "origin": HEADER},
        ),
    }
)


async def ask(request: dict[str, Any], token: str | None) -> tuple[int, int]:
    """The status of the answer, and the sessions and tasks that are left."""
    sessions = SessionManager()
    sessions.serve(ReplyOnPause(lambda audio: audio).copy)
    router = APIRouter(route_class=BoundedRoute)
    settings = WhipSettings(BearerToken(token))
    WhipRoutes(WHIP, Signaling(sessions), Site(), settings).add_to(router)
    app = FastAPI()
    app.include_router(router)
    headers = {name: value.encode("latin-1") for name, value in request["headers"].items()}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        reply = await http.request(**{**request, "headers": headers})
    left = len(sessions) + len(asyncio.all_tasks()) - 1
    return reply.status_code, left


@given(REQUESTS, st.sampled_from([None, "a-token-that-is-long-enough"]))
@example({"method": "PATCH", "url": "/whip/key", "content": b"", "headers": {}}, None)
def test_every_request_has_a_status_of_its_own(request: dict[str, Any], token: str | None) -> None:
    status, left = asyncio.run(ask(request, token))
    assert status < 500
    assert left == 0
