"""Silero over a finished recording: which parts of it are speech, and what the options do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from support.signals import labels, speech

from gradio_webrtc._handlers import (
    PauseDetectionModel,
    SileroVADModel,
    SileroVadOptions,
    get_silero_model,
)
from gradio_webrtc._turns import voice_activity as silero


def find(probabilities: list[float], **options: Any) -> list[tuple[float, float]]:
    """The stretches of speech, in windows."""
    return silero._find_speech(probabilities, 1.0, SileroVadOptions(**options))  # noqa: SLF001


SHORT: dict[str, Any] = {"min_speech_duration_ms": 0, "min_silence_duration_ms": 0}


def test_real_speech_is_found_where_it_is() -> None:
    rate_hz, samples = speech("austen_0870_16k")
    spoken_s, chunks = get_silero_model().vad(
        (rate_hz, samples), SileroVadOptions(min_silence_duration_ms=300, speech_pad_ms=0)
    )
    utterances = labels()["austen_0870_16k"]["utterances"]
    labelled_s = sum(each["end_ms"] - each["start_ms"] for each in utterances) / 1000
    assert spoken_s == pytest.approx(labelled_s, rel=0.1)
    assert chunks[0]["start"] / rate_hz == pytest.approx(utterances[0]["start_ms"] / 1000, abs=0.15)
    assert chunks[-1]["end"] / rate_hz == pytest.approx(utterances[-1]["end_ms"] / 1000, abs=0.15)


def test_silence_is_no_speech() -> None:
    assert get_silero_model().vad((16000, np.zeros(16000, np.int16))) == (0.0, [])
    assert get_silero_model().vad((16000, np.zeros(0, np.int16))) == (0.0, [])


@pytest.mark.parametrize("rate_hz", [8000, 24000, 48000])
def test_any_rate_gives_chunks_in_its_own_samples(rate_hz: int) -> None:
    _, samples = speech("goforward_16k")
    times = np.arange(samples.size * rate_hz // 16000) * 16000 / rate_hz
    again = np.interp(times, np.arange(samples.size), samples).astype(np.int16)
    expected = get_silero_model().vad((16000, samples))[1]
    found = get_silero_model().vad((rate_hz, again))[1]
    assert len(found) == len(expected)
    for chunk, other in zip(found, expected, strict=True):
        assert chunk["start"] / rate_hz == pytest.approx(other["start"] / 16000, abs=0.15)
        assert chunk["end"] / rate_hz == pytest.approx(other["end"] / 16000, abs=0.15)
        assert chunk["end"] <= again.size


def test_shape_and_type_of_the_samples_do_not_matter() -> None:
    rate_hz, samples = speech("goforward_16k")
    model = get_silero_model()
    expected = model.vad((rate_hz, samples))
    assert model.vad((rate_hz, samples.reshape(1, -1))) == expected
    assert model.vad((rate_hz, samples.astype(np.float32) / 32768)) == expected
    with pytest.raises(TypeError, match="Unsupported"):
        model.vad((rate_hz, samples.astype(np.int32)))


def test_one_model_serves_many_threads() -> None:
    recordings = [speech("goforward_16k"), speech("cards_003_16k")] * 8
    model = SileroVADModel()
    expected = [model.vad(recording) for recording in recordings]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(model.vad, recordings)) == expected


def test_it_is_the_models_protocol_and_there_is_one() -> None:
    assert isinstance(get_silero_model(), PauseDetectionModel)
    assert get_silero_model() is get_silero_model()


def test_a_chunk_begins_at_the_threshold_and_goes_on_a_little_below() -> None:
    assert find([0.1, 0.6, 0.4, 0.36, 0.34, 0.4], **SHORT) == [(1, 4)]
    assert find([0.1, 0.6, 0.4, 0.36, 0.34, 0.4], threshold=0.4, **SHORT) == [(1, 6)]
    assert find([0.1, 0.6, 0.4], threshold=0.7, **SHORT) == []


def test_short_chunks_are_dropped() -> None:
    speech = [0.0, 0.9, 0.0, 0.9, 0.9, 0.9, 0.0]
    assert find(speech, min_silence_duration_ms=0, min_speech_duration_ms=0) == [(1, 2), (3, 6)]
    assert find(speech, min_silence_duration_ms=0, min_speech_duration_ms=2000) == [(3, 6)]


def test_short_gaps_are_closed() -> None:
    speech = [0.9, 0.0, 0.0, 0.9, 0.0, 0.0, 0.0, 0.9]
    assert find(speech, min_silence_duration_ms=3000) == [(0, 4), (7, 8)]
    assert find(speech, min_silence_duration_ms=4000) == [(0, 8)]


def test_long_chunks_are_cut() -> None:
    assert find([0.9] * 7, max_speech_duration_s=3, **SHORT) == [(0, 3), (3, 6), (6, 7)]


def test_the_pad_stops_at_the_ends_and_in_the_middle_of_a_gap() -> None:
    pad = silero._pad  # noqa: SLF001
    assert pad([(1, 2), (4, 5)], 100, 10, 0.5) == [
        {"start": 5, "end": 25},
        {"start": 35, "end": 55},
    ]
    assert pad([(1, 2), (4, 5)], 52, 10, 3) == [{"start": 0, "end": 30}, {"start": 30, "end": 52}]
