"""The resumable channel below a link: frames are numbered, kept, acknowledged and put in order.

Whatever carries the frames may break in the middle: what the other side lacks is sent again. Reads
no clock and no network: times are arguments. Runs on the event loop.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .frames import HEADER, NUMBERED, FrameError, FrameKind, write_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .frames import Frame

MAX_EARLY_FRAMES: Final = 512
MAX_EARLY_BYTES: Final = 1024 * 1024
"""Frames that came before one that is missing, and their bytes. Two POSTs may overtake each other,
of which the first after an outage has seconds of audio. A client that needs more breaks the
rules."""

MAX_KEPT_BYTES: Final = 2 * 1024 * 1024
MAX_KEPT_FRAMES: Final = 4096
"""Frames that the client has not acknowledged, and their bytes. Audio and video stop long before; a
client with that much text takes none."""


@dataclass(slots=True)
class _Kept:
    """A frame that was sent and not acknowledged."""

    kind: FrameKind
    wire: bytes
    sent_s: float


class OutboundChannel:
    """Frames on their way to the client, from their first sending to the acknowledgment.

    Attributes:
        audio_frames: Frames of audio that are not acknowledged.
        video_frames: The same of video.
        kept_bytes: The bytes of all of them.
        round_trip_s: Between the last frame that was acknowledged and its acknowledgment, in
            seconds, without the time that the client kept it; ``None`` before the first.
    """

    def __init__(self) -> None:
        self.audio_frames = self.video_frames = self.kept_bytes = 0
        self.round_trip_s: float | None = None
        self._kept: deque[_Kept] = deque()
        self._sent = 0

    @property
    def is_full(self) -> bool:
        """True if more is kept than a client that takes anything can lack."""
        return self.kept_bytes > MAX_KEPT_BYTES or len(self._kept) > MAX_KEPT_FRAMES

    @property
    def acknowledged(self) -> int:
        """The number of the last frame that the client acknowledged."""
        return self._sent - len(self._kept)

    def send(self, kind: FrameKind, payload: bytes, now_s: float) -> bytes:
        """Numbers a frame, and keeps it.

        Returns:
            The frame as it goes over the wire.
        """
        self._sent += 1
        wire = write_frame(kind, self._sent, payload)
        self._kept.append(_Kept(kind, wire, now_s))
        self._count(kind, len(wire), 1)
        return wire

    def acknowledge(self, received: int, now_s: float, held_s: float | None = None) -> bool:
        """Removes all frames up to a number.

        Args:
            received: The number; one that was acknowledged before does nothing.
            now_s: The time.
            held_s: The seconds for which the client kept the acknowledgment; ``None`` if unknown.

        Returns:
            True if there were any.

        Raises:
            FrameError: No such frame was sent.
        """
        if received > self._sent:
            raise FrameError(f"frame {received} was acknowledged, of {self._sent} that were sent")
        count = received - self.acknowledged
        for _ in range(count):
            last = self._kept.popleft()
            self._count(last.kind, len(last.wire), -1)
            if held_s is not None:
                self.round_trip_s = max(0.0, now_s - last.sent_s - held_s)
        return count > 0

    def unacknowledged(self, now_s: float) -> list[bytes]:
        """Returns the frames that the client lacks, to be sent again over a carrier that begins."""
        for each in self._kept:
            each.sent_s = now_s
        return [each.wire for each in self._kept]

    def drop(self, kind: FrameKind) -> None:
        """Puts gaps in place of frames that are not worth sending again: their numbers must stay.

        Args:
            kind: Audio, of which a barge-in ended the reply, or video, of which the newest counts.
        """
        for number, each in enumerate(self._kept, self.acknowledged + 1):
            if each.kind == kind:
                self._count(each.kind, len(each.wire), -1)
                each.kind, each.wire = FrameKind.GAP, write_frame(FrameKind.GAP, number)
                self._count(each.kind, len(each.wire), 1)

    def _count(self, kind: FrameKind, size: int, sign: int) -> None:
        self.kept_bytes += sign * size
        if kind == FrameKind.AUDIO:
            self.audio_frames += sign
        elif kind == FrameKind.VIDEO:
            self.video_frames += sign


class InboundChannel:
    """Frames that come from the client, in their order and once each.

    Attributes:
        received: The number up to which all frames came.
        received_s: The time at which the last of them came.
    """

    def __init__(self) -> None:
        self.received = 0
        self.received_s = 0.0
        self._early: dict[int, Frame] = {}
        self._early_bytes = 0

    def take(self, frame: Frame, now_s: float) -> Iterator[Frame]:
        """Yields the frames whose turn it is, after one more came.

        Raises:
            FrameError: Too many wait for one that is missing.
        """
        if frame.kind not in NUMBERED:
            yield frame
            return
        if frame.number <= self.received or frame.number in self._early:
            return
        if frame.number > self.received + 1:
            self._keep(frame)
            return
        following: Frame | None = frame
        while following is not None:
            self.received += 1
            self.received_s = now_s
            yield following
            following = self._early.pop(self.received + 1, None)
            if following is not None:
                self._early_bytes -= HEADER.size + len(following.payload)

    def drop_early(self) -> None:
        """Drops the frames that wait for one that is missing."""
        self._early.clear()
        self._early_bytes = 0

    def _keep(self, frame: Frame) -> None:
        self._early_bytes += HEADER.size + len(frame.payload)
        ahead = frame.number - self.received
        if ahead > MAX_EARLY_FRAMES or self._early_bytes > MAX_EARLY_BYTES:
            raise FrameError(f"frame {frame.number} came, and {self.received + 1} is missing")
        self._early[frame.number] = frame
