"""The kinds of functions that reply, and their arguments."""

from __future__ import annotations

import contextvars
import functools
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.conversing import RATE_HZ, Recorder, conversing, replying

from gradio_webrtc._handlers import turn_handler
from gradio_webrtc.types import AdditionalOutputs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

client: contextvars.ContextVar[str] = contextvars.ContextVar("client")


async def reply_async(audio: Any) -> AsyncIterator[Any]:
    yield audio
    yield audio


def disguised(audio: Any) -> AsyncIterator[Any]:
    return reply_async(audio)


def reply_once(audio: Any) -> Any:
    return audio


async def reply_once_async(audio: Any) -> Any:
    return audio


class Answers:
    def method(self, audio: Any) -> Iterator[Any]:
        yield audio

    async def method_async(self, audio: Any) -> AsyncIterator[Any]:
        yield audio

    def __call__(self, audio: Any) -> Iterator[Any]:
        yield audio


def reply_greeting(greeting: str, audio: Any) -> Iterator[Any]:
    assert greeting == "hello"
    yield audio


@pytest.mark.parametrize(
    ("fn", "is_async", "items"),
    [
        (Recorder(2), False, 2),
        (reply_async, True, 2),
        (reply_once, False, 1),
        (reply_once_async, True, 1),
        (Answers().method, False, 1),
        (Answers().method_async, True, 1),
        (Answers(), False, 1),
        (functools.partial(reply_greeting, "hello"), False, 1),
        (disguised, False, 2),
        (lambda audio: iter([audio]), False, 1),
    ],
)
async def test_any_kind_of_function_may_reply(fn: Any, is_async: bool, items: int) -> None:  # noqa: FBT001
    handler = replying(fn)
    assert handler.is_async is is_async
    async with conversing(handler, "an input nobody takes") as talk:
        talk.say()
        await talk.until_event("response_finished")
        assert len(talk.items) == items
        assert talk.session.errors == []
        assert talk.session.requests == 0


@pytest.mark.parametrize("is_async", [False, True])
async def test_inputs_follow_the_audio_when_the_function_takes_them(is_async: bool) -> None:  # noqa: FBT001
    got: list[tuple[Any, ...]] = []

    def reply(audio: Any, text: str, number: int = 0) -> Iterator[Any]:
        got.append((audio, text, number))
        yield audio

    async def reply_too(audio: Any, text: str, number: int = 0) -> AsyncIterator[Any]:
        for item in reply(audio, text, number):
            yield item

    async with conversing(replying(reply_too if is_async else reply), "text", 7) as talk:
        talk.say()
        await talk.until_event("response_finished")
        assert talk.handler.latest_args == [got[0][0], "text", 7]
    assert got[0][0][0] == RATE_HZ
    assert got[0][1:] == ("text", 7)


async def test_inputs_are_fetched_again_for_every_turn() -> None:
    got: list[int] = []

    def reply(audio: Any, number: int) -> Iterator[Any]:
        got.append(number)
        yield audio

    async with conversing(replying(reply)) as talk:
        for number in (1, 2, 3):
            talk.session.answer_requests(talk.handler, number)
            talk.say()
            await talk.until_event("response_finished", number)
        assert talk.session.requests == 3
    assert got == [1, 2, 3]


async def test_inputs_that_came_unasked_are_enough() -> None:
    got: list[str] = []

    def reply(audio: Any, text: str) -> Iterator[Any]:
        got.append(text)
        yield audio

    async with conversing(replying(reply)) as talk:
        talk.handler.set_args(["unasked"])
        talk.say()
        await talk.until_event("response_finished")
        assert talk.session.requests == 0
    assert got == ["unasked"]


@pytest.mark.parametrize(
    ("fn", "options", "takes_inputs"),
    [
        (lambda _audio: None, {}, False),
        (lambda _audio, _text: None, {}, True),
        (lambda _audio, _text=None: None, {}, True),
        (lambda *_args: None, {}, True),
        (lambda _audio, *, _voice="x": None, {}, False),
        (lambda _audio: None, {"needs_args": True}, True),
        (functools.partial(lambda _audio, _text: None, _text="x"), {}, False),
        (functools.partial(lambda _text, _audio: None, "x"), {}, False),
        (Answers().method, {}, False),
        (max, {}, False),
    ],
)
def test_whether_inputs_are_needed_is_read_from_the_signature(
    fn: Any,
    options: dict[str, Any],
    takes_inputs: bool,  # noqa: FBT001
) -> None:
    assert replying(fn, **options)._needs_additional_inputs is takes_inputs  # noqa: SLF001


