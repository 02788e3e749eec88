"""The calls of tools that a service asks for, while they run.

Runs on the event loop; tools that block run in the worker that it is given. Every call has an
output for the model, whatever happens to the function.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc._workers.workers import UserFunction
from gradio_webrtc.errors import WebRTCError

from .tools import ArgumentsRefused, failure_of, is_of_arguments, output_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gradio_webrtc._workers.workers import Worker

    from .tools import Tool

TIME_LIMIT_S: Final = 60.0
"""The time that a tool may take. There is no audio meanwhile, and the model would wait for
ever."""

MAX_RUNNING: Final = 8
"""Calls at once. A model asks for two or three together."""

MAX_WORKERS_LEFT: Final = 4
"""Threads of one session that tools may keep for good. Each such tool is a fault of the program's,
and is in the log."""

MAX_RECENT: Final = 64
"""Calls that are recognised when a service reports them twice, under two names of an event."""


class ToolRequest(NamedTuple):
    """The call of a tool, as a service asks for it.

    Attributes:
        call_id: Its id, for the output.
        name: The name of the tool.
        arguments: The text of a JSON object.
    """

    call_id: str
    name: str
    arguments: str


class ToolCalls:
    """The calls of one session.

    Args:
        tools: The tools by name.
        make_worker: Returns a worker for those that block: one that a tool does not give back is
            left to it, and the next tool gets another.
        report: Called with every error that is not the model's.
        answer: Called with the id of a call and its output, once it is over.
    """

    def __init__(
        self,
        tools: Mapping[str, Tool],
        make_worker: Callable[[], Worker],
        report: Callable[[BaseException], None],
        answer: Callable[[str, str], None],
    ) -> None:
        self._tools = tools
        self._make_worker = make_worker
        self._worker = make_worker()
        self._workers_left = 0
        self._report = report
        self._answer = answer
        self._tasks = TaskScope()
        self._recent: deque[str] = deque(maxlen=MAX_RECENT)
        self._running: set[str] = set()

    def __len__(self) -> int:
        return len(self._running)

    def begin(self, request: ToolRequest) -> bool:
        """Runs a call, or refuses it where too many run; ``answer`` has the output in any case.

        Returns:
            False if it was begun before.
        """
        if request.call_id in self._recent:
            return False
        self._recent.append(request.call_id)
        if len(self._tasks) >= MAX_RUNNING:
            self._answer(request.call_id, "Error: too many functions are running")
        else:
            self._running.add(request.call_id)
            self._tasks.start(self._run(request))
        return True

    def cancel(self) -> None:
        """Ends the calls without an output: nobody is there for it any more."""
        self._running.clear()
        self._tasks.cancel()

    async def close(self, timeout_s: float) -> None:
        """Ends every one; waits no longer than this for coroutines that go on."""
        await self._tasks.close(timeout_s)
        self._worker.close()

    async def _run(self, request: ToolRequest) -> None:
        try:
            output = output_of(await self._call(request))
        except Exception as error:  # noqa: BLE001 - the model gets it, and so does the log
            tool = self._tools.get(request.name)
            output = failure_of(error, tool)
            if tool is not None and not is_of_arguments(error, tool):
                self._report(error)
        if request.call_id in self._running:
            self._running.remove(request.call_id)
            self._answer(request.call_id, output)

    async def _call(self, request: ToolRequest) -> object:
        tool = self._tools.get(request.name)
        if tool is None:
            raise ArgumentsRefused("there is no such function")
        fn = functools.partial(tool.fn, **tool.read_arguments(request.arguments))
        worker = self._worker
        call = UserFunction(fn, worker)
        try:
            async with asyncio.timeout(TIME_LIMIT_S) as limit:
                return await call()
        except TimeoutError as error:
            if not limit.expired():
                raise
            if not call.is_async and worker is self._worker and worker.is_busy:
                self._leave_worker()
            text = f"the function {tool.name} took longer than {TIME_LIMIT_S:g} s"
            raise WebRTCError(text) from error

    def _leave_worker(self) -> None:
        """Leaves a worker to the tool that blocks it: the next one must not wait behind that."""
        if self._workers_left < MAX_WORKERS_LEFT:
            self._workers_left += 1
            self._worker.close()
            self._worker = self._make_worker()
