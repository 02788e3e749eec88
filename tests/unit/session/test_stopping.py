"""Sessions end before their process or server does, with a grace time that has bounds."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import pytest

from gradio_webrtc._session import stopping
from gradio_webrtc._session.stopping import (
    BLOCKED_S,
    CLOSE_S,
    GRACE_S,
    GRACE_VARIABLE,
    add_member,
    check_grace,
    drain_all,
    end_event_streams,
    end_with_app,
    has_apps,
    has_sessions,
    hurry_all,
    on_loop,
    running_loop,
    unblocked_limit_s,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """No member of an earlier test, and no trace of this one."""
    monkeypatch.setattr(stopping, "_members", type(stopping._members)())  # noqa: SLF001
    monkeypatch.setattr(stopping, "_launched", type(stopping._launched)())  # noqa: SLF001
    monkeypatch.setattr(stopping, "_is_blocked", threading.Event())
    monkeypatch.setattr(stopping, "_at_exit_of_main_thread", lambda: None)


class LoopThread:
    """An event loop in a thread of its own, as the server of ``launch()`` has it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._settle(), self.loop).result(timeout=10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _settle(self) -> None:
        """Waits for what was begun here while the loop was blocked."""
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)


@pytest.fixture
def other_loop() -> Iterator[asyncio.AbstractEventLoop]:
    thread = LoopThread()
    yield thread.loop
    thread.close()


class Member:
    """An owner of sessions on some loops, which notes what is asked of it."""

    def __init__(self, *loops: asyncio.AbstractEventLoop) -> None:
        self.held = set(loops)
        self.drained: list[tuple[asyncio.AbstractEventLoop, float]] = []
        self.hurried = 0

    def loops(self) -> set[asyncio.AbstractEventLoop]:
        return set(self.held)

    async def drain_here(self, grace_s: float) -> None:
        loop = asyncio.get_running_loop()
        self.drained.append((loop, grace_s))
        self.held.discard(loop)

    def hurry(self) -> None:
        self.hurried += 1


class LaunchedServer:
    """The server of ``launch()``, as far as Gradio closes it."""

    def __init__(self) -> None:
        self.should_exit = False
        self.closes = 0

    def close(self) -> None:
        self.closes += 1


class App:
    """Gradio's app, as far as it is recognised."""

    def __init__(self, server: LaunchedServer | None = None) -> None:
        self.stop_event = asyncio.Event()
        self.server = server

    def get_blocks(self) -> Any:
        return self


@pytest.mark.parametrize("grace_s", [0, 1, 0.5, 60.0])
def test_a_grace_time_is_a_number_of_seconds(grace_s: float) -> None:
    assert check_grace(grace_s) == grace_s


@pytest.mark.parametrize("grace_s", [-0.1, 60.1, float("nan"), float("inf")])
def test_any_other_grace_time_is_refused(grace_s: float) -> None:
    with pytest.raises(ValueError, match="expected a grace time of 0 to 60 seconds"):
        check_grace(grace_s)


def test_the_limit_of_a_loop_that_is_not_blocked_follows_the_grace_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert unblocked_limit_s() == GRACE_S + CLOSE_S + BLOCKED_S
    monkeypatch.setenv(GRACE_VARIABLE, "5")
    assert unblocked_limit_s() == 5 + CLOSE_S + BLOCKED_S


def test_members_are_held_weakly(other_loop: asyncio.AbstractEventLoop) -> None:
    member = Member(other_loop)
    add_member(member)
    assert has_sessions()
    del member
    gc.collect()
    assert not has_sessions()


def test_sessions_end_on_their_own_loop_while_this_thread_waits(
    other_loop: asyncio.AbstractEventLoop,
) -> None:
    member = Member(other_loop)
    add_member(member)
    assert drain_all()
    assert member.drained == [(other_loop, GRACE_S)]
    assert not has_sessions()


def test_those_of_others_are_left_alone(other_loop: asyncio.AbstractEventLoop) -> None:
    member, other = Member(other_loop), Member(other_loop)
    add_member(member)
    add_member(other)
    assert drain_all([member])
    assert (len(member.drained), other.drained) == (1, [])


