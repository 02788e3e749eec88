"""The queue before aiortc's decoder thread: bounded, and closed to frames that cost too much.

Frames are put in on the event loop, and taken out in that thread. Imports neither names of aiortc
nor sessions.
"""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._limits import DEFAULT_LIMITS
from gradio_webrtc._transport.buckets import TokenBucket
from gradio_webrtc._transport.webrtc.frame_sizes import SizeError, check_h264, check_vp8

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from gradio_webrtc._limits import Limits

logger = logging.getLogger(__name__)

MAX_FRAMES: Final = 30
"""Frames that may wait: a second, which a thread may have to wait for its turn on a busy machine.
Decoding is ten times as fast as a camera, so that it catches up; to ask for a key frame would cost
both sides more.

Policy: a frame that comes while it is full is dropped, and so are those that depend on it, until
the next key frame, which takes the place of all that wait.
"""

CHECKS: Final[dict[str, Callable[[bytes, int], bool]]] = {"VP8": check_vp8, "H264": check_h264}


class DecoderQueue(queue.Queue[Any]):
    """Stands where aiortc puts coded frames for its decoder thread.

    Args:
        failed: aiortc's mark that a frame could not be decoded: it asks for a key frame then.
        limits: Of video frames.

    Attributes:
        refused: The number of frames that were dropped: too large, broken, or too many.
    """

    def __init__(self, failed: threading.Event, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__()
        self.refused = 0
        self._failed = failed
        self._most_pixels = limits.picture_pixels
        self._frames = TokenBucket(limits.pictures_per_s, limits.pictures_per_s)
        self._needs_key = False
        self._make_thread: Callable[[], threading.Thread] | None = None
        self._end: Callable[[], None] = self._clear
        self._thread: threading.Thread | None = None

    def park(self, make_thread: Callable[[], threading.Thread], end: Callable[[], None]) -> None:
        """Has no thread wait until there is a frame: audio is decoded elsewhere as a rule.

        Call it before there is a thread; the one that aiortc starts ends at once.

        Args:
            make_thread: Returns a decoder's thread, not started yet.
            end: Stands for the thread at the end, where there was none.
        """
        self._make_thread, self._end = make_thread, end

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002  # as the base class has it
        """Returns the next frame and its codec, or ``None`` at the end; in a decoder's thread."""
        if self._make_thread is not None and threading.current_thread() is not self._thread:
            return None
        return super().get(block, timeout)

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002  # as the base class has it
        """Takes a frame and its codec, or the mark of the end, which waits for nothing."""
        is_parked = self._make_thread is not None and self._thread is None
        if item is None:
            self._clear()
            if is_parked:
                self._end()
                return
        elif not self._is_taken(*item):
            self.refused += 1
            self._failed.set()
            return
        super().put(item, block, timeout)
        if is_parked and self._make_thread is not None:
            self._thread = self._make_thread()
            self._thread.start()

    def _is_taken(self, codec: Any, frame: Any) -> bool:
        # Without a byte it would be the end of the stream to FFmpeg, and no frame after it decoded.
        if not frame.data:
            return False
        check = CHECKS.get(codec.name)
        try:
            is_key = check is None or check(frame.data, self._most_pixels)
        except SizeError as error:
            logger.debug("a video frame is not decoded: %s", error)
            self._needs_key = True
            return False
        if check is not None and not self._frames.take():
            self._needs_key = True
            return False
        if is_key and check is not None:
            if self.qsize() >= MAX_FRAMES:
                self._clear()
            self._needs_key = False
        self._needs_key = self._needs_key or self.qsize() >= MAX_FRAMES
        if check is None:
            # Every frame of audio stands for itself.
            is_full, self._needs_key = self._needs_key, False
            return not is_full
        return not self._needs_key

    def _clear(self) -> None:
        with self.mutex:
            waiting: deque[Any] = self.queue
            self.refused += len(waiting)
            waiting.clear()
