"""Turns and the replies to them: one at a time, none lost, and ended at once by a barge-in."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.fake_session import FakeSession
from support.user_function import Function

from gradio_webrtc._turns.replies import (
    MAX_CARRIED_S,
    Arguments,
    Reply,
    ReplyQueue,
    ReplySignal,
    Turn,
)
from gradio_webrtc._turns.runner import FINISHED
from gradio_webrtc._workers.workers import Worker
from gradio_webrtc.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from numpy.typing import NDArray

RATE_HZ = 16_000


def audio(level: int, samples: int = RATE_HZ) -> NDArray[np.int16]:
    return np.full((1, samples), level, np.int16)


def turn(number: int = 1, level: int = 1) -> Turn:
    return Turn(number, RATE_HZ, audio(level))


class Desk:
    """A queue whose replies are those of one function.

    Args:
        fn: Called with the turn.
        get_arguments: Returns the arguments of a turn, or a coroutine that does.

    Attributes:
        begun: The numbers of the turns whose function was called.
        over: True for each reply that ended by an interruption.
        silences: The number of times that queued audio was dropped.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        get_arguments: Callable[[Turn], Arguments | Coroutine[Any, Any, Arguments]] | None = None,
    ) -> None:
        self.session = FakeSession()
        self.worker = Worker("replies")
        self.begun: list[int] = []
        self.over: list[bool] = []
        self.silences = 0
        self._function = Function(fn)
        self._get_arguments = get_arguments or (lambda taken: (taken,))
        self.queue = ReplyQueue(self.session, self.reply_to, self.over.append, self._silence)

    def reply_to(self, taken: Turn) -> Reply:
        return Reply(
            taken,
            self._function,
            self._get_arguments,
            lambda begun: self.begun.append(begun.number),
            self.session,
            self.worker,
        )

    def _silence(self) -> None:
        self.silences += 1

    async def close(self) -> None:
        await self.queue.close()
        self.worker.close()


@pytest.fixture
async def desks() -> AsyncIterator[Callable[..., Desk]]:
    made: list[Desk] = []

    def make(*args: Any) -> Desk:
        made.append(Desk(*args))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def numbers(taken: Turn) -> AsyncIterator[tuple[int, int]]:
    for item in range(2):
        yield taken.number, item


def test_a_turn_stands_behind_the_audio_of_earlier_ones_up_to_a_minute() -> None:
    both = turn(2, level=2).after(audio(1))
    assert (both.number, both.rate_hz) == (2, RATE_HZ)
    assert both.audio.shape == (1, 2 * RATE_HZ)
    assert both.audio[0, [0, -1]].tolist() == [1, 2]
    long = turn(2, level=2).after(np.concatenate([audio(9), audio(1, 60 * RATE_HZ)], axis=1))
    assert long.audio.size == (MAX_CARRIED_S + 1) * RATE_HZ
    assert 9 not in long.audio


async def test_a_reply_is_stepped_to_its_end_and_the_queue_is_idle_again(
    desks: Callable[..., Desk],
) -> None:
    desk = desks(numbers)
    assert await desk.queue.step() is FINISHED
    desk.queue.take(turn())
    assert desk.queue.is_responding
    assert desk.queue.is_engaged
    assert not desk.queue.is_speaking
    assert [await desk.queue.step() for _ in range(2)] == [(1, 0), (1, 1)]
    assert desk.queue.is_speaking
    assert await desk.queue.step() is FINISHED
    assert not desk.queue.is_responding
    assert desk.over == [False]
    assert desk.session.ended_replies == 1
    assert desk.session.events == [("response_finished", {"turn": 1, "failed": False})]


async def test_waiting_ends_with_a_turn_and_begins_again_behind_its_reply(
    desks: Callable[..., Desk],
) -> None:
    desk = desks(numbers)
    waiting = asyncio.get_running_loop().create_task(desk.queue.wait_until_ready())
    await asyncio.sleep(0)
    assert not waiting.done()
    desk.queue.take(turn())
    await waiting
    while await desk.queue.step() is not FINISHED:
        pass
    waiting = asyncio.get_running_loop().create_task(desk.queue.wait_until_ready())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


async def test_a_turn_that_was_not_begun_is_the_beginning_of_the_next(
    desks: Callable[..., Desk],
) -> None:
    desk = desks(numbers)
    desk.queue.take(turn(1, level=1))
    second = desk.queue.take(turn(2, level=2))
    third = desk.queue.take(turn(3, level=3))
    assert second.audio[0, ::RATE_HZ].tolist() == [1, 2]
    assert third.audio[0, ::RATE_HZ].tolist() == [1, 2, 3]
    assert await desk.queue.step() == (3, 0)
    assert desk.begun == [3]
    assert [data["turn"] for _, data in desk.session.events] == [1, 2]


async def test_a_turn_that_was_begun_is_answered_and_not_carried(
    desks: Callable[..., Desk],
) -> None:
    desk = desks(numbers)
    desk.queue.take(turn(1))
    await desk.queue.step()
    assert desk.queue.take(turn(2)).audio.size == RATE_HZ
    assert desk.silences == 1
    assert await desk.queue.step() is FINISHED
    assert desk.over == [True]
    assert "response_finished" not in desk.session.names
    assert desk.session.ended_replies == 0
    assert await desk.queue.step() == (2, 0)


