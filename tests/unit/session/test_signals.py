"""A signal that asks the process to end waits for the sessions, and reaches its own handler."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from gradio_webrtc._session import signals, stopping
from gradio_webrtc._session.signals import end_with_process, note_idle, note_offer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no signals of POSIX")

TAKEN = (signal.SIGTERM, signal.SIGINT)


class Sessions:
    """An owner of sessions, which end when they are allowed to."""

    def __init__(self, *loops: asyncio.AbstractEventLoop) -> None:
        self.held = set(loops)
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.is_hurried = False
        self.drains = 0

    def loops(self) -> set[asyncio.AbstractEventLoop]:
        return set(self.held)

    async def drain_here(self, _grace_s: float) -> None:
        self.drains += 1
        await self.may_end.wait()
        self.held.discard(asyncio.get_running_loop())

    def hurry(self) -> None:
        self.is_hurried = True
        self.may_end.set()


class App:
    """Gradio's app, as far as it is recognised."""

    def __init__(self) -> None:
        self.stop_event = asyncio.Event()

    def get_blocks(self) -> None:
        """There is no server of ``launch()``."""


class Previous:
    """The handlers that were there before ours, as those of a server."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def __call__(self, number: int, _frame: object) -> None:
        self.numbers.append(number)


@pytest.fixture
def previous(monkeypatch: pytest.MonkeyPatch) -> Iterator[Previous]:
    """Handlers of this test alone, and a process that does not really end."""
    monkeypatch.setattr(stopping, "_members", type(stopping._members)())  # noqa: SLF001
    monkeypatch.setattr(stopping, "_is_stopping", threading.Event())
    monkeypatch.setattr(signals, "hasten_exit", lambda: None)
    before = {number: signal.getsignal(number) for number in TAKEN}
    previous = Previous()
    for number in TAKEN:
        signal.signal(number, previous)
    yield previous
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers() -> list[Any]:
    return [signal.getsignal(number) for number in TAKEN]


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - each turn of the loop brings it nearer
        await asyncio.sleep(0)


def test_a_program_that_builds_a_component_keeps_its_ctrl_c(previous: Previous) -> None:
    end_with_process(sessions := Sessions())
    held, other = handlers()
    assert (held is not previous, other is previous) == (True, True)
    end_with_process(sessions)
    assert signal.getsignal(signal.SIGTERM) is held, "the handler is installed once"


def test_another_thread_takes_no_signal(previous: Previous) -> None:
    sessions = Sessions()
    thread = threading.Thread(target=end_with_process, args=[sessions])
    thread.start()
    thread.join()
    assert handlers() == [previous, previous]


def test_an_ignored_signal_stays_ignored(previous: Previous) -> None:
    del previous
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_with_process(sessions := Sessions())
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    assert not sessions.held


def test_without_an_event_loop_here_an_offer_takes_no_signal(previous: Previous) -> None:
    note_offer(sessions := Sessions())
    assert handlers() == [previous, previous]
    assert not sessions.held


async def test_signals_are_given_back_when_no_session_is_left(previous: Previous) -> None:
    sessions = Sessions(asyncio.get_running_loop())
    note_offer(sessions)
    assert previous not in handlers()
    note_idle()
    assert previous not in handlers(), "a session is under way"
    sessions.held.clear()
    note_idle()
    assert handlers() == [previous, previous]


async def test_signals_are_kept_while_an_app_is_there(previous: Previous) -> None:
    sessions, app = Sessions(), App()
    note_offer(sessions)
    stopping.end_with_app(sessions, app)
    note_idle()
    assert previous not in handlers()


def test_without_sessions_a_signal_goes_on_at_once(previous: Previous) -> None:
    end_with_process(sessions := Sessions())
    signal.raise_signal(signal.SIGTERM)
    assert previous.numbers == [signal.SIGTERM]
    assert stopping.is_stopping()
    assert sessions.drains == 0


async def test_a_signal_waits_for_the_sessions(previous: Previous) -> None:
    sessions = Sessions(asyncio.get_running_loop())
    sessions.may_end.clear()
    note_offer(sessions)
    signal.raise_signal(signal.SIGINT)
    await until(lambda: sessions.drains == 1)
    assert stopping.is_stopping()
    assert previous.numbers == []
    sessions.may_end.set()
    await until(lambda: bool(previous.numbers))
    assert previous.numbers == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is previous


async def test_a_second_signal_hurries_and_a_third_goes_on_at_once(previous: Previous) -> None:
    sessions = Sessions(asyncio.get_running_loop())
    note_offer(sessions)
    signal.raise_signal(signal.SIGINT)
    assert not sessions.is_hurried
    signal.raise_signal(signal.SIGINT)
    assert sessions.is_hurried
    assert previous.numbers == []
    signal.raise_signal(signal.SIGINT)
    assert previous.numbers == [signal.SIGINT] * 2, "the one that was held, and this one"
    await until(lambda: not sessions.held)
    for _ in range(3):
        await asyncio.sleep(0)
    assert previous.numbers == [signal.SIGINT] * 2


async def test_a_callback_of_the_loop_is_not_held_up(previous: Previous) -> None:
    loop, called = asyncio.get_running_loop(), list[int]()
    sessions = Sessions(loop)
    sessions.may_end.clear()
    loop.add_signal_handler(signal.SIGTERM, called.append, 1)
    try:
        note_offer(sessions)
        signal.raise_signal(signal.SIGTERM)
        await until(lambda: bool(called) and sessions.drains == 1)
        signal.raise_signal(signal.SIGTERM)
        assert sessions.is_hurried
        await until(lambda: len(called) == 2)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
    assert previous.numbers == []


def test_a_forked_child_has_nothing_to_wait_for(previous: Previous) -> None:
    loop = asyncio.new_event_loop()
    end_with_process(sessions := Sessions(loop))
    held: Any = signal.getsignal(signal.SIGTERM)
    held.process_id += 1
    signal.raise_signal(signal.SIGTERM)
    loop.close()
    assert previous.numbers == [signal.SIGTERM]
    assert (sessions.drains, stopping.is_stopping()) == (0, False)
