"""C7, the guide's "Server-to-Client Only" for video: a click shows a film."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from support.frames import number_of
from support.page import GradioPage, PageClient, open_page

if TYPE_CHECKING:
    from support.guide import Guide

pytestmark = pytest.mark.network

FRAMES = 300
FPS = 30


async def click(page: GradioPage) -> PageClient:
    """Presses the button, and calls as a page does when its component is to start."""
    await page.dispatch(page.component("button", "Start"), "click")
    assert page.values[page.component("webrtc")] == "start_webrtc_stream"
    client = PageClient(page)
    answer = await client.call()
    assert "secret" in answer, answer
    return client


async def test_the_whole_film_is_shown_at_thirty_a_second(examples: Guide) -> None:
    opened, ended = (len(examples.notes(name)) for name in ("C07.open", "C07.end"))
    async with open_page(examples.url("C07")) as page:
        client = await click(page)
        await client.ended.wait()
        await client.closed.wait()
        await client.hang_up()
    assert len(examples.notes("C07.open")) == opened + 1
    assert len(examples.notes("C07.end")) == ended + 1
    # The film ends with a `None`, which is no error and no frame.
    assert client.messages[-1] == {"type": "end_stream", "data": ""}
    assert "error" not in [message["type"] for message in client.messages]
    numbers = [number_of(frame) for _, frame in client.video_frames]
    assert numbers == sorted(numbers)
    shown = set(numbers)
    assert len(shown) >= 0.9 * FRAMES, "a busy decoder leaves some out"
    assert max(shown) >= FRAMES - 3
    first_pts = client.video_frames[0][0]
    for number, (pts, _) in zip(numbers, client.video_frames, strict=True):
        # Never early; a busy server is late now and then, and its time stamps show it.
        assert (pts - first_pts) / 90_000 >= (number - numbers[0]) / FPS - 0.001
    assert all(later > earlier for (earlier, _), (later, _) in pairwise(client.video_frames))


async def test_a_second_click_starts_it_again(examples: Guide) -> None:
    before = len(examples.notes("C07.open"))
    async with open_page(examples.url("C07")) as page:
        first = await click(page)
        await first.until(lambda: len(first.video_frames) > 20)
        # The page hangs up when it is to start again, and makes another session.
        await first.hang_up()
        second = await click(page)
        await second.until(lambda: len(second.video_frames) > 5)
        await second.hang_up()
    assert len(examples.notes("C07.open")) == before + 2
    assert number_of(second.video_frames[0][1]) < 10
