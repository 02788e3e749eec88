"""The inbound audio task of a session: the client's audio to ``receive``, or to turn detection.

Runs on the event loop; a ``receive`` that blocks runs in a worker of the session. Imports no
transport but its protocol.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

from gradio_webrtc._audio import MAX_STALL_S, InboundAudio
from gradio_webrtc._handlers.signatures import RECEIVE_YIELDS
from gradio_webrtc._transport import AudioBlock
from gradio_webrtc._turns.detector import claimed
from gradio_webrtc._workers.user_code import guard, is_being_cancelled, running_task
from gradio_webrtc._workers.workers import UserFunction
from gradio_webrtc.errors import HandlerError

from .stalls import StallTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradio_webrtc._handlers import StreamHandlerImpl
    from gradio_webrtc._transport import Detected, Transport
    from gradio_webrtc._turns.detector import InboundDetection
    from gradio_webrtc._workers.workers import Series, Worker
    from gradio_webrtc.types import AudioFrame, Layout

    from .context import SessionContext

logger = logging.getLogger(__name__)

MAX_INBOUND_S: Final = 1.0
"""The longest that a frame waits for a slow ``receive``, in seconds. Beyond it the oldest are
dropped: in a conversation, audio that is a second old is of no use any more. What comes at once,
since the network or the event loop stood still, has not waited here."""

MAX_WAITING_NS: Final = 6_000_000_000
"""Inbound audio that waits for ``receive`` at most, in nanoseconds: as much as a transport may
deliver at once, and what a slow ``receive`` may have left before it."""

NO_FORMAT: Final = (0, 0)
"""The format of no block: the next one is converted as the handler is set then."""

MIN_WAITING: Final = 2
"""Frames that may wait however long each of them is."""


class InboundPump:
    """Passes audio of the transport to ``handler.receive``.

    While the user's turn is open, and no audio has come for `MAX_STALL_S`, silence is passed in its
    place: a client that sends nothing any more, with a key of push to talk released or a track
    removed, has its turn end as by a pause. What comes later belongs to the next turn.

    Args:
        transport: The source of the audio.
        handler: Its ``receive`` gets frames of the handler's rate, layout and frame size, which
            may change at any time.
        context: Reports errors of ``receive``.
        worker: Runs a ``receive`` that is no coroutine function and may block.
        on_frame: Called with the loop's time, and with the length of a frame in seconds, before
            ``receive`` gets it. ``None`` where nobody compares it with what is played.

    Attributes:
        dropped_frames: Frames that ``receive`` was too slow for.
    """

    def __init__(
        self,
        transport: Transport,
        handler: StreamHandlerImpl,
        context: SessionContext,
        worker: Worker,
        on_frame: Callable[[float, float], None] | None = None,
    ) -> None:
        self.dropped_frames = 0
        self._on_frame = on_frame
        self._transport = transport
        self._handler = handler
        self._context = context
        self._audio: InboundAudio | None = None
        self._detection: InboundDetection | None = None
        self._has_run = self._has_begun = False
        self._has_turns = False
        self._stall = StallTimer()
        self._last: AudioBlock | None = None
        self._format = NO_FORMAT
        self._preferred: tuple[int, Layout] | None = None
        self._rate_hz = 0
        self._frame_ns = 0
        self._receive_at_once = handler.session_receive
        self._receive_of_user = UserFunction(handler.session_receive, worker)
        self._is_light = handler.receive_is_light and not self._receive_of_user.is_async
        # With the time at which each was queued, and its length.
        self._waiting: deque[tuple[float, int, AudioFrame]] = deque()
        self._waiting_ns = 0
        # Of what waits, and of what takes it: a thread, if ``receive`` blocks.
        self._lock = threading.Lock()
        self._series: Series | None = None
        self._is_receiving = False
        self._more: asyncio.Future[None] | None = None

    @property
    def backlog_s(self) -> float:
        """The length of the audio that waits for ``receive``, in seconds."""
        return self._waiting_ns / 1e9

    async def run(self) -> None:
        """Takes the transport's audio until it ends; the transport never waits for the handler.

        Raises:
            ConnectionLost: The client sends no more.
            RuntimeError: It has run before: no transport carries its audio twice.
        """
        if self._has_run:
            raise RuntimeError("the task that takes the audio of the client was cancelled")
        self._has_run = True
        try:
            await self._transport.carry_audio(self._take)
        finally:
            self._stall.cancel()
            # The handler may be kept by its user.
            self._handler.session_input(None)

    async def deliver(self) -> None:
        """Passes queued frames to a ``receive`` that takes its time. Runs until cancelled."""
        if self._receive_of_user.is_blocking:
            await self._deliver_in_thread()
            return
        receive = self._receive_of_user.on_loop or self._receive_of_user
        loop, task = asyncio.get_running_loop(), running_task()
        try:
            while not task.cancelling():
                if not self._waiting:
                    # As an Event, whose every wait is a coroutine of its own.
                    self._more = loop.create_future()
                    await self._more
                while self._waiting and not task.cancelling():
                    try:
                        _, frame_ns, frame = self._waiting.popleft()
                        self._waiting_ns -= frame_ns
                        if (returned := await receive(frame)) is not None:
                            self._check_returned(returned)
                    except Exception as error:  # noqa: BLE001 - as `guard`, without its calls
                        self._context.report(error)
                    if self._waiting:
                        # A ``receive`` that never awaits would keep the loop for all that waits.
                        await asyncio.sleep(0)
        finally:
            # A cancelled task refers to its error, that to this frame, and nothing frees a cycle.
            self._more = None
            del task

    def _check_returned(self, returned: object) -> None:
        """Reports a ``receive`` that was written as an ``emit``."""
        if inspect.isgenerator(returned) or inspect.isasyncgen(returned):
            self._context.report(HandlerError(RECEIVE_YIELDS))

    async def _deliver_in_thread(self) -> None:
        """Lets `_take` pass frames to the thread, and has the loop do what is left to it."""
        try:
            while not is_being_cancelled():
                series = self._receive_of_user.series(self._next_waiting, _is_none)
                with self._lock:
                    self._series = series
                    self._is_receiving = bool(self._waiting)
                if self._is_receiving:
                    self._receive_of_user.begin(series)
                try:
                    self._check_returned(await self._receive_of_user.refused_by(series))
                except Exception as error:  # noqa: BLE001 - as `guard`, without its calls
                    self._context.report(error)
        finally:
            with self._lock:
                self._series = None

    def _next_waiting(self) -> tuple[AudioFrame] | None:
        """Returns the next frame, in the thread; with none left the series is over."""
        with self._lock:
            if self._waiting and self._series is not None:
                _, frame_ns, frame = self._waiting.popleft()
                self._waiting_ns -= frame_ns
                return (frame,)
            self._is_receiving = False
            return None

    def _queue(self, frame: AudioFrame, now_s: float) -> None:
        """Leaves a frame to `deliver`, in the place of those that have waited for too long."""
        if self._on_frame is not None:
            self._on_frame(now_s, self._frame_ns / 1e9)
        with self._lock:
            self._waiting.append((now_s, self._frame_ns, frame))
            self._waiting_ns += self._frame_ns
            before = len(self._waiting)
            while len(self._waiting) > MIN_WAITING and self._is_too_long(now_s):
                self._waiting_ns -= self._waiting.popleft()[1]
            dropped = before - len(self._waiting)
            series = None if self._is_receiving else self._series
            self._is_receiving = self._is_receiving or series is not None
        if dropped:
            self._count_dropped(dropped)
        if series is not None:
            self._receive_of_user.begin(series)
        elif self._more is not None and not self._more.done():
            self._more.set_result(None)

    def _is_too_long(self, now_s: float) -> bool:
        is_late = now_s - self._waiting[0][0] > MAX_INBOUND_S
        return is_late or self._waiting_ns > MAX_WAITING_NS

    async def send_silence(self) -> None:
        """Passes one frame of silence, which wakes a handler that waits for input."""
        handler = self._handler
        channels = 2 if handler.expected_layout == "stereo" else 1
        silence = np.zeros((1, handler.input_frame_size * channels), np.int16)
        with guard(self._context.report):
            await self._receive_of_user((handler.input_sample_rate, silence))

    def _begin(self) -> None:
        self._has_begun = True
        # First: what is set from now on is a change.
        self._handler.session_input(self._note_change)
        self._prefer(self._handler.input_sample_rate, self._handler.expected_layout)
        self._has_turns = self._handler.has_open_turn is not None
        if self._has_turns:
            self._transport.keep_pauses()
        self._detection = self._handler.session_detection() if self._is_light else None
        if self._detection is not None:
            self._transport.feed_turns(self._detection.turns, self._take_detected)

    def _take(self, block: AudioBlock) -> float:
        """Runs for every packet; see `AudioSink`."""
        if not self._has_begun:
            self._begin()
        if self._detection is not None:
            return self._detect(block, self._detection)
        audio = self._audio
        if audio is None or self._format != (block.rate_hz, block.channels):
            audio = self._convert_from(block)
        frames = audio.process(block.samples)
        if not self._is_light:
            now_s = asyncio.get_running_loop().time()
            for frame in frames:
                self._queue((self._rate_hz, frame), now_s)
            if self._has_turns:
                # Whatever is open now: these frames may open one when they are received.
                self._note_audio(block)
            return -self._waiting_ns / 1e9
        for frame in frames:
            try:
                self._receive_at_once((self._rate_hz, frame))
            except Exception as error:  # noqa: BLE001 - as `guard`, without its calls
                self._context.report(error)
        if self._stall.is_running or self._handler.has_open_turn:
            self._note_audio(block)
        # The core holds up to one incomplete frame, which the handler has not received.
        return self._handler.batch_allowance_s - self._frame_ns / 1e9

    def _detect(self, block: AudioBlock, detection: InboundDetection) -> float:
        """Passes a block to the core itself, whose events are all that Python gets."""
        turns, on_events = detection
        try:
            events, allowance_s = turns.process(*block)
            while events:
                with guard(self._context.report):
                    on_events(claimed(turns, events))
                # The frames behind: those of a reply that cannot be interrupted are skipped.
                events, allowance_s = turns.proceed()
        except Exception as error:  # noqa: BLE001 - as `guard`, without its calls
            self._context.report(error)
            return 0.0
        if self._stall.is_running or turns.is_open:
            self._note_audio(block)
        return allowance_s

    def _note_audio(self, block: AudioBlock) -> None:
        self._last = block
        self._stall.note(self)

    def may_have_open_turn(self) -> bool:
        """See `AudioTaker`."""
        # Frames that wait for ``receive`` may open one.
        return not self._is_light or bool(self._handler.has_open_turn)

    def end_open_turn(self) -> None:
        """Passes silence in the place of audio that has not come, if it could end a turn."""
        last, self._last = self._last, None
        with guard(self._context.report):
            # First what waits in the transport, which is part of the turn.
            if last is None or not self._transport.flush_audio():
                return
            if self._waiting:
                # For a slow ``receive``, which may open a turn.
                self._note_audio(last)
            elif self._handler.has_open_turn:
                self._pass_silence(last)

    def _pass_silence(self, last: AudioBlock) -> None:
        """Passes as much silence as there was no audio, in the format of the last block."""
        rate_hz, channels, _ = last
        silence = AudioBlock(rate_hz, channels, np.zeros((1, rate_hz // 50 * channels), np.int16))
        for _ in range(round(MAX_STALL_S * 50)):
            self._take(silence)
            # Other detectors get all of it: what ends a turn is theirs to decide.
            if self._detection is not None and not self._detection.turns.is_open:
                break

    def _take_detected(self, detected: Detected) -> None:
        """Takes what a transport has detected that feeds the core by itself, some time ago."""
        if self._detection is None:
            return
        with guard(self._context.report):
            if isinstance(detected, Exception):
                raise detected
            turns, on_events = self._detection
            on_events(claimed(turns, detected))

    def _note_change(self) -> None:
        """Has the next block converted as the handler is set then; from any thread."""
        self._format = NO_FORMAT

    def _convert_from(self, block: AudioBlock) -> InboundAudio:
        """Converts blocks like this to frames as the handler is set, from now on.

        What waits for a whole frame becomes part of the next one, in its format.
        """
        # First: what is set meanwhile is a change.
        self._format = source = (block.rate_hz, block.channels)
        handler = self._handler
        rate_hz, layout = handler.input_sample_rate, handler.expected_layout
        samples = handler.input_frame_size
        if self._audio is None:
            self._audio = InboundAudio(*source, rate_hz, layout=layout, frame_samples=samples)
        else:
            self._audio.change_to(*source, rate_hz, layout=layout, frame_samples=samples)
        self._rate_hz = rate_hz
        self._frame_ns = round(samples * 1e9 / rate_hz)
        self._prefer(rate_hz, layout)
        return self._audio

    def _prefer(self, rate_hz: int, layout: Layout) -> None:
        if self._preferred != (rate_hz, layout):
            self._preferred = (rate_hz, layout)
            self._transport.prefer_audio(rate_hz, layout)

    def _count_dropped(self, frames: int) -> None:
        is_first = self.dropped_frames == 0
        self.dropped_frames += frames
        if is_first:
            logger.warning(
                "receive() of %s is slower than real time: dropping the oldest audio",
                type(self._handler).__name__,
            )


def _is_none(result: object) -> bool:
    return result is None
