"""Words in texts: what is found, what is not, and what is no stop word."""

from __future__ import annotations

from typing import Any

import pytest

from gradio_webrtc._turns.stop_words import check_phrases, ends_with_phrase, find_phrase


@pytest.mark.parametrize(
    "text",
    [
        "computer",
        "Computer!",
        "So, COMPUTER, what now?",
        "the computer",
        "…computer…",
        '"Computer"',
        "super\ncomputer",
    ],
)
def test_a_word_is_found_whatever_its_case_and_punctuation(text: str) -> None:
    assert find_phrase(text, ["jarvis", "computer"]) == "computer"


@pytest.mark.parametrize("text", ["", "computers", "supercomputer", "com puter", "compute her"])
def test_a_part_of_a_word_is_another_word(text: str) -> None:
    assert find_phrase(text, ["computer"]) is None


@pytest.mark.parametrize("phrase", ["hello iris", "Hello, Iris", " hello   IRIS "])
@pytest.mark.parametrize("text", ["Hello, Iris.", "oh hello\niris, listen", "Hello Iris"])
def test_a_pair_is_found_with_a_comma_in_it(phrase: str, text: str) -> None:
    assert find_phrase(text, [phrase]) == phrase


@pytest.mark.parametrize("text", ["Iris, hello", "hello my iris", "hello", "hello irises"])
def test_a_pair_is_two_words_one_after_the_other(text: str) -> None:
    assert find_phrase(text, ["hello iris"]) is None


@pytest.mark.parametrize(
    ("text", "phrase"),
    [("What\u2019s up?", "what's up"), ("Où est Zoë?", "zoë"), ("Los, RÖMER!", "römer")],
)
def test_apostrophes_and_letters_of_all_languages(text: str, phrase: str) -> None:
    assert find_phrase(text, [phrase]) == phrase


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Hey, Lama!", "hey llama"),
        ("A lamma.", "llama"),
        ("Ok, robot.", "okay robot"),
        ("Okay, computer.", "ok computer"),
    ],
)
def test_either_spelling_of_one_pronunciation_is_found(text: str, phrase: str) -> None:
    assert find_phrase(text, [phrase]) == phrase
    assert ends_with_phrase(text, [phrase])


@pytest.mark.parametrize(
    ("text", "phrase"),
    [("The commuter train", "computer"), ("Alex", "alexa"), ("room 100", "room 10")],
)
def test_a_word_that_only_resembles_it_is_another_word(text: str, phrase: str) -> None:
    assert find_phrase(text, [phrase]) is None


@pytest.mark.parametrize(
    ("text", "is_last"),
    [("Computer.", True), ("Oh, hello, Iris!", True), ("Computer, now", False), ("", False)],
)
def test_whether_it_is_the_last_word(text: str, is_last: bool) -> None:  # noqa: FBT001
    assert ends_with_phrase(text, ["computer", "hello iris"]) is is_last


def test_a_text_alone_is_one_stop_word() -> None:
    assert check_phrases("computer") == ["computer"]
    assert check_phrases(("computer", "hello iris")) == ["computer", "hello iris"]


@pytest.mark.parametrize(
    ("phrases", "error"),
    [([], ValueError), ([""], ValueError), (["computer", "..."], ValueError), ([3], TypeError)],
)
def test_what_could_never_be_said_is_refused(phrases: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_phrases(phrases)
