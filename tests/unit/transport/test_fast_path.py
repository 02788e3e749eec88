"""Datagrams that take the fast path to the decoder, and those that go on to aiortc."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.rtcrtpreceiver import RemoteStreamTrack, StreamStatistics
from aiortc.rtp import RtpPacket
from pylibsrtp import Policy, Session

from gradio_webrtc._media import AudioEncoder
from gradio_webrtc._transport.webrtc.aiortc_internals import names, probe
from gradio_webrtc._transport.webrtc.aiortc_internals.authentic import AuthenticPackets
from gradio_webrtc._transport.webrtc.aiortc_internals.dtls import HardenedSrtp
from gradio_webrtc._transport.webrtc.aiortc_internals.fast_path import (
    RtpFastPath,
    install_fast_path,
)
from gradio_webrtc._transport.webrtc.aiortc_internals.opus_coding import decode_inline
from gradio_webrtc._transport.webrtc.opus_receiver import OpusReceiver

if TYPE_CHECKING:
    from gradio_webrtc._transport import AudioBlock

OPUS, PCMU, SSRC = 96, 0, 7
PAYLOAD = AudioEncoder(1).encode(np.zeros((1, 960), np.int16))


class _Timer:
    """Of what is never given up, since nothing runs in between."""

    def __init__(self, *_args: object) -> None: ...

    def cancel(self) -> None: ...


class Ends:
    """A remote end that encrypts, and ours with a fast path.

    Args:
        hardened: Our end notes what was decrypted.

    Attributes:
        decoded: Blocks that were decoded.
        passed_on: Datagrams that went on to aiortc.
        authentic: Notes what was decrypted; its clock counts how often it is read.
    """

    def __init__(self, *, hardened: bool = False) -> None:
        key = bytes(range(30))
        self._encrypt = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
        self.decoded: list[AudioBlock] = []
        self.passed_on: list[bytes] = []
        self.authentic = AuthenticPackets(itertools.count(0.0).__next__)
        opus = OpusReceiver([OPUS], _refuse, itertools.count(0.0).__next__, _Timer)
        opus.sink = self._take
        self.dtls, self.receiver = _bare(), _bare()
        session = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND))
        srtp = HardenedSrtp(session, self.authentic) if hardened else session
        vars(self.dtls).update({names.RX_SRTP: srtp, names.RX_BYTES: 0, names.RX_PACKETS: 0})
        self.streams: dict[int, StreamStatistics] = {}
        vars(self.receiver).update({names.REMOTE_STREAMS: self.streams, names.ENABLED: True})
        self.receive = RtpFastPath(
            self.dtls, self.receiver, opus, lambda data, _component: self.passed_on.append(data)
        )
        # aiortc has routed the first packet of the stream.
        self.streams[SSRC] = StreamStatistics(48_000)
        first = packet(0)
        self.streams[SSRC].add(first)
        opus.add(first)

    def encrypt(self, sent: RtpPacket, flags: int = 0) -> bytes:
        """Returns a packet for the wire; ``flags`` are set in the first byte, in the clear."""
        plain = bytearray(sent.serialize())
        plain[0] |= flags
        return self._encrypt.protect(bytes(plain))

    def send(self, sent: RtpPacket, flags: int = 0) -> bytes:
        """Returns what went over the wire."""
        data = self.encrypt(sent, flags)
        self.receive(data, 1)
        return data

    def _take(self, block: AudioBlock) -> float:
        self.decoded.append(block)
        return 0.0


def _refuse(item: object) -> None:
    raise AssertionError(f"expected nothing in the queue, got {item!r}")


def _bare() -> Any:
    return type("Bare", (), {})()


def packet(number: int, **changes: int) -> RtpPacket:
    made = RtpPacket(OPUS, 1, number, 960 * number, SSRC, PAYLOAD)
    vars(made).update(changes)
    return made


def test_packets_of_a_known_stream_are_decoded_at_once() -> None:
    ends = Ends()
    sent = sum(len(ends.send(packet(number))) for number in range(1, 51))
    assert [block.samples.size for block in ends.decoded] == [960] * 51
    assert ends.passed_on == []
    assert ends.receive.taken == 50
    assert getattr(ends.dtls, names.RX_PACKETS) == 50
    assert getattr(ends.dtls, names.RX_BYTES) == sent


def test_the_reports_are_made_of_the_same_counts() -> None:
    ends = Ends()
    reference = StreamStatistics(48_000)
    for number in [0, 1, 2, 5, 4, 6, 7, 9]:
        reference.add(packet(number))
        if number > 0:
            ends.send(packet(number))
    ours = ends.streams[SSRC]
    assert (ours.packets_received, ours.packets_lost) == (8, 2)
    assert ours.packets_received == reference.packets_received
    assert ours.packets_lost == reference.packets_lost
    assert ours.max_seq == reference.max_seq


@pytest.mark.parametrize(
    ("changes", "flags"),
    [({"ssrc": 8}, 0), ({"payload_type": PCMU}, 0), ({}, 0x20)],
    ids=["another stream", "another codec", "padding"],
)
def test_everything_else_goes_on_to_aiortc_as_it_came(changes: dict[str, int], flags: int) -> None:
    ends = Ends()
    data = ends.send(packet(1, **changes), flags)
    assert ends.passed_on == [data]
    assert len(ends.decoded) == 1
    assert getattr(ends.dtls, names.RX_PACKETS) == 0


@pytest.mark.parametrize("data", [b"", b"\x80", bytes([0x16] * 60), bytes([0x80, 200] + [0] * 60)])
def test_what_is_no_rtp_goes_on_to_aiortc(data: bytes) -> None:
    ends = Ends()
    ends.receive(data, 1)
    assert ends.passed_on == [data]


def test_a_receiver_that_is_switched_off_is_left_to_aiortc() -> None:
    ends = Ends()
    vars(ends.receiver)[names.ENABLED] = False
    data = ends.send(packet(1))
    assert ends.passed_on == [data]


def test_a_packet_that_comes_twice_or_was_touched_is_dropped() -> None:
    ends = Ends()
    data = ends.send(packet(1))
    ends.receive(data, 1)
    touched = bytearray(ends._encrypt.protect(packet(2).serialize()))  # noqa: SLF001  # its sender
    touched[-1] ^= 1
    ends.receive(bytes(touched), 1)
    assert len(ends.decoded) == 2
    assert ends.passed_on == []


def test_header_extensions_are_no_audio() -> None:
    ends = Ends()
    plain = packet(1).serialize()
    extended = bytes([plain[0] | 0x10]) + plain[1:12] + b"\xbe\xde\x00\x02" + bytes(8) + PAYLOAD
    ends.receive(ends._encrypt.protect(extended), 1)  # noqa: SLF001  # its sender
    assert [block.samples.size for block in ends.decoded] == [960, 960]


def test_what_was_decrypted_is_noted_as_authentic_and_what_was_forged_is_not() -> None:
    ends = Ends(hardened=True)
    ends.send(packet(1))
    noted = ends.authentic.last_s
    assert noted > 0
    ends.receive(packet(2).serialize() + bytes(10), 1)
    assert ends.authentic.last_s == noted


class _Connection:
    def data_received(self, data: bytes, component: int) -> None:
        """Receives a datagram."""


@pytest.mark.parametrize("missing", [None, names.FAST_PATH])
async def test_an_aiortc_of_another_make_keeps_its_own_way(
    missing: names.Aspect | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver = pc.addTransceiver("audio").receiver
    assert install_fast_path(pc) is None, "its jitter buffer is its own"
    vars(receiver)["_track"] = RemoteStreamTrack("audio")
    decode_inline(receiver, [OPUS])
    dtls, connection = receiver.transport, _Connection()
    vars(dtls)[names.RX_SRTP] = Session()
    vars(dtls.transport)[names.CONNECTION] = connection
    monkeypatch.setattr(probe, "has", lambda asked: asked is not missing)
    taken = install_fast_path(pc)
    assert (taken is None) is (missing is not None)
    assert (connection.data_received is taken) is (missing is None)
