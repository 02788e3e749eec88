"""Checks of an offer, before any of it costs more than a look at its lines.

Functions without state, called on the event loop. Imports no connection: nothing is built before
the checks have passed.
"""

from __future__ import annotations

import logging
import re
import reprlib
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from aiortc import RTCIceCandidate, RTCSessionDescription
from aiortc.sdp import MediaDescription, SessionDescription

from gradio_webrtc._config import DEFAULT_CONFIG
from gradio_webrtc.errors import InvalidCandidate, InvalidOffer, UnsupportedTrack

from .candidates import parse_candidate, take_candidates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiortc import RTCDtlsFingerprint

    from gradio_webrtc._config import SessionConfig

logger = logging.getLogger(__name__)

MAX_SDP_BYTES: Final = 32 * 1024
MAX_SDP_LINES: Final = 2048
"""Five and eleven times what Chromium sends for audio and video. Parsing takes that much longer."""

MAX_MEDIA_SECTIONS: Final = 8

MAX_LINES: Final = {
    "rtpmap:": 256,
    "fmtp:": 256,
    "rtcp-fb:": 256,
    "rtcp-fb:*": 16,
    "ssrc:": 128,
    "extmap:": 128,
}
"""Attributes of which aiortc compares each with all others of its section, or with all codecs.
A browser has some 40 codecs with 60 kinds of feedback, none of which is for all of them, and four
lines of each source."""

PAYLOAD_TYPE: Final = re.compile(r"^a=rtpmap:([^ \r\n]*)", re.MULTILINE)
CODEC: Final = re.compile(r"a=rtpmap:([0-9]+) ([^/\s]+)/")
"""The payload type of a codec, and its name (RFC 8866 section 6.6)."""

PAYLOAD_TYPES: Final = frozenset(map(str, range(128)))
"""Seven bits (RFC 3550 section 5.1), in the one way to write each."""

DIRECTION: Final = re.compile(r"^a=(sendrecv|sendonly|recvonly|inactive)\r?$", re.MULTILINE)

UNREADABLE: Final = "cannot read this offer: expected SDP (RFC 8866)"
NO_MEDIA: Final = "a data channel alone"
SECTIONS: Final = ("audio", "video", "application")
SENDING: Final = ("sendrecv", "sendonly")
RECEIVING: Final = ("sendrecv", "recvonly")

MAX_CANDIDATE_CHARS: Final = 1024
"""Of a trickled candidate, and of the section that it names. A browser's has some 150."""

USER_FRAGMENT: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")
PASSWORD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}")
"""Of ICE (RFC 8839 section 5.4)."""


FINGERPRINT: Final = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})*")
FINGERPRINT_BYTES: Final = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""The hashes of certificates that can be compared, and their lengths (RFC 8122 section 5)."""


class Offer(NamedTuple):
    """An offer that can be answered, as far as its text shows.

    Attributes:
        description: All but the candidates.
        candidates: Those, each with the index of its media section.
        client_receives: True if the client takes media of a kind that the session has.
        has_channel: True if there is a section for data channels.
        user_fragments: The names of the client's ICE sessions, one as a rule.
    """

    description: RTCSessionDescription
    candidates: Sequence[RTCIceCandidate]
    client_receives: bool
    has_channel: bool
    user_fragments: frozenset[str]


def read_offer(body: Mapping[str, object], config: SessionConfig = DEFAULT_CONFIG) -> Offer:
    """Returns the offer in a request.

    Raises:
        InvalidOffer: It is no SDP offer, larger than a session needs, or has no media for us.
        UnsupportedTrack: It sends a kind of track that is not accepted.
    """
    sdp = body.get("sdp")
    if body.get("type") != "offer" or not isinstance(sdp, str):
        raise InvalidOffer(
            f"expected type 'offer' with an SDP text, got type {reprlib.repr(body.get('type'))} "
            f"with {type(sdp).__name__}"
        )
    _check_size(sdp)
    rest, lines = take_candidates(sdp, config.limits.candidates)
    rest = _with_directions(rest)
    _check_codecs(rest)
    rest = _with_preferences(rest, config.video.codecs)
    try:
        description = SessionDescription.parse(rest)
    except Exception as error:  # which one, depends on the text
        logger.debug("an offer cannot be read: %s", explain(error))
        raise InvalidOffer(UNREADABLE) from error
    media = description.media
    _check_sections(media)
    _check_names(description)
    _check_media(media, config)
    candidates = []
    for section, line in lines:
        try:
            candidate = parse_candidate(line)
        except InvalidCandidate as error:
            raise InvalidOffer(str(error)) from error
        candidate.sdpMLineIndex = max(0, section)
        candidates.append(candidate)
    return Offer(
        RTCSessionDescription(sdp=rest, type="offer"),
        candidates,
        client_receives=any(
            each.kind in config.track_kinds and each.direction in RECEIVING for each in media
        ),
        has_channel=any(each.kind == "application" for each in media),
        user_fragments=frozenset(str(each.ice.usernameFragment) for each in media if each.ice),
    )


def explain(error: Exception) -> str:
    """Returns an exception of aiortc for the log, with a stranger's words in it escaped."""
    return f"{type(error).__name__}: {reprlib.repr(str(error))}"


