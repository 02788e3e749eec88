"""The terms of Opus in our answers."""

from __future__ import annotations

import pytest

from gradio_webrtc._transport.webrtc.answer import state_opus_terms


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_every_payload_type_of_opus_gets_its_terms(end: str) -> None:
    lines = ["m=audio 9 X 96 0", "a=rtpmap:96 opus/48000/2", "a=rtpmap:0 PCMU/8000", "a=mid:0"]
    lines += ["m=audio 9 X 111", "a=rtpmap:111 OPUS/48000/2", "a=mid:1", ""]
    stated = state_opus_terms(end.join(lines)).split(end)
    terms = [line for line in stated if line not in lines]
    assert terms == [f"a=fmtp:{k} minptime=10;useinbandfec=1" for k in (96, 111)]
    assert stated.index(terms[0]) == 2
    assert stated.index(terms[1]) == 7


def test_an_answer_without_opus_stays_as_it_is() -> None:
    sdp = "m=audio 9 X 0\r\na=rtpmap:0 PCMU/8000\r\n"
    assert state_opus_terms(sdp) == sdp
