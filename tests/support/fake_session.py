"""A session without a network: it records what a handler does to it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from gradio_webrtc._handlers import StreamHandlerBase


class FakeSession:
    """Meets the `SessionHandle` protocol. Its lists are in the order of events."""

    def __init__(self, webrtc_id: str = "client") -> None:
        self.webrtc_id = webrtc_id
        self.loop = asyncio.get_running_loop()
        self.messages: list[Any] = []
        self.events: list[tuple[str, dict[str, object]]] = []
        self.errors: list[BaseException] = []
        self.requests = 0
        self.clears = 0
        self.interruptions = 0
        self.played_s = self.buffered_s = self.playout_delay_s = 0.0
        self.heard: dict[int, float] = {}
        self.unheard: int | None = None
        self.moments: list[tuple[int, str]] = []
        self.ended_replies = 0
        self.allows_holds = False
        self.holds: list[str] = []
        self.echo_scores: list[float] = []
        self.compared: list[tuple[int, int]] = []
        self.on_request: Callable[[], None] | None = None
        self._changed = asyncio.Event()

    @property
    def is_playing(self) -> bool:
        """True while ``buffered_s`` is more than 0."""
        return self.buffered_s > 0

    def answer_requests(self, handler: StreamHandlerBase, *values: object) -> None:
        """Lets the page answer every request for inputs with these values, soon."""
        self.on_request = lambda: handler.set_args(list(values))

    @property
    def names(self) -> list[str]:
        """The names of the events so far."""
        return [name for name, _ in self.events]

    def data(self, name: str) -> dict[str, object]:
        """The data of the last event of that name."""
        return next(data for found, data in reversed(self.events) if found == name)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until something that happens to this session makes the condition true."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def echo_score(self, rate_hz: int, received: NDArray[np.int16]) -> float:
        """The next of ``echo_scores``, 0 behind the last; notes rate and length."""
        self.compared.append((rate_hz, received.size))
        return self.echo_scores.pop(0) if self.echo_scores else 0.0

    def note_moment(self, turn: int, moment: str) -> None:
        self.moments.append((turn, moment))

    def send(self, message: object) -> None:
        self.messages.append(message)
        self._note()

    def request_inputs(self) -> None:
        self.requests += 1
        if self.on_request is not None:
            self.loop.call_soon_threadsafe(self.on_request)
        self._note()

    def clear(self) -> None:
        self.clears += 1
        self._note()

    def drop_reply(self) -> None:
        self.interruptions += 1
        self._note()

    def heard_s(self, turn: int) -> float:
        """The length that ``heard`` has for the turn, in seconds."""
        return self.heard.get(turn, 0.0)

    def allow_holds(self) -> None:
        self.allows_holds = True

    def hold_reply(self) -> None:
        self.holds.append("hold")
        self._note()

    def resume_reply(self) -> None:
        self.holds.append("resume")
        self._note()

    def end_reply(self) -> None:
        self.ended_replies += 1
        self._note()

    def event(self, name: str, **data: object) -> None:
        self.events.append((name, data))
        self._note()

    def report(self, error: BaseException) -> None:
        self.errors.append(error)
        self._note()

    def _note(self) -> None:
        self.loop.call_soon_threadsafe(self._changed.set)


class ForgetfulSession(FakeSession):
    """Keeps the number of events by name and nothing else, for measurements of memory."""

    def __init__(self, webrtc_id: str = "client") -> None:
        super().__init__(webrtc_id)
        self.counts: Counter[str] = Counter()

    def send(self, message: object) -> None:
        pass

    def event(self, name: str, **_data: object) -> None:
        self.counts[name] += 1
