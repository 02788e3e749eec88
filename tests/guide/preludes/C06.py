"""The part that the guide's "Input/Output Streaming" leaves out: the detection.

Its name stands where the guide has a line that is no Python, see `conftest.py`.
"""

from itertools import count
from typing import Any

import numpy as np
from support.frames import colour_of, number_of
from support.notes import note

from gradio_webrtc import WebRTCError

__all__ = ["detect"]

STRANGE: list[Any] = [
    None,
    np.full((240, 320), 128, np.uint8),
    np.full((240, 320, 3), 0.5, np.float32),
    np.full((241, 321, 4), 128, np.uint8),
    WebRTCError("a detection that fails"),
]
"""Results that a detection should not return; each comes once, with two good frames behind it."""

STRANGE_AT = 0.75
"""The confidence threshold at which it returns such things."""

SPACING = 3

_calls = count(1)


def detect(image: Any, conf_threshold: Any) -> Any:
    """The frame with all below its first quarter inverted; now and then something strange."""
    note(
        "C06.call",
        shape=image.shape,
        dtype=str(image.dtype),
        number=number_of(image),
        colour=colour_of(image),
        conf_threshold=conf_threshold,
    )
    turn, rest = divmod(next(_calls), SPACING) if conf_threshold == STRANGE_AT else (0, 1)
    if rest == 0 and turn <= len(STRANGE):
        strange = STRANGE[turn - 1]
        note("C06.strange", kind=type(strange).__name__)
        if isinstance(strange, Exception):
            raise strange
        return strange
    modified = image.copy()
    modified[image.shape[0] // 4 :] = 255 - modified[image.shape[0] // 4 :]
    return modified
