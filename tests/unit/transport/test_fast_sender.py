"""Audio that the thread of the media plane sends, and its queue meanwhile."""

from __future__ import annotations

import asyncio
import socket
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import pytest
from aiortc import RTCRtpCodecParameters
from aiortc.clock import current_ntp_time
from aiortc.rtcrtpparameters import (
    RTCRtcpFeedback,
    RTCRtpHeaderExtensionParameters,
    RTCRtpSendParameters,
)
from aiortc.rtp import (
    HeaderExtensionsMap,
    RtcpByePacket,
    RtcpPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    RtpPacket,
)
from pylibsrtp import Policy, Session
from support.signals import tone

from gradio_webrtc._media import AudioReceiver, SecureReceiver
from gradio_webrtc._session.buffers import OutboundAudioBuffer
from gradio_webrtc._transport.webrtc.aiortc_internals.fast_sender import (
    MID,
    ThreadedSender,
    make_sender,
)
from gradio_webrtc._transport.webrtc.aiortc_internals.opus_coding import AUDIO_LEVEL
from gradio_webrtc._transport.webrtc.aiortc_internals.srtp_keys import SrtpKeys
from gradio_webrtc._transport.webrtc.media_loop import SWITCH, MediaLoop, media_loop
from gradio_webrtc.errors import AudioError

if TYPE_CHECKING:
    from types import TracebackType

    from gradio_webrtc._transport.webrtc.media_loop import MediaTransport

OPUS, RED, SSRC = 111, 63, 77
KEYS = SrtpKeys("SRTP_AES128_CM_SHA1_80", bytes(range(16)), bytes(range(16, 30)))
HERE = "127.0.0.1"
SILENT = 127
"""The level of a packet without audio."""

PARAMETERS = RTCRtpSendParameters(
    codecs=[
        RTCRtpCodecParameters(
            mimeType="audio/opus",
            clockRate=48_000,
            channels=2,
            payloadType=OPUS,
            rtcpFeedback=[RTCRtcpFeedback("nack")],
        )
    ],
    headerExtensions=[
        RTCRtpHeaderExtensionParameters(id=2, uri=MID),
        RTCRtpHeaderExtensionParameters(id=5, uri=AUDIO_LEVEL),
    ],
    muxId="0",
)


@pytest.fixture(autouse=True)
def _thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "on")


class Peer:
    """The remote end: a socket, and keys."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HERE, 0))
        self.socket.settimeout(0)
        self._srtp = Session(Policy(key=KEYS.key + KEYS.salt, ssrc_type=Policy.SSRC_ANY_INBOUND))
        self._extensions = HeaderExtensionsMap()
        self._extensions.configure(PARAMETERS)
        self.packets: list[RtpPacket] = []

    async def receive(self, datagram: bytes | None = None) -> RtpPacket:
        if datagram is None:
            datagram = await asyncio.get_running_loop().sock_recv(self.socket, 2000)
        packet = RtpPacket.parse(self._srtp.unprotect(datagram), self._extensions)
        self.packets.append(packet)
        return packet

    async def receive_report(self) -> Any:
        """The next packet that is no audio."""
        while True:
            datagram = await asyncio.get_running_loop().sock_recv(self.socket, 2000)
            if 192 <= datagram[1] <= 223:
                return RtcpPacket.parse(self._srtp.unprotect_rtcp(datagram))

    async def receive_audio(self, frames: int) -> list[RtpPacket]:
        """The packets until so many that are not silent."""
        first, found = len(self.packets), 0
        while found < frames:
            packet = await self.receive()
            found += packet.extensions.audio_level != (False, SILENT)
        return self.packets[first:]

    def is_waiting(self) -> bool:
        try:
            self.socket.recv(2000, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        return True


class Protocol(asyncio.DatagramProtocol):
    """Of a socket that receives nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...


