"""A connected client sends RTP and RTCP that no page would send."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest
from aiortc.rtp import (
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtpPacket,
    pack_remb_fci,
    pack_rtcp_packet,
)
from support.hostile import Hostile, attacked, serve_echo

from gradio_webrtc._transport.webrtc.media_loop import SWITCH

if TYPE_CHECKING:
    from support.serving import SessionServer

pytestmark = pytest.mark.network

NACK, PLI, APPLICATION = 1, 1, 15


def receiver_of(hostile: Hostile) -> Any:
    return hostile.server.getTransceivers()[0].receiver


def sender_of(hostile: Hostile) -> Any:
    return hostile.server.getTransceivers()[0].sender


def sent(hostile: Hostile) -> int:
    """Packets that the server has sent to this client."""
    return int(vars(sender_of(hostile).transport)["_RTCDtlsTransport__tx_packets"])


async def until_reported(hostile: Hostile) -> None:
    """Returns once the server has sent this client another report: it goes on with them."""
    stats: Any = vars(hostile.pc.getReceivers()[0])["_RTCRtpReceiver__stats"]

    def newest() -> Any:
        found = [each for each in stats.values() if each.type == "remote-outbound-rtp"]
        return [each.timestamp for each in found]

    before = newest()
    await hostile.until(lambda: newest() != before)


async def test_three_hundred_streams_are_one_stream_and_the_session_can_be_closed() -> None:
    async with attacked() as (hostile, _):
        for ssrc in range(1000, 1300):
            kind = hostile.payload_type("opus")
            packet = RtpPacket(kind, 0, 1, 960, ssrc, b"\xf8\xff\xfe")
            await hostile.send_media(packet.serialize())
        await hostile.settle()
        receiver = receiver_of(hostile)
        assert len(vars(receiver)["_RTCRtpReceiver__remote_streams"]) <= 1
        assert len(receiver.transport._rtp_router.ssrc_table) <= 9
        assert len(receiver.getSynchronizationSources()) <= 1


async def test_lost_audio_packets_are_not_sent_again() -> None:
    async with attacked() as (hostile, _):
        before = sent(hostile)
        kept = vars(sender_of(hostile))["_RTCRtpSender__rtp_history"].values()
        for _ in range(100):
            packet = RtcpRtpfbPacket(NACK, 1, sender_of(hostile)._ssrc)
            packet.lost = sorted(each.sequence_number for each in kept)
            await hostile.send_media(bytes(packet))
        await hostile.settle()
        assert sent(hostile) - before < 100


async def test_goodbyes_and_names_of_others_end_nobody_and_cost_little() -> None:
    async with attacked() as (hostile, _):
        names = b"".join(
            struct.pack("!LBB", ssrc, 1, 200) + bytes(200) + bytes(2) for ssrc in range(5)
        )
        for number in range(300):
            sources = [number * 31 + place for place in range(31)]
            await hostile.send_media(bytes(RtcpByePacket(sources=sources)))
            await hostile.send_media(pack_rtcp_packet(202, 5, names))
            # One that names more than it holds.
            await hostile.send_media(pack_rtcp_packet(202, 31, struct.pack("!LBBH", 1, 1, 255, 0)))
            if number % 30 == 0:
                await hostile.settle()  # a socket holds some 300 of them
        await hostile.settle()
        received = len(hostile.audio_frames)
        await hostile.until(lambda: len(hostile.audio_frames) > received + 10)
        await until_reported(hostile)


async def test_the_time_stamps_of_packets_may_be_anything() -> None:
    """Time stamps that alternate make a jitter that fits no report."""
    async with attacked() as (hostile, _):
        kind = hostile.payload_type("opus")
        for number in range(200):
            stamp = number % 2 * ((1 << 32) - 1)
            packet = RtpPacket(kind, 0, number, stamp, 4711, b"\xf8\xff\xfe")
            await hostile.send_media(packet.serialize())
        await hostile.settle()
        await until_reported(hostile)


async def test_numbers_beyond_their_fields_end_no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of aiortc's reports; the core's numbers have the size of their fields."""
    monkeypatch.setenv(SWITCH, "off")
    async with attacked() as (hostile, _):
        receiver = receiver_of(hostile)
        sent_before = sent(hostile)
        report = RtcpRrPacket(ssrc=1)
        report.reports = [
            RtcpReceiverInfo(
                ssrc=ssrc,
                fraction_lost=999,
                packets_lost=(1 << 23) - 1,
                highest_sequence=0,
                jitter=1 << 60,
                lsr=0,
                dlsr=0,
            )
            for ssrc in range(99)
        ]
        await receiver._send_rtcp(report)
        assert sent(hostile) > sent_before, "a report goes out"
        assert not vars(receiver)["_RTCRtpReceiver__rtcp_exited"].is_set()


async def test_what_a_report_lies_about_its_own_length_ends_no_session() -> None:
    async with attacked() as (hostile, _):
        for count in (0, 1, 255):
            fci = b"REMB" + bytes((count, 0, 0, 0))
            await hostile.send_media(bytes(RtcpPsfbPacket(APPLICATION, 1, 0, fci)))
        await hostile.send_media(pack_rtcp_packet(203, 31, bytes(4)))
        await hostile.settle()
        assert sender_of(hostile).transport.state == "connected"


async def video_call() -> tuple[SessionServer, Hostile]:
    manager = serve_echo("video")
    hostile = Hostile(manager, modality="video")
    await hostile.call()
    await hostile.until(lambda: len(hostile.video_frames) >= 2)
    return manager, hostile


async def test_a_key_frame_that_claims_to_be_huge_never_reaches_the_decoder() -> None:
    manager, hostile = await video_call()
    huge = b"\x10\x02\x00\x9d\x01\x2a\xff\x3f\xff\x3f" + bytes(57)
    kind = hostile.payload_type("vp8")
    for number in range(3):
        packet = RtpPacket(kind, 1, 5000 + number, 90_000 * (number + 1), 77, b"\x10" + huge)
        await hostile.send_media(packet.serialize())
    await hostile.settle()
    assert receiver_of(hostile).refused_frames >= 1
    assert hostile.transport.stats().frames_refused >= 1
    await hostile.hang_up()
    await manager.wait_idle()


async def test_requests_make_neither_every_frame_a_key_frame_nor_a_new_encoder() -> None:
    manager, hostile = await video_call()
    sender = sender_of(hostile)
    before = sent(hostile)
    for number in range(150):
        await hostile.send_media(bytes(RtcpPsfbPacket(PLI, 1, sender._ssrc)))
        rate = pack_remb_fci(number % 2 * (1 << 60), [sender._ssrc])
        await hostile.send_media(bytes(RtcpPsfbPacket(APPLICATION, 1, 0, rate)))
        nack = RtcpRtpfbPacket(NACK, 1, sender._ssrc)
        newest = max(vars(sender)["_RTCRtpSender__rtp_history"].values(), key=lambda p: p.timestamp)
        nack.lost = [newest.sequence_number - 5 + place for place in range(6)]
        await hostile.send_media(bytes(nack))
    await hostile.settle()
    assert sender._keys.take(3) is False
    assert vars(sender)["_RTCRtpSender__encoder"].target_bitrate >= 100_000
    assert sent(hostile) - before < 450
    await hostile.hang_up()
    await manager.wait_idle()
