"""The terms of Opus in our answers, which aiortc leaves out.

Works on text; imports nothing of ours.
"""

from __future__ import annotations

import re
from typing import Final

OPUS_TERMS: Final = "minptime=10;useinbandfec=1"
"""Packets of 10 ms and longer are decoded, and the copies of lost packets in them are used (RFC
7587 section 6.1): browsers send such copies only where the answer asks for them."""

OPUS: Final = re.compile(r"^a=rtpmap:(\d+) opus/48000/2(\r?\n)", re.IGNORECASE | re.MULTILINE)


def state_opus_terms(sdp: str) -> str:
    """Returns an answer of aiortc's, which has no terms for Opus, with `OPUS_TERMS`."""
    return OPUS.sub(rf"\g<0>a=fmtp:\1 {OPUS_TERMS}\2", sdp)
