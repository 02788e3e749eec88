"""C6, the guide's "Input/Output Streaming": a function on every frame, and a slider."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from support.frames import Camera, colour_of, number_of, numbered
from support.page import PageClient, open_page

if TYPE_CHECKING:
    from support.frames import Pixels
    from support.guide import Guide

pytestmark = pytest.mark.network

STRANGE_AT, KINDS = 0.75, 5
"""The threshold at which the detection returns what it should not, and how many such things."""

BLUISH = (180, 90, 30)
"""Blue first, as the arrays are."""


def take(number: int) -> Pixels:
    return numbered(number, colour=BLUISH)


def is_inverted(frame: Pixels) -> bool:
    return colour_of(frame)[0] < 128


async def test_frames_go_through_the_function_until_the_time_limit(examples: Guide) -> None:
    before = len(examples.notes("C06.call"))
    async with open_page(examples.url("C06")) as page:
        client = PageClient(page)
        client.camera = Camera(take=take)
        held: list[bool] = []
        client.on_send_input = lambda: held.append(True)
        await client.call()
        # Until the inputs have come, frames pass through.
        await client.until(lambda: len(client.video_frames) >= 5 and held != [])
        assert len(examples.notes("C06.call")) == before
        assert colour_of(client.video_frames[-1][1]) == pytest.approx(BLUISH, abs=12)

        client.send_inputs()
        await client.until(lambda: is_inverted(client.video_frames[-1][1]))
        slider = page.component("slider", "Confidence Threshold")
        page.values[slider] = 0.5
        await page.dispatch(slider, "change")
        await client.ended.wait()
        await client.closed.wait()
        await client.hang_up()
    assert client.messages[-1]["data"] == "The time limit of 10 seconds is reached."
    check_calls(examples.notes("C06.call")[before:])
    assert all(later > earlier for (earlier, _), (later, _) in pairwise(client.video_frames))
    assert "error" not in [message["type"] for message in client.messages]


def check_calls(calls: list[dict[str, Any]]) -> None:
    """The function got whole frames in order, blue first, and the slider's values."""
    assert {tuple(call["shape"]) for call in calls} == {(240, 320, 3)}
    assert {call["dtype"] for call in calls} == {"uint8"}
    assert calls[-1]["colour"] == pytest.approx(BLUISH, abs=12)
    numbers = [call["number"] for call in calls]
    assert numbers == sorted(set(numbers))
    thresholds = [call["conf_threshold"] for call in calls]
    assert thresholds[0] == 0.3
    assert thresholds[-1] == 0.5
    assert thresholds == sorted(thresholds)


async def test_nothing_that_the_function_gives_ends_the_stream(examples: Guide) -> None:
    async with open_page(examples.url("C06")) as page:
        page.values[page.component("slider", "Confidence Threshold")] = STRANGE_AT
        client = PageClient(page)
        client.camera = Camera(take=take)
        await client.call()
        await client.until(lambda: len(examples.notes("C06.strange")) == KINDS)
        # Whatever has been on its way, some of these were taken behind all of them.
        behind = client.camera.taken
        await client.until(
            lambda: is_inverted(client.video_frames[-1][1]) and newest(client) > behind
        )
        await client.hang_up()
    # The one exception is reported once.
    assert [message["type"] for message in client.messages].count("error") == 1


def newest(client: PageClient) -> int:
    return number_of(client.video_frames[-1][1])
