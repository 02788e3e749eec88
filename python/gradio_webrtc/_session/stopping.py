"""The end of a process or of a server: the calls under way end first, and their pages know why.

Knows whose calls there are, and the servers of ``launch()``. What signals do is in `held_signals`.
Imports no Gradio: what serves a page is known by the few attributes that `Served` names.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import logging
import math
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final, Protocol

from gradio_webrtc._workers.garbage import hasten_exit

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

logger = logging.getLogger(__name__)

GRACE_S: Final = 1.0
"""How long replies under way may go on once the server is to stop, in seconds."""

GRACE_VARIABLE: Final = "GRADIO_WEBRTC_GRACE_S"
"""The environment variable that gives another grace time, in seconds."""

MAX_GRACE_S: Final = 60.0
"""Beyond it a supervisor has killed the process long since: Kubernetes waits 30 s by default."""

CLOSE_S: Final = 0.6
"""How long calls that were ended may take to be freed before the process ends without them: with
`GRACE_S` and the rounds of uvicorn's shutdown (0.1 s each) less than two seconds in all."""

BLOCKED_S: Final = 0.2
"""How much longer than that an event loop may take to say so before it counts as blocked."""

ANYIO_THREAD: Final = "AnyIO worker thread"
"""What AnyIO calls the threads in which a server runs blocking code. They are no daemons."""


class Drains(Protocol):
    """Somebody whose calls are to end before the server does."""

    def loops(self) -> set[asyncio.AbstractEventLoop]:
        """The event loops of the calls under way; from any thread."""

    async def drain_here(self, grace_s: float) -> None:
        """Ends the calls of the running event loop, and returns when they are over."""

    def hurry(self) -> None:
        """Leaves calls that are ending no more time; from any thread."""


class Served(Protocol):
    """What is used of Gradio's app.

    Attributes:
        stop_event: An `asyncio.Event` that ends the endless streams of its pages. A server that
            stops waits for them, for ever.
    """

    stop_event: asyncio.Event

    def get_blocks(self) -> Any:
        """The page; its ``server`` is that of ``launch()``, with a thread of its own."""


_members: weakref.WeakKeyDictionary[Drains, weakref.ref[Served] | None] = (
    weakref.WeakKeyDictionary()
)
_launched: weakref.WeakSet[Any] = weakref.WeakSet()
_is_stopping = threading.Event()
_is_blocked = threading.Event()


def is_stopping() -> bool:
    """Whether a signal asked this process to end."""
    return _is_stopping.is_set()


def grace_from_environment() -> float:
    """The grace time in seconds, 0 to `MAX_GRACE_S`: that of `GRACE_VARIABLE`, or `GRACE_S`."""
    given = os.environ.get(GRACE_VARIABLE, "")
    if not given:
        return GRACE_S
    try:
        return check_grace(float(given))
    except ValueError:
        logger.warning(
            "expected seconds from 0 to %g in %s, got %r: %g is used",
            MAX_GRACE_S,
            GRACE_VARIABLE,
            given,
            GRACE_S,
        )
        return GRACE_S


def check_grace(grace_s: float) -> float:
    """The same, where it is a grace time.

    Raises:
        ValueError: It is none.
    """
    if not (math.isfinite(grace_s) and 0 <= grace_s <= MAX_GRACE_S):
        raise ValueError(f"expected a grace time of 0 to {MAX_GRACE_S:g} seconds, got {grace_s!r}")
    return float(grace_s)


def note_stopping() -> None:
    """Has all new calls of this process refused."""
    _is_stopping.set()


def add_member(member: Drains) -> None:
    """Counts the calls of ``member``, which is held weakly."""
    _members.setdefault(member, None)


def has_calls() -> bool:
    """Whether any call is under way in this process; from any thread."""
    return any(member.loops() for member in list(_members))


def has_pages() -> bool:
    """Whether there is a server of which it is known that it serves pages."""
    return any(_app_of(member) is not None for member in list(_members))


def end_pages() -> None:
    """Ends the endless streams of all pages, for which a server that stops would wait for ever."""
    for member in list(_members):
        if (app := _app_of(member)) is not None:
            app.stop_event.set()


def hurry_all() -> None:
    """Leaves calls that are ending no more time; from any thread."""
    for member in list(_members):
        member.hurry()


