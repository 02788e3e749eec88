"""When the user has heard the end of a reply, and how much of one that was cut short."""

from __future__ import annotations

import asyncio

import pytest
from support.clock import run_virtual

from gradio_webrtc._session.hearing import MAX_REPLIES, Hearing


class Played:
    """A timeline that is played in real time, unless it is stopped."""

    def __init__(self) -> None:
        self.accepted_s = 0.0
        self._place_s = 0.0
        self._since_s: float | None = None
        self._moved = asyncio.Event()

    @property
    def played_s(self) -> float:
        now_s = asyncio.get_running_loop().time()
        ahead_s = 0.0 if self._since_s is None else now_s - self._since_s
        return min(self.accepted_s, self._place_s + ahead_s)

    def play(self) -> None:
        self._since_s = asyncio.get_running_loop().time()
        self._moved.set()

    def stop(self, back_s: float = 0.0) -> None:
        self._place_s = self.played_s - back_s
        self._since_s = None
        self._moved.clear()

    async def until_moving(self) -> bool:
        was_waiting = self._since_s is None
        await self._moved.wait()
        return was_waiting

    async def drain(self) -> None:
        while self.played_s < self.accepted_s - 1e-9:
            await self._moved.wait()
            await asyncio.sleep(self.accepted_s - self.played_s)


class Scene:
    """A `Hearing` of a client that plays 0.1 s later, and the times of what it reports."""

    def __init__(self) -> None:
        self.timeline = Played()
        self.timeline.play()
        self.hearing = Hearing(self.timeline, lambda: 0.1)
        self.heard: list[tuple[int, float]] = []

    def reply(self, turn: int, seconds: float) -> None:
        self.hearing.begin(turn)
        self.timeline.stop()
        self.timeline.accepted_s += seconds
        self.timeline.play()
        self.hearing.end(turn, lambda: self.note(turn))

    def note(self, turn: int) -> None:
        self.heard.append((turn, round(asyncio.get_running_loop().time(), 3)))


def test_an_end_is_reported_when_the_client_has_played_it() -> None:
    async def hold() -> None:
        scene = Scene()
        scene.reply(1, 0.8)
        assert scene.hearing.unheard == 1
        await asyncio.sleep(0.5)
        assert scene.hearing.heard_s(1) == pytest.approx(0.4)
        await asyncio.sleep(1)
        assert scene.heard == [(1, 0.9)]
        assert scene.hearing.heard_s(1) == pytest.approx(0.8)
        assert scene.hearing.unheard is None

    run_virtual(hold())


def test_a_reply_without_audio_is_over_at_once() -> None:
    async def hold() -> None:
        scene = Scene()
        scene.reply(1, 0.0)
        assert scene.heard == [(1, 0.0)]
        scene.hearing.end(7, lambda: scene.note(7))
        assert scene.heard[-1] == (7, 0.0)

    run_virtual(hold())


def test_a_client_that_takes_nothing_is_waited_for() -> None:
    async def hold() -> None:
        scene = Scene()
        scene.reply(1, 0.8)
        await asyncio.sleep(0.5)
        scene.timeline.stop(back_s=0.2)
        await asyncio.sleep(10)
        assert scene.heard == []
        scene.timeline.play()
        await asyncio.sleep(5)
        assert scene.heard == [(1, 11.1)]

    run_virtual(hold())


def test_a_hold_behind_the_last_packet_takes_it_back() -> None:
    async def hold() -> None:
        scene = Scene()
        scene.reply(1, 0.8)
        await asyncio.sleep(0.85)
        scene.timeline.stop(back_s=0.2)
        await asyncio.sleep(1)
        assert scene.heard == []
        scene.timeline.play()
        await asyncio.sleep(1)
        assert scene.heard == [(1, 2.15)]

    run_virtual(hold())


def test_what_was_cut_short_has_its_heard_part_and_no_end() -> None:
    async def hold() -> None:
        scene = Scene()
        scene.reply(1, 0.8)
        await asyncio.sleep(0.5)
        # The client plays what it has.
        scene.timeline.stop()
        scene.timeline.accepted_s = 0.5
        scene.hearing.note_cleared(0.0)
        assert scene.hearing.interrupt(1) == pytest.approx(0.5)
        await asyncio.sleep(2)
        assert scene.heard == []
        assert scene.hearing.heard_s(1) == pytest.approx(0.5)

    run_virtual(hold())


def test_what_a_client_drops_was_not_heard() -> None:
    async def hold() -> None:
        scene = Scene()
        scene.reply(1, 0.4)
        scene.reply(2, 0.8)
        await asyncio.sleep(0.6)
        scene.timeline.stop()
        scene.timeline.accepted_s = 0.6
        scene.hearing.note_cleared(0.3)
        assert scene.hearing.interrupt(2) == pytest.approx(0.0)
        assert scene.hearing.heard_s(1) == pytest.approx(0.3)

    run_virtual(hold())


def test_the_next_reply_ends_the_one_before_for_everybody() -> None:
    async def hold() -> None:
        scene = Scene()
        scene.reply(1, 0.8)
        await asyncio.sleep(0.2)
        scene.reply(2, 0.4)
        assert scene.heard == [(1, 0.2)]
        await asyncio.sleep(3)
        assert scene.heard == [(1, 0.2), (2, 1.3)]
        assert scene.hearing.heard_s(1) == pytest.approx(0.8)

    run_virtual(hold())


def test_the_latest_replies_are_kept() -> None:
    async def hold() -> None:
        scene = Scene()
        for turn in range(1, MAX_REPLIES + 3):
            scene.reply(turn, 0.02)
            await asyncio.sleep(0.2)
        assert scene.hearing.heard_s(1) == scene.hearing.heard_s(2) == 0.0
        assert scene.hearing.heard_s(3) == pytest.approx(0.02)

    run_virtual(hold())


def test_nothing_is_reported_after_the_end() -> None:
    async def hold() -> None:
        scene = Scene()
        scene.reply(1, 0.8)
        scene.hearing.close()
        await asyncio.sleep(2)
        assert scene.heard == []

    run_virtual(hold())
