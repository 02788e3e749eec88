"""Conversions between bytes, int16 and float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_webrtc._audio import (
    aggregate_bytes_to_16bit,
    async_aggregate_bytes_to_16bit,
    audio_to_float32,
    audio_to_int16,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PCM = np.array([1, -2, 32767, -32768, 256], np.int16).tobytes()


def cut(data: bytes, lengths: list[int]) -> list[bytes]:
    """The bytes in pieces of these lengths, and the rest as the last piece."""
    pieces = []
    for length in lengths:
        pieces.append(data[:length])
        data = data[length:]
    return [*pieces, data]


@given(st.lists(st.integers(0, 7), max_size=12), st.binary(max_size=40))
def test_any_cutting_of_the_bytes_gives_the_same_samples(lengths: list[int], data: bytes) -> None:
    arrays = list(aggregate_bytes_to_16bit(cut(data, lengths)))
    assert all(array.dtype == np.int16 and array.shape[0] == 1 for array in arrays)
    assert all(array.size for array in arrays)
    assert b"".join(array.tobytes() for array in arrays) == data[: len(data) // 2 * 2]


@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize("lengths", [[9000, 9000], [8999, 9000, 9000, 1], [1, 8192, 8191, 16384]])
async def test_large_chunks_are_cut_as_small_ones_are(kind: Any, lengths: list[int]) -> None:
    data = np.arange(40_000, dtype=np.uint16).tobytes()
    pieces = [kind(piece) for piece in cut(data, lengths)]

    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    whole = b"".join(array.tobytes() for array in aggregate_bytes_to_16bit(pieces))
    assert whole == data
    arrays = [array async for array in async_aggregate_bytes_to_16bit(stream())]
    assert b"".join(array.tobytes() for array in arrays) == data


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_kind_of_bytes_is_taken(kind: Any) -> None:
    (array,) = aggregate_bytes_to_16bit([kind(PCM)])
    assert array.tolist() == [[1, -2, 32767, -32768, 256]]


def test_samples_come_as_soon_as_they_are_whole() -> None:
    arrays = aggregate_bytes_to_16bit(iter([b"\x01", b"\x00\x02", b"", b"\x00\x03"]))
    assert [array.tolist() for array in arrays] == [[[1]], [[2]]]


async def test_chunks_may_arrive_asynchronously() -> None:
    async def stream() -> AsyncIterator[bytes]:
        for piece in cut(PCM, [1, 3, 0, 1]):
            yield piece

    arrays = [array async for array in async_aggregate_bytes_to_16bit(stream())]
    assert np.concatenate(arrays, axis=1).tolist() == [[1, -2, 32767, -32768, 256]]


def test_int16_becomes_float_between_minus_one_and_one() -> None:
    result = audio_to_float32(np.array([[-32768, 0, 32767]], np.int16))
    assert result.dtype == np.float32
    assert result.shape == (1, 3)
    np.testing.assert_array_equal(result, [[-1.0, 0.0, 32767 / 32768]])


def test_float_samples_saturate_and_are_rounded() -> None:
    samples = np.array([-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, np.inf, -np.inf, np.nan], np.float32)
    result = audio_to_int16(samples)
    assert result.dtype == np.int16
    assert result.tolist() == [
        *[-32767, -32767, -16384, 0, 16384],
        *[32767, 32767, 32767, -32767, 0],
    ]


@pytest.mark.parametrize("convert", [audio_to_float32, audio_to_int16])
@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_a_pair_of_rate_and_samples_is_taken_like_the_samples(convert: Any, dtype: Any) -> None:
    samples = np.zeros((2, 5), dtype)
    np.testing.assert_array_equal(convert((16000, samples)), convert(samples))
    assert convert(samples).shape == (2, 5)
    assert convert(np.zeros(0, dtype)).size == 0


@pytest.mark.parametrize("convert", [audio_to_float32, audio_to_int16])
@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.int8, np.complex64, np.object_])
def test_other_types_are_refused_by_name(convert: Any, dtype: Any) -> None:
    with pytest.raises(TypeError, match="Unsupported audio data type"):
        convert(np.zeros(3, dtype))


def test_int16_survives_a_round_trip_to_one_step() -> None:
    samples = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
    back = audio_to_int16(audio_to_float32(samples)).astype(np.int32)
    assert np.abs(back - samples).max() == 1
