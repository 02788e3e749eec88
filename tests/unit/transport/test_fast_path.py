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
from gradio_webrtc._transport.webrtc.aiortc_internals.fast_path import (
    CurrentStream,
    RtpFastPath,
    SecureStatistics,
    install_fast_path,
)
from gradio_webrtc._transport.webrtc.aiortc_internals.opus_coding import decode_inline
from gradio_webrtc._transport.webrtc.aiortc_internals.srtp_keys import (
    KEY_BYTES,
    inbound_keys,
    outbound_keys,
)
from gradio_webrtc._transport.webrtc.opus_receiver import OpusReceiver

if TYPE_CHECKING:
    from gradio_webrtc._transport import AudioBlock

OPUS, PCMU, SSRC, NEXT_SSRC = 96, 0, 7, 8
KEY, SALT = bytes(range(16)), bytes(range(16, 30))
PAYLOAD = AudioEncoder(1).encode(np.zeros((1, 960), np.int16))


class _Timer:
    """Of what is never given up, since nothing runs in between."""

    def __init__(self, *_args: object) -> None: ...

    def cancel(self) -> None: ...


class Ends:
    """A remote end that encrypts, and ours with a fast path.

    Attributes:
        decoded: Blocks that were decoded.
        passed_on: Datagrams that went on to aiortc.
        authentic: Has the time of the last packet; its clock counts how often it is read.
    """

    def __init__(self) -> None:
        self._encrypt = Session(Policy(key=KEY + SALT, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
        self.decoded: list[AudioBlock] = []
        self.passed_on: list[bytes] = []
        self.authentic = AuthenticPackets(itertools.count(0.0).__next__)
        opus = OpusReceiver([OPUS], _refuse, itertools.count(1.0).__next__, _Timer)
        opus.sink = self._take
        self.receiver = _bare()
        # The first packet was on aiortc's way before there were keys.
        before = {SSRC: StreamStatistics(48_000)}
        before[SSRC].add(packet(0))
        opus.add(packet(0))
        secured = opus.secure("SRTP_AES128_CM_SHA1_80", KEY, SALT)
        self.authentic.secured = secured
        self.streams = CurrentStream(secured, before)
        vars(self.receiver).update({names.REMOTE_STREAMS: self.streams, names.ENABLED: True})
        self.receive = RtpFastPath(
            self.receiver, opus, secured, lambda data, _component: self.passed_on.append(data)
        )

    @property
    def statistics(self) -> Any:
        """What aiortc reads of the one stream that there is."""
        ((ssrc, statistics),) = self.streams.items()
        assert ssrc in (SSRC, NEXT_SSRC)
        return statistics

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


def test_packets_of_the_track_are_decoded_at_once() -> None:
    ends = Ends()
    for number in range(1, 51):
        ends.send(packet(number))
    assert [block.samples.size for block in ends.decoded] == [960] * 51
    assert ends.passed_on == []
    assert ends.receive.taken == 50
    assert ends.statistics.packets_received == 51


def test_the_reports_are_made_of_the_same_counts() -> None:
    ends = Ends()
    reference = StreamStatistics(48_000)
    for number in [0, 1, 2, 5, 4, 6, 7, 9]:
        reference.add(packet(number))
        if number > 0:
            ends.send(packet(number))
    ours = ends.statistics
    assert (ours.packets_received, ours.packets_lost) == (8, 2)
    assert ours.packets_received == reference.packets_received
    assert ours.packets_lost == reference.packets_lost
    # The first packet is not in the interval: 2 of 9 are lost, or 2 of 10.
    assert ours.fraction_lost == 2 * 256 // 9
    assert ours.max_seq == reference.max_seq
    assert ours.fraction_lost == 0


def test_a_packet_that_waited_for_aiortc_is_counted() -> None:
    ends = Ends()
    ends.send(packet(1))
    ends.streams[SSRC].add(packet(2))
    assert ends.statistics.packets_received == 3
    assert ends.statistics.packets_received == 3
    next(iter(ends.streams.values())).add(packet(3))
    assert ends.statistics.packets_received == 4


def test_another_stream_takes_the_place_of_the_first_which_may_go_on() -> None:
    ends = Ends()
    first = ends.send(packet(1))
    ends.send(packet(2, ssrc=NEXT_SSRC))
    assert next(iter(ends.streams.items()))[0] == NEXT_SSRC
    assert ends.statistics.packets_received == 3
    ends.receive(first, 1)
    assert ends.statistics.packets_received == 3
    ends.send(packet(2))
    assert next(iter(ends.streams.items()))[0] == SSRC
    assert ends.statistics.packets_received == 4
    assert ends.passed_on == []


def test_before_the_first_packet_nothing_is_reported() -> None:
    ends = Ends()
    assert list(ends.streams) == [SSRC]
    statistics = SecureStatistics(ends.receive.secured, lambda: 1.0)
    assert (statistics.fraction_lost, statistics.max_seq, statistics.jitter) == (0, 0, 0)


def test_another_codec_goes_on_to_aiortc_as_it_came() -> None:
    ends = Ends()
    data = ends.send(packet(1, payload_type=PCMU))
    assert ends.passed_on == [data]
    assert len(ends.decoded) == 1


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


def test_what_was_decrypted_is_authentic_and_what_was_forged_is_not() -> None:
    ends = Ends()
    begun = ends.authentic.last_s
    ends.send(packet(1))
    noted = ends.authentic.last_s
    assert noted > begun
    ends.receive(packet(2).serialize() + bytes(10), 1)
    assert ends.authentic.last_s == noted


@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize("profile", KEY_BYTES)
async def test_each_direction_has_its_keys(role: str, profile: str) -> None:
    key, salt = KEY_BYTES[profile]
    parts = [b"k" * key, b"K" * key, b"s" * salt, b"S" * salt]
    pc, _connection = _connected(role, profile.encode(), b"".join(parts))
    asked: Any = getattr(pc.getTransceivers()[0].receiver.transport, names.SSL)
    dtls = pc.getTransceivers()[0].receiver.transport
    of_client, of_server = (profile, *parts[::2]), (profile, *parts[1::2])
    ours, theirs = (of_server, of_client) if role == "server" else (of_client, of_server)
    assert (outbound_keys(dtls), inbound_keys(dtls)) == (ours, theirs)
    assert asked.asked == (b"EXTRACTOR-dtls_srtp", 2 * (key + salt))


async def test_a_profile_of_another_kind_is_left_to_aiortc() -> None:
    pc, connection = _connected("server", b"SRTP_AES128_CM_SHA1_32", bytes(60))
    assert install_fast_path(pc) is None
    assert connection.data_received.__name__ == "data_received"


async def test_of_two_tracks_of_audio_aiortc_finds_the_right_one() -> None:
    pc, _connection = _connected("server", b"SRTP_AES128_CM_SHA1_80", bytes(60))
    pc.addTransceiver("audio")
    assert install_fast_path(pc) is None


class _Connection:
    def data_received(self, data: bytes, component: int) -> None:
        """Receives a datagram."""


class _Tls:
    def __init__(self, profile: bytes, material: bytes) -> None:
        self._profile, self._material = profile, material
        self.asked: tuple[bytes, int] | None = None

    def get_selected_srtp_profile(self) -> bytes:
        return self._profile

    def export_keying_material(self, label: bytes, length: int) -> bytes:
        self.asked = label, length
        return self._material


def _connected(role: str, profile: bytes, material: bytes) -> tuple[RTCPeerConnection, _Connection]:
    """A connection with one track of audio that is decoded inline, and with keys."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver = pc.addTransceiver("audio").receiver
    vars(receiver)["_track"] = RemoteStreamTrack("audio")
    decode_inline(receiver, [OPUS])
    dtls, connection = receiver.transport, _Connection()
    vars(dtls).update({names.SSL: _Tls(profile, material), names.ROLE: role})
    vars(dtls.transport)[names.CONNECTION] = connection
    return pc, connection


@pytest.mark.parametrize("missing", [None, names.FAST_PATH])
async def test_an_aiortc_of_another_make_keeps_its_own_way(
    missing: names.Aspect | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    bare.addTransceiver("audio")
    assert install_fast_path(bare) is None, "its jitter buffer is its own"
    pc, connection = _connected("server", b"SRTP_AES128_CM_SHA1_80", bytes(60))
    monkeypatch.setattr(probe, "has", lambda asked: asked is not missing)
    taken = install_fast_path(pc)
    assert (taken is None) is (missing is not None)
    assert (connection.data_received is taken) is (missing is None)
