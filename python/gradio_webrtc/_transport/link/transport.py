"""The transport over a link: any number of carriers, one after the other, under one session.

Runs on the event loop. Who carries it opens a `Carrier`, writes what `carry` brings, and passes
what comes in to `take`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._config import DEFAULT_CONFIG, SessionConfig
from gradio_webrtc._transport.buckets import TokenBucket
from gradio_webrtc._transport.ordered import CLOSED_BY_SERVER, OrderedTransport
from gradio_webrtc._transport.pacing import FRAME_S, AudioPacer
from gradio_webrtc.errors import ConnectionLost

from .audio import make_codec
from .carrier import Carrier
from .channel import InboundChannel, OutboundChannel
from .frames import (
    NUMBERED,
    Frame,
    FrameError,
    FrameKind,
    read_ack,
    read_frames,
    write_ack,
    write_frame,
)
from .jitter import Jitter
from .video import InboundVideo, OutboundVideo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gradio_webrtc._transport.base import AudioFrameSource, VideoFrameSource
    from gradio_webrtc._transport.frame import TimedFrame
    from gradio_webrtc._transport.pacing import PacedFrame
    from gradio_webrtc.types import TransportStats

    from .audio import AudioWriter
    from .carrier import CarrierWriter
    from .request import LinkTerms

logger = logging.getLogger(__name__)

RESUME_S: Final = 6.0
"""The time that a session lives without a carrier. A telephone that goes from one network to
another takes two or three seconds."""

VANISHED_S: Final = 9.8
"""A client from which nothing came for so long is gone, as over WebRTC. It sends something every
two seconds."""

STALLED_S: Final = 1.0
"""A timer that fires so much late has slept with its machine, and what came meanwhile is still to
be read."""

CATCH_UP_S: Final = 2.0
"""The time that reading it may take."""

ACK_S: Final = 0.25
"""The longest time from a frame to its acknowledgment; a client keeps what is not acknowledged."""

SIGN_OF_LIFE_S: Final = 10.0
"""Proxies close connections over which nothing goes, after a minute mostly."""

CHUNK_BYTES: Final = 64 * 1024
"""Frames that wait go together in one message, up to this."""

MOST_AUDIO_AHEAD: Final = 100
"""Packets of audio that the client has not acknowledged: two seconds. It is behind then."""

MOST_VIDEO_AHEAD: Final = 2
"""Video frames that the client has not acknowledged."""

MAX_HELD_S: Final = 6.0
"""The time for which a handler's audio is held back while the client is away or behind, so that a
reply goes on where it was. A source that never pauses would otherwise fall further behind with
every outage; beyond this, the newest audio wins."""

MOST_FRAMES_PER_S: Final = 250
MOST_FRAMES_AT_ONCE: Final = 2000
"""Frames of a client. Audio and video are 65 a second; an outage holds back those of six
seconds."""

CARRIERS_PER_S: Final = 1.0
CARRIERS_AT_ONCE: Final = 10
"""Carriers that a client may open."""


class BrokenRules(Exception):
    """A client sent what no client of ours sends."""


class TooManyCarriers(Exception):
    """A client opens one carrier after the other."""


class LinkDialect:
    """The frames that a session sends, without their numbers: the first byte is the kind.

    Args:
        audio: Writes audio.
    """

    def __init__(self, audio: AudioWriter | None) -> None:
        self._audio = audio
        self._is_paused = True

    def write_audio(self, frame: PacedFrame) -> bytes | None:
        """Returns 20 ms of audio; at the beginning of a pause, once, an empty frame.

        Silence would be in the way: what is late by some frames would be played with holes, where
        the client's own buffer covers that. The empty frame shows that nothing is late.
        """
        if self._audio is None or (self._is_paused and not frame.is_audio):
            return None
        self._is_paused = not frame.is_audio
        payload = self._audio.write(frame.samples) if frame.is_audio else b""
        return _kinded(FrameKind.AUDIO, payload)

    def write_text(self, text: str) -> bytes:
        """Returns a message."""
        return _kinded(FrameKind.TEXT, text.encode(errors="replace"))

    def write_clear(self) -> bytes:
        """Returns the request to drop audio that was not played yet."""
        return _kinded(FrameKind.CLEAR)


class LinkTransport(OrderedTransport):
    """A session's transport over a link.

    Args:
        terms: The media that client and session have in common.
        config: The kinds and directions of media, and the limits.

    Attributes:
        on_end: Called once the session has ended the link, when its client may not have all of it.
    """

    def __init__(self, terms: LinkTerms, config: SessionConfig = DEFAULT_CONFIG) -> None:
        codec = None if terms.codec is None else make_codec(terms.codec, terms.rate_hz)
        super().__init__(LinkDialect(None if codec is None else codec[1]), config)
        self._reader = None if codec is None else codec[0]
        self._outbound = OutboundChannel()
        self._inbound = InboundChannel()
        self._carrier: Carrier | None = None
        self._carriers = TokenBucket(CARRIERS_PER_S, CARRIERS_AT_ONCE)
        self._frames = TokenBucket(MOST_FRAMES_PER_S, MOST_FRAMES_AT_ONCE)
        self._room = asyncio.Event()
        self._last_seen_s = asyncio.get_running_loop().time()
        self._resuming: asyncio.TimerHandle | None = None
        self._acknowledging: asyncio.TimerHandle | None = None
        self._owes_ack = False
        has_inbound_video = terms.has_video and config.client_sends
        self._inbound_video = InboundVideo(config.limits) if has_inbound_video else None
        self._has_video = terms.has_video
        self._outbound_video: OutboundVideo | None = None
        self._has_video_queued = False
        self._lost = 0
        self._jitter = Jitter()
        self.on_end: Callable[[LinkTransport], object] = lambda _link: None
        self._queue.on_put = self._wake
        self._closed.add_done_callback(self._note_closed)

    @property
    def is_over(self) -> bool:
        """True once the session is over, or its client has left."""
        return self._closed.done()

    @property
    def bytes_waiting(self) -> int:
        """The bytes of messages that the client does not have, as far as it is known."""
        return self._outbound.kept_bytes + self._queue.text_bytes

    # The carrier's side

    def open(self, received: int) -> Carrier:
        """Begins a carrier, which takes over from the one before it.

        After the session has ended the link, one still brings the messages that the client lacks,
        and the end: a connection that dies without a sign takes the last ones with it.

        Args:
            received: The number up to which the client has all frames.

        Raises:
            ConnectionLost: The link is over, and not by the session.
            TooManyCarriers: The client opens too many.
            BrokenRules: The client has frames that were never sent.
        """
        if self._closed.done() and self._closed.result() != CLOSED_BY_SERVER:
            raise ConnectionLost(self._closed.result())
        if not self._carriers.take():
            raise TooManyCarriers
        self._see()
        try:
            self._outbound.acknowledge(received, self._last_seen_s)
        except FrameError as error:
            raise BrokenRules(str(error)) from error
        # One that was on its way is old by now.
        self._outbound.drop(FrameKind.VIDEO)
        before, self._carrier = self._carrier, Carrier()
        if before is not None:
            before.replace()
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming = None
        if not self._connected.done():
            self._connected.set_result(None)
        if self._closed.done():
            self._carrier.hurry()
        self._room.set()
        return self._carrier

    async def carry(self, carrier: Carrier, write: CarrierWriter) -> None:
        """Writes everything to the client, until the session is over or another takes over.

        Args:
            carrier: As `open` returned it.
            write: Writes to the client.

        Raises:
            ConnectionLost: The carrier is broken.
        """
        try:
            for chunk in _chunks([self._welcome(), *self._outbound.unacknowledged(self._now_s())]):
                await carrier.write(write, chunk)
            while not carrier.is_replaced:
                if chunk := self._next_chunk():
                    await carrier.write(write, chunk)
                elif self._closed.done():
                    reason = self._closed.result().encode()
                    await carrier.write(write, write_frame(FrameKind.BYE, payload=reason))
                    return
                else:
                    carrier.news.clear()
                    await carrier.news.wait()
        finally:
            self.leave(carrier)

    def leave(self, carrier: Carrier) -> None:
        """Notes that a carrier is over: the client has `RESUME_S` for another. Safe to repeat."""
        if self._carrier is not carrier:
            return
        self._carrier = None
        if not self._closed.done():
            loop = asyncio.get_running_loop()
            reason = f"the connection was lost: the client did not come back within {RESUME_S:g} s"
            self._resuming = loop.call_later(RESUME_S, self.hang_up, reason)

    def take(self, data: bytes) -> None:
        """Takes frames of the client, by whatever carrier they came.

        Raises:
            BrokenRules: They are none, or too many. The session is over.
        """
        if self._closed.done():
            return
        self._see()
        try:
            for frame in read_frames(data):
                self._take(frame)
        except FrameError as error:
            self.hang_up(f"the client broke the rules of the link: {error}")
            raise BrokenRules(str(error)) from error

    # The session's side; see `Transport`

    async def connect(self) -> None:
        """Returns once a carrier is open."""
        await super().connect()
        self._tasks.start(self._end_when_vanished())
        self._tasks.start(self._send_signs_of_life())
        if self._inbound_video is not None:
            self._tasks.start(self._inbound_video.run())
        if self._outbound_video is not None:
            self._tasks.start(self._outbound_video.read(self._wait_for_carrier))
            self._tasks.start(self._outbound_video.send(self._wait_for_video_room, self._put_video))

    async def receive_video_frame(self) -> TimedFrame:
        """Returns the newest video frame; see `Transport.receive_video_frame`."""
        if self._inbound_video is None:
            raise ConnectionLost("the client sends no video")
        return await self._inbound_video.receive()

    def play_video(self, source: VideoFrameSource) -> None:
        """Sends the frames of ``source`` once the client is there."""
        if self._has_video:
            self._outbound_video = OutboundVideo(source)

    def clear_audio(self) -> float:
        """Drops audio on its way, here and at the client; see `Transport.clear_audio`."""
        # A client that is there has what was written to it: it acknowledges that later.
        lacking = self._outbound.audio_frames if self._carrier is None else 0
        self._outbound.drop(FrameKind.AUDIO)
        self._note_room()
        return super().clear_audio() + lacking * FRAME_S

    def playout_delay_s(self) -> float:
        """Returns what waits, half of the round trip, and the jitter buffer, in seconds."""
        lacking_s = self._outbound.audio_frames * FRAME_S if self._carrier is None else 0.0
        return super().playout_delay_s() + lacking_s + (self._outbound.round_trip_s or 0.0) / 2

    def stats(self) -> TransportStats:
        """Returns the counters; a packet is 20 ms of audio, or a video frame."""
        video = self._inbound_video
        return replace(
            super().stats(),
            packets_lost=self._lost,
            jitter_s=self._jitter.jitter_s,
            round_trip_time_s=self._outbound.round_trip_s,
            frames_decoded=0 if video is None else video.decoded,
            frames_dropped=0 if video is None else video.skipped,
            frames_refused=0 if video is None else video.refused,
        )

    async def close(self, away_s: float = 0.0) -> None:
        """Ends the connection, after what waits was written; safe to call twice."""
        await self._wait_for_return(away_s)
        await super().close()
        # Of the session, nothing is kept for a client that comes back for the reason.
        self._queue.on_put = lambda: None
        self.on_message = lambda _text: None
        self._inbound.drop_early()
        for video in (self._inbound_video, self._outbound_video):
            if video is not None:
                video.end()
        self._outbound_video = None
        for timer in (self._resuming, self._acknowledging):
            if timer is not None:
                timer.cancel()

    # Inbound

    def _take(self, frame: Frame) -> None:
        if not self._frames.take():
            raise FrameError(f"more than {MOST_FRAMES_PER_S} frames a second")
        if frame.kind in NUMBERED:
            self._acknowledge_soon(at_once=frame.kind == FrameKind.VIDEO)
        for each in self._inbound.take(frame, self._last_seen_s):
            self._dispatch(each)

    def _dispatch(self, frame: Frame) -> None:
        match frame.kind:
            case FrameKind.AUDIO:
                self._take_audio(frame.payload)
            case FrameKind.VIDEO:
                self._take_video(frame.payload)
            case FrameKind.GAP:
                self._lost += 1
            case FrameKind.TEXT:
                try:
                    self.deliver_text(frame.payload.decode())
                except UnicodeDecodeError as error:
                    raise FrameError("a message that is not UTF-8") from error
            case FrameKind.ACK:
                received, held_s = read_ack(frame.payload)
                if self._outbound.acknowledge(received, self._last_seen_s, held_s):
                    self._note_room()
            case FrameKind.BYE:
                self.hang_up()

    def _take_audio(self, payload: bytes) -> None:
        if self._reader is None:
            return
        try:
            duration_s = self._reader.duration_s(payload)
            if self.admit_audio(duration_s, len(payload)):
                for block in self._reader.read(payload):
                    self.pass_on(block)
                self._jitter.note(self._last_seen_s, duration_s)
        except FrameError as error:
            self._discarded += 1
            logger.debug("audio of a client is dropped: %s", error)

    def _take_video(self, payload: bytes) -> None:
        self._note_packet(len(payload))
        if self._inbound_video is not None and not self._closed.done():
            self._inbound_video.take(payload)

    def _see(self) -> None:
        self._last_seen_s = self._now_s()

    def _acknowledge_soon(self, *, at_once: bool = False) -> None:
        if at_once:
            self._acknowledge_now()
        elif self._acknowledging is None:
            loop = asyncio.get_running_loop()
            self._acknowledging = loop.call_later(ACK_S, self._acknowledge_now)

    def _acknowledge_now(self) -> None:
        self._owes_ack = True
        self._wake()

    # Outbound

    async def _play(self, source: AudioFrameSource) -> None:
        pacer = AudioPacer(source)
        held_s = 0.0
        while True:
            if not self._has_room() and held_s < MAX_HELD_S:
                held_s += await self._wait_for_room(MAX_HELD_S - held_s)
            frame = await pacer.next_frame()
            if not frame.is_audio:
                held_s = 0.0
            self._put_audio(frame)

    def _has_room(self) -> bool:
        ahead = self._outbound.audio_frames + self._queue.audio_packets
        return self._carrier is not None and ahead < MOST_AUDIO_AHEAD

    async def _wait_for_room(self, limit_s: float) -> float:
        """Waits until the client is there and keeps up; returns the time it took, in seconds."""
        since_s = self._now_s()
        try:
            async with asyncio.timeout(limit_s):
                while not self._has_room():
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            return limit_s
        return self._now_s() - since_s

    async def _wait_for_carrier(self) -> None:
        while self._carrier is None:
            self._room.clear()
            await self._room.wait()

    async def _wait_for_return(self, limit_s: float) -> None:
        if not self._connected.done() or self._closed.done() or self._carrier is not None:
            return
        waiting = self._tasks.start(self._wait_for_carrier())
        try:
            waited_for: set[asyncio.Future[Any]] = {waiting, self._closed}
            await asyncio.wait(waited_for, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()

    async def _wait_for_video_room(self) -> None:
        while self._has_video_queued or self._outbound.video_frames >= MOST_VIDEO_AHEAD:
            self._room.clear()
            await self._room.wait()

    def _put_video(self, payload: bytes) -> None:
        self._packets_sent += 1
        self._bytes_sent += len(payload)
        self._has_video_queued = True
        self._put_text(_kinded(FrameKind.VIDEO, payload))

    def _note_room(self) -> None:
        self._room.set()
        self._wake()

    def _next_chunk(self) -> bytes:
        """Returns frames that may go now; nothing if there are none."""
        parts, size = [], 0
        if self._owes_ack:
            parts.append(self._ack())
        while size < CHUNK_BYTES:
            with_audio = self._outbound.audio_frames < MOST_AUDIO_AHEAD
            wire: Any = self._queue.pop(with_audio=with_audio)
            if wire is None:
                break
            kind = FrameKind(wire[0])
            parts.append(self._outbound.send(kind, wire[1:], self._now_s()))
            if kind == FrameKind.VIDEO:
                self._has_video_queued = False
                self._room.set()
            size += len(wire)
        if self._outbound.is_full:
            self.hang_up("the client takes no messages")
        return b"".join(parts)

    def _ack(self) -> bytes:
        self._owes_ack = False
        if self._acknowledging is not None:
            self._acknowledging.cancel()
            self._acknowledging = None
        return write_ack(self._inbound.received, self._now_s() - self._inbound.received_s)

    def _welcome(self) -> bytes:
        greeting = json.dumps({"received": self._inbound.received})
        return write_frame(FrameKind.WELCOME, payload=greeting.encode())

    def _note_closed(self, _closed: object) -> None:
        if self._carrier is not None:
            self._carrier.hurry()
        if self._inbound_video is not None:
            self._inbound_video.end()
        on_end, self.on_end = self.on_end, lambda _link: None
        if self._closed.result() == CLOSED_BY_SERVER:
            # A client that comes back comes for the reason.
            self._outbound.drop(FrameKind.AUDIO)
            self._outbound.drop(FrameKind.VIDEO)
            on_end(self)

    def _wake(self) -> None:
        if self._carrier is not None:
            self._carrier.news.set()

    async def _end_when_vanished(self) -> None:
        while (left_s := self._last_seen_s + VANISHED_S - self._now_s()) > 0:
            due_s = self._now_s() + left_s
            await asyncio.sleep(left_s)
            if self._now_s() - due_s > STALLED_S:
                await asyncio.sleep(CATCH_UP_S)
        self.hang_up(f"the connection was lost: nothing came for {VANISHED_S:g} s")

    async def _send_signs_of_life(self) -> None:
        while True:
            await asyncio.sleep(SIGN_OF_LIFE_S)
            self._acknowledge_now()

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()


def _kinded(kind: FrameKind, payload: bytes = b"") -> bytes:
    return bytes((kind,)) + payload


def _chunks(wires: Iterable[bytes]) -> Iterator[bytes]:
    """Yields frames together, in pieces that a connection takes at once."""
    parts: list[bytes] = []
    size = 0
    for wire in wires:
        parts.append(wire)
        size += len(wire)
        if size >= CHUNK_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)
