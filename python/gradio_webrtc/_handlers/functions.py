"""Handlers that are made from a user's function, each for one session.

`ReplyOnPause`, which answers turns with a function, has a module of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._mistakes import advise_on_function
from gradio_webrtc._turns.runner import FINISHED, GeneratorRun
from gradio_webrtc._workers.user_code import never_blocks
from gradio_webrtc.types import CloseStream

from .signatures import Callee
from .stream_handler import AsyncStreamHandler, StreamHandlerBase

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradio_webrtc.types import AudioFrame, EmitType, VideoEmitType

DEFAULT_FPS: Final = 30
"""Video frames a second, in and out, unless a `VideoStreamHandler` sets another rate: what browsers
send, and more than most functions manage."""


@dataclass
class VideoStreamHandler:
    """A video function and its frame rate.

    Args:
        callable: In modes "send-receive" and "send" called with each video frame, uint8
            ``(height, width, 3)``, and the values of the other inputs; in mode "receive" a
            generator function, called once with the values of the inputs.
        fps: The most calls of ``callable`` a second; in mode "receive" the rate of what it yields.
        skip_frames: Has no effect. While ``callable`` works, frames are skipped and not queued, so
            that it always gets the newest.

    Raises:
        TypeError: ``callable`` cannot be called.
        ValueError: ``fps`` is not above 0.

    Example:
        >>> def mirror(frame):
        ...     return frame[:, ::-1]
        >>> handler = VideoStreamHandler(mirror, fps=10)
    """

    callable: Callable[..., Any]
    fps: float = DEFAULT_FPS
    skip_frames: bool = False

    def __post_init__(self) -> None:
        if not callable(self.callable):
            raise TypeError(f"callable is a function, got {advise_on_function(self.callable)}")
        if not self.fps > 0:
            raise ValueError(f"fps is a number above 0, got {self.fps!r}")


class VideoFunction(StreamHandlerBase):
    """Answers each video frame of the client with a function of the user's.

    Args:
        video: The function and its rate.
        takes_inputs: True if it takes values besides the frame. They are requested when the session
            begins, and until they have arrived frames pass through unchanged.
    """

    def __init__(self, video: VideoStreamHandler, *, takes_inputs: bool) -> None:
        super().__init__()
        self.fn = video.callable
        self.rate_fps = video.fps
        self._rtc_video = video
        self._rtc_takes_inputs = takes_inputs

    @never_blocks
    def copy(self) -> VideoFunction:
        """Returns a handler for another session; the function is the same."""
        return VideoFunction(self._rtc_video, takes_inputs=self._rtc_takes_inputs)

    @never_blocks
    def start_up(self) -> None:
        """Requests the inputs from the client."""
        if self._rtc_takes_inputs:
            self._rtc_bound_session.request_inputs()

    @property
    def lacks_inputs(self) -> bool:
        """True if inputs are expected and have not arrived."""
        return self._rtc_takes_inputs and not self.latest_args

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The latest values of the inputs besides the frame."""
        return tuple(self.latest_args[1:])


class GeneratorHandler(StreamHandlerBase):
    """Emits the items of a user's function, and ends the session with it.

    Args:
        fn: Called once, with the values of the inputs, for the first item.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        super().__init__()
        self.fn = fn
        self._rtc_run: GeneratorRun | None = None

    async def _rtc_next_item(self) -> Any:
        """Returns the next item. The session asks for the first when the inputs have arrived."""
        if self._rtc_run is None:
            session = self._rtc_bound_session
            fn, args = Callee(self.fn, session.webrtc_id).bind(*self.latest_args[1:])
            self._rtc_run = GeneratorRun(fn, args, session)
        item = await self._rtc_run.step()
        # Without a reason: the end of a stream needs no explanation.
        return CloseStream("") if item is FINISHED else item

    async def release(self) -> None:
        """Lets the user's code clean up, and ends its thread."""
        await super().release()
        if self._rtc_run is not None:
            await self._rtc_run.close()


class AudioGenerator(GeneratorHandler, AsyncStreamHandler):
    """Emits the audio that a user's function yields, and ends the session with it.

    Args:
        fn: Called once, with the values of the inputs.
    """

    @never_blocks
    def copy(self) -> AudioGenerator:
        """Returns a handler for another session."""
        return AudioGenerator(self.fn)

    async def receive(self, frame: AudioFrame) -> None:
        """Does nothing: no audio is received in mode "receive"."""

    @never_blocks
    async def emit(self) -> EmitType:
        """Returns the next item of the function."""
        item: EmitType = await self._rtc_next_item()
        return item


class VideoGenerator(GeneratorHandler):
    """Emits the video frames that a user's function yields, at its rate, and ends with it.

    Args:
        video: The function, called once with the values of the inputs, and its rate.
    """

    def __init__(self, video: VideoStreamHandler) -> None:
        super().__init__(video.callable)
        self.rate_fps = video.fps
        self._rtc_video = video

    @never_blocks
    def copy(self) -> VideoGenerator:
        """Returns a handler for another session."""
        return VideoGenerator(self._rtc_video)

    @never_blocks
    async def video_emit(self) -> VideoEmitType:
        """Returns the next item of the function."""
        item: VideoEmitType = await self._rtc_next_item()
        return item
