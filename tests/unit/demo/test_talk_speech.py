"""The speech recogniser of `talk.py` understands its voice; a missing package is named."""

import importlib
import re
import sys
from datetime import datetime

import numpy as np
import pytest
import soxr
from talk_replies import GREETING, STORY, normalise, reply_to
from talk_speech import Ears, Voice

NOW = datetime(2026, 11, 22, 15, 42)  # noqa: DTZ001 - the demo speaks the machine's local time

# The same audio is transcribed in figures or in words, from one processor to the next.
MIDNIGHT_SEVEN = ["1207 am", "twelve o seven am", "twelve oh seven am"]


@pytest.fixture(scope="module")
def ears() -> Ears:
    return Ears()


@pytest.fixture(scope="module")
def voice() -> Voice:
    return Voice()


def recognised(text: str, ears: Ears, voice: Voice) -> str:
    """Returns the transcript of `text` spoken by the voice."""
    spoken = soxr.resample(np.concatenate(list(voice.say(text))), voice.sample_rate, 16_000)
    silence = np.zeros(3200, np.float32)
    samples = np.concatenate([silence, spoken, silence])
    return ears.transcribe((samples * 32767).astype(np.int16)[np.newaxis])


@pytest.mark.parametrize(
    "question",
    ["What time is it?", "What is the date?", "Count to five.", "Tell me a story.", "Stop."],
)
def test_a_spoken_question_gets_the_answer_of_the_written_one(
    question: str, ears: Ears, voice: Voice
) -> None:
    assert reply_to(recognised(question, ears, voice), NOW) == reply_to(question, NOW)


@pytest.mark.parametrize(
    ("sentence", "spellings"),
    [
        (reply_to("What time is it?", NOW)[0], ["342 pm", "three forty two pm"]),
        (reply_to("What time is it?", NOW.replace(hour=0, minute=7))[0], MIDNIGHT_SEVEN),
        (reply_to("What is the date?", NOW)[0], ["sunday november 22 2026"]),
        ("21,", ["twenty one", "21"]),
        (GREETING[0], [normalise(GREETING[0])]),
        (STORY[0], [normalise(STORY[0])]),
    ],
)
def test_numbers_times_and_dates_are_spoken_as_people_say_them(
    sentence: str, spellings: list[str], ears: Ears, voice: Voice
) -> None:
    text = normalise(recognised(sentence, ears, voice).replace(":", "").replace(".", ""))
    text = re.sub(r"\b([ap]) m\b", r"\1m", text)
    assert any(spelling in text for spelling in spellings), text


def test_sentences_come_one_by_one(voice: Voice) -> None:
    assert len(list(voice.say("One sentence. Another one."))) == 2


def test_no_audio_is_no_words(ears: Ears) -> None:
    assert ears.transcribe(np.zeros((1, 0), np.int16)) == ""


@pytest.mark.parametrize("package", ["moonshine_voice", "hibari"])
def test_missing_package_is_named_with_the_command(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "talk_speech")
    with pytest.raises(SystemExit, match=package) as stopped:
        importlib.import_module("talk_speech")
    assert 'pip install "gradio_webrtc[talk]"' in str(stopped.value)
