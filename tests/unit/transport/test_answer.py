"""The terms of audio in our answers: those of Opus, and redundant audio."""

from __future__ import annotations

import pytest
from support.offers import BROWSERS

from gradio_webrtc._transport.webrtc.answer import Red, read_red, state_terms

RED = Red(63, 111, "111/111")

SECTION = "m=audio 9 X 63 111\r\na=mid:a\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n"


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_every_payload_type_of_opus_gets_its_terms(end: str) -> None:
    lines = ["m=audio 9 X 96 0", "a=rtpmap:96 opus/48000/2", "a=rtpmap:0 PCMU/8000", "a=mid:0"]
    lines += ["m=audio 9 X 111", "a=rtpmap:111 OPUS/48000/2", "a=mid:1", ""]
    stated = state_terms(end.join(lines), {}).split(end)
    terms = [line for line in stated if line not in lines]
    assert terms == [f"a=fmtp:{k} minptime=10;useinbandfec=1" for k in (96, 111)]
    assert stated.index(terms[0]) == 2
    assert stated.index(terms[1]) == 7


def test_an_answer_without_opus_stays_as_it_is() -> None:
    sdp = "m=audio 9 X 0\r\na=rtpmap:0 PCMU/8000\r\n"
    assert state_terms(sdp, {}) == sdp


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_redundant_audio_comes_last_in_its_section_alone(end: str) -> None:
    lines = ["v=0", "m=audio 9 X 111 0", "a=mid:0", "a=rtpmap:111 opus/48000/2"]
    lines += ["m=audio 9 X 111", "a=rtpmap:111 opus/48000/2", "a=mid:1", ""]
    stated = state_terms(end.join(lines), {"1": RED}).split(end)
    assert stated[1] == lines[1]
    assert stated[5:-1] == [
        "m=audio 9 X 111 63",
        "a=rtpmap:63 red/48000/2",
        "a=fmtp:63 111/111",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=mid:1",
    ]


@pytest.mark.parametrize(
    ("browser", "found"),
    [
        ("chromium-audio", {"0": RED}),
        # Its video has redundancy of another kind.
        ("chromium-audio-video", {"0": RED}),
        ("firefox-audio", {}),
        ("firefox-audio-video", {}),
    ],
)
def test_what_browsers_offer_is_found(browser: str, found: dict[str, Red]) -> None:
    assert read_red(BROWSERS[browser]) == found


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("", "", Red(63, 111, "111/111")),
        ("111/111", "111/111/111", Red(63, 111, "111/111/111")),
        ("111/111", "111", None),
        ("111/111", "111/0", None),
        ("111/111", "111/1111", None),
        ("a=fmtp:63", "a=fmtp:64", None),
        ("red/48000/2", "red/8000", None),
        ("a=mid:a\r\n", "", None),
        ("m=audio", "m=video", None),
    ],
)
def test_redundant_audio_in_one_format_is_found(old: str, new: str, found: Red | None) -> None:
    red = read_red("v=0\r\n" + SECTION.replace(old, new))
    assert red == ({} if found is None else {"a": found})
