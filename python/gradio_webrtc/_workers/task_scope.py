"""The owner of tasks. No other module of the package starts one.

Runs on the event loop. Imports nothing of ours: neither media nor user code.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import concurrent.futures
    import contextvars
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class TaskScope:
    """Owns tasks, each of which ends by itself or with the scope.

    asyncio keeps only weak references to tasks: one that nobody owns may be collected in the middle
    of its work. ``asyncio.TaskGroup`` is no owner for tasks that come and go with callbacks, since
    it must be entered and left by one task, and the first failure ends all others.

    Every method is called on the event loop.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._tasks)

    def start(
        self, coroutine: Coroutine[Any, Any, T], *, context: contextvars.Context | None = None
    ) -> asyncio.Task[T]:
        """Runs a coroutine in a task of the scope.

        Args:
            coroutine: Code to run. Its exception is that of the task: await the task for it.
            context: The context variables it runs with; by default a copy of the current ones.
        """
        task = asyncio.get_running_loop().create_task(coroutine, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def start_for_thread(
        self, fn: Callable[[], Coroutine[Any, Any, T]], outcome: concurrent.futures.Future[T]
    ) -> None:
        """Runs a coroutine in a task of the scope, for a thread that waits for its outcome.

        Args:
            fn: Makes the coroutine; is not called once the scope is closed.
            outcome: Gets the result or the exception. It is cancelled with the scope.
        """
        if self._is_closed:
            outcome.cancel()
        else:
            self.start(fn()).add_done_callback(functools.partial(_pass_on, outcome))

    def cancel(self) -> None:
        """Cancels every task, and does not wait."""
        for task in list(self._tasks):
            task.cancel()

    async def close(self, timeout_s: float | None = None) -> set[asyncio.Task[Any]]:
        """Cancels every task but the running one, and waits until they have ended.

        Args:
            timeout_s: The longest wait, in seconds; ``None`` for as long as it takes.

        Returns:
            The tasks that still run, since their code swallows its cancellation. They are no longer
            owned by the scope.
        """
        self._is_closed = True
        ending = self._tasks - {asyncio.current_task()}
        for task in ending:
            task.cancel()
        if not ending:
            return set()
        ended, running = await asyncio.wait(ending, timeout=timeout_s)
        for task in ended:
            # Retrieved, so that asyncio does not log it: the owner asked for the end.
            if not task.cancelled():
                task.exception()
        self._tasks -= running
        return running

    def disown(self, tasks: set[asyncio.Task[Any]]) -> None:
        """Gives up tasks: the scope neither cancels them nor waits for them any more."""
        self._tasks -= tasks

    async def wait(self) -> None:
        """Returns once every task has ended, those that start meanwhile included."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))


def _pass_on(outcome: concurrent.futures.Future[T], task: asyncio.Task[T]) -> None:
    """Passes the end of a task on to the thread that waits for it."""
    if task.cancelled():
        outcome.cancel()
    elif (error := task.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())
