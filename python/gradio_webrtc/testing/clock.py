"""An event loop whose clock jumps over the time in which nothing happens."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from gradio_webrtc.concurrency import Worker, jobs_in_flight

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_S: Final = 0.005
"""Real time that a job which may wait for the caller gets before the clock moves on without it:
fifty times what a thread needs to wake up and answer."""


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """Runs callbacks as ever, but sleeping takes no time: the clock moves to the next timer.

    While a worker thread is busy the clock stands still, so user code takes no time either and a
    run is the same every time. Jobs of a `PatientWorker` hold it for `PATIENCE_S` only.

    Attributes:
        patient_jobs: Jobs in flight that may be waiting for what comes later.
        stands_for_jobs: Whether other jobs hold the clock; cleared when a run winds up.
    """

    def __init__(self) -> None:
        self._now_s = 0.0
        self.patient_jobs = 0
        self.stands_for_jobs = True
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now_s

    def jump(self, seconds: float) -> None:
        """Moves the clock."""
        self._now_s += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for threads in real time, and for nothing else."""

    def __init__(self, loop: VirtualClockLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        jobs = jobs_in_flight(self._loop)
        if jobs > self._loop.patient_jobs and self._loop.stands_for_jobs:
            return super().select(None)
        if jobs:
            events = super().select(PATIENCE_S)
        if events:
            return events
        if timeout is None:
            raise RuntimeError("the simulated call waits for something that can never happen")
        self._loop.jump(timeout)
        return []


class PatientWorker(Worker):
    """A worker whose jobs may block until the caller says something: an ``emit`` of the user's."""

    async def run(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `Worker.run`; holds the virtual clock only for a moment."""
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualClockLoop):
            return await super().run(fn, *args, **kwargs)
        loop.patient_jobs += 1
        try:
            return await super().run(fn, *args, **kwargs)
        finally:
            loop.patient_jobs -= 1
