"""What a handler may give back, told apart once; and the queue of values for the page."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import numpy as np

from gradio_webrtc._mistakes import (
    advise_on_audio,
    advise_on_layout,
    advise_on_rate,
    advise_on_tuple,
)
from gradio_webrtc.errors import HandlerError
from gradio_webrtc.types import AdditionalOutputs, CloseStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradio_webrtc.types import Layout

_logger = logging.getLogger(__name__)

MAX_WAITING_OUTPUTS: Final = 256
"""How many outputs may wait for a page. Beyond it the oldest go: media never wait for a page."""

MAX_UNWANTED_OUTPUTS: Final = 16
"""How many are kept for somebody who may yet ask, when nobody said so; the oldest go first."""

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


def split_output(data: object) -> tuple[object, AdditionalOutputs | CloseStream | None]:
    """What a handler gave, parted into media and what is for the page: for users' own code.

    Args:
        data: Media, AdditionalOutputs or CloseStream, or a pair of media and one of these.

    Returns:
        Media or ``None``; AdditionalOutputs, CloseStream or ``None``.

    Raises:
        ValueError: A tuple that is no sound and no such pair.
    """
    match data:
        case AdditionalOutputs() | CloseStream():
            return None, data
        case (media, (AdditionalOutputs() | CloseStream()) as extra):
            return media, extra
        case (_, np.ndarray()) | (_, np.ndarray(), _):
            return data, None
        case tuple() if len(data) != 2:  # noqa: PLR2004 - the two of the message
            raise ValueError(
                "The tuple must have exactly two elements: the data and an instance of "
                "AdditionalOutputs."
            )
        case tuple():
            raise ValueError(
                "The last element of the tuple must be an instance of AdditionalOutputs."
            )
    return data, None


class EmittedPicture(NamedTuple):
    """What a handler gave to be seen, in its parts; ``pixels`` in any form, unchecked."""

    pixels: Any = None
    outputs: AdditionalOutputs | None = None
    close: CloseStream | None = None


def split_picture(item: object) -> EmittedPicture:
    """Tells apart what a video function, ``video_emit`` or a generator of pictures gave.

    Args:
        item: Pixels, AdditionalOutputs, CloseStream, a pair of pixels and one of these, or
            ``None``.

    Raises:
        HandlerError: Another tuple: says what came, and what to write.
    """
    match item:
        case AdditionalOutputs():
            return EmittedPicture(outputs=item)
        case CloseStream():
            return EmittedPicture(close=item)
        case (pixels, AdditionalOutputs() as outputs):
            return EmittedPicture(pixels, outputs=outputs)
        case (pixels, CloseStream() as close):
            return EmittedPicture(pixels, close=close)
    if isinstance(item, tuple):
        raise HandlerError(
            "expected a picture, AdditionalOutputs, CloseStream, a pair of a picture and one of "
            f"these, or None; got {advise_on_tuple(item)}"
        )
    return EmittedPicture(item)


def _read_audio(item: object) -> AudioOutput | None:
    match item:
        case None:
            return None
        case (rate, samples):
            return _audio(rate, samples, None)
        case (rate, samples, None):
            return _audio(rate, samples, None)
        case (rate, samples, str() as layout) if layout in LAYOUTS:
            return _audio(rate, samples, cast("Layout", layout))
        case (_, _, layout) if not isinstance(layout, AdditionalOutputs | CloseStream):
            raise HandlerError(
                f"expected the layout 'mono' or 'stereo', got {advise_on_layout(layout)}"
            )
    raise HandlerError(
        "expected (rate, array), (rate, array, layout), AdditionalOutputs, CloseStream, a pair of "
        f"audio and one of these, or None; got {advise_on_audio(item)}"
    )


def _audio(rate: object, samples: object, layout: Layout | None) -> AudioOutput:
    return AudioOutput(_read_rate(rate, samples), _read_samples(samples), layout)


def _read_rate(rate: object, samples: object) -> int:
    try:
        # numpy integers as well; of an array, NumPy would take the only number out.
        return int(str(rate) if isinstance(rate, np.ndarray) else rate)  # type: ignore[call-overload, no-any-return]
    except (OverflowError, TypeError, ValueError) as error:
        raise HandlerError(
            f"expected a sample rate in Hz, got {advise_on_rate(rate, samples)}"
        ) from error


def _read_samples(samples: object) -> object:
    """The samples as an array, made only once however often a long chunk is looked at."""
    if isinstance(samples, np.ndarray):
        return samples
    if isinstance(samples, str | bytes | bytearray | memoryview):
        # Of bytes NumPy would make samples of 8 bits, which are heard as noise.
        advice = "" if isinstance(samples, str) else ": write np.frombuffer(data, np.int16)"
        raise HandlerError(
            f"expected an array of samples behind the rate, got {type(samples).__name__}{advice}"
        )
    try:
        return np.asarray(samples)
    except Exception as error:
        # An array of another library brings its own code, and its own errors.
        raise HandlerError(
            f"expected an array of samples behind the rate, got {type(samples).__name__}, which "
            f"NumPy cannot read: {error}"
        ) from error


class OutputQueue:
    """Values on their way to the page, which fetches them one at a time, in order.

    One is announced; the next is announced only when the page is done with the one before, so
    updates arrive in order. Nobody waits for the page: of values that come with pictures only the
    newest waits, and of others at most `MAX_WAITING_OUTPUTS`, from which the oldest go. The methods
    are called on the event loop.

    Args:
        announce: Tells the page that one waits.
        is_wanted: Somebody will fetch them. Otherwise only the latest `MAX_UNWANTED_OUTPUTS` are
            kept.

    Attributes:
        dropped: How many were lost because the page was too slow for them.
        replaced: How many that came with pictures gave way to newer ones.
    """

    def __init__(self, announce: Callable[[], None], *, is_wanted: bool = True) -> None:
        self.dropped = 0
        self.replaced = 0
        self._announce = announce
        self._is_wanted = is_wanted
        self._waiting: deque[AdditionalOutputs] = deque()
        self._with_frame: AdditionalOutputs | None = None
        self._news = asyncio.Event()
        self._is_announced = False
        self._is_closed = False

    def put(self, outputs: AdditionalOutputs) -> None:
        """Queues values; when the queue is full the oldest are lost."""
        most = MAX_WAITING_OUTPUTS if self._is_wanted else MAX_UNWANTED_OUTPUTS
        if len(self._waiting) >= most:
            self._waiting.popleft()
            self._note_dropped()
        self._waiting.append(outputs)
        self._news.set()
        if self._is_wanted:
            self._announce_next()

    def put_with_frame(self, outputs: AdditionalOutputs) -> None:
        """Queues values that describe a picture, in place of those of an earlier one."""
        if self._with_frame is not None and self._with_frame in self._waiting:
            self._waiting.remove(self._with_frame)
            self.replaced += 1
        self._with_frame = outputs
        self.put(outputs)

    def take(self) -> AdditionalOutputs | None:
        """The oldest values, or ``None``. Call `done` when the page has them."""
        return self._waiting.popleft() if self._waiting else None

    def done(self) -> None:
        """The page has what it took: the next may be announced."""
        self._is_announced = False
        self._announce_next()

    async def next(self) -> AdditionalOutputs | None:
        """The oldest values, once there are any; ``None`` when the call is over."""
        self._is_wanted = True
        while not self._waiting:
            if self._is_closed:
                return None
            self._news.clear()
            await self._news.wait()
        return self.take()

    def close(self) -> None:
        """The call is over: nothing more will come."""
        self._is_closed = True
        self._news.set()

    def _note_dropped(self) -> None:
        self.dropped += self._is_wanted
        if self.dropped == 1:
            _logger.warning(
                "the page takes AdditionalOutputs slower than the handler gives them: more than "
                "%d wait, and the oldest are dropped",
                MAX_WAITING_OUTPUTS,
            )

    def _announce_next(self) -> None:
        if self._waiting and not self._is_announced:
            self._is_announced = True
            self._announce()
