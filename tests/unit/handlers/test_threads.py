"""The threads of a session: none before code that may block is there to run."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.signals import speech

from gradio_webrtc import AsyncStreamHandler, ReplyOnPause
from gradio_webrtc.testing import simulate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SAID = speech("asterisk_hello_world_16k")


before: set[threading.Thread] = set()
seen: list[set[str]] = []


def threads_of_the_session() -> set[str]:
    return {thread.name.partition("-")[0] for thread in set(threading.enumerate()) - before}


async def answer_async(audio: Any) -> AsyncIterator[Any]:
    yield (audio[0], audio[1], "mono")
    seen.append(threads_of_the_session())


def answer(audio: Any) -> Iterator[Any]:
    yield audio
    seen.append(threads_of_the_session())


@pytest.mark.parametrize(("fn", "threads"), [(answer_async, set()), (answer, {"reply"})])
def test_a_reply_costs_a_thread_only_where_it_may_block(fn: Any, threads: set[str]) -> None:
    seen.clear()
    before.clear()
    before.update(threading.enumerate())
    assert simulate(ReplyOnPause(fn), SAID).turns
    assert seen
    assert all(names == threads for names in seen)


def test_a_users_own_hooks_run_where_they_do_no_harm() -> None:
    where: dict[str, Any] = {}

    class Hooked(AsyncStreamHandler):
        async def receive(self, frame: Any) -> None: ...

        async def emit(self) -> None:
            await asyncio.Event().wait()

        def start_up(self) -> None:
            where["start_up"] = threading.current_thread().name

        async def shutdown(self) -> None:
            where["shutdown"] = threading.current_thread().name

        def copy(self) -> Hooked:
            return Hooked()

    simulate(Hooked(), SAID)
    assert where["start_up"].startswith("start-up-")
    assert where["shutdown"] == threading.main_thread().name
