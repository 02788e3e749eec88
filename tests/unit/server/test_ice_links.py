"""STUN and TURN servers as Link headers, and nothing that a header cannot carry."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_webrtc._server.ice_links import links_of

TURN = {"urls": "turn:t.example?transport=udp", "username": "ada", "credential": "secret"}


def test_each_address_is_a_link() -> None:
    servers = [{"urls": ["stun:a.example", "stun:b.example"]}, TURN]
    turn = '<turn:t.example?transport=udp>; rel="ice-server"; username="ada"; credential="secret"'
    assert links_of({"iceServers": servers}) == [
        '<stun:a.example>; rel="ice-server"',
        '<stun:b.example>; rel="ice-server"',
        f'{turn}; credential-type="password"',
    ]


def test_quotes_are_escaped() -> None:
    (link,) = links_of({"iceServers": [TURN | {"credential": 'a"b\\c'}]})
    assert 'credential="a\\"b\\\\c"' in link


@pytest.mark.parametrize(
    "configuration",
    [
        None,
        [],
        {},
        {"iceServers": None},
        {"iceServers": [None, 1, {}, {"urls": None}, {"urls": [1]}]},
        {"iceServers": [{"urls": "http://a.example"}, {"urls": "stun:a>; rel=x"}]},
        {"iceServers": [TURN | {"username": "a\r\nSet-Cookie: x"}]},
        {"iceServers": [TURN | {"credential": 5}]},
    ],
)
def test_what_no_header_can_carry_is_left_out(configuration: Any) -> None:
    assert links_of(configuration) == []


TEXTS = st.text() | st.sampled_from(["turn:a", "stun:b", "turns:c>"])


@given(st.fixed_dictionaries({"urls": TEXTS, "username": st.text(), "credential": st.text()}))
def test_no_text_leaves_its_header(server: dict[str, str]) -> None:
    for link in links_of({"iceServers": [server]}):
        assert link.isascii()
        assert not set("\r\n\0") & set(link)
