"""The words that handlers and sessions share. Imports nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

Layout: TypeAlias = Literal["mono", "stereo"]
"""One channel, or two. Stereo goes planar ``(2, n)`` or packed ``(1, 2 * n)``."""

Mode: TypeAlias = Literal["send-receive", "send", "receive"]
"""Which way media go, from the page's side."""

Modality: TypeAlias = Literal["audio", "video", "audio-video"]
"""Which media there are."""

FrameFormat: TypeAlias = Literal["bgr", "rgb"]
"""In which order a picture's three colours come."""

AudioArray: TypeAlias = NDArray[np.int16] | NDArray[np.float32]
"""int16 full scale, or float32 from -1 to 1; ``(1, n)`` mono."""

AudioFrame: TypeAlias = tuple[int, NDArray[np.int16]]
"""What ``receive`` gets: rate in Hz, int16 ``(1, n)`` mono or ``(1, 2 * n)`` packed stereo."""

VideoFrame: TypeAlias = NDArray[np.uint8]
"""``(height, width, 3)``, blue first."""


class AdditionalOutputs:
    """Values for other components of the page, told apart from audio by their type.

    Yield or return it from a handler; ``WebRTC.on_additional_outputs`` receives the values.

    Args:
        *args: One value for each output component.
    """

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __repr__(self) -> str:
        return f"AdditionalOutputs{self.args!r}"


class CloseStream:
    """Ends the call, after the audio before it has been spoken.

    Args:
        msg: The reason, shown in the page.
    """

    def __init__(self, msg: str = "Stream closed") -> None:
        self.msg = msg

    def __repr__(self) -> str:
        return f"CloseStream({self.msg!r})"


@dataclass
class WebRTCData:
    """What a component with ``variant="textbox"`` has for a function, in place of the sound alone.

    A function that answers turns gets it when it takes other inputs too, or with
    ``needs_args=True``.

    Attributes:
        webrtc_id: The id of the call; ``"__webrtc_value__"`` without one.
        textbox: What was written in the text field and sent; empty for a turn that was spoken.
        audio: In a turn of `ReplyOnPause`, what was said: rate in Hz and int16 ``(1, n)``, with
            ``n`` zero when nothing was said before the text was sent.
    """

    webrtc_id: str
    textbox: str = ""
    audio: AudioFrame | None = None


AudioPart: TypeAlias = tuple[int, AudioArray] | tuple[int, AudioArray, Layout]
"""Audio that a handler emits: rate in Hz, samples, and the layout if it is not mono."""

Extra: TypeAlias = AdditionalOutputs | CloseStream
"""Anything that a handler may emit beside media."""

AudioEmitType: TypeAlias = AudioPart | Extra | tuple[AudioPart, Extra] | None
"""The items that ``emit``, or a function that answers turns, may return; ``None`` for nothing."""

VideoEmitType: TypeAlias = VideoFrame | Extra | tuple[VideoFrame, Extra] | None
"""The items that ``video_emit``, or a video function, may return; ``None`` for nothing."""

EmitType: TypeAlias = AudioEmitType
"""Another name of `AudioEmitType`."""


@runtime_checkable
class VoiceActivityDetector(Protocol):
    """Gives the probability of speech for windows of fixed length.

    ``sample_rate`` and ``window_samples`` may be plain attributes.
    """

    @property
    def sample_rate(self) -> int:
        """The rate it listens at, in Hz."""

    @property
    def window_samples(self) -> int:
        """The length of a window, in samples."""

    def probability(self, window: NDArray[np.float32]) -> float:
        """The probability of speech in ``window`` (``(window_samples,)``, -1 to 1), from 0 to 1."""

    def reset(self) -> None:
        """Forgets everything heard so far."""


class AudioChunk(TypedDict):
    """A part of a recording, in samples from its beginning.

    Attributes:
        start: Its first sample.
        end: The one behind its last.
    """

    start: int
    end: int


class DataChannel(Protocol):
    """The data channel of a call, or its substitute."""

    def send(self, message: str) -> None:
        """Sends a JSON object as text; other text arrives as a log message."""


class SessionHandle(Protocol):
    """What a handler may do to its call. Every method may be called from any thread."""

    webrtc_id: str

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that runs the call."""

    def send(self, message: Mapping[str, object]) -> None:
        """Sends a JSON message to the page; kept, up to a bound, until the channel opens."""

    def request_inputs(self) -> None:
        """Asks the page for its latest input values; they arrive as ``handler.set_args``."""

    def clear(self) -> None:
        """Drops queued outbound audio, and nothing else: no outputs, and nothing emitted later."""

    def interrupt(self) -> None:
        """Barge-in: drops queued outbound audio, and what a running ``emit`` still returns."""

    def end_reply(self) -> None:
        """Says that the reply is over: its last partial frame is padded and sent."""

    def event(self, name: str, **data: object) -> None:
        """Notes that something happened in the conversation, such as ``pause_detected``."""

    def report(self, error: BaseException) -> None:
        """Reports an error of the user's code: once in the log, in the page without internals."""