class Ends:
    """A queue that the thread sends to a peer.

    Args:
        red_type: The payload type of redundant audio.
    """

    def __init__(self, red_type: int | None = None) -> None:
        media = media_loop()
        assert media is not None
        self.media: MediaLoop = media
        self.sockets: list[MediaTransport] = []
        self.peer = Peer()
        self.buffer = OutboundAudioBuffer()
        self.notes = 0
        self.connection = SimpleNamespace(_nominated={})
        note = self.buffer.note_sent

        def noted(reply_delay_s: float | None) -> None:
            self.notes += 1
            note(reply_delay_s)

        self.buffer.note_sent = noted  # type: ignore[method-assign]
        secured = make_sender(self.buffer.queue, KEYS, SSRC, PARAMETERS, red_type)
        self.threaded = ThreadedSender(secured, self.buffer)

    def __enter__(self) -> Self:
        self.open()
        self.connection._nominated[1] = self.pair(self.sockets[0], self.peer)  # noqa: SLF001
        assert self.buffer.lend(self.threaded)
        self.threaded.begin(self.media, self.buffer.queue, self.connection)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.threaded.close()
        for each in self.sockets:
            each.close()
        self.peer.socket.close()

    def open(self) -> MediaTransport:
        self.sockets.append(self.media.open(Protocol(), HERE, 0, 0))
        return self.sockets[-1]

    def pair(self, transport: Any, peer: Peer) -> Any:
        return SimpleNamespace(
            protocol=SimpleNamespace(transport=transport), remote_addr=peer.socket.getsockname()
        )

    def nominate(self, transport: Any, peer: Peer) -> None:
        self.connection._nominated[1] = self.pair(transport, peer)  # noqa: SLF001


async def test_packets_are_as_they_were_negotiated() -> None:
    with Ends() as ends:
        await ends.buffer.write(48_000, tone(0.2, 440))
        packets = await ends.peer.receive_audio(10)
        first = packets[0]
        assert (first.ssrc, first.payload_type, first.extensions.mid) == (SSRC, OPUS, "0")
        assert first.marker
        assert not any(each.marker for each in packets[1:])
        numbers = [each.sequence_number - first.sequence_number for each in packets]
        times = [each.timestamp - first.timestamp for each in packets]
        assert numbers == list(range(10))
        assert times == [960 * number for number in numbers]
        assert ends.threaded.counts[0] >= 10


def block(*, lost: int) -> RtcpReceiverInfo:
    """A report on what is sent, with this share of 256 lost."""
    return RtcpReceiverInfo(
        ssrc=SSRC,
        fraction_lost=lost,
        packets_lost=lost,
        highest_sequence=0,
        jitter=0,
        lsr=0,
        dlsr=0,
    )


@pytest.mark.parametrize(("red_type", "expected"), [(RED, RED), (None, OPUS)])
async def test_packets_carry_the_one_before_once_some_are_lost(
    red_type: int | None, expected: int
) -> None:
    with Ends(red_type) as ends:
        await ends.buffer.write(48_000, tone(0.8, 440))
        assert (await ends.peer.receive_audio(2))[0].payload_type == OPUS
        ends.threaded.report(block(lost=13))
        before, last = (await ends.peer.receive_audio(38))[-2:]
        assert (before.payload_type, last.payload_type) == (expected, expected)
        # With its time, 20 ms before, and its length (RFC 2198 section 3).
        head = int.from_bytes(last.payload[:4], "big")
        assert (head == (1 << 31 | OPUS << 24 | 960 << 10 | head & 1023)) == (expected == RED)


async def test_a_queue_without_audio_costs_nothing() -> None:
    with Ends() as ends:
        await ends.buffer.write(48_000, tone(0.02, 440))
        # The audio, and the silence behind it.
        for _ in range(13):
            await ends.peer.receive()
        sent = ends.threaded.counts
        await asyncio.sleep(0.1)
        assert ends.threaded.counts == sent
        assert not ends.peer.is_waiting()


async def test_a_writer_waits_for_room_and_is_woken_seldom() -> None:
    with Ends() as ends:
        written = await ends.buffer.write(48_000, tone(2.2, 440))
        assert written == 105_600
        assert ends.buffer.played_s + ends.buffer.buffered_s == pytest.approx(2.2)
        await ends.buffer.drain()
        assert ends.buffer.buffered_s == 0
        assert ends.threaded.counts[0] >= 110
        assert ends.notes <= 8


async def test_drain_returns_at_once_where_nothing_waits() -> None:
    with Ends() as ends:
        await ends.buffer.drain()
        await ends.buffer.write(48_000, tone(0.02, 440))
        await ends.peer.receive_audio(1)
        await ends.buffer.drain()


