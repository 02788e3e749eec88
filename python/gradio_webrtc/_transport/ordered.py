"""A transport over a connection that keeps order and loses nothing, such as a WebSocket.

What a client expects on the wire is up to a `Dialect`. Who carries it attaches a writer, and
delivers what comes in. Runs on the event loop; imports neither a server nor a session.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from gradio_webrtc._config import DEFAULT_CONFIG, SessionConfig
from gradio_webrtc._messages import create_ending, encode_message
from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc.errors import ConnectionLost, ConnectionTimeout
from gradio_webrtc.types import TransportStats

from .base import JITTER_BUFFER_S
from .buckets import TokenBucket
from .pacing import FRAME_S, AudioPacer
from .send_queue import SendQueue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gradio_webrtc._audio import InboundTurns
    from gradio_webrtc.types import Layout

    from .base import AudioBlock, AudioFrameSource, AudioSink, Detected, VideoFrameSource
    from .frame import TimedFrame
    from .pacing import PacedFrame
    from .send_queue import Wire

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 9.0
"""The time that a client has from the answer to its connection, as over WebRTC."""

FLUSH_TIMEOUT_S: Final = 0.5
"""The time that a client has at the end to take what is written to it: the reason is among it."""

CLOSED_BY_SERVER: Final = "closed by the server"
"""The reason of an end that the session asked for."""

AUDIO_RATE: Final = 1.5
"""Audio that may come, in seconds a second. Each second costs a resampler and a detector."""

AUDIO_AT_ONCE_S: Final = 10.0
"""Audio that may come at once: what a network held back comes all together."""

BURST_S: Final = 0.5
"""Audio that is passed on at once. A handler in a thread of its own keeps a second of it."""

CATCH_UP_RATE: Final = 8.0
"""Audio beyond that, in seconds a second: what an outage of six seconds held back is passed on in
less than one."""

CATCH_UP_STEP_S: Final = 0.02

MAX_WAITING_S: Final = 1.0
"""Audio that is kept until somebody takes it; the oldest goes. A session takes it at once."""

MIN_TEXT_BURST: Final = 100
"""Messages that a client may send at once in any case."""

Writer: TypeAlias = "Callable[[Wire], Awaitable[None]]"
"""Writes one message to the client, and returns once there is room for the next.

