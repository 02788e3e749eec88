"""The plan by which outbound video is sent: its bit rate, its size, and its frames a second.

A session's plan follows what the client reports (RTCP) and how much time the encoder takes. It is
changed on the event loop, with the time as an argument; the thread of the encoder reads it. Imports
neither aiortc nor sessions.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gradio_webrtc._video_terms import LEAST_BITS

if TYPE_CHECKING:
    from gradio_webrtc._video_terms import BitRateRange

BITRATES: Final = (
    (320 * 180, 30_000, 200_000),
    (480 * 270, 150_000, 450_000),
    (640 * 360, 150_000, 700_000),
    (960 * 540, 350_000, 1_200_000),
    (1280 * 720, 600_000, 2_500_000),
    (1920 * 1080, 800_000, 4_000_000),
)
"""Pixels, and the least and the most bits a second that suit them in VP8: those that browsers use
(libwebrtc, video/config/simulcast.cc, kSimulcastFormatsVP8; the target at full HD)."""


MAX_SIZES: Final = 256
"""Sizes whose bit rates are kept: both are needed for every frame."""


class Rung(NamedTuple):
    """One step of the ladder.

    Attributes:
        scale: Of each side of a frame.
        fps: Frames a second at most.
        share: Of the bits that its size needs at the full rate. Frames that are further apart
            differ more, so that half of them need more than half of the bits.
    """

    scale: float
    fps: float
    share: float


LADDER: Final = (
    Rung(1, math.inf, 1.0),
    Rung(1, 20, 0.8),
    Rung(3 / 4, 20, 0.8),
    Rung(3 / 4, 15, 0.65),
    Rung(1 / 2, 15, 0.65),
    Rung(1 / 2, 10, 0.5),
    Rung(1 / 4, 10, 0.5),
    Rung(1 / 4, 5, 0.3),
)
"""From all frames at their own size down to a slide show. Rate and size take turns, so that neither
goes without the other; each rung costs the encoder 0.56 to 0.75 times as much as the one before."""

MIN_PIXELS: Final = 160 * 120
"""Frames are not scaled below that: it costs next to nothing, and shows next to nothing."""

WINDOW_S: Final = 1.0
"""The time over which the load of the encoder is averaged, in seconds."""

OVERUSED: Final = 0.85
UNDERUSED: Final = 0.42
"""Shares of the time that frames may take to be encoded and sent, between which nothing changes:
those of browsers (libwebrtc, video/adaptation/overuse_frame_detector.h). The rung above takes less
than twice the time, so a climb does not lead straight back."""

OVERUSED_WINDOWS: Final = 2
"""In a row, before a step down: a stutter of the machine is over by then."""

PATIENCE_S: Final = (10.0, 160.0)
"""The time without load before a step up, in seconds. It doubles, up to the second, whenever the
load returns within `FAILED_S` of a step up."""

FAILED_S: Final = 20.0

HEADROOM: Final = 1.5
"""Times the bits that the rung above needs, before bits lead up to it."""

RISE_S: Final = 5.0
"""The time for which there have to be so many, in seconds."""

UNFILLED: Final = 0.8
"""Of its bit rate: an encoder that uses less has all the bits that the content needs."""

CONTENT_S: Final = 10.0
"""The time for which such a measurement counts, in seconds: the content may change."""

FALL: Final = 0.85
RISE: Final = 1.25
"""The encoder gets a new bit rate outside of these multiples of its present one. libvpx, as FFmpeg
has it, takes none while it runs: a new one costs an encoder, and a key frame."""

FALL_INTERVAL_S: Final = 1.0
"""Between two new bit rates, at least; `RISE_S` where it rises. A fall below half is not waited
with."""

HEAVY_LOSS: Final = 0.1
LIGHT_LOSS: Final = 0.02
LOSS_GROWTH: Final = 1.08
"""Of packets: above the first the bit rate falls by half of the loss, below the second it grows by
this factor with each report (draft-ietf-rmcat-gcc-02 section 6)."""


@functools.lru_cache(MAX_SIZES)
def suitable_bitrate(width: int, height: int) -> int:
    """Returns the most bits a second that suit frames of this size, between `BITRATES`."""
    pixels, _, most = zip(*BITRATES, strict=True)
    return round(float(np.interp(width * height, pixels, most)))


@functools.lru_cache(MAX_SIZES)
def least_bitrate(width: int, height: int) -> int:
    """Returns the bits a second below which frames of this size are not worth sending."""
    pixels, least, _ = zip(*BITRATES, strict=True)
    return round(float(np.interp(width * height, pixels, least)))


class VideoPlan:
    """Decides on the bit rate, the size and the rate of one track's frames.

    Call `begin` and `end` around each frame. The lower of two rungs counts: one by the load of the
    encoder, one by the bits that the client reports it can receive.

    Args:
        given: The bit rates that the program has set; ``None`` for those that suit the frames.

    Attributes:
        bits: The bit rate for the encoder, in bits a second.
        rung: The rung that counts, an index of `LADDER`.
    """

    def __init__(self, given: BitRateRange | None = None) -> None:
        self.bits = LEAST_BITS if given is None else given.start
        self.rung = 0
        self._given = given
        self._size = (0, 0)
        self._estimate: int | None = None
        self._loss_limit: float | None = None
        self._changed_s = -math.inf
        self._load = LoadLadder()
        self._by_bits = 0
        self._plenty_since_s: float | None = None
        self._content = ContentBits()

    @property
    def most_fps(self) -> float:
        """Frames a second that are sent at most; infinite for all there are."""
        return LADDER[self.rung].fps

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """Returns the size to encode frames of this size in; even sides where it is another."""
        scale = LADDER[self.rung].scale
        scale = max(scale, min(1.0, math.sqrt(MIN_PIXELS / (width * height))))
        if scale >= 1:
            return width, height
        return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)

    def begin(self, width: int, height: int, now_s: float) -> None:
        """Takes note of a frame that the encoder gets, and settles how it is sent."""
        self._load.begin(now_s)
        is_new = self._size != (width, height)
        self._size = (width, height)
        self._climb_by_bits(now_s)
        before, self.rung = self.rung, max(self._load.rung, self._by_bits)
        self._settle(now_s, is_free=is_new or before != self.rung)

    def end(self, now_s: float) -> None:
        """Takes note that the frame was encoded and sent, or that there will be no more of it."""
        self._load.end(now_s)
        self._content.end(self.bits, now_s)

    def note_encoded(self, bits: int) -> None:
        """Takes the size of an encoded frame; from the thread that encodes."""
        self._content.bits += bits

    def estimate(self, bits: int) -> None:
        """Takes the bits a second that the client reports it can receive."""
        self._estimate = bits

    def note_loss(self, share: float) -> None:
        """Takes the share of packets that the client reports as lost, 0 to 1."""
        if share > HEAVY_LOSS:
            # Loss alone makes video coarse, not small: other traffic may be the cause of it.
            floor = min(self.bits, least_bitrate(*self._size))
            bits = self.bits if self._loss_limit is None else min(self.bits, self._loss_limit)
            self._loss_limit = max(floor, bits * (1 - share / 2))
        elif share < LIGHT_LOSS and self._loss_limit is not None:
            self._loss_limit *= LOSS_GROWTH
            if self._loss_limit >= self._most():
                self._loss_limit = None

    def _most(self) -> int:
        return suitable_bitrate(*self._size) if self._given is None else self._given.most

    def _available(self) -> int:
        """The bits a second that may be sent, whatever the encoder has a use for."""
        limits: list[float] = [self._most()]
        if self._estimate is not None:
            limits.append(self._estimate)
        elif self._given is not None:
            limits.append(self._given.start)
        if self._loss_limit is not None:
            limits.append(self._loss_limit)
        least = LEAST_BITS if self._given is None else self._given.least
        return round(max(least, min(limits)))

    def _climb_by_bits(self, now_s: float) -> None:
        bits = self._available()
        # A client's estimate is made of what comes: of little content it is low, and no shortage.
        content = self._content.needed(now_s)
        while self._by_bits + 1 < len(LADDER) and bits < min(content, self._needed(self._by_bits)):
            self._by_bits += 1
            self._plenty_since_s = None
        if self._by_bits == 0 or bits < HEADROOM * self._needed(self._by_bits - 1):
            self._plenty_since_s = None
        elif self._plenty_since_s is None:
            self._plenty_since_s = now_s
        elif now_s - self._plenty_since_s >= RISE_S:
            self._by_bits -= 1
            self._plenty_since_s = None

    def _needed(self, rung: int) -> float:
        width, height = (side * LADDER[rung].scale for side in self._size)
        return least_bitrate(round(width), round(height)) * LADDER[rung].share

    def _settle(self, now_s: float, *, is_free: bool) -> None:
        """Sets the encoder's bit rate; ``is_free`` if it has to be a new encoder in any case."""
        needed = self._available()
        if self._given is None:
            needed = min(needed, suitable_bitrate(*self.fit(*self._size)))
        since_s = now_s - self._changed_s
        falls = needed < FALL * self.bits and (since_s >= FALL_INTERVAL_S or needed < self.bits / 2)
        rises = needed > RISE * self.bits and since_s >= RISE_S
        if is_free or falls or rises:
            self.bits = needed
            self._changed_s = now_s


