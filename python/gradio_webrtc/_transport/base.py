"""What a session asks of a network, and what it gives to it. Knows no library."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from .frame import TimedFrame
    from .stats import TransportStats


class AudioBlock(NamedTuple):
    """Sound as it came off the wire.

    Attributes:
        rate_hz: Sample rate in Hz.
        channels: How many channels are interleaved in ``samples``.
        samples: int16, ``(1, n * channels)``.
    """

    rate_hz: int
    channels: int
    samples: NDArray[np.int16]


AudioSink: TypeAlias = "Callable[[AudioBlock], float]"
"""Takes a block of the caller's sound, on the event loop, within microseconds.

Returns how much of the sound to come may wait, in seconds, since nothing could follow from it: what
comes together costs less. 0 or less for none.
"""


class AudioFrameSource(Protocol):
    """Where a transport takes the sound that it sends.

    Frames are 20 ms at 48 kHz, int16 ``(1, 960 * channels)`` interleaved. All of it runs on the
    event loop.
    """

    def pull(self, *, partial: bool = False) -> NDArray[np.int16] | None:
        """The next frame, or ``None`` when less than one is there.

        Args:
            partial: Pad what is there with silence rather than wait for the rest.
        """

    async def wait_ready(self) -> None:
        """Returns once there is something to send."""


class VideoFrameSource(Protocol):
    """Where a transport takes the pictures that it sends. It runs on the event loop."""

    async def next_frame(self) -> TimedFrame:
        """The next picture, when there is one; its ``pts`` is greater than the one before."""


class Transport(Protocol):
    """One caller's connection. A session opens it once and closes it once, on one event loop."""

    on_message: Callable[[str], None]
    """Called on the event loop with each text that the page sends."""

    async def connect(self) -> None:
        """Returns once sound can flow.

        Raises:
            ConnectionTimeout: The caller did not come.
            ConnectionLost: The caller left before that.
        """

    async def carry_audio(self, sink: AudioSink) -> None:
        """Hands the caller's sound to ``sink``, the oldest first, until it is cancelled.

        Call it once, soon: what comes before it waits without a bound.

        Raises:
            ConnectionLost: The caller sends no more.
            Exception: Whatever ``sink`` raises; it is not called again then.
        """

    def play_audio(self, source: AudioFrameSource) -> None:
        """Sends what ``source`` gives, in real time. Call it once, before the answer."""

    async def receive_video_frame(self) -> TimedFrame:
        """The newest of the caller's pictures that was not given yet; waits for one.

        Those that came in between are skipped, so whoever takes long is never behind.

        Raises:
            ConnectionLost: The caller sends no more.
        """

    def play_video(self, source: VideoFrameSource) -> None:
        """Sends what ``source`` gives. Call it once, before the answer."""

    def send_text(self, text: str) -> None:
        """Sends text to the page; kept, up to a bound, until the data channel opens."""

    def stats(self) -> TransportStats:
        """Returns the counters of packets and frames; from any thread, also after the end."""

    async def wait_closed(self) -> str:
        """Returns, with the reason in words, once the connection is over."""

    async def close(self) -> None:
        """Ends the connection and frees all of it; safe to call twice."""
