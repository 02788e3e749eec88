"""The time without audio after which silence takes its place, for a turn that is still open.

Runs on the event loop. Where the media thread detects turns, it has a timer of its own.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from gradio_webrtc._audio import MAX_STALL_S


class AudioTaker(Protocol):
    """Takes audio, in which a user may begin a turn."""

    def may_have_open_turn(self) -> bool:
        """True while a turn may be open."""

    def end_open_turn(self) -> None:
        """Ends it, since no audio comes; in the context in which the timer was started."""


class StallTimer:
    """Runs while a turn may be open, and finds out that no audio has come for `MAX_STALL_S`."""

    def __init__(self) -> None:
        self._last_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_running(self) -> bool:
        """True from `note` until no turn is open any more, or no audio comes."""
        return self._timer is not None

    def note(self, taker: AudioTaker) -> None:
        """Notes that audio has come, and starts the timer.

        Args:
            taker: Not kept once the timer has ended: it has the timer.
        """
        loop = asyncio.get_running_loop()
        self._last_s = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(MAX_STALL_S, self._look, taker)

    def cancel(self) -> None:
        """Stops the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, taker: AudioTaker) -> None:
        # Audio does not move the timer, which would cost something for each block.
        self._timer = None
        loop = asyncio.get_running_loop()
        left_s = self._last_s + MAX_STALL_S - loop.time()
        if left_s <= 0:
            taker.end_open_turn()
        elif taker.may_have_open_turn():
            self._timer = loop.call_later(left_s, self._look, taker)
