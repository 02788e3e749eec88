"""The end of a turn before its pause: a model estimates it while the user may have finished.

Runs on the event loop, and the model in a thread of the session, or on the loop where it is async.
Detects nothing and ends no turn by itself.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc._workers.user_code import guard
from gradio_webrtc._workers.workers import UserFunction

from .runner import RELEASE_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradio_webrtc._workers.workers import Worker

    from .current_turn import Reporter
    from .detector import TurnEvent

CERTAIN_AT: Final = 0.5
"""The probability from which a turn is over, for a model without ``certain_at``: more likely than
not, and where Smart Turn was trained to divide the two."""


class Candidate(NamedTuple):
    """A turn that may be over.

    Attributes:
        event: The ``pause_candidate``, with the end of speech.
        rate_hz: The rate of ``audio``, in Hz.
        audio: The turn so far, int16 ``(1, n)``.
    """

    event: TurnEvent
    rate_hz: int
    audio: NDArray[np.int16]

    @property
    def speech_s(self) -> float:
        """The seconds from the beginning of the speech to its end."""
        return self._speech_end_s - self.event.speech_start_s

    @property
    def silence_s(self) -> float:
        """The seconds of silence behind it."""
        return self.event.time_s - self._speech_end_s

    @property
    def _speech_end_s(self) -> float:
        end_s = self.event.speech_end_s
        return self.event.time_s if end_s is None else end_s


class TurnEndEstimator:
    """Has a session's candidates estimated by a model, one at a time and only the newest.

    Every method is called on the event loop.

    Args:
        model: A `TurnEndModel`.
        worker: Runs it, unless it is async.
        session: Receives its exceptions, as reports: such an estimate is none.
        on_estimate: Called with each estimate in time: the candidate, the probability, and True if
            that is ``certain_at`` or more.
    """

    def __init__(
        self,
        model: Any,
        worker: Worker,
        session: Reporter,
        on_estimate: Callable[[Candidate, float, bool], None],
    ) -> None:
        self._model = model
        self._worker = worker
        self._session = session
        self._on_estimate = on_estimate
        self._tasks = TaskScope()
        # The newest candidate, and the one whose estimate is under way.
        self._open: Candidate | None = None
        self._estimated: Candidate | None = None
        self._is_running = False

    def estimate(self, candidate: Candidate) -> None:
        """Has a candidate estimated, behind the estimate under way, in place of one that waits."""
        self._open = candidate
        if not self._is_running:
            self._is_running = True
            self._tasks.start(self._run())

    def drop(self) -> None:
        """The candidate is none any more: its estimate, if one is to come, counts for nothing."""
        self._open = None

    async def close(self) -> None:
        """Ends the estimate under way; waits `RELEASE_S` at most for async code that goes on."""
        self.drop()
        self._worker.close()
        await self._tasks.close(RELEASE_S)

    async def _run(self) -> None:
        try:
            while self._open is not None and self._open is not self._estimated:
                self._estimated = candidate = self._open
                await self._run_one(candidate)
        finally:
            self._is_running = False

    async def _run_one(self, candidate: Candidate) -> None:
        with guard(self._session.report) as guarded:
            probability = checked_probability(await self._probability(candidate))
            is_certain = probability >= threshold_of(self._model)
        if guarded.error is None and self._open is candidate:
            self._on_estimate(candidate, probability, is_certain)

    async def _probability(self, candidate: Candidate) -> object:
        function = self._model.probability
        call = partial(
            function,
            candidate.rate_hz,
            candidate.audio,
            speech_s=candidate.speech_s,
            silence_s=candidate.silence_s,
        )
        return await UserFunction(call, self._worker, function)()


def check_turn_end(given: Any) -> None:
    """Checks a value of ``turn_end``: a model, or its class.

    Raises:
        TypeError: It has no ``probability``, or its ``certain_at`` is no number.
        ValueError: ``certain_at`` is out of range.
    """
    if not callable(getattr(given, "probability", None)):
        raise TypeError(
            "turn_end is an object with probability(rate_hz, samples, *, speech_s, silence_s), or "
            f"its class, got {given!r}"
        )
    if not isinstance(given, type):
        threshold_of(given)


def threshold_of(model: Any) -> float:
    """Returns the probability from which a model is certain.

    Raises:
        TypeError: It is no number.
        ValueError: It is not more than 0, to 1.
    """
    value = getattr(model, "certain_at", CERTAIN_AT)
    if not isinstance(value, int | float | np.number):
        raise TypeError(f"certain_at is a number, got {value!r}")
    if not 0 < value <= 1:
        raise ValueError(f"certain_at is more than 0, to 1, got {value!r}")
    return float(value)


def checked_probability(value: Any) -> float:
    """Returns the result of a model as a float.

    Raises:
        TypeError: It is no number.
        ValueError: It is not from 0 to 1.
    """
    if not hasattr(value, "__float__"):
        raise TypeError(f"a TurnEndModel returns a probability from 0 to 1, got {value!r}")
    probability = float(value)
    if not 0 <= probability <= 1:
        raise ValueError(f"a TurnEndModel returns a probability from 0 to 1, got {value!r}")
    return probability
