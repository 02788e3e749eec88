"""Reports of a remote peer on what we send: the encoder follows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender
from aiortc.clock import current_ntp_time
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtpPacket
from support.signals import chirp

from gradio_webrtc._transport.webrtc.aiortc_internals import names
from gradio_webrtc._transport.webrtc.aiortc_internals.objects import become
from gradio_webrtc._transport.webrtc.aiortc_internals.sender import (
    HardenedSender,
    encode_by,
    read_round_trip_s,
)
from gradio_webrtc._transport.webrtc.audio import AudioSender
from gradio_webrtc._transport.webrtc.video_plan import VideoPlan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SSRC = 7
FRAMES = (chirp(0.4) // 2).reshape(-1, 1, 960)


def report(ssrc: int = SSRC, lost: int = 0, round_trip_s: float | None = None) -> RtcpReceiverInfo:
    """A report whose sender waited a second before it."""
    lsr = 0
    if round_trip_s is not None:
        lsr = ((current_ntp_time() >> 16) - round((round_trip_s + 1.0) * 65_536)) % (1 << 32)
    return RtcpReceiverInfo(ssrc, lost, 0, 0, 0, lsr, dlsr=65_536)


async def packets_after(*reports: RtcpReceiverInfo) -> list[bytes]:
    """What is sent after reports of half a second, on a stream that has begun."""
    source: Any = None  # never pulled from
    track = AudioSender(source)
    track.writer.write(FRAMES[0])
    sender: Any = object.__new__(HardenedSender)
    vars(sender).update(_ssrc=SSRC, _RTCRtpSender__track=track)
    for each in reports:
        sender._adapt(RtcpRrPacket(ssrc=1, reports=[each]).reports)  # noqa: SLF001 - aiortc calls it
    return [track.writer.write(frame) for frame in FRAMES]


def is_speech_codec(packet: bytes) -> bool:
    """True for configurations below 16, which alone have copies (RFC 6716 table 2)."""
    return packet[0] >> 3 < 16


async def test_loss_turns_error_correction_on() -> None:
    assert not any(map(is_speech_codec, await packets_after(report(lost=2))))
    assert all(map(is_speech_codec, await packets_after(report(lost=26))))


async def test_a_queue_on_the_path_lowers_the_bit_rate() -> None:
    free = await packets_after(report(round_trip_s=0.04))
    narrow = await packets_after(*(report(round_trip_s=k) for k in (0.04, 0.3, 0.5)))
    assert sum(map(len, narrow)) < sum(map(len, free)) / 2


async def test_reports_on_other_streams_change_nothing() -> None:
    packets = await packets_after(report(ssrc=8, lost=128))
    assert not any(map(is_speech_codec, packets))


@pytest.mark.parametrize("round_trip_s", [0.0, 0.05, 2.5])
def test_a_round_trip_is_what_the_other_side_did_not_wait(round_trip_s: float) -> None:
    measured = read_round_trip_s(report(round_trip_s=round_trip_s))
    assert measured == pytest.approx(round_trip_s, abs=0.05)


def test_a_report_without_a_time_or_from_the_future_has_no_round_trip() -> None:
    assert read_round_trip_s(report()) is None
    assert read_round_trip_s(report(round_trip_s=-1.0)) is None
    assert read_round_trip_s(report(round_trip_s=60.0)) is None


class Plan(VideoPlan):
    """Keeps the losses that it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []

    def note_loss(self, share: float) -> None:
        self.losses.append(share)


@pytest.fixture
async def sender() -> AsyncIterator[HardenedSender]:
    """A sender of video that has not started."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    hardened = become(pc.addTransceiver("video").sender, HardenedSender)
    assert hardened is not None
    hardened.harden()
    yield hardened
    await pc.close()


async def test_the_plan_gets_the_loss_of_its_own_stream(sender: HardenedSender) -> None:
    plan = Plan()
    encode_by(sender, plan)
    own: int = sender._ssrc  # noqa: SLF001
    for ssrc, fraction in ((own, 128), (own + 1, 255), (own, 0)):
        await sender._handle_rtcp_packet(RtcpRrPacket(1, [report(ssrc, fraction)]))  # noqa: SLF001
    assert plan.losses == [0.5, 0.0]


async def test_what_is_sent_again_has_the_time_of_it(
    sender: HardenedSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    packet = RtpPacket(sequence_number=5)
    packet.extensions.abs_send_time = 0
    vars(sender)[names.RTP_HISTORY][5] = packet
    resent: list[int] = []

    async def note(_self: object, number: int) -> None:
        resent.append(number)

    monkeypatch.setattr(RTCRtpSender, "_retransmit", note)
    # aiortc reads numbers behind the wrap in this way.
    await sender._retransmit(65_536 + 5)  # noqa: SLF001 - aiortc calls it
    now = current_ntp_time() >> 14
    assert resent == [5]
    assert (now - packet.extensions.abs_send_time) % (1 << 24) < 10 << 18


async def test_without_a_plan_a_report_is_taken_as_aiortc_takes_it(sender: HardenedSender) -> None:
    await sender._handle_rtcp_packet(RtcpRrPacket(1, [report(sender._ssrc, 128)]))  # noqa: SLF001
    stats: Any = await sender.getStats()
    assert [each.fractionLost for each in stats.values() if each.type == "remote-inbound-rtp"]


async def test_a_sender_of_another_kind_is_left_to_aiortc() -> None:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    theirs = pc.addTransceiver("video").sender
    before = dict(vars(theirs))
    encode_by(theirs, VideoPlan())
    assert vars(theirs) == before
    await pc.close()
