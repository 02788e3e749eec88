"""Turns on their way out of a session: to a function of the program's, and to the client."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.transports import Line

from gradio_webrtc import ReplyOnPause, TurnTimings, get_current_context
from gradio_webrtc._config import SessionConfig
from gradio_webrtc._session.session import Session
from gradio_webrtc._session.turn_reports import MAX_WAITING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Taken = list[TurnTimings]


class Texts(Line):
    """Keeps the messages to its client."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[Any] = []

    def send_text(self, text: str) -> None:
        self.texts.append(json.loads(text))


async def answer(_audio: object) -> tuple[int, Any]:
    return 24_000, np.ones((1, 4_800), np.int16)


async def hold(
    use: Callable[[Session], Awaitable[object]], transport: Line | None = None, **terms: Any
) -> Session:
    """Runs a session, and ends it behind what ``use`` does with it."""
    config = SessionConfig(**terms)
    session = Session("client", transport or Line(), ReplyOnPause(answer).copy(), config)
    connected = asyncio.Event()
    session.when_connected(connected.set)
    running = asyncio.create_task(session.run())  # noqa: TID251 - nothing else owns it
    await connected.wait()
    await use(session)
    session.end("")
    await running
    return session


def decide(session: Session, number: int = 1) -> None:
    """A turn that is over, and has no answer."""
    session.context.event("response_triggered", turn=number)
    session.context.event("response_finished", turn=number)


async def test_an_async_function_gets_each_turn_once_in_order_and_has_its_session() -> None:
    taken: list[tuple[str | None, int]] = []

    async def on_turn(turn: TurnTimings) -> None:
        await asyncio.sleep(0)
        taken.append((get_current_context().webrtc_id, turn.number))

    async def use(session: Session) -> None:
        decide(session, 1)
        decide(session, 2)

    await hold(use, on_turn=on_turn)
    assert taken == [("client", 1), ("client", 2)]


@pytest.mark.parametrize("rounds", range(4))
async def test_a_turn_that_is_over_when_the_function_has_just_returned(rounds: int) -> None:
    taken: list[int] = []

    async def on_turn(turn: TurnTimings) -> None:
        taken.append(turn.number)

    async def use(session: Session) -> None:
        decide(session, 1)
        for _ in range(rounds):
            await asyncio.sleep(0)
        decide(session, 2)

    await hold(use, on_turn=on_turn)
    assert taken == [1, 2]


async def test_a_sync_function_runs_in_a_thread_of_the_session() -> None:
    threads: list[threading.Thread] = []

    def on_turn(_turn: TurnTimings) -> None:
        threads.append(threading.current_thread())

    async def use(session: Session) -> None:
        decide(session, 1)
        decide(session, 2)

    await hold(use, on_turn=on_turn)
    first, second = threads
    assert first is second is not threading.main_thread()
    assert first.name == "turn-client"
    first.join(10)
    assert not first.is_alive(), "it ends with the session"


@pytest.mark.parametrize("is_async", [True, False])
async def test_an_error_of_it_is_logged_and_has_no_other_effect(
    is_async: bool,  # noqa: FBT001 - a parameter of the test
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken: Taken = []

    def fail(turn: TurnTimings) -> None:
        taken.append(turn)
        raise ValueError("no such table")

    async def fail_later(turn: TurnTimings) -> None:
        fail(turn)

    async def use(session: Session) -> None:
        decide(session, 1)
        decide(session, 2)

    line = Texts()
    with caplog.at_level(logging.ERROR):
        session = await hold(use, line, on_turn=fail_later if is_async else fail)
    assert [each.number for each in taken] == [1, 2]
    assert "on_turn of client" in caplog.text
    assert "no such table" in caplog.text
    assert {each["type"] for each in line.texts} == {"log", "end_stream"}
    assert "error" not in session.stats().events


async def test_an_sdk_that_raises_is_logged_and_has_no_other_effect(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such exporter")

    monkeypatch.setattr("gradio_webrtc._session.turn_reports.record_turn", fail)
    taken: Taken = []

    async def use(session: Session) -> None:
        decide(session, 1)
        session.context.event("response_triggered", turn=2)

    line = Texts()
    with caplog.at_level(logging.ERROR):
        session = await hold(use, line, on_turn=taken.append, latency=True)
    assert [each.number for each in taken] == [1, 2]
    assert [each["data"]["number"] for each in line.texts if each["type"] == "turn"] == [1, 2]
    assert "OpenTelemetry of client" in caplog.text
    assert "no such exporter" in caplog.text
    assert "error" not in session.stats().events


async def test_a_turn_that_the_end_interrupts_is_passed_on() -> None:
    taken: Taken = []

    async def use(session: Session) -> None:
        session.context.event("response_triggered", turn=1)

    session = await hold(use, on_turn=taken.append)
    assert [each.number for each in taken] == [1]
    assert session.stats().turns == tuple(taken)


async def test_a_function_that_never_returns_holds_up_no_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gradio_webrtc._session.session.CANCEL_TIMEOUT_S", 0.02)
    began, ended = asyncio.Event(), asyncio.Event()

    async def on_turn(_turn: TurnTimings) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def use(session: Session) -> None:
        decide(session)
        await began.wait()

    await hold(use, on_turn=on_turn)
    await ended.wait()


async def test_where_the_client_receives_nothing_no_packet_is_waited_for() -> None:
    async def use(session: Session) -> None:
        session.context.event("response_triggered", turn=1)
        session.context.note_moment(1, "first_item_s")
        session.context.event("response_finished", turn=1)
        (turn,) = session.stats().turns
        assert (turn.number, turn.first_packet_s) == (1, None)

    await hold(use, mode="send")


async def test_turns_that_a_slow_function_is_behind_are_bounded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken: Taken = []
    began, goes_on = asyncio.Event(), asyncio.Event()

    async def on_turn(turn: TurnTimings) -> None:
        taken.append(turn)
        began.set()
        await goes_on.wait()

    async def use(session: Session) -> None:
        decide(session, 1)
        await began.wait()
        for number in range(2, MAX_WAITING + 12):
            decide(session, number)
        goes_on.set()

    await hold(use, on_turn=on_turn)
    assert [each.number for each in taken] == [1, *range(12, MAX_WAITING + 12)]
    assert "on_turn is slower than turns end" in caplog.text


async def test_a_client_that_shows_turns_is_sent_each_once() -> None:
    async def use(session: Session) -> None:
        decide(session, 3)

    line, without = Texts(), Texts()
    await hold(use, line, latency=True)
    await hold(use, without)
    (message,) = (each for each in line.texts if each["type"] == "turn")
    assert (message["data"]["number"], message["data"]["last_speech_s"]) == (3, None)
    assert message["data"]["decision_s"] == round(message["data"]["decision_s"], 4)
    assert not any(each["type"] == "turn" for each in without.texts)