async def test_a_page_that_never_answers_costs_the_turn_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turn_handler, "TURN_INPUTS_TIMEOUT_S", 0.0)

    def reply(audio: Any, _text: str) -> Iterator[Any]:
        yield audio

    async with conversing(replying(reply)) as talk:
        talk.session.on_request = None
        talk.say()
        await talk.until_event("response_finished")
        assert isinstance(talk.session.errors[0], TimeoutError)
        monkeypatch.setattr(turn_handler, "TURN_INPUTS_TIMEOUT_S", 10.0)
        talk.session.answer_requests(talk.handler, "here")
        talk.say()
        await talk.until_event("response_finished", 2)
        assert len(talk.session.errors) == 1
        assert len(talk.items) == 1


async def test_on_the_phone_outputs_come_back_as_the_next_turns_inputs() -> None:
    got: list[tuple[Any, ...]] = []

    def reply(_audio: Any, *history: Any) -> Iterator[Any]:
        got.append(history)
        yield AdditionalOutputs("remember", len(got))
        yield ((24000, np.zeros((1, 480), np.int16)), AdditionalOutputs("remember", -len(got)))

    async with conversing(replying(reply)) as talk:
        talk.handler.phone_mode = True
        for turn in (1, 2, 3):
            talk.say()
            await talk.until_event("response_finished", turn)
        assert talk.session.requests == 0
        assert talk.session.errors == []
    assert got == [(), ("remember", -1), ("remember", -2)]


async def test_context_variables_of_the_session_reach_the_function() -> None:
    client.set("Ada")
    got: list[str] = []

    def reply(audio: Any) -> Iterator[Any]:
        got.append(client.get())
        yield audio

    async with conversing(replying(reply)) as talk:
        talk.say()
        await talk.until_event("response_finished")
    assert got == ["Ada"]


async def test_sync_code_never_runs_on_the_event_loop() -> None:
    threads: set[int] = set()

    def reply(audio: Any) -> Iterator[Any]:
        try:
            threads.add(threading.get_ident())
            yield audio
        finally:
            threads.add(threading.get_ident())

    async with conversing(replying(reply)) as talk:
        talk.say()
        await talk.until_event("response_finished")
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_the_start_up_function_speaks_first() -> None:
    def greet() -> Iterator[Any]:
        yield (24000, np.ones((1, 480), np.int16))

    async with conversing(replying(Recorder(), startup_fn=greet)) as talk:
        await talk.until_event("response_finished")
        assert len(talk.items) == 1
        assert talk.session.names == ["response_starting", "response_finished"]
        talk.say()
        await talk.until_event("response_finished", 2)
        assert talk.session.data("response_finished")["turn"] == 1


async def test_the_start_up_function_gets_inputs_when_it_takes_them() -> None:
    got: list[tuple[Any, ...]] = []

    def greet(name: str) -> Iterator[Any]:
        got.append((name,))
        yield (24000, np.ones((1, 480), np.int16))

    def reply(audio: Any, name: str) -> Iterator[Any]:
        got.append((audio[0], name))
        yield audio

    async with conversing(replying(reply, startup_fn=greet), "Ada") as talk:
        await talk.until_event("response_finished")
        talk.say()
        await talk.until_event("response_finished", 2)
        assert talk.session.requests == 2
    assert got == [("Ada",), (RATE_HZ, "Ada")]


async def test_a_start_up_function_without_arguments_is_called_without() -> None:
    def greet() -> Iterator[Any]:
        yield (24000, np.ones((1, 480), np.int16))

    def reply(audio: Any, _name: str) -> Iterator[Any]:
        yield audio

    async with conversing(replying(reply, startup_fn=greet), "Ada") as talk:
        await talk.until_event("response_finished")
        assert talk.session.errors == []
        assert talk.session.requests == 0
