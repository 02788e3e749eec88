"""Offers with lines that are missing, repeated, exchanged, cut or absurd: an answer or a reason."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from support.hostile import counted
from support.offers import BROWSERS, make_sdp

from gradio_webrtc._config import SessionConfig
from gradio_webrtc._transport import PeerTransport, read_offer
from gradio_webrtc._transport.webrtc.aiortc_internals import names, probe
from gradio_webrtc._video_terms import VideoTerms
from gradio_webrtc.errors import SignalingError

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERS = ["0", "-1", "9" * 20, "256", "72", "", "65536", "4294967296", "1.5", "127"]
WORDS = ["video", "audio", "application", "x", "\0", "é", "sendonly", "inactive", "passive"]
WORDS += ["rtx", "opus", "VP8", "H264", "apt=96", "a" * 1000]
MARKS = [" ", ":", "/", "=", ";", ",", "-", "+"]
WORDS_OF_OTHERS = ("Error", "NoneType", "literal", "unpack")
CONFIG = SessionConfig(
    modality="audio-video", allows_other_tracks=True, video=VideoTerms(codecs=("H264",))
)

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
    peer = PeerTransport([], CONFIG)
    try:
        offer = read_offer({"type": "offer", "sdp": sdp}, CONFIG)
        assert (await peer.answer(offer))["type"] == "answer"
    except SignalingError as error:
        return str(error)
    finally:
        await peer.close()
    return ""


@pytest.mark.parametrize("browser", BROWSERS)
async def test_what_browsers_offer_is_answered(browser: str) -> None:
    assert await ask(BROWSERS[browser]) == ""


async def codecs_answered(sdp: str, config: SessionConfig = CONFIG) -> list[str]:
    """The payload types of audio in the answer, in their order."""
    peer = PeerTransport([], config)
    try:
        answer = await peer.answer(read_offer({"type": "offer", "sdp": sdp}, config))
    finally:
        await peer.close()
    (line,) = re.findall(r"^m=audio (.*?)\r?$", str(answer["sdp"]), re.MULTILINE)
    return list(line.split()[2:])


@pytest.mark.parametrize(
    ("browser", "codecs"),
    [
        ("chromium-audio", ["111", "9", "0", "8", "63"]),
        ("chromium-audio-video", ["111", "9", "0", "8", "63"]),
        ("firefox-audio", ["109", "9", "0", "8"]),
        ("firefox-audio-video", ["109", "9", "0", "8"]),
    ],
)
async def test_redundant_audio_is_accepted_and_comes_last(browser: str, codecs: list[str]) -> None:
    assert await codecs_answered(BROWSERS[browser]) == codecs


async def test_redundant_audio_is_sent_to_a_client_that_only_receives() -> None:
    sdp = BROWSERS["chromium-audio"].replace("a=sendrecv", "a=recvonly", 1)
    codecs = await codecs_answered(sdp, SessionConfig(mode="receive", modality="audio"))
    assert codecs == ["111", "9", "0", "8", "63"]


@pytest.mark.parametrize("aspect", ["DECODING", "RECEIVER"])
async def test_redundant_audio_is_not_accepted_where_aiortc_would_drop_it(
    aspect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = getattr(names, aspect)
    monkeypatch.setattr(probe, "has", lambda each: each is not missing)
    assert await codecs_answered(BROWSERS["chromium-audio"]) == ["111", "9", "0", "8"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a=fmtp:63 111/111", "a=fmtp:63 9/9"),
        ("a=fmtp:63 111/111", "a=fmtp:63 9/111"),
        ("a=fmtp:63 111/111\r\n", ""),
    ],
)
async def test_redundant_audio_that_is_no_opus_is_not_accepted(old: str, new: str) -> None:
    sdp = BROWSERS["chromium-audio"].replace(old, new, 1)
    assert await codecs_answered(sdp) == ["111", "9", "0", "8"]


@pytest.mark.parametrize(
    "wrong",
    [
        r"a=fingerprint:sha-256 zz",
        r"a=fingerprint:sha-256 AB:CD",
        r"a=fingerprint:md5 \1",
        r"a=fingerprint:sha-512 \1",
    ],
)
async def test_a_certificate_that_cannot_be_compared_is_refused(wrong: str) -> None:
    """Its client could never connect, and would hold a place until that is given up."""
    sdp = BROWSERS["chromium-audio"]
    changed = re.sub(r"a=fingerprint:\S+ ([0-9A-F:]+)", wrong, sdp)
    assert changed != sdp
    assert "expected an a=fingerprint" in await ask(changed)
    with_a_right_one = re.sub(r"(a=fingerprint:[^\r\n]*)", r"a=fingerprint:md5 00\r\n\1", sdp)
    assert await ask(with_a_right_one) == ""


STEPS_PER_BYTE = 12
"""Of aiortc's and ours, for an offer. A browser's takes some four or five."""

AT_OFFERS = ("aiortc/sdp.py", "aiortc/rtcpeerconnection.py", "/offer.py", "/candidates.py")


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        ("a=rtpmap:%d x/8000\r\na=fmtp:%d a=b\r\n", 40),
        ("a=rtpmap:%d x/8000\r\na=fmtp:%d a=b\r\n", 1300),
        ("a=rtpmap:%d VP8/90000\r\na=rtcp-fb:* %d\r\n", 12),
        ("a=rtpmap:%d VP8/90000\r\na=rtcp-fb:* %d\r\n", 40),
        ("a=rtpmap:%d VP8/90000\r\na=rtcp-fb:%d nack\r\na=rtcp-fb:%d x\r\n", 40),
        ("a=rtpmap:9 x/1\r\na=rtcp-fb:9 x%d\r\n", 190),
        ("a=rtpmap:09 x/1\r\na=rtcp-fb:9 x%d\r\n", 190),
        ("a=rtpmap:%d x/1\r\na=fmtp:13 a\r\na=fmtp:13 a\r\na=fmtp:13 a\r\n", 45),
        ("a=fmtp:13 a\r\n", 4000),
        ("a=rtcp-fb:* x%d\r\n", 2500),
        ("a=rtcp-fb:126 %d\r\n", 2500),
        ("a=rtcp-fb:126 %d\r\n", 200),
        ("a=ssrc:%d cname:x\r\n", 120),
        ("a=ssrc:%d cname:x\r\n", 2300),
        ("a=ssrc-group:FID %d 1\r\n", 2100),
        ("a=extmap:%d urn:x\r\n", 2400),
        ("a=fingerprint:sha-256 %d\r\n", 1900),
        ("a=x%d\r\n", 5800),
    ],
)
async def test_the_work_at_an_offer_grows_with_its_length_alone(lines: str, count: int) -> None:
    sdp = BROWSERS["chromium-audio"]
    # From the first number on that is none of its codecs' own.
    more = "".join(lines.replace("%d", str(14 + number)) for number in range(count))
    offer = sdp.replace("a=rtcp-mux\r\n", f"a=rtcp-mux\r\n{more}", 1)
    with counted(limit=STEPS_PER_BYTE * len(offer), files=AT_OFFERS) as steps:
        await ask(offer)
    assert steps.count < steps.limit, "it was given up"


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
