"""The real-time audio core, compiled from Rust.

Audio comes in and goes out as NumPy arrays; nothing here depends on a network, a thread or the time
of day. Every returned array is new and belongs to your code. Invalid input raises
`gradio_webrtc.errors.AudioError` (also a `ValueError`) with the expected and the actual value, and
leaves the object unchanged.

Objects may be used from any thread, with and without the GIL. Calls on one object run one after
the other: a second thread waits for the first. A call on an object from inside a call on the same
object (a detector that calls its own pause detector) raises `RuntimeError`; so does any call on an
object after a Rust panic in an earlier call (`pyo3_runtime.PanicException`).

The GIL is held except where a call receives 48,000 samples or more: a frame takes microseconds, and
taking the GIL back may take milliseconds.
"""

from typing import Final, Literal, TypeAlias, final, overload

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from . import media, plane, turns

__all__ = [
    "ECHO_SCORE",
    "AudioFifo",
    "InboundAudio",
    "OutboundAudio",
    "Pcm16Assembler",
    "Resampler",
    "decode_g711",
    "encode_g711",
    "media",
    "plane",
    "turns",
]

_Layout: TypeAlias = Literal["mono", "stereo"]
_Law: TypeAlias = Literal["mulaw", "alaw"]

def decode_g711(codes: Buffer, law: _Law = "mulaw") -> NDArray[np.int16]:
    """Decodes telephone audio, one byte a sample (ITU-T G.711).

    Args:
        codes: bytes, a bytearray or a memoryview of bytes.
        law: `"mulaw"` or `"alaw"`.

    Returns:
        int16, `(1, n)`.

    Raises:
        AudioError: For anything else.
    """

def encode_g711(samples: NDArray[np.int16], law: _Law = "mulaw") -> bytes:
    """Encodes audio for a telephone, one byte a sample (ITU-T G.711, as in ITU-T G.191).

    Args:
        samples: int16, `(n,)` or `(1, n)`.
        law: `"mulaw"` or `"alaw"`.

    Raises:
        AudioError: For another dtype, shape or law.
    """

ECHO_SCORE: Final[float]
"""The lowest score of an echo: see `OutboundAudio.echo_score`."""

