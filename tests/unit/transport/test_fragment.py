"""Fragments of SDP with candidates: read as RFC 8840 has them, and refused in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_webrtc._transport import read_fragment
from gradio_webrtc._transport.webrtc.fragment import MAX_CANDIDATES
from gradio_webrtc.errors import InvalidCandidate

HOST = "candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1"
ACTIVE = "candidate:2 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active"
OF_A_SECTION = f"""a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=mid:0
a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
a={HOST}
a={ACTIVE}
a=end-of-candidates
"""
OF_A_SESSION = f"a=ice-ufrag:EsAw\na=ice-pwd:x\nm=audio 9 RTP/AVP 0\na=mid:audio0\na={HOST}\n"
OF_THE_END = "a=ice-ufrag:EsAw\na=ice-pwd:x\na=end-of-candidates\n"


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_names_and_candidates_are_read(ending: str) -> None:
    fragment = read_fragment(OF_A_SECTION.replace("\n", ending))
    assert fragment.user_fragments == {"EsAw"}
    assert fragment.candidates == (
        {"candidate": HOST, "sdpMid": "0", "sdpMLineIndex": 0},
        {"candidate": ACTIVE, "sdpMid": "0", "sdpMLineIndex": 0},
    )


def test_names_may_stand_before_the_sections() -> None:
    fragment = read_fragment(OF_A_SESSION)
    assert fragment.user_fragments == {"EsAw"}
    assert [each["sdpMid"] for each in fragment.candidates] == ["audio0"]


def test_a_candidate_without_a_section_is_of_the_first() -> None:
    (candidate,) = read_fragment(f"a={HOST}\n").candidates
    assert (candidate["sdpMid"], candidate["sdpMLineIndex"]) == (None, 0)


def test_the_end_of_candidates_is_a_fragment() -> None:
    assert read_fragment(OF_THE_END).candidates == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "RFC 8840"),
        ("nonsense", "RFC 8840"),
        ("v=0\nm=audio 9 RTP/AVP 0\n", "RFC 8840"),
        ("a=candidate:1\n", "cannot read"),
        (f"{OF_A_SECTION}a=candidate:x y z\n", "cannot read"),
        (f"a={HOST}\n" * (MAX_CANDIDATES + 1), "at most 128 candidates, got 129"),
        (OF_THE_END + "a=x\n" * 10_000, "bytes"),
    ],
)
def test_anything_else_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidCandidate, match=reason):
        read_fragment(text)


LINES = st.sampled_from([*OF_A_SECTION.split("\n"), "a=candidate:", "a=ice-", "m=", "a=mid:"])


@given(st.text() | st.lists(LINES | st.text(), max_size=20).map("\n".join))
def test_whatever_comes_is_read_or_refused(text: str) -> None:
    try:
        fragment = read_fragment(text)
    except InvalidCandidate:
        return
    assert len(fragment.candidates) <= MAX_CANDIDATES