async def test_on_an_event_loop_nobody_waits() -> None:
    member = Member(asyncio.get_running_loop())
    add_member(member)
    assert drain_all()
    assert member.drained == []
    while not member.drained:  # noqa: ASYNC110 - each turn of the loop brings it nearer
        await asyncio.sleep(0)


def test_a_blocked_event_loop_is_waited_for_only_so_long(
    other_loop: asyncio.AbstractEventLoop,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(stopping, "unblocked_limit_s", lambda: 0.01)
    unblock = threading.Event()
    other_loop.call_soon_threadsafe(unblock.wait)
    add_member(member := Member(other_loop))
    try:
        assert not drain_all()
    finally:
        unblock.set()
    assert "blocks the event loop" in caplog.text
    assert member.hurried == 0


def test_a_closed_event_loop_has_nothing_to_end() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    add_member(member := Member(loop))
    assert drain_all()
    assert member.drained == []


def test_the_grace_time_of_all_is_ended() -> None:
    members = [Member(), Member()]
    for each in members:
        add_member(each)
    hurry_all()
    assert [each.hurried for each in members] == [1, 1]


async def test_work_runs_on_the_loop_it_is_for(other_loop: asyncio.AbstractEventLoop) -> None:
    ran: list[object] = []

    async def work() -> None:
        ran.append(running_loop())

    here = asyncio.get_running_loop()
    for loop in (here, other_loop):
        await on_loop(loop, work())
    assert ran == [here, other_loop]


def test_event_streams_end_with_the_sessions_of_their_app(
    other_loop: asyncio.AbstractEventLoop,
) -> None:
    member, app = Member(other_loop), App()
    end_with_app(member, app)
    assert has_apps()
    assert not app.stop_event.is_set()
    drain_all()
    assert app.stop_event.is_set()


def test_event_streams_end_where_there_are_no_sessions() -> None:
    member, app = Member(), App()
    end_with_app(member, app)
    end_event_streams()
    assert app.stop_event.is_set()


@pytest.mark.parametrize("app", [None, object(), "an app"])
def test_whatever_is_no_app_is_ignored(app: object) -> None:
    end_with_app(member := Member(), app)
    assert not has_apps()
    assert not member.held


def test_a_launched_server_closes_behind_its_sessions(
    other_loop: asyncio.AbstractEventLoop,
) -> None:
    server = LaunchedServer()
    app, member = App(server), Member(other_loop)
    end_with_app(member, app)
    end_with_app(member, app)
    assert server.closes == 0
    server.close()
    assert (len(member.drained), server.closes) == (1, 1)
    assert app.stop_event.is_set()
    assert not server.should_exit


def test_a_launched_server_with_a_blocked_loop_is_not_waited_for(
    other_loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "unblocked_limit_s", lambda: 0.01)
    server, unblock = LaunchedServer(), threading.Event()
    app, member = App(server), Member(other_loop)
    end_with_app(member, app)
    other_loop.call_soon_threadsafe(unblock.wait)
    try:
        server.close()
    finally:
        unblock.set()
    assert (server.closes, server.should_exit) == (0, True)


def test_after_ctrl_c_the_sessions_of_all_servers_end(
    other_loop: asyncio.AbstractEventLoop,
) -> None:
    server, app, other = LaunchedServer(), App(), Member(other_loop)
    app.server = server
    member = Member(other_loop)
    end_with_app(member, app)
    add_member(other)
    try:
        raise KeyboardInterrupt  # noqa: TRY301 - Gradio closes the server inside the `except`
    except KeyboardInterrupt:
        server.close()
    assert (len(member.drained), len(other.drained), server.closes) == (1, 1, 1)


async def test_the_threads_of_a_server_are_those_of_anyio() -> None:
    thread = await anyio.to_thread.run_sync(threading.current_thread)
    assert isinstance(thread, stopping._anyio_worker_types())  # noqa: SLF001 - the private class
    assert not thread.daemon


def test_a_thread_of_user_code_keeps_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = [threading.main_thread(), threading.Thread(daemon=True)]
    monkeypatch.setattr(threading, "enumerate", lambda: threads)
    assert stopping._is_kept_by_server()  # noqa: SLF001 - what decides how a process ends
    threads.append(threading.Thread(daemon=False))
    assert not stopping._is_kept_by_server()  # noqa: SLF001
