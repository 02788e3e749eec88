"""The receiver of a track: one stream at a time, and reports that fit their fields."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from aiortc import (
    RTCCertificate,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceTransport,
    RTCRtpReceiver,
)
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTP_HISTORY_SIZE,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtpPacket,
)
from support.hostile import counted

from gradio_webrtc import Limits
from gradio_webrtc._transport.buckets import TokenBucket
from gradio_webrtc._transport.webrtc.aiortc_internals import names
from gradio_webrtc._transport.webrtc.aiortc_internals.objects import become
from gradio_webrtc._transport.webrtc.aiortc_internals.receiver import (
    KEY_REQUESTS_PER_S,
    LARGEST,
    LOSS_REPORTS_PER_S,
    MAX_REPORTS,
    RATE_REPORTS_PER_S,
    HardenedLosses,
    HardenedRateCounter,
    HardenedReceiver,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

VP8, RTX = 96, 97
SENDING = {
    "_send_rtcp": (RtcpPsfbPacket(RTCP_PSFB_APP, 1, 0), RATE_REPORTS_PER_S),
    "_send_rtcp_pli": (7, KEY_REQUESTS_PER_S),
}


def packet(ssrc: int, payload_type: int = VP8, number: int = 0) -> RtpPacket:
    return RtpPacket(payload_type, 0, number, 3000 * number, ssrc, b"payload")


@pytest.fixture
async def receiver() -> HardenedReceiver:
    """A receiver of video that has not started."""
    ice = RTCIceTransport(RTCIceGatherer(iceServers=[]))
    dtls = RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()])
    made = become(RTCRtpReceiver("video", dtls), HardenedReceiver)
    assert made is not None
    made.harden(Limits())
    codecs: dict[int, Any] = {VP8: SimpleNamespace(name="VP8"), RTX: SimpleNamespace(name="rtx")}
    vars(made)[names.CODECS] = codecs
    return made


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The reports that reach aiortc's own methods of sending."""
    passed: list[Any] = []

    async def note(_self: object, *args: Any) -> None:
        passed.append(args[0] if len(args) == 1 else args)

    for name in ("_send_rtcp", "_send_rtcp_pli", "_send_rtcp_nack"):
        monkeypatch.setattr(RTCRtpReceiver, name, note)
    return passed


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> list[RtpPacket]:
    """The packets that reach aiortc's own method."""
    passed: list[RtpPacket] = []

    async def note(_self: object, received: RtpPacket, arrival_time_ms: int) -> None:
        del arrival_time_ms
        passed.append(received)

    monkeypatch.setattr(RTCRtpReceiver, "_handle_rtp_packet", note)
    return passed


async def handle(receiver: HardenedReceiver, *packets: RtpPacket) -> None:
    for each in packets:
        await receiver._handle_rtp_packet(each, 0)  # noqa: SLF001 - aiortc's own entry


async def test_packets_of_codecs_and_retransmissions_that_were_agreed_are_taken(
    receiver: HardenedReceiver,
) -> None:
    vars(receiver)[names.RTX_SSRC][8] = 7
    assert receiver.takes(packet(7))
    assert receiver.takes(packet(8, RTX))
    assert not receiver.takes(packet(9, RTX))
    assert not receiver.takes(packet(7, 50))


async def test_a_new_stream_takes_the_place_of_the_old_one_for_good(
    receiver: HardenedReceiver, handled: list[RtpPacket]
) -> None:
    own = vars(receiver)
    await handle(receiver, packet(1))
    statistics = own[names.REMOTE_STREAMS][1] = StreamStatistics(90_000)
    for number in (0, 1, 2, 6):
        statistics.add(packet(1, number=number))
    for name in (names.ACTIVE_SSRC, names.LSR, names.LSR_TIME):
        own[name][1] = 0
    await handle(receiver, packet(2))
    assert (receiver.former_received, receiver.former_lost) == (4, 3)
    for name in (names.REMOTE_STREAMS, names.ACTIVE_SSRC, names.LSR, names.LSR_TIME):
        assert 1 not in own[name], name
    assert not receiver.takes(packet(1))
    assert receiver.takes(packet(2))
    assert len(handled) == 2
    assert receiver.received_bytes == 2 * len(b"payload")


async def test_retransmissions_do_not_change_the_stream(
    receiver: HardenedReceiver, handled: list[RtpPacket]
) -> None:
    vars(receiver)[names.RTX_SSRC][8] = 7
    await handle(receiver, packet(7), packet(8, RTX), packet(7))
    assert receiver.takes(packet(7))
    assert len(handled) == 3


@pytest.mark.parametrize("name", SENDING)
async def test_reports_that_a_peer_can_cause_have_a_rate(
    receiver: HardenedReceiver, sent: list[Any], name: str
) -> None:
    argument, most = SENDING[name]
    send: Callable[[object], Awaitable[None]] = getattr(receiver, name)
    for _ in range(10 * most):
        await send(argument)
    assert most <= len(sent) <= most + 1


