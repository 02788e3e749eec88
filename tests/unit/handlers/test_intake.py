"""A subclass changes a frame, and hands it on to our ``receive``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.conversing import CHUNK, LOUDNESS, RATE_HZ, Dialogue, ScriptedVad, conversing

from gradio_webrtc import ReplyOnPause
from gradio_webrtc._handlers.intake import Intake
from gradio_webrtc.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

Made = tuple[int, Any]


class AudioRecorder:
    def __init__(self) -> None:
        self.audio: list[tuple[int, NDArray[Any]]] = []

    def __call__(self, audio: tuple[int, NDArray[Any]]) -> Iterator[Any]:
        self.audio.append(audio)
        yield CHUNK


def filtering(make: Callable[[NDArray[np.int16]], Any], fn: Any, **options: Any) -> ReplyOnPause:
    class Filter(ReplyOnPause):
        def receive(self, frame: Made) -> None:
            super().receive(make(frame[1]))

    return Filter(fn, input_sample_rate=RATE_HZ, **options)


class Model:
    """A PauseDetectionModel that takes a level for speech."""

    def vad(self, audio: Made, _options: Any) -> tuple[float, list[Any]]:
        assert audio[1].dtype == np.int16
        return float(audio[1].mean() / LOUDNESS * audio[1].size / audio[0]), []

    def warmup(self) -> None: ...


def say_a_turn(talk: Dialogue) -> None:
    talk.speak(75)
    talk.pause(38)


SHAPES: dict[str, Callable[[NDArray[np.int16]], Any]] = {
    "flat": lambda samples: (RATE_HZ, samples[0]),
    "one row": lambda samples: (RATE_HZ, samples.copy()),
    "one column": lambda samples: (RATE_HZ, samples.T),
    "planar": lambda samples: (RATE_HZ, np.concatenate([samples, samples])),
    "interleaved": lambda samples: (RATE_HZ, np.concatenate([samples, samples]).T),
    "float32": lambda samples: (RATE_HZ, samples.astype(np.float32) / 32768),
    "float64": lambda samples: (RATE_HZ, samples / 32768),
    "int32": lambda samples: (RATE_HZ, samples.astype(np.int32)),
    "a list": lambda samples: [RATE_HZ, [int(each) for each in samples[0]]],
    "a rate that is a float": lambda samples: (float(RATE_HZ), samples),
}


@pytest.mark.parametrize("options", [{"vad": ScriptedVad}, {"model": Model()}], ids=str)
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_frame_may_have_any_form_of_audio(shape: str, options: Any) -> None:
    fn = AudioRecorder()
    async with conversing(filtering(SHAPES[shape], fn, **options)) as talk:
        say_a_turn(talk)
        await talk.until_event("response_finished")
        assert talk.session.errors == []
    [(rate_hz, samples)] = fn.audio
    assert rate_hz == RATE_HZ
    assert samples.dtype == np.int16
    assert samples.shape[0] == 1
    assert np.count_nonzero(samples) == pytest.approx(75 * 512, abs=400)
    assert samples.max() == pytest.approx(0.9 * LOUDNESS, abs=2)


@pytest.mark.parametrize("options", [{"vad": ScriptedVad}, {"model": Model()}], ids=str)
async def test_frames_of_another_rate_are_processed_and_handed_on_at_that_rate(
    options: Any,
) -> None:
    fn = AudioRecorder()
    handler = filtering(lambda samples: (RATE_HZ // 2, samples[:, ::2]), fn, **options)
    async with conversing(handler) as talk:
        say_a_turn(talk)
        await talk.until_event("response_finished")
        assert talk.session.errors == []
    [(rate_hz, samples)] = fn.audio
    assert rate_hz == RATE_HZ // 2
    assert np.count_nonzero(samples) / rate_hz == pytest.approx(2.4, abs=0.05)


@pytest.mark.parametrize("options", [{"vad": ScriptedVad}, {"model": Model()}], ids=str)
async def test_frames_may_be_longer_and_shorter_and_empty(options: Any) -> None:
    fn = AudioRecorder()
    kept: list[NDArray[np.int16]] = []

    def in_pieces(samples: NDArray[np.int16]) -> Made:
        kept.append(samples)
        if len(kept) % 5:
            return (RATE_HZ, np.zeros((1, 0), np.int16))
        return (RATE_HZ, np.concatenate(kept[-5:], axis=1))

    async with conversing(filtering(in_pieces, fn, **options)) as talk:
        say_a_turn(talk)
        await talk.until_event("response_finished")
    [(_, samples)] = fn.audio
    assert np.count_nonzero(samples) == pytest.approx(75 * 512, abs=400)


def test_float_samples_at_the_scale_of_int16_are_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    intake = Intake(RATE_HZ, "mono")
    with caplog.at_level(logging.WARNING):
        for level in (16000.0, 0.5, 1000.0):
            [taken] = intake.take((RATE_HZ, np.full(3, level, np.float32)))
            assert taken.tolist() == [round(level)] * 3
    [record] = caplog.records
    assert "divide them by 32768" in record.getMessage()


def test_nan_is_silence_and_what_is_too_loud_saturates() -> None:
    [taken] = Intake(RATE_HZ, "mono").take((RATE_HZ, np.array([np.nan, 1.5, -1.5])))
    assert taken.tolist() == [0, 32767, -32768]


def test_stereo_is_averaged_packed_and_planar() -> None:
    for samples in ([[1, 3, 5, 7]], [[1, 5], [3, 7]]):
        [taken] = Intake(RATE_HZ, "stereo").take((RATE_HZ, np.array(samples, np.int16)))
        assert taken.tolist() == [2, 6]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (np.zeros(960, np.int16), "receive takes"),
        (None, "receive takes"),
        ((RATE_HZ, np.zeros(960, np.complex64)), "samples of complex64"),
        ((RATE_HZ, "audio"), "samples of <U5"),
        ((RATE_HZ, 5), "the single number 5"),
        ((RATE_HZ, np.zeros((20, 20), np.int16)), "the shape"),
        ((RATE_HZ, np.zeros((2, 3, 4), np.int16)), "the shape"),
    ],
)
def test_a_frame_without_audio_is_refused_with_a_reason(frame: Any, said: str) -> None:
    with pytest.raises(TypeError, match="receive takes") as raised:
        Intake(RATE_HZ, "mono").take(frame)
    assert said in str(raised.value)


def test_rates_that_cannot_be_are_refused_in_words() -> None:
    intake = Intake(RATE_HZ, "mono")
    with pytest.raises(AudioError, match="8000 to 192000 Hz, got 50"):
        intake.take((50, np.zeros(960, np.int16)))
    intake.take((RATE_HZ, np.zeros(960, np.int16)))
    with pytest.raises(AudioError, match="was given 16000 Hz before, and now 48000 Hz"):
        intake.take((48000, np.zeros(960, np.int16)))
