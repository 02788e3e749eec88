"""The forms of an emitted item, and the advice for what is none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from gradio_webrtc._session.emissions import (
    AudioOutput,
    Emission,
    read_audio,
    read_frame,
    split_emission,
)
from gradio_webrtc._transport import PixelConverter
from gradio_webrtc.errors import HandlerError
from gradio_webrtc.types import AdditionalOutputs, CloseStream

if TYPE_CHECKING:
    from collections.abc import Iterator

TONE = np.ones((1, 480), np.int16)
OUTPUTS = AdditionalOutputs(1, "two")
CLOSE = CloseStream("bye")
PIXELS = np.zeros((2, 2, 3), np.uint8)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (None, Emission()),
        (OUTPUTS, Emission(outputs=OUTPUTS)),
        (CLOSE, Emission(close=CLOSE)),
        ((24000, TONE), Emission(media=AudioOutput(24000, TONE, None))),
        ([24000, TONE], Emission(media=AudioOutput(24000, TONE, None))),
        ((np.int64(24000), TONE, "stereo"), Emission(media=AudioOutput(24000, TONE, "stereo"))),
        (((24000, TONE), OUTPUTS), Emission(AudioOutput(24000, TONE, None), outputs=OUTPUTS)),
        (((24000, TONE, "mono"), CLOSE), Emission(AudioOutput(24000, TONE, "mono"), close=CLOSE)),
        ((None, OUTPUTS), Emission(outputs=OUTPUTS)),
    ],
)
def test_every_accepted_form_is_distinguished(item: object, expected: Emission) -> None:
    assert read_audio(item) == expected


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ("text", "got str"),
        (TONE, "got ndarray"),
        ((24000, TONE, "mono", 1), "got tuple"),
        ((24000, TONE, "quad"), "got 'quad'"),
        (("x", TONE), "expected a sample rate in Hz, got 'x'"),
        ((None, TONE), "expected a sample rate in Hz, got None"),
    ],
)
def test_anything_else_is_refused_with_what_came(item: object, text: str) -> None:
    with pytest.raises(HandlerError, match="expected") as raised:
        read_audio(item)
    assert text in str(raised.value)


def iter_nothing() -> Iterator[None]:
    yield


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ((TONE, 24000), "the two are swapped, write (24000, array)"),
        (([0.1, 0.2], 24000), "the two are swapped, write (24000, array)"),
        (TONE, "without its rate: write (rate, array)"),
        ([1, 2, 3, 4], "without its rate: write (rate, array)"),
        ((np.array([24000]), TONE), "got an array: write (rate, array)"),
        ((float("inf"), TONE), "expected a sample rate in Hz, got inf"),
        (b"\0\0", "write (rate, np.frombuffer(data, np.int16))"),
        ((24000, b"\0\0"), "got bytes: write np.frombuffer(data, np.int16)"),
        ((24000, memoryview(b"\0\0")), "got memoryview: write np.frombuffer(data, np.int16)"),
        ((24000, "text"), "expected an array of samples behind the rate, got str"),
        ((24000, [[1, 2], [3]]), "got list, which NumPy cannot read"),
        ("text", "write AdditionalOutputs(text)"),
        ((OUTPUTS, (24000, TONE)), "write ((rate, array), AdditionalOutputs(...))"),
        ((24000, TONE, OUTPUTS), "write ((rate, array), AdditionalOutputs(...))"),
        ((24000, TONE, "mono", CLOSE), "write ((rate, array), CloseStream(...))"),
        ((24000, TONE[0], TONE[0]), "write (rate, np.stack([left, right]))"),
        (iter_nothing(), "generator: emit gives one item each time"),
        (np.zeros((240, 320, 3), np.uint8), 'for video frames write WebRTC(modality="video")'),
        ((np.zeros((240, 320, 4), np.uint8), OUTPUTS), 'write WebRTC(modality="video")'),
        (((24000, TONE), "text"), "write ((rate, array), AdditionalOutputs('text'))"),
        (((24000, TONE, "mono"), "text"), "write ((rate, array), AdditionalOutputs('text'))"),
        (((24000, TONE), {"a": 1}), "write ((rate, array), AdditionalOutputs({'a': 1}))"),
        (((24000, TONE), TONE), "write ((rate, array), AdditionalOutputs(value))"),
        (((24000, TONE), None), "write (rate, array) alone, or ((rate, array), Additional"),
        ([(24000, TONE)], "one after the other, yield (rate, array)"),
        ([(24000, TONE)] * 2, "one after the other, yield (rate, array)"),
        ([(24000, TONE)] * 3, "one after the other, yield (rate, array)"),
        ([(24000, TONE)] * 9, "one after the other, yield (rate, array)"),
        ((b"\0\0", 24000), "the two are swapped, write (rate, np.frombuffer(data, np.int16))"),
        ((bytearray(8), None), "got bytearray: write (rate, np.frombuffer(data, np.int16))"),
    ],
)
def test_a_mistake_is_reported_with_what_to_write_instead(item: object, text: str) -> None:
    with pytest.raises(HandlerError, match="expected") as raised:
        read_audio(item)
    assert text in str(raised.value)


@pytest.mark.parametrize(
    "item",
    [
        np.zeros((1, 480, 3), np.uint8),
        np.zeros((480, 320), np.uint8),
        np.zeros((480, 320, 3), np.int16),
    ],
)
def test_audio_is_not_taken_for_a_frame(item: object) -> None:
    with pytest.raises(HandlerError, match="without its rate") as raised:
        read_audio(item)
    assert "video" not in str(raised.value)


HUGE = "x" * 1_000_000


@pytest.mark.parametrize(
    "item",
    [
        (HUGE, TONE),
        (HUGE.encode(), 24000),
        (HUGE.encode(), None),
        ((24000, TONE), HUGE),
        ((24000, TONE), [HUGE] * 9),
        ((24000, TONE), np.array([HUGE])),
        ([TONE] * 3, {HUGE: HUGE}),
        ([HUGE], 10**4000),
        (24000, TONE, HUGE),
        (24000, TONE, {HUGE: [HUGE]}),
        (AdditionalOutputs(HUGE), TONE),
        (CloseStream(HUGE), TONE),
        [HUGE] * 1000,
    ],
)
def test_no_error_repeats_what_is_long(item: object) -> None:
    with pytest.raises(HandlerError) as raised:
        read_audio(item)
    assert len(str(raised.value)) < 350


def test_no_error_lists_thousands_of_kinds() -> None:
    with pytest.raises(HandlerError) as raised:
        read_frame((1,) * 10_000, PixelConverter())
    assert len(str(raised.value)) < 400


def test_a_coroutine_that_nobody_awaited_is_reported() -> None:
    async def emit() -> None:
        pass

    forgotten = emit()
    with pytest.raises(HandlerError, match="write async def emit"):
        read_audio(forgotten)
    forgotten.close()


def test_samples_in_a_list_become_an_array() -> None:
    audio = read_audio((24000, [1, 2, 3])).media
    assert audio is not None
    assert isinstance(audio.samples, np.ndarray)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (None, Emission()),
        (PIXELS, Emission(PIXELS)),
        (OUTPUTS, Emission(outputs=OUTPUTS)),
        (CLOSE, Emission(close=CLOSE)),
        ((PIXELS, OUTPUTS), Emission(PIXELS, outputs=OUTPUTS)),
        ((PIXELS, CLOSE), Emission(PIXELS, close=CLOSE)),
        ((None, OUTPUTS), Emission(outputs=OUTPUTS)),
    ],
)
def test_forms_of_video_are_distinguished(item: object, expected: Emission) -> None:
    emission = split_emission(item)
    assert emission.media is expected.media
    assert emission[1:] == expected[1:]


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ((PIXELS, "two people"), "a tuple (ndarray, str): for other components write"),
        ((PIXELS, "two people"), "(frame, AdditionalOutputs(value, ...))"),
        ((PIXELS,), "a comma too many"),
        ((OUTPUTS, PIXELS), "the frame comes first, (frame, AdditionalOutputs(...))"),
        ((PIXELS, 1, OUTPUTS), "put all values into one"),
        ((24000, TONE), "that is audio"),
        ((24000, TONE), 'to give audio write WebRTC(modality="audio")'),
        ((24000, TONE, "mono"), 'to give audio write WebRTC(modality="audio")'),
        ((), "got a tuple ()"),
    ],
)
def test_a_tuple_that_is_no_frame_is_refused_in_words(item: object, text: str) -> None:
    with pytest.raises(HandlerError, match="expected a video frame") as raised:
        read_frame(item, PixelConverter())
    assert text in str(raised.value)
