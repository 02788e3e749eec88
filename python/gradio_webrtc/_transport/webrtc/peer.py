"""The answering side of one WebRTC connection: offer, answer, trickle ICE, states, data channel.

Runs on the event loop. Uses aiortc's public interface, and `aiortc_internals` for everything else.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceCandidate,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.sdp import SessionDescription, candidate_to_sdp

from gradio_webrtc._config import DEFAULT_CONFIG, SessionConfig
from gradio_webrtc._messages import INBOUND_STATS, read_inbound_stats
from gradio_webrtc._workers.offer_queue import offer_queue
from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc.errors import ConnectionLost, ConnectionTimeout, InvalidOffer

from . import aiortc_internals as internals
from .answer import Red, read_red, state_terms
from .candidates import CandidateGate
from .foreign_logs import filter_foreign_logs
from .jitter_buffer import ReportedJitterBuffer
from .media_loop import media_loop
from .offer import explain, read_candidate
from .tracks import Tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from gradio_webrtc._audio import InboundTurns
    from gradio_webrtc._transport.base import (
        AudioFrameSource,
        AudioSink,
        Detected,
        VideoFrameSource,
    )
    from gradio_webrtc._transport.frame import TimedFrame
    from gradio_webrtc.types import Layout, TransportStats

    from .media_loop import MediaLoop
    from .offer import Offer

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 9.0
"""The time that a remote peer has from our answer to the first DTLS packet. ICE over TURN needs two
or three seconds; an offer that never connects must not hold a slot for longer."""

GATHER_TIMEOUT_S: Final = 0.5
"""The time that the answer waits for our own candidates. Host candidates take milliseconds; those
of a slow STUN or TURN server are fetched by the client afterwards."""

CHANNEL_TIMEOUT_S: Final = 0.5
"""The time that a connected remote peer has to open the data channel before audio flows without it.
The channel shows that the peer is ready: a greeting sent earlier may lose its first word. A peer
that offers no channel, as with WHEP, gets the same time to build what plays the audio."""

CLOSE_TIMEOUT_S: Final = 1.0
"""The time that aiortc has to close, before it is done piece by piece: twelve seconds after its
last packet everything of a peer is freed, `VANISHED_S` of which pass until it counts as gone."""

VANISHED_S: Final = 9.8
"""A remote peer from which nothing came for so long is gone: ICE consent (RFC 7675) would take
thirty seconds. Media come 50 times a second and more, and RTCP reports and checks of consent, every
five seconds, where there are none. A network that is back before that finds the session as it
was."""

STALLED_S: Final = 1.0
"""A timer that fires so much late has slept with its machine, and the datagrams of that time are
still to be read."""

CATCH_UP_S: Final = 2.0
"""The time that reading them may take."""

IDLE_CHECKS: Final = 6
"""The number of times that a peer's media are counted within an idle limit."""

MAX_WAITING_TEXTS: Final = 256
"""Messages kept until the data channel opens; the oldest go first."""

MAX_UNACKNOWLEDGED: Final = 8192
"""Messages, and parts of 1,160 bytes of larger ones, that a client may leave unacknowledged, and
bytes of those that wait before them. A client with more than that receives none: its session
ends."""
MAX_BUFFERED_BYTES: Final = 8 * 1024 * 1024