async def test_requests_for_packets_have_a_rate(
    receiver: HardenedReceiver, sent: list[Any]
) -> None:
    for _ in range(10 * LOSS_REPORTS_PER_S):
        await receiver._send_rtcp_nack(7, [1])  # noqa: SLF001
    # Some milliseconds pass, in which more become due.
    assert LOSS_REPORTS_PER_S <= len(sent) < 2 * LOSS_REPORTS_PER_S


async def test_a_key_frame_that_was_not_asked_for_is_asked_for_at_the_next_packet(
    receiver: HardenedReceiver, sent: list[Any], handled: list[RtpPacket]
) -> None:
    for _ in range(10 * KEY_REQUESTS_PER_S):
        await receiver._send_rtcp_pli(7)  # noqa: SLF001
    before = len(sent)
    # Time passes.
    vars(receiver)["_key_requests"] = TokenBucket(0, 1)
    await handle(receiver, packet(7), packet(7))
    assert sent[before:] == [7]
    assert len(handled) == 2


async def test_a_missing_packet_of_video_is_requested_until_it_comes(
    receiver: HardenedReceiver, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = RTCRtpCodecParameters("video/VP8", 90_000, payloadType=VP8)
    vars(receiver)[names.CODECS] = {VP8: codec}
    now_s = 0.0
    monkeypatch.setattr(f"{HardenedReceiver.__module__}.time.monotonic", lambda: now_s)
    for number in (0, 1, 3, 4, 5, 6, 2, 7):
        now_s += 0.04
        await handle(receiver, packet(7, number=number))
    assert [each for each in sent if isinstance(each, tuple)] == [(7, [2])] * 2


async def test_a_missing_packet_of_video_is_requested_though_nothing_comes(
    receiver: HardenedReceiver, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = RTCRtpCodecParameters("video/VP8", 90_000, payloadType=VP8)
    vars(receiver)[names.CODECS] = {VP8: codec}
    requested = asyncio.Event()

    async def note(_self: object, _ssrc: int, lost: list[int]) -> None:
        sent.append(lost)
        if sent.count([2]) > 2:
            requested.set()

    monkeypatch.setattr(RTCRtpReceiver, "_send_rtcp_nack", note)
    for number in (0, 1, 3):
        await handle(receiver, packet(7, number=number))
    async with asyncio.timeout(30):
        await requested.wait()
    await receiver.stop()
    before = [*sent]
    await asyncio.sleep(0.1)
    assert sent == before


async def test_the_time_of_a_packet_that_is_sent_again_is_left_out(
    receiver: HardenedReceiver, handled: list[RtpPacket]
) -> None:
    vars(receiver)[names.RTX_SSRC][8] = 7
    packets = [packet(7), packet(8, RTX), packet(7, number=1)]
    for each in packets:
        each.extensions.abs_send_time = 5
    await handle(receiver, *packets)
    assert [each.extensions.abs_send_time for each in handled] == [5, None, 5]


async def test_a_report_fits_its_fields_whatever_the_peers_clock_was(
    receiver: HardenedReceiver, sent: list[Any]
) -> None:
    infos = [
        RtcpReceiverInfo(number, 300 - 600 * (number % 2), 0, 0, 1 << 40, 0, 0)
        for number in range(2 * MAX_REPORTS)
    ]
    infos[1].jitter = -5
    await receiver._send_rtcp(RtcpRrPacket(ssrc=1, reports=infos))  # noqa: SLF001
    [report] = sent
    assert [each.ssrc for each in report.reports] == [*range(MAX_REPORTS)]
    assert [each.jitter for each in report.reports[:3]] == [LARGEST, 0, LARGEST]
    assert [each.fraction_lost for each in report.reports[:3]] == [255, 0, 255]
    assert RtcpPacket.parse(bytes(report))


def test_few_packets_are_missing_after_a_leap_and_the_next_loss_is_found() -> None:
    losses = HardenedLosses()
    losses.add(packet(1, number=0))
    with counted(files=("aiortc/rtcrtpreceiver.py",)) as steps:
        losses.add(packet(1, number=20_000))
    assert steps.count < 20 * RTP_HISTORY_SIZE, "a step for each packet that is not asked for"
    assert len(losses.missing) <= RTP_HISTORY_SIZE
    assert min(losses.missing, default=20_000) >= 20_000 - RTP_HISTORY_SIZE
    assert losses.add(packet(1, number=20_003))
    assert {20_001, 20_002} <= losses.missing


def test_a_rate_is_that_of_the_last_second_whatever_passed_before() -> None:
    rates = HardenedRateCounter(1000)
    for now_ms in range(0, 1000, 20):
        rates.add(100, now_ms)
    assert rates.rate(1000) == pytest.approx(40_000, rel=0.05)
    rates.add(100, 1 << 40)
    assert rates.rate((1 << 40) + 1) == 100 * 8 * 1000 / 2, "100 bytes in two milliseconds"
