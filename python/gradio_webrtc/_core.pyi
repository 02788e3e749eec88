"""The real-time audio core, compiled from Rust.

Sound comes in and goes out as NumPy arrays; nothing here knows a network, a thread or the time of
day. Every array that comes out is new and belongs to the caller. What cannot be used raises
`gradio_webrtc.errors.AudioError` (also a `ValueError`) with what was expected and what came, and
leaves the object as it was.

Objects may be used from any thread, with and without the GIL. Calls on one object happen one after
the other: a second thread waits for the first. A call on an object from inside a call on the same
object (a detector that calls its own pause detector) raises `RuntimeError`; so does an object whose
earlier call broke down inside (`pyo3_runtime.PanicException`).

The GIL is held except where a call is handed 48,000 samples or more: a frame is a matter of
microseconds, and taking the GIL back may take milliseconds.
"""

from typing import Literal, Protocol, TypeAlias, final, overload

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

__all__ = [
    "AudioFifo",
    "InboundAudio",
    "OutboundAudio",
    "PauseDetector",
    "PauseEvent",
    "Pcm16Assembler",
    "Resampler",
    "SileroVad",
]

_Layout: TypeAlias = Literal["mono", "stereo"]

class _Vad(Protocol):
    """A voice activity detector: gives the probability of speech in each window.

    Attributes:
        sample_rate: The rate it listens at, 8,000 to 192,000 Hz.
        window_samples: The length of its windows, in samples at that rate, 1 to a minute's.
    """

    @property
    def sample_rate(self) -> int: ...
    @property
    def window_samples(self) -> int: ...
    def probability(self, window: NDArray[np.float32], /) -> float:
        """Tell the probability of speech, 0 to 1.

        Args:
            window: float32 `(window_samples,)`, -1 to 1, following the window before; new each
                time, so that the detector may keep it.
        """

    def reset(self) -> object:
        """Forget everything heard so far."""

@final
class Resampler:
    """Converts sound from one rate to another as it comes, keeping its state between calls.

    What comes out does not depend on how the input is cut: after `n` samples in, exactly
    `ceil(n * to_hz / from_hz)` have come out. They lag by the constant `delay_s`; between equal
    rates they pass unchanged and at once.

    Args:
        from_hz: Rate of what goes in, 8,000 to 192,000 Hz.
        to_hz: Rate of what comes out, 8,000 to 192,000 Hz.
        channels: Channels, converted alike, 1 to 32.
        quality: `"high"` for sound people hear (110 dB down from the lower Nyquist frequency on);
            `"low_latency"` for a detector's input (half the delay, half the work).

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
        """Convert the next stretch.

        Args:
            samples: int16 or float32 (-1 to 1, saturated; NaN and infinities become silence),
                `(channels, n)`, or `(n,)` where there is one channel. Any length.

        Returns:
            As many channels in the same dtype, `(channels, m)`; `m` may be 0.

        Raises:
            AudioError: For another dtype or shape.
        """

    def flush(self) -> NDArray[np.int16] | NDArray[np.float32]:
        """Give what the delay still holds back, then start afresh.

        Returns:
            `(channels, m)`, in the dtype of the last input (float32 when there was none).
        """

    def reset(self) -> None:
        """Forget the sound so far."""

    @property
    def delay_s(self) -> float:
        """The constant delay in seconds: 4.5 ms for high quality with a lower rate of 16 kHz."""

@final
class AudioFifo:
    """Takes stretches of any length and gives frames of exactly one length, first in, first out.

    Not bounded: whoever writes must also read.

    Args:
        frame_samples: Samples per channel of a frame, 1 to a minute's.
        channels: Channels, 1 to 32.

    Raises:
        AudioError: For a value outside its range.
    """

    def __new__(cls, frame_samples: int, channels: int = 1) -> AudioFifo: ...
    def write(self, samples: NDArray[np.int16]) -> None:
        """Append samples.

        Args:
            samples: int16 `(channels, n)`, or `(n,)` where there is one channel. Any length.

        Raises:
            AudioError: For another dtype or shape.
        """

    def read(self) -> NDArray[np.int16] | None:
        """Take the next frame, int16 `(channels, frame_samples)`; `None` while less waits."""

    def flush(self) -> NDArray[np.int16] | None:
        """Take the next frame, padded with silence when less waits; `None` when nothing does."""

    @property
    def buffered_samples(self) -> int:
        """Samples per channel that were written and not read."""

@final
class Pcm16Assembler:
    """Puts 16-bit little-endian samples together from byte chunks that may end in mid-sample."""

    def __new__(cls) -> Pcm16Assembler: ...
    def push(self, chunk: Buffer) -> NDArray[np.int16]:
        """Take the next bytes; an odd last one is kept for the next chunk.

        Args:
            chunk: `bytes`, `bytearray` or a `memoryview` of bytes, of any length.

        Returns:
            int16 `(1, n)`: every sample that is whole now; `n` may be 0.

        Raises:
            AudioError: For anything that is not made of bytes.
        """

    def reset(self) -> None:
        """Forget a pending byte."""

    @property
    def has_pending_byte(self) -> bool:
        """Whether a byte waits for its other half."""

@final
class InboundAudio:
    """Brings what arrives from a call into a handler's format: rate, channels, length of frames.

    Downmixing is the mean of the channels; a mono call gives a stereo handler the same sound left
    and right. Everything saturates. High quality: the delay is that of `Resampler`.

    Args:
        call_rate_hz: The call's rate, 8,000 to 192,000 Hz.
        call_channels: The call's channels, 1 or 2.
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
    def process(self, samples: NDArray[np.int16]) -> list[NDArray[np.int16]]:
        """Take sound of the call in; give the frames that are full now.

        Some microseconds for 20 ms; call on the event loop.

        Args:
            samples: int16 `(n,)` or `(1, n)`, the call's channels interleaved. Any length.

        Returns:
            int16 `(1, frame_samples)` each, or interleaved `(1, 2 * frame_samples)` for stereo.

        Raises:
            AudioError: For another dtype or shape, or half a pair of stereo samples.
        """

    def flush(self) -> NDArray[np.int16] | None:
        """Take the rest, the resampler's tail included, padded with silence to a frame.

        Returns:
            A frame as from `process`, or `None` when nothing is left. May leave a second one: call
            until it gives `None`.
        """

    def reset(self) -> None:
        """Forget everything that arrived so far."""

