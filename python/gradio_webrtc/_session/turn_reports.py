"""The user's turns on their way out of a session, once they are complete.

To the program's function, to the client, and to OpenTelemetry. Runs on the event loop; a function
that blocks runs in a worker.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._messages import create_message
from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc._workers.user_code import guard
from gradio_webrtc._workers.watchdog import Expect
from gradio_webrtc._workers.workers import UserFunction

from .reporting import report_error
from .telemetry import record_turn

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable

    from gradio_webrtc._config import SessionConfig
    from gradio_webrtc._turn_timings import TurnTimings
    from gradio_webrtc._workers.workers import Worker

    from .messages import MessageSender

logger = logging.getLogger(__name__)

MAX_WAITING: Final = 100
"""Turns that wait for a slow function; the oldest are dropped. Turns take seconds: one that is this
far behind never keeps up."""

DECIMALS: Final = 4
"""Of the seconds that are sent to a client: a tenth of a millisecond."""


class TurnReports:
    """Passes the complete turns of one session on.

    Args:
        webrtc_id: The id of the session.
        config: Has the program's function, and if the client is sent the turns.
        sender: Sends them.
        make_worker: Makes the thread that runs the function if it blocks, from a name for it.
        variables: The context variables that the function runs with.
    """

    def __init__(
        self,
        webrtc_id: str,
        config: SessionConfig,
        sender: MessageSender,
        make_worker: Callable[[str, str, Expect], Worker],
        variables: contextvars.Context,
    ) -> None:
        self._webrtc_id = webrtc_id
        self._sender = sender if config.latency else None
        # A worker without a job has no thread yet.
        self._worker = make_worker(f"turn-{webrtc_id[:8]}", "", Expect.RETURN)
        self._on_turn: UserFunction | None = None
        if config.on_turn is not None:
            self._on_turn = UserFunction(config.on_turn, self._worker)
        self._variables = variables
        self._tasks = TaskScope()
        self._waiting: deque[TurnTimings] = deque()
        self._is_passing = False
        self._has_dropped = False

    def take(self, turn: TurnTimings, origin_s: float) -> None:
        """Passes a turn on.

        Args:
            turn: It is complete.
            origin_s: The time of the event loop from which its moments are counted, in seconds.
        """
        # Samplers and processors of the program's run in it.
        with guard(self._report_recording):
            record_turn(turn, self._webrtc_id, asyncio.get_running_loop().time() - origin_s)
        if self._sender is not None:
            self._sender.send(create_message("turn", rounded(turn)))
        if self._on_turn is None:
            return
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._warn_of_drop()
        self._waiting.append(turn)
        if not self._is_passing:
            # The scope has a task that is over for one more round of the loop.
            self._is_passing = True
            self._tasks.start(self._pass_on(self._on_turn), context=self._variables.copy())

    async def close(self, limit_s: float) -> None:
        """Waits for the function to take what waits; what then still runs is cancelled.

        Args:
            limit_s: The longest wait, in seconds.
        """
        try:
            async with asyncio.timeout(limit_s):
                await self._tasks.wait()
        except TimeoutError:
            self._waiting.clear()
            # Cancelled again and again it would hold up the end of the session.
            await self._tasks.close(0.0)
        self._worker.close()

    async def _pass_on(self, on_turn: UserFunction) -> None:
        try:
            while self._waiting:
                with guard(self._report):
                    await on_turn(self._waiting.popleft())
        finally:
            self._is_passing = False

    def _report(self, error: BaseException) -> None:
        # For the log: the user has nothing to do with it.
        report_error(error, f"on_turn of {self._webrtc_id}", "the session goes on")

    def _report_recording(self, error: BaseException) -> None:
        report_error(error, f"OpenTelemetry of {self._webrtc_id}", "the session goes on")

    def _warn_of_drop(self) -> None:
        if not self._has_dropped:
            self._has_dropped = True
            logger.warning("on_turn is slower than turns end: dropping the oldest")


def rounded(turn: TurnTimings) -> dict[str, Any]:
    """Returns the moments and lengths of time of a turn as they are sent to a client."""
    return {
        name: round(value, DECIMALS) if isinstance(value, float) else value
        for name, value in turn.as_dict().items()
    }