async def test_barge_in_drops_what_waits_and_ends_its_writer() -> None:
    with Ends() as ends:
        loop = asyncio.get_running_loop()
        writing = loop.create_task(ends.buffer.write(48_000, tone(3.0, 440)))
        await ends.peer.receive_audio(5)
        ends.buffer.clear()
        assert await writing < 144_000
        assert ends.buffer.buffered_s == 0
        played_s = ends.buffer.played_s
        assert played_s == pytest.approx(len(ends.peer.packets) * 0.02, abs=0.1)
        # What comes next is played, and what was dropped is not.
        await ends.buffer.write(48_000, tone(0.1, 440))
        await ends.buffer.drain()
        assert ends.buffer.played_s == pytest.approx(played_s + 0.1)


async def test_a_reply_has_its_delay() -> None:
    with Ends() as ends:
        ends.buffer.expect_reply()
        await ends.buffer.write(48_000, tone(0.1, 440))
        await ends.buffer.drain()
        await asyncio.sleep(0)
        assert len(ends.buffer.reply_delays_s) == 1
        assert 0 <= ends.buffer.reply_delays_s[0] < 5


async def test_a_loop_that_is_blocked_holds_nothing_up() -> None:
    with Ends() as ends:
        await ends.buffer.write(48_000, tone(0.6, 440))
        await ends.peer.receive_audio(1)
        before = ends.threaded.counts[0]
        while ends.threaded.counts[0] < before + 20:
            pass  # the loop, which this is, does nothing else meanwhile
        assert len(ends.peer.packets) == 1


async def test_another_pair_that_is_nominated_takes_over() -> None:
    with Ends() as ends:
        await ends.buffer.write(48_000, tone(0.4, 440))
        await ends.peer.receive_audio(2)
        other = Peer()
        ends.nominate(ends.open(), other)
        ends.peer.socket.close()
        assert len(await other.receive_audio(2)) == 2
        other.socket.close()


async def test_packets_for_a_relay_are_sent_by_the_loop() -> None:
    relayed: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()
    relay = SimpleNamespace(sendto=lambda data, address: relayed.put_nowait((data, address)))
    with Ends() as ends:
        ends.nominate(relay, ends.peer)
        await ends.buffer.write(48_000, tone(0.4, 440))
        for _ in range(10):
            data, address = await relayed.get()
            assert address == ends.peer.socket.getsockname()
            await ends.peer.receive(data)
        numbers = [packet.sequence_number for packet in ends.peer.packets]
        assert numbers == list(range(numbers[0], numbers[0] + 10))
        # Of a loop that is blocked half a second waits at most, and the newest are lost.
        await ends.buffer.write(48_000, tone(0.8, 440))
        before = ends.threaded.counts[0]
        while ends.threaded.counts[0] < before + 35:
            pass
        sent = ends.threaded.counts[0] - before
        await relayed.get()
        taken = 1 + relayed.qsize()
        assert 25 <= taken <= sent - 8


async def test_lost_packets_are_sent_again() -> None:
    with Ends() as ends:
        await ends.buffer.write(48_000, tone(0.1, 440))
        loop = asyncio.get_running_loop()
        # The audio, and the silence behind it.
        datagrams = [await loop.sock_recv(ends.peer.socket, 2000) for _ in range(5 + 12)]
        lost = int.from_bytes(datagrams[1][2:4])
        ends.threaded.resend([lost])
        assert ends.peer.socket.recv(2000) == datagrams[1]


async def test_reports_have_the_numbers_of_the_thread() -> None:
    with Ends() as ends:
        assert ends.threaded.sender_info(1 << 32) is None
        await ends.buffer.write(48_000, tone(0.1, 440))
        await ends.buffer.drain()
        info = ends.threaded.sender_info(1 << 32)
        assert info is not None
        packets, sent_bytes = ends.threaded.counts
        assert packets >= info[1] >= 5
        assert sent_bytes >= info[2] > 0
        ends.threaded.report(block(lost=25))


