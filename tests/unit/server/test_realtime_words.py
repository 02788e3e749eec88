"""The words in what handlers emit, each of them once."""

from __future__ import annotations

from typing import Any

import pytest

from gradio_webrtc._server import realtime_words as module
from gradio_webrtc._server.realtime_words import WordReader, Words


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("Good day",), [Words("assistant", "Good day")]),
        ((user("Hello"),), [Words("user", "Hello")]),
        ((assistant("Good day"), 3), [Words("assistant", "Good day")]),
        ((3, [user("Hello")]), [Words("user", "Hello")]),
        (("a", "b"), []),
        (("  ",), []),
        ((), []),
        ((3,), []),
        (([],), []),
        (([1, 2],), []),
        (({"role": "system", "content": "x"},), []),
        (({"role": "user"},), []),
        (({"role": "user", "content": 3},), []),
        ((user([{"type": "text", "text": "Hel"}, {"text": "lo"}, 3]),), [Words("user", "Hello")]),
    ],
)
def test_three_forms_are_words(args: tuple[Any, ...], words: list[Words]) -> None:
    assert WordReader().read(args) == words


def test_of_a_growing_list_only_what_is_new_counts() -> None:
    reader = WordReader()
    assert reader.read(([user("Hello")],)) == [Words("user", "Hello")]
    assert reader.read(([user("Hello"), assistant("Good")],)) == [Words("assistant", "Good")]
    assert reader.read(([user("Hello"), assistant("Good day")],)) == [
        Words("assistant", " day", is_whole=False)
    ]
    assert reader.read(([user("Hello"), assistant("Good day")],)) == []
    # Another conversation in its place.
    assert reader.read(([user("Bye")],)) == [Words("user", "Bye")]
    assert reader.read(([assistant("Good day")],)) == [Words("assistant", "Good day")]


def test_a_list_that_loses_its_head_is_recognised() -> None:
    reader = WordReader()
    messages = [user(str(number)) for number in range(module.MAX_MESSAGES)]
    assert len(reader.read((messages,))) == module.MAX_MESSAGES
    messages = [*messages[1:], assistant("new")]
    assert reader.read((messages,)) == [Words("assistant", "new")]
    messages = [*messages, assistant("newer")]
    assert reader.read((messages,)) == [Words("assistant", "newer")]


def test_words_are_bounded() -> None:
    (words,) = WordReader().read((assistant("x" * 2 * module.MAX_CHARS),))
    assert len(words.text) == module.MAX_CHARS
    many = [user(str(number)) for number in range(3 * module.MAX_MESSAGES)]
    assert len(WordReader().read((many,))) == module.MAX_MESSAGES
