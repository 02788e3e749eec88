"""aiortc's sender of a track, hardened: the peer can request its answers without a limit.

Runs on the event loop, for each report that comes from the peer.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from aiortc import RTCRtpSender
from aiortc.clock import current_ntp_time
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_RTPFB_NACK,
    RTP_HISTORY_SIZE,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
)

from gradio_webrtc._transport.buckets import TokenBucket
from gradio_webrtc._transport.webrtc.audio import AudioSender

from . import names, probe
from .objects import cancel_marked
from .video_encoders import ENCODERS

if TYPE_CHECKING:
    import asyncio

    from aiortc.rtcrtpparameters import RTCRtpSendParameters
    from aiortc.rtp import AnyRtcpPacket, RtcpReceiverInfo
    from aiortc.stats import RTCStatsReport

    from gradio_webrtc._transport.webrtc.video_plan import VideoPlan

    from .fast_sender import ThreadedSender

KEYS_PER_S: Final = 2
KEY_BURST: Final = 3
"""Key frames that a peer may ask for. One is ten times as large as another frame."""

RATES_PER_S: Final = 2
RATE_BURST: Final = 4
"""Bit rates that a peer may ask for: each may need a new encoder, with a key frame."""

RESENT_SHARE: Final = 0.5
"""Packets sent again, of those sent: at a loss of more than half nothing helps."""

RESENT_BURST: Final = RTP_HISTORY_SIZE
"""As many as are kept."""

ROUND_TRIP_S: Final = (0.02, 0.5)
"""Bounds of the round-trip time, which comes from the peer's own reports (RFC 3550 section
6.4.1)."""

DEFAULT_ROUND_TRIP_S: Final = 0.1
"""Until there is a report."""

RESEND_ROUND_TRIPS: Final = 0.5
"""Round trips within which a packet is sent again once: half of one, since the reported one is an
average, and requests that come in time would be left out when the path has become shorter."""


LOST_SCALE: Final = 256
"""A share of lost packets is a fixed-point number of eight bits (RFC 3550 section 6.4.1)."""

NTP_SCALE: Final = 1 << 16
"""Times in reports are the middle 32 bits of NTP's, seconds in the upper half of them."""


SEQUENCES: Final = 1 << 16

ABS_SEND_TIME_MASK: Final = 0xFFFFFF
"""24 bits: six of seconds, eighteen below them (draft-alvestrand-rmcat-remb-03 section 3)."""

MOST_ROUND_TRIP_S: Final = 10.0
"""A longer one results from a clock that was set, or from a report that is forged."""


def encode_by(sender: RTCRtpSender, plan: VideoPlan) -> None:
    """Has a sender of video encode by a plan, before it starts; aiortc's way where it cannot."""
    if isinstance(sender, HardenedSender) and probe.has(names.VIDEO_ENCODING):
        sender.plan = plan


