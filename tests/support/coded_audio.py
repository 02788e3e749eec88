"""Audio whose every 20 ms show which they are, for measurements of loss and delay.

A frame has two tones, one out of 23 and one out of 25: by the Chinese remainder theorem they number
575 frames, 11.5 s. All are in the band of a telephone. Through libopus 99.8 % of the frames are
found again at 32 kbit/s, 96 % at 12 kbit/s.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

RATE_HZ: Final = 48_000
FRAME_SAMPLES: Final = 960
FRAME_S: Final = 0.02

COUNTS: Final = (23, 25)
"""The number of tones of each group, without a common divisor."""

LOWEST_HZ: Final = (400.0, 2100.0)
SPACING_HZ: Final = 70.0

PERIOD: Final = 23 * 25
LEVEL: Final = 6_000

WINDOW_S: Final = 0.015
HOP_S: Final = 0.005
LOUD_RMS: Final = 300.0
"""Below that a window is silent: 26 dB below the tones, far above the noise of a codec."""

CLEAR: Final = 1.2
"""A tone is found where it is so many times as strong as any other of its group. A clean one is 2.2
times as strong: a window of 15 ms sees 0.46 of it at the place of its neighbours."""

LEAST_WINDOWS: Final = 2
"""Windows alike from which on a frame counts as found: one alone may be a mixture of two frames."""


class Windows(NamedTuple):
    """What was found every `HOP_S`.

    Attributes:
        numbers: Of the frame, ``(n,)``, 0 to `PERIOD`; -1 where none is certain.
        is_loud: False where there is silence, ``(n,)``.
    """

    numbers: NDArray[np.int64]
    is_loud: NDArray[np.bool_]


def frames(count: int, first: int = 0) -> NDArray[np.int16]:
    """Frames with consecutive numbers, int16 ``(960 * count,)`` at 48 kHz."""
    numbers = first + np.arange(count)
    wave = np.zeros(count * FRAME_SAMPLES)
    for tones, lowest_hz in zip(COUNTS, LOWEST_HZ, strict=True):
        hz = np.repeat(lowest_hz + SPACING_HZ * (numbers % tones), FRAME_SAMPLES)
        # Without a jump of the phase, which would sound like a click.
        wave += np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ)
    return (LEVEL * wave).astype(np.int16)


def read(samples: NDArray[np.int16]) -> Windows:
    """Reads audio of 48 kHz, int16 ``(n,)``."""
    size, hop = round(WINDOW_S * RATE_HZ), round(HOP_S * RATE_HZ)
    if samples.size < size:
        return Windows(np.zeros(0, np.int64), np.zeros(0, np.bool_))
    line = samples.astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(line, size)[::hop]
    is_loud = np.sqrt((windows**2).mean(axis=1)) > LOUD_RMS
    code = np.zeros(len(windows), np.int64)
    is_clear = is_loud.copy()
    for nth, tones in enumerate(COUNTS):
        strengths = np.abs(windows @ _bank(nth))
        found = strengths.argmax(axis=1)
        best = strengths[np.arange(len(windows)), found]
        strengths[np.arange(len(windows)), found] = 0.0
        is_clear &= best > CLEAR * strengths.max(axis=1)
        # Each group contributes what is 1 for itself and 0 for the others.
        others = PERIOD // tones
        code += found * others * pow(others, -1, tones)
    return Windows(np.where(is_clear, code % PERIOD, -1), is_loud)


def _bank(nth: int) -> NDArray[np.complex64]:
    """A group's tones, windowed, ``(samples, tones)``."""
    size = round(WINDOW_S * RATE_HZ)
    hz = LOWEST_HZ[nth] + SPACING_HZ * np.arange(COUNTS[nth])
    angles = 2j * np.pi * np.arange(size)[:, None] * hz / RATE_HZ
    bank: NDArray[np.complex128] = np.hanning(size)[:, None] * np.exp(angles)
    return bank.astype(np.complex64)


def found(numbers: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The frames that were found, each with its first window: a number of `LEAST_WINDOWS` alike."""
    begins = np.flatnonzero(np.diff(numbers, prepend=-2))
    ends = np.append(begins[1:], numbers.size)
    return [
        (int(numbers[begin]), int(begin))
        for begin, end in zip(begins, ends, strict=True)
        if numbers[begin] >= 0 and end - begin >= LEAST_WINDOWS
    ]


def encode(samples: NDArray[np.int16], *, fec: bool = False) -> list[bytes]:
    """Packets of Opus, 20 ms each.

    Args:
        samples: int16 ``(n,)`` at 48 kHz.
        fec: Carry a coarse copy of each frame in the next packet (RFC 6716 section 2.1.7), in the
            hybrid mode that browsers speak in. It predicts tones from frame to frame: after a loss
            a fifth of those that follow cannot be read. Without it, in CELT mode, all can.
    """
    rate, application, losses = (32_000, "voip", "10") if fec else (64_000, "audio", "0")
    codec: Any = av.CodecContext.create("libopus", "w")
    codec.format, codec.layout, codec.sample_rate = "s16", "mono", RATE_HZ
    codec.bit_rate = rate
    codec.options = {"application": application, "fec": str(int(fec)), "packet_loss": losses}
    packets: list[bytes] = []
    for begin in range(0, samples.size - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        block = samples[begin : begin + FRAME_SAMPLES].reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, begin, Fraction(1, RATE_HZ)
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets


class Decoder:
    """Decodes packets of one stream in the order they come, and conceals those that are missing."""

    def __init__(self) -> None:
        self._codec: Any = av.CodecContext.create("libopus", "r")
        self._codec.format, self._codec.layout, self._codec.sample_rate = "s16", "mono", RATE_HZ

    def decode(self, packet: bytes) -> NDArray[np.int16]:
        """The audio of a packet, int16 ``(n,)``."""
        return _samples(self._codec.decode(av.Packet(packet)))

    def conceal(self, like: bytes) -> NDArray[np.int16]:
        """What libopus has for a missing packet that was as long as this one."""
        # The first byte has its length in time; nothing follows it (RFC 6716 section 3.1).
        return self.decode(bytes((like[0] & 0xFC,)))


def _samples(decoded: Iterable[Any]) -> NDArray[np.int16]:
    parts = [frame.to_ndarray().reshape(-1).astype(np.int16, copy=False) for frame in decoded]
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)
