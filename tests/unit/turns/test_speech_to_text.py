"""Transcription: the default model on a known voice, and the error without it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.signals import speech

from gradio_webrtc import (
    MoonshineSTT,
    ReplyOnStopWords,
    STTModel,
    audio_to_float32,
    get_silero_model,
    get_stt_model,
    stt,
    stt_for_chunks,
)
from gradio_webrtc._audio import Resampler
from gradio_webrtc._turns.speech_to_text import to_stt_rate
from gradio_webrtc._turns.stop_words import words_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SAID = "go forward ten meters"


def said_words(text: str) -> str:
    return " ".join(words_of(text.replace("10", "ten")))


@pytest.mark.parametrize(
    "form",
    [
        lambda samples: samples,
        lambda samples: samples.reshape(1, -1),
        audio_to_float32,
        lambda samples: audio_to_float32(samples).astype(np.float64),
    ],
    ids=["int16", "(1, n)", "float32", "float64"],
)
def test_samples_of_any_form_are_understood(form: Any) -> None:
    rate_hz, samples = speech("goforward_16k")
    assert said_words(stt((rate_hz, form(samples)))) == SAID


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 48_000])
def test_any_rate_is_understood(rate_hz: int) -> None:
    from_hz, samples = speech("goforward_16k")
    resampler = Resampler(from_hz, rate_hz)
    parts = (resampler.process(samples.reshape(1, -1)), resampler.flush())
    assert "forward" in words_of(stt((rate_hz, np.concatenate(parts, axis=1))))


@pytest.mark.parametrize("samples", [np.zeros((1, 0), np.int16), np.zeros(16_000, np.int16)])
def test_silence_has_no_words(samples: NDArray[np.int16]) -> None:
    assert stt((16_000, samples)) == ""


def test_several_threads_share_the_model() -> None:
    rate_hz, samples = speech("goforward_16k")
    texts: list[str] = []
    threads = [
        threading.Thread(target=lambda: texts.append(stt((rate_hz, samples)))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [said_words(text) for text in texts] == [SAID] * 3


def test_both_forms_of_chunks() -> None:
    rate_hz, samples = speech("goforward_16k")
    _, chunks = get_silero_model().vad((rate_hz, samples))
    assert chunks
    assert said_words(stt_for_chunks((rate_hz, samples), chunks)) == SAID
    model = get_stt_model()
    assert said_words(stt_for_chunks(model, (rate_hz, samples.reshape(1, -1)), chunks)) == SAID
    with pytest.raises(TypeError, match=r"\(audio, chunks\)"):
        stt_for_chunks((rate_hz, samples))  # type: ignore[call-overload]


class Counting:
    """Returns the length of the chunk as its text."""

    def stt(self, audio: tuple[int, Any]) -> str:
        return str(audio[1].size) if audio[1].size else ""


def test_chunks_are_parts_of_the_recording() -> None:
    chunks = [{"start": 0, "end": 10}, {"start": 20, "end": 20}, {"start": 30, "end": 50}]
    assert stt_for_chunks(Counting(), (16_000, np.zeros(100, np.int16)), chunks) == "10 20"


def test_a_model_is_whatever_transcribes() -> None:
    assert isinstance(get_stt_model(), STTModel)
    assert isinstance(Counting(), STTModel)
    assert not isinstance("moonshine", STTModel)


def test_the_names_of_models() -> None:
    assert get_stt_model() is get_stt_model("moonshine/tiny")
    with pytest.warns(UserWarning, match="using moonshine/tiny"):
        assert get_stt_model("moonshine/base") is get_stt_model()
    with pytest.raises(ValueError, match="Invalid model"):
        get_stt_model("whisper")  # type: ignore[arg-type]


def test_a_recording_at_the_models_rate_is_not_copied() -> None:
    samples = np.zeros(160, np.float32)
    assert np.shares_memory(to_stt_rate((16_000, samples)), samples)


@pytest.fixture(params=["absent", "without weights"])
def no_moonshine(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Spec:
        origin = str(tmp_path / "__init__.py")

    spec = None if request.param == "absent" else Spec()
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: spec)
    monkeypatch.setattr("gradio_webrtc._turns.speech_to_text._moonshine", MoonshineSTT)


@pytest.mark.usefixtures("no_moonshine")
@pytest.mark.parametrize(
    "attempt",
    [
        lambda: stt((16_000, np.zeros(16_000, np.int16))),
        lambda: ReplyOnStopWords(lambda audio: audio, ["computer"]),
    ],
    ids=["stt", "ReplyOnStopWords"],
)
def test_what_is_missing_is_reported_with_the_command_that_brings_it(attempt: Any) -> None:
    with pytest.raises(ImportError, match=r'pip install "gradio_webrtc\[stopword\]"'):
        attempt()
