"""Any text or bytes as a message, and any values in one."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gradio_webrtc import Limits
from gradio_webrtc._messages import (
    WORDS,
    create_words,
    decode_message,
    encode_message,
)

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
NESTED = st.builds(
    lambda mark, depth, rest: mark * depth + rest,
    st.sampled_from(["[", '{"a":', "[[{", '"', "-", "9"]),
    st.integers(1, Limits().message_bytes),
    st.text(max_size=5),
)


@given(st.text() | st.binary() | NESTED | JSON.map(json.dumps))
def test_whatever_comes_is_an_object_or_nothing(text: str | bytes) -> None:
    message = decode_message(text)
    assert message is None or isinstance(message, dict)


@given(st.dictionaries(st.text(), JSON, max_size=3))
def test_an_object_comes_through_whole(message: dict[str, object]) -> None:
    # Compared as text: a number that is none is not equal to itself.
    decoded = decode_message(encode_message(message))
    assert decoded is not None
    assert encode_message(decoded) == encode_message(message)


@given(st.sampled_from(WORDS), st.none() | st.text() | JSON, st.none() | st.text(), JSON)
def test_words_of_users_code_can_always_be_sent(
    kind: Any, text: object, title: object, duration_s: object
) -> None:
    decoded = decode_message(encode_message(create_words(kind, text, title, duration_s)))
    assert decoded is not None
    assert decoded["type"] == kind
    shown_s: Any = decoded["duration"]
    assert shown_s is None or shown_s > 0
