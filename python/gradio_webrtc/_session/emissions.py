"""The items that handlers emit, split into their parts once and checked.

Pure functions, any thread. Imports neither transports nor handlers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import numpy as np

from gradio_webrtc._mistakes import (
    advise_on_audio,
    advise_on_layout,
    advise_on_rate,
    advise_on_tuple,
)
from gradio_webrtc.errors import HandlerError, PictureError
from gradio_webrtc.types import AdditionalOutputs, CloseStream

if TYPE_CHECKING:
    from gradio_webrtc._transport import PixelConverter
    from gradio_webrtc.types import Layout

LAYOUTS: Final = ("mono", "stereo")


class Emission(NamedTuple):
    """One emitted item in its parts.

    Attributes:
        media: Audio or pixels as they were emitted; an `AudioOutput` or a ``PlanarFrame`` once they
            are read. ``None`` without media.
        outputs: Values for the client's other components.
        close: Ends the session after the media.
    """

    media: Any = None
    outputs: AdditionalOutputs | None = None
    close: CloseStream | None = None


NOTHING: Final = Emission()


class AudioOutput(NamedTuple):
    """Emitted audio: rate in Hz, samples in any accepted form, and their layout if it was given."""

    rate_hz: int
    samples: Any
    layout: Layout | None


def split_emission(item: object) -> Emission:
    """Splits an emitted item; its media are not looked at.

    Args:
        item: Media, AdditionalOutputs, CloseStream, a pair of media and one of these, or ``None``.
    """
    match item:
        case None:
            return NOTHING
        case AdditionalOutputs():
            return Emission(outputs=item)
        case CloseStream():
            return Emission(close=item)
        case (media, AdditionalOutputs() as outputs):
            return Emission(media, outputs=outputs)
        case (media, CloseStream() as close):
            return Emission(media, close=close)
    return Emission(item)


def read_audio(item: object) -> Emission:
    """Splits an item of ``emit`` or of a generator; its media become an `AudioOutput`.

    Args:
        item: ``(rate, array)``, ``(rate, array, layout)``, AdditionalOutputs, CloseStream, a pair
            of audio and one of these, or ``None``.

    Raises:
        HandlerError: It is none of these; names the type that was emitted.
    """
    if type(item) is tuple and len(item) == 2:  # noqa: PLR2004 - rate and samples
        rate, samples = item
        if type(rate) is int and type(samples) is np.ndarray:
            # What comes 50 times a second needs no further look, each of which is a call.
            return Emission(AudioOutput(rate, samples, None))
    emission = split_emission(item)
    if emission.media is None:
        return emission
    return emission._replace(media=_read_audio(emission.media))


def read_frame(item: object, pixels: PixelConverter, *, plays: bool = True) -> Emission:
    """Splits an item of ``video_emit`` or of a video function; its media become a frame.

    Takes milliseconds: for a worker thread.

    Args:
        item: Pixels, AdditionalOutputs, CloseStream, a pair of pixels and one of these, or
            ``None``.
        pixels: The converter of that thread.
        plays: False if the client shows nothing: pixels are then dropped unread.

    Raises:
        HandlerError: The pixels are no video frame; names what was emitted, and what to write.
    """
    emission = split_emission(item)
    if isinstance(emission.media, tuple):
        raise HandlerError(
            "expected a video frame, AdditionalOutputs, CloseStream, a pair of a frame and one of "
            f"these, or None; got {advise_on_tuple(emission.media)}"
        )
    if emission.media is None or not plays:
        return emission._replace(media=None)
    try:
        return emission._replace(media=pixels.to_planar(emission.media))
    except PictureError as error:
        raise HandlerError(f"cannot show what the handler emitted: {error}") from error


def _read_audio(media: object) -> AudioOutput:
    match media:
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
        f"audio and one of these, or None; got {advise_on_audio(media)}"
    )


def _audio(rate: object, samples: object, layout: Layout | None) -> AudioOutput:
    return AudioOutput(_read_rate(rate, samples), _read_samples(samples), layout)


def _read_rate(rate: object, samples: object) -> int:
    try:
        # numpy integers as well; int() of an array would take its only number for a rate.
        return int(str(rate) if isinstance(rate, np.ndarray) else rate)  # type: ignore[call-overload, no-any-return]
    except (OverflowError, TypeError, ValueError) as error:
        raise HandlerError(
            f"expected a sample rate in Hz, got {advise_on_rate(rate, samples)}"
        ) from error


def _read_samples(samples: object) -> object:
    """Returns the samples as an array, made once: a long chunk is queued in many pieces."""
    if isinstance(samples, np.ndarray):
        return samples
    if isinstance(samples, str | bytes | bytearray | memoryview):
        # NumPy would make samples of 8 bits of them, which sound like noise.
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