class HardenedSender(RTCRtpSender):
    """Stands in the place of a connection's sender: see `harden`.

    Attributes:
        plan: By which video is encoded; ``None`` for aiortc's way.
        parameters: That were negotiated, once it sends.
        red_type: The payload type of redundant audio that may be sent; ``None`` for none.
        threaded: Sends the packets in aiortc's place; ``None`` where it does not.
    """

    parameters: RTCRtpSendParameters | None = None
    red_type: int | None = None
    threaded: ThreadedSender | None = None

    def harden(self) -> None:
        """Begins. Call it once, before the sender starts."""
        self.plan: VideoPlan | None = None
        self._resends = False
        self._resent_s: dict[int, float] = {}
        self._resend_budget = float(RESENT_BURST)
        self._counted = 0
        self._keys = TokenBucket(KEYS_PER_S, KEY_BURST)
        self._rates = TokenBucket(RATES_PER_S, RATE_BURST)

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        """Begins to send; packets are sent again only where that was negotiated (RFC 4585 4.2)."""
        self.parameters = parameters
        self._resends = any(
            feedback.type == "nack" and not feedback.parameter
            for feedback in parameters.codecs[0].rtcpFeedback
        )
        make_encoder = ENCODERS.get(parameters.codecs[0].name)
        if self.plan is not None and make_encoder is not None:
            vars(self)[names.ENCODER] = make_encoder(self.plan)
        await super().send(parameters)
        # `stop` waits for the mark, however the task ended. A callback, since a coroutine around
        # aiortc's would be resumed with every packet.
        own = vars(self)
        exited: asyncio.Event = own[names.SENDER_RTP_EXITED]
        own[names.SENDER_RTP_TASK].add_done_callback(lambda _task: exited.set())

    @property
    def counts(self) -> tuple[int, int]:
        """The packets that were sent, and the bytes of their payloads; from any thread."""
        if self.threaded is not None:
            return self.threaded.counts
        own = vars(self)
        return own[names.PACKET_COUNT], own[names.OCTET_COUNT]

    @property
    def round_trip_s(self) -> float | None:
        """The time of a packet to the remote peer and back, in seconds; from any thread."""
        if self.threaded is not None and self.threaded.reports:
            return self.threaded.round_trip_s
        round_trip_s: float | None = vars(self)[names.ROUND_TRIP]
        return round_trip_s

    def end_reports(self) -> None:
        """Ends aiortc's own reports: the thread sends them."""
        own = vars(self)
        marks = own[names.SENDER_RTCP_STARTED], own[names.SENDER_RTCP_EXITED]
        cancel_marked(own[names.SENDER_RTCP_TASK], *marks)

    async def stop(self) -> None:
        """Stops it, and reports the end of the stream (RFC 3550 section 6.6)."""
        if self.threaded is not None and self.threaded.reports:
            self.threaded.send_rtcp(bytes(RtcpByePacket(sources=[self._ssrc])))
        await super().stop()

    async def getStats(self) -> RTCStatsReport:  # noqa: N802 - aiortc's name
        """Returns the statistics, with what the thread has sent."""
        self._take_counts()
        return await super().getStats()

    def _take_counts(self) -> None:
        own = vars(self)
        own[names.PACKET_COUNT], own[names.OCTET_COUNT] = self.counts

    async def _send_rtcp(self, packets: list[AnyRtcpPacket]) -> None:
        """Sends reports, with the numbers of the thread; none where that sends its own."""
        if self.threaded is not None:
            if self.threaded.reports:
                return
            now = current_ntp_time()
            info = self.threaded.sender_info(now)
            for packet in packets:
                if info is not None and isinstance(packet, RtcpSrPacket):
                    packet.sender_info = RtcpSenderInfo(now, *info)
                    # By this aiortc recognises the answer, and measures the round trip.
                    vars(self)[names.SENDER_LSR] = (now >> 16) & 0xFFFFFFFF
        await super()._send_rtcp(packets)

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        self._take_counts()
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            self._adapt(packet.reports)
        if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            if not self._resends:
                return
            del packet.lost[RTP_HISTORY_SIZE:]
            if self.threaded is not None:
                self.threaded.resend(packet.lost)
                return
        is_rate = isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP
        if not is_rate or self._rates.take():
            await super()._handle_rtcp_packet(packet)

    def _adapt(self, reports: list[RtcpReceiverInfo]) -> None:
        """Passes what is reported of our own stream to the encoder, or to the plan of video."""
        for report in reports:
            if report.ssrc != vars(self)[names.SENDER_SSRC]:
                continue
            lost = report.fraction_lost / LOST_SCALE
            if self.threaded is not None:
                if not self.threaded.reports:
                    self.threaded.report(report)
            elif isinstance(self.track, AudioSender):
                self.track.writer.adapt(lost, read_round_trip_s(report))
            elif self.plan is not None:
                self.plan.note_loss(lost)

    async def _retransmit(self, sequence_number: int) -> None:
        """Sends a packet again: once in half a round trip, and in proportion to what is sent."""
        # aiortc counts on beyond the largest number within one request.
        sequence_number %= SEQUENCES
        sent: int = vars(self)[names.PACKET_COUNT]
        earned = (sent - self._counted) * RESENT_SHARE
        self._resend_budget = min(RESENT_BURST, self._resend_budget + earned)
        self._counted = sent
        now_s = time.monotonic()
        place = sequence_number % RTP_HISTORY_SIZE
        if self._resend_budget < 1 or now_s < self._resent_s.get(place, 0) + self._resend_s():
            return
        packet = vars(self)[names.RTP_HISTORY].get(place)
        if packet is None or packet.sequence_number != sequence_number:
            return
        self._resent_s[place] = now_s
        self._resend_budget -= 1
        # The receiver estimates its bit rate by this: with the first time it looks like a jam.
        packet.extensions.abs_send_time = (current_ntp_time() >> 14) & ABS_SEND_TIME_MASK
        await super()._retransmit(sequence_number)

    def _resend_s(self) -> float:
        reported: float | None = vars(self)[names.ROUND_TRIP]
        low, high = ROUND_TRIP_S
        round_trip_s = DEFAULT_ROUND_TRIP_S if reported is None else reported
        return RESEND_ROUND_TRIPS * min(high, max(low, round_trip_s))

    def _send_keyframe(self) -> None:
        if self._keys.take():
            super()._send_keyframe()

    async def _run_rtcp(self) -> None:
        try:
            await super()._run_rtcp()
        finally:
            vars(self)[names.SENDER_RTCP_EXITED].set()


def read_round_trip_s(report: RtcpReceiverInfo) -> float | None:
    """Returns the time that our last report was under way, and this one back, in seconds.

    ``None`` where the remote peer has none of ours yet (RFC 3550 section 6.4.1), or where the times
    cannot be right.
    """
    if not report.lsr:
        return None
    now = current_ntp_time() >> 16
    round_trip = (now - report.lsr - report.dlsr) % (1 << 32)
    return round_trip / NTP_SCALE if round_trip < MOST_ROUND_TRIP_S * NTP_SCALE else None
