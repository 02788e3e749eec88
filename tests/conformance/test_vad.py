"""The exam of the protocol `VoiceActivityDetector`. Another detector is one line in `DETECTORS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pytest
from support.conversing import ScriptedVad, audio_at
from support.signals import speech

from gradio_webrtc._audio import PauseDetector, SileroVad, audio_to_float32
from gradio_webrtc.types import VoiceActivityDetector

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class EnergyVad:
    """Speech is what is louder than -40 dB; the smoothed energy is its state."""

    sample_rate = 8000
    window_samples = 200

    def __init__(self) -> None:
        self._energy = 0.0

    def probability(self, window: NDArray[np.float32]) -> float:
        self._energy = 0.5 * self._energy + 0.5 * float(np.square(window).mean())
        return min(self._energy / 1e-4, 1.0)

    def reset(self) -> None:
        self._energy = 0.0


class MeasuredVad(ScriptedVad):
    """One whose attributes are properties, as those of compiled classes are."""

    @property
    def sample_rate(self) -> int:  # type: ignore[override]
        return 16000

    @property
    def window_samples(self) -> int:  # type: ignore[override]
        return 512


def spoken(rate_hz: int) -> NDArray[np.float32]:
    """Real speech, float32 ``(n,)``."""
    samples = audio_to_float32(speech("goforward_16k")[1]).reshape(-1)
    return samples[:: 16000 // rate_hz]


def scripted(_rate_hz: int) -> NDArray[np.float32]:
    return audio_to_float32(audio_at(0.9, 30)).reshape(-1)


class Case(NamedTuple):
    """An implementation, and what it takes for speech."""

    make: Callable[[], VoiceActivityDetector]
    speech: Callable[[int], NDArray[np.float32]] = spoken


DETECTORS: Final = {
    "Silero at 16 kHz": Case(lambda: SileroVad(16000)),
    "Silero at 8 kHz": Case(lambda: SileroVad(8000)),
    "energy": Case(EnergyVad),
    "an object of the user's": Case(ScriptedVad, scripted),
    "properties": Case(MeasuredVad, scripted),
}


@pytest.fixture(params=DETECTORS.values(), ids=[*DETECTORS])
def case(request: pytest.FixtureRequest) -> Any:
    return request.param


def windows(vad: VoiceActivityDetector, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    whole = samples.size // vad.window_samples * vad.window_samples
    return samples[:whole].reshape(-1, vad.window_samples)


def probabilities(vad: VoiceActivityDetector, samples: NDArray[np.float32]) -> list[float]:
    return [vad.probability(window) for window in windows(vad, samples)]


def test_it_meets_the_protocol(case: Case) -> None:
    assert isinstance(case.make(), VoiceActivityDetector)


def test_rate_and_window_are_whole_numbers_that_stay(case: Case) -> None:
    vad = case.make()
    before: tuple[object, ...] = (vad.sample_rate, vad.window_samples)
    assert all(isinstance(each, int) for each in before)
    assert 8_000 <= vad.sample_rate <= 192_000
    assert 0.005 <= vad.window_samples / vad.sample_rate <= 0.2
    probabilities(vad, case.speech(vad.sample_rate))
    vad.reset()
    assert (vad.sample_rate, vad.window_samples) == before


def test_probabilities_are_numbers_from_0_to_1(case: Case) -> None:
    vad = case.make()
    loud = np.sign(case.speech(vad.sample_rate)).astype(np.float32)
    for samples in (case.speech(vad.sample_rate), np.zeros(16000, np.float32), loud):
        for each in probabilities(vad, samples):
            assert isinstance(each, float)
            assert 0.0 <= each <= 1.0


def test_speech_is_more_probable_in_speech_than_in_silence(case: Case) -> None:
    vad = case.make()
    in_speech = max(probabilities(vad, case.speech(vad.sample_rate)))
    vad.reset()
    in_silence = max(probabilities(vad, np.zeros(vad.sample_rate, np.float32)))
    assert in_speech > 0.5 > in_silence


def test_reset_discards_all_audio(case: Case) -> None:
    vad = case.make()
    audio = case.speech(vad.sample_rate)
    first = probabilities(vad, audio)
    vad.reset()
    assert probabilities(vad, audio) == first


def test_two_of_them_are_independent(case: Case) -> None:
    vad, other = case.make(), case.make()
    audio = case.speech(vad.sample_rate)
    alone = probabilities(case.make(), audio)
    found = []
    for window in windows(vad, audio):
        found.append(vad.probability(window))
        other.probability(np.zeros(other.window_samples, np.float32))
    assert found == alone


def test_a_window_is_not_changed(case: Case) -> None:
    vad = case.make()
    window = case.speech(vad.sample_rate)[: vad.window_samples].copy()
    before = window.copy()
    vad.probability(window)
    assert np.array_equal(window, before)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_a_pause_detector_takes_it_at_any_rate(case: Case, rate_hz: int) -> None:
    vad = case.make()
    audio = case.speech(vad.sample_rate)
    detector = PauseDetector(rate_hz, vad=vad)
    length = round(audio.size * rate_hz / vad.sample_rate)
    positions = np.arange(length) * vad.sample_rate / rate_hz
    at_rate = np.interp(positions, np.arange(audio.size), audio) * 32767
    quiet = np.zeros(2 * rate_hz, np.int16)
    samples = np.concatenate([at_rate.astype(np.int16), quiet]).reshape(1, -1)
    kinds = [event.kind for event in detector.process(samples)]
    assert kinds[0] == "speech_started"
    assert kinds[-1] == "pause"


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_silero_refuses_a_window_of_another_length(rate_hz: int) -> None:
    vad = SileroVad(rate_hz)
    with pytest.raises(ValueError, match="expected"):
        vad.probability(np.zeros(vad.window_samples + 1, np.float32))