class ContentBits:
    """Measures the bits a second that the content needs, while the encoder has more of them.

    Attributes:
        bits: The size of all that was encoded since the last measurement.
    """

    def __init__(self) -> None:
        self.bits = 0
        self._window_s: float | None = None
        self._measured = (math.inf, -math.inf)

    def end(self, most: int, now_s: float) -> None:
        """A frame was encoded, at this bit rate."""
        if self._window_s is None:
            self._window_s, self.bits = now_s, 0
            return
        length_s = now_s - self._window_s
        if length_s < WINDOW_S:
            return
        rate = self.bits / length_s
        self._window_s, self.bits = now_s, 0
        if rate < UNFILLED * most:
            self._measured = (rate, now_s)

    def needed(self, now_s: float) -> float:
        """Returns the bits a second of the last measurement; infinite without one that counts."""
        rate, at_s = self._measured
        return rate if now_s - at_s < CONTENT_S else math.inf


class LoadLadder:
    """Finds the rung that an encoder keeps up with, by the share of time that frames take it.

    Waiting for the processor counts as well: what matters is whether frames are done in time.

    Attributes:
        rung: An index of `LADDER`.
    """

    def __init__(self) -> None:
        self.rung = 0
        self._began_s: float | None = None
        self._window_s: float | None = None
        self._busy_s = 0.0
        self._overused = 0
        self._calm_since_s: float | None = None
        self._climbed_s = -math.inf
        self._patience_s = PATIENCE_S[0]

    def begin(self, now_s: float) -> None:
        """A frame is passed on."""
        self._began_s = now_s
        if self._window_s is None:
            self._window_s = now_s

    def end(self, now_s: float) -> None:
        """It was sent."""
        if self._began_s is None or self._window_s is None:
            return
        self._busy_s += now_s - self._began_s
        self._began_s = None
        length_s = now_s - self._window_s
        if length_s >= WINDOW_S:
            self._judge(self._busy_s / length_s, now_s)
            self._window_s, self._busy_s = now_s, 0.0

    def _judge(self, usage: float, now_s: float) -> None:
        self._overused = self._overused + 1 if usage > OVERUSED else 0
        if usage >= UNDERUSED:
            self._calm_since_s = None
        elif self._calm_since_s is None:
            self._calm_since_s = now_s
        if self._overused >= OVERUSED_WINDOWS:
            self._step_down(now_s)
        elif self._calm_since_s is not None and now_s - self._calm_since_s >= self._patience_s:
            self._step_up(now_s)

    def _step_down(self, now_s: float) -> None:
        self._overused = 0
        if self.rung + 1 == len(LADDER):
            return
        self.rung += 1
        least_s, most_s = PATIENCE_S
        failed = now_s - self._climbed_s < FAILED_S
        self._patience_s = min(2 * self._patience_s, most_s) if failed else least_s

    def _step_up(self, now_s: float) -> None:
        self._calm_since_s = None
        if self.rung:
            self.rung -= 1
            self._climbed_s = now_s
