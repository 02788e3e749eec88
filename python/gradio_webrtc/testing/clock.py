"""An event loop whose clock jumps over the time in which nothing happens.

User code in worker threads holds the clock, so that every run is the same. Runs in the loop's
thread.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gradio_webrtc._workers.watchdog import Expect
from gradio_webrtc._workers.workers import Worker

if TYPE_CHECKING:
    import concurrent.futures
    import contextvars
    from collections.abc import Callable, Sized

T = TypeVar("T")

PATIENCE_S: Final = 0.005
"""Seconds of real time that a job which may wait for input gets before the clock moves on without
it: fifty times as long as a thread needs to wake up and answer."""

ENDLESS_PATIENCE_S: Final = 1.0
"""Seconds of real time that a job which may run as long as the session gets, before the clock never
again waits for it: enough to load something, once a session."""


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """Runs callbacks as usual, but sleeping takes no time: the clock moves to the next timer.

    While a worker thread is busy the clock stands still, so user code takes no time either and a
    run is the same every time. Jobs of a `PatientWorker` hold it for `PATIENCE_S` only, and those
    that may run as long as the call for `ENDLESS_PATIENCE_S` in all.

    Attributes:
        stands_for_jobs: True while other jobs hold the clock; cleared at the end of a run.
    """

    def __init__(self) -> None:
        self._now_s = 0.0
        self.stands_for_jobs = True
        self._jobs: list[Sized] = []
        self._patient: set[asyncio.Future[Any]] = set()
        self._endless: set[asyncio.Future[Any]] = set()
        self._settled: set[asyncio.Future[Any]] = set()
        self._waits: list[concurrent.futures.Future[Any]] = []
        super().__init__(_JumpingSelector(self))

    @property
    def holds_clock(self) -> bool:
        """True if a job is in flight that the clock waits for, however long it takes."""
        others = len(self._patient) + len(self._endless) + len(self._settled)
        others += sum(not each.done() for each in self._waits)
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
        """The time that the clock waits for the jobs in flight, in seconds of real time."""
        if self._endless:
            return ENDLESS_PATIENCE_S
        return PATIENCE_S if self.jobs_in_flight > len(self._settled) else 0.0

    def note_job(self, job: asyncio.Future[Any], *, is_endless: bool) -> None:
        """Records a job that the clock waits for only so long.

        Args:
            job: The job in flight.
            is_endless: True if it may run as long as the session.
        """
        kind = self._endless if is_endless else self._patient
        kind.add(job)
        job.add_done_callback(self._forget)

    def note_wait(self, outcome: concurrent.futures.Future[Any]) -> None:
        """Lets the clock move while a job waits for something of the session; from its thread.

        Args:
            outcome: Done when the job goes on.
        """
        self._waits.append(outcome)
        # The clock may stand still already, for this job.
        self.call_soon_threadsafe(self._forget_waits)

    def _forget_waits(self) -> None:
        self._waits = [each for each in self._waits if not each.done()]

    def settle(self) -> None:
        """Records that the clock has waited long enough for the endless jobs in flight."""
        self._settled |= self._endless
        self._endless.clear()

    def _forget(self, job: asyncio.Future[Any]) -> None:
        for kind in (self._patient, self._endless, self._settled):
            kind.discard(job)

    def time(self) -> float:
        """Returns the virtual seconds since the loop was made."""
        return self._now_s

    def jump(self, seconds: float) -> None:
        """Moves the clock forward."""
        self._now_s += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for threads in real time, and replaces every other wait by a jump of the clock."""

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
            raise RuntimeError("the simulated session waits for something that can never happen")
        self._loop.jump(timeout)
        return []


class PatientWorker(Worker):
    """A worker whose jobs may block until there is input, or as long as the session."""

    def submit(
        self, context: contextvars.Context, label: str, fn: Callable[..., T], *args: object
    ) -> asyncio.Future[T]:
        """Like `Worker.submit`; holds the virtual clock only for a moment."""
        loop = asyncio.get_running_loop()
        future = super().submit(context, label, fn, *args)
        if isinstance(loop, VirtualClockLoop):
            loop.note_job(future, is_endless=self.expect is Expect.NOTHING)
        return future
