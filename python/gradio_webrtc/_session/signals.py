"""Signals that ask a process to end, held back until its calls are over.

They reach the main thread, and calls live on an event loop that may run there or elsewhere. A held
signal is then passed on to whoever had it before, so that a process ends with the exit status that
it would have without us.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._workers.garbage import hasten_exit

from .stopping import (
    BLOCKED_S,
    CLOSE_S,
    add_member,
    begin_drain,
    drain_all,
    end_pages,
    grace_from_environment,
    has_calls,
    has_pages,
    hurry_all,
    note_stopping,
    running_loop,
)

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Iterable
    from types import FrameType

    from .stopping import Drains

logger = logging.getLogger(__name__)

SIGNALS: Final = ("SIGTERM", "SIGINT", "SIGBREAK")
"""What servers take as the request to stop; by name, since no system has all of them."""


def end_with_process(member: Drains) -> None:
    """Has the calls of ``member`` end in good order when the process is asked to end.

    Call it where the page is built. In the main thread it takes SIGTERM, which would end the
    process at once; SIGINT it does not, since that interrupts a notebook's cell, and no call.

    Args:
        member: Held weakly.
    """
    add_member(member)
    _take_signals("SIGTERM")


def note_offer(member: Drains) -> None:
    """Has the calls of ``member`` end before the server that an offer came over.

    Call it on the event loop, for each offer. A server that runs in the main thread has handlers of
    its own for signals by now, which come after ours until no call is left.

    Args:
        member: Held weakly.
    """
    add_member(member)
    _take_signals(*SIGNALS)


def note_idle() -> None:
    """Gives signals back to whoever had them before `note_offer`, once no call is left.

    While a server with pages is there they are kept: it would wait for a page that is open.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and not has_calls() and not has_pages():
        for number in _numbers(SIGNALS):
            handler = signal.getsignal(number)
            if isinstance(handler, _HeldSignal) and handler.is_for_calls:
                signal.signal(number, handler.previous)


class _HeldSignal:
    """A signal's handler that lets the calls end before the handler before it hears of it.

    Args:
        number: Of the signal.
        previous: That handler, or what stands for none.
        is_for_calls: It is given back when no call is left.
    """

    def __init__(self, number: int, previous: Any, *, is_for_calls: bool) -> None:
        self.previous = previous
        self.is_for_calls = is_for_calls
        self._number = number
        self.process = os.getpid()
        self._is_held = False
        self._is_hurried = False
        self._is_blocked = False
        self._passed_on = threading.Event()

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        if self.process != os.getpid():
            # A child has a copy of our handler, and none of our calls.
            self._pass_on()
            return
        if _is_of_asyncio(self.previous):
            self._hold_nothing()
            return
        if self._is_blocked:
            # What keeps the main thread would keep the handler before us from being of any use.
            self.previous = signal.SIG_DFL
            self._pass_on_at_once()
        elif not has_calls():
            note_stopping()
            _end_pages_soon()
            self._pass_on()
        elif not self._is_held:
            self._hold()
        elif not self._is_hurried:
            # It is passed on with the one that is held, once the pages know.
            self._is_hurried = True
            hurry_all()
        else:
            self._pass_on_at_once()

    def _hold_nothing(self) -> None:
        """Ends the calls beside a handler that an event loop has called by itself already."""
        if self._is_held:
            hurry_all()
            return
        self._is_held = True
        note_stopping()
        hasten_exit()
        if not begin_drain():
            _end_pages_soon()

    def _hold(self) -> None:
        self._is_held = True
        note_stopping()
        hasten_exit()
        loop = running_loop()
        if loop is None:
            drain_all()
            self._pass_on()
            return
        futures = begin_drain()
        threading.Thread(target=self._watch, name="webrtc-stopping", daemon=True).start()
        loop.call_soon_threadsafe(self._pass_on_after, futures)

    def _pass_on_after(self, futures: list[concurrent.futures.Future[None]]) -> None:
        everything = asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)
        everything.add_done_callback(
            lambda _: None if self._passed_on.is_set() else self._pass_on()
        )

    def _watch(self) -> None:
        """Ends a process whose event loop is blocked by user code; in a thread of its own."""
        if self._passed_on.wait(grace_from_environment() + CLOSE_S + BLOCKED_S):
            return
        logger.warning("user code blocks the event loop: the process ends without its shutdown")
        self._is_blocked = True
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, self._number)
        else:
            os._exit(128 + self._number)

    def _pass_on(self) -> None:
        self._passed_on.set()
        current: object = signal.getsignal(self._number)
        if current is self:
            signal.signal(self._number, self.previous)
        signal.raise_signal(self._number)

    def _pass_on_at_once(self) -> None:
        """Passes on this signal and the one that was held."""
        self._pass_on()
        signal.raise_signal(self._number)


def _take_signals(*names: str) -> None:
    is_for_calls = names == SIGNALS
    if threading.current_thread() is not threading.main_thread():
        return
    # A server's thread can take no signal, and its calls end when Gradio closes the server.
    if is_for_calls and running_loop() is None:
        return
    for number in _numbers(names):
        previous = signal.getsignal(number)
        # None is a handler that C code has; it could not be called from here.
        if previous in (None, signal.SIG_IGN) or _is_ours(previous):
            continue
        signal.signal(number, _HeldSignal(number, previous, is_for_calls=is_for_calls))


def _is_of_asyncio(handler: object) -> bool:
    """Whether ``loop.add_signal_handler`` put it there, in place of what the loop calls itself."""
    return getattr(handler, "__module__", "").startswith("asyncio.")


def _end_pages_soon() -> None:
    loop = running_loop()
    if loop is None:
        end_pages()
    else:
        loop.call_soon_threadsafe(end_pages)


def _is_ours(handler: object) -> bool:
    return isinstance(handler, _HeldSignal) and handler.process == os.getpid()


def _numbers(names: Iterable[str]) -> list[int]:
    return [getattr(signal, name) for name in names if hasattr(signal, name)]
