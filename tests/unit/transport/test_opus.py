"""Opus that we encode and decode ourselves, compared with aiortc's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.codecs.opus import OpusDecoder as TheirDecoder
from aiortc.codecs.opus import OpusEncoder as TheirEncoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import compute_audio_level_dbov
from av import AudioFrame, Packet
from support.clock import run_virtual
from support.signals import chirp, pieces_found, tone

from gradio_webrtc._media import AudioEncoder, OpusDecoder, opus_packet_samples
from gradio_webrtc._transport import opus
from gradio_webrtc._transport.base import AudioBlock
from gradio_webrtc._transport.pacing import PacedFrame
from gradio_webrtc._transport.webrtc.aiortc_internals import code_inline, names, probe
from gradio_webrtc._transport.webrtc.aiortc_internals.opus_coding import opus_receiver_of
from gradio_webrtc._transport.webrtc.audio import AudioSender
from gradio_webrtc._transport.webrtc.audio_receiver import read_block
from gradio_webrtc.errors import AudioError

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEREO_BIT = 0x04
"""Of the first byte of a packet (RFC 6716 section 3.1)."""

OPUS = RTCRtpCodecParameters("audio/opus", 48_000, 2, 96)
SAID = chirp(1.0)
LOUD = tone(1.0, 1000, level=0.5)


def packets_of(samples: NDArray[np.int16], channels: int = 1) -> list[bytes]:
    encoder = AudioEncoder(channels)
    frames = samples.reshape(-1, 1, 960 * channels)
    return [encoder.encode(frame) for frame in frames]


def level(samples: NDArray[np.int16]) -> float:
    """Returns the level of the audio after its beginning, 0 to 1."""
    return float(np.sqrt(np.mean((samples[4800:] / 32768.0) ** 2)))


def test_aiortc_decodes_what_we_encode_as_loud_and_in_order() -> None:
    decoder = TheirDecoder()
    frames: list[Any] = []
    for k, payload in enumerate(packets_of(SAID)):
        frames += decoder.decode(JitterFrame(payload, 960 * k))
    received = np.concatenate([frame.to_ndarray() for frame in frames], axis=1).reshape(-1, 2)
    assert np.array_equal(received[:, 0], received[:, 1])
    assert level(received[:, 0]) == pytest.approx(level(SAID), rel=0.05)
    places = pieces_found(received[:, 0], SAID)
    assert min(places) >= 0
    assert places == sorted(places)


def test_we_decode_what_aiortc_encodes() -> None:
    encoder, decoder = TheirEncoder(), OpusDecoder()
    received = []
    for k, block in enumerate(SAID.reshape(-1, 1, 960)):
        stereo = AudioFrame.from_ndarray(np.repeat(block, 2, axis=1), "s16", "stereo")
        stereo.sample_rate, stereo.pts, stereo.time_base = 48_000, 960 * k, opus.TIME_BASE
        payloads, _timestamp = encoder.encode(stereo)
        received += [decoder.decode(payload) for payload in payloads]
    decoded = np.concatenate(received, axis=1)[0]
    places = pieces_found(decoded[:: decoder.channels], SAID)
    assert min(places) >= 0


def test_one_channel_is_decoded_until_the_sender_uses_two() -> None:
    decoder = OpusDecoder()
    stereo = np.repeat(LOUD, 2)
    stereo[1::2] //= 4
    channels: list[int] = []
    right: list[NDArray[np.int16]] = []
    for packets in (packets_of(LOUD), packets_of(stereo, 2), packets_of(LOUD)):
        for payload in packets:
            samples = decoder.decode(payload)
            channels.append(decoder.channels)
            right.append(samples[0, 1::2])
    assert channels == [1] * 50 + [2] * 100
    quiet, loud = np.concatenate(right[55:100]), np.concatenate(right[105:])
    assert level(quiet) == pytest.approx(level(LOUD) / 4, rel=0.1)
    assert level(loud) == pytest.approx(level(LOUD), rel=0.1)


async def test_a_packet_is_stamped_with_its_place_over_a_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = [0, 960, 1920, 500_000, 500_960, 2**31]
    sender, their_packer = AudioSender(Frames()), TheirEncoder()
    sender.encode_opus()
    due = iter(times)

    async def next_frame() -> PacedFrame:
        return PacedFrame(next(due), np.zeros((1, 960), np.int16), is_audio=True)

    monkeypatch.setattr(sender.pacer, "next_frame", next_frame)
    packets: list[Any] = [await sender.recv() for _ in times]
    assert [their_packer.pack(each)[1] for each in packets] == times


def test_what_is_no_opus_is_refused_and_the_next_packet_is_decoded() -> None:
    decoder = OpusDecoder()
    for packet in (b"\xff\xff\xff", b""):
        with pytest.raises(AudioError, match="expected a packet of Opus"):
            decoder.decode(packet)
    assert decoder.decode(packets_of(LOUD)[0]).shape == (1, 960)


def test_a_packets_length_is_read_from_its_first_bytes() -> None:
    assert {opus_packet_samples(each) for each in packets_of(LOUD)} == {960}
    assert opus_packet_samples(b"") == 0
    assert opus_packet_samples(bytes([packets_of(LOUD)[0][0] | 3, 6])) == 5_760


def test_an_encoder_follows_the_reports_of_its_remote_peer() -> None:
    encoder = AudioEncoder(1)
    frames = (SAID // 2).reshape(-1, 1, 960)
    free = sum(len(encoder.encode(frame)) for frame in frames)
    assert (encoder.bits_per_s, encoder.has_fec) == (32_000, False)
    for now_s in range(6):
        encoder.report(now_s, 0.0, 0.04)
    encoder.encode(frames[0])
    assert encoder.bits_per_s == 64_000
    for now_s, round_trip_s in enumerate((0.3, 0.5), 10):
        encoder.report(now_s, 0.0, round_trip_s)
    narrow = sum(len(encoder.encode(frame)) for frame in frames)
    assert (encoder.bits_per_s, encoder.has_fec) == (16_000, True)
    assert narrow < 0.75 * free


def test_a_time_before_the_origin_is_refused() -> None:
    with pytest.raises(AudioError, match="expected a time of at least 0 s, got -1"):
        AudioEncoder().report(-1.0, 0.0)


class Frames:
    """A source of frames: those given, or silence in as many channels."""

    def __init__(self, *frames: int | NDArray[np.int16]) -> None:
        self._frames = iter(
            [
                np.zeros((1, 960 * each), np.int16)
                if isinstance(each, int)
                else each.reshape(1, -1)
                for each in frames
            ]
        )

    async def wait_ready(self) -> None:
        """Always ready."""

    def pull(self, *, partial: bool = False) -> NDArray[np.int16] | None:
        del partial
        return next(self._frames, None)

    def pull_early(self) -> NDArray[np.int16] | None:
        return self.pull()


def test_a_sender_returns_frames_until_it_encodes() -> None:
    async def scenario() -> list[Any]:
        sender = AudioSender(Frames(1, 1, 2, 2))
        taken: list[Any] = [await sender.recv()]
        sender.encode_opus()
        return taken + [await sender.recv() for _ in range(3)]

    taken = run_virtual(scenario())
    assert isinstance(taken[0], AudioFrame)
    assert all(isinstance(each, Packet) for each in taken[1:])
    assert [each.pts for each in taken] == [0, 960, 1920, 2880]
    assert [bool(bytes(each)[0] & STEREO_BIT) for each in taken[1:]] == [False, True, True]


async def _answered(sender: AudioSender, preferred: str) -> RTCPeerConnection:
    """The answering side of a connection on which only that codec is offered."""
    client, callee = RTCPeerConnection(), RTCPeerConnection()
    transceiver = client.addTransceiver("audio")
    capabilities = type(transceiver.sender).getCapabilities("audio").codecs
    transceiver.setCodecPreferences([c for c in capabilities if c.name.lower() == preferred])
    offer = await client.createOffer()
    await callee.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
    callee.addTrack(sender)
    answer = await callee.createAnswer()
    code_inline(callee, answer.sdp, {})
    await client.close()
    return callee


@pytest.mark.parametrize(("codec", "kind"), [("opus", Packet), ("pcmu", AudioFrame)])
async def test_only_a_session_in_opus_is_encoded_by_us(codec: str, kind: type) -> None:
    sender = AudioSender(Frames(1))
    callee = await _answered(sender, codec)
    assert isinstance(await sender.recv(), kind)
    await callee.close()


@pytest.mark.parametrize("aspect", [names.DECODING, names.ENCODING, names.PACKING])
async def test_an_aiortc_of_another_make_does_its_part_itself(
    aspect: names.Aspect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "has", lambda asked: asked is not aspect)
    sender = AudioSender(Frames(1))
    callee = await _answered(sender, "opus")
    (receiver,), (theirs,) = callee.getReceivers(), callee.getSenders()
    kind = AudioFrame if aspect is names.ENCODING else Packet
    assert (opus_receiver_of(receiver) is None) is (aspect is names.DECODING)
    assert (names.NEXT_FRAME in vars(theirs)) is (aspect is names.DECODING)
    assert isinstance(await sender.recv(), kind)
    await callee.close()


async def test_packets_are_stamped_with_the_level_that_aiortc_would_find() -> None:
    for samples in (LOUD[:960], LOUD[:960] // 100, np.zeros(960, np.int16)):
        sender = AudioSender(Frames(samples))
        callee = await _answered(sender, "opus")
        next_frame: Any = getattr(callee.getSenders()[0], names.NEXT_FRAME)
        frame = await next_frame(OPUS)
        theirs = AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", "mono")
        assert frame.audio_level == compute_audio_level_dbov(theirs)
        assert len(frame.payloads) == 1
        await callee.close()


def test_a_frame_with_a_longer_plane_has_only_its_audio() -> None:
    block = AudioBlock(48_000, 1, OpusDecoder().decode(packets_of(LOUD)[0]))
    (frame,) = TheirDecoder().decode(JitterFrame(packets_of(LOUD)[0], 0))
    assert isinstance(frame, AudioFrame)
    theirs = read_block(frame)
    assert (theirs.rate_hz, theirs.channels, theirs.samples.shape) == (48_000, 2, (1, 1920))
    assert np.array_equal(theirs.samples, frame.to_ndarray())
    assert read_block(block) is block
