"""The bounded buffers between a handler and the transport: one of audio, one of video.

Run on the event loop. The session fills them, the transport empties them.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from gradio_webrtc._audio import OutboundAudio
from gradio_webrtc._transport import (
    SESSION_RATE_HZ,
    VIDEO_CLOCK_HZ,
    FrameRateLimiter,
    TimedFrame,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from gradio_webrtc._transport import AudioPlayer, PlanarFrame
    from gradio_webrtc.types import Layout

logger = logging.getLogger(__name__)

MAX_BUFFERED_S: Final = 1.0
"""Audio that a handler may be ahead of real time, in seconds. Enough to ride out a garbage
collection or a slow sentence; little enough that a generator is never far ahead of what the user
has heard when the user interrupts."""

MAX_WAITING: Final = 2
"""Video frames that may wait: the one that is encoded next, and one more for the time in which a
thread waits for its turn on a busy machine."""

ROOM_TIMEOUT_S: Final = 0.5
"""The longest that the next frame waits for room, in seconds: where the transport takes none, as
with a client that has gone silent, a function still sees frames, and now and then its outputs."""

REFRESH_S: Final = 1.0
"""Time after which an unchanged frame is sent again. A client that lost it asks for a key frame,
which only a further frame can be; and a still image grows sharper with each repetition."""

MAX_REPLY_DELAYS: Final = 100
"""Replies whose delay is kept, the latest."""

REWIND_S: Final = 0.2
"""Audio that comes once more after a hold, in seconds: what a client's jitter buffer still had, and
enough of the word that was cut."""

LAST_S: Final = 1 / 30
"""The time between the last frame and its repetition."""

FINISH_TIMEOUT_S: Final = 1.0
"""The time that a transport gets for the last frames. Where the client shows none it takes none."""


class Written(NamedTuple):
    """A part of an item that is queued.

    Attributes:
        samples: Samples per channel, from the first on.
        epoch: The epoch in which they were queued.
    """

    samples: int
    epoch: int


class OutboundAudioBuffer:
    """A bounded queue from audio of any rate, type and layout to frames of 20 ms.

    Back-pressure: `write` waits while the queue is full; `pull` never waits. Every method is called
    on the event loop, except `write_now`. A transport that plays by itself has the queue lent, and
    nobody pulls then.

    The delay of a live source comes back: what it delivers late, and then all at once, is shortened
    until the queue is as short as before. A reply that is ahead of real time is played exactly. See
    `OutboundAudio.pull`.

    An announcement comes between: from `begin_interlude` to `end_interlude` what the handler has
    queued is aside, and what it writes waits. A live source has what it writes meanwhile dropped,
    which would only be late. The handler's audio and that of announcements are two timelines,
    `played_s` and `said_s`.

    Args:
        on_clear: See below.
        max_unplayed_s: The most that it returns, in seconds.

    Attributes:
        queue: The core's.
        lock: Held while audio is queued or dropped.
        epoch: Grows with every `clear`, which ends each `write` that began before it.
        on_clear: Called by every `clear` and `hold`, for audio that has left the queue and was not
            played; returns how much that is in seconds, as far as is known.
        is_held: True from `hold` to `release` or `clear`.
        is_interlude: True from `begin_interlude` to `end_interlude` or `clear`.
        reply_delays_s: Seconds from each `expect_reply` that counts to the first frame pulled after
            it, the latest `MAX_REPLY_DELAYS`.
        on_reply: Called with the event loop's time at which that frame was pulled, in seconds; also
            of one that does not count.
    """

    def __init__(
        self, on_clear: Callable[[], float] = lambda: 0.0, max_unplayed_s: float = 0.0
    ) -> None:
        self.epoch = 0
        self.lock = threading.Lock()
        self.on_clear = on_clear
        self._max_unplayed_s = max_unplayed_s
        self.is_held = False
        self.is_interlude = False
        self.reply_delays_s: deque[float] = deque(maxlen=MAX_REPLY_DELAYS)
        self.on_reply: Callable[[float], None] = ignore_time
        self._expected_since_s: float | None = None
        self._counts_reply = True
        self._accepted_s = self._announced_s = 0.0
        self._drops_late = self._ends_aside = False
        self.queue = OutboundAudio(max_buffered_s=MAX_BUFFERED_S)
        self._player: AudioPlayer | None = None
        self._ready = asyncio.Event()
        self._space = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._is_open, self._released = asyncio.Event(), asyncio.Event()
        self._is_open.set()

    @property
    def buffered_s(self) -> float:
        """The length of the queued audio, in seconds."""
        return self.queue.buffered_s + (self.queue.aside_s or 0.0)

    @property
    def waiting_s(self) -> float:
        """The part of it that is the handler's."""
        aside_s = self.queue.aside_s
        return self.queue.buffered_s if aside_s is None else aside_s

    @property
    def accepted_s(self) -> float:
        """The length of the handler's audio that was queued and not dropped, in seconds."""
        return self._accepted_s

    @property
    def announced_s(self) -> float:
        """The length of the announcements that was queued and not dropped, in seconds."""
        return self._announced_s

    @property
    def played_s(self) -> float:
        """The length of the handler's audio that was pulled, in seconds, without any padding.

        What `clear` dropped is not part of it; what was removed to shorten a delay is, as its time
        in the source has passed.
        """
        with self.lock:
            return max(0.0, self._accepted_s - self.waiting_s)

    @property
    def said_s(self) -> float:
        """The length of the announcements that was pulled, in seconds; as `played_s`."""
        with self.lock:
            waiting_s = self.queue.buffered_s if self.is_interlude else 0.0
            return max(0.0, self._announced_s - waiting_s)

    @property
    def removed_samples(self) -> int:
        """Samples per channel at 48 kHz that were removed from the delay of a live source."""
        return self.queue.removed

    @property
    def inserted_samples(self) -> int:
        """Samples per channel at 48 kHz that filled holes in the audio of a live source."""
        return self.queue.inserted

    @property
    def non_finite(self) -> int:
        """The number of samples that were NaN or infinite and became silence."""
        return self.queue.non_finite

    @property
    def is_lent(self) -> bool:
        """True if a player has the queue: `write_now` may be called."""
        return self._player is not None

    def write_now(self, rate_hz: int, samples: object) -> Written:
        """Queues as much audio as there is room for, in a queue that is lent; none in an interlude.

        Any thread; the thread holds `lock`.

        Args:
            rate_hz: As with `write`.
            samples: As with `write`, of a shape that is not ambiguous.

        Raises:
            AudioError: It is no audio; nothing of it was queued.
        """
        accepted = 0 if self.is_interlude else self.queue.push(rate_hz, samples)
        self._accepted_s += accepted / rate_hz
        return Written(accepted, self.epoch)

    async def write(
        self,
        rate_hz: int,
        samples: object,
        layout: Layout | None = None,
        written: Written | None = None,
    ) -> int:
        """Queues audio, and waits for space as often as it must.

        Args:
            rate_hz: Sample rate, 8,000 to 192,000 Hz; may differ from one item to the next.
            samples: int16 full scale or float from -1 to 1; ``(n,)``, ``(1, n)``, planar
                ``(2, n)``, or packed ``(1, 2 * n)`` with ``layout="stereo"``.
            layout: One channel or two, where the shape is ambiguous.
            written: The part that `write_now` has queued.

        Returns:
            The number of samples per channel that were queued; less than there are if `clear`
            dropped the rest.

        Raises:
            AudioError: It is no audio; nothing of it was queued.
        """
        total = OutboundAudio.samples_per_channel(samples, layout)
        taken, epoch = written or (0, self.epoch)
        while taken < total and epoch == self.epoch:
            if self.is_interlude:
                if self._drops_late:
                    return total
                await self._is_open.wait()
                continue
            with self.lock:
                accepted = self.queue.push(rate_hz, samples, layout=layout, offset=taken)
                self._accepted_s += accepted / rate_hz
            taken += accepted
            self._note_queued()
            if taken < total:
                await self._wait_for_space()
        return taken

    async def announce(self, rate_hz: int, samples: object, layout: Layout | None = None) -> None:
        """Queues audio of an announcement in an interlude; returns early at the end of that.

        The arguments and errors are those of `write`.
        """
        total, taken = OutboundAudio.samples_per_channel(samples, layout), 0
        epoch = self.epoch
        while taken < total and self.is_interlude and epoch == self.epoch:
            with self.lock:
                accepted = self.queue.push(rate_hz, samples, layout=layout, offset=taken)
                self._announced_s += accepted / rate_hz
            taken += accepted
            self._note_queued()
            if taken < total:
                await self._wait_for_space()

    def end_announcement(self) -> None:
        """Pads the last partial frame of an announcement, so that it is sent."""
        if self.is_interlude:
            self.queue.end()
            if self.queue.buffered_s > 0:
                self._note_queued()

    async def begin_interlude(self) -> None:
        """Puts the handler's audio aside, once no hold is under way: what follows is announced."""
        await self.until_released()
        self.open_interlude()

    def open_interlude(self) -> None:
        """Puts the handler's audio aside, unless it is already, or a hold is under way."""
        if self.is_interlude or self.is_held:
            return
        with self.lock:
            self._drops_late = self.queue.set_aside()
            self.is_interlude = True
        self._ends_aside = False
        self._is_open.clear()
        self._note_taken()

    async def end_interlude(self) -> None:
        """Plays what is announced to its end, and then the handler's audio again."""
        epoch = self.epoch
        self.end_announcement()
        await self._drain_queue()
        if epoch != self.epoch or not self.is_interlude:
            return
        with self.lock:
            self.queue.take_back()
            self.is_interlude = False
        if self._ends_aside:
            self.queue.end()
        if self.queue.buffered_s > 0:
            self._note_queued()
        self._is_open.set()

    def echo_score(self, rate_hz: int, received: NDArray[np.int16]) -> float:
        """Returns how much received audio resembles what was pulled last; any thread.

        Args:
            rate_hz: Its rate, in Hz.
            received: int16 ``(1, n)`` up to now, of which the last 0.5 s count.

        Returns:
            0 to 1; an echo from `ECHO_SCORE` on.
        """
        return self.queue.echo_score(rate_hz, received)

    def expect_reply(self, *, counts: bool = True) -> None:
        """Measures the time from now to the next frame, for `on_reply`.

        Args:
            counts: False to leave it out of `reply_delays_s`.
        """
        self._counts_reply = counts
        self._expected_since_s = asyncio.get_running_loop().time()
        if self._player is not None:
            self._player.expect_reply()

    def end_reply(self) -> None:
        """Pads the last partial frame of a reply, so that it is sent."""
        if self.is_interlude:
            self._ends_aside = True
            return
        self.queue.end()
        if self._player is None and self.queue.buffered_s > 0 and not self.is_held:
            self._ready.set()

    def allow_holds(self) -> None:
        """Keeps what `hold` needs of what was played, from now on."""
        self.queue.keep_pulled(REWIND_S + self._max_unplayed_s)

    def hold(self) -> None:
        """Stops playing at once, and keeps everything; a `write` still waits for space."""
        if self.is_held:
            return
        self.is_held = True
        with self.lock:
            self.queue.hold(REWIND_S, self.on_clear())
        self._ready.clear()

    def release(self) -> None:
        """Goes on `REWIND_S` before what the client has played, if it is held."""
        if not self.is_held:
            return
        self.is_held = False
        with self.lock:
            self.queue.release()
        self._released.set()
        if self.queue.buffered_s > 0:
            self._note_queued()

    def clear(self) -> float:
        """Drops all queued audio, and ends a hold and every `write` that waits (barge-in).

        Returns:
            The audio that the client had and did not play, in seconds, as far as is known.
        """
        self.is_held = False
        with self.lock:
            self.epoch += 1
            aside_s = self.queue.aside_s
            # A player may take a frame at any time: what it took was played.
            dropped_s = self.queue.clear() / SESSION_RATE_HZ
            if self.is_interlude:
                self._announced_s -= dropped_s
            self._accepted_s -= dropped_s if aside_s is None else aside_s
            self.is_interlude = False
        unplayed_s = self.on_clear()
        self._is_open.set()
        self._released.set()
        self._note_taken()
        return unplayed_s

    def pull(self, *, partial: bool = False) -> NDArray[np.int16] | None:
        """Returns the next 20 ms, int16 ``(1, 960 * channels)``; see `AudioFrameSource.pull`."""
        frame = self.queue.pull(partial=partial)
        if frame is not None:
            if self._expected_since_s is not None:
                now_s = asyncio.get_running_loop().time()
                self._note_reply(now_s - self._expected_since_s)
            # As `_note_taken`, without a call for each packet.
            self._space.set()
            if self.queue.buffered_s <= 0:
                self._ready.clear()
                self._drained.set()
        return frame

    def pull_early(self) -> NDArray[np.int16] | None:
        """Returns the next 20 ms before they are due; see `AudioFrameSource.pull_early`."""
        return self.pull() if self.queue.is_ahead else None

    async def wait_ready(self) -> None:
        """Returns once there is audio to send."""
        if self._ready.is_set():
            return
        loop = asyncio.get_running_loop()
        since_s = loop.time()
        await self._ready.wait()
        self.queue.note_idle(loop.time() - since_s)

    async def drain(self) -> None:
        """Returns once everything written so far was pulled."""
        while True:
            await self._is_open.wait()
            await self._drain_queue()
            if not self.is_interlude:
                return

    async def until_moving(self) -> bool:
        """Returns once the handler's audio is neither held nor aside; True if it was."""
        was_waiting = False
        while self.is_held or self.is_interlude:
            was_waiting = True
            await (self._is_open.wait() if self.is_interlude else self.until_released())
        return was_waiting

    async def until_released(self) -> bool:
        """Returns once there is no hold; True if there was one."""
        was_held = self.is_held
        while self.is_held:
            self._released.clear()
            await self._released.wait()
        return was_held

    async def drain_announcement(self) -> None:
        """Returns once everything queued in the interlude was pulled, or that is over."""
        await self._drain_queue()

    async def _drain_queue(self) -> None:
        while self._player is not None and self.queue.buffered_s > 0:
            self._space.clear()
            self._player.notify_drained()
            # Now, since it may have become empty before that was requested.
            if self.queue.buffered_s > 0:
                await self._space.wait()
        await self._drained.wait()

    def lend(self, player: AudioPlayer) -> bool:
        """Leaves the queue to a player; see `QueuedAudioSource.lend`."""
        if self._ready.is_set():
            return False
        self._player = player
        return True

    def note_sent(self, reply_delay_s: float | None) -> None:
        """Takes a note of the player; see `QueuedAudioSource.note_sent`."""
        if reply_delay_s is not None:
            self._note_reply(reply_delay_s)
        self._space.set()

    def _note_reply(self, delay_s: float) -> None:
        since_s, self._expected_since_s = self._expected_since_s, None
        if self._counts_reply:
            self.reply_delays_s.append(delay_s)
        if since_s is not None:
            self.on_reply(since_s + delay_s)

    def _note_queued(self) -> None:
        if self._player is None:
            self._drained.clear()
            if not self.is_held:
                self._ready.set()

    async def _wait_for_space(self) -> None:
        self._space.clear()
        if self._player is not None:
            self._player.notify_room()
        await self._space.wait()

    def _note_taken(self) -> None:
        self._space.set()
        if self.queue.buffered_s <= 0:
            self._ready.clear()
            self._drained.set()


