"""Answers that a subclass asks for by ``generator`` and ``event``, as in fastrtc."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.conversing import CHUNK, RATE_HZ, ScriptedVad, conversing

from gradio_webrtc import AdditionalOutputs, CloseStream, ReplyOnPause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

HELLO = (24000, np.full((1, 480), 7, np.int16))


class Asked:
    """A function that counts how often it is called, and with what."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def __call__(self, audio: tuple[int, Any]) -> Iterator[Any]:
        self.lengths.append(audio[1].size)
        yield CHUNK


def greet() -> Iterator[Any]:
    yield HELLO
    yield HELLO


async def greet_async() -> AsyncIterator[Any]:
    for item in greet():
        yield item


async def one_item() -> Any:
    return HELLO


class Item:
    """An iterator that is no generator."""

    def __init__(self) -> None:
        self.left = 2

    def __iter__(self) -> Item:
        return self

    def __next__(self) -> Any:
        self.left -= 1
        if self.left < 0:
            raise StopIteration
        return HELLO


def answering(kind: type[ReplyOnPause], fn: Any, **options: Any) -> Any:
    return kind(fn, vad=ScriptedVad, input_sample_rate=RATE_HZ, **options)


def ask(handler: Any, make: Callable[[], Any], order: str) -> None:
    if order == "event first":
        handler.event.set()
    handler.generator = make()
    if order == "generator first":
        handler.event.set()


