"""aiortc's receiver of a track, hardened: the peer can make its tables and reports grow.

Runs on the event loop; coded frames leave it for the decoder thread.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from aiortc import RTCRtpReceiver
from aiortc.rate import RateCounter
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpreceiver import NackGenerator, decoder_worker
from aiortc.rtp import RTCP_PSFB_APP, RTP_HISTORY_SIZE, RtcpPsfbPacket, RtcpRrPacket

from gradio_webrtc._transport.buckets import TokenBucket
from gradio_webrtc._workers.task_scope import TaskScope

from . import names, probe
from .decoder_queue import DecoderQueue
from .objects import become, cancel_marked
from .video_packets import VideoPackets

if TYPE_CHECKING:
    from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
    from aiortc.rtp import AnyRtcpPacket, RtpPacket

    from gradio_webrtc._limits import Limits

logger = logging.getLogger(__name__)

MAX_REPORTS: Final = 31
"""Blocks in one receiver report: their count has five bits (RFC 3550 section 6.4.1)."""

LARGEST: Final = (1 << 32) - 1
"""Of the jitter in a report (RFC 3550 section 6.4.1)."""

KEY_REQUESTS_PER_S: Final = 3
LOSS_REPORTS_PER_S: Final = 100
RATE_REPORTS_PER_S: Final = 5
"""Messages that we send back by ourselves: requests for a key frame (RFC 4585 section 6.3.1) and
for lost packets (section 6.2.1), and the bit rate that we can receive. Any packet that comes can
cause them; packets that are not requested for that reason are with the next request."""

LEAST_WAIT_S: Final = 0.005
"""Of the timer for requests, between two of which packets come that were held up on their way."""

SEQUENCES: Final = 1 << 16


class HardenedReceiver(RTCRtpReceiver):
    """Stands in the place of a connection's receiver: see `harden`.

    Attributes:
        received_bytes: The payloads of packets that came through aiortc's own way, in bytes.
        former_received: The packets of streams that gave way to a new one.
        former_lost: Those of them that never came.
    """

    def harden(self, limits: Limits) -> None:
        """Begins. Call it once, before the receiver starts.

        Args:
            limits: Of video frames.
        """
        own = vars(self)
        own[names.DECODER_QUEUE] = DecoderQueue(own[names.DECODER_ERROR], limits)
        self.received_bytes = 0
        self.former_received = 0
        self.former_lost = 0
        self._ssrc: int | None = None
        self._former: set[int] = set()
        self._key_requests = TokenBucket(KEY_REQUESTS_PER_S, KEY_REQUESTS_PER_S)
        self._loss_reports = TokenBucket(LOSS_REPORTS_PER_S, LOSS_REPORTS_PER_S)
        self._rate_reports = TokenBucket(RATE_REPORTS_PER_S, RATE_REPORTS_PER_S)
        self._due: int | None = None
        self._red_type: int | None = None
        self._parks = False
        self._reports = True
        self._harden_video(own)

    def _harden_video(self, own: dict[str, Any]) -> None:
        self._video: VideoPackets | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = TaskScope()
        if own[names.NACK_GENERATOR] is not None:
            own[names.NACK_GENERATOR] = HardenedLosses()
            if probe.has(names.VIDEO_RECEIVING):
                # It requests packets by itself.
                own[names.NACK_GENERATOR] = None
                own[names.JITTER_BUFFER] = self._video = VideoPackets()
        if (estimator := own[names.RATE_ESTIMATOR]) is not None and probe.has(names.RATE):
            become(estimator.incoming_bitrate, HardenedRateCounter)

    def accept_red(self, payload_type: int) -> None:
        """Has packets of redundant audio come to the jitter buffer, as those of other codecs do.

        Call it before the receiver starts.
        """
        self._red_type = payload_type

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Begins to receive; aiortc drops packets of codecs that are not among the parameters."""
        if self._red_type is not None:
            # Another list: the sender has this one, and would send in the codec that comes first.
            red = RTCRtpCodecParameters(
                mimeType="audio/red", clockRate=48_000, channels=2, payloadType=self._red_type
            )
            parameters.codecs = [*parameters.codecs, red]
        if not self._parks:
            await super().receive(parameters)
            return
        track: Any = self.track
        frames = getattr(track, names.QUEUE)
        vars(self)[names.DECODER_QUEUE].park(
            functools.partial(self._make_decoder, asyncio.get_running_loop(), frames),
            functools.partial(frames.put_nowait, None),
        )
        # The thread that is started now ends at once, and marks the end of whatever is here.
        setattr(track, names.QUEUE, asyncio.Queue())
        try:
            await super().receive(parameters)
        finally:
            setattr(track, names.QUEUE, frames)

    def park_decoder(self) -> None:
        """Leaves the thread out that decodes, until a packet comes that is decoded nowhere else.

        Call it before the receiver starts, for audio that is decoded by us: each session has a
        thread otherwise that does nothing.
        """
        self._parks = probe.has(names.PARKING)

    def _make_decoder(
        self, loop: asyncio.AbstractEventLoop, frames: asyncio.Queue[Any]
    ) -> threading.Thread:
        own = vars(self)
        own[names.DECODER_THREAD] = thread = threading.Thread(
            target=decoder_worker,
            name="audio-decoder",
            args=(loop, own[names.DECODER_QUEUE], frames, own[names.DECODER_ERROR]),
        )
        return thread

    @property
    def refused_frames(self) -> int:
        """The number of coded frames that were kept from the decoder."""
        waiting: DecoderQueue = vars(self)[names.DECODER_QUEUE]
        return waiting.refused

    def takes(self, packet: RtpPacket) -> bool:
        """True if a packet is of this track's stream, or of the retransmissions of it.

        A track has one stream at a time; a new one takes the place of the old one for good.
        """
        codec = vars(self)[names.CODECS].get(packet.payload_type)
        if codec is None or packet.ssrc in self._former:
            return False
        if codec.name.lower() == "rtx":
            return packet.ssrc in vars(self)[names.RTX_SSRC]
        return True

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        if packet.ssrc != self._ssrc and packet.ssrc not in vars(self)[names.RTX_SSRC]:
            self._change_stream(packet.ssrc)
        self.received_bytes += len(packet.payload)
        if self._video is not None:
            self._video.is_repair = packet.ssrc != self._ssrc
            if self._video.is_repair or self._video.buffer.is_late(packet.sequence_number):
                # Some senders leave the time of the first sending in it, which looks like a jam.
                packet.extensions.abs_send_time = None
        await super()._handle_rtp_packet(packet, arrival_time_ms)
        if self._video is not None:
            await self._go_on_with(self._video)
        if self._due is not None:
            await self._send_rtcp_pli(self._due)

    async def _go_on_with(self, video: VideoPackets) -> None:
        """Sends the requests and decodes the frames that a packet led to, or its absence."""
        now_s = time.monotonic()
        video.sort(vars(self), now_s)
        buffer = video.buffer
        if self._ssrc is not None:
            if buffer.requests_are_due(now_s) and self._loss_reports.take():
                await super()._send_rtcp_nack(self._ssrc, buffer.take_requests(now_s))
            if buffer.needs_key_frame(now_s):
                await self._send_rtcp_pli(self._ssrc)
        video.decode(vars(self))
        if video is not self._video or self._timer is not None:
            return
        if (deadline_s := buffer.deadline_s(now_s)) is not None:
            wait_s = max(LEAST_WAIT_S, deadline_s - now_s)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._wake, video)

    def _wake(self, video: VideoPackets) -> None:
        self._timer = None
        if not len(self._tasks):
            self._tasks.start(self._go_on_without_packet(video))

    async def _go_on_without_packet(self, video: VideoPackets) -> None:
        try:
            await self._go_on_with(video)
        except Exception:
            logger.exception("lost packets of video could not be requested")

    async def stop(self) -> None:
        """Ends: nothing is requested any more."""
        self._video = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tasks.cancel()
        await super().stop()

    def _change_stream(self, ssrc: int) -> None:
        """Discards the former stream, and everything that was counted for it."""
        own = vars(self)
        if self._ssrc is not None:
            self._former.add(self._ssrc)
            if (statistics := own[names.REMOTE_STREAMS].get(self._ssrc)) is not None:
                self.former_received += statistics.packets_received
                self.former_lost += max(0, statistics.packets_lost)
            for name in (names.REMOTE_STREAMS, names.ACTIVE_SSRC, names.LSR, names.LSR_TIME):
                own[name].pop(self._ssrc, None)
            if (estimator := own[names.RATE_ESTIMATOR]) is not None:
                estimator.ssrcs.pop(self._ssrc, None)
            if own[names.NACK_GENERATOR] is not None:
                own[names.NACK_GENERATOR] = HardenedLosses()
            if self._video is not None:
                self._video.restart()
        self._ssrc = ssrc

    def end_reports(self) -> None:
        """Ends aiortc's own reports: somebody else sends and numbers them."""
        self._reports = False
        own = vars(self)
        marks = own[names.RECEIVER_RTCP_STARTED], own[names.RECEIVER_RTCP_EXITED]
        cancel_marked(own[names.RECEIVER_TASK], *marks)

    async def _run_rtcp(self) -> None:
        try:
            await super()._run_rtcp()
        finally:
            # `stop` waits for it, however the reports ended.
            vars(self)[names.RECEIVER_RTCP_EXITED].set()

    async def _send_rtcp(self, packet: AnyRtcpPacket) -> None:
        if not self._reports:
            return
        if isinstance(packet, RtcpRrPacket):
            _fit(packet)
        if _is_rate_report(packet) and not self._rate_reports.take():
            return
        try:
            await super()._send_rtcp(packet)
        except Exception as error:  # a report that fails is one report less
            logger.debug("a report could not be sent", exc_info=error)

    async def _send_rtcp_pli(self, media_ssrc: int) -> None:
        self._due = None if self._key_requests.take() else media_ssrc
        if self._due is None:
            await super()._send_rtcp_pli(media_ssrc)

    async def _send_rtcp_nack(self, media_ssrc: int, lost: list[int]) -> None:
        if self._loss_reports.take():
            await super()._send_rtcp_nack(media_ssrc, lost)