@final
class OutboundAudio:
    """Brings what a handler yields into 20 ms frames of a call, and holds them until they are sent.

    Bounded: `push` takes only what has room, and the producer comes back with the rest. Rate, dtype
    and layout may change from one chunk to the next. The first stereo chunk makes the call stereo
    for good; mono sound is then the same left and right.

    Args:
        call_rate_hz: The call's rate, 8,000 to 192,000 Hz and a multiple of 50.
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
        """Take as much of a chunk as has room.

        Some microseconds for 20 ms of sound. An array that is contiguous is not copied; of any
        other, only the part that is taken is. A list is made an array of on each call.

        Args:
            rate_hz: The chunk's rate, 8,000 to 192,000 Hz.
            samples: Mono `(n,)`, `(1, n)` or `(n, 1)`; stereo in rows `(2, n)` or columns `(n, 2)`;
                with `layout="stereo"` also interleaved `(n,)`, `(1, n)` or `(n, 1)`. Where both
                would do, rows win. Floats from -1 to 1, saturated; int16; int32 and int8 of full
                range; uint8 with 128 as silence; int64, which is what a list of ints becomes, as
                int16 values, saturated. NaN and infinities become silence and are counted.
            layout: How to read one row; `None` means mono unless the shape says otherwise.
            offset: Samples per channel at the head of the chunk to leave out, as taken before.

        Returns:
            Samples per channel taken; 0 while it is full.

        Raises:
            AudioError: For another shape, dtype, layout, rate or offset; nothing has changed then.
        """

    @staticmethod
    def samples_per_channel(samples: object, layout: _Layout | None = None) -> int:
        """Count the samples per channel of a chunk, as `push` reads it.

        Args:
            samples: As for `push`.
            layout: As for `push`.

        Returns:
            Samples per channel.

        Raises:
            AudioError: As for `push`.
        """

    def pull(self, *, partial: bool = False) -> NDArray[np.int16] | None:
        """Take the next frame.

        Args:
            partial: Where less than a frame waits, end the sound there: give what is left, the
                resampler's tail included, padded with silence.

        Returns:
            int16 `(1, channels * call_rate_hz // 50)`, interleaved; `None` while less than that
            waits, or nothing with `partial`.
        """

    def end(self) -> None:
        """End the sound: its tail and its last partial frame become whole frames.

        What is pushed next begins a new sound.
        """

    def clear(self) -> int:
        """Drop everything that waits, as when the caller interrupts.

        Returns:
            Samples per channel dropped, at the call's rate.
        """

    @property
    def channels(self) -> int:
        """1 until the first stereo chunk, then 2."""

    @property
    def buffered_s(self) -> float:
        """What waits to be pulled, in seconds."""

    @property
    def has_frame(self) -> bool:
        """Whether `pull` would give a full frame."""

    @property
    def non_finite(self) -> int:
        """Samples that were NaN or infinite, since the start."""

@final
class SileroVad:
    """The voice activity detector Silero 6.2, computed in Rust from weights that came along.

    Keeps its state from window to window: one for each caller.

    Args:
        sample_rate_hz: 16,000 Hz, or 8,000 Hz for the net trained on telephone sound.

    Raises:
        AudioError: For another rate.
    """

    def __new__(cls, sample_rate_hz: int = 16_000) -> SileroVad: ...
    def probability(self, window: NDArray[np.float32]) -> float:
        """Tell the probability of speech in the next window, 0 to 1; 10 to 25 microseconds.

        Args:
            window: float32 `(window_samples,)` or `(1, window_samples)`, -1 to 1.

        Raises:
            AudioError: For another dtype, shape or length.
        """

    def reset(self) -> None:
        """Forget everything heard so far."""

    @property
    def sample_rate(self) -> int:
        """The rate it listens at, in Hz."""

    @property
    def window_samples(self) -> int:
        """The length of a window, in samples: 32 ms."""

@final
class PauseEvent:
    """Something that happened in what a caller says. Times are seconds of the sound fed so far.

    Made by `PauseDetector`; equal when everything in it is equal.
    """

    @property
    def kind(self) -> Literal["speech_started", "pause_candidate", "pause_cancelled", "pause"]:
        """What happened.

        `speech_started`: a turn began. `pause_candidate`: it may be over. `pause_cancelled`: it was
        not. `pause`: it is over.
        """

    @property
    def time_s(self) -> float:
        """How much sound had been fed when it was decided."""

    @property
    def speech_start_s(self) -> float:
        """Where the first window of speech of this turn begins, at least 0."""

    @property
    def speech_end_s(self) -> float | None:
        """Where the silence at hand begins; `None` for the two kinds that are not about one."""

    __hash__: None  # type: ignore[assignment]

@final
class PauseDetector:
    """Finds the turns in what a caller says, and hands over the sound of each.

    Every window of the detector (32 ms for the built-in one) counts as speech or as silence: from
    `threshold` on it is speech (from `continue_threshold` on during a turn), below
    `release_threshold` it is silence, between the two it is what the one before was. Durations
    count whole windows, rounded up. With the defaults a turn's end is noticed about 0.58 s after it
    (median), and pauses of up to half a second inside a turn do not end it.

    How the sound is cut into calls changes nothing. After a pause the detector goes on: what is
    heard during a reply is the beginning of the next turn.

    Args:
        sample_rate_hz: Rate of what is fed, 8,000 to 192,000 Hz.
        vad: The detector to ask; `None` for the built-in `SileroVad` (at 8 kHz its net for
            telephone sound, otherwise the one for 16 kHz). An object of yours has `sample_rate`,
            `window_samples`, `probability(window)` and `reset()`. It is called in the thread that
            calls `process`.
        threshold: Probability from which a window is speech, 0 to 1.
        continue_threshold: The same once a turn is under way, 0 to 1.
        release_threshold: Probability below which a window is silence, 0 to 1.
        started_talking_s: Speech that makes a turn, in seconds.
        pause_s: Silence that ends a turn, in seconds, above 0.
        candidate_s: Silence that may end a turn, in seconds; `inf` for no such events.
        forget_s: Silence after which speech too short for a turn is forgotten, in seconds.
        pre_roll_s: Sound before the first window of speech that belongs to the turn, 0 to 30 s.
        max_speech_s: Length from its first window of speech at which a turn is ended whatever is
            heard, in seconds, above 0; the next turn then begins with the sample after. A turn is
            ended after 15 minutes even so: memory has a bound.

    Raises:
        AudioError: For a value outside its range.
    """

    def __new__(
        cls,
        sample_rate_hz: int,
        *,
        vad: _Vad | None = None,
        threshold: float = 0.5,
        continue_threshold: float = 0.3,
        release_threshold: float = 0.15,
        started_talking_s: float = 0.2,
        pause_s: float = 0.5,
        candidate_s: float = 0.192,
        forget_s: float = 0.6,
        pre_roll_s: float = 0.3,
        max_speech_s: float = ...,
    ) -> PauseDetector: ...
    def process(self, samples: NDArray[np.int16]) -> list[PauseEvent]:
        """Take sound in; tell what happened.

        With the built-in detector 10 to 30 microseconds for a window, however long the turn.

        Args:
            samples: int16 `(n,)` or `(1, n)`, mono. Any length.

        Returns:
            What happened, in order; mostly nothing.

        Raises:
            AudioError: For another dtype or shape, or when the detector answers something that is
                no probability.
            Exception: Whatever the detector raises, unchanged. Its window then counts neither as
                speech nor as silence; everything else is kept, and events that were decided before
                are told by the next call.
        """

    def take_utterance(self) -> NDArray[np.int16]:
        """Take the sound of the turn that a `pause` ended.

        It begins `pre_roll_s` before the first window of speech and ends where the pause was
        decided. Turns wait, oldest first, until they are taken or a later call of `process` ends
        another one.

        Returns:
            int16 `(1, n)`; `n` is 0 when no turn waits.
        """

    def utterance_so_far(self) -> NDArray[np.int16]:
        """Copy the sound of the turn under way, up to the last sample fed.

        Returns:
            int16 `(1, n)`; `n` is 0 while there is no turn.
        """

    def reset(self) -> None:
        """Forget everything; time counts from 0 again.

        Raises:
            Exception: Whatever the detector's own `reset` raises, after everything else is done.
        """

    @property
    def is_speaking(self) -> bool:
        """Whether a turn is under way: from `speech_started` until `pause`."""

    @property
    def min_samples_until_event(self) -> int:
        """How many samples can follow without an event, whatever is in them; 0 during a turn.

        Who feeds them need not hurry: with the defaults, while nobody talks, about 0.2 s.
        """

    @property
    def probability(self) -> float:
        """The probability of speech in the last window, 0 to 1; 0 at the start."""
