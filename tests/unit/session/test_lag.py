"""The lag of an event loop: measured while it has sessions, and a reason to refuse more."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from gradio_webrtc._session.lag import LOG_EVERY_S, MEASURE_EVERY_S, WINDOW_S, LagMeter

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import pytest


class LateLoop(asyncio.SelectorEventLoop):
    """A clock that tests put forward, as code that blocks does."""

    ahead_s = 0.0

    def time(self) -> float:
        return time.monotonic() + self.ahead_s


def run(test: Callable[[LateLoop, LagMeter], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        loop, meter = asyncio.get_running_loop(), LagMeter(lambda: MEASURE_EVERY_S)
        assert isinstance(loop, LateLoop)
        meter.hold()
        try:
            await test(loop, meter)
        finally:
            meter.release()
        assert not meter.is_running

    with asyncio.Runner(loop_factory=LateLoop) as runner:
        runner.run(main())


async def let_pass(loop: LateLoop, steps: int, step_s: float) -> None:
    """Puts the clock forward in steps, each of which timers see the end of."""
    for _ in range(steps):
        loop.ahead_s += step_s
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def test_nothing_is_measured_while_nobody_holds_it() -> None:
    async def main() -> None:
        meter = LagMeter()
        assert not meter.is_running
        assert not meter.is_late()
        meter.hold()
        meter.hold()
        meter.release()
        assert meter.is_running
        meter.release()
        assert not meter.is_running

    asyncio.run(main())


def test_a_loop_that_blocks_again_and_again_is_late_until_it_recovered() -> None:
    async def blocks(loop: LateLoop, meter: LagMeter) -> None:
        await let_pass(loop, 8, 0.25)
        assert meter.is_late()
        assert meter.lag_s() >= 0.149
        await let_pass(loop, 25, 0.1)
        assert not meter.is_late()

    run(blocks)


def test_one_hiccup_in_two_seconds_is_none() -> None:
    async def hiccups(loop: LateLoop, meter: LagMeter) -> None:
        await let_pass(loop, 20, 0.1)
        await let_pass(loop, 1, 0.25)
        await let_pass(loop, 5, 0.1)
        assert not meter.is_late()

    run(hiccups)


def test_old_measurements_are_removed_and_all_are_bounded() -> None:
    async def clears(loop: LateLoop, meter: LagMeter) -> None:
        await let_pass(loop, 200, 0.25)
        loop.ahead_s += WINDOW_S + 0.1
        assert meter.lag_s() == 0
        assert len(meter._measured) <= 20  # noqa: SLF001 - the bound is what the test is about

    run(clears)


def test_refusals_are_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    async def refuses(loop: LateLoop, meter: LagMeter) -> None:
        await let_pass(loop, 8, 0.25)
        assert all(meter.is_late() for _ in range(100))
        assert len(caplog.records) == 1
        loop.ahead_s += LOG_EVERY_S
        await let_pass(loop, 8, 0.25)
        assert meter.is_late()
        assert "(100 since the last line)" in caplog.messages[1]

    with caplog.at_level(logging.WARNING, "gradio_webrtc._session.lag"):
        run(refuses)
    assert len(caplog.records) == 2