class PeerTransport:
    """A session's transport over WebRTC, from the answering side.

    Args:
        ice_servers: STUN and TURN servers for our own side, as in a W3C ``RTCConfiguration``.
            None are queried by default: a session then needs no network but the client's.
        config: The kinds and directions of media, and the limits. Of the idle limit up to a sixth
            more may pass.
    """

    is_reliable = False

    def __init__(
        self,
        ice_servers: Sequence[Mapping[str, Any]] = (),
        config: SessionConfig = DEFAULT_CONFIG,
    ) -> None:
        internals.offer_loopback_when_alone()
        filter_foreign_logs()
        servers = [RTCIceServer(**server) for server in ice_servers]
        self._pc = RTCPeerConnection(
            RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        internals.accept_rsa(self._pc)
        loop = asyncio.get_running_loop()
        self.on_message: Callable[[str], None] = lambda _text: None
        self._jitter_buffer = ReportedJitterBuffer()
        self._config = config
        self._tasks = TaskScope()
        # Apart from the others: a second `close` must not cancel the first.
        self._closing = TaskScope()
        self._connected: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[str] = loop.create_future()
        self._opened: asyncio.Future[None] = loop.create_future()
        self._gathering: asyncio.Task[None] | None = None
        self._last_stats: TransportStats | None = None
        self._gate = CandidateGate(config.limits)
        self._guards: list[internals.DatagramGuard] = []
        # The plane that has the sockets.
        self._media: MediaLoop | None = None
        self._tracks = Tracks(self._pc, config, self._tasks)
        # Text that is sent before the offer is read waits as well.
        self._has_channel = True
        self._channel: RTCDataChannel | None = None
        self._waiting: deque[str] = deque(maxlen=MAX_WAITING_TEXTS)
        self._dropped_texts = 0
        self._pc.on("connectionstatechange", self._on_state)
        self._pc.on("datachannel", self._on_channel)

    async def answer(self, offer: Offer, gather_s: float = GATHER_TIMEOUT_S) -> dict[str, object]:
        """Returns our answer to an offer; call it once, after `play_audio` and `play_video`.

        Args:
            offer: The offer.
            gather_s: The longest wait for our own candidates, in seconds.

        Returns:
            ``type`` and ``sdp``, and ``candidates_follow: True`` when the client should ask for
            more of our candidates with `candidates`.

        Raises:
            InvalidOffer: It asks for something that we cannot do.
            ServerBusy: No port is free for it.
        """
        self._has_channel = offer.has_channel
        if not offer.has_channel:
            self._waiting.clear()
        try:
            async with offer_queue().passing():
                answer, red = await self._make_answer(offer)
        except InvalidOffer:
            raise
        except OperationError as error:
            raise InvalidOffer(
                "cannot answer this offer: of a media section none of its codecs is known here"
            ) from error
        except (ValueError, AssertionError, KeyError, IndexError, InvalidStateError) as error:
            logger.debug("an offer cannot be answered: %s", explain(error))
            raise InvalidOffer("cannot answer this offer: its sections do not agree") from error
        self._gathering = self._tasks.start(self._pc.setLocalDescription(answer))
        done, _ = await asyncio.wait({self._gathering}, timeout=gather_s)
        if not done:
            return {
                "type": "answer",
                "sdp": state_terms(answer.sdp, red),
                "candidates_follow": True,
            }
        self._gathering.result()
        return {"type": "answer", "sdp": state_terms(self._description().sdp, red)}

    async def _make_answer(self, offer: Offer) -> tuple[RTCSessionDescription, dict[str, Red]]:
        """Returns aiortc's answer, and the redundant audio that is to be in ours."""
        await self._pc.setRemoteDescription(offer.description)
        for candidate in offer.candidates:
            await self._add(candidate)
        internals.harden(self._pc, self._finish, self._config.limits)
        media = None if self._config.has_video else media_loop()
        if internals.use_addresses(self._pc, self._config.addresses, media):
            self._media = media
        self._tracks.settle()
        answer = await self._pc.createAnswer()
        red = internals.code_inline(self._pc, answer.sdp, read_red(offer.description.sdp))
        self._tracks.prefer()
        self._guards = internals.guard_sockets(self._pc)
        return answer, red

    async def candidates(self) -> list[dict[str, object]]:
        """Returns all of our own candidates, once gathered, as W3C ``RTCIceCandidateInit``."""
        if self._gathering is None:
            return []
        await asyncio.shield(self._gathering)
        return [
            {
                "candidate": f"candidate:{candidate_to_sdp(candidate)}",
                "sdpMid": media.rtp.muxId,
                "sdpMLineIndex": index,
            }
            for index, media in enumerate(SessionDescription.parse(self._description().sdp).media)
            for candidate in media.ice_candidates
        ]

    async def add_candidate(self, candidate: object) -> None:
        """Adds a trickled candidate of the client; one that may not be checked is left out.

        The end of candidates is not passed on: a peer behind an address that is left out connects
        with checks of its own, which may come later.

        Raises:
            InvalidCandidate: It cannot be read.
        """
        parsed = read_candidate(candidate)
        if parsed is not None:
            await self._add(parsed)

    async def _add(self, candidate: RTCIceCandidate) -> None:
        if not self._gate.lets_through(candidate):
            return
        adding = self._pc.addIceCandidate(candidate)
        if not candidate.ip.endswith(".local"):
            await adding
            return
        # A second may pass until its name is resolved, or given up.
        self._tasks.start(_resolve(adding))

    async def connect(self) -> None:
        """Returns once the connection stands; see `Transport.connect`."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await asyncio.shield(self._connected)
        except TimeoutError as error:
            raise ConnectionTimeout(
                f"the remote peer did not connect within {CONNECT_TIMEOUT_S:g} s of the answer"
            ) from error
        path = internals.install_fast_path(self._pc, self._media, self._guards)
        if self._media is not None:
            secured = None if path is None else path.secured
            internals.install_fast_sender(self._pc, self._media, secured)
        await _first_of(self._opened, self._closed, timeout_s=CHANNEL_TIMEOUT_S)
        if self._guards:
            self._tasks.start(self._end_when_vanished())
        idle_limit_s = self._config.limits.idle_limit_s
        if idle_limit_s is not None and self._config.client_sends:
            self._tasks.start(self._end_when_idle(idle_limit_s))

    async def carry_audio(self, sink: AudioSink) -> None:
        """Delivers the remote peer's audio; see `Transport.carry_audio`."""
        await self._tracks.carry_audio(sink)

    async def receive_video_frame(self) -> TimedFrame:
        """Returns the newest video frame; see `Transport.receive_video_frame`."""
        return await self._tracks.receive_video_frame()

    def prefer_audio(self, rate_hz: int, layout: Layout) -> None:
        """Has audio decoded for that; see `Transport.prefer_audio`."""
        self._tracks.prefer_audio(rate_hz, layout)

    def keep_pauses(self) -> None:
        """Has gaps in timestamps be silence; see `Transport.keep_pauses`."""
        self._tracks.keep_pauses()

    def flush_audio(self) -> bool:
        """Delivers the packets that wait; see `Transport.flush_audio`."""
        return self._tracks.flush_audio()

    def feed_turns(self, turns: InboundTurns, on_detected: Callable[[Detected], None]) -> None:
        """Has turns detected off the event loop; see `Transport.feed_turns`."""
        self._tracks.feed_turns(turns, on_detected)

    def play_audio(self, source: AudioFrameSource) -> None:
        """Sends the frames of ``source``; see `Transport.play_audio`."""
        self._tracks.play_audio(source)

    def play_video(self, source: VideoFrameSource) -> None:
        """Sends the frames of ``source``; see `Transport.play_video`."""
        self._tracks.play_video(source)

    def send_text(self, text: str) -> None:
        """Sends text over the data channel; see `Transport.send_text`.

        Text for a client that offers no data channel is dropped: it would wait for ever.
        """
        if not self._has_channel:
            return
        if self._channel is None or self._channel.readyState != "open":
            self._dropped_texts += len(self._waiting) == MAX_WAITING_TEXTS
            self._waiting.append(text)
            return
        if not self._is_carried():
            return
        if (
            internals.count_unacknowledged(self._pc) > MAX_UNACKNOWLEDGED
            or self._channel.bufferedAmount > MAX_BUFFERED_BYTES
        ):
            self._finish("the client takes no messages")
            return
        self._transmit(self._channel, text)

    def clear_audio(self) -> float:
        """Drops nothing: what is sent is played within a tenth of a second."""
        return 0.0

    def playout_delay_s(self) -> float:
        """Returns half of the round trip, and what a jitter buffer holds back, in seconds."""
        return self._jitter_buffer.delay_s + (self.stats().round_trip_time_s or 0.0) / 2

    def stats(self) -> TransportStats:
        """Returns the counters of packets and frames; see `Transport.stats`."""
        if self._last_stats is not None:
            return self._last_stats
        return internals.read_counters(
            self._pc,
            frames_decoded=self._tracks.received_frames,
            frames_dropped=self._tracks.skipped_frames,
            messages_dropped=self._dropped_texts,
        )

    async def wait_closed(self) -> str:
        """Returns once the connection is over, with the reason."""
        return await asyncio.shield(self._closed)

    async def close(self, away_s: float = 0.0) -> None:  # noqa: ARG002 - nobody comes back
        """Ends the connection; safe to call twice.

        A client that has just connected gets its messages first, on a channel that is about to
        open: the reason is among them.
        """
        if self._waiting and self._pc.connectionState == "connected":
            await _first_of(self._opened, self._closed, timeout_s=CHANNEL_TIMEOUT_S)
        self._finish("closed by the server")
        self._tracks.close()
        self._tasks.cancel()
        was_connected = self._connected.exception() is None
        await internals.close(self._pc, self._closing, CLOSE_TIMEOUT_S, was_connected=was_connected)
        for each in self._guards:
            each.detach()
        try:
            self._last_stats = self.stats()
        finally:
            internals.detach(self._pc)
            # A cancelled task refers to where it was cancelled, and that to this object.
            self._gathering = None

    async def _end_when_vanished(self) -> None:
        loop = asyncio.get_running_loop()
        while (left_s := VANISHED_S - min(each.silent_s for each in self._guards)) > 0:
            due_s = loop.time() + left_s
            await asyncio.sleep(left_s)
            if loop.time() - due_s > STALLED_S:
                await asyncio.sleep(CATCH_UP_S)
        self._finish(f"the connection was lost: nothing came for {VANISHED_S:g} s")

    async def _end_when_idle(self, limit_s: float) -> None:
        """Ends the connection of a remote peer that is there and sends no media."""
        received, unchanged = -1, 0
        while unchanged < IDLE_CHECKS:
            await asyncio.sleep(limit_s / IDLE_CHECKS)
            stats = await self._pc.getStats()
            now = sum(each.packetsReceived for each in stats.values() if each.type == "inbound-rtp")
            unchanged = unchanged + 1 if now == received else 0
            received = now
        self._finish(f"No audio or video came for {limit_s:g} seconds.")

    def _is_carried(self) -> bool:
        """True if the data channel's own transport still stands.

        aiortc sends in a task of its own, whose failure would reach the log alone.
        """
        return self._pc.sctp is not None and self._pc.sctp.transport.state == "connected"

    def _description(self) -> RTCSessionDescription:
        return self._pc.localDescription

    def _on_state(self) -> None:
        state = self._pc.connectionState
        if state == "connected" and not self._connected.done():
            self._connected.set_result(None)
        elif state in ("failed", "closed"):
            self._finish("the client left" if state == "closed" else "the connection failed")

    def _finish(self, reason: str) -> None:
        if not self._closed.done():
            self._closed.set_result(reason)
        if not self._connected.done():
            self._connected.set_exception(ConnectionLost(reason))
            self._connected.exception()  # nobody may be waiting, and that is fine

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if self._channel is not None:
            return
        self._channel = channel
        if not self._opened.done():
            self._opened.set_result(None)
        channel.on("message", self._on_text)
        while self._waiting:
            self._transmit(channel, self._waiting.popleft())

    def _transmit(self, channel: RTCDataChannel, text: str) -> None:
        try:
            channel.send(text)
        except InvalidStateError:
            logger.debug("a message found the data channel closed")
        except ValueError as error:  # larger than the client takes (RFC 8841 section 6)
            logger.warning("a message is not sent: %s", error)

    def _on_text(self, text: str | bytes) -> None:
        # Where aiortc could not be hardened, nothing else has checked the size.
        if not isinstance(text, str) or len(text) > self._config.limits.message_bytes:
            return
        if not text.startswith(INBOUND_STATS):
            self.on_message(text)
        elif (report := read_inbound_stats(text)) is not None:
            self._jitter_buffer.note(*report)


async def _resolve(adding: Coroutine[Any, Any, None]) -> None:
    try:
        await adding
    except OSError as error:
        logger.debug("a machine without multicast cannot ask for names: %s", error)


async def _first_of(*futures: asyncio.Future[Any], timeout_s: float | None = None) -> None:
    """Returns once one of them is done, or the time is over; cancels none."""
    await asyncio.wait(futures, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
