"""Notes that a program under test makes, and the test that runs it reads.

A note is one line of JSON on standard output, so it comes in order with all else that the program
writes, and from whatever thread.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import numpy as np

MARK = "note: "


def note(name: str, **values: object) -> None:
    """Note in the program that something happened, with values of JSON, tuples or arrays."""
    line = json.dumps({"name": name, "values": values}, default=_encode)
    sys.stdout.write(f"{MARK}{line}\n")
    sys.stdout.flush()


def read_notes(lines: list[str], name: str) -> list[dict[str, Any]]:
    """The values of all notes with this name in what a program wrote."""
    # Only those are read: others may carry seconds of sound each.
    begin = f'{MARK}{{"name": {json.dumps(name)},'
    notes = [line.partition(MARK)[2] for line in lines if begin in line]
    return [json.loads(each, object_hook=_decode)["values"] for each in notes]


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
