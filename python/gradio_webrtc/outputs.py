"""What a handler may give back, told apart once; and the queue of values for the page."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .errors import HandlerError
from .types import AdditionalOutputs, CloseStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from .types import Layout

MAX_WAITING_OUTPUTS: Final = 256
"""How many outputs may wait for a page; a handler that gives more waits, as it does for audio."""

LAYOUTS: Final = ("mono", "stereo")


class AudioOutput(NamedTuple):
    """The audio in what a handler gave: rate in Hz, samples in any accepted form, and layout."""

    rate_hz: int
    samples: Any
    layout: Layout | None


class Emitted(NamedTuple):
    """What a handler gave, in its parts."""

    audio: AudioOutput | None = None
    outputs: AdditionalOutputs | None = None
    close: CloseStream | None = None


def split_emitted(item: object) -> Emitted:
    """Tells apart what ``emit`` or a generator gave.

    Args:
        item: ``(rate, array)``, ``(rate, array, layout)``, AdditionalOutputs, CloseStream, a pair
            of audio and one of these, or ``None``.

    Raises:
        HandlerError: It is none of these; says what came.
    """
    match item:
        case None:
            return Emitted()
        case AdditionalOutputs():
            return Emitted(outputs=item)
        case CloseStream():
            return Emitted(close=item)
        case (audio, AdditionalOutputs() as outputs):
            return Emitted(audio=_read_audio(audio), outputs=outputs)
        case (audio, CloseStream() as close):
            return Emitted(audio=_read_audio(audio), close=close)
        case _:
            return Emitted(audio=_read_audio(item))


def _read_audio(item: object) -> AudioOutput | None:
    match item:
        case None:
            return None
        case (rate, samples):
            return AudioOutput(_read_rate(rate), samples, None)
        case (rate, samples, layout) if layout in (*LAYOUTS, None):
            return AudioOutput(_read_rate(rate), samples, layout)
        case (_, _, layout):
            raise HandlerError(f"expected the layout 'mono' or 'stereo', got {layout!r}")
    raise HandlerError(
        "expected (rate, array), (rate, array, layout), AdditionalOutputs, CloseStream, a pair of "
        f"audio and one of these, or None; got {type(item).__name__}"
    )


def _read_rate(rate: object) -> int:
    try:
        return int(rate)  # type: ignore[call-overload, no-any-return]  # numpy integers as well
    except (TypeError, ValueError) as error:
        raise HandlerError(f"expected a sample rate in Hz, got {rate!r}") from error


class OutputQueue:
    """Values on their way to the page, which fetches them one at a time, in order.

    One is announced; the next is announced only when the page is done with the one before. So
    updates arrive in order, and a slow page makes the handler wait rather than lose any.

    Args:
        announce: Tells the page that one waits.
    """

    def __init__(self, announce: Callable[[], None]) -> None:
        self._announce = announce
        self._waiting: deque[AdditionalOutputs] = deque()
        self._space = asyncio.Event()
        self._space.set()
        self._is_announced = False

    async def put(self, outputs: AdditionalOutputs) -> None:
        """Queues values; waits while the queue is full."""
        await self._space.wait()
        self._waiting.append(outputs)
        if len(self._waiting) >= MAX_WAITING_OUTPUTS:
            self._space.clear()
        self._announce_next()

    def take(self) -> AdditionalOutputs | None:
        """The oldest values, or ``None``. Call `done` when the page has them."""
        if not self._waiting:
            return None
        self._space.set()
        return self._waiting.popleft()

    def done(self) -> None:
        """The page has what it took: the next may be announced."""
        self._is_announced = False
        self._announce_next()

    def _announce_next(self) -> None:
        if self._waiting and not self._is_announced:
            self._is_announced = True
            self._announce()