Raises `ConnectionLost` when there is no way to the client any more."""


class Dialect(Protocol):
    """The form in which one kind of client expects what a session sends.

    ``None`` stands for what this kind of client has no form for.
    """

    def write_audio(self, frame: PacedFrame) -> Wire | None:
        """Returns 20 ms of audio: int16 at 48 kHz, ``(1, 960 * channels)`` interleaved.

        Frames that are no audio fill a gap for clients that cannot bear one.
        """

    def write_text(self, text: str) -> Wire | None:
        """Returns a message, which is the text of a JSON object."""

    def write_clear(self) -> Wire | None:
        """Returns the request to drop the audio that was not played yet (barge-in)."""


class OrderedTransport:
    """A session's transport over an ordered connection, which is attached once it is there.

    Args:
        dialect: The form of what is written.
        config: The kinds and directions of media, and the limits.
        lead_s: Audio that is sent ahead of real time, in seconds, for a client without a jitter
            buffer; see `AudioPacer`.

    Attributes:
        heard_s: Audio that the client has confirmed as played, in seconds; ``None`` for a client
            that confirms none.
    """

    is_reliable = True

    def __init__(
        self, dialect: Dialect, config: SessionConfig = DEFAULT_CONFIG, *, lead_s: float = 0.0
    ) -> None:
        loop = asyncio.get_running_loop()
        self.on_message: Callable[[str], None] = lambda _text: None
        self.heard_s: float | None = None
        self._lead_s = lead_s
        self._dialect = dialect
        self._config = config
        self._tasks = TaskScope()
        self._connected: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[str] = loop.create_future()
        # With the reason for which the session has to end: the client may still be there, to be
        # sent the reason.
        self._over: asyncio.Future[str] = loop.create_future()
        self._queue = SendQueue()
        self._source: AudioFrameSource | None = None
        self._sink: Callable[[AudioBlock], None] | None = None
        self._waiting: deque[AudioBlock] = deque()
        self._waiting_samples = 0
        self._late: deque[AudioBlock] = deque()
        self._backlog_s = 0.0
        self._burst = TokenBucket(CATCH_UP_RATE, BURST_S)
        self._audio_budget = TokenBucket(AUDIO_RATE, AUDIO_AT_ONCE_S)
        messages = config.limits.messages_per_s
        self._text_budget = TokenBucket(messages, max(2 * messages, MIN_TEXT_BURST))
        self._last_media_s = loop.time()
        self._packets_received = self._bytes_received = 0
        self._packets_sent = self._bytes_sent = 0
        self._discarded = 0

    # The client's side

    def attach(self, write: Writer) -> None:
        """Connects the client: from now on everything is written by ``write``. Call it once."""
        if self._closed.done():
            # The session ended before its client came.
            return
        self._tasks.start(self._write(write))
        if not self._connected.done():
            self._connected.set_result(None)

    def deliver_audio(self, block: AudioBlock, size_bytes: int = 0) -> None:
        """Takes audio that came from the client.

        More than `AUDIO_RATE` in the long run is discarded, and so are packets without a sample.

        Args:
            block: The audio, decoded; of one rate and layout in all of a session.
            size_bytes: Its bytes on the wire, for the counters.
        """
        if self.admit_audio(_duration_of(block), size_bytes):
            self.pass_on(block)

    def admit_audio(self, duration_s: float, size_bytes: int) -> bool:
        """Counts a packet of audio that came; True if it is to be decoded and passed on.

        For audio that `pass_on` is to take later, or in another form.
        """
        self._note_packet(size_bytes)
        if not self._config.client_sends or not self._config.has_audio or self._closed.done():
            return False
        is_admitted = self._audio_budget.take(duration_s)
        self._discarded += not is_admitted
        return is_admitted

    def _note_packet(self, size_bytes: int) -> None:
        """Counts a packet of any media that came."""
        self._packets_received += 1
        self._bytes_received += size_bytes
        self.note_alive()

    def note_alive(self) -> None:
        """Counts as media from a client that is there, and need not send any at the moment."""
        self._last_media_s = asyncio.get_running_loop().time()

    def pass_on(self, block: AudioBlock, *, at_once: bool = False) -> None:
        """Passes admitted audio on; a long burst of it over some time, which keeps its order.

        Args:
            block: As for `deliver_audio`.
            at_once: True to pass a burst on now, however long, to a handler that can bear it.
        """
        if not block.samples.size:
            # No length of audio would ever bound the number of these.
            return
        if self._sink is None:
            self._keep(block)
        elif not at_once and (self._late or not self._takes_at_once(block)):
            # No more than `AUDIO_AT_ONCE_S` can wait here: it was admitted.
            self._late.append(block)
            if len(self._late) == 1:
                self._tasks.start(self._catch_up())
        else:
            self._sink(block)

    def deliver_text(self, text: str) -> None:
        """Takes a message that came from the client; too many or too large ones end the session."""
        most = self._config.limits.message_bytes
        if self._over.done():
            return
        if len(text) > most:
            self.give_up(f"The connection was closed: a message was larger than {most} bytes.")
        elif not self._text_budget.take():
            a_second = self._config.limits.messages_per_s
            self.give_up(f"The connection was closed: more than {a_second} messages a second.")
        else:
            self.on_message(text)

    def put(self, wire: Wire) -> None:
        """Sends a message of the dialect's own, behind what waits."""
        if not self._closed.done():
            self._put_text(wire)

    def give_up(self, reason: str) -> None:
        """Has the session end: it sends its client the reason, and closes the connection."""
        if not self._connected.done():
            self.hang_up(reason)
        elif not self._over.done():
            self._over.set_result(reason)

    def hang_up(self, reason: str = "the client left") -> None:
        """Ends the connection as the client does, with a reason to log."""
        for future in (self._closed, self._over):
            if not future.done():
                future.set_result(reason)
        if not self._connected.done():
            self._connected.set_exception(ConnectionLost(reason))
            self._connected.exception()  # nobody may be waiting, and that is fine

    # The session's side; see `Transport`

    async def connect(self) -> None:
        """Returns once a client is attached."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await asyncio.shield(self._connected)
        except TimeoutError as error:
            raise ConnectionTimeout(
                f"the client did not connect within {CONNECT_TIMEOUT_S:g} s of the answer"
            ) from error
        self._last_media_s = asyncio.get_running_loop().time()
        if self._source is not None:
            self._tasks.start(self._play(self._source))
        idle_limit_s = self._config.limits.idle_limit_s
        if idle_limit_s is not None and self._config.client_sends:
            self._tasks.start(self._end_when_idle(idle_limit_s))

    def prefer_audio(self, rate_hz: int, layout: Layout) -> None:
        """Changes nothing: blocks have the format of the client, see `Transport.prefer_audio`."""

    def keep_pauses(self) -> None:
        """Does nothing: audio carries no times; see `Transport.keep_pauses`."""

    def flush_audio(self) -> bool:
        """Does nothing: audio waits for no more of it here; see `Transport.flush_audio`."""
        return True

    def feed_turns(self, turns: InboundTurns, on_detected: Callable[[Detected], None]) -> None:
        """Leaves it to the sink; see `Transport.feed_turns`."""

    async def carry_audio(self, sink: AudioSink) -> None:
        """Delivers the client's audio, in the context of this coroutine."""
        if not self._config.client_sends or not self._config.has_audio:
            raise ConnectionLost("the client sends no audio")
        context = contextvars.copy_context()
        failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def take(block: AudioBlock) -> None:
            try:
                self._backlog_s = -context.run(sink, block)
            except Exception as error:  # noqa: BLE001 - raised from `carry_audio`
                self._sink = None
                failed.set_exception(error)

        self._sink = take
        try:
            while self._waiting and self._sink is not None:
                take(self._take_waiting())
            await asyncio.wait({failed, self._closed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._sink = None
            self._late.clear()
        if failed.done():
            failed.result()
        raise ConnectionLost(self._closed.result())

    def play_audio(self, source: AudioFrameSource) -> None:
        """Sends the frames of ``source`` once the client is there."""
        self._source = source

    async def receive_video_frame(self) -> TimedFrame:
        """Raises `ConnectionLost`: this kind of client sends no video."""
        raise ConnectionLost("the client sends no video")

    def play_video(self, source: VideoFrameSource) -> None:
        """Does nothing: this kind of client shows no video."""

    def send_text(self, text: str) -> None:
        """Sends a message, if the client has a form for it."""
        wire = None if self._closed.done() else self._dialect.write_text(text)
        if wire is not None:
            self._put_text(wire)

    def clear_audio(self) -> float:
        """Drops audio on its way, here and at the client; see `Transport.clear_audio`."""
        unplayed_s = self._unplayed_s
        self._queue.clear_audio()
        wire = None if self._closed.done() else self._dialect.write_clear()
        if wire is not None:
            self._put_text(wire)
        return unplayed_s

    def playout_delay_s(self) -> float:
        """Returns the time until the client has played what is passed on now, in seconds."""
        # A confirmation comes behind the client's own delay.
        return self._unplayed_s + (JITTER_BUFFER_S if self.heard_s is None else 0.0)

    @property
    def _unplayed_s(self) -> float:
        """The audio that the client has not played, in seconds, as far as is known."""
        return self._queue.audio_packets * FRAME_S

    def stats(self) -> TransportStats:
        """Returns the counters; a packet is 20 ms of audio."""
        return TransportStats(
            packets_received=self._packets_received,
            bytes_received=self._bytes_received,
            packets_discarded=self._discarded,
            packets_sent=self._packets_sent,
            bytes_sent=self._bytes_sent,
            heard_s=self.heard_s,
        )

    async def wait_closed(self) -> str:
        """Returns once the connection is over, or about to be, with the reason."""
        return await asyncio.shield(self._over)

    async def wait_hung_up(self) -> str:
        """Returns once nothing more is sent or taken, with the reason."""
        return await asyncio.shield(self._closed)

    async def close(self, away_s: float = 0.0) -> None:  # noqa: ARG002 - nobody comes back
        """Ends the connection, after what waits was written; safe to call twice."""
        if self._connected.done() and not self._closed.done():
            await self._flush()
        self.hang_up(CLOSED_BY_SERVER)
        await self._tasks.close()
        self._source = None
        self._waiting.clear()
        self._waiting_samples = 0

    async def _flush(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_S):
                await self._until_taken()
        except TimeoutError:
            logger.debug("a client did not take its last messages")

    async def _until_taken(self) -> None:
        """Returns once the client has taken what was sent."""
        await self._queue.wait_empty()

    def _put_text(self, wire: Wire) -> None:
        if not self._queue.put_text(wire):
            self.hang_up("the client takes no messages")

    def _takes_at_once(self, block: AudioBlock) -> bool:
        is_behind = self._backlog_s >= BURST_S
        return not is_behind and self._burst.take(min(BURST_S, _duration_of(block)))

    async def _catch_up(self) -> None:
        """Passes a burst on: quickly while the handler keeps up, and else in real time."""
        credit_s = 0.0
        while self._late:
            await asyncio.sleep(CATCH_UP_STEP_S)
            credit_s += CATCH_UP_STEP_S
            while self._late and self._sink is not None:
                duration_s = _duration_of(self._late[0])
                if self._takes_at_once(self._late[0]):
                    credit_s = 0.0
                elif credit_s >= duration_s:
                    credit_s -= duration_s
                else:
                    break
                self._sink(self._late.popleft())

    def _keep(self, block: AudioBlock) -> None:
        self._waiting.append(block)
        self._waiting_samples += _samples_of(block)
        while self._waiting_samples > MAX_WAITING_S * block.rate_hz:
            self._take_waiting()
            self._discarded += 1

    def _take_waiting(self) -> AudioBlock:
        block = self._waiting.popleft()
        self._waiting_samples -= _samples_of(block)
        return block

    async def _play(self, source: AudioFrameSource) -> None:
        pacer = AudioPacer(source, self._lead_s)
        while True:
            self._put_audio(await pacer.next_frame())

    def _put_audio(self, frame: PacedFrame) -> None:
        wire = self._dialect.write_audio(frame)
        if wire is not None:
            self._packets_sent += 1
            self._bytes_sent += len(wire)
            self._queue.put_audio(wire)

    async def _write(self, write: Writer) -> None:
        try:
            while True:
                await write(await self._queue.take())
        except ConnectionLost as error:
            self.hang_up(str(error))

    async def _end_when_idle(self, limit_s: float) -> None:
        """Ends the session of a client that is there and sends no media."""
        loop = asyncio.get_running_loop()
        left_s = limit_s
        while left_s > 0:
            await asyncio.sleep(left_s)
            left_s = self._last_media_s + limit_s - loop.time()
        reason = f"No audio or video came for {limit_s:g} seconds."
        self.send_text(encode_message(create_ending(reason)))
        await self._flush()
        self.hang_up(reason)


def _samples_of(block: AudioBlock) -> int:
    """Returns the samples of a block, per channel."""
    return block.samples.size // block.channels


def _duration_of(block: AudioBlock) -> float:
    """Returns the length of a block, in seconds."""
    return _samples_of(block) / block.rate_hz
