"""The attributes of a handler that set the form of the frames for its ``receive``.

They may be set at any time, in any thread. A session follows them by an event, so that no packet
costs a look at them.
"""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, get_args, overload

from gradio_webrtc._mistakes import shorten
from gradio_webrtc.errors import AudioError
from gradio_webrtc.types import Layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stream_handler import StreamHandlerBase

T = TypeVar("T")

RATE_RANGE_HZ: Final = (8_000, 192_000)
"""The rates that the resampler of the core takes, in Hz."""

MAX_FRAME_SAMPLES: Final = 60 * RATE_RANGE_HZ[1]
"""The most samples per channel of a frame that the core cuts: a minute's at the highest rate."""


def check_rate(name: str, rate_hz: object) -> None:
    """Raises AudioError unless this is a rate of audio, in Hz."""
    lowest, highest = RATE_RANGE_HZ
    if not _is_whole(rate_hz, lowest, highest):
        raise AudioError(
            f"{name} is a whole number from {lowest} to {highest} Hz, got {shorten(rate_hz)}"
        )


def check_layout(name: str, layout: object) -> None:
    """Raises AudioError unless this is a layout."""
    if layout not in get_args(Layout):
        raise AudioError(f"{name} is 'mono' or 'stereo', got {shorten(layout)}")


def check_frame_size(name: str, samples: object) -> None:
    """Raises AudioError unless frames may have so many samples per channel."""
    if not _is_whole(samples, 1, MAX_FRAME_SAMPLES):
        raise AudioError(
            f"{name} is a whole number from 1 to {MAX_FRAME_SAMPLES} samples, "
            f"got {shorten(samples)}"
        )


def _is_whole(value: object, lowest: int, highest: int) -> bool:
    return isinstance(value, numbers.Integral) and lowest <= int(value) <= highest


class InputSetting(Generic[T]):
    """One of these attributes, which raises `AudioError` for a value that is none for it.

    Its values are where those of plain attributes are, in ``vars(handler)``: a copy has them.

    Args:
        check: Called with the name of the attribute and each value, before it is set.
    """

    def __init__(self, check: Callable[[str, object], None]) -> None:
        self._check = check
        self._name = ""

    def __set_name__(self, owner: type[object], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, handler: None, owner: type[object]) -> InputSetting[T]: ...
    @overload
    def __get__(self, handler: StreamHandlerBase, owner: type[object]) -> T: ...
    def __get__(self, handler: StreamHandlerBase | None, owner: type[object]) -> Any:
        if handler is None:
            return self
        try:
            return vars(handler)[self._name]
        except KeyError:
            raise AttributeError(f"{owner.__name__} has not set {self._name} yet") from None

    def __set__(self, handler: StreamHandlerBase, value: T) -> None:
        self._check(self._name, value)
        handler._rtc_set_input(self._name, value)  # noqa: SLF001 - it is one of us
