"""Offers with lines that are missing, repeated, exchanged, cut or absurd: an answer or a reason."""

from __future__ import annotations

import random
import re

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from gradio_webrtc.errors import SignalingError
from gradio_webrtc.transport import PeerTransport, TrackTerms

NUMBERS = ["0", "-1", "9" * 20, "256", "72", ""]
WORDS = ["video", "audio", "application", "x", "\0", "é"]
WORDS_OF_OTHERS = ("Error", "NoneType", "literal", "unpack")
TERMS = TrackTerms("audio-video")


async def offer_of(*kinds: str) -> str:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.createDataChannel("text")
    for kind in kinds:
        pc.addTransceiver(kind)
    await pc.setLocalDescription(await pc.createOffer())
    sdp = pc.localDescription.sdp
    await pc.close()
    return sdp


def mutate(sdp: str, choice: random.Random) -> str:
    lines = sdp.split("\r\n")
    for _ in range(choice.randint(1, 3)):
        at, other = choice.randrange(len(lines)), choice.randrange(len(lines))
        line = lines[at]
        match choice.randrange(6):
            case 0:
                del lines[at]
            case 1:
                lines.insert(other, line)
            case 2:
                lines[at], lines[other] = lines[other], line
            case 3:
                lines[at] = re.sub(r"\d+", choice.choice(NUMBERS), line, count=1)
            case 4:
                lines[at] = line[: choice.randrange(len(line) + 1)]
            case _:
                lines[at] = re.sub(r"[a-z]+$", choice.choice(WORDS), line)
    return "\r\n".join(lines)


@pytest.mark.parametrize("kinds", [["audio"], ["audio", "video"], ["audio", "audio"]])
async def test_a_mutated_offer_gets_an_answer_or_a_reason_that_is_ours(
    kinds: list[str],
) -> None:
    sdp, choice = await offer_of(*kinds), random.Random(7)  # noqa: S311  # the same each time
    reasons = list[str]()
    for _ in range(25):
        peer = PeerTransport([], TERMS)
        body = {"type": "offer", "sdp": mutate(sdp, choice)}
        try:
            assert (await peer.answer(body))["type"] == "answer"
        except SignalingError as error:
            reasons.append(str(error))
        finally:
            await peer.close()
    assert reasons
    assert not [each for each in reasons if any(word in each for word in WORDS_OF_OTHERS)]
