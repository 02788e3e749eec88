"""Any JSON as a signalling request: an answer, no exception, and nothing left behind."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from support.serving import SessionServer

from gradio_webrtc import StreamHandler

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KINDS = ("offer", "ice-candidate", "candidates", "link", "close")
LINES = (
    "v=0\r\n",
    "o=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
    "a=mid:0\r\n",
    "a=sendrecv\r\n",
    "a=rtpmap:111 opus/48000/2\r\n",
    "a=setup:actpass\r\n",
    "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n",
    "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n",
    "a=fingerprint:sha-256 " + ":".join(["00"] * 32) + "\r\n",
)
SDP = st.lists(st.sampled_from(LINES) | st.text(max_size=20), max_size=14).map("".join)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(KINDS) | JSON,
        "sdp": SDP.map(lambda rest: "v=0\r\n" + rest) | JSON,
        "webrtc_id": st.sampled_from(["client", "", "__webrtc_value__", "\ud800"]) | JSON,
        "secret": JSON,
        "audio": st.fixed_dictionaries(
            {"codecs": st.lists(st.sampled_from(["opus", "pcm16"]) | JSON)}, optional={"rate": JSON}
        )
        | JSON,
        "video": st.just(["jpeg"]) | JSON,
        "candidate": JSON
        | st.fixed_dictionaries({"candidate": st.text() | st.sampled_from(LINES), "sdpMid": JSON}),
    },
)


class Silent(StreamHandler):
    """Emits nothing."""

    made = 0

    def receive(self, _frame: object) -> None:
        """Listens to nobody."""

    def emit(self) -> None:
        """Emits nothing."""

    def copy(self) -> Silent:
        Silent.made += 1
        return Silent()


async def ask(body: object) -> tuple[dict[str, Any], int, int]:
    """The answer to one request, and what is left of it: sessions, and tasks besides this one."""
    manager = SessionServer()
    manager.serve(Silent)
    answer = await manager.handle_request(body)
    # An answered offer is a session, which may go on.
    if answer.get("status") == "failed":
        left = len(manager), len(asyncio.all_tasks()) - 1
    else:
        left = 0, 0
    await manager.close()
    return answer, *left


@given(JSON | REQUESTS)
@example({"type": "offer", "webrtc_id": "client", "sdp": "v=0\r\n" + "".join(LINES[1:6])})
@example({"type": "close", "webrtc_id": "\ud800", "secret": "\ud800"})
@example({"type": [], "webrtc_id": {}, "secret": b""})
def test_every_request_has_an_answer_and_leaves_nothing(body: object) -> None:
    answer, sessions, tasks = asyncio.run(ask(body))
    assert answer.get("status") == "failed" or answer["type"] in ("answer", "link")
    assert (sessions, tasks) == (0, 0)
    if answer.get("status") == "failed":
        assert isinstance(answer["meta"]["message"], str)
        assert isinstance(answer["meta"]["error"], str)
        # What goes to the page is JSON, which half a surrogate pair cannot become.
        answer["meta"]["message"].encode()


@given(REQUESTS.filter(lambda body: body.get("type") not in ("offer", "link")))
def test_only_an_offer_makes_a_handler(body: object) -> None:
    before = Silent.made
    asyncio.run(ask(body))
    assert Silent.made == before