class HardenedLosses(NackGenerator):
    """Finds the missing packets among the last 128 alone: no others are requested."""

    def add(self, packet: RtpPacket) -> bool:
        """Takes a packet; True if there is something new to request."""
        if self.max_seq is not None:
            gap = (packet.sequence_number - self.max_seq) % SEQUENCES
            if RTP_HISTORY_SIZE < gap < SEQUENCES // 2:
                # As if the others had come: they would be dropped at once.
                self.max_seq = (packet.sequence_number - RTP_HISTORY_SIZE - 1) % SEQUENCES
                self.missing.clear()
        return bool(super().add(packet))


class HardenedRateCounter(RateCounter):
    """Counts what came in the last second, without a step for every millisecond without."""

    def _erase_old(self, now_ms: int) -> None:
        origin = self._origin_ms
        if origin is not None and not -self._window_size < now_ms - origin < 2 * self._window_size:
            self.reset()
            self._origin_ms = now_ms
        super()._erase_old(now_ms)


def _fit(packet: RtcpRrPacket) -> None:
    """Makes a report fit its fields, whatever the peer's clock was."""
    del packet.reports[MAX_REPORTS:]
    for report in packet.reports:
        report.jitter = min(max(report.jitter, 0), LARGEST)
        report.fraction_lost = min(max(report.fraction_lost, 0), 255)


def _is_rate_report(packet: AnyRtcpPacket) -> bool:
    return isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP
