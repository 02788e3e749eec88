"""Which datagrams go straight to the decoder, and which the way they always went."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RtpPacket
from pylibsrtp import Policy, Session

from gradio_webrtc._transport.webrtc.aiortc_internals import fast_path
from gradio_webrtc._transport.webrtc.aiortc_internals.fast_path import (
    RtpFastPath,
    install_fast_path,
)
from gradio_webrtc._transport.webrtc.aiortc_internals.inline import decode_inline
from gradio_webrtc._transport.webrtc.opus import OpusEncoder
from gradio_webrtc._transport.webrtc.opus_receiver import OpusReceiver

if TYPE_CHECKING:
    from av import AudioFrame

OPUS, PCMU, SSRC = 96, 0, 7
PAYLOAD = bytes(OpusEncoder(1).encode(np.zeros((1, 960), np.int16), 0))


class Ends:
    """A caller's end that encrypts, and ours with a shortcut.

    Attributes:
        heard: Frames that were decoded.
        passed_on: Datagrams that went on to aiortc.
    """

    def __init__(self) -> None:
        key = bytes(range(30))
        self._encrypt = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
        self.heard: list[AudioFrame] = []
        self.passed_on: list[bytes] = []
        clock = itertools.count(0.0).__next__
        buffer = JitterBuffer(capacity=16, prefetch=4)
        arrivals = OpusReceiver([OPUS], buffer, self.heard.append, clock)
        self.dtls, self.receiver = _bare(), _bare()
        vars(self.dtls).update(
            {
                "_rx_srtp": Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND)),
                fast_path.RX_BYTES: 0,
                fast_path.RX_PACKETS: 0,
            }
        )
        self.streams: dict[int, StreamStatistics] = {}
        vars(self.receiver).update({fast_path.REMOTE_STREAMS: self.streams, "_enabled": True})
        self.receive = RtpFastPath(
            self.dtls, self.receiver, arrivals, lambda data, _component: self.passed_on.append(data)
        )
        # aiortc has routed the first packet of the stream.
        self.streams[SSRC] = StreamStatistics(48_000)
        first = packet(0)
        self.streams[SSRC].add(first)
        arrivals.add(first)

    def send(self, given: RtpPacket, flags: int = 0) -> bytes:
        """What went over the wire; ``flags`` are set in the first byte, in the clear."""
        plain = bytearray(given.serialize())
        plain[0] |= flags
        data = self._encrypt.protect(bytes(plain))
        self.receive(data, 1)
        return data


def _bare() -> Any:
    return type("Bare", (), {})()


def packet(number: int, **changes: int) -> RtpPacket:
    made = RtpPacket(OPUS, 1, number, 960 * number, SSRC, PAYLOAD)
    vars(made).update(changes)
    return made


def test_packets_of_a_known_stream_are_decoded_at_once() -> None:
    ends = Ends()
    sent = sum(len(ends.send(packet(number))) for number in range(1, 51))
    assert [frame.pts for frame in ends.heard] == [960 * k for k in range(51)]
    assert ends.passed_on == []
    assert ends.receive.taken == 50
    assert getattr(ends.dtls, fast_path.RX_PACKETS) == 50
    assert getattr(ends.dtls, fast_path.RX_BYTES) == sent


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
    assert len(ends.heard) == 1
    assert getattr(ends.dtls, fast_path.RX_PACKETS) == 0


@pytest.mark.parametrize("data", [b"", b"\x80", bytes([0x16] * 60), bytes([0x80, 200] + [0] * 60)])
def test_what_is_no_rtp_goes_on_to_aiortc(data: bytes) -> None:
    ends = Ends()
    ends.receive(data, 1)
    assert ends.passed_on == [data]


def test_a_receiver_that_is_switched_off_is_left_to_aiortc() -> None:
    ends = Ends()
    vars(ends.receiver)["_enabled"] = False
    data = ends.send(packet(1))
    assert ends.passed_on == [data]


def test_a_packet_that_comes_twice_or_was_touched_is_dropped() -> None:
    ends = Ends()
    data = ends.send(packet(1))
    ends.receive(data, 1)
    touched = bytearray(ends._encrypt.protect(packet(2).serialize()))  # noqa: SLF001  # its sender
    touched[-1] ^= 1
    ends.receive(bytes(touched), 1)
    assert len(ends.heard) == 2
    assert ends.passed_on == []


def test_header_extensions_are_no_sound() -> None:
    ends = Ends()
    plain = packet(1).serialize()
    extended = bytes([plain[0] | 0x10]) + plain[1:12] + b"\xbe\xde\x00\x02" + bytes(8) + PAYLOAD
    ends.receive(ends._encrypt.protect(extended), 1)  # noqa: SLF001  # its sender
    assert [frame.samples for frame in ends.heard] == [960, 960]


class _Track:
    def __init__(self) -> None:
        self._queue: asyncio.Queue[Any] = asyncio.Queue()


class _Connection:
    def data_received(self, data: bytes, component: int) -> None:
        """Takes a datagram."""


@pytest.mark.parametrize("missing", ["", "connection", "keys", "counts", "streams"])
async def test_an_aiortc_that_looks_different_is_left_alone(missing: str) -> None:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver = pc.addTransceiver("audio").receiver
    assert install_fast_path(pc) is None, "its jitter buffer is its own"
    vars(receiver)["_track"] = _Track()
    assert decode_inline(receiver, [OPUS])
    dtls, connection = receiver.transport, _Connection()
    vars(dtls)["_rx_srtp"] = None if missing == "keys" else Session()
    vars(dtls.transport)["_connection"] = object() if missing == "connection" else connection
    if missing == "counts":
        del vars(dtls)[fast_path.RX_PACKETS]
    if missing == "streams":
        del vars(receiver)[fast_path.REMOTE_STREAMS]
    taken = install_fast_path(pc)
    assert (taken is None) is bool(missing)
    assert (connection.data_received is taken) is not bool(missing)
