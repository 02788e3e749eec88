"""Announcements one by one: their order, their moment, their ends."""

from __future__ import annotations

import asyncio
import contextvars
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.clock import run_virtual

from gradio_webrtc import AdditionalOutputs, CloseStream, get_turn
from gradio_webrtc._session.announcer import MAX_ANNOUNCEMENTS, Announcer
from gradio_webrtc._session.buffers import OutboundAudioBuffer, OutboundVideoBuffer
from gradio_webrtc._session.context import SessionContext
from gradio_webrtc._session.messages import MessageSender
from gradio_webrtc._session.output_queue import OutputQueue
from gradio_webrtc._session.sinks import EmitSinks
from gradio_webrtc.errors import HandlerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from concurrent.futures import Future

FRAME_S = 0.02


def tone(level: int, seconds: float) -> tuple[int, Any]:
    return 48_000, np.full((1, round(seconds * 48_000)), level, np.int16)


class Scene:
    """A session without handler and network: a client plays what is queued, in real time."""

    def __init__(self) -> None:
        self.buffer = OutboundAudioBuffer()
        self.messages: list[Any] = []
        self.events: list[tuple[str, float]] = []
        self.ended: list[str] = []
        self.stopped = 0
        self.played: list[tuple[float, int]] = []
        sender = MessageSender(lambda text: self.messages.append(json.loads(text)))
        self.context = SessionContext("client", self.buffer, sender, self.note)
        self.outputs = OutputQueue(lambda: None, is_fetched=False)
        videos = OutboundVideoBuffer()
        sinks = EmitSinks(self.buffer, videos, plays=True, outputs=self.outputs, end=self.end)
        self.announcer = Announcer(self.context, sinks, contextvars.copy_context())
        self.context.allow_announcements(self.announcer, self.stop)
        self.is_stuck = False
        self.playing = asyncio.get_running_loop().create_task(self.play())

    def note(self, time_s: float, name: str, _data: dict[str, Any]) -> None:
        self.events.append((name, round(time_s, 2)))

    def stop(self) -> None:
        self.stopped += 1

    def end(self, reason: str) -> None:
        self.ended.append(reason)

    async def play(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            frame = None if self.is_stuck else self.buffer.pull()
            if frame is not None:
                self.played.append((round(loop.time(), 2), int(frame[0, 0])))
            await asyncio.sleep(FRAME_S)

    def lengths(self) -> list[tuple[int, Any]]:
        found: list[tuple[int, Any]] = []
        for _, level in self.played:
            before = found.pop() if found and found[-1][0] == level else (level, 0.0)
            found.append((level, round(before[1] + FRAME_S, 2)))
        return found


def on_scene(act: Callable[[Scene], Awaitable[None]]) -> None:
    async def hold() -> None:
        scene = Scene()
        try:
            await act(scene)
        finally:
            scene.playing.cancel()
            await scene.context.end_announcements()

    run_virtual(hold())


def test_what_is_said_now_comes_between_the_parts_of_a_reply() -> None:
    async def act(scene: Scene) -> None:
        loop = asyncio.get_running_loop()
        writing = loop.create_task(scene.buffer.write(*tone(1, 2.0)))
        await asyncio.sleep(0.5)
        outcome = scene.context.say(tone(2, 0.4))
        await asyncio.sleep(0.2)
        assert scene.buffer.played_s == pytest.approx(0.5, abs=0.021)
        assert scene.context.buffered_s == pytest.approx(1.0, abs=0.021)
        await writing
        await asyncio.sleep(3)
        assert [level for level, _ in scene.lengths()] == [1, 2, 1]
        assert sum(seconds for level, seconds in scene.lengths() if level == 1) == 2.0
        assert outcome.result(0) == pytest.approx(0.4)
        assert scene.buffer.played_s == pytest.approx(2.0)

    on_scene(act)


def test_a_reply_that_ends_meanwhile_is_played_to_its_end() -> None:
    async def act(scene: Scene) -> None:
        # Not a whole number of frames.
        scene.context.event("response_starting", turn=1)
        await scene.buffer.write(*tone(1, 0.31))
        await asyncio.sleep(0.1)
        scene.context.say(tone(2, 0.2))
        await asyncio.sleep(0.1)
        scene.context.end_reply()
        scene.context.event("response_finished", turn=1)
        await asyncio.sleep(2)
        assert scene.lengths()[-1] == (1, pytest.approx(0.22, abs=0.021))
        names = [name for name, _ in scene.events]
        assert names == ["response_starting"] * 2 + ["response_finished"] * 2

    on_scene(act)


def test_a_generator_that_takes_its_time_silences_nothing_before_its_first_item() -> None:
    async def slow() -> AsyncIterator[Any]:
        await asyncio.sleep(0.5)
        yield tone(2, 0.1)

    async def act(scene: Scene) -> None:
        await scene.buffer.write(*tone(1, 0.8))
        scene.context.say(slow())
        await asyncio.sleep(2)
        first, said, rest = scene.lengths()
        assert first == (1, pytest.approx(0.5, abs=0.021))
        assert said == (2, pytest.approx(0.1))
        assert first[1] + rest[1] == pytest.approx(0.8)

    on_scene(act)


def test_an_interruption_ends_a_generator_in_its_step_and_drops_what_waits() -> None:
    closed = []

    async def endless() -> AsyncIterator[Any]:
        try:
            yield tone(2, 0.3)
            await asyncio.sleep(1e6)
        finally:
            closed.append(get_turn().heard_s)

    async def act(scene: Scene) -> None:
        first = scene.context.say(endless())
        second = scene.context.say(tone(3, 1.0))
        third = scene.context.say(iter([tone(4, 1.0)]), when="silence")
        await asyncio.sleep(0.2)
        scene.context.interrupt()
        await asyncio.sleep(1)
        assert scene.lengths() == [(2, pytest.approx(0.2, abs=0.021))]
        assert closed == [pytest.approx(0.2, abs=0.021)]
        assert first.result(0) == pytest.approx(0.2, abs=0.021)
        assert second.result(0) == third.result(0) == 0.0
        assert scene.stopped == 1
        assert [name for name, _ in scene.events] == ["response_starting", "interrupted"]
        scene.context.say(tone(5, 0.1))
        await asyncio.sleep(1)
        assert scene.lengths()[-1] == (5, pytest.approx(0.1))

    on_scene(act)


def test_a_cleared_queue_ends_it_and_the_reply_goes_on() -> None:
    async def act(scene: Scene) -> None:
        await scene.buffer.write(*tone(1, 0.5))
        scene.context.say(tone(2, 0.5))
        await asyncio.sleep(0.2)
        scene.context.clear()
        await asyncio.sleep(0.1)
        await scene.buffer.write(*tone(1, 0.3))
        await asyncio.sleep(1)
        assert scene.lengths()[-1] == (1, pytest.approx(0.3))
        assert not scene.context.is_announcing

    on_scene(act)


def test_silence_that_ended_while_the_first_item_was_made_is_waited_for_again() -> None:
    async def slow() -> AsyncIterator[Any]:
        await asyncio.sleep(0.5)
        yield tone(2, 0.1)

    async def act(scene: Scene) -> None:
        outcome = scene.context.say(slow(), when="silence")
        await asyncio.sleep(0.3)
        scene.context.event("response_starting", turn=1)
        await scene.buffer.write(*tone(1, 0.8))
        scene.context.event("response_finished", turn=1)
        await asyncio.sleep(0.4)
        scene.context.say(tone(3, 0.1))
        await asyncio.sleep(3)
        assert [level for level, _ in scene.lengths()] == [1, 3, 1, 2]
        assert outcome.result(0) == pytest.approx(0.1)

    on_scene(act)


def test_what_is_said_now_does_not_wait_for_a_silence_that_never_comes() -> None:
    async def act(scene: Scene) -> None:
        writing = asyncio.get_running_loop().create_task(scene.buffer.write(*tone(1, 60.0)))
        await asyncio.sleep(0.1)
        later = scene.context.say(tone(3, 0.1), when="silence")
        await asyncio.sleep(1)
        now = scene.context.say(tone(2, 0.1))
        await asyncio.sleep(1)
        assert (later.done(), now.done()) == (False, True)
        await writing
        await asyncio.sleep(2)
        assert later.done()

    on_scene(act)


def test_the_end_resolves_everything_that_was_promised() -> None:
    async def act(scene: Scene) -> None:
        scene.is_stuck = True
        outcomes = [scene.context.say(tone(2, 0.1), when=when) for when in ("now", "silence")]
        await asyncio.sleep(5)
        await scene.context.end_announcements()
        assert [outcome.result(0) for outcome in outcomes] == [0.0, 0.0]

    on_scene(act)


def test_a_result_on_the_loop_is_refused_before_it_blocks() -> None:
    async def act(scene: Scene) -> None:
        outcome = scene.context.say(tone(2, 0.1))
        with pytest.raises(RuntimeError, match=r"await asyncio\.wrap_future"):
            outcome.result()
        assert await asyncio.wrap_future(outcome) == pytest.approx(0.1)
        assert outcome.result() == pytest.approx(0.1)

    on_scene(act)


def test_outputs_and_the_end_of_the_session_come_with_it() -> None:
    def goodbye() -> Iterator[Any]:
        yield tone(2, 0.1), AdditionalOutputs("shown")
        yield AdditionalOutputs("alone")
        yield tone(2, 0.1), CloseStream("Goodbye.")

    async def act(scene: Scene) -> None:
        scene.context.say(goodbye())
        await asyncio.sleep(2)
        assert [each.args for each in scene.outputs.take_all()] == [("shown",), ("alone",)]
        assert scene.lengths() == [(2, pytest.approx(0.2))]
        assert scene.ended == ["Goodbye."]

    on_scene(act)


def test_a_client_that_takes_nothing_holds_it_up_and_the_end_does_not() -> None:
    async def act(scene: Scene) -> None:
        scene.is_stuck = True
        outcome = scene.context.say(tone(2, 5.0))
        await asyncio.sleep(60)
        assert not outcome.done()
        await scene.context.end_announcements()
        assert outcome.result(0) == 0.0

    on_scene(act)


def test_after_the_end_nothing_is_said() -> None:
    async def act(scene: Scene) -> None:
        await scene.context.end_announcements()
        with pytest.raises(HandlerError, match="nobody to play to"):
            scene.context.say(tone(2, 0.1))
        scene.context.interrupt()

    on_scene(act)


def test_what_came_too_late_is_dropped() -> None:
    async def act(scene: Scene) -> None:
        announcement = scene.announcer.prepare(tone(2, 0.1), "now")
        await scene.announcer.close()
        scene.announcer.put(announcement)
        assert announcement.outcome.result(0) == 0.0

    on_scene(act)


def test_of_threads_that_fill_it_together_the_last_are_refused() -> None:
    async def act(scene: Scene) -> None:
        prepared = [
            scene.announcer.prepare(tone(2, 0.02), "silence") for _ in range(MAX_ANNOUNCEMENTS + 2)
        ]
        for each in prepared:
            scene.announcer.put(each)
        assert [each.outcome.done() for each in prepared[-3:]] == [False, True, True]
        assert [name for name, _ in scene.events] == ["error"]

    on_scene(act)


@pytest.mark.parametrize("when", ["later", None, ""])
def test_a_moment_that_is_none_is_refused(when: Any) -> None:
    async def act(scene: Scene) -> None:
        with pytest.raises(ValueError, match='"now" or "silence"'):
            scene.context.say(tone(2, 0.1), when=when)

    on_scene(act)


def test_the_array_may_be_written_to_at_once() -> None:
    async def act(scene: Scene) -> None:
        samples = tone(2, 0.2)
        outcomes: list[Future[float]] = [scene.context.say(samples, when="silence")]
        samples[1][:] = 7
        await asyncio.sleep(1)
        assert scene.lengths() == [(2, pytest.approx(0.2))]
        assert outcomes[0].done()

    on_scene(act)
