"""The protocol between a session and a network. Imports no library of either.

All of it runs on one event loop. `tests/conformance/test_transport.py` examines implementations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from gradio_webrtc._audio import InboundTurns, OutboundAudio, PauseEvent
    from gradio_webrtc.types import Layout, TransportStats

    from .frame import TimedFrame


JITTER_BUFFER_S: Final = 0.1
"""Audio that a client holds back which reports nothing of it, in seconds: about as much as the
jitter buffer of a browser at rest."""


class AudioBlock(NamedTuple):
    """Inbound audio, decoded.

    Attributes:
        rate_hz: Sample rate in Hz.
        channels: The number of channels that are interleaved in ``samples``.
        samples: int16, ``(1, n * channels)``.
    """

    rate_hz: int
    channels: int
    samples: NDArray[np.int16]


AudioSink: TypeAlias = "Callable[[AudioBlock], float]"
"""Receives a block of the remote peer's audio, on the event loop, within microseconds.

Returns how much of the coming audio may wait, in seconds, since no event could follow from it:
blocks that come together cost less. 0 for none; less for audio that waits before the handler."""


Detected: TypeAlias = "list[tuple[PauseEvent, int]] | Exception"
"""Events of `InboundTurns` with their epochs, not claimed yet, or the exception that it raised."""


class AudioFrameSource(Protocol):
    """A source of outbound audio.

    Frames are 20 ms at 48 kHz, int16 ``(1, 960 * channels)`` interleaved. All of it runs on the
    event loop.
    """

    def pull(self, *, partial: bool = False) -> NDArray[np.int16] | None:
        """Returns the next frame, or ``None`` when there is less than one.

        Args:
            partial: Pad an unfinished frame with silence rather than wait for the rest.
        """

    def pull_early(self) -> NDArray[np.int16] | None:
        """Returns the next frame before it is due, for a client that may be ahead.

        ``None`` also from a live source: what is ahead of it would be a delay.
        """

    async def wait_ready(self) -> None:
        """Returns once there is something to send."""


class AudioPlayer(Protocol):
    """A transport that takes frames out of a queue by itself, off the event loop.

    Each request brings one call of `QueuedAudioSource.note_sent`.
    """

    def expect_reply(self) -> None:
        """Requests the time from now to the next frame."""

    def notify_room(self) -> None:
        """Requests a note once the queue has room again."""

    def notify_drained(self) -> None:
        """Requests a note when the queue becomes empty."""


@runtime_checkable
class QueuedAudioSource(AudioFrameSource, Protocol):
    """A source whose frames wait in a queue of the core's."""

    @property
    def queue(self) -> OutboundAudio:
        """The queue."""

    def lend(self, player: AudioPlayer) -> bool:
        """Leaves the queue to a player: nobody pulls frames from now on.

        False when audio waits in it already, which goes the other way then.
        """

    def note_sent(self, reply_delay_s: float | None) -> None:
        """Takes a note of the player, with the delay of a reply in seconds if one began."""


class VideoFrameSource(Protocol):
    """A source of outbound video. It runs on the event loop."""

    async def next_frame(self) -> TimedFrame:
        """Returns the next frame, when there is one; its ``pts`` is greater than the one before."""

    def limit_fps(self, fps: float) -> None:
        """Asks for so many frames a second at most, on average; infinite for all there are."""


class Transport(Protocol):
    """The connection of one session, which opens it once and closes it once, on one event loop."""

    on_message: Callable[[str], None]
    """Called on the event loop with each text that the client sends."""

    is_reliable: bool
    """True if all of the audio comes in the end, whatever the network does, and the transport
    itself catches up with what was late."""

    async def connect(self) -> None:
        """Returns once audio can flow.

        Raises:
            ConnectionTimeout: The remote peer did not connect in time.
            ConnectionLost: The connection ended before that.
        """

    async def carry_audio(self, sink: AudioSink) -> None:
        """Calls ``sink`` with the remote peer's audio, the oldest first, until it is cancelled.

        Call it once, soon: audio that comes before it waits without a bound.

        Raises:
            ConnectionLost: The remote peer sends no more.
            Exception: Whatever ``sink`` raises; it is not called again then.
        """

    def feed_turns(self, turns: InboundTurns, on_detected: Callable[[Detected], None]) -> None:
        """Has turns detected by the transport, if it can: then the sink gets no more audio.

        Call it within the sink; the block that the sink has is the last one before the next that
        is detected in, or some more follow. Where no audio has come for `MAX_STALL_S` the
        transport ends an open turn, as by a pause.

        Args:
            turns: Detects them; the transport may do that in another thread.
            on_detected: Called on the event loop with what was detected.
        """

    def keep_pauses(self) -> None:
        """Has time in which the remote peer sent nothing be silence from now on, for some seconds.

        For whoever detects the pauses in it. A transport whose audio carries no times cannot.
        """

    def flush_audio(self) -> bool:
        """Calls the sink with the audio that waits, since no event could follow from it.

        Returns:
            False where the transport detects turns by itself: it ends open ones by itself, too.
        """

    def prefer_audio(self, rate_hz: int, layout: Layout) -> None:
        """Has audio decoded for whoever needs this format, where that costs less.

        Best called before the answer. Blocks come with their own format, which may be another one.

        Args:
            rate_hz: In Hz.
            layout: ``"mono"`` or ``"stereo"``.
        """

    def play_audio(self, source: AudioFrameSource) -> None:
        """Sends the frames of ``source`` in real time. Call it once, before the answer."""

    async def receive_video_frame(self) -> TimedFrame:
        """Returns the remote peer's newest frame that was not returned yet; waits for one.

        Those that came in between are skipped, so that slow code is never behind.

        Raises:
            ConnectionLost: The remote peer sends no more.
        """

    def play_video(self, source: VideoFrameSource) -> None:
        """Sends the frames of ``source``. Call it once, before the answer."""

    def send_text(self, text: str) -> None:
        """Sends text to the client; kept, up to a bound, until the data channel opens."""

    def clear_audio(self) -> float:
        """Drops sent audio that the client has not played yet, where it has such a thing.

        Returns:
            The length of that in seconds, as far as is known.
        """

    def playout_delay_s(self) -> float:
        """Returns the time until the client has played what is passed on now; any thread.

        In seconds, as far as is known.
        """

    def stats(self) -> TransportStats:
        """Returns the counters of packets and frames; from any thread, also after the end."""

    async def wait_closed(self) -> str:
        """Returns, with a reason to log, once the connection is over."""

    async def close(self, away_s: float = 0.0) -> None:
        """Ends the connection and frees all of it; safe to call twice.

        A client that is away and may come back for its last messages has ``away_s`` seconds.
        """
