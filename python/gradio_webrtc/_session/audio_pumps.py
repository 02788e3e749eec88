"""The two audio tasks of a session: inbound audio to ``receive``, emitted audio to the buffer.

Run on the event loop; blocking user code runs in the session's workers. Imports no transport but
its protocol.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np

from gradio_webrtc._audio import MAX_STALL_S, InboundAudio, OutboundAudio
from gradio_webrtc._handlers import AsyncStreamHandler, StreamHandler, StreamHandlerBase
from gradio_webrtc._handlers.signatures import RECEIVE_YIELDS
from gradio_webrtc._mistakes import ScaleWatch
from gradio_webrtc._transport import AudioBlock
from gradio_webrtc._turns.detector import claimed
from gradio_webrtc._workers.user_code import (
    describe_callable,
    guard,
    is_being_cancelled,
    running_task,
)
from gradio_webrtc._workers.workers import UserFunction
from gradio_webrtc.errors import AudioError, HandlerError

from .emissions import NOTHING, read_audio
from .stalls import StallTimer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from numpy.typing import NDArray

    from gradio_webrtc._transport import Detected, Transport
    from gradio_webrtc._turns.detector import InboundDetection
    from gradio_webrtc._workers.user_code import WatchedFunction
    from gradio_webrtc._workers.workers import Series, Worker
    from gradio_webrtc.types import CloseStream

    from .buffers import OutboundAudioBuffer, OutboundVideoBuffer, Written
    from .context import SessionContext
    from .emissions import AudioOutput, Emission
    from .output_queue import OutputQueue

AudioHandler: TypeAlias = StreamHandler | AsyncStreamHandler
"""A handler of audio. Whether a method of it is a coroutine function is looked up, not assumed."""

logger = logging.getLogger(__name__)

MAX_INBOUND_S: Final = 1.0
"""The longest that a frame waits for a slow ``receive``, in seconds. Beyond it the oldest are
dropped: in a conversation, audio that is a second old is of no use any more. What comes at once,
since the network or the event loop stood still, has not waited here."""

MAX_WAITING_S: Final = 6.0
"""Inbound audio that waits for ``receive`` at most, in seconds: as much as a transport may deliver
at once, and what a slow ``receive`` may have left before it."""

LATE_AFTER_S: Final = 0.2
"""The time without inbound audio after which it was held back, in seconds: by a network or an event
loop that stood still. What was held back comes at once then."""

MIN_WAITING: Final = 2
"""Frames that may wait however long each of them is."""

IDLE_WAIT_S: Final = 0.02
"""The wait after an ``emit`` that returned nothing: one frame, so it is called at most 50 times a
second."""

MAX_ROUNDS_WITHOUT_MEDIA: Final = 50
"""Rounds a second that may bring no media, as many as there are frames. Nothing else slows down a
handler that emits outputs only, or media that nobody receives."""

MEDIA_S: Final = 0.001
"""The shortest audio that counts as media, in seconds: a handler that emits single samples is
called no more often than one that emits nothing."""

FLUSH_S: Final = 0.3
"""The time between the last frame sent and the end of the session. What the network and the jitter
buffer of the client still hold is played out in it."""


class Rounds:
    """The pace of a pump: a turn of the event loop in each round, few rounds for idle handlers."""

    def __init__(self) -> None:
        self._without_media: deque[float] = deque(maxlen=MAX_ROUNDS_WITHOUT_MEDIA)

    async def end(self, *, has_media: bool, has_anything: bool = True) -> None:
        """Returns when the next round may begin, always after a turn of the event loop.

        Args:
            has_media: The round filled a buffer, whose back-pressure sets the pace.
            has_anything: The round brought outputs, at least.
        """
        if has_media:
            # The first packet leaves before the next item is computed, which may take a while.
            await asyncio.sleep(0)
            return
        now_s = asyncio.get_running_loop().time()
        wait_s = 0.0 if has_anything else IDLE_WAIT_S
        if len(self._without_media) == MAX_ROUNDS_WITHOUT_MEDIA:
            wait_s = max(wait_s, self._without_media[0] + 1.0 - now_s)
        self._without_media.append(now_s + wait_s)
        await asyncio.sleep(wait_s)


class InboundPump:
    """Passes audio of the transport to ``handler.receive``.

    While the user's turn is open, and no audio has come for `MAX_STALL_S`, silence is passed in its
    place: a client that sends nothing any more, with a key of push to talk released or a track
    removed, has its turn end as by a pause. What comes later belongs to the next turn.

    Args:
        transport: The source of the audio.
        handler: Its ``receive`` gets frames of the handler's rate, layout and frame size.
        context: Reports errors of ``receive``.
        worker: Runs a ``receive`` that is no coroutine function and may block.
        on_late: Called with the time for which audio was held back, in seconds, before ``receive``
            gets it: a handler that plays on what it receives is as late. ``None`` where nothing is
            played.

    Attributes:
        dropped_frames: Frames that ``receive`` was too slow for.
    """

    def __init__(
        self,
        transport: Transport,
        handler: AudioHandler,
        context: SessionContext,
        worker: Worker,
        on_late: Callable[[float], None] | None = None,
    ) -> None:
        self.dropped_frames = 0
        self._on_late = on_late
        self._last_s = math.inf
        self._transport = transport
        self._handler = handler
        self._context = context
        self._audio: InboundAudio | None = None
        self._detection: InboundDetection | None = None
        self._has_run = self._has_begun = False
        self._has_turns = False
        self._stall = StallTimer()
        self._last: AudioBlock | None = None
        self._format = (0, 0)
        self._rate_hz = handler.input_sample_rate
        self._receive_at_once = handler.session_receive
        self._receive_of_user = UserFunction(handler.session_receive, worker)
        self._is_light = handler.receive_is_light and not self._receive_of_user.is_async
        self._frame_s = handler.input_frame_size / handler.input_sample_rate
        # With the time at which each was queued.
        self._waiting: deque[tuple[float, NDArray[np.int16]]] = deque()
        self._most_waiting = max(MIN_WAITING, round(MAX_WAITING_S / self._frame_s))
        # Of what waits, and of what takes it: a thread, if ``receive`` blocks.
        self._lock = threading.Lock()
        self._series: Series | None = None
        self._is_receiving = False
        self._more: asyncio.Future[None] | None = None

    @property
    def backlog_s(self) -> float:
        """The length of the audio that waits for ``receive``, in seconds."""
        return len(self._waiting) * self._frame_s

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
                        frame = (self._rate_hz, self._waiting.popleft()[1])
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

    def _next_waiting(self) -> tuple[tuple[int, NDArray[np.int16]]] | None:
        """Returns the next frame, in the thread; with none left the series is over."""
        with self._lock:
            if self._waiting and self._series is not None:
                return ((self._rate_hz, self._waiting.popleft()[1]),)
            self._is_receiving = False
            return None

    def _queue(self, frame: NDArray[np.int16], now_s: float) -> None:
        """Leaves a frame to `deliver`, in the place of those that have waited for too long."""
        if now_s > self._last_s + LATE_AFTER_S and self._on_late is not None:
            self._on_late(now_s - self._last_s)
        self._last_s = now_s
        with self._lock:
            self._waiting.append((now_s, frame))
            before = len(self._waiting)
            while len(self._waiting) > MIN_WAITING and self._is_too_long(now_s):
                self._waiting.popleft()
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
        waiting = self._waiting
        return len(waiting) > self._most_waiting or now_s - waiting[0][0] > MAX_INBOUND_S

    async def send_silence(self) -> None:
        """Passes one frame of silence, which wakes a handler that waits for input."""
        channels = 2 if self._handler.expected_layout == "stereo" else 1
        silence = np.zeros((1, self._handler.input_frame_size * channels), np.int16)
        with guard(self._context.report):
            await self._receive_of_user((self._rate_hz, silence))

    def _begin(self) -> None:
        # Now, since `start_up` may decide about the rate.
        self._has_begun = True
        self._rate_hz = self._handler.input_sample_rate
        self._transport.prefer_audio(self._rate_hz, self._handler.expected_layout)
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
                self._queue(frame, now_s)
            if self._has_turns:
                # Whatever is open now: these frames may open one when they are received.
                self._note_audio(block)
            return -len(self._waiting) * self._frame_s
        for frame in frames:
            try:
                self._receive_at_once((self._rate_hz, frame))
            except Exception as error:  # noqa: BLE001 - as `guard`, without its calls
                self._context.report(error)
        if self._stall.is_running or self._handler.has_open_turn:
            self._note_audio(block)
        # The core holds up to one incomplete frame, which the handler has not received.
        return self._handler.batch_allowance_s - self._frame_s

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

    def _convert_from(self, block: AudioBlock) -> InboundAudio:
        """Takes blocks of another format from now on; what waits for a whole frame stays."""
        handler, source = self._handler, (block.rate_hz, block.channels)
        layout, frame = handler.expected_layout, handler.input_frame_size
        if self._audio is None:
            self._rate_hz = handler.input_sample_rate
            self._audio = InboundAudio(*source, self._rate_hz, layout=layout, frame_samples=frame)
        else:
            self._audio.change_to(*source, self._rate_hz, layout=layout, frame_samples=frame)
        self._format = source
        return self._audio

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


class EmitSinks(NamedTuple):
    """The destinations of what a handler emits.

    Attributes:
        audio: Takes audio.
        video: Takes video frames.
        plays: False if the client plays and shows nothing (mode "send"): media are dropped at once.
        outputs: Takes AdditionalOutputs.
        end: Ends the session, with a reason for the client.
    """

    audio: OutboundAudioBuffer
    video: OutboundVideoBuffer
    plays: bool
    outputs: OutputQueue
    end: Callable[[str], None]


class OutboundPump:
    """Passes what ``handler.emit`` returns to the audio buffer, the outputs or the session's end.

    Args:
        handler: Its ``emit`` is called again and again.
        context: Reports errors of ``emit``.
        sinks: The destinations.
        worker: Runs an ``emit`` that is no coroutine function.

    Attributes:
        emits: Number of calls of ``emit``.
    """

    def __init__(
        self,
        handler: AudioHandler,
        context: SessionContext,
        sinks: EmitSinks,
        worker: Worker,
    ) -> None:
        self.emits = 0
        self._handler = handler
        self._context = context
        self._sinks = sinks
        self._buffer = sinks.audio
        self._emit_of_user = UserFunction(handler.session_emit, worker)
        self._name = describe_callable(getattr(handler, "fn", handler.session_emit))
        self._scale = ScaleWatch(self._name)
        self._rounds = Rounds()
        self._is_over = False
        self._interruptions = 0
        self._written: Written | None = None
        ready = getattr(handler.wait_until_ready, "__func__", None)
        self._is_always_ready = ready is StreamHandlerBase.wait_until_ready
        may_repeat = self._emit_of_user.is_blocking or self._emit_of_user.on_loop is not None
        self._may_repeat = may_repeat and self._is_always_ready and self._sinks.plays

    async def run(self) -> None:
        """Calls ``emit`` whenever it may have something, until cancelled or closed by it."""
        self._is_over = False
        try:
            while not is_being_cancelled():
                if not self._is_always_ready:
                    await self._handler.wait_until_ready()
                emission, has_media, has_anything = NOTHING, False, False
                # One coroutine for each step of this loop would be resumed with every packet.
                try:
                    item = await self._next_item()
                    # Barge-in while the step ran: what it returns is of a reply that is over.
                    if item is not None and self._interruptions == self._context.interruptions:
                        emission = self._read(item)
                        has_media = await self._route(emission)
                        has_anything = True
                except Exception as error:  # noqa: BLE001 - as `guard`, without its calls
                    self._context.report(error)
                if emission.close is not None:
                    await self._close(emission.close)
                    return
                await self._rounds.end(has_media=has_media, has_anything=has_anything)
        finally:
            with self._buffer.lock:
                self._is_over = True

    def _next_item(self) -> Awaitable[Any]:
        """Calls ``emit``, again and again while its items need no more than to be queued."""
        if self._may_repeat and self._buffer.is_lent:
            if (emit := self._emit_of_user.on_loop) is not None:
                return self._emit_on_loop(emit)
            series = self._emit_of_user.series(self._begin_emit, self._play)
            self._emit_of_user.begin(series)
            return self._emit_of_user.refused_by(series)
        self._begin_emit()
        return self._emit_of_user()

    async def _emit_on_loop(self, emit: WatchedFunction) -> Any:
        """Returns the first item that is left to `run`, as a series in a thread does."""
        task = running_task()
        try:
            while not task.cancelling():
                self._begin_emit()
                suspensions = emit.suspensions
                item = await emit()
                if not self._play(item):
                    return item
                # The loop has turned where the call has waited.
                if emit.suspensions == suspensions:
                    await asyncio.sleep(0)
            return None
        finally:
            # As in `deliver`.
            del task

    def _begin_emit(self) -> tuple[()] | None:
        """Notes a call of ``emit``, on the event loop or in the thread; ``None`` at the end."""
        if self._is_over:
            return None
        self.emits += 1
        self._interruptions = self._context.interruptions
        self._written = None
        return ()

    def _play(self, item: object) -> bool:
        """Queues what comes 50 times a second; on the event loop or in the thread of ``emit``.

        Returns:
            False for anything else, and where the order or the pace is the event loop's to keep.
        """
        if type(item) is not tuple or len(item) != 2:  # noqa: PLR2004 - rate and samples
            return False
        rate, samples = item
        if type(rate) is not int or type(samples) is not np.ndarray:
            return False
        # A barge-in counts before it takes the lock to drop what is queued: it is seen here, or it
        # drops this. What ``emit`` itself did to the session comes before what it returns.
        with self._buffer.lock:
            if (
                self._is_over
                or self._interruptions != self._context.interruptions
                or self._context.acts_waiting
            ):
                return False
            try:
                self._written = written = self._buffer.write_now(rate, samples)
            except AudioError:
                # It is no audio, which the event loop finds, too, and reports.
                return False
        if samples.dtype.kind == "f":
            self._scale.look(samples)
        is_whole = written.samples == OutboundAudio.samples_per_channel(samples)
        return is_whole and written.samples >= rate * MEDIA_S

    def _read(self, item: object) -> Emission:
        try:
            return read_audio(item)
        except HandlerError as error:
            raise HandlerError(f"cannot use what {self._name} emitted: {error}") from error

    async def _route(self, emission: Emission) -> bool:
        """Passes outputs and audio on; returns True if audio was queued."""
        if emission.outputs is not None:
            self._sinks.outputs.put(emission.outputs)
        audio: AudioOutput | None = emission.media
        if audio is None or not self._sinks.plays:
            return False
        self._scale.look(audio.samples)
        try:
            queued = await self._buffer.write(*audio, written=self._written)
        except AudioError as error:
            raise HandlerError(f"cannot play what {self._name} emitted: {error}") from error
        return queued >= audio.rate_hz * MEDIA_S

    async def _close(self, close: CloseStream) -> None:
        self._buffer.end_reply()
        await self._buffer.drain()
        await self._sinks.outputs.drain()
        await asyncio.sleep(FLUSH_S)
        self._sinks.end(close.msg)
