"""The bit rate of outbound video: aiortc has no public way to its encoder, nor to its bounds.

Runs on the event loop, while aiortc's encoder has its own thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from aiortc.codecs import h264, vpx

from . import names, probe

if TYPE_CHECKING:
    from aiortc import RTCRtpSender

BITRATES: Final = (
    (320 * 180, 200_000),
    (480 * 270, 450_000),
    (640 * 360, 700_000),
    (960 * 540, 1_200_000),
    (1280 * 720, 2_500_000),
    (1920 * 1080, 4_000_000),
)
"""Pixels, and the bits a second that suit them in VP8: the upper end that browsers themselves use
(libwebrtc, video/config/simulcast.cc, kSimulcastFormatsVP8; the target at full HD)."""


def suitable_bitrate(width: int, height: int) -> int:
    """Returns the bits a second for frames of this size, between those of `BITRATES`."""
    pixels, bits = zip(*BITRATES, strict=True)
    return round(float(np.interp(width * height, pixels, bits)))


class VideoBitRate:
    """Sets the bit rate of one sender's encoder to the size of its frames.

    Args:
        sender: Of a video track. Its encoder is made for the first frame.
    """

    def __init__(self, sender: RTCRtpSender) -> None:
        self._sender = sender
        self._size = (0, 0)
        if probe.has(names.BIT_RATES):
            # aiortc holds every encoder below 1.5 Mbit/s for VP8 and 3 for H.264, whatever the
            # remote peer reports that it can take: too little from 720p on. For the whole process.
            vpx.MAX_BITRATE = h264.MAX_BITRATE = BITRATES[-1][1]

    def adapt(self, width: int, height: int) -> None:
        """Begins each size with the rate that suits it; later the peer may ask for less."""
        encoder = vars(self._sender).get(names.ENCODER)
        if encoder is None or not probe.has(names.BIT_RATES):
            return
        suitable = suitable_bitrate(width, height)
        if self._size != (width, height) or encoder.target_bitrate > suitable:
            encoder.target_bitrate = suitable
        self._size = (width, height)
