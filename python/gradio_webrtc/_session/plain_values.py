"""The values of AdditionalOutputs for clients that read JSON.

Functions without state, for any thread.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradio_webrtc._messages import HALF_PAIR
from gradio_webrtc.errors import HandlerError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_NUMBERS: Final = 65_536
"""The largest array that becomes a list. A video frame would take a second of the event loop, and a
client has no use for its numbers."""

ADVICE: Final = (
    "clients of routes read JSON: text, numbers, lists, dicts, and arrays of NumPy of up to "
    f"{MAX_NUMBERS} numbers"
)


def plain_values(args: Sequence[Any]) -> list[Any]:
    """Returns values as JSON has them: arrays become lists, tuples lists, dataclasses dicts.

    Raises:
        HandlerError: JSON cannot carry one of them; the text names its place and its type.
    """
    return [_plain(value, number) for number, value in enumerate(args, 1)]


def _plain(value: object, number: int) -> Any:
    try:
        text = json.dumps(value, default=_convert, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise HandlerError(
            f"value {number} of AdditionalOutputs, of the type {type(value).__name__}, cannot be "
            f"sent ({error}): {ADVICE}"
        ) from error
    # Half a character has no UTF-8, in which the answer is written.
    return json.loads(HALF_PAIR.sub("\ufffd", text))


def _convert(value: object) -> Any:
    """Returns a value that the encoder has no form for in another one."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.size <= MAX_NUMBERS:
        return value.tolist()
    if isinstance(value, np.ndarray):
        raise TypeError(f"an array of the shape {value.shape}")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"no JSON for the type {type(value).__name__}")
