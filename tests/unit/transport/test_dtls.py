"""Decryption, routing and reports of media: a remote peer cannot make tables grow without end."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pylibsrtp
import pytest
from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport
from aiortc.rtcdtlstransport import RtpRouter
from aiortc.rtp import RtpPacket
from pylibsrtp import Policy, Session

from gradio_webrtc import Limits
from gradio_webrtc._transport.webrtc.aiortc_internals import names
from gradio_webrtc._transport.webrtc.aiortc_internals.authentic import AuthenticPackets
from gradio_webrtc._transport.webrtc.aiortc_internals.dtls import (
    FEEDBACK,
    MAX_FEEDBACK_WORDS,
    MAX_REPORT_PARTS,
    MAX_SOURCES,
    MAX_STREAMS,
    HardenedDtls,
    HardenedRouter,
    HardenedSrtp,
    is_report_in_order,
)
from gradio_webrtc._transport.webrtc.aiortc_internals.objects import become
from gradio_webrtc._transport.webrtc.aiortc_internals.receiver import HardenedReceiver

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = bytes(range(30))
OPUS, RTX, SSRC = 96, 97, 7


def part(kind: int, words: int) -> bytes:
    """A part of a packet of RTCP, with so many words behind its header."""
    return bytes((0x81, kind)) + words.to_bytes(2) + bytes(4 * words)


@pytest.mark.parametrize(
    ("data", "is_in_order"),
    [
        (b"", True),
        (part(200, 6), True),
        (part(200, 6) + part(202, 4), True),
        (part(200, 1) * MAX_REPORT_PARTS, True),
        (part(200, 1) * (MAX_REPORT_PARTS + 1), False),
        (part(FEEDBACK, MAX_FEEDBACK_WORDS), True),
        (part(FEEDBACK, MAX_FEEDBACK_WORDS + 1), False),
        (part(202, MAX_FEEDBACK_WORDS + 1), True),
        (part(200, 1) + part(FEEDBACK, 1000), False),
        (bytes((0x81, FEEDBACK, 0xFF, 0xFF)), False),
    ],
)
def test_a_report_has_few_parts_and_short_ones(data: bytes, is_in_order: bool) -> None:  # noqa: FBT001
    assert is_report_in_order(data) is is_in_order


class Ends:
    """A remote end that encrypts, and ours that decrypts."""

    def __init__(self) -> None:
        self.remote = Session(Policy(key=KEY, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
        self.authentic = AuthenticPackets(itertools.count(1.0).__next__)
        self.srtp = HardenedSrtp(
            Session(Policy(key=KEY, ssrc_type=Policy.SSRC_ANY_INBOUND)), self.authentic
        )

    def rtp(self, ssrc: int, number: int = 0) -> bytes:
        return self.remote.protect(packet(ssrc, number=number).serialize())

    def rtcp(self, ssrc: int) -> bytes:
        return self.remote.protect_rtcp(bytes((0x80, 201, 0, 1)) + ssrc.to_bytes(4))


def packet(ssrc: int, payload_type: int = OPUS, number: int = 0) -> RtpPacket:
    return RtpPacket(payload_type, 0, number, 960 * number, ssrc, b"payload")


def test_few_sources_are_decrypted_and_those_go_on() -> None:
    ends = Ends()
    for ssrc in range(MAX_SOURCES):
        assert RtpPacket.parse(ends.srtp.unprotect(ends.rtp(ssrc))).payload == b"payload"
    with pytest.raises(pylibsrtp.Error, match="one source too many"):
        ends.srtp.unprotect(ends.rtp(MAX_SOURCES))
    with pytest.raises(pylibsrtp.Error, match="one source too many"):
        ends.srtp.unprotect_rtcp(ends.rtcp(MAX_SOURCES))
    assert ends.srtp.unprotect(ends.rtp(0, 1))
    assert ends.srtp.unprotect_rtcp(ends.rtcp(0))


def test_a_packet_that_is_not_the_peers_takes_no_place_and_proves_nothing() -> None:
    ends = Ends()
    begun_s = ends.authentic.last_s
    for ssrc in range(100, 100 + 2 * MAX_SOURCES):
        forged = bytearray(ends.rtp(ssrc))
        forged[-1] ^= 1
        with pytest.raises(pylibsrtp.Error, match="authentication"):
            ends.srtp.unprotect(bytes(forged))
    assert ends.authentic.last_s == begun_s
    ends.srtp.unprotect(ends.rtp(SSRC))
    assert ends.authentic.last_s == begun_s + 1


async def make_dtls() -> HardenedDtls:
    """A transport that has not started."""
    ice = RTCIceTransport(RTCIceGatherer(iceServers=[]))
    made = become(RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()]), HardenedDtls)
    assert made is not None
    made.harden()
    return made


async def make_router() -> tuple[HardenedRouter, HardenedReceiver]:
    """A router with one receiver of audio, whatever the source."""
    router = become(RtpRouter(), HardenedRouter)
    assert router is not None
    router.harden()
    receiver = HardenedReceiver("audio", await make_dtls())
    receiver.harden(Limits())
    codecs: dict[int, Any] = {
        OPUS: SimpleNamespace(name="opus"),
        RTX: SimpleNamespace(name="rtx"),
    }
    vars(receiver)[names.CODECS] = codecs
    router.register_receiver(receiver, [], [OPUS, RTX])
    return router, receiver


async def test_few_streams_are_routed_and_those_go_on() -> None:
    router, receiver = await make_router()
    taken = [router.route_rtp(packet(ssrc)) is receiver for ssrc in range(1, 3 * MAX_STREAMS)]
    assert taken.count(True) == MAX_STREAMS
    assert taken[:MAX_STREAMS] == [True] * MAX_STREAMS
    assert router.route_rtp(packet(1, number=1)) is receiver
    assert len(router.ssrc_table) == MAX_STREAMS


@pytest.mark.parametrize(
    "refused", [packet(SSRC, 50), packet(SSRC, RTX)], ids=["unknown codec", "unknown stream"]
)
async def test_a_stream_that_the_receiver_does_not_take_leaves_nothing(refused: RtpPacket) -> None:
    router, _ = await make_router()
    for ssrc in range(1, 100):
        refused.ssrc = ssrc
        assert router.route_rtp(refused) is None
    assert router.ssrc_table == {}


async def test_retransmissions_take_no_place_of_a_stream() -> None:
    router, receiver = await make_router()
    vars(receiver)[names.RTX_SSRC].update({100 + ssrc: ssrc for ssrc in range(MAX_STREAMS)})
    for ssrc in range(MAX_STREAMS):
        assert router.route_rtp(packet(100 + ssrc, RTX)) is receiver
    for ssrc in range(MAX_STREAMS):
        assert router.route_rtp(packet(ssrc)) is receiver
    assert router.route_rtp(packet(SSRC + 100 * MAX_STREAMS)) is None


@pytest.mark.parametrize(
    ("error", "is_raised"), [(ConnectionError("it ended"), True), (ValueError("parser"), False)]
)
async def test_a_packet_that_cannot_be_read_is_dropped_and_the_connection_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    is_raised: bool,  # noqa: FBT001
) -> None:
    async def fail(*_: object) -> None:
        raise error

    dtls: Any = await make_dtls()
    handlers: list[tuple[str, Callable[[], Any]]] = [
        ("_handle_rtcp_data", lambda: dtls._handle_rtcp_data(part(200, 6))),  # noqa: SLF001
        ("_handle_rtp_data", lambda: dtls._handle_rtp_data(b"", 0)),  # noqa: SLF001
    ]
    for name, handle in handlers:
        monkeypatch.setattr(RTCDtlsTransport, name, fail)
        if is_raised:
            with pytest.raises(ConnectionError):
                await handle()
        else:
            await handle()
