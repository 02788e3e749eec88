"""Signals that end a process, held back until its sessions are over.

Signals reach the main thread; sessions live on an event loop that may run there or elsewhere. A
held signal is passed on to the handler that was there before, so that the process ends with the
exit status that it would have without us. Ending the sessions is the duty of `stopping`.
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
    add_member,
    begin_drain,
    drain_all,
    end_event_streams,
    has_apps,
    has_sessions,
    hurry_all,
    note_stopping,
    running_loop,
    unblocked_limit_s,
)

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Iterable
    from types import FrameType

    from .stopping import Drainable

logger = logging.getLogger(__name__)

SIGNALS: Final = ("SIGTERM", "SIGINT", "SIGBREAK")
"""Signals that servers take as the request to stop; by name, since no system has all of them."""


def end_with_process(member: Drainable) -> None:
    """Ends the sessions of ``member`` in good order when the process gets a signal to end.

    Call it where the component is built. In the main thread it takes SIGTERM, which would end the
    process at once. It leaves SIGINT alone, which interrupts a notebook's cell, and no session.

    Args:
        member: The owner of the sessions; held weakly.
    """
    add_member(member)
    _take_signals(["SIGTERM"], is_temporary=False)


def note_offer(member: Drainable) -> None:
    """Ends the sessions of ``member`` before the server that an offer came over.

    Call it on the event loop, for each offer. A server that runs in the main thread has installed
    its own handlers for signals by now; they run behind ours until no session is left.

    Args:
        member: The owner of the sessions; held weakly.
    """
    add_member(member)
    _take_signals(SIGNALS, is_temporary=True)


def note_idle() -> None:
    """Gives signals back to the handlers before `note_offer`, once no session is left.

    They are kept while a server with a Gradio app runs: it would wait for a browser that is open.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and not has_sessions() and not has_apps():
        for number in _numbers(SIGNALS):
            handler = signal.getsignal(number)
            if isinstance(handler, _HeldSignal) and handler.is_temporary:
                signal.signal(number, handler.previous)


class _HeldSignal:
    """A signal handler that lets the sessions end before it passes the signal on.

    Runs in the main thread, between any two instructions of the code there. Where that is an event
    loop it does not wait: the sessions may need the same loop to end.

    Args:
        number: The number of the signal.
        previous: The handler before this one, as `signal.getsignal` returns it.
        is_temporary: True if the signal is given back when no session is left.
    """

    def __init__(self, number: int, previous: Any, *, is_temporary: bool) -> None:
        self.previous = previous
        self.is_temporary = is_temporary
        self.process_id = os.getpid()
        self._number = number
        self._is_held = False
        self._is_hurried = False
        self._is_blocked = False
        self._passed_on = threading.Event()

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        if self.process_id != os.getpid():
            # A forked child has a copy of our handler, and none of our sessions.
            self._pass_on()
        elif _is_of_asyncio(self.previous):
            self._drain_without_holding()
        elif self._is_blocked:
            # The code that keeps the main thread would keep the previous handler from its work as
            # well; the default action of the system runs no code of the process.
            self.previous = signal.SIG_DFL
            self._pass_on_at_once()
        elif not has_sessions():
            note_stopping()
            _end_event_streams_soon()
            self._pass_on()
        elif not self._is_held:
            self._hold()
        elif not self._is_hurried:
            # The second signal is passed on with the first, once the clients have the reason.
            self._is_hurried = True
            hurry_all()
        else:
            self._pass_on_at_once()

    def _begin_to_end(self) -> None:
        self._is_held = True
        note_stopping()
        hasten_exit()

    def _drain_without_holding(self) -> None:
        """Ends the sessions beside a callback that an event loop has scheduled by itself already.

        Such a signal cannot be held: the loop reads its number from a file descriptor.
        """
        if self._is_held:
            hurry_all()
            return
        self._begin_to_end()
        if not begin_drain():
            _end_event_streams_soon()

    def _hold(self) -> None:
        self._begin_to_end()
        loop = running_loop()
        if loop is None:
            drain_all()
            self._pass_on()
            return
        futures = begin_drain()
        threading.Thread(target=self._watch, name="webrtc-stopping", daemon=True).start()
        # Thread-safe although this is the loop's thread: only that wakes a loop out of its select.
        loop.call_soon_threadsafe(self._pass_on_after, futures)

    def _pass_on_after(self, futures: list[concurrent.futures.Future[None]]) -> None:
        everything = asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)
        everything.add_done_callback(
            lambda _: None if self._passed_on.is_set() else self._pass_on()
        )

    def _watch(self) -> None:
        """Ends a process whose event loop is blocked by user code; in a thread of its own."""
        if self._passed_on.wait(unblocked_limit_s()):
            return
        logger.warning("user code blocks the event loop: the process ends without its shutdown")
        self._is_blocked = True
        if hasattr(signal, "pthread_kill"):
            # Sent to the main thread, it interrupts the system call that user code may wait in.
            signal.pthread_kill(threading.main_thread().ident or 0, self._number)
        else:
            # The exit status by which shells recognise a process that a signal ended.
            os._exit(128 + self._number)

    def _pass_on(self) -> None:
        self._passed_on.set()
        current: object = signal.getsignal(self._number)
        # Another handler may have been installed over this one since; it is left in place.
        if current is self:
            signal.signal(self._number, self.previous)
        signal.raise_signal(self._number)

    def _pass_on_at_once(self) -> None:
        """Passes on this signal and the one that was held."""
        self._pass_on()
        signal.raise_signal(self._number)


def _take_signals(names: Iterable[str], *, is_temporary: bool) -> None:
    """Installs our handlers in front of those of the process, where that is possible."""
    # Python lets the main thread alone install handlers.
    if threading.current_thread() is not threading.main_thread():
        return
    # Without a loop here the server runs in another thread, which receives no signal: its sessions
    # end when Gradio closes the server.
    if is_temporary and running_loop() is None:
        return
    for number in _numbers(names):
        previous = signal.getsignal(number)
        # None stands for a handler of C code, which cannot be called from here.
        if previous in (None, signal.SIG_IGN) or _is_ours(previous):
            continue
        signal.signal(number, _HeldSignal(number, previous, is_temporary=is_temporary))


def _is_of_asyncio(handler: object) -> bool:
    """True if ``loop.add_signal_handler`` installed it, as a placeholder for the loop's callback.

    asyncio offers no way to list the signal handlers of a loop. The placeholder is a private
    function without attributes; its module is the only mark that is not a private name.
    """
    return getattr(handler, "__module__", "").startswith("asyncio.")


def _end_event_streams_soon() -> None:
    loop = running_loop()
    if loop is None:
        end_event_streams()
    else:
        loop.call_soon_threadsafe(end_event_streams)


def _is_ours(handler: object) -> bool:
    return isinstance(handler, _HeldSignal) and handler.process_id == os.getpid()


def _numbers(names: Iterable[str]) -> list[int]:
    return [getattr(signal, name) for name in names if hasattr(signal, name)]