def ignore_time(_time_s: float) -> None:
    """Stands for an `OutboundAudioBuffer.on_reply` that nobody has set."""


class OutboundVideoBuffer:
    """Room for `MAX_WAITING` frames between a handler and the transport. Runs on the event loop.

    Attributes:
        replaced: Frames that were never sent, since a newer one took their place.
        last: The newest frame, sent or not.
    """

    def __init__(self) -> None:
        self.replaced = 0
        self.last: PlanarFrame | None = None
        self._waiting: deque[TimedFrame] = deque()
        self._pts = -1
        self._rate = FrameRateLimiter(math.inf)
        self._is_read = False
        self._ready = asyncio.Event()
        self._taken = asyncio.Event()
        self._taken.set()
        self._room = asyncio.Event()
        self._room.set()

    def show(self, pts: int, frame: PlanarFrame) -> None:
        """Adds a frame; the oldest that waits gives way where there is no room."""
        if len(self._waiting) == MAX_WAITING:
            self.replaced += 1
            self._waiting.popleft()
        self.last = frame
        self._waiting.append(TimedFrame(pts, frame))
        self._taken.clear()
        self._ready.set()
        if len(self._waiting) == MAX_WAITING:
            self._room.clear()

    async def put(self, pts: int, frame: PlanarFrame) -> None:
        """Waits until the frame before was sent: every frame of a recording counts.

        Those beyond the rate of `limit_fps` are left out, and waited for by nobody.
        """
        if self.admits(pts):
            await self.drain()
            self.show(pts, frame)

    def limit_fps(self, fps: float) -> None:
        """Sets the frames a second that are sent at most; infinite for all there are."""
        self._rate = FrameRateLimiter(fps)

    def admits(self, pts: int) -> bool:
        """True if a frame of this time is within the rate; ask once for each frame."""
        return self._rate.admits(pts)

    async def wait_for_room(self) -> None:
        """Returns once a frame would take no other's place.

        Does not wait while nobody reads, nor longer than `ROOM_TIMEOUT_S`.
        """
        if self._room.is_set() or not self._is_read:
            return
        try:
            async with asyncio.timeout(ROOM_TIMEOUT_S):
                await self._room.wait()
        except TimeoutError:
            logger.debug("the transport takes no video frames at the moment")

    async def drain(self) -> None:
        """Returns once the transport has taken all frames that wait."""
        await self._taken.wait()

    async def finish(self) -> None:
        """Sends the last frame twice and drains; gives up after `FINISH_TIMEOUT_S`.

        Some receivers (aiortc) complete a frame only when the next one begins.
        """
        try:
            async with asyncio.timeout(FINISH_TIMEOUT_S):
                await self.drain()
                if self.last is not None:
                    self.show(self._pts + round(LAST_S * VIDEO_CLOCK_HZ), self.last)
                    await self.drain()
        except TimeoutError:
            logger.debug("the transport takes no more video frames")

    async def next_frame(self) -> TimedFrame:
        """Waits for the next frame; returns the last one again after `REFRESH_S` without."""
        self._is_read = True
        try:
            async with asyncio.timeout(None if self.last is None else REFRESH_S):
                await self._ready.wait()
        except TimeoutError:
            pass
        due = self._waiting.popleft() if self._waiting else None
        self._room.set()
        if not self._waiting:
            self._ready.clear()
            self._taken.set()
        if due is None and self.last is not None:
            due = TimedFrame(self._pts + round(REFRESH_S * VIDEO_CLOCK_HZ), self.last)
        if due is None:
            return await self.next_frame()
        # A clock that stands still or runs back would freeze the video at the client.
        self._pts = max(due.pts, self._pts + 1)
        return TimedFrame(self._pts, due.frame)
