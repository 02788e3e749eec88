"""AdditionalOutputs as values of JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from gradio_webrtc._session.plain_values import MAX_NUMBERS, plain_values
from gradio_webrtc.errors import HandlerError


@dataclasses.dataclass
class Message:
    role: str
    content: Any


def of_itself() -> list[Any]:
    values: list[Any] = []
    values.append(values)
    return values


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ("text", "text"),
        (None, None),
        ((1, 2.5, True), [1, 2.5, True]),
        ({"a": [1], 2: "b"}, {"a": [1], "2": "b"}),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(1), True),
        (np.array([[1, 2], [3, 4]], np.int16), [[1, 2], [3, 4]]),
        ({"boxes": [np.array([1.5])]}, {"boxes": [[1.5]]}),
        (Message("user", np.array([1])), {"role": "user", "content": [1]}),
        ("half a \ud83d pair", "half a � pair"),
        ("whole \U0001f600", "whole \U0001f600"),
    ],
)
def test_a_value_has_the_form_of_json(value: object, plain: object) -> None:
    assert plain_values([value]) == [plain]
    json.dumps(plain_values([value])).encode()


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (object(), "no JSON for the type object"),
        (Message, "no JSON for the type type"),
        ({1, 2}, "no JSON for the type set"),
        (float("nan"), "Out of range float values"),
        (np.array([np.inf]), "Out of range float values"),
        (np.zeros((256, 257)), r"an array of the shape \(256, 257\)"),
        (of_itself(), "Circular reference"),
        ({(1, 2): 3}, "keys must be"),
        (b"bytes", "no JSON for the type bytes"),
    ],
)
def test_what_json_cannot_carry_is_refused_by_its_place(value: object, advice: str) -> None:
    with pytest.raises(HandlerError, match=rf"value 2 of AdditionalOutputs.*{advice}"):
        plain_values(["fine", value])


def test_the_largest_array_is_a_list() -> None:
    [numbers] = plain_values([np.zeros(MAX_NUMBERS, np.uint8)])
    assert len(numbers) == MAX_NUMBERS
