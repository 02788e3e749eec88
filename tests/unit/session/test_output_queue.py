"""What a handler may give back, and the queue of values for the page."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gradio_webrtc._session.output_queue import (
    MAX_UNWANTED_OUTPUTS,
    MAX_WAITING_OUTPUTS,
    AudioOutput,
    Emitted,
    EmittedPicture,
    OutputQueue,
    split_emitted,
    split_output,
    split_picture,
)
from gradio_webrtc.errors import HandlerError
from gradio_webrtc.types import AdditionalOutputs, CloseStream

if TYPE_CHECKING:
    from collections.abc import Iterator

TONE = np.ones((1, 480), np.int16)
OUTPUTS = AdditionalOutputs(1, "two")
CLOSE = CloseStream("bye")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (None, Emitted()),
        (OUTPUTS, Emitted(outputs=OUTPUTS)),
        (CLOSE, Emitted(close=CLOSE)),
        ((24000, TONE), Emitted(audio=AudioOutput(24000, TONE, None))),
        ([24000, TONE], Emitted(audio=AudioOutput(24000, TONE, None))),
        ((np.int64(24000), TONE, "stereo"), Emitted(audio=AudioOutput(24000, TONE, "stereo"))),
        (((24000, TONE), OUTPUTS), Emitted(AudioOutput(24000, TONE, None), outputs=OUTPUTS)),
        (((24000, TONE, "mono"), CLOSE), Emitted(AudioOutput(24000, TONE, "mono"), close=CLOSE)),
        ((None, OUTPUTS), Emitted(outputs=OUTPUTS)),
    ],
)
def test_every_accepted_form_is_told_apart(item: object, expected: Emitted) -> None:
    assert split_emitted(item) == expected


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ((24000, TONE), ((24000, TONE), None)),
        ((24000, TONE, "stereo"), ((24000, TONE, "stereo"), None)),
        (((24000, TONE), OUTPUTS), ((24000, TONE), OUTPUTS)),
        ((TONE, CLOSE), (TONE, CLOSE)),
        (OUTPUTS, (None, OUTPUTS)),
        (TONE, (TONE, None)),
        (None, (None, None)),
    ],
)
def test_users_can_part_it_as_well(data: object, parts: object) -> None:
    assert split_output(data) == parts


@pytest.mark.parametrize("data", [(1, 2, 3), (TONE,), ("text", "more")])
def test_a_tuple_that_cannot_be_parted_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="must"):
        split_output(data)


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ("text", "got str"),
        (TONE, "got ndarray"),
        ((24000, TONE, "mono", 1), "got tuple"),
        ((24000, TONE, "quad"), "got 'quad'"),
        (("x", TONE), "expected a sample rate in Hz, got 'x'"),
        ((None, TONE), "expected a sample rate in Hz, got None"),
    ],
)
def test_anything_else_is_refused_with_what_came(item: object, says: str) -> None:
    with pytest.raises(HandlerError, match="expected") as raised:
        split_emitted(item)
    assert says in str(raised.value)


def iter_nothing() -> Iterator[None]:
    yield


@pytest.mark.parametrize(
    ("item", "says"),
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
def test_a_mistake_is_told_with_what_to_write_instead(item: object, says: str) -> None:
    with pytest.raises(HandlerError, match="expected") as raised:
        split_emitted(item)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    "item",
    [
        np.zeros((1, 480, 3), np.uint8),
        np.zeros((480, 320), np.uint8),
        np.zeros((480, 320, 3), np.int16),
    ],
)
def test_sound_is_not_taken_for_a_picture(item: object) -> None:
    with pytest.raises(HandlerError, match="without its rate") as raised:
        split_emitted(item)
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
        split_emitted(item)
    assert len(str(raised.value)) < 350


def test_no_error_lists_thousands_of_kinds() -> None:
    with pytest.raises(HandlerError) as raised:
        split_picture((1,) * 10_000)
    assert len(str(raised.value)) < 400


def test_a_coroutine_that_nobody_awaited_is_told() -> None:
    async def emit() -> None:
        pass

    forgotten = emit()
    with pytest.raises(HandlerError, match="write async def emit"):
        split_emitted(forgotten)
    forgotten.close()


def test_samples_in_a_list_become_an_array() -> None:
    audio = split_emitted((24000, [1, 2, 3])).audio
    assert audio is not None
    assert isinstance(audio.samples, np.ndarray)


def test_outputs_arrive_in_order_and_one_at_a_time() -> None:
    announced: list[int] = []
    queue = OutputQueue(lambda: announced.append(1))
    for value in range(5):
        queue.put(AdditionalOutputs(value))
    counts, values = [], []
    while (outputs := queue.take()) is not None:
        counts.append(len(announced))
        values.append(outputs.args[0])
        queue.done()
    assert values == [0, 1, 2, 3, 4]
    assert counts == [1, 2, 3, 4, 5]


def test_an_empty_queue_gives_nothing_and_announces_nothing() -> None:
    announced: list[int] = []
    queue = OutputQueue(lambda: announced.append(1))
    assert queue.take() is None
    queue.done()
    assert announced == []


def test_a_page_that_is_too_slow_loses_the_oldest_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = OutputQueue(lambda: None)
    for value in range(MAX_WAITING_OUTPUTS + 3):
        queue.put(AdditionalOutputs(value))
    assert queue.dropped == 3
    assert [outputs.args for outputs in iter(queue.take, None)] == [
        (value,) for value in range(3, MAX_WAITING_OUTPUTS + 3)
    ]
    assert [str(MAX_WAITING_OUTPUTS) in record.getMessage() for record in caplog.records] == [True]


def test_of_outputs_beside_pictures_the_newest_alone_waits() -> None:
    queue = OutputQueue(lambda: None)
    for value in range(4):
        queue.put_with_frame(AdditionalOutputs(value))
        queue.put(AdditionalOutputs("spoken", value))
    assert (queue.replaced, queue.dropped) == (3, 0)
    assert [outputs.args for outputs in iter(queue.take, None)] == [
        ("spoken", 0),
        ("spoken", 1),
        ("spoken", 2),
        (3,),
        ("spoken", 3),
    ]
    queue.put_with_frame(AdditionalOutputs("later"))
    assert queue.replaced == 3


async def test_what_nobody_wants_makes_nobody_wait_and_only_the_latest_are_kept() -> None:
    announced: list[int] = []
    queue = OutputQueue(lambda: announced.append(1), is_wanted=False)
    for value in range(1000):
        queue.put(AdditionalOutputs(value))
    queue.close()
    kept = []
    while (outputs := await queue.next()) is not None:
        kept.append(outputs.args[0])
    assert kept == list(range(1000 - MAX_UNWANTED_OUTPUTS, 1000))
    assert announced == []


async def test_whoever_asks_once_is_waited_for() -> None:
    queue = OutputQueue(lambda: None, is_wanted=False)
    asking = asyncio.get_running_loop().create_task(queue.next())
    await asyncio.sleep(0)
    for value in range(MAX_WAITING_OUTPUTS):
        queue.put(AdditionalOutputs(value))
    first = await asking
    assert first is not None
    assert first.args == (0,)
    second = await queue.next()
    assert second is not None
    assert second.args == (1,)


async def test_an_end_is_told_to_whoever_waits() -> None:
    queue = OutputQueue(lambda: None)
    asking = asyncio.get_running_loop().create_task(queue.next())
    await asyncio.sleep(0)
    queue.close()
    assert await asking is None


async def test_values_from_outside_push_the_oldest_out_of_a_full_queue() -> None:
    queue = OutputQueue(lambda: None)
    for value in range(MAX_WAITING_OUTPUTS + 2):
        queue.put(AdditionalOutputs(value))
    oldest = queue.take()
    assert oldest is not None
    assert oldest.args == (2,)


PIXELS = np.zeros((4, 4, 3), np.uint8)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (None, EmittedPicture()),
        (PIXELS, EmittedPicture(PIXELS)),
        (OUTPUTS, EmittedPicture(outputs=OUTPUTS)),
        (CLOSE, EmittedPicture(close=CLOSE)),
        ((PIXELS, OUTPUTS), EmittedPicture(PIXELS, outputs=OUTPUTS)),
        ((PIXELS, CLOSE), EmittedPicture(PIXELS, close=CLOSE)),
        ((None, OUTPUTS), EmittedPicture(outputs=OUTPUTS)),
    ],
)
def test_what_is_to_be_seen_is_told_apart(item: object, expected: EmittedPicture) -> None:
    emitted = split_picture(item)
    assert emitted.pixels is expected.pixels
    assert emitted[1:] == expected[1:]


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ((PIXELS, "two people"), "a tuple (ndarray, str): for the page's other components write"),
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
def test_a_tuple_that_is_no_picture_is_refused_in_words(item: object, says: str) -> None:
    with pytest.raises(HandlerError, match="expected a picture") as raised:
        split_picture(item)
    assert says in str(raised.value)
