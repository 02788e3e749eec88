"""Calls of tools while they run."""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import TYPE_CHECKING, Any

import pytest

from gradio_webrtc._realtime import tool_calls as module
from gradio_webrtc._realtime.tool_calls import ToolCalls, ToolRequest
from gradio_webrtc._realtime.tools import make_tools
from gradio_webrtc._workers.workers import Worker
from gradio_webrtc.errors import WebRTCError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

threads: list[int] = []


def double(number: int) -> int:
    """Doubles a number."""
    threads.append(threading.get_ident())
    return 2 * number


async def later(number: int) -> dict[str, int]:
    """Returns a number after a while."""
    await asyncio.sleep(0)
    return {"number": number}


def fail() -> None:
    """Fails."""
    raise KeyError("a password")


def explain() -> None:
    """Fails with words for the user."""
    raise WebRTCError("No seats are left.")


def leave() -> None:
    """Ends the program, or so it thinks."""
    raise SystemExit


def give_up() -> None:
    """Has a time limit of its own."""
    raise TimeoutError("of the tool")


async def never() -> None:
    """Never returns."""
    await asyncio.Event().wait()


def block() -> None:
    """Does not return until the test is over."""
    released.wait()


released = threading.Event()


class Calls:
    """Calls, with their outputs and errors."""

    def __init__(self) -> None:
        self.outputs: dict[str, str] = {}
        self.errors: list[BaseException] = []
        self.workers: list[Worker] = []
        tools = make_tools([double, later, fail, explain, leave, give_up, never, block])
        self.calls = ToolCalls(tools, self._make_worker, self.errors.append, self._answer)
        self._news = asyncio.Event()

    def _make_worker(self) -> Worker:
        self.workers.append(Worker("tools"))
        return self.workers[-1]

    def _answer(self, call_id: str, output: str) -> None:
        self.outputs[call_id] = output
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def output_of(self, name: str, arguments: str = "{}") -> str:
        self.calls.begin(ToolRequest(name, name, arguments))
        await self.until(lambda: name in self.outputs)
        return self.outputs[name]


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    made = Calls()
    yield made
    released.set()
    await made.calls.close(1.0)
    released.clear()


async def test_a_sync_tool_runs_in_a_thread_and_an_async_one_on_the_loop(calls: Calls) -> None:
    assert await calls.output_of("double", '{"number": 21}') == "42"
    assert threads.pop() != threading.get_ident()
    assert await calls.output_of("later", '{"number": "7"}') == '{"number":7}'
    assert calls.errors == []
    assert len(calls.calls) == 0


@pytest.mark.parametrize(
    ("name", "arguments", "output"),
    [
        ("double", "[]", "Error: expected the arguments as a JSON object"),
        ("double", "{}", "Error: the arguments do not fit: number: Missing required"),
        ("later", '{"number": "x"}', "Error: the arguments do not fit: number: Input should"),
        ("unheard", "{}", "Error: there is no such function"),
    ],
)
async def test_the_mistakes_of_a_model_are_its_own(
    calls: Calls, name: str, arguments: str, output: str
) -> None:
    assert (await calls.output_of(name, arguments)).startswith(output)
    assert calls.errors == []


@pytest.mark.parametrize(
    ("name", "output", "error"),
    [
        ("fail", "Error: the function failed (KeyError)", KeyError),
        ("explain", "Error: No seats are left.", WebRTCError),
        ("leave", "Error: the function failed (RuntimeError)", RuntimeError),
        ("give_up", "Error: the function failed (TimeoutError)", TimeoutError),
    ],
)
async def test_an_error_of_a_tool_is_reported_and_answered(
    calls: Calls, name: str, output: str, error: Any
) -> None:
    assert await calls.output_of(name) == output
    assert [type(each) for each in calls.errors] == [error]


async def test_a_tool_that_takes_too_long_is_given_up(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIME_LIMIT_S", 0.01)
    output = await calls.output_of("never")
    assert output == "Error: the function never took longer than 0.01 s"
    assert len(calls.errors) == 1


async def test_a_tool_that_blocks_its_thread_does_not_hold_up_the_next(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIME_LIMIT_S", 0.01)
    output = await calls.output_of("block")
    assert output == "Error: the function block took longer than 0.01 s"
    monkeypatch.setattr(module, "TIME_LIMIT_S", 60.0)
    assert await calls.output_of("double", '{"number": 2}') == "4"
    threads.clear()


async def test_tools_can_keep_few_threads(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIME_LIMIT_S", 0.01)
    for number in range(module.MAX_WORKERS_LEFT + 2):
        name = str(number)
        calls.calls.begin(ToolRequest(name, "block", "{}"))
        await calls.until(functools.partial(calls.outputs.__contains__, name))
    # An async one keeps none.
    await calls.output_of("never")
    assert len(calls.workers) == module.MAX_WORKERS_LEFT + 1


async def test_a_call_that_is_reported_twice_runs_once(calls: Calls) -> None:
    request = ToolRequest("one", "double", '{"number": 1}')
    assert calls.calls.begin(request)
    assert not calls.calls.begin(request)
    await calls.until(lambda: "one" in calls.outputs)
    assert len(threads) == 1
    threads.clear()


async def test_too_many_at_once_are_refused(calls: Calls) -> None:
    for number in range(module.MAX_RUNNING + 1):
        calls.calls.begin(ToolRequest(str(number), "never", "{}"))
    assert calls.outputs == {str(module.MAX_RUNNING): "Error: too many functions are running"}
    assert len(calls.calls) == module.MAX_RUNNING


async def test_what_is_cancelled_has_no_output(calls: Calls) -> None:
    calls.calls.begin(ToolRequest("one", "never", "{}"))
    calls.calls.begin(ToolRequest("two", "double", '{"number": 1}'))
    await asyncio.sleep(0)
    calls.calls.cancel()
    assert len(calls.calls) == 0
    await calls.calls.close(1.0)
    assert calls.outputs == {}
    assert calls.errors == []
    threads.clear()
