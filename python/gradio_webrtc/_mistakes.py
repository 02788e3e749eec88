"""Texts about items of a handler that cannot be used: what came, and what to write instead.

The texts are for the developer, in errors and in the log. Any thread; imports the public types
alone.
"""

from __future__ import annotations

import inspect
import logging
import numbers
import reprlib
from typing import Any, Final

import numpy as np

from .types import AdditionalOutputs, CloseStream

INT16_SCALE_PEAK: Final = 8.0
"""The peak above which floats were not meant as -1 to 1: they would be 18 dB over full scale. In
samples of 16 bits such a peak is less than the noise of any microphone."""

LOOKED_AT: Final = 48_000
"""Samples of a chunk that are examined, evenly spread: they take tens of microseconds."""

LONGEST: Final = 100
"""Characters of a user's value that a text repeats: a value may have millions."""

MOST_KINDS: Final = 6
"""Parts of a tuple that a text names."""

SMALLEST_FRAME: Final = 16
"""Pixels each way above which an array with three or four colours is a video frame, not audio."""

_ONE_BY_ONE: Final = "give one chunk at a time: one after the other, yield (rate, array)"
_FROM_BYTES: Final = "write (rate, np.frombuffer(data, np.int16))"

_logger = logging.getLogger(__name__)


class _Shortener(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = LONGEST
        self.maxlevel = 2


def shorten(value: object) -> str:
    """Returns the value as Python writes it, on one line of at most `LONGEST` characters."""
    return " ".join(_Shortener().repr(value).split())[:LONGEST]


def advise_on_audio(item: object) -> str:
    """Names an item that is no audio, and what to write instead; the end of an error's text."""
    if inspect.isgenerator(item) or inspect.isasyncgen(item):
        advice = (
            ": emit gives one item each time it is called, so write return in place of yield, or "
            "ReplyOnPause(fn) with the generator function as fn"
        )
    elif inspect.isawaitable(item):
        advice = ": write async def emit, or await it"
    elif isinstance(item, list) and item and _is_audio(item[0]):
        advice = f": {_ONE_BY_ONE}"
    elif _is_array(item):
        advice = " without its rate: write (rate, array), such as (24000, array)"
        if _is_video_frame(item):
            advice += '; for video frames write WebRTC(modality="video")'
    else:
        advice = _advise_on_item(item)
    return f"{type(item).__name__}{advice}"


def _advise_on_item(item: object) -> str:
    match item:
        case str():
            return ": text is not spoken; for the client write AdditionalOutputs(text)"
        case bytes() | bytearray() | memoryview():
            return f": {_FROM_BYTES}"
        case (_, _, *_, AdditionalOutputs() | CloseStream() as extra):
            return f": write ((rate, array), {type(extra).__name__}(...))"
    return ""


def advise_on_rate(rate: object, samples: object) -> str:
    """Names an object that is no sample rate, and what to write instead."""
    is_swapped = isinstance(samples, numbers.Real)
    if _is_audio(rate):
        return _advise_on_companion(samples)
    if isinstance(rate, bytes | bytearray | memoryview):
        behind = f", and {shorten(samples)} behind it: the two are swapped" if is_swapped else ""
        return f"{type(rate).__name__}{behind}{',' if behind else ':'} {_FROM_BYTES}"
    if _is_array(rate) and is_swapped:
        return f"an array, and {samples} behind it: the two are swapped, write ({samples}, array)"
    if isinstance(rate, AdditionalOutputs | CloseStream):
        name = type(rate).__name__
        return f"{name}: the audio comes first, write ((rate, array), {name}(...))"
    return f"{'an array' if _is_array(rate) else shorten(rate)}: write (rate, array)"


def _advise_on_companion(value: object) -> str:
    """Advises on a value that came behind a whole ``(rate, array)``."""
    if _is_audio(value):
        return f"(rate, array) twice: {_ONE_BY_ONE}"
    came = f"(rate, array) with {type(value).__name__} behind it"
    if value is None:
        return f"{came}: write (rate, array) alone, or ((rate, array), AdditionalOutputs(value))"
    shown = "value" if hasattr(value, "__array__") else shorten(value)
    return f"{came}: for the client write ((rate, array), AdditionalOutputs({shown}))"


def advise_on_layout(layout: object) -> str:
    """Names an object that is no layout, and what to write instead."""
    if _is_audio(layout):
        return f"(rate, array): {_ONE_BY_ONE}"
    if _is_array(layout):
        return "an array: for two channels write (rate, np.stack([left, right]))"
    return shorten(layout)


def advise_on_tuple(item: tuple[object, ...]) -> str:
    """Names a tuple that is no video frame with outputs behind it, and what to write instead."""
    kinds = [type(part).__name__ for part in item[:MOST_KINDS]]
    came = f"a tuple ({', '.join(kinds)}{', ...' if len(item) > MOST_KINDS else ''})"
    match item:
        case (_,):
            return f"{came}: a comma too many?"
        case (AdditionalOutputs() | CloseStream() as extra, _):
            return f"{came}: the frame comes first, (frame, {type(extra).__name__}(...))"
        case (int() | np.integer(), _) | (int() | np.integer(), _, str() | None):
            return (
                f"{came}: that is audio, which video functions and video_emit do not give; for a "
                'function that is to give audio write WebRTC(modality="audio")'
            )
        case (_, *_, AdditionalOutputs()):
            return f"{came}: put all values into one, (frame, AdditionalOutputs(value, ...))"
    return (
        f"{came}: for other components write (frame, AdditionalOutputs(value, ...)), "
        "and receive the values with on_additional_outputs"
    )


def advise_on_function(value: object) -> str:
    """Names an object that is no function, and what to write instead."""
    if inspect.isgenerator(value) or inspect.isasyncgen(value) or inspect.iscoroutine(value):
        return f"{shorten(value)}: give the function itself, without calling it"
    return shorten(value)


class ScaleWatch:
    """Warns once of float samples in the scale of int16, which are played as noise.

    Args:
        owner: The name of the code that gives them, for the log.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._is_over = False

    def look(self, samples: object) -> None:
        """Examines a chunk: an array of any shape and type; anything else passes."""
        if self._is_over or not isinstance(samples, np.ndarray) or samples.dtype.kind != "f":
            return
        peak = _peak(samples)
        if peak > INT16_SCALE_PEAK:
            self._is_over = True
            _logger.warning(
                "%s gives float samples up to %.0f, where -1 to 1 is full scale; they are cut off "
                "there, which distorts the audio. Divide samples in the scale of int16 by 32768, "
                "or give them as they are: array.astype(np.int16)",
                self._owner,
                peak,
            )


def _peak(samples: np.ndarray[Any, Any]) -> float:
    """Returns the peak of samples that are spread evenly over a chunk; 0 where all are NaN."""
    if not samples.size:
        return 0.0
    axis = int(np.argmax(samples.shape))
    step = max(1, samples.shape[axis] // LOOKED_AT)
    part = np.abs(np.moveaxis(samples, axis, 0)[::step])
    return float(np.max(part, where=np.isfinite(part), initial=0.0))


def _is_array(value: object) -> bool:
    return hasattr(value, "__array__") or (isinstance(value, list) and len(value) > 1)


def _is_audio(value: object) -> bool:
    """True for a whole ``(rate, array)``, with a layout or without."""
    match value:
        case (numbers.Real(), samples) | (numbers.Real(), samples, _):
            return _is_array(samples) or isinstance(samples, bytes | bytearray | memoryview)
    return False


def _is_video_frame(value: object) -> bool:
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8:
        return False
    match value.shape:
        case (height, width, 3 | 4):
            return bool(min(height, width) > SMALLEST_FRAME)
    return False
