"""Audio in Base64: all encodings, both ways, and what is none."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.signals import pieces_found, speech_at_48k

from gradio_webrtc._audio import decode_g711, encode_g711
from gradio_webrtc._transport import BrokenMessage, PacedFrame
from gradio_webrtc._transport.payloads import (
    ENCODINGS,
    Encoding,
    MonoEncoder,
    decode_payload,
    encode_payload,
)
from gradio_webrtc.errors import AudioError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLES = np.arange(-400, 400, dtype=np.int16)


def bytes_of(samples: NDArray[np.int16], encoding: Encoding) -> bytes:
    return samples.tobytes() if encoding == "pcm16" else encode_g711(samples, encoding)


def samples_of(data: bytes, encoding: Encoding) -> NDArray[np.int16]:
    return decode_payload(encode_payload(data), encoding).reshape(-1)


def frame(samples: NDArray[np.int16], *, is_audio: bool = True) -> PacedFrame:
    return PacedFrame(0, samples.reshape(1, -1), is_audio)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_payload_is_decoded(encoding: Encoding) -> None:
    data = bytes_of(SAMPLES, encoding)
    decoded = decode_payload(base64.b64encode(data).decode(), encoding)
    assert decoded.dtype == np.int16
    assert decoded.shape == (1, 800)
    expected = SAMPLES if encoding == "pcm16" else decode_g711(data, encoding)[0]
    assert np.array_equal(decoded[0], expected)
    assert decode_payload("", encoding).shape == (1, 0)


@pytest.mark.parametrize(
    "payload",
    [None, 1, [], {}, b"AAAA", "A", "AAA", "A===", "AA==AA", "AA\n==", "A-_A", "ÄÄÄÄ", "\ud800AAA"],
)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_no_payload_is_a_broken_message(payload: Any, encoding: Encoding) -> None:
    with pytest.raises(BrokenMessage, match="expected a payload in Base64"):
        decode_payload(payload, encoding)


def test_half_a_sample_is_a_broken_message() -> None:
    with pytest.raises(BrokenMessage, match="got 3 bytes"):
        decode_payload("AAAA", "pcm16")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 44_100, 48_000])
def test_audio_is_encoded_whole_and_in_order(rate_hz: int, encoding: Encoding) -> None:
    said = speech_at_48k("asterisk_hello_world_16k")[: 48_000 // 960 * 960]
    encoder = MonoEncoder(rate_hz, encoding)
    packets = [encoder.encode(frame(part)) for part in said.reshape(-1, 960)]
    packets += [encoder.encode(frame(np.zeros(960, np.int16), is_audio=False)) for _ in range(3)]
    received = samples_of(b"".join(packets), encoding)
    assert abs(received.size - rate_hz * 51 // 50) <= rate_hz // 50
    # Above the band of a telephone there is nothing to compare.
    again = MonoEncoder(rate_hz, "pcm16")
    plain = [again.encode(frame(part)) for part in said.reshape(-1, 960)]
    expected = np.frombuffer(b"".join(plain), np.int16)
    assert min(pieces_found(received, expected, rate_hz // 10)) >= 0


def test_the_end_of_the_audio_is_not_kept_for_the_next() -> None:
    encoder = MonoEncoder(8_000, "pcm16")
    silence = np.zeros(960, np.int16)
    loud = np.full(960, 8_000, np.int16)
    assert encoder.encode(frame(silence, is_audio=False)) == b"", "nothing came before it"
    spoken = b"".join(encoder.encode(frame(loud)) for _ in range(3))
    assert encoder.has_tail
    assert encoder.encode(frame(silence, is_audio=False)) == b"", "the source may be late"
    tail = encoder.encode(frame(silence, is_audio=False))
    assert not encoder.has_tail
    total = np.abs(np.frombuffer(spoken + tail, np.int16).astype(np.int64)).sum()
    assert total == pytest.approx(3 * 160 * 8_000, rel=0.05)
    assert encoder.encode(frame(silence, is_audio=False)) == b""
    following = np.frombuffer(encoder.encode(frame(silence)), np.int16)
    assert not following.any()


def test_a_source_that_is_a_little_late_goes_on_where_it_was() -> None:
    encoder, whole = MonoEncoder(8_000, "pcm16"), MonoEncoder(8_000, "pcm16")
    said = speech_at_48k("asterisk_hello_world_16k")[24_000 : 24_000 + 9_600].reshape(-1, 960)
    gap = frame(np.zeros(960, np.int16), is_audio=False)
    packets = [encoder.encode(each) for part in said for each in (frame(part), gap)]
    assert b"".join(packets) == b"".join(whole.encode(frame(part)) for part in said)


def test_two_channels_become_one() -> None:
    encoder = MonoEncoder(48_000, "pcm16")
    stereo = np.tile(np.array([1_000, 3_000], np.int16), 960)
    assert set(samples_of(encoder.encode(frame(stereo)), "pcm16")) == {2_000}
    mono = np.full(960, 500, np.int16)
    assert set(samples_of(encoder.encode(frame(mono)), "pcm16")) == {500}


def test_a_rate_that_is_none_is_refused() -> None:
    with pytest.raises(AudioError):
        MonoEncoder(0, "mulaw")