def _check_size(sdp: str) -> None:
    if len(sdp) > MAX_SDP_BYTES:
        raise InvalidOffer(f"expected at most {MAX_SDP_BYTES} bytes of SDP, got {len(sdp)}")
    if (count := sdp.count("\n")) > MAX_SDP_LINES:
        raise InvalidOffer(f"expected at most {MAX_SDP_LINES} lines of SDP, got {count}")
    if (count := sdp.count("\nm=")) > MAX_MEDIA_SECTIONS:
        raise InvalidOffer(f"expected at most {MAX_MEDIA_SECTIONS} media sections, got {count}")
    for name, most in MAX_LINES.items():
        if (count := sdp.count(f"\na={name}")) > most:
            raise InvalidOffer(f"expected at most {most} lines with a={name} and got {count}")
    if not sdp.startswith("v=0") or "\nm=" not in sdp:
        raise InvalidOffer("expected SDP with at least one media section (RFC 8866)")
    try:
        sdp.encode()
    except UnicodeEncodeError as error:
        # Half a surrogate pair comes through JSON, and our answer could not go back.
        raise InvalidOffer("expected SDP, got text that is not Unicode") from error


def _with_directions(sdp: str) -> str:
    """Returns the SDP with a direction in each section, which aiortc insists on.

    Where there is none, it is the session's, or both directions (RFC 8866 section 6.7).
    """
    session, *sections = sdp.split("\nm=")
    for_all = DIRECTION.search(session)
    line = f"\na={for_all[1] if for_all else 'sendrecv'}\r\n"
    full = [each if DIRECTION.search(each) else each.replace("\n", line, 1) for each in sections]
    return "\nm=".join([session, *full])


def _with_preferences(sdp: str, codecs: Sequence[str]) -> str:
    """Returns the SDP with the preferred codecs of video first: an answer keeps the order."""
    if not codecs:
        return sdp
    session, *sections = sdp.split("\nm=")
    ranked = [_with_first(each, codecs) if each.startswith("video ") else each for each in sections]
    return "\nm=".join([session, *ranked])


def _with_first(section: str, codecs: Sequence[str]) -> str:
    """Sorts the payload types of a section's first line, and its a=rtpmap: aiortc reads these."""
    media, *lines = section.split("\n")
    ranks = {name: rank for rank, name in enumerate(codecs)}
    found = {match[1]: match[2].upper() for match in map(CODEC.match, lines) if match}

    def rank(payload_type: str) -> int:
        return ranks.get(found.get(payload_type, ""), len(ranks))

    # Sorting is stable: those of one codec keep the client's order, and so do all others.
    kind_port_profile, payload_types = media.split()[:3], media.split()[3:]
    media = " ".join([*kind_port_profile, *sorted(payload_types, key=rank)]) + "\r"
    places = [place for place, line in enumerate(lines) if CODEC.match(line)]
    in_order = sorted((lines[place] for place in places), key=lambda line: rank(_type_of(line)))
    for place, line in zip(places, in_order, strict=True):
        lines[place] = line
    return "\n".join([media, *lines])


def _type_of(line: str) -> str:
    found = CODEC.match(line)
    return found[1] if found else ""


def _check_codecs(sdp: str) -> None:
    """Refuses codecs with one payload type: the attributes of one are kept for each of them."""
    for section in sdp.split("\nm=")[1:]:
        for number, count in Counter(PAYLOAD_TYPE.findall(section)).items():
            if number not in PAYLOAD_TYPES:
                raise InvalidOffer(UNREADABLE)
            if count > 1:
                raise InvalidOffer(
                    f"expected different ones, got {count} codecs with the payload type {number}"
                )


