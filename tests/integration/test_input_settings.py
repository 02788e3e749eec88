"""A ``start_up`` that decides what ``receive`` gets, while the client speaks already."""

from __future__ import annotations

import asyncio
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.client import Client
from support.serving import SessionServer
from support.signals import chirp, pieces_found

from gradio_webrtc import AsyncStreamHandler, StreamHandler
from gradio_webrtc._transport.webrtc.media_loop import SWITCH

if TYPE_CHECKING:
    from numpy.typing import NDArray

Frame = tuple[int, "NDArray[np.int16]"]

SECOND = 50
"""Frames of 20 ms."""


class Echo(StreamHandler):
    """Sets the form of frames once it has received so many of them."""

    def __init__(self, after: int, made: list[Any]) -> None:
        super().__init__(input_sample_rate=48_000)
        self.after, self.made = after, made
        self.frames: SimpleQueue[Frame] = SimpleQueue()
        self.got: list[tuple[int, int]] = []
        self.may_set = threading.Event()
        self.made.append(self)

    def copy(self) -> Echo:
        return Echo(self.after, self.made)

    def start_up(self) -> None:
        if self.after:
            self.may_set.wait()
        self.input_sample_rate, self.input_frame_size = 16_000, 320

    def receive(self, frame: Frame) -> None:
        self.got.append((frame[0], frame[1].size))
        if len(self.got) == self.after:
            self.may_set.set()
        self.frames.put(frame)

    def emit(self) -> Frame:
        return self.frames.get()

    def shutdown(self) -> None:
        self.may_set.set()


class AsyncEcho(AsyncStreamHandler):
    """The same on the event loop."""

    def __init__(self, after: int, made: list[Any]) -> None:
        super().__init__(input_sample_rate=48_000)
        self.after, self.made = after, made
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()
        self.got: list[tuple[int, int]] = []
        self.may_set = asyncio.Event()
        self.made.append(self)

    def copy(self) -> AsyncEcho:
        return AsyncEcho(self.after, self.made)

    async def start_up(self) -> None:
        if self.after:
            await self.may_set.wait()
        self.input_sample_rate, self.input_frame_size = 16_000, 320

    async def receive(self, frame: Frame) -> None:
        self.got.append((frame[0], frame[1].size))
        if len(self.got) == self.after:
            self.may_set.set()
        self.frames.put_nowait(frame)

    async def emit(self) -> Frame:
        return await self.frames.get()


@pytest.mark.parametrize("after", [0, 1, SECOND], ids=["at once", "first frame", "1 s"])
@pytest.mark.parametrize("make", [Echo, AsyncEcho])
@pytest.mark.parametrize("value", ["on", "off"])
async def test_frames_follow_what_start_up_sets_and_no_audio_is_lost(
    value: str, make: Any, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, value)
    sent, made = chirp(2.5), list[Any]()
    manager = SessionServer()
    manager.serve(make(after, made).copy)
    client = Client(manager, np.concatenate([np.zeros(9_600, np.int16), sent]))
    await client.call()
    await client.until(lambda: client.loud_seconds() >= 2.4)
    await client.hang_up()
    await manager.wait_idle()
    got = made[-1].got
    # The frames in 48 kHz may come together with one that was cut in the middle of a change.
    forms = [form for form, before in zip(got, [None, *got], strict=False) if form != before]
    assert forms[-1] == (16_000, 320)
    assert [form for form in forms if form[0] == 48_000] in ([], [(48_000, 960)])
    assert sum(form == (48_000, 960) for form in got) >= after
    assert sum(form == (16_000, 320) for form in got) >= SECOND
    places = pieces_found(client.received_audio(), sent)
    found = [place for place in places if place >= 0]
    assert len(found) >= 0.8 * len(places)
    assert found == sorted(found)
