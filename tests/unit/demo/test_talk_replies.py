"""The talking demo answers what was asked, however the words were written down."""

from datetime import datetime

import pytest
from talk_replies import (
    COUNT_LIMIT,
    GREETING,
    STORY,
    is_interruption,
    normalise,
    numbers_in,
    reply_to,
)

NOW = datetime(2026, 11, 22, 15, 42)  # noqa: DTZ001 - the demo speaks the machine's local time


def said(transcript: str, now: datetime = NOW) -> str:
    return " ".join(reply_to(transcript, now))


@pytest.mark.parametrize(
    "transcript",
    [
        "What time is it?",
        "what time is it",
        "WHAT TIME IS IT NOW, PLEASE?",
        "What's the time?",
        "What\u2019s the time",
        "Tell me the time.",
        "Could you tell me what time it is?",
        "Hello, what time is it?",
        "Do you have the time?",
        "Time, please.",
    ],
)
def test_time_is_the_answer_to_a_question_for_it(transcript: str) -> None:
    assert said(transcript) == "It is 3:42 p.m."


@pytest.mark.parametrize(
    ("hour", "minute", "spoken"),
    [
        (0, 7, "12:07 a.m."),
        (9, 0, "9:00 a.m."),
        (11, 59, "11:59 a.m."),
        (12, 0, "12:00 p.m."),
        (23, 5, "11:05 p.m."),
    ],
)
def test_time_has_twelve_hours(hour: int, minute: int, spoken: str) -> None:
    assert said("What time is it?", NOW.replace(hour=hour, minute=minute)) == f"It is {spoken}"


@pytest.mark.parametrize(
    "transcript",
    [
        "What day is it today?",
        "What is the date?",
        "What's today's date?",
        "What date is it?",
        "Which day is it?",
        "Tell me the date, please.",
        "What year is it?",
    ],
)
def test_date_is_the_answer_to_a_question_for_it(transcript: str) -> None:
    assert said(transcript) == "Today is Sunday, November 22, 2026."


@pytest.mark.parametrize(
    "transcript",
    [
        "I had a good time.",
        "What time does the train leave?",
        "All the time in the world.",
        "I can count on you.",
        "My count was wrong.",
        "The bus stop is over there.",
        "Stop by the store.",
        "That is the story of my life.",
        "Hello my name is Tom.",
        "It was a blind date.",
    ],
)
def test_what_is_no_request_is_repeated(transcript: str) -> None:
    assert said(transcript) == f"You said: {transcript}"


@pytest.mark.parametrize(
    "transcript",
    [
        "Count to five.",
        "count to 5",
        "Count, to five!",
        "Count two five.",
        "Count too 5.",
        "Count a five, please.",
        "Count the five.",
        "Count at 5",
        "Can you count up to five for me?",
        "Count from one to five.",
        "Count from 1 to 5.",
    ],
)
def test_counting_to_five(transcript: str) -> None:
    assert reply_to(transcript, NOW) == ("1,", "2,", "3,", "4,", "5.")


@pytest.mark.parametrize(
    ("transcript", "spoken"),
    [
        ("Count to one.", "1."),
        ("Count to two.", "1, 2."),
        ("Count to 2-2.", "1, 2."),
        ("Count down from three.", "3, 2, 1."),
        ("Count backwards from 3.", "3, 2, 1."),
        ("Countdown from three.", "3, 2, 1."),
        ("Count from seven to nine.", "7, 8, 9."),
        ("Count from five to three.", "5, 4, 3."),
    ],
)
def test_counting_ways(transcript: str, spoken: str) -> None:
    assert said(transcript) == spoken


@pytest.mark.parametrize(
    ("transcript", "numbers"),
    [
        ("Count to twenty-five", 25),
        ("Count to a hundred", 100),
        ("Count", 10),
        ("Start counting!", 10),
    ],
)
def test_counting_is_one_sentence_a_number(transcript: str, numbers: int) -> None:
    assert len(reply_to(transcript, NOW)) == numbers


@pytest.mark.parametrize(
    "transcript", ["Count to 101", "Count to 1,000,000", "Count to nine hundred"]
)
def test_counting_has_an_end(transcript: str) -> None:
    assert str(COUNT_LIMIT) in said(transcript)
    assert len(reply_to(transcript, NOW)) == 1


@pytest.mark.parametrize(
    "transcript",
    [
        "Stop.",
        "stop",
        "Stop, stop!",
        "Okay, stop it, please.",
        "Stop counting to twenty.",
        "Stop talking now.",
        "That's enough.",
        "Be quiet, please.",
    ],
)
def test_stop_is_answered_shortly(transcript: str) -> None:
    assert reply_to(transcript, NOW) == ("Okay.",)


@pytest.mark.parametrize(
    "transcript", ["Tell me a story.", "I want to hear another story", "Story please", "A story!"]
)
def test_story_comes_sentence_by_sentence(transcript: str) -> None:
    assert reply_to(transcript, NOW) == STORY


@pytest.mark.parametrize("transcript", ["Hello.", "Hi!", "Hello there.", "Good morning.", "HEY"])
def test_greeting_is_returned(transcript: str) -> None:
    assert reply_to(transcript, NOW) == GREETING


@pytest.mark.parametrize(
    ("transcript", "spoken"),
    [
        ("Thank you very much.", "You are welcome."),
        ("Good-bye!", "Goodbye!"),
        ("Bye.", "Goodbye!"),
        ("", "Sorry, I did not catch that."),
        (" ... ", "Sorry, I did not catch that."),
    ],
)
def test_small_talk(transcript: str, spoken: str) -> None:
    assert said(transcript) == spoken


def test_help_names_what_can_be_asked() -> None:
    assert "count" in said("What can you do?")


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ("from twenty to thirty five", [20, 35]),
        ("two hundred and five", [205]),
        ("one hundred twelve", [112]),
        ("nineteen ninety", [19, 90]),
        ("twenty 5", [25]),
        ("three four", [3, 4]),
        ("zero", [0]),
        ("nothing at all", []),
    ],
)
def test_numbers_are_found_as_words_or_digits(words: str, numbers: list[int]) -> None:
    assert numbers_in(words.split()) == numbers


def test_normalise_drops_case_and_punctuation() -> None:
    assert normalise("  Hello,   IRIS! It's 1,250.  ") == "hello iris it is 1250"


@pytest.mark.parametrize("transcript", ["", "Mhm.", "Uh-huh.", "Oh, okay.", "Right, I see!"])
def test_signs_of_listening_interrupt_nothing(transcript: str) -> None:
    assert not is_interruption(transcript)


@pytest.mark.parametrize(
    "transcript", ["Stop.", "No.", "Right, stop it.", "Okay, what time is it?"]
)
def test_anything_else_interrupts(transcript: str) -> None:
    assert is_interruption(transcript)
