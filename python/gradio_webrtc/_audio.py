"""The package's only door to the compiled core, and conversions of samples.

The classes of the core are documented in ``_core/__init__.pyi`` and ``_core/turns.pyi``. The
conversions between bytes, int16 and float32 are plain functions for any thread. Imports nothing
else of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._core import (
    ECHO_SCORE,
    AudioFifo,
    InboundAudio,
    OutboundAudio,
    Pcm16Assembler,
    Resampler,
    decode_g711,
    encode_g711,
)
from ._core.turns import MAX_STALL_S, InboundTurns, PauseDetector, PauseEvent, SileroVad

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

__all__ = [
    "ECHO_SCORE",
    "MAX_STALL_S",
    "AudioFifo",
    "InboundAudio",
    "InboundTurns",
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
    "decode_g711",
    "encode_g711",
]

Audio: TypeAlias = NDArray[Any] | tuple[int, NDArray[Any]]
"""Samples of any shape, or ``(rate, samples)`` with the rate in Hz."""

INT16_TO_FLOAT: Final = np.float32(1 / 32768)
"""The factor from int16 to float. int16 has one step more below zero than above; dividing by 2**15
keeps all of it in -1 to 1."""

FLOAT_TO_INT16: Final = 32767
"""The factor from float to int16. -1 and 1 become -32767 and 32767, as programs for gradio_webrtc
0.0.31 and fastrtc expect."""

_PCM16: Final[np.dtype[np.int16]] = np.dtype("<i2")
"""Little-endian on every machine, as services send it."""

_VIEW_BYTES: Final = 8192
"""The length, in bytes, from which copying a chunk takes longer than making a NumPy view of it."""


def aggregate_bytes_to_16bit(
    chunks: Iterable[bytes | bytearray | memoryview],
) -> Iterator[NDArray[np.int16]]:
    r"""Assembles 16-bit samples from byte chunks of any length, such as those of an HTTP response.

    A sample that the end of a chunk cuts is completed by the next chunk. An odd byte at the very
    end is dropped.

    Args:
        chunks: Little-endian 16-bit PCM in pieces of any number of bytes.

    Yields:
        int16, ``(1, n)``, one for each chunk that completes a sample. Do not write to it: it may
        be a view of the chunk.

    Example:
        >>> [samples.tolist() for samples in aggregate_bytes_to_16bit([b"\x01", b"\x00\x02"])]
        [[[1]]]
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
    r"""Like `aggregate_bytes_to_16bit`, for chunks that arrive asynchronously.

    Args:
        chunks: Little-endian 16-bit PCM in pieces of any number of bytes.

    Yields:
        int16, ``(1, n)``, one for each chunk that completes a sample. Do not write to it: it may
        be a view of the chunk.

    Example:
        >>> import asyncio
        >>> async def service():
        ...     yield b"\x01"
        ...     yield b"\x00\x02"
        >>> async def read():
        ...     return [each.tolist() async for each in async_aggregate_bytes_to_16bit(service())]
        >>> asyncio.run(read())
        [[[1]]]
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
    """True if a chunk needs no assembling, and nobody can change it under a view."""
    return type(chunk) is bytes and len(chunk) % 2 == 0 and not assembler.has_pending_byte


def audio_to_float32(audio: Audio) -> NDArray[np.float32]:
    """Returns the samples as float32 from -1 to 1, in the shape they came in.

    Args:
        audio: int16 or float samples of any shape, or ``(rate, samples)``.

    Returns:
        int16 divided by 32768; float32 itself, without a copy; float64 narrowed.

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
    """Returns the samples as int16, in the shape they came in.

    Args:
        audio: float samples (-1 to 1 is full scale) or int16 of any shape, or ``(rate, samples)``.

    Returns:
        Float samples times 32767, rounded; values outside -1 to 1 saturate, and NaN becomes 0.
        int16 itself, without a copy.

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
