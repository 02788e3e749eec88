"""Audio files from the arrays of handlers, as a decoder reads them."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from support.signals import pitch_hz, tone

from gradio_webrtc import AudioError, audio_to_bytes, audio_to_file
from gradio_webrtc._audio_files import MP3_RATES_HZ, can_encode_mp3

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

DELAY_S = 0.15
"""The most silence that is added around the audio: an encoder works in whole frames of 72 ms at
8 kHz, and is a frame behind."""


def decode(content: bytes) -> tuple[int, NDArray[np.float32]]:
    """Returns rate and samples, float32 ``(channels, n)``."""
    with av.open(io.BytesIO(content), "r") as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        rate_hz = container.streams.audio[0].rate
    assert rate_hz is not None
    samples: NDArray[np.float32] = np.concatenate(frames, axis=1).astype(np.float32)
    return rate_hz, samples


def pitch(samples: NDArray[np.float32], rate_hz: int) -> float:
    return pitch_hz((samples * 32767).astype(np.int16), rate_hz)


@pytest.fixture
def without_mp3(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("gradio_webrtc._audio_files.MP3_ENCODER", "no such encoder")
    can_encode_mp3.cache_clear()
    yield
    can_encode_mp3.cache_clear()


@pytest.mark.parametrize("rate_hz", [8000, 10_000, 16_000, 24_000, 44_100, 48_000, 96_000])
def test_any_rate_keeps_length_pitch_and_level(rate_hz: int) -> None:
    got_hz, samples = decode(audio_to_bytes((rate_hz, tone(1.0, 440, rate_hz).reshape(1, -1))))
    assert got_hz in MP3_RATES_HZ
    assert got_hz >= min(rate_hz, 48_000)
    assert len(samples) == 1
    assert 1.0 <= samples.shape[1] / got_hz + 1e-3 <= 1.0 + DELAY_S
    assert pitch(samples[0], got_hz) == pytest.approx(440, abs=2)
    middle = samples[0][samples.shape[1] // 4 : -samples.shape[1] // 4]
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_samples_are_encoded_like_the_same_in_int16(dtype: Any) -> None:
    samples = tone(0.5, 440, 24_000)
    floats: NDArray[Any] = (samples / 32767).astype(dtype)
    assert audio_to_bytes((24_000, floats)) == audio_to_bytes((24_000, samples))


def test_stereo_keeps_its_sides() -> None:
    sides = np.stack([tone(0.5, 440, 24_000), tone(0.5, 1000, 24_000)])
    rate_hz, samples = decode(audio_to_bytes((24_000, sides)))
    assert [pitch(side, rate_hz) for side in samples] == pytest.approx([440, 1000], abs=4)


@pytest.mark.parametrize("rate_hz", [24_000, 10_000])
def test_an_empty_array_becomes_a_valid_file(rate_hz: int) -> None:
    _, samples = decode(audio_to_bytes((rate_hz, np.zeros((1, 0), np.int16))))
    assert np.abs(samples).max(initial=0) < 1e-3


@pytest.mark.usefixtures("without_mp3")
def test_without_an_encoder_the_file_is_wav_with_every_sample() -> None:
    sides = np.stack([tone(0.1, 440, 22_050), tone(0.1, 1000, 22_050)])
    with wave.open(io.BytesIO(audio_to_bytes((22_050, sides)))) as reader:
        assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (
            22050,
            2,
            2,
        )
        samples = np.frombuffer(reader.readframes(reader.getnframes()), "<i2").reshape(-1, 2).T
    np.testing.assert_array_equal(samples, sides)


def test_a_file_holds_the_same_bytes() -> None:
    audio = (24_000, tone(0.2, 440, 24_000))
    file = Path(audio_to_file(audio))
    content = file.read_bytes()
    file.unlink()
    assert file.suffix == ".mp3"
    assert content == audio_to_bytes(audio)


@pytest.mark.usefixtures("without_mp3")
def test_a_file_has_the_suffix_of_its_format() -> None:
    file = Path(audio_to_file((24_000, tone(0.2, 440, 24_000))))
    content = file.read_bytes()
    file.unlink()
    assert file.suffix == ".wav"
    assert content.startswith(b"RIFF")


@pytest.mark.parametrize(
    ("samples", "error"),
    [
        (np.zeros((3, 100), np.int16), AudioError),
        (np.zeros((1, 1, 100), np.int16), AudioError),
        (np.zeros((1, 100), np.int32), TypeError),
    ],
)
def test_an_array_that_is_no_audio_is_refused(
    samples: NDArray[Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        audio_to_bytes((24_000, samples))


def test_a_rate_of_zero_is_refused() -> None:
    with pytest.raises(AudioError):
        audio_to_bytes((0, tone(0.1, 440, 24_000)))
