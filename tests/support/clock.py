"""Coroutines on a virtual clock: a sleep of an hour takes no time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from gradio_webrtc.testing.clock import VirtualClockLoop

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


def run_virtual(coroutine: Coroutine[Any, Any, T]) -> T:
    """Returns what the coroutine returns, run on a clock that jumps over idle time."""
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        return runner.run(coroutine)
