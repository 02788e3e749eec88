"""Series of calls in a worker's thread: order, ends, context variables, the watchdog."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import TYPE_CHECKING, Any

import pytest

from gradio_webrtc._workers.watchdog import WATCHDOG

if TYPE_CHECKING:
    from gradio_webrtc._workers.workers import Series, Worker

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class Calls:
    """The arguments of a series, and what its function did with them."""

    def __init__(self, *arguments: Any) -> None:
        self.waiting = list(arguments)
        self.done: list[Any] = []
        self.is_over = threading.Event()

    def take(self) -> tuple[Any] | None:
        if not self.waiting:
            self.is_over.set()
            return None
        return (self.waiting.pop(0),)

    def work(self, argument: Any) -> Any:
        self.done.append(argument)
        if isinstance(argument, BaseException):
            raise argument
        return argument

    def series(self, worker: Worker, fn: Any = None) -> Series:
        return worker.series("work", fn or self.work, self.take, lambda result: result != "refused")


async def test_calls_follow_each_other_while_the_event_loop_is_blocked(worker: Worker) -> None:
    calls = Calls(1, 2, 3)
    series = calls.series(worker)
    worker.begin(series)
    assert calls.is_over.wait(30)
    assert calls.done == [1, 2, 3]
    assert not series.future.done()


async def test_it_begins_again_when_it_has_come_to_its_end(worker: Worker) -> None:
    calls = Calls(1)
    series = calls.series(worker)
    for argument in (2, 3):
        calls.is_over.clear()
        worker.begin(series)
        assert calls.is_over.wait(30)
        calls.waiting.append(argument)
    assert calls.done == [1, 2]
    await worker.run(lambda: None)
    assert not worker.is_busy


@pytest.mark.parametrize("is_last", [False, True])
async def test_a_refused_result_ends_it(worker: Worker, *, is_last: bool) -> None:
    calls = Calls(1, "refused", *([] if is_last else [2]))
    series = calls.series(worker)
    worker.begin(series)
    assert await series.future == "refused"
    assert calls.done == [1, "refused"]
    assert not worker.is_busy


@pytest.mark.parametrize(
    ("raised", "expected"), [(ValueError("no"), ValueError), (SystemExit(1), RuntimeError)]
)
async def test_an_error_ends_it(
    worker: Worker, raised: BaseException, expected: type[Exception]
) -> None:
    series = Calls(1, raised, 2).series(worker)
    worker.begin(series)
    with pytest.raises(expected):
        await series.future
    assert not worker.is_busy


async def test_what_a_call_sets_ends_with_it(worker: Worker) -> None:
    seen = []

    def look(_argument: object) -> None:
        seen.append(variable.get())
        variable.set("set in a call")

    variable.set("of the task")
    calls = Calls(1, 2)
    series = calls.series(worker, look)
    variable.set("set later")
    worker.begin(series)
    assert calls.is_over.wait(30)
    assert seen == ["of the task", "of the task"]


async def test_the_watchdog_looks_at_each_call_again(worker: Worker) -> None:
    began_s: list[float] = []

    def look(_argument: object) -> None:
        assert series in WATCHDOG.waits
        assert not series.was_looked_at
        began_s.append(series.began_s)
        # As when this call had taken long.
        series.was_looked_at, series.began_s = True, 0.0
        WATCHDOG.end(series)

    calls = Calls(1, 2)
    series = calls.series(worker, look)
    worker.begin(series)
    assert calls.is_over.wait(30)
    assert not series.future.done()
    assert 0.0 < began_s[0] <= began_s[1]
    await worker.run(lambda: None)
    assert series not in WATCHDOG.waits


async def test_a_worker_that_is_closed_begins_none(worker: Worker) -> None:
    series = Calls(1).series(worker)
    worker.close()
    with pytest.raises(RuntimeError, match="closed"):
        worker.begin(series)


async def test_a_call_that_outlives_its_worker_is_an_orphan(worker: Worker) -> None:
    may_end, has_begun = threading.Event(), threading.Event()

    def block(_argument: object) -> None:
        has_begun.set()
        may_end.wait(30)

    calls = Calls(1)
    series = calls.series(worker, block)
    worker.begin(series)
    await asyncio.to_thread(has_begun.wait)
    worker.close()
    assert not series.has_returned
    may_end.set()
    assert calls.is_over.wait(30)
