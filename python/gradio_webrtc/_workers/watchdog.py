"""Names user code that blocks the event loop, or that a session has been waiting for.

One thread of the process looks. It exists only while user code runs or is waited for, sleeps until
the next time limit could be passed, and never looks at code that returned in time. Imports nothing
of ours.
"""

from __future__ import annotations

import asyncio
import enum
import gc
import linecache
import logging
import math
import os
import sys
import sysconfig
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import CodeType, FrameType, FunctionType

F = TypeVar("F", bound="Callable[..., Any]")

_logger = logging.getLogger(__name__)

LOOP_LIMIT_S: Final = 1.0
"""Seconds after which code that holds the event loop is named: by then every session has lost a
second of audio."""

WAIT_LIMIT_S: Final = 5.0
"""Seconds after which code that a session waits for is named: longer than people wait for an answer
before they ask whether somebody is there."""

MAX_NAMED: Final = 1000
"""Places that are stored so as to name each of them once. A bound, since code may be generated
and its places be without number."""

# The whole package, and with the separator, so that no neighbour of a similar name is taken for it.
_OURS: Final = f"{Path(__file__).parents[1]}{os.sep}"
_LIBRARIES: Final = tuple(
    {sysconfig.get_paths()[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
)


class Expect(enum.Enum):
    """The behaviour that is expected of user code.

    Attributes:
        RETURN: It returns soon, for the session waits for it.
        IDLE: The same, but it may wait in a queue for something to emit.
        NOTHING: It may run as long as the session.
    """

    RETURN = enum.auto()
    IDLE = enum.auto()
    NOTHING = enum.auto()


class Place(NamedTuple):
    """A line of a program: its file, its number, and the function that it is in."""

    file: str
    line: int
    function: str


@dataclass(eq=False, slots=True)
class Wait:
    """One run of user code that a session waits for.

    Attributes:
        label: The code, as the log names it.
        expect: The behaviour that is expected of it.
        thread: The identifier of the thread that runs it, for code that blocks one.
        awaitable: The coroutine or async generator, for code on an event loop.
        loop: The event loop.
        began_s: Its beginning, in seconds of the monotonic clock.
        was_looked_at: True once its limit has passed.
    """

    label: str
    expect: Expect
    thread: int = 0
    awaitable: Any = None
    loop: asyncio.AbstractEventLoop | None = None
    began_s: float = field(default_factory=time.monotonic)
    was_looked_at: bool = False


@dataclass(eq=False, slots=True)
class LoopMarks:
    """One event loop, the code that is in the middle of a step on it, and the step's beginning.

    Attributes:
        thread: The identifier of the loop's thread.
        label: The code, as the log names it; empty between steps.
        began_s: The beginning of the latest step, in seconds of the monotonic clock.
        is_watched: True while the watchdog looks at these marks.
    """

    thread: int
    label: str = ""
    began_s: float = -math.inf
    is_watched: bool = False


class _OfThread(threading.local):
    """The marks of the event loop in this thread."""

    def __init__(self) -> None:
        self.marks = LoopMarks(threading.get_ident())


class Watchdog:
    """Watches user code of one process. Its methods cost about a microsecond; any thread.

    Code that is called for every packet writes its marks itself, as `enter` and `leave` do.

    Args:
        loop_limit_s: Seconds that code may hold an event loop.
        wait_limit_s: Seconds that a session may wait for code, not less than ``loop_limit_s``.

    Attributes:
        here: Has the marks of the event loop in this thread.
        waits: Under way. Waits that end may be discarded here without `end`.
    """

    def __init__(
        self, *, loop_limit_s: float = LOOP_LIMIT_S, wait_limit_s: float = WAIT_LIMIT_S
    ) -> None:
        self._loop_limit_s = loop_limit_s
        self._wait_limit_s = wait_limit_s
        self.here = _OfThread()
        self._loops: set[LoopMarks] = set()
        self.waits: set[Wait] = set()
        self._named: set[tuple[str, Place]] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._due_s = math.inf
        self._has_begun = False

    @property
    def is_awake(self) -> bool:
        """True while there is something to watch, and so a thread that does it."""
        return self._thread is not None

    def enter(self, label: str) -> tuple[LoopMarks, str]:
        """Notes that user code begins a step on the running event loop.

        Args:
            label: The code's name in the log.

        Returns:
            The argument of `leave`, which follows when the step is over.
        """
        marks = self.here.marks
        outer, marks.label = marks.label, label
        marks.began_s = time.monotonic()
        if not marks.is_watched:
            self.watch(marks)
        return marks, outer

    def leave(self, step: tuple[LoopMarks, str]) -> None:
        """Notes that the step is over, and the one around it goes on."""
        marks, outer = step
        marks.label = outer

    def watch(self, marks: LoopMarks) -> None:
        """Looks at marks from now on, until their loop has been idle for as long as the limit."""
        with self._changed:
            marks.is_watched = True
            self._loops.add(marks)
            self._wake()

    def begin(self, wait: Wait) -> Wait:
        """Notes that a session begins to wait; `end` follows."""
        if wait.expect is not Expect.NOTHING:
            self._has_begun = True
            self.waits.add(wait)
            if wait.began_s + self._wait_limit_s < self._due_s:
                self._wake()
        return wait

    def end(self, wait: Wait) -> None:
        """Notes that the code has returned."""
        self.waits.discard(wait)

    def _wake(self) -> None:
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            self._changed.notify()

    # In the thread

    def _run(self) -> None:
        while True:
            self._look()
            with self._changed:
                # Code that begins meanwhile finds this, and wakes the thread.
                self._due_s = math.inf
                due_s = self._next_due_s()
                if due_s is None and self._has_begun:
                    # Short jobs leave nothing to look at. A thread that ended after each of them
                    # would be started again for the next: 100 times a second in a sync echo.
                    due_s = time.monotonic() + self._loop_limit_s
                self._has_begun = False
                if due_s is None:
                    self._thread = None
                    return
                self._due_s = due_s
                worked_s = time.process_time()
                self._changed.wait(max(0.0, due_s - time.monotonic()))
                worked_s = time.process_time() - worked_s
                late_s = time.monotonic() - due_s
                if late_s > self._loop_limit_s and worked_s < late_s / 2:
                    self._restart_all()

    def _restart_all(self) -> None:
        """Lets every limit begin now: the process stood still, as a laptop does that sleeps.

        Code that holds the interpreter, and so this thread, works meanwhile, and is named.
        """
        now_s = time.monotonic()
        for marks in list(self._loops):
            marks.began_s = now_s
        for wait in list(self.waits):
            wait.began_s = now_s

    def _next_due_s(self) -> float | None:
        dues_s = [marks.began_s + self._loop_limit_s for marks in self._loops]
        dues_s += [
            wait.began_s + self._wait_limit_s for wait in list(self.waits) if not wait.was_looked_at
        ]
        return min(dues_s, default=None)

    def _look(self) -> None:
        now_s = time.monotonic()
        # Lists, since other threads add and remove meanwhile.
        for marks in list(self._loops):
            began_s = marks.began_s
            if began_s + self._loop_limit_s <= now_s:
                if marks.label:
                    self._name_blocking(marks, began_s)
                self._remove_idle(marks, began_s)
        for wait in list(self.waits):
            if not wait.was_looked_at and wait.began_s + self._wait_limit_s <= now_s:
                wait.was_looked_at = True
                self._look_at(wait)

    def _remove_idle(self, marks: LoopMarks, began_s: float) -> None:
        """Removes a loop that has begun no step since ``began_s``."""
        with self._changed:
            # In this order: a step that begins meanwhile sees this, or is seen below.
            marks.is_watched = False
            if marks.began_s == began_s:
                self._loops.discard(marks)
            else:
                marks.is_watched = True

    def _look_at(self, wait: Wait) -> None:
        if wait.loop is None:
            self._name_waited(wait, _frames_of_thread(wait.thread))
            return
        try:
            # On the loop, since nothing of it moves there while it is looked at.
            wait.loop.call_soon_threadsafe(self._name_awaited, wait)
        except RuntimeError:
            _logger.debug("the event loop of %s is closed", wait.label)

    def _name_awaited(self, wait: Wait) -> None:
        if wait in self.waits:
            self._name_waited(wait, list(_frames_awaited(wait.awaitable)))

    def _name_waited(self, wait: Wait, frames: list[Place]) -> None:
        place = _innermost_of_user(frames)
        if place is None or _waits_rightly(wait, frames):
            return
        may_idle = wait.expect is Expect.IDLE
        advice = " (with nothing to emit, return None or wait in a queue)" if may_idle else ""
        self._name(
            wait.label,
            place,
            f"has not returned for {self._wait_limit_s:g} s, and its session waits for it{advice}",
        )

    def _name_blocking(self, marks: LoopMarks, began_s: float) -> None:
        label, frames = marks.label, _frames_of_thread(marks.thread)
        place = _innermost_of_user(frames)
        # It may have returned meanwhile.
        if place is not None and label == marks.label and began_s == marks.began_s:
            self._name(
                label,
                place,
                f"blocks the event loop: for {self._loop_limit_s:g} s no session of this process "
                "was served (await an async client, or pass the work to asyncio.to_thread)",
            )

    def _name(self, label: str, place: Place, fault: str) -> None:
        if (label, place) in self._named:
            return
        if len(self._named) >= MAX_NAMED:
            self._named.clear()
        self._named.add((label, place))
        _logger.warning(
            "%s %s; it is at %s:%d in %s", label, fault, place.file, place.line, place.function
        )


WATCHDOG: Final = Watchdog()
"""The watchdog of this process."""

_entries: Final[set[CodeType]] = {asyncio.Handle._run.__code__}  # noqa: SLF001 - the loop's every step
"""The functions below which, on a thread's stack, user code begins. They are recognised by their
code: a name may be the user's, too."""


def enters_user_code(fn: F) -> F:
    """Marks a function of ours as one that passes from our frames to the user's."""
    _entries.add(cast("FunctionType", fn).__code__)
    return fn


def _place_of(frame: FrameType) -> Place:
    code = frame.f_code
    return Place(code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_qualname)


def _frames_of_thread(thread: int) -> list[Place]:
    """Returns the frames of a thread from the user's entry on, the innermost last."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - documented, for debuggers such as this
    frames: list[Place] = []
    while frame is not None and frame.f_code not in _entries:
        frames.append(_place_of(frame))
        frame = frame.f_back
    frames.reverse()
    begin = next((n for n, place in enumerate(frames) if not is_own_file(place.file)), len(frames))
    # Without user code among them, it is ours that blocks.
    return frames[begin:] or frames[-1:]


def place_of_thread(thread: int) -> str:
    """Returns the line of the user's code that a thread is at, for the end of a log line.

    Empty if the thread has ended.
    """
    place = _innermost_of_user(_frames_of_thread(thread))
    return "" if place is None else f"; it is at {place.file}:{place.line} in {place.function}"


def _frames_awaited(awaitable: Awaitable[Any]) -> Iterator[Place]:
    """Yields the frames of what a coroutine or an async generator awaits, the innermost last."""
    current: Any = awaitable
    while current is not None:
        for frame, then in (("cr_frame", "cr_await"), ("ag_frame", "ag_await")):
            if getattr(current, frame, None) is not None:
                yield _place_of(getattr(current, frame))
                current = getattr(current, then)
                break
        else:
            current = _awaited_by(current)


def _awaited_by(opaque: object) -> Any:
    """Returns the coroutine or the async generator inside ``anext(...)`` or a task, if any."""
    if isinstance(opaque, asyncio.Task):
        return opaque.get_coro()
    for inside in gc.get_referents(opaque):
        if hasattr(inside, "cr_frame") or hasattr(inside, "ag_frame"):
            return inside
        if isinstance(inside, asyncio.Task):
            return inside.get_coro()
    return None


def is_user_file(file: str) -> bool:
    """True for source that is neither ours nor of a library."""
    return not file.startswith((*_LIBRARIES, _OURS, "<frozen"))


def is_own_file(file: str) -> bool:
    """True for source of this package."""
    return file.startswith(_OURS)


def _innermost_of_user(frames: list[Place]) -> Place | None:
    """Returns the user's own line, which explains more than a library's that it has called."""
    for place in reversed(frames):
        if is_user_file(place.file):
            return place
    return frames[0] if frames else None


def _waits_rightly(wait: Wait, frames: list[Place]) -> bool:
    """True if it waits for us, or is an ``emit`` that has nothing to emit."""
    if any(is_own_file(place.file) for place in frames):
        return True
    if wait.expect is not Expect.IDLE:
        return False
    # A queue that is written in C has no frame of its own, so nothing is left but the text of the
    # line. A mistake costs no more than a warning that does not come.
    is_in_c = ".get(" in linecache.getline(frames[-1].file, frames[-1].line)
    return is_in_c or any(_is_queue_get(place) for place in frames)


def _is_queue_get(place: Place) -> bool:
    # By name, since there are several: of queue, asyncio.queues and multiprocessing.queues.
    return place.function.endswith("Queue.get") and place.file.endswith(("queue.py", "queues.py"))