async def test_whoever_follows_the_queue_gets_each_change(desks: Callable[..., Desk]) -> None:
    desk = desks(numbers)
    noted: list[bool] = []
    desk.queue.on_change = lambda: noted.append(desk.queue.is_responding)
    desk.queue.take(turn(1))
    desk.queue.interrupt()
    desk.queue.take(turn(2))
    while await desk.queue.step() is not FINISHED:
        assert noted[-1]
    assert noted == [True, False, True, False]
    desk.queue.detach()
    desk.queue.on_change()
    assert not desk.queue.is_responding


async def test_an_answer_to_no_turn_takes_no_audio_along(desks: Callable[..., Desk]) -> None:
    desk = desks(numbers)
    desk.queue.take(turn(1, level=1))
    assert desk.queue.take(turn(0, level=0)).audio.size == RATE_HZ
    assert desk.queue.take(turn(2, level=2)).audio[0, ::RATE_HZ].tolist() == [1, 2]


async def test_an_interruption_may_leave_the_queued_audio(desks: Callable[..., Desk]) -> None:
    desk = desks(numbers)
    assert desk.queue.interrupt(is_silenced=False) is None
    assert desk.session.events == []
    taken = desk.queue.take(turn())
    assert desk.queue.interrupt(is_silenced=False) is taken
    assert desk.silences == 0
    assert desk.session.events == [("interrupted", {"turn": 1})]
    assert not desk.queue.is_responding


async def test_an_interruption_ends_the_wait_for_the_inputs(desks: Callable[..., Desk]) -> None:
    async def wait(_turn: Turn) -> Arguments:
        await asyncio.Event().wait()
        return ()

    desk = desks(numbers, wait)
    desk.queue.take(turn())
    stepping = asyncio.get_running_loop().create_task(desk.queue.step())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    desk.queue.interrupt()
    assert await stepping is FINISHED
    assert desk.begun == []
    assert desk.queue.take(turn(2)).audio.size == 2 * RATE_HZ


@pytest.mark.parametrize("is_early", [False, True])
async def test_an_error_is_reported_and_ends_the_reply_as_failed(
    desks: Callable[..., Desk],
    is_early: bool,  # noqa: FBT001
) -> None:
    async def fail(_turn: Turn) -> Any:
        raise ValueError("no inputs")

    async def fail_late(_turn: Turn) -> AsyncIterator[int]:
        yield 1
        raise ValueError("no more")

    desk = desks(numbers, fail) if is_early else desks(fail_late)
    desk.queue.take(turn())
    if not is_early:
        assert await desk.queue.step() == 1
    assert await desk.queue.step() is FINISHED
    assert [str(error) for error in desk.session.errors] == ["no inputs" if is_early else "no more"]
    assert desk.session.data("response_finished") == {"turn": 1, "failed": True}


async def test_a_generator_is_played_in_place_of_the_function(desks: Callable[..., Desk]) -> None:
    desk = desks(numbers)
    made = iter(["a", "b"])
    desk.queue.take(Turn(0, RATE_HZ, audio(0, 0), made))
    assert desk.queue.generator is made
    assert [await desk.queue.step() for _ in range(3)] == ["a", "b", FINISHED]


async def test_a_generator_that_was_never_played_is_closed(desks: Callable[..., Desk]) -> None:
    closed: list[bool] = []

    async def play() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    desk = desks(numbers)
    made = play()
    await anext(made)
    reply = desk.reply_to(Turn(0, RATE_HZ, audio(0, 0), made))
    reply.interrupt()
    assert await reply.step() is FINISHED
    await reply.close()
    assert closed == [True]


async def test_a_session_that_is_over_takes_no_turn(desks: Callable[..., Desk]) -> None:
    desk = desks(numbers)
    desk.queue.detach()
    desk.queue.take(turn())
    with pytest.raises(ConnectionLost):
        await desk.queue.step()


class Handler:
    """A handler that notes in which thread it was asked for an answer."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def on_asked(self) -> None:
        self.asked.append(threading.get_ident())


def test_a_signal_that_other_code_sets_asks_the_handler_in_that_thread() -> None:
    handler = Handler()
    signal = ReplySignal(handler.on_asked)
    thread = threading.Thread(target=signal.set)
    thread.start()
    thread.join()
    assert handler.asked == [thread.ident]
    assert signal.is_asked
    assert signal.is_set()
    signal.clear()
    assert not signal.is_asked
    assert not signal.is_set()


def test_a_mark_of_the_handlers_own_asks_nobody() -> None:
    handler = Handler()
    signal = ReplySignal(handler.on_asked)
    signal.mark()
    assert signal.is_set()
    assert not signal.is_asked
    assert handler.asked == []


def test_a_signal_keeps_no_handler_alive() -> None:
    signal = ReplySignal(Handler().on_asked)
    signal.set()
    assert signal.is_asked