def end_with_app(member: Drains, app: Any) -> None:
    """Has the calls of ``member`` end with the app that serves its page, from its first offer on.

    Args:
        member: Held weakly.
        app: Held weakly; `Served`, or anything else, which is ignored.
    """
    if not (hasattr(app, "stop_event") and hasattr(app, "get_blocks")):
        return
    _members[member] = weakref.ref(app)
    server = getattr(app.get_blocks(), "server", None)
    if server is not None and server not in _launched:
        _drain_before_close(server, weakref.ref(app))


def drain_all(members: Iterable[Drains] | None = None) -> bool:
    """Ends calls, and returns when they are over; from any thread but that of an event loop.

    From there it does not wait.

    Args:
        members: Whose calls; by default those of all.

    Returns:
        False when an event loop is blocked.
    """
    futures = begin_drain(members)
    if running_loop() is not None:
        return True
    limit_s = grace_from_environment() + CLOSE_S + BLOCKED_S
    if concurrent.futures.wait(futures, limit_s).not_done:
        logger.warning("user code blocks the event loop: its calls cannot end in good order")
        _is_blocked.set()
        return False
    return True


async def on_loop(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
    """Awaits ``work`` on ``loop``, from any other; does nothing where that is closed."""
    if loop is asyncio.get_running_loop():
        await work
    elif (future := _submit(loop, work)) is not None:
        await asyncio.wrap_future(future)


def _drain_before_close(server: Any, app: weakref.ref[Served]) -> None:
    """Has the server of ``launch()`` end its calls before it closes.

    Gradio closes it for ``demo.close()`` and after Ctrl-C, and neither is told to what it serves.
    """
    close = server.close

    def close_after_calls() -> None:
        served, is_interrupted = app(), isinstance(sys.exc_info()[1], KeyboardInterrupt)
        its_own = [each for each in list(_members) if _app_of(each) is served]
        # After Ctrl-C the process is about to end, and with it all its other servers.
        ending = None if is_interrupted else its_own
        try:
            is_over = drain_all(ending)
        except KeyboardInterrupt:
            # A second Ctrl-C leaves no grace; a third one is not caught.
            hurry_all()
            is_over = drain_all(ending)
        if is_interrupted:
            hasten_exit()
        if served is not None:
            served.stop_event.set()
        if is_over:
            close()
        else:
            # To wait for its thread would be in vain.
            server.should_exit = True

    server.close = close_after_calls
    if not _launched:
        _at_exit_of_main_thread()
    _launched.add(server)


def _at_exit_of_main_thread() -> None:
    """Registers `_end_launched` for the moment at which the main thread has nothing left to do."""
    # What atexit runs comes later, once the threads of AnyIO have ended; they never do so while
    # the event loop is there that they work for.
    register = getattr(threading, "_register_atexit", atexit.register)
    register(_end_launched)


def _end_launched() -> None:
    """Ends calls and servers of ``launch()`` with the process that they are in."""
    hasten_exit()
    if not _is_blocked.is_set():
        drain_all()
    for server in list(_launched):
        server.should_exit = True
    end_pages()
    if _is_blocked.is_set() and _is_kept_by_server():
        logger.warning("the process ends with 1, since the blocked event loop would never end")
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(1)


def _is_kept_by_server() -> bool:
    """Whether nothing keeps the process but threads that wait for a server's event loop."""
    return all(
        thread.daemon or thread is threading.main_thread() or thread.name == ANYIO_THREAD
        for thread in threading.enumerate()
    )


def _app_of(member: Drains) -> Served | None:
    app = _members.get(member)
    return None if app is None else app()


def begin_drain(
    members: Iterable[Drains] | None = None,
) -> list[concurrent.futures.Future[None]]:
    """Has calls end, each on its own event loop; from any thread, without waiting."""
    grace_s = grace_from_environment()
    begun = [
        _submit(loop, _drain_one(member, grace_s))
        for member in list(_members if members is None else members)
        for loop in member.loops()
    ]
    return [future for future in begun if future is not None]


async def _drain_one(member: Drains, grace_s: float) -> None:
    try:
        async with asyncio.timeout(grace_s + CLOSE_S):
            await member.drain_here(grace_s)
    except TimeoutError:
        logger.warning(
            "calls are still being freed %g s after the server was to stop; it stops without them",
            grace_s + CLOSE_S,
        )
    finally:
        app = _app_of(member)
        if app is not None:
            app.stop_event.set()


def _submit(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]
) -> concurrent.futures.Future[None] | None:
    try:
        return asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError:  # the event loop is closed, and its calls with it
        work.close()
        return None


def _forget_parents() -> None:
    """A forked process has neither the calls nor the servers of the one that it comes from."""
    _members.clear()
    _launched.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread, or ``None``."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
