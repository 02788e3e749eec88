"""The end of a process or of a server: the sessions under way end first, and each with a reason.

Keeps the owners of sessions, and the servers of ``launch()``. Signals are the duty of `signals`.
Functions run in any thread unless their docstring names one. Imports no Gradio: `GradioApp` names
the few attributes by which its app is recognised.
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
"""The time that replies under way may go on once the server is to stop, in seconds."""

GRACE_VARIABLE: Final = "GRADIO_WEBRTC_GRACE_S"
"""The environment variable that sets another grace time, in seconds."""

MAX_GRACE_S: Final = 60.0
"""The longest grace time, in seconds. By then a supervisor has killed the process long since:
Kubernetes waits 30 s by default."""

CLOSE_S: Final = 0.6
"""The time that ended sessions may take to be freed before the process ends without them: with
`GRACE_S` and the rounds of uvicorn's shutdown (0.1 s each) less than two seconds in all."""

BLOCKED_S: Final = 0.2
"""The further time after which an event loop that has not reported the end counts as blocked."""


class Drainable(Protocol):
    """An owner of sessions that are to end before the server does."""

    def loops(self) -> set[asyncio.AbstractEventLoop]:
        """Returns the event loops of the sessions under way; from any thread."""

    async def drain_here(self, grace_s: float) -> None:
        """Ends the sessions of the running event loop, and returns when they are over."""

    def hurry(self) -> None:
        """Ends the grace time of sessions that are ending; from any thread."""


class GradioApp(Protocol):
    """The part of Gradio's app that is used here.

    Attributes:
        stop_event: An `asyncio.Event` that ends the endless event streams to its browsers. A server
            that stops waits for those, for ever.
    """

    stop_event: asyncio.Event

    def get_blocks(self) -> Any:
        """Returns the Blocks, whose ``server`` is that of ``launch()``, in a thread of its own."""


_members: weakref.WeakKeyDictionary[Drainable, weakref.ref[GradioApp] | None] = (
    weakref.WeakKeyDictionary()
)
_launched: weakref.WeakSet[Any] = weakref.WeakSet()
_is_stopping = threading.Event()
_is_blocked = threading.Event()


def is_stopping() -> bool:
    """True if a signal asked this process to end."""
    return _is_stopping.is_set()


def grace_from_environment() -> float:
    """Returns the grace time in seconds, 0 to `MAX_GRACE_S`: `GRACE_VARIABLE`, or `GRACE_S`."""
    text = os.environ.get(GRACE_VARIABLE, "")
    if not text:
        return GRACE_S
    try:
        return check_grace(float(text))
    except ValueError:
        logger.warning(
            "expected seconds from 0 to %g in %s, got %r: %g is used",
            MAX_GRACE_S,
            GRACE_VARIABLE,
            text,
            GRACE_S,
        )
        return GRACE_S


def unblocked_limit_s() -> float:
    """Returns the time in seconds within which an event loop that is not blocked ends sessions."""
    return grace_from_environment() + CLOSE_S + BLOCKED_S


def check_grace(grace_s: float) -> float:
    """Returns the grace time if it is one.

    Raises:
        ValueError: It is not a number of seconds from 0 to `MAX_GRACE_S`.
    """
    if not (math.isfinite(grace_s) and 0 <= grace_s <= MAX_GRACE_S):
        raise ValueError(f"expected a grace time of 0 to {MAX_GRACE_S:g} seconds, got {grace_s!r}")
    return float(grace_s)


def note_stopping() -> None:
    """Refuses all new sessions of this process from now on."""
    _is_stopping.set()


def add_member(member: Drainable) -> None:
    """Ends the sessions of ``member`` with the process; holds it weakly."""
    _members.setdefault(member, None)


def has_sessions() -> bool:
    """True if any session is under way in this process."""
    return any(member.loops() for member in list(_members))


def has_apps() -> bool:
    """True if a server with a Gradio app runs whose app is known from an offer."""
    return any(_app_of(member) is not None for member in list(_members))


def end_event_streams() -> None:
    """Ends the endless event streams of all apps, for which a server that stops waits for ever."""
    for member in list(_members):
        _end_event_streams_of(member)


def hurry_all() -> None:
    """Ends the grace time of all sessions that are ending."""
    for member in list(_members):
        member.hurry()