def in_thread(act: Callable[[], None]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


KINDS = {
    "sync": (greet, 2),
    "async": (greet_async, 2),
    "iterator": (Item, 2),
    "list": (lambda: [HELLO, HELLO], 2),
    "deque": (lambda: deque([HELLO]), 1),
    "awaitable": (one_item, 1),
}
ORDERS = ["generator first", "event first"]
GREETED = ["response_starting", "response_finished"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_generator_set_in_start_up_is_played_once(kind: str, order: str) -> None:
    make, count = KINDS[kind]

    class Greeting(ReplyOnPause):
        def start_up(self) -> Any:
            ask(self, make, order)

    fn = Asked()
    async with conversing(answering(Greeting, fn)) as talk:
        await talk.until_event("response_finished")
        await talk.until_idle()
        assert talk.session.names == GREETED
        assert len(talk.items) == count
        assert all(item is HELLO for item in talk.items)
        assert talk.handler.generator is None
        talk.say(10)
        await talk.until_event("response_finished", 2)
        assert talk.session.errors == []
    assert len(fn.lengths) == 1


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("where", ["async start_up", "task", "thread", "receive"])
async def test_a_generator_is_played_wherever_it_is_set(where: str, order: str) -> None:
    class Greeting(ReplyOnPause):
        has_asked = False

        async def start_up(self) -> None:
            await super().start_up()
            if where == "async start_up":
                await asyncio.sleep(0)
                ask(self, greet, order)

        def receive(self, frame: Any) -> None:
            super().receive(frame)
            if where == "receive" and not self.has_asked:
                self.has_asked = True
                ask(self, greet, order)

    async def later(handler: Any) -> None:
        await asyncio.sleep(0)
        ask(handler, greet, order)

    fn = Asked()
    async with conversing(answering(Greeting, fn)) as talk:
        if where == "task":
            await asyncio.gather(later(talk.handler))
        elif where == "thread":
            await asyncio.to_thread(ask, talk.handler, greet, order)
        talk.pause(1)
        await talk.until_event("response_finished")
        assert talk.session.names == GREETED
        assert talk.items == [HELLO, HELLO]
    assert fn.lengths == []


async def test_the_second_half_may_come_from_a_thread_a_moment_later() -> None:
    fn = Asked()
    async with conversing(answering(ReplyOnPause, fn)) as talk:
        in_thread(talk.handler.event.set)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        in_thread(lambda: setattr(talk.handler, "generator", greet()))
        await talk.until_event("response_finished")
        assert talk.items == [HELLO, HELLO]
    assert fn.lengths == []


async def test_a_generator_waits_for_the_event() -> None:
    async with conversing(answering(ReplyOnPause, Asked())) as talk:
        waiting = talk.handler.generator = greet()
        await asyncio.sleep(0)
        assert talk.session.names == []
        assert talk.handler.generator is waiting
        talk.handler.event.set()
        await talk.until_event("response_finished")
        assert talk.items == [HELLO, HELLO]


async def test_a_generator_that_waits_answers_the_next_turn() -> None:
    fn = Asked()
    async with conversing(answering(ReplyOnPause, fn)) as talk:
        talk.handler.generator = greet()
        talk.say(10)
        await talk.until_event("response_finished")
        assert talk.items == [HELLO, HELLO]
        talk.say(10)
        await talk.until_event("response_finished", 2)
    assert len(fn.lengths) == 1


async def test_outputs_and_the_end_of_the_session_come_from_it_too() -> None:
    outputs, close = AdditionalOutputs(1), CloseStream("bye")

    def farewell() -> Iterator[Any]:
        yield outputs
        yield close

    async with conversing(answering(ReplyOnPause, Asked())) as talk:
        ask(talk.handler, farewell, "generator first")
        await talk.until_event("response_finished")
        assert talk.items == [outputs, close]


async def test_an_error_of_it_is_reported_once_and_the_next_turn_answered() -> None:
    def broken() -> Iterator[Any]:
        yield HELLO
        raise ValueError("in the greeting")

    fn = Asked()
    async with conversing(answering(ReplyOnPause, fn)) as talk:
        ask(talk.handler, broken, "generator first")
        assert (await talk.until_event("response_finished"))["failed"]
        assert [str(error) for error in talk.session.errors] == ["in the greeting"]
        talk.say(10)
        await talk.until_event("response_finished", 2)
    assert len(fn.lengths) == 1


@pytest.mark.parametrize("is_async", [False, True])
async def test_speech_interrupts_it_and_it_cleans_up(is_async: bool) -> None:  # noqa: FBT001
    closed: list[bool] = []

    def endless() -> Iterator[Any]:
        try:
            while True:
                yield HELLO
        finally:
            closed.append(True)

    async def endless_async() -> AsyncIterator[Any]:
        try:
            while True:
                yield HELLO
        finally:
            closed.append(True)

    fn = Asked()
    async with conversing(answering(ReplyOnPause, fn)) as talk:
        ask(talk.handler, endless_async if is_async else endless, "generator first")
        await talk.until_said(3)
        talk.speak(10)
        assert talk.session.names[-1] == "interrupted"
        assert talk.handler.generator is None
        talk.pause()
        await talk.until_event("response_finished")
    assert closed == [True]
    assert len(fn.lengths) == 1


async def test_none_ends_the_answer_under_way() -> None:
    closed: list[bool] = []

    def endless(_audio: Any) -> Iterator[Any]:
        try:
            while True:
                yield HELLO
        finally:
            closed.append(True)

    async with conversing(answering(ReplyOnPause, endless)) as talk:
        talk.say(10)
        await talk.until_said(2)
        before = talk.session.interruptions
        talk.handler.generator = None
        await talk.until_idle()
        assert closed == [True]
        assert talk.session.names[-1] == "interrupted"
        assert talk.session.interruptions == before + 1


async def test_another_generator_takes_the_place_of_the_one_under_way() -> None:
    closed: list[bool] = []

    async def endless(_audio: Any) -> AsyncIterator[Any]:
        try:
            while True:
                yield CHUNK
        finally:
            closed.append(True)

    async with conversing(answering(ReplyOnPause, endless)) as talk:
        talk.say(10)
        await talk.until_said(2)
        before = talk.session.interruptions
        talk.handler.generator = greet()
        await talk.until_event("response_finished")
        assert talk.items[-2:] == [HELLO, HELLO]
        assert closed == [True]
        assert talk.session.interruptions == before, "what is queued is still received"


@pytest.mark.parametrize(
    ("wrong", "instead"),
    [
        (HELLO, "iter([item])"),
        (HELLO[1], "iter([item])"),
        ("hello", "iter([item])"),
        (5, "iter([item])"),
        (greet, "self.generator = greet()"),
    ],
)
async def test_what_cannot_be_played_is_refused_where_it_is_set(wrong: Any, instead: str) -> None:
    async with conversing(answering(ReplyOnPause, Asked())) as talk:
        with pytest.raises(TypeError, match="expected a generator to play") as raised:
            talk.handler.generator = wrong
        assert instead in str(raised.value)
        assert talk.handler.generator is None


async def test_an_event_of_ones_own_in_its_place_is_heeded_too() -> None:
    class Own(ReplyOnPause):
        def start_up(self) -> Any:
            self.event = threading.Event()
            self.generator = greet()
            self.event.set()

    async with conversing(answering(Own, Asked())) as talk:
        await talk.until_event("response_finished")
        assert talk.items == [HELLO, HELLO]


async def test_what_is_asked_for_before_the_session_is_answered_in_it() -> None:
    class Prepared(ReplyOnPause):
        def copy(self) -> Any:
            clone = super().copy()
            ask(clone, greet, "generator first")
            return clone

    async with conversing(answering(Prepared, Asked())) as talk:
        await talk.until_event("response_finished")
        assert talk.items == [HELLO, HELLO]


async def test_a_startup_function_speaks_through_an_emit_of_ones_own() -> None:
    class Own(ReplyOnPause):
        def emit(self) -> Any:
            if not self.event.is_set():
                return None
            try:
                return next(self.generator)
            except StopIteration:
                self.reset()
                return None

    async with conversing(answering(Own, Asked(), startup_fn=greet)) as talk:
        await talk.until_said(2)
        await talk.until_idle()
        assert talk.items == [HELLO, HELLO]
        assert talk.session.errors == []
