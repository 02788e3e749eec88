"""The terms of audio in our answers, which aiortc leaves out: those of Opus, and redundant audio.

Works on text; imports nothing of ours.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

OPUS_TERMS: Final = "minptime=10;useinbandfec=1"
"""Packets of 10 ms and longer are decoded, and the copies of lost packets in them are used (RFC
7587 section 6.1): browsers send such copies only where the answer asks for them."""

OPUS: Final = re.compile(r"^a=rtpmap:(\d+) opus/48000/2(\r?\n)", re.IGNORECASE | re.MULTILINE)

RED: Final = re.compile(r"^a=rtpmap:(\d+) red/48000/2\r?$", re.IGNORECASE | re.MULTILINE)
FORMATS: Final = re.compile(r"^a=fmtp:(\d+) (\d+)((?:/\2)+)\r?$", re.MULTILINE)
"""Redundant audio in one format, as RFC 2198 section 5 lists it for each block."""

MID: Final = re.compile(r"^a=mid:([^ \r\n]+)", re.MULTILINE)
MEDIA: Final = re.compile(r"^m=audio [^\r\n]+", re.MULTILINE)
FIRST_CODEC: Final = re.compile(r"^a=rtpmap:", re.MULTILINE)


class Red(NamedTuple):
    """Redundant audio (RFC 2198) in a media section.

    Attributes:
        payload_type: Of its packets.
        opus: The payload type of all blocks in them.
        formats: The same, once for each block that a packet may have, as in the offer.
    """

    payload_type: int
    opus: int
    formats: str


def read_red(offer_sdp: str) -> dict[str, Red]:
    """Returns the redundant audio that an offer has, by the names of its media sections.

    What is redundant in several formats, or none, is left out: nobody sends such a thing. Whether
    the one format is Opus, is for the answer to show.
    """
    found = {}
    for section in offer_sdp.split("\nm=")[1:]:
        mid = MID.search(section)
        formats = {each[1]: (each[2], each[2] + each[3]) for each in FORMATS.finditer(section)}
        types = [each[1] for each in RED.finditer(section) if each[1] in formats]
        if mid and types and section.startswith("audio "):
            opus, listed = formats[types[0]]
            found[mid[1]] = Red(int(types[0]), int(opus), listed)
    return found


def state_terms(sdp: str, red: Mapping[str, Red]) -> str:
    """Returns an answer of aiortc's, which has no terms for Opus, with `OPUS_TERMS`.

    Args:
        sdp: The answer.
        red: The redundant audio that is accepted, by the names of media sections. It comes last
            there: browsers send it where it precedes Opus, all the time, which a narrow uplink has
            no room for. Whoever can adapt may send it.
    """
    session, *sections = OPUS.sub(rf"\g<0>a=fmtp:\1 {OPUS_TERMS}\2", sdp).split("\nm=")
    stated = [session]
    for section in sections:
        mid = MID.search(section)
        terms = red.get(mid[1]) if mid else None
        stated.append(section if terms is None else _with_red(section, terms))
    return "\nm=".join(stated)


def _with_red(section: str, red: Red) -> str:
    """Returns a media section, without its "m=", with redundant audio behind all other codecs."""
    line_end = "\r\n" if "\r\n" in section else "\n"
    number = red.payload_type
    lines = f"a=rtpmap:{number} red/48000/2{line_end}a=fmtp:{number} {red.formats}{line_end}"
    section = MEDIA.sub(rf"\g<0> {number}", f"m={section}", count=1)
    return FIRST_CODEC.sub(rf"{lines}\g<0>", section, count=1).removeprefix("m=")
