"""Any text as a message, and any values in one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_webrtc import Limits
from gradio_webrtc._messages import (
    WORDS,
    create_words,
    decode_data,
    encode_message,
)

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
NESTED = st.builds(
    lambda mark, depth, rest: mark * depth + rest,
    st.sampled_from(["[", '{"a":', "[[{", '"', "-", "9"]),
    st.integers(1, Limits().message_bytes),
    st.text(max_size=5),
)


@given(st.text() | NESTED | st.sampled_from(["NaN", "-Infinity", "[NaN]"]))
def test_whatever_comes_is_json_or_the_text_itself(text: str) -> None:
    data = decode_data(text)
    # A value that was read can be written again.
    assert data is text or decode_data(encode_message(data)) == data


@given(JSON)
def test_a_value_comes_through_whole(data: object) -> None:
    text = encode_message(data)
    assert text.encode().decode() == text
    assert decode_data(text) == data
    assert decode_data(json.dumps(data)) == data


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_does_not_have_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode_message({"type": "level", "data": [number]})


@pytest.mark.parametrize("half", ["\ud800", "a\udc80b"])
def test_half_a_character_has_an_escape(half: str) -> None:
    text = encode_message({"data": half, half: "é"})
    assert "é" in text
    text.encode()
    assert decode_data(text) == {"data": half, half: "é"}


@given(st.sampled_from(WORDS), st.none() | st.text() | JSON, st.none() | st.text(), JSON)
def test_words_of_users_code_can_always_be_sent(
    kind: Any, text: object, title: object, duration_s: object
) -> None:
    decoded = decode_data(encode_message(create_words(kind, text, title, duration_s)))
    assert decoded["type"] == kind
    shown_s: Any = decoded["duration"]
    assert shown_s is None or shown_s > 0
