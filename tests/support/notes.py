"""Notes that a program under test makes, and the test that runs it reads.

A note is JSON in lines of standard output, so it comes in order with all else that the program
writes, and from whatever thread. Each line is one write to a pipe, short enough not to be torn
apart by what others write at the same time.
"""

from __future__ import annotations

import base64
import json
import sys
from collections import defaultdict
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "note: "

PART_BYTES = 3_000
"""Of a line, without its head: POSIX has 4,096 bytes of Linux's pipes stay together."""

_numbers = count()


def note(name: str, **values: object) -> None:
    """Note in the program that something happened, with values of JSON, tuples or arrays."""
    text = json.dumps({"name": name, "values": values}, default=_encode)
    number = next(_numbers)
    for begin in range(0, len(text), PART_BYTES):
        left = max(0, len(text) - begin - PART_BYTES)
        sys.stdout.write(f"{MARK}{number} {left} {text[begin : begin + PART_BYTES]}\n")
        sys.stdout.flush()


def read_notes(lines: list[str], name: str) -> list[dict[str, Any]]:
    """The values of all notes with this name in what a program wrote."""
    # Only those are decoded: others may carry seconds of audio each.
    begin = f'{{"name": {json.dumps(name)},'
    notes = [text for text in _whole(lines) if text.startswith(begin)]
    return [json.loads(each, object_hook=_decode)["values"] for each in notes]


def _whole(lines: list[str]) -> Iterator[str]:
    """The text of each note whose last part has come."""
    parts: dict[str, str] = defaultdict(str)
    for line in lines:
        if MARK in line:
            number, left, part = line.partition(MARK)[2].rstrip("\n").split(" ", 2)
            parts[number] += part
            if left == "0":
                yield parts.pop(number)


def _encode(value: object) -> object:
    if not isinstance(value, np.ndarray):
        return repr(value)
    data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
    return {"dtype": value.dtype.str, "shape": value.shape, "data": data}


def _decode(item: dict[str, Any]) -> Any:
    if item.keys() != {"dtype", "shape", "data"}:
        return item
    flat = np.frombuffer(base64.b64decode(item["data"]), item["dtype"])
    return flat.reshape(item["shape"])
