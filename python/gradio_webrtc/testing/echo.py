"""The way back from a client's speaker to its microphone. Reads no clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradio_webrtc._transport.pacing import SESSION_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_DELAY_MS: Final = 20.0
"""The shortest delay, in milliseconds: the block of the microphone that is on its way then."""

MAX_DELAY_MS: Final = 5000.0

MAX_REVERBERATION_S: Final = 5.0
"""The longest reverberation, in seconds: a cathedral's."""


@dataclass(frozen=True, kw_only=True)
class Echo:
    """A client without echo cancellation: its microphone receives what its speaker plays.

    The room is an ideal one: a direct path, and noise that decays exponentially behind it. The same
    seed gives the same room on every machine.

    Attributes:
        gain_db: The level of what the microphone receives, above that of what was sent, in dB.
        delay_ms: The time until its beginning, in milliseconds, 20 to 5,000: the client's jitter
            buffer, the speaker, the air and the microphone.
        reverberation_s: The time in which the room becomes 60 dB quieter (RT60), in seconds; 0 for
            no room, and 5 at most.
        direct_db: The level of the direct path above that of the room, in decibels.
        seed: Decides about the room: 0 or more.

    Raises:
        ValueError: A value that no room can have.

    Example:
        >>> Echo(gain_db=-30, delay_ms=120).response().size  # 0.12 s, and 0.3 s of the room
        20160
        >>> Echo(delay_ms=0)
        Traceback (most recent call last):
        ValueError: expected delay_ms from 20 to 5000, got 0
    """

    gain_db: float = -20.0
    delay_ms: float = 80.0
    reverberation_s: float = 0.3
    direct_db: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {
            "gain_db": (-120.0, 20.0),
            "delay_ms": (MIN_DELAY_MS, MAX_DELAY_MS),
            "reverberation_s": (0.0, MAX_REVERBERATION_S),
            "direct_db": (-60.0, 60.0),
            "seed": (0, math.inf),
        }
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                got = getattr(self, name)
                raise ValueError(f"expected {name} from {least:g} to {most:g}, got {got!r}")

    def response(self) -> NDArray[np.float64]:
        """Returns the response to one sample of full scale: float ``(n,)``, at 48,000 Hz."""
        samples = max(1, round(self.reverberation_s * SESSION_RATE_HZ))
        room = np.random.default_rng(self.seed).normal(size=samples)
        room *= 10 ** (-3 * np.arange(samples) / samples)
        room *= 10 ** (-self.direct_db / 20) / np.sqrt((room**2).sum())
        room[0] = 1.0
        if self.reverberation_s == 0:
            room = np.ones(1)
        delay = np.zeros(round(self.delay_ms / 1000 * SESSION_RATE_HZ))
        room *= 10 ** (self.gain_db / 20) / np.sqrt((room**2).sum())
        return np.concatenate([delay, room])


class EchoPath:
    """One session's echo: takes the frames that are played, returns what the microphone receives.

    Args:
        echo: The room.
        frame_samples: Samples per channel of each frame.
    """

    def __init__(self, echo: Echo, frame_samples: int) -> None:
        response = echo.response()
        self._frame_samples = frame_samples
        self._length = frame_samples + response.size - 1
        self._size = 1 << (self._length - 1).bit_length()
        self._spectrum = np.fft.rfft(response, self._size)
        # From the sample on that is received next.
        self._received: NDArray[np.float64] = np.zeros(0)
        self._position = 0

    def play(self, time_s: float, frame: NDArray[np.int16]) -> None:
        """Adds a frame whose first sample is sent at a time, in seconds; int16 ``(1, n)``."""
        channels = max(1, frame.size // self._frame_samples)
        mono = frame.reshape(-1, channels).mean(axis=1)
        spectrum = np.fft.rfft(mono, self._size) * self._spectrum
        echo = np.fft.irfft(spectrum, self._size)[: self._length]
        begin = max(round(time_s * SESSION_RATE_HZ) - self._position, 0)
        missing = begin + echo.size - self._received.size
        if missing > 0:
            self._received = np.pad(self._received, (0, missing))
        self._received[begin : begin + echo.size] += echo

    def add_to(self, block: NDArray[np.int16]) -> NDArray[np.int16]:
        """Returns the microphone's next block, int16 ``(1, n)``, with the echo in it."""
        echo: NDArray[Any] = self._received[: block.size]
        self._received = self._received[block.size :]
        self._position += block.size
        mixed = block.astype(np.float64)
        mixed[:, : echo.size] += echo
        return np.clip(np.round(mixed), -32768, 32767).astype(np.int16)
