"""Fragments of SDP with trickled candidates (RFC 8840), as WHIP and WHEP send them.

Functions without state, called on the event loop. Imports no connection.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gradio_webrtc.errors import InvalidCandidate

from .offer import MAX_CANDIDATE_CHARS, MAX_SDP_BYTES, read_candidate

MAX_CANDIDATES: Final = 128
"""In one fragment, more than any client has: each is read before any of them is left out."""

USER_FRAGMENT: Final = "a=ice-ufrag:"
SECTION: Final = "m="
MID: Final = "a=mid:"
CANDIDATE: Final = "a=candidate:"


class Fragment(NamedTuple):
    """What a fragment has for us.

    Attributes:
        user_fragments: The names of the ICE sessions that it is about, one as a rule.
        candidates: Each as a W3C ``RTCIceCandidateInit``.
    """

    user_fragments: frozenset[str]
    candidates: tuple[dict[str, object], ...]


def read_fragment(text: str) -> Fragment:
    """Reads a fragment; lines that are not needed are passed over, unread.

    Raises:
        InvalidCandidate: It is too large, has nothing about candidates, or one of them cannot be
            read: then none of them counts.
    """
    if len(text) > MAX_SDP_BYTES:
        raise InvalidCandidate(f"expected at most {MAX_SDP_BYTES} bytes, got {len(text)}")
    if (count := text.count(CANDIDATE)) > MAX_CANDIDATES:
        raise InvalidCandidate(f"expected at most {MAX_CANDIDATES} candidates, got {count}")
    mid: str | None = None
    names, candidates = set[str](), list[dict[str, object]]()
    is_of_candidates = False
    for line in text.replace("\r\n", "\n").split("\n"):
        is_of_candidates |= line.startswith(("a=ice-", CANDIDATE, "a=end-of-candidates"))
        if line.startswith(SECTION):
            mid = None
        elif line.startswith(MID):
            mid = line.removeprefix(MID)[:MAX_CANDIDATE_CHARS]
        elif line.startswith(USER_FRAGMENT):
            names.add(line.removeprefix(USER_FRAGMENT))
        elif line.startswith(CANDIDATE):
            # Without a name it is the first section: all others are bundled with it.
            found: dict[str, object] = {
                "candidate": line.removeprefix("a="),
                "sdpMid": mid,
                "sdpMLineIndex": 0,
            }
            read_candidate(found)
            candidates.append(found)
    if not is_of_candidates:
        raise InvalidCandidate("expected an SDP fragment with candidates (RFC 8840 section 9)")
    return Fragment(frozenset(names), tuple(candidates))
