"""The package's only door to the compiled core; conversions between bytes, int16 and float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._core import (
    AudioFifo,
    InboundAudio,
    OutboundAudio,
    PauseDetector,
    PauseEvent,
    Pcm16Assembler,
    Resampler,
    SileroVad,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

__all__ = [
    "AudioFifo",
    "InboundAudio",
    "OutboundAudio",
    "PauseDetector",
    "PauseEvent",
    "Pcm16Assembler",
    "Resampler",
    "SileroVad",
    "aggregate_bytes_to_16bit",
    "async_aggregate_bytes_to_16bit",
    "audio_to_float32",
    "audio_to_int16",
]

Audio: TypeAlias = NDArray[Any] | tuple[int, NDArray[Any]]
"""Samples of any shape, or ``(rate, samples)``."""

INT16_TO_FLOAT: Final = np.float32(1 / 32768)
"""int16 has one step more below zero than above; dividing by 2**15 keeps all of it in -1 to 1."""

FLOAT_TO_INT16: Final = 32767
"""-1 and 1 become -32767 and 32767, as callers of the predecessors expect."""


_PCM16: Final[np.dtype[np.int16]] = np.dtype("<i2")

_VIEW_BYTES: Final = 8192
"""From here on copying a chunk takes longer than NumPy takes to look at it where it is."""


def aggregate_bytes_to_16bit(
    chunks: Iterable[bytes | bytearray | memoryview],
) -> Iterator[NDArray[np.int16]]:
    """Whole 16-bit samples out of byte chunks of any length, such as an HTTP response gives.

    A sample may be cut by the end of a chunk; it comes with the next one. An odd byte at the very
    end is dropped.

    Args:
        chunks: Little-endian 16-bit PCM, in pieces.

    Yields:
        int16, ``(1, n)``, one for each chunk that completes a sample. Do not write to it: it may
        be a view of the chunk.
    """
    assembler = Pcm16Assembler()
    for chunk in chunks:
        if len(chunk) >= _VIEW_BYTES and _is_whole(chunk, assembler):
            yield np.frombuffer(chunk, _PCM16).reshape(1, -1)
            continue
        samples = assembler.push(chunk)
        if samples.size:
            yield samples


async def async_aggregate_bytes_to_16bit(
    chunks: AsyncIterable[bytes | bytearray | memoryview],
) -> AsyncIterator[NDArray[np.int16]]:
    """Like `aggregate_bytes_to_16bit`, for chunks that arrive asynchronously.

    Args:
        chunks: Little-endian 16-bit PCM, in pieces.

    Yields:
        int16, ``(1, n)``, one for each chunk that completes a sample. Do not write to it: it may
        be a view of the chunk.
    """
    assembler = Pcm16Assembler()
    async for chunk in chunks:
        if len(chunk) >= _VIEW_BYTES and _is_whole(chunk, assembler):
            yield np.frombuffer(chunk, _PCM16).reshape(1, -1)
            continue
        samples = assembler.push(chunk)
        if samples.size:
            yield samples


def _is_whole(chunk: bytes | bytearray | memoryview, assembler: Pcm16Assembler) -> bool:
    """Whether a chunk needs no assembling, and nobody can change it while it is looked at."""
    return type(chunk) is bytes and len(chunk) % 2 == 0 and not assembler.has_pending_byte


def audio_to_float32(audio: Audio) -> NDArray[np.float32]:
    """The samples as float32 from -1 to 1, in the shape they came in.

    Args:
        audio: int16 or float samples, or ``(rate, samples)``.

    Returns:
        int16 divided by 32768; float32 as it is; float64 narrowed.

    Raises:
        TypeError: Any other dtype.

    Example:
        >>> audio_to_float32(np.array([[-32768, 0, 16384]], np.int16))
        array([[-1. ,  0. ,  0.5]], dtype=float32)
    """
    samples = _samples_of(audio)
    if samples.dtype == np.int16:
        return samples.astype(np.float32) * INT16_TO_FLOAT
    return samples.astype(np.float32, copy=False)


def audio_to_int16(audio: Audio) -> NDArray[np.int16]:
    """The samples as int16, in the shape they came in.

    Args:
        audio: float samples (-1 to 1 is full scale) or int16, or ``(rate, samples)``.

    Returns:
        Float samples times 32767, rounded; what lies outside -1 to 1 saturates, NaN is silence.
        int16 as it is.

    Raises:
        TypeError: Any other dtype.

    Example:
        >>> audio_to_int16(np.array([-1.0, 0.0, 1.5], np.float32))
        array([-32767,      0,  32767], dtype=int16)
    """
    samples = _samples_of(audio)
    if samples.dtype == np.int16:
        return samples.astype(np.int16, copy=False)
    scaled = np.clip(np.nan_to_num(samples), -1.0, 1.0) * FLOAT_TO_INT16
    rounded: NDArray[np.int16] = np.rint(scaled).astype(np.int16)
    return rounded


def _samples_of(audio: Audio) -> NDArray[Any]:
    samples = np.asarray(audio[1] if isinstance(audio, tuple) else audio)
    if samples.dtype != np.int16 and not np.issubdtype(samples.dtype, np.floating):
        raise TypeError(f"Unsupported audio data type: {samples.dtype}")
    return samples
