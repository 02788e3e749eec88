"""Offers with lines that are missing, repeated, exchanged, cut or absurd: an answer or a reason."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from support.offers import BROWSERS, make_sdp

from gradio_webrtc.errors import SignalingError
from gradio_webrtc.transport import PeerTransport, TrackTerms, read_offer

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERS = ["0", "-1", "9" * 20, "256", "72", "", "65536", "4294967296", "1.5", "127"]
WORDS = ["video", "audio", "application", "x", "\0", "é", "sendonly", "inactive", "passive"]
WORDS += ["rtx", "opus", "VP8", "H264", "apt=96", "a" * 1000]
MARKS = [" ", ":", "/", "=", ";", ",", "-", "+"]
WORDS_OF_OTHERS = ("Error", "NoneType", "literal", "unpack")
TERMS = TrackTerms("audio-video")

PLACES = st.integers(0, 1 << 16)
"""Of a line, or of a part of one: modulo their number."""


def replace(pattern: str) -> Callable[[str, int, str], str]:
    def change(line: str, place: int, word: str) -> str:
        if not (found := list(re.finditer(pattern, line))):
            return line
        part = found[place % len(found)]
        return line[: part.start()] + word + line[part.end() :]

    return change


CHANGES = st.one_of(
    st.tuples(st.just("drop"), PLACES, PLACES),
    st.tuples(st.just("repeat"), PLACES, PLACES),
    st.tuples(st.just("exchange"), PLACES, PLACES),
    st.tuples(st.just("cut"), PLACES, PLACES),
    st.tuples(st.just("value"), PLACES, PLACES),
    st.tuples(st.just(r"\d+"), PLACES, PLACES, st.sampled_from(NUMBERS)),
    st.tuples(st.just(r"[A-Za-z]+"), PLACES, PLACES, st.sampled_from(WORDS)),
    st.tuples(st.just(""), PLACES, PLACES, st.sampled_from(MARKS) | st.text(max_size=3)),
)


def mutate(sdp: str, changes: list[tuple[str, int, int] | tuple[str, int, int, str]]) -> str:
    lines = sdp.split("\r\n")
    for how, first, second, *words in changes:
        at, other = first % len(lines), second % len(lines)
        match how:
            case "drop":
                del lines[at]
                lines = lines or [""]
            case "repeat":
                lines.insert(other, lines[at])
            case "exchange":
                lines[at], lines[other] = lines[other], lines[at]
            case "cut":
                lines[at] = lines[at][: second % (len(lines[at]) + 1)]
            case "value":
                lines[at] = f"{lines[at].partition(':')[0]}:{lines[other].partition(':')[2]}"
            case pattern:
                lines[at] = replace(pattern)(lines[at], second, words[0])
    return "\r\n".join(lines)


async def ask(sdp: str) -> str:
    """The reason why an offer is refused; nothing for one that is answered."""
    peer = PeerTransport([], TERMS)
    try:
        offer = read_offer({"type": "offer", "sdp": sdp}, TERMS)
        assert (await peer.answer(offer))["type"] == "answer"
    except SignalingError as error:
        return str(error)
    finally:
        await peer.close()
    return ""


@pytest.mark.parametrize("browser", BROWSERS)
async def test_what_browsers_offer_is_answered(browser: str) -> None:
    assert await ask(BROWSERS[browser]) == ""


@given(
    st.sampled_from([*BROWSERS.values(), asyncio.run(make_sdp("audio", "audio"))]),
    st.lists(CHANGES, min_size=1, max_size=4),
)
def test_a_mutated_offer_gets_an_answer_or_a_reason_that_is_ours(
    sdp: str, changes: list[tuple[str, int, int] | tuple[str, int, int, str]]
) -> None:
    reason = asyncio.run(ask(mutate(sdp, changes)))
    event("refused" if reason else "answered")
    assert not [word for word in WORDS_OF_OTHERS if word in reason]
