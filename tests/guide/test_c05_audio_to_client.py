"""C5, the guide's "Server-To-Client Only" for audio: a click plays a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.page import GradioPage, PageClient, open_page

if TYPE_CHECKING:
    from support.guide import Guide

pytestmark = pytest.mark.network


async def click(page: GradioPage) -> PageClient:
    """Presses the button, and calls as a page does when its component is to start."""
    await page.dispatch(page.component("button"), "click")
    assert page.values[page.component("webrtc")] == "start_webrtc_stream"
    client = PageClient(page)
    answer = await client.call()
    assert "secret" in answer, answer
    return client


async def test_a_click_plays_five_seconds_as_they_go_by(examples: Guide) -> None:
    before = len(examples.notes("C05.step"))
    async with open_page(examples.url("C05")) as page:
        client = await click(page)
        await client.until(lambda: client.audible_seconds() >= 0.5)
        # In real time: a second has been asked for ahead of what is played, not all five.
        assert len(examples.notes("C05.step")) - before <= 3
        await client.ended.wait()
        await client.closed.wait()
        await client.hang_up()
    steps = examples.notes("C05.step")[before:]
    assert [step["num_steps"] for step in steps] == [5] * 5
    assert client.audible_seconds() == pytest.approx(5.0, abs=0.02 + 0.01 * client.gaps())
    assert client.tone_hz() == pytest.approx(441, abs=0.5 * (1 + client.gaps()))
    assert client.messages[-1] == {"type": "end_stream", "data": ""}
    assert "error" not in [message["type"] for message in client.messages]
    pts = np.diff([at for at, _ in client.audio_frames])
    assert (pts > 0).all()


async def test_the_slider_counts_and_so_does_a_second_click(examples: Guide) -> None:
    before = len(examples.notes("C05.step"))
    async with open_page(examples.url("C05")) as page:
        page.values[page.component("slider")] = 1
        first = await click(page)
        await first.ended.wait()
        second = await click(page)
        await second.ended.wait()
        for client in (first, second):
            await client.closed.wait()
            await client.hang_up()
    assert first.webrtc_id != second.webrtc_id
    assert [step["num_steps"] for step in examples.notes("C05.step")[before:]] == [1, 1]
    for client in (first, second):
        assert client.audible_seconds() == pytest.approx(1.0, abs=0.02 + 0.01 * client.gaps())
