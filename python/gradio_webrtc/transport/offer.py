"""What an offer must look like before anything of it is parsed in earnest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiortc import RTCIceCandidate, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

from gradio_webrtc.errors import InvalidCandidate, InvalidOffer

MAX_SDP_BYTES: Final = 64 * 1024
"""Twenty times what a browser sends for audio and video. Parsing takes time in proportion."""

MAX_CANDIDATES: Final = 32
MAX_MEDIA_SECTIONS: Final = 8


def read_offer(body: Mapping[str, object]) -> RTCSessionDescription:
    """The offer in a request.

    Raises:
        InvalidOffer: It is no SDP offer, or larger than a call needs.
    """
    sdp = body.get("sdp")
    if body.get("type") != "offer" or not isinstance(sdp, str):
        raise InvalidOffer(
            f"expected type 'offer' with an SDP text, got type {body.get('type')!r} "
            f"with {type(sdp).__name__}"
        )
    if len(sdp) > MAX_SDP_BYTES:
        raise InvalidOffer(f"expected at most {MAX_SDP_BYTES} bytes of SDP, got {len(sdp)}")
    for mark, most in (("a=candidate:", MAX_CANDIDATES), ("m=", MAX_MEDIA_SECTIONS)):
        if (count := sdp.count(f"\n{mark}")) > most:
            raise InvalidOffer(f"expected at most {most} lines of '{mark}', got {count}")
    if not sdp.startswith("v=0") or "\nm=" not in sdp:
        raise InvalidOffer("expected SDP with at least one media section (RFC 8866)")
    return RTCSessionDescription(sdp=sdp, type="offer")


def read_candidate(candidate: object) -> RTCIceCandidate | None:
    """A trickled candidate; ``None`` at the end of candidates (RFC 8838 section 8.2).

    Raises:
        InvalidCandidate: It is no candidate line with its media section.
    """
    if candidate is None:
        return None
    if not isinstance(candidate, Mapping):
        raise InvalidCandidate(f"expected an object, got {type(candidate).__name__}")
    line = candidate.get("candidate")
    if not isinstance(line, str):
        raise InvalidCandidate(f"expected a candidate line, got {type(line).__name__}")
    if not line:
        return None
    try:
        parsed = candidate_from_sdp(line.removeprefix("candidate:"))
    except (ValueError, AssertionError, IndexError) as error:
        raise InvalidCandidate(f"cannot read the candidate {line[:100]!r}") from error
    parsed.sdpMid = candidate.get("sdpMid")
    parsed.sdpMLineIndex = candidate.get("sdpMLineIndex")
    if parsed.sdpMid is None and parsed.sdpMLineIndex is None:
        raise InvalidCandidate("expected sdpMid or sdpMLineIndex with the candidate")
    return parsed