@final
class Resampler:
    """Converts a stream of audio from one rate to another, keeping its state between calls.

    The output does not depend on how the input is cut: after `n` input samples, exactly
    `ceil(n * to_hz / from_hz)` samples were returned. They lag by the constant `delay_s`; between
    equal rates they pass unchanged and without delay.

    Args:
        from_hz: Rate of the input, 8,000 to 192,000 Hz.
        to_hz: Rate of the output, 8,000 to 192,000 Hz.
        channels: Channels, converted alike, 1 to 32.
        quality: `"high"` for audio that people listen to (110 dB down from the lower Nyquist
            frequency on); `"low_latency"` for a detector's input (half the delay, half the work).

    Raises:
        AudioError: For a value outside its range or another quality.
    """

    def __new__(
        cls,
        from_hz: int,
        to_hz: int,
        *,
        channels: int = 1,
        quality: Literal["high", "low_latency"] = "high",
    ) -> Resampler: ...
    @overload
    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]: ...
    @overload
    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Converts the next samples of the stream.

        Args:
            samples: int16 or float32 (-1 to 1, saturated; NaN and infinities become silence),
                `(channels, n)`, or `(n,)` where there is one channel. Any length.

        Returns:
            The converted samples in the same dtype, `(channels, m)`; `m` may be 0.

        Raises:
            AudioError: For another dtype or shape.
        """

    def flush(self) -> NDArray[np.int16] | NDArray[np.float32]:
        """Returns the samples that the delay still holds back, then resets.

        Returns:
            `(channels, m)`, in the dtype of the last input (float32 when there was none).
        """

    def reset(self) -> None:
        """Discards all state; the next input starts a new stream."""

    @property
    def delay_s(self) -> float:
        """The constant delay in seconds: 4.5 ms for high quality with a lower rate of 16 kHz."""

@final
class AudioFifo:
    """Takes any number of samples and returns frames of exactly one length, first in, first out.

    Not bounded: code that writes must also read.

    Args:
        frame_samples: Samples per channel of a frame, 1 to a minute's.
        channels: Channels, 1 to 32.

    Raises:
        AudioError: For a value outside its range.
    """

    def __new__(cls, frame_samples: int, channels: int = 1) -> AudioFifo: ...
    def write(self, samples: NDArray[np.int16]) -> None:
        """Appends samples.

        Args:
            samples: int16 `(channels, n)`, or `(n,)` where there is one channel. Any length.

        Raises:
            AudioError: For another dtype or shape.
        """

    def read(self) -> NDArray[np.int16] | None:
        """Takes the next frame, int16 `(channels, frame_samples)`; `None` while less waits."""

    def flush(self) -> NDArray[np.int16] | None:
        """Takes the next frame, padded with silence where less waits; `None` if no sample does."""

    @property
    def buffered_samples(self) -> int:
        """Samples per channel that were written and not yet read."""

@final
class Pcm16Assembler:
    """Assembles 16-bit little-endian samples from byte chunks that may end in mid-sample."""

    def __new__(cls) -> Pcm16Assembler: ...
    def push(self, chunk: Buffer) -> NDArray[np.int16]:
        """Takes the next bytes; an odd last one is kept for the next chunk.

        Args:
            chunk: `bytes`, `bytearray` or a `memoryview` of bytes, of any length.

        Returns:
            int16 `(1, n)`: every sample that is complete now; `n` may be 0.

        Raises:
            AudioError: For an object that is no buffer of bytes.
        """

    def reset(self) -> None:
        """Discards a pending byte."""

    @property
    def has_pending_byte(self) -> bool:
        """True if a byte waits for the second byte of its sample."""

@final
class InboundAudio:
    """Converts received audio into a handler's format: rate, channels, length of frames.

    Downmixing is the mean of the channels; from mono audio, a stereo handler gets the same samples
    left and right. Everything saturates. High quality: the delay is that of `Resampler`.

    Args:
        call_rate_hz: The rate of the received audio, 8,000 to 192,000 Hz.
        call_channels: The channels of the received audio, 1 or 2.
        handler_rate_hz: The handler's rate, 8,000 to 192,000 Hz.
        layout: The handler's channels.
        frame_samples: Samples per channel of a frame at the handler's rate, 1 to a minute's.

    Raises:
        AudioError: For a value outside its range.
    """

    def __new__(
        cls,
        call_rate_hz: int,
        call_channels: int,
        handler_rate_hz: int,
        *,
        layout: _Layout = "mono",
        frame_samples: int = 960,
    ) -> InboundAudio: ...
    def change_to(
        self,
        call_rate_hz: int,
        call_channels: int,
        handler_rate_hz: int,
        *,
        layout: _Layout = "mono",
        frame_samples: int = 960,
    ) -> None:
        """Goes on with other formats, those of the class: what waits is converted, not dropped.

        Raises:
            AudioError: For a value outside its range; nothing changes then.
        """

    def process(self, samples: NDArray[np.int16]) -> list[NDArray[np.int16]]:
        """Takes received audio; returns the frames that are full now.

        Some microseconds for 20 ms; call on the event loop.

        Args:
            samples: int16 `(n,)` or `(1, n)`, the channels interleaved. Any length.

        Returns:
            int16 `(1, frame_samples)` each, or interleaved `(1, 2 * frame_samples)` for stereo.

        Raises:
            AudioError: For another dtype or shape, or half a pair of stereo samples.
        """

    def flush(self) -> NDArray[np.int16] | None:
        """Takes the rest, the resampler's tail included, padded with silence to a frame.

        Returns:
            A frame as from `process`, or `None` when no sample is left. May leave a second one:
            call until it returns `None`.
        """

    def reset(self) -> None:
        """Discards all received audio."""

@final
class OutboundAudio:
    """Converts a handler's chunks into frames of 20 ms, and stores them until they are sent.

    Bounded: `push` takes only as much as has room, and the producer comes back with the rest. Rate,
    dtype and layout may change from one chunk to the next. From the first stereo chunk on, all
    frames are stereo; mono chunks are then the same left and right.

    Args:
        call_rate_hz: The rate of the outbound audio, 8,000 to 192,000 Hz and a multiple of 50.
        max_buffered_s: The bound, 0.04 to 3,600 seconds. A resampler's tail may exceed it by
            some milliseconds.

    Raises:
        AudioError: For a value outside its range.
    """

    def __new__(
        cls, *, call_rate_hz: int = 48_000, max_buffered_s: float = 1.0
    ) -> OutboundAudio: ...
    def push(
        self,
        rate_hz: int,
        samples: object,
        *,
        layout: _Layout | None = None,
        offset: int = 0,
    ) -> int:
        """Takes as much of a chunk as has room.

        Some microseconds for 20 ms of audio. A contiguous array is not copied; of any other, only
        the part that is taken is. A list is converted to an array on each call.

        Args:
            rate_hz: The chunk's rate, 8,000 to 192,000 Hz.
            samples: Mono `(n,)`, `(1, n)` or `(n, 1)`; stereo in rows `(2, n)` or columns `(n, 2)`;
                with `layout="stereo"` also interleaved `(n,)`, `(1, n)` or `(n, 1)`. A `(2, 2)`
                array is read in rows. Floats from -1 to 1, saturated; int16; int32 and int8 of full
                range; uint8 with 128 as silence; int64, the dtype of a list of ints, as int16
                values, saturated. NaN and infinities become silence and are counted.
            layout: The layout of one row; `None` means mono unless the shape is that of stereo.
            offset: Samples per channel at the head of the chunk to skip, because earlier calls took
                them.

        Returns:
            Samples per channel taken; 0 while it is full.

        Raises:
            AudioError: For another shape, dtype, layout, rate or offset; the object is unchanged.
        """

    @staticmethod
    def samples_per_channel(samples: object, layout: _Layout | None = None) -> int:
        """Counts the samples per channel of a chunk, as `push` reads it.

        Args:
            samples: As for `push`.
            layout: As for `push`.

        Returns:
            Samples per channel.

        Raises:
            AudioError: As for `push`.
        """

    def pull(self, *, partial: bool = False) -> NDArray[np.int16] | None:
        """Takes the next frame.

        Each call without `partial` counts as 20 ms of time. A source is live when for a second it
        has delivered about as fast as its audio was pulled, to 3 %, and no push had to wait for
        room. From a live source a delay is worked off that stays above 40 ms: silence is dropped,
        and of speech single periods of the pitch are removed, of which a listener notices at most
        that speech is faster for a moment. Up to 100 ms missing inside its audio repeat the
        last period and fade out.

        Args:
            partial: True to end the stream where less than a frame waits, and return the rest, the
                resampler's tail included, padded with silence.

        Returns:
            int16 `(1, channels * call_rate_hz // 50)`, interleaved; `None` while less than that
            waits, or with `partial` if no sample waits.
        """

    def note_idle(self, seconds: float) -> None:
        """Notes for how long nothing was pulled, since there was nothing.

        After more than a second a source has to prove again that it is live.
        """

    def note_received(self, now_s: float, seconds: float) -> None:
        """Notes that so much inbound audio was received, before it can be pushed.

        Of a source that for two seconds has pushed as much as was received, an echo, it shows what
        was held back on its way: that comes at once. From half a second on, the delay of it is
        worked off at once in the next two seconds, also where a push had to wait for room; a block
        that may be a whole reply is not. What was held back for less is left to wait for the next
        hole, 400 ms at most, until audio comes evenly for 0.3 s, or half of that where it is more
        than 200 ms. Nothing is removed from any other source.

        Args:
            now_s: The time in seconds, on a clock that never goes back.
            seconds: The length of the audio.
        """

    def echo_score(self, rate_hz: int, received: NDArray[np.int16]) -> float:
        """Returns how much received audio resembles what was pulled in the last 1.6 s.

        The highest normalised correlation at any delay, 0 to 1; near the delay of the last echoes
        1.6 times that. It takes about a millisecond, without the GIL.

        Args:
            rate_hz: The rate of the audio, in Hz.
            received: int16 ``(1, n)`` or ``(n,)`` up to now, of which the last 0.5 s count.

        Returns:
            An echo from `ECHO_SCORE` on; 0 with less than 0.2 s of either.

        Raises:
            AudioError: Another dtype or shape, or a rate outside 8,000 to 192,000 Hz.
        """

    def end(self) -> None:
        """Ends the stream: its tail and its last partial frame become whole frames.

        The next push begins a new stream.
        """

    def keep_pulled(self, seconds: float) -> None:
        """Keeps so many seconds of what is pulled from now on, 0 to 10, for `hold`."""

    def hold(self, rewind_s: float, unplayed_s: float = 0.0) -> None:
        """Stops to return frames, and keeps everything, until `release` or `clear`.

        `push` still takes what has room. A hold within a hold has no effect.

        Args:
            rewind_s: Seconds of what was pulled last that come once more after the hold, if any of
                it came in the last 100 ms.
            unplayed_s: Seconds before that, since nobody has played them.
        """

    def release(self) -> float:
        """Ends a hold; the first 5 ms of what comes once more are faded in.

        Returns:
            The seconds that come once more: no more than `keep_pulled` has kept, and nothing from
            before the last `end` or `clear`. 0 without a hold.
        """

    @property
    def is_held(self) -> bool:
        """True from `hold` to `release` or `clear`."""

    def set_aside(self) -> bool:
        """Puts what waits aside: what is pushed from now on is pulled first, until `take_back`.

        The stream goes on behind that as if nothing had come between. Without effect while
        something is aside.

        Returns:
            True if the source is live, or plays on what is received.

        Raises:
            AudioError: There is no memory for it.
        """

    def take_back(self) -> None:
        """Has what is aside wait again, in place of what waits now; nothing if nothing is aside."""

    @property
    def aside_s(self) -> float | None:
        """The duration of what is aside, in seconds; `None` if nothing was put there."""

    def clear(self) -> int:
        """Drops all waiting samples, as on a barge-in, and what is aside; ends a hold.

        Returns:
            Samples per channel dropped, at `call_rate_hz`, without those aside.
        """

    @property
    def channels(self) -> int:
        """1 until the first stereo chunk, then 2."""

    @property
    def buffered_s(self) -> float:
        """The duration of the waiting samples, in seconds."""

    @property
    def has_frame(self) -> bool:
        """True if `pull` would return a full frame."""

    @property
    def is_ahead(self) -> bool:
        """True if a full frame waits and the source is not live.

        It may be pulled before it is due, for a client that may be ahead; ahead of a live source
        there is only delay.
        """

    @property
    def removed(self) -> int:
        """Samples per channel removed from the delay of a live source, since the start."""

    @property
    def inserted(self) -> int:
        """Samples per channel that filled holes in the audio of a live source, since the start."""

    @property
    def non_finite(self) -> int:
        """Samples that were NaN or infinite, since the start."""
