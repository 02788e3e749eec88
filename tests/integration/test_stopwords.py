"""ReplyOnStopWords with the default model, on a synthetic voice and on recordings of people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hibari import Hibari
from support.signals import speech, tone

from gradio_webrtc import AdditionalOutputs, ReplyOnStopWords, stt
from gradio_webrtc._turns.stop_words import words_of
from gradio_webrtc.testing import simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

VOICE_HZ = 24_000

Audio = tuple[int, "NDArray[np.int16]"]


def silence(seconds: float) -> NDArray[np.int16]:
    return np.zeros(round(seconds * VOICE_HZ), np.int16)


@pytest.fixture(scope="module")
def voice() -> Hibari:
    return Hibari(threads=1)


def say(voice: Hibari, text: str) -> NDArray[np.int16]:
    samples = np.concatenate(list(voice.stream(text, seed=1)))
    spoken: NDArray[np.int16] = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
    return spoken


def transcribe(audio: Audio, language: str) -> Iterator[object]:
    yield AdditionalOutputs(language, stt(audio))
    yield (24_000, tone(0.3, 600, 24_000).reshape(1, -1))


def test_the_guides_case(voice: Hibari) -> None:
    spoken = [
        silence(0.5),
        say(voice, "The meeting starts at nine, and everybody brings lunch."),
        silence(1.5),
        say(voice, "Computer, what is the weather like in Paris?"),
        silence(2),
        say(voice, "Nobody was talking to you now."),
        silence(1.5),
        say(voice, "Computer."),
        silence(1.5),
        say(voice, "Turn off the light in the kitchen."),
    ]
    handler = ReplyOnStopWords(transcribe, ["computer"], input_sample_rate=16_000)
    simulation = simulate(handler, (VOICE_HZ, np.concatenate(spoken)), ["en"])
    assert [words_of(output.args[1]) for output in simulation.outputs] == [
        words_of("What is the weather like in Paris?"),
        words_of("Turn off the light in the kitchen."),
    ]
    assert {output.args[0] for output in simulation.outputs} == {"en"}
    assert [turn.audio[0] for turn in simulation.turns] == [16_000] * 2
    sent = [message for _, message in simulation.messages if message["type"] == "stopword"]
    assert len(sent) == 2
    signals = [event.time_s for event in simulation.events if event.name == "stopword"]
    assert (
        signals[0] < simulation.turns[0].pause_s < signals[1] < simulation.turns[1].speech_start_s
    )
    is_loud = np.abs(simulation.audio[1]).max(axis=0) > 200
    assert not is_loud[: round(simulation.turns[0].pause_s * 48_000)].any()


@pytest.mark.parametrize("way", ["Hello, Iris! {}", "hello iris. {}", "Oh, hello Iris, {}"])
def test_a_pair_of_words(voice: Hibari, way: str) -> None:
    request = "set a timer for ten minutes."
    spoken = np.concatenate([silence(0.5), say(voice, way.format(request))])
    handler = ReplyOnStopWords(
        transcribe, ["hello iris"], input_sample_rate=16_000, needs_args=False
    )
    simulation = simulate(handler, (VOICE_HZ, spoken), ["en"])
    assert [event.name for event in simulation.events].count("stopword") == 1
    assert "timer" in simulation.outputs[0].args[1]
    assert "iris" not in words_of(simulation.outputs[0].args[1])


@pytest.mark.parametrize(
    "name", ["austen_0870_16k", "goforward_16k", "asterisk_vm_newuser_16k", "cards_005_16k"]
)
def test_people_who_talk_of_something_else(name: str) -> None:
    handler = ReplyOnStopWords(transcribe, ["computer", "hello iris"], input_sample_rate=16_000)
    simulation = simulate(handler, speech(name))
    assert simulation.turns == []
    assert simulation.messages == [
        (simulation.messages[0][0], {"type": "end_stream", "data": simulation.end_reason})
    ]
