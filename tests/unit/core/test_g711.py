"""G.711 as Python sees it: all codes and all samples, beside the tables of the recommendation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest

from gradio_webrtc._audio import decode_g711, encode_g711
from gradio_webrtc.errors import AudioError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Law = Literal["mulaw", "alaw"]

ALL_CODES = bytes(range(256))
ALL_SAMPLES = np.arange(-(1 << 15), 1 << 15).astype(np.int16)


def decision_values(law: Law) -> NDArray[np.int64]:
    """The ends of the 128 intervals of one sign, in steps of 16 bits (tables 1 and 2 of G.711)."""
    if law == "mulaw":
        lengths = [4, *[8] * 15, *(length for nth in range(1, 8) for length in [8 << nth] * 16)]
    else:
        lengths = [*[16] * 32, *(length for nth in range(1, 7) for length in [16 << nth] * 16)]
    return np.cumsum([0, *lengths])


def code_of(law: Law, interval: int, *, is_positive: bool) -> int:
    """The code of an interval, counted from 0, as the tables have it."""
    if law == "mulaw":
        return (255 if is_positive else 127) - interval
    return (interval + 128 * is_positive) ^ 0b0101_0101


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_every_code_is_the_middle_of_its_interval(law: Law) -> None:
    values = decision_values(law)
    assert len(values) == 129
    assert values[-1] == {"mulaw": 4 * 8159, "alaw": 8 * 4096}[law]
    expected = np.zeros(256, np.int64)
    for interval in range(128):
        middle = (values[interval] + values[interval + 1]) // 2
        if law == "mulaw" and interval == 0:
            middle = 0
        expected[code_of(law, interval, is_positive=True)] = middle
        expected[code_of(law, interval, is_positive=False)] = -middle
    decoded = decode_g711(ALL_CODES, law)
    assert decoded.dtype == np.int16
    assert np.array_equal(decoded, expected[np.newaxis])


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_every_sample_is_coded_as_its_interval(law: Law) -> None:
    values = decision_values(law)
    # ITU-T G.191: of a negative sample that is a decision value, the interval below it.
    magnitudes = np.where(ALL_SAMPLES < 0, ~ALL_SAMPLES, ALL_SAMPLES).astype(np.int64)
    intervals = np.minimum(np.searchsorted(values, magnitudes, side="right") - 1, 127)
    expected = bytes(
        code_of(law, int(interval), is_positive=bool(sample >= 0))
        for interval, sample in zip(intervals, ALL_SAMPLES, strict=True)
    )
    assert encode_g711(ALL_SAMPLES, law) == expected
    assert encode_g711(ALL_SAMPLES.reshape(1, -1), law) == expected


def test_mulaw_is_the_default() -> None:
    assert np.array_equal(decode_g711(ALL_CODES), decode_g711(ALL_CODES, "mulaw"))
    assert encode_g711(ALL_SAMPLES) == encode_g711(ALL_SAMPLES, "mulaw")


@pytest.mark.parametrize("codes", [b"", b"\x80", bytearray(b"\x80\x00"), memoryview(b"\x80")])
def test_any_buffer_of_bytes_is_decoded(codes: Any) -> None:
    assert decode_g711(codes).tolist() == [[{0x80: 32124, 0: -32124}[each] for each in codes]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: decode_g711("text"), "expected bytes, a bytearray or a memoryview"),  # type: ignore[arg-type]  # refused
        (lambda: decode_g711(b"", "pcm"), 'expected the law .mulaw. or .alaw., got "pcm"'),  # type: ignore[arg-type]  # refused
        (lambda: encode_g711(np.zeros(1, np.float32)), "expected an int16 array"),
        (lambda: encode_g711(np.zeros((2, 1), np.int16)), r"got int16 of shape \(2, 1\)"),
    ],
)
def test_what_is_no_telephone_audio_is_refused(call: Any, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        call()