def _check_sections(media: Sequence[MediaDescription]) -> None:
    """Refuses sections at which aiortc would fail instead of answering with a reason."""
    for kind in (each.kind for each in media):
        if kind not in SECTIONS:
            raise InvalidOffer(
                f"expected media sections of audio, video and application; got {kind[:20]}"
            )
    if (count := sum(each.kind == "application" for each in media)) > 1:
        raise InvalidOffer(f"expected at most one data channel section, got {count}")
    for each in media:
        if each.dtls is None:
            raise InvalidOffer(f"the {each.kind} section has no a=setup (RFC 8842)")
        if not each.dtls.fingerprints:
            raise InvalidOffer(f"the {each.kind} section has no a=fingerprint (RFC 8122)")
        if not _can_be_compared(each.dtls.fingerprints):
            raise InvalidOffer(
                f"expected an a=fingerprint of {', '.join(FINGERPRINT_BYTES)} in the {each.kind} "
                "section (RFC 8122)"
            )
        if each.kind != "application" and not each.rtcp_mux:
            raise InvalidOffer(f"the {each.kind} section has no a=rtcp-mux (RFC 8834 section 4.5)")
        ice = each.ice
        if ice is None or not (
            USER_FRAGMENT.fullmatch(ice.usernameFragment or "")
            and PASSWORD.fullmatch(ice.password or "")
        ):
            raise InvalidOffer(
                f"the {each.kind} section has no a=ice-ufrag and a=ice-pwd (RFC 8839 section 5.4)"
            )


def _can_be_compared(fingerprints: Sequence[RTCDtlsFingerprint]) -> bool:
    """True if a certificate may have these: aiortc needs one, and each of the hashes it has."""
    sizes = [
        (FINGERPRINT_BYTES[each.algorithm.lower()], each.value)
        for each in fingerprints
        if each.algorithm.lower() in FINGERPRINT_BYTES
    ]
    return bool(sizes) and all(
        len(value) == 3 * size - 1 and FINGERPRINT.fullmatch(value) for size, value in sizes
    )


def _check_names(description: SessionDescription) -> None:
    """Refuses sections with one name, and bundles of sections that do not exist.

    aiortc gives a section the transport of the first in its bundle. Without that one, the sections
    of a bundle have no transport, and can neither be answered nor closed.
    """
    names = [each.rtp.muxId for each in description.media]
    if len(names) > 1 and not all(names):
        raise InvalidOffer("expected an a=mid in each media section (RFC 9143 section 7.1)")
    for mid, count in Counter(names).items():
        if count > 1:
            raise InvalidOffer(
                f"expected different ones, got two media sections with the a=mid {mid!r}"
            )
    bundled = [
        str(item)
        for group in description.group
        if group.semantic == "BUNDLE"
        for item in group.items
    ]
    for missing in set(bundled).difference(map(str, names)):
        raise InvalidOffer(f"expected a=group:BUNDLE of media sections, got {missing[:20]!r}")


def _check_media(media: Sequence[MediaDescription], config: SessionConfig) -> None:
    """Refuses an offer from which no session of this configuration can result."""
    offered = [each for each in media if each.kind != "application"]
    for each in offered:
        is_expected = each.kind in config.track_kinds or config.allows_other_tracks
        if not is_expected and each.direction in SENDING:
            raise UnsupportedTrack(each.kind, config.modality)
    directions = SENDING if config.client_sends else RECEIVING
    verb = "sends" if config.client_sends else "receives"
    if not any(
        each.kind in config.track_kinds and each.direction in directions for each in offered
    ):
        raise InvalidOffer(
            f"expected an offer in which the client {verb} "
            f"{' or '.join(config.track_kinds)}; got "
            + (", ".join(f"{each.kind} {each.direction}" for each in offered) or NO_MEDIA)
        )


def read_candidate(candidate: object) -> RTCIceCandidate | None:
    """Returns a trickled candidate; ``None`` at the end of candidates (RFC 8838 section 8.2).

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
    if len(line) > MAX_CANDIDATE_CHARS:
        raise InvalidCandidate(
            f"expected at most {MAX_CANDIDATE_CHARS} characters of a candidate, got {len(line)}"
        )
    parsed = parse_candidate(line)
    parsed.sdpMid = candidate.get("sdpMid")
    parsed.sdpMLineIndex = candidate.get("sdpMLineIndex")
    if not isinstance(parsed.sdpMid, str | None) or not isinstance(
        parsed.sdpMLineIndex, int | None
    ):
        raise InvalidCandidate("expected sdpMid as text and sdpMLineIndex as a number")
    if len(parsed.sdpMid or "") > MAX_CANDIDATE_CHARS:
        raise InvalidCandidate("expected the sdpMid of a media section")
    if parsed.sdpMid is None and parsed.sdpMLineIndex is None:
        raise InvalidCandidate("expected sdpMid or sdpMLineIndex with the candidate")
    return parsed
