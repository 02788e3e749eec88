"""Functions of the user's that see and show pictures, as handlers of one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._mistakes import advise_on_function
from gradio_webrtc._workers.user_code import never_blocks

from .generating import Programme
from .stream_handler import StreamHandlerBase

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradio_webrtc.types import VideoEmitType

DEFAULT_FPS: Final = 30
"""Pictures a second, in and out, unless a `VideoStreamHandler` says otherwise: what browsers send,
and more than most functions manage."""


@dataclass
class VideoStreamHandler:
    """A video function, and how many pictures a second it takes or gives.

    Args:
        callable: In modes "send-receive" and "send" called with each picture, uint8
            ``(height, width, 3)``, and the values of the other inputs; in mode "receive" a
            generator function, called once with the values of the inputs.
        fps: The most that ``callable`` is called; in mode "receive" the rate of what it yields.
        skip_frames: Makes no difference. While ``callable`` works, pictures are skipped and not
            queued, so that it always sees the newest.

    Raises:
        TypeError: ``callable`` cannot be called.
        ValueError: ``fps`` is not above 0.
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
    """Answers each of the caller's pictures with a function of the user's.

    Args:
        video: The function and its rate.
        takes_inputs: Whether it takes values besides the picture. They are asked for when the call
            begins, and until they have come pictures pass through as they are.
    """

    def __init__(self, video: VideoStreamHandler, *, takes_inputs: bool) -> None:
        super().__init__()
        self.fn = video.callable
        self.rate_fps = video.fps
        self._video = video
        self._takes_inputs = takes_inputs

    @never_blocks
    def copy(self) -> VideoFunction:
        """One for another call; the function is the same."""
        return VideoFunction(self._video, takes_inputs=self._takes_inputs)

    @never_blocks
    def start_up(self) -> None:
        """Asks the page for the inputs."""
        if self._takes_inputs:
            self._bound_session.request_inputs()

    @property
    def lacks_inputs(self) -> bool:
        """Whether inputs are expected and have not come."""
        return self._takes_inputs and not self.latest_args

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The latest values of the inputs besides the picture."""
        return tuple(self.latest_args[1:])


class VideoGenerator(StreamHandlerBase):
    """Shows what a user's function yields, at its rate, and ends the call with it.

    Args:
        video: The function, called once with the values of the inputs, and its rate.
    """

    def __init__(self, video: VideoStreamHandler) -> None:
        super().__init__()
        self.fn = video.callable
        self.rate_fps = video.fps
        self._video = video
        self._programme = Programme(video.callable)

    @never_blocks
    def copy(self) -> VideoGenerator:
        """One for another call."""
        return VideoGenerator(self._video)

    @never_blocks
    async def video_emit(self) -> VideoEmitType:
        """The next item. The session asks for the first when the inputs have come."""
        item: VideoEmitType = await self._programme.next(self._bound_session, self.latest_args[1:])
        return item

    async def release(self) -> None:
        """Lets the user's code clean up."""
        await super().release()
        await self._programme.close()
