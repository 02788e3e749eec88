"""The virtual clock stands still while a job is under way, and jumps when there is none."""

from __future__ import annotations

import asyncio
import threading

from gradio_webrtc._workers.workers import Worker
from gradio_webrtc.testing.clock import VirtualClockLoop


def test_jobs_are_counted_until_they_have_returned() -> None:
    loop = VirtualClockLoop()

    async def hold() -> None:
        gate, worker = threading.Event(), Worker("counted")
        job = loop.create_task(worker.run(gate.wait))
        other = loop.create_task(worker.run(str))
        await asyncio.sleep(0)
        assert loop.jobs_in_flight == 2
        job.cancel()
        await asyncio.sleep(0)
        assert loop.jobs_in_flight == 2, "a cancelled waiter does not end its job"
        gate.set()
        await other
        assert loop.jobs_in_flight == 0
        worker.close()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(hold())


def test_a_job_takes_no_time_and_a_sleep_no_real_one() -> None:
    async def hold() -> tuple[float, float]:
        loop, worker = asyncio.get_running_loop(), Worker("instant")
        began_s = loop.time()
        await worker.run(threading.Event().wait, 0.05)
        worked_s = loop.time()
        await asyncio.sleep(3600)
        worker.close()
        return worked_s - began_s, loop.time() - worked_s

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        assert runner.run(hold()) == (0.0, 3600.0)