class Exchange:
    """The reports of a session whose remote peer sends the stream `REMOTE`."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self.srtp = Session(Policy(key=KEYS.key + KEYS.salt, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
        self.secured = SecureReceiver(AudioReceiver(), *KEYS, [OPUS])
        self._attached = ends.media.attach(self.secured, lambda _audio: None)
        ends.threaded.start_reports(self.secured, "us")

    def receive(self, *packets: Any) -> bool:
        """Receives a compound packet; True if the core has taken it."""
        protected = self.srtp.protect_rtcp(b"".join(bytes(each) for each in packets))
        return self.secured.receive_datagram(time.monotonic(), protected)

    def receive_audio(self) -> None:
        """Receives a packet that carries silence (RFC 6716 section 3.1)."""
        packet = RtpPacket(payload_type=OPUS, ssrc=REMOTE, payload=b"\xf8\xff\xfe")
        protected = self.srtp.protect(packet.serialize(HeaderExtensionsMap()))
        assert self.secured.receive_datagram(time.monotonic(), protected)

    def close(self) -> None:
        self._attached.close()


REMOTE = 99


async def test_the_thread_exchanges_reports_by_itself() -> None:
    with Ends() as ends:
        exchange = Exchange(ends)
        exchange.receive_audio()
        now = current_ntp_time()
        assert exchange.receive(RtcpSrPacket(REMOTE, RtcpSenderInfo(now, 0, 1, 3), []))
        report, name = await ends.peer.receive_report()
        # Nothing was sent yet.
        assert isinstance(report, RtcpRrPacket)
        assert isinstance(name, RtcpSdesPacket)
        assert (report.ssrc, name.chunks[0].items) == (SSRC, [(1, b"us")])
        block = report.reports[0]
        assert (block.ssrc, block.packets_lost) == (REMOTE, 0)
        assert block.lsr == (now >> 16) & 0xFFFFFFFF
        assert 0 < block.dlsr < 5 << 16
        await ends.buffer.write(48_000, tone(0.1, 440))
        report, _ = await ends.peer.receive_report()
        # At once behind the first packet, before a narrow path has a queue.
        assert isinstance(report, RtcpSrPacket)
        assert 1 <= report.sender_info.packet_count < 5
        report, _ = await ends.peer.receive_report()
        assert report.sender_info.packet_count >= 5
        assert report.sender_info.octet_count <= ends.threaded.counts[1]
        assert abs(report.sender_info.ntp_timestamp - current_ntp_time()) < 5 << 32
        exchange.close()


async def test_the_round_trip_is_that_of_reports() -> None:
    with Ends() as ends:
        exchange = Exchange(ends)
        assert ends.threaded.round_trip_s is None
        await ends.buffer.write(48_000, tone(0.1, 440))
        report, _ = await ends.peer.receive_report()
        sent = (report.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF
        # As if the report had come a fifth of a second later than it is answered.
        answer = RtcpReceiverInfo(
            ssrc=SSRC,
            fraction_lost=26,
            packets_lost=1,
            highest_sequence=1,
            jitter=0,
            lsr=sent - (1 << 16) // 5,
            dlsr=0,
        )
        assert exchange.receive(RtcpRrPacket(REMOTE, [answer]))
        # It is taken with the next report of ours.
        await ends.peer.receive_report()
        assert ends.threaded.round_trip_s is not None
        assert 0.2 <= ends.threaded.round_trip_s < 5
        exchange.close()


async def test_what_the_thread_does_not_make_or_understand_is_left_to_aiortc() -> None:
    with Ends() as ends:
        exchange = Exchange(ends)
        assert not exchange.receive(RtcpByePacket([REMOTE]))
        assert exchange.receive(RtcpRrPacket(REMOTE, []))
        ends.threaded.send_rtcp(bytes(RtcpByePacket([SSRC])))
        (goodbye,) = await ends.peer.receive_report()
        assert goodbye.sources == [SSRC]
        with pytest.raises(AudioError, match="8 bytes"):
            ends.threaded.send_rtcp(b"\x80")
        exchange.close()


async def test_nothing_is_sent_after_the_end() -> None:
    with Ends() as ends:
        await ends.buffer.write(48_000, tone(0.9, 440))
        await ends.peer.receive_audio(2)
        ends.threaded.close()
        ends.threaded.close()
        sent = ends.threaded.counts
        ends.nominate(ends.sockets[0], ends.peer)
        await ends.buffer.write(48_000, tone(0.05, 440))
        await asyncio.sleep(0.1)
        assert ends.threaded.counts == sent


async def test_audio_that_waits_already_goes_the_other_way() -> None:
    ends = Ends()
    await ends.buffer.write(48_000, tone(0.1, 440))
    assert not ends.buffer.lend(ends.threaded)
    assert ends.buffer.pull() is not None
    ends.peer.socket.close()