def end_with_app(member: Drainable, app: Any) -> None:
    """Ends the sessions of ``member`` with the app that serves it, from its first offer on.

    Args:
        member: The owner of the sessions; held weakly.
        app: A `GradioApp`, held weakly; anything else is ignored.
    """
    if not (hasattr(app, "stop_event") and hasattr(app, "get_blocks")):
        return
    _members[member] = weakref.ref(app)
    server = getattr(app.get_blocks(), "server", None)
    if server is not None and server not in _launched:
        _drain_before_close(server, weakref.ref(app))


def drain_all(members: Iterable[Drainable] | None = None) -> bool:
    """Ends sessions and waits until they are over.

    In the thread of a running event loop it does not wait: the sessions need that loop to end.

    Args:
        members: The owners of the sessions; by default all.

    Returns:
        False if an event loop is blocked.
    """
    futures = begin_drain(members)
    if running_loop() is not None:
        return True
    if concurrent.futures.wait(futures, unblocked_limit_s()).not_done:
        logger.warning("user code blocks the event loop: its sessions cannot end in good order")
        _is_blocked.set()
        return False
    return True


def begin_drain(
    members: Iterable[Drainable] | None = None,
) -> list[concurrent.futures.Future[None]]:
    """Begins to end sessions, each on its own event loop, and does not wait.

    Args:
        members: The owners of the sessions; by default all.

    Returns:
        One future for each owner and event loop, done when its sessions are over.
    """
    grace_s = grace_from_environment()
    begun = [
        _submit(loop, _drain_one(member, grace_s))
        for member in list(_members if members is None else members)
        for loop in member.loops()
    ]
    return [future for future in begun if future is not None]


async def on_loop(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
    """Awaits ``work`` on ``loop``, from any other; does nothing where that is closed."""
    if loop is asyncio.get_running_loop():
        await work
    elif (future := _submit(loop, work)) is not None:
        await asyncio.wrap_future(future)


async def end_here(member: Drainable) -> None:
    """Ends the sessions of the running event loop, whose server stops; see `begin_drain`."""
    await _drain_one(member, grace_from_environment())


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Returns the event loop that runs in this thread, or ``None``."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _drain_before_close(server: Any, app: weakref.ref[GradioApp]) -> None:
    """Makes the server of ``launch()`` end its sessions before it closes.

    Gradio closes it for ``demo.close()`` and after Ctrl-C, and offers no hook for either.
    """
    close = server.close

    def close_after_sessions() -> None:
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
            # close() waits for the server's thread, which would never end.
            server.should_exit = True

    server.close = close_after_sessions
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
    """Ends sessions and servers of ``launch()`` with the process that they are in."""
    hasten_exit()
    if not _is_blocked.is_set():
        drain_all()
    for server in list(_launched):
        server.should_exit = True
    end_event_streams()
    if _is_blocked.is_set() and _is_kept_by_server():
        logger.warning("the process ends with 1, since the blocked event loop would never end")
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(1)


def _is_kept_by_server() -> bool:
    """True if no thread keeps the process but those that wait for a server's event loop."""
    workers = _anyio_worker_types()
    return all(
        thread.daemon or thread is threading.main_thread() or isinstance(thread, workers)
        for thread in threading.enumerate()
    )


def _anyio_worker_types() -> tuple[type[threading.Thread], ...]:
    """Returns the class of the threads in which a server runs blocking code; empty without AnyIO.

    They are no daemons, and end with the event loop that they work for. AnyIO gives them no public
    name: the class is private, and a test fails when it is no longer theirs.
    """
    try:
        # Needed by a process that ends with a blocked server, and by nobody before.
        from anyio._backends._asyncio import WorkerThread  # noqa: PLC0415
    except ImportError:
        return ()
    return (WorkerThread,)


def _app_of(member: Drainable) -> GradioApp | None:
    app = _members.get(member)
    return None if app is None else app()


def _end_event_streams_of(member: Drainable) -> None:
    if (app := _app_of(member)) is not None:
        app.stop_event.set()


async def _drain_one(member: Drainable, grace_s: float) -> None:
    try:
        async with asyncio.timeout(grace_s + CLOSE_S):
            await member.drain_here(grace_s)
    except TimeoutError:
        logger.warning(
            "sessions are still being freed %g s after the server was to stop; it stops without "
            "them",
            grace_s + CLOSE_S,
        )
    finally:
        _end_event_streams_of(member)


def _submit(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]
) -> concurrent.futures.Future[None] | None:
    try:
        return asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError:  # the event loop is closed, and its sessions with it
        work.close()
        return None


def _forget_parents() -> None:
    """Drops the sessions and servers of the parent, of which a forked process has copies only."""
    _members.clear()
    _launched.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)
