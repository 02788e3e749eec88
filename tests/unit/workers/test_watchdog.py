"""Code that blocks the loop or that a session waits for is named once; all else has no thread."""

from __future__ import annotations

import asyncio
import inspect
import logging
import queue
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gradio_webrtc
from gradio_webrtc import AsyncStreamHandler, StreamHandler
from gradio_webrtc._config import SessionConfig
from gradio_webrtc._session import session as session_module
from gradio_webrtc._session.session import Session
from gradio_webrtc._turns.runner import GeneratorRunner
from gradio_webrtc._workers import user_code, watchdog
from gradio_webrtc._workers import workers as concurrency
from gradio_webrtc._workers.user_code import await_user_code, call_user_code
from gradio_webrtc._workers.watchdog import Expect, Watchdog
from gradio_webrtc._workers.workers import Worker
from gradio_webrtc.testing import FakeTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import ModuleType

    from gradio_webrtc.types import EmitType

SOON_S = 0.1


class Named(logging.Handler):
    """The texts of the watchdog's warnings, to be waited for from a thread or from the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.first = threading.Event()
        self._arrived = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._arrived:
            self.texts.append(record.getMessage())
            self.first.set()
            self._arrived.notify_all()

    def wait(self, count: int = 1) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.texts) >= count, timeout=60)

    async def until(self, count: int = 1) -> str:
        await asyncio.to_thread(self.wait, count)
        return self.texts[count - 1]


@pytest.fixture
def dog(monkeypatch: pytest.MonkeyPatch) -> Watchdog:
    """A watchdog with little patience."""
    dog = Watchdog(loop_limit_s=SOON_S, wait_limit_s=SOON_S)
    for module in (concurrency, user_code):
        monkeypatch.setattr(module, "WATCHDOG", dog)
    return dog


@pytest.fixture
def named(dog: Watchdog) -> Iterator[Named]:  # noqa: ARG001 - it is what names
    handler = Named()
    logger = logging.getLogger(watchdog.__name__)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def line_of(fn: Any, text: str) -> int:
    lines, first = inspect.getsourcelines(fn)
    return first + next(number for number, line in enumerate(lines) if text in line)


class Held:
    """A session of a handler that ends with its block."""

    def __init__(self, handler: Any, samples: int = 960) -> None:
        self._session = Session(
            "client", FakeTransport(48_000, np.zeros(samples, np.int16)), handler, SessionConfig()
        )

    async def __aenter__(self) -> Session:
        self._running = asyncio.get_running_loop().create_task(self._session.run())
        return self._session

    async def __aexit__(self, *_exc: object) -> None:
        self._session.end("over")
        await self._running


class Quiet(AsyncStreamHandler):
    """Waits in a queue that stays empty."""

    def copy(self) -> Any:
        return type(self)()

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> EmitType:
        await asyncio.Queue[Any]().get()
        return None


async def test_async_code_that_blocks_is_named_with_its_line(named: Named) -> None:
    class Blocking(Quiet):
        has_blocked = False

        async def receive(self, _frame: Any) -> None:
            if not self.has_blocked:
                self.has_blocked = True
                named.first.wait()  # blocks until it is named

    async with Held(Blocking()):
        text = await named.until()
    assert "Blocking.receive" in text
    assert "of Blocking" in text
    assert "blocks the event loop" in text
    assert f"test_watchdog.py:{line_of(Blocking.receive, '# blocks')}" in text
    assert len(named.texts) == 1


async def test_a_step_after_the_first_is_watched_as_well(named: Named) -> None:
    async def later() -> None:
        await asyncio.sleep(0)
        named.first.wait()

    await await_user_code(later(), "later of Somebody")
    assert named.texts[0].startswith("later of Somebody blocks the event loop")


async def test_a_task_of_the_users_own_is_named_too(named: Named) -> None:
    async def own_task() -> None:
        named.first.wait()  # blocks until it is named

    class Starting(Quiet):
        async def start_up(self) -> None:
            self.task = asyncio.get_running_loop().create_task(own_task())

    async with Held(Starting()):
        text = await named.until()
    assert "own_task blocks the event loop" in text
    assert f"test_watchdog.py:{line_of(own_task, '# blocks')}" in text


async def test_an_async_generator_that_blocks_is_named(named: Named) -> None:
    async def items() -> AsyncIterator[int]:
        yield 1
        named.first.wait()

    generator = items()
    assert await await_user_code(anext(generator), "items", root=generator) == 1
    with pytest.raises(StopAsyncIteration):
        await await_user_code(anext(generator), "items", root=generator)
    assert "blocks the event loop" in named.texts[0]


async def test_a_hook_called_on_the_loop_is_named(named: Named) -> None:
    call_user_code(named.first.wait)
    assert "Event.wait blocks the event loop" in named.texts[0]


@pytest.mark.parametrize("hook", ["receive", "emit", "shutdown"])
async def test_async_code_that_never_returns_is_named(
    named: Named, hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradio_webrtc._session.session.SHUTDOWN_TIMEOUT_S", 10 * SOON_S)

    async def hang(*_args: Any) -> None:
        await asyncio.Event().wait()  # hangs

    handler = type("Hanging", (Quiet,), {hook: hang})()
    async with Held(handler) as session:
        if hook == "shutdown":
            session.end("over")
        text = await named.until()
    assert "has not returned" in text
    assert "of Hanging" in text
    assert f"test_watchdog.py:{line_of(hang, '# hangs')}" in text


@pytest.mark.parametrize("hook", ["receive", "emit"])
async def test_sync_code_that_never_returns_is_named(named: Named, hook: str) -> None:
    release = threading.Event()

    def hang(*_args: Any) -> None:
        release.wait()  # hangs

    class Still(StreamHandler):
        def copy(self) -> Any:
            return type(self)()

        def receive(self, frame: Any) -> None: ...

        def emit(self) -> EmitType:
            return None

    handler = type("Hanging", (Still,), {hook: hang})()
    async with Held(handler):
        text = await named.until()
        release.set()
    assert "has not returned" in text
    assert "of Hanging" in text
    assert f"test_watchdog.py:{line_of(hang, '# hangs')}" in text


async def _nested(items: asyncio.Queue[Any]) -> AsyncIterator[Any]:
    while True:
        yield await items.get()


async def test_an_emit_that_waits_in_a_queue_is_not_named(dog: Watchdog, named: Named) -> None:
    items: asyncio.Queue[Any] = asyncio.Queue()

    class Waiting(Quiet):
        async def emit(self) -> EmitType:
            self.generator = getattr(self, "generator", None) or _nested(items)
            return await anext(self.generator, None)

    async with Held(Quiet()), Held(Waiting()):
        while dog.is_awake:  # noqa: ASYNC110 - until it has looked, and found nothing
            await asyncio.sleep(SOON_S)
        assert named.texts == []


@pytest.mark.parametrize("kind", [queue.Queue, queue.SimpleQueue])
async def test_nor_is_one_that_waits_in_a_thread(dog: Watchdog, named: Named, kind: Any) -> None:
    class Waiting(StreamHandler):
        def __init__(self) -> None:
            super().__init__()
            self.items = kind()

        def copy(self) -> Any:
            return type(self)()

        def receive(self, frame: Any) -> None: ...

        def emit(self) -> EmitType:
            return self.items.get()  # type: ignore[no-any-return]

        def shutdown(self) -> None:
            self.items.put(None)

    async with Held(Waiting()):
        while dog.is_awake:  # noqa: ASYNC110 - as above
            await asyncio.sleep(SOON_S)
        assert named.texts == []


async def test_a_start_up_may_take_as_long_as_the_session(dog: Watchdog, named: Named) -> None:
    class Long(Quiet):
        async def start_up(self) -> None:
            await asyncio.Event().wait()

    async with Held(Long()):
        while dog.is_awake:  # noqa: ASYNC110 - as above
            await asyncio.sleep(SOON_S)
        assert named.texts == []


async def test_an_awaitable_that_is_no_coroutine_is_looked_into(named: Named) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()  # hangs

    loop = asyncio.get_running_loop()
    inner = loop.create_task(hang())
    outer = loop.create_task(await_user_code(inner, "a task"))
    text = await named.until()
    outer.cancel()
    await asyncio.gather(inner, outer, return_exceptions=True)
    assert text.startswith("a task has not returned")
    assert f"test_watchdog.py:{line_of(hang, '# hangs')}" in text


async def test_a_step_that_took_too_long_may_hang_afterwards(named: Named) -> None:
    async def block_and_hang() -> None:
        named.wait()
        await asyncio.Event().wait()

    hanging = asyncio.get_running_loop().create_task(await_user_code(block_and_hang(), "both"))
    await named.until(2)
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
    assert "blocks the event loop" in named.texts[0]
    assert "has not returned" in named.texts[1]


async def test_a_place_is_named_once(named: Named) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(await_user_code(hang(), "hang")) for _ in range(3)]
    other = loop.create_task(await_user_code(hang(), "other"))
    await named.until(2)
    for task in (*tasks, other):
        task.cancel()
    await asyncio.gather(*tasks, other, return_exceptions=True)
    assert sorted(text.split()[0] for text in named.texts) == ["hang", "other"]


async def test_its_thread_ends_when_there_is_nothing_to_watch(dog: Watchdog, named: Named) -> None:
    for _ in range(3):
        await await_user_code(asyncio.sleep(0), "quick")
        assert dog.is_awake
        while dog.is_awake:  # noqa: ASYNC110 - as above
            await asyncio.sleep(SOON_S)
    assert named.texts == []


async def test_a_loop_that_was_idle_for_long_is_watched_again(dog: Watchdog, named: Named) -> None:
    await await_user_code(asyncio.sleep(0), "quick")
    while dog.is_awake:  # noqa: ASYNC110 - as above
        await asyncio.sleep(SOON_S)

    async def block() -> None:
        named.wait()

    await await_user_code(block(), "block")
    assert named.texts[0].startswith("block blocks the event loop")


async def test_quick_jobs_one_after_the_other_share_its_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(concurrency, "WATCHDOG", Watchdog())
    before, seen = set(threading.enumerate()), set()
    worker = Worker("quick")
    for _ in range(50):
        await worker.run(time.monotonic)
        seen |= {each for each in threading.enumerate() if each.name == "watchdog"}
        await asyncio.sleep(0.001)
    worker.close()
    assert len(seen - before) == 1


async def test_code_that_never_begins_to_run_wakes_nobody(dog: Watchdog) -> None:
    worker = Worker("idle", expect=Expect.NOTHING)
    await worker.run(time.monotonic)
    worker.close()
    assert not dog.is_awake


async def test_a_hook_called_in_a_thread_blocks_nobody(dog: Watchdog, named: Named) -> None:
    await asyncio.to_thread(call_user_code, time.sleep, 2 * SOON_S)
    assert not dog.is_awake
    assert named.texts == []


@pytest.mark.parametrize("is_gathered", [False, True])
async def test_a_plain_coroutine_that_answers_turns_is_named(
    named: Named,
    is_gathered: bool,  # noqa: FBT001
) -> None:
    async def reply() -> None:
        waiting = asyncio.Event().wait()
        await (asyncio.gather(waiting) if is_gathered else waiting)  # hangs

    worker = Worker("reply", "ReplyOnPause")
    runner = GeneratorRunner(reply, (), worker)
    stepping = asyncio.get_running_loop().create_task(runner.step())
    text = await named.until()
    runner.interrupt()
    await stepping
    await runner.close()
    worker.close()
    assert "of ReplyOnPause has not returned" in text
    assert f"test_watchdog.py:{line_of(reply, '# hangs')}" in text


@pytest.mark.parametrize("module", [gradio_webrtc, watchdog, session_module])
def test_every_module_of_the_package_is_its_own_file(module: ModuleType) -> None:
    assert module.__file__ is not None
    assert watchdog.is_own_file(module.__file__)
    assert not watchdog.is_user_file(module.__file__)


def test_a_neighbour_of_the_package_is_not_its_own_file() -> None:
    assert gradio_webrtc.__file__ is not None
    neighbour = gradio_webrtc.__file__.replace("gradio_webrtc", "gradio_webrtc_extra")
    assert not watchdog.is_own_file(neighbour)


SLEEPER = """
import threading, time
from gradio_webrtc._workers.watchdog import Expect, Wait, Watchdog

dog = Watchdog(loop_limit_s=1.0, wait_limit_s=1.0)
wait = dog.begin(Wait("the code", Expect.RETURN, threading.get_ident()))
print("begun", flush=True)
time.sleep(0.5)
time.sleep(0.2)
dog.end(wait)
"""


def test_a_process_that_was_stopped_blames_no_code() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
