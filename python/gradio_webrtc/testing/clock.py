"""An event loop whose clock jumps over the time in which nothing happens."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gradio_webrtc._workers.watchdog import Expect
from gradio_webrtc._workers.workers import Worker

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable, Sized

T = TypeVar("T")

PATIENCE_S: Final = 0.005
"""Real time that a job which may wait for the caller gets before the clock moves on without it:
fifty times what a thread needs to wake up and answer."""


ENDLESS_PATIENCE_S: Final = 1.0
"""Real time that a job gets which may run as long as the call, before the clock never again waits
for it: enough to load something, once a call."""


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """Runs callbacks as ever, but sleeping takes no time: the clock moves to the next timer.

    While a worker thread is busy the clock stands still, so user code takes no time either and a
    run is the same every time. Jobs of a `PatientWorker` hold it for `PATIENCE_S` only, and those
    that may run as long as the call for `ENDLESS_PATIENCE_S` in all.

    Attributes:
        stands_for_jobs: Whether other jobs hold the clock; cleared when a run winds up.
    """

    def __init__(self) -> None:
        self._now_s = 0.0
        self.stands_for_jobs = True
        self._jobs: list[Sized] = []
        self._patient: set[asyncio.Future[Any]] = set()
        self._endless: set[asyncio.Future[Any]] = set()
        self._settled: set[asyncio.Future[Any]] = set()
        super().__init__(_JumpingSelector(self))

    @property
    def holds_clock(self) -> bool:
        """Whether a job is in flight that the clock waits for, however long it takes."""
        others = len(self._patient) + len(self._endless) + len(self._settled)
        return self.stands_for_jobs and self.jobs_in_flight > others

    @property
    def jobs_in_flight(self) -> int:
        """The number of jobs of this loop that have not returned yet."""
        return sum(len(unfinished) for unfinished in self._jobs)

    def watch_jobs(self, unfinished: Sized) -> None:
        """Counts a worker's jobs from now on, as long as the loop lives; workers call it.

        Args:
            unfinished: The worker's own list of jobs that have not returned.
        """
        self._jobs.append(unfinished)

    @property
    def patience_s(self) -> float:
        """How long the clock waits for the jobs in flight, in real time."""
        if self._endless:
            return ENDLESS_PATIENCE_S
        return PATIENCE_S if self.jobs_in_flight > len(self._settled) else 0.0

    def note_job(self, job: asyncio.Future[Any], *, is_endless: bool) -> None:
        """Takes note of a job that the clock waits for only so long."""
        kind = self._endless if is_endless else self._patient
        kind.add(job)
        job.add_done_callback(self._forget)

    def settle(self) -> None:
        """Notes that the patience with the endless jobs is over."""
        self._settled |= self._endless
        self._endless.clear()

    def _forget(self, job: asyncio.Future[Any]) -> None:
        for kind in (self._patient, self._endless, self._settled):
            kind.discard(job)

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
        if self._loop.holds_clock:
            return super().select(None)
        events = super().select(self._loop.patience_s)
        if events:
            return events
        self._loop.settle()
        if timeout is None:
            raise RuntimeError("the simulated call waits for something that can never happen")
        self._loop.jump(timeout)
        return []


class PatientWorker(Worker):
    """A worker whose jobs may block until the caller says something, or as long as the call."""

    def submit(
        self, context: contextvars.Context, label: str, fn: Callable[..., T], *args: object
    ) -> asyncio.Future[T]:
        """Like `Worker.submit`; holds the virtual clock only for a moment."""
        loop = asyncio.get_running_loop()
        future = super().submit(context, label, fn, *args)
        if isinstance(loop, VirtualClockLoop):
            loop.note_job(future, is_endless=self.expect is Expect.NOTHING)
        return future
