"""What a handler may give back, and the queue of values for the page."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from support.clock import run_virtual

from gradio_webrtc.errors import HandlerError
from gradio_webrtc.outputs import (
    MAX_WAITING_OUTPUTS,
    AudioOutput,
    Emitted,
    OutputQueue,
    split_emitted,
)
from gradio_webrtc.types import AdditionalOutputs, CloseStream

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


def test_outputs_arrive_in_order_and_one_at_a_time() -> None:
    async def scenario() -> tuple[list[int], list[object]]:
        announced: list[int] = []
        queue = OutputQueue(lambda: announced.append(1))
        for value in range(5):
            await queue.put(AdditionalOutputs(value))
        counts, values = [], []
        while (outputs := queue.take()) is not None:
            counts.append(len(announced))
            values.append(outputs.args[0])
            queue.done()
        return counts, values

    counts, values = run_virtual(scenario())
    assert values == [0, 1, 2, 3, 4]
    assert counts == [1, 2, 3, 4, 5]


def test_an_empty_queue_gives_nothing_and_announces_nothing() -> None:
    announced: list[int] = []
    queue = OutputQueue(lambda: announced.append(1))
    assert queue.take() is None
    queue.done()
    assert announced == []


def test_a_full_queue_makes_the_handler_wait() -> None:
    async def scenario() -> tuple[bool, bool]:
        queue = OutputQueue(lambda: None)
        for value in range(MAX_WAITING_OUTPUTS):
            await queue.put(AdditionalOutputs(value))
        one_more = asyncio.get_running_loop().create_task(queue.put(AdditionalOutputs("more")))
        await asyncio.sleep(1.0)
        waited = not one_more.done()
        queue.take()
        await asyncio.sleep(0)
        await one_more
        return waited, one_more.done()

    assert run_virtual(scenario()) == (True, True)
