"""Announcements: audio that a program plays to the user and that answers nothing.

Runs on the event loop, but for `Announcer.prepare`. Imports no transport.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from gradio_webrtc._audio import OutboundAudio
from gradio_webrtc._turns.current_turn import CurrentTurn, current_turn
from gradio_webrtc._turns.runner import FINISHED, GeneratorRun, as_playable, close_sync
from gradio_webrtc._turns.speculation import kept
from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc._workers.user_code import guard
from gradio_webrtc._workers.waiting import note_wait
from gradio_webrtc.errors import HandlerError

from .emissions import NOTHING, read_audio
from .hearing import Utterance

if TYPE_CHECKING:
    import contextvars

    from gradio_webrtc._turns.runner import Playable

    from .buffers import OutboundAudioBuffer
    from .context import SessionContext
    from .emissions import Emission
    from .sinks import EmitSinks

When: TypeAlias = Literal["now", "silence"]
"""The moment of an announcement: at once, or once nobody speaks."""

MAX_ANNOUNCEMENTS: Final = 16
"""Announcements that wait at most; a further one is refused. People would not stay for more."""

RELEASE_S: Final = 1.0
"""Seconds that the end of a session waits for the code of an announcement."""


class Announced:
    """The audio of announcements, as a `Timeline`."""

    def __init__(self, buffer: OutboundAudioBuffer) -> None:
        self._buffer = buffer

    @property
    def accepted_s(self) -> float:
        """See `Timeline`."""
        return self._buffer.announced_s

    @property
    def played_s(self) -> float:
        """See `Timeline`."""
        return self._buffer.said_s

    async def until_moving(self) -> bool:
        """See `Timeline`."""
        return await self._buffer.until_released()

    async def drain(self) -> None:
        """See `Timeline`."""
        await self._buffer.drain_announcement()


class Outcome(concurrent.futures.Future[float]):
    """The seconds of an announcement that were heard, once it is over.

    Args:
        loop: The event loop of the session.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        # Nobody cancels what may be under way: `SessionControl.interrupt` ends it.
        self.set_running_or_notify_cancel()

    def result(self, timeout: float | None = None) -> float:
        """Returns the seconds, and waits for them as ``timeout`` has it.

        Raises:
            RuntimeError: Called without a time-out on an event loop, which it would block.
            TimeoutError: It is not over yet.
        """
        if not self.done() and timeout is None:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                note_wait(self._loop, self)
            else:
                raise RuntimeError("write await asyncio.wrap_future(...) in async code")
        return super().result(timeout)


class Announcement:
    """One announcement on its way.

    Args:
        playable: Its items; ``None`` for one alone.
        item: That one.
        when: Its moment.
        loop: The event loop of the session.

    Attributes:
        playable: As passed.
        item: The next item, once it is there.
        when: As passed.
        outcome: Gets the seconds of it that were heard, at its end.
        utterance: Its place, once it has begun.
        run: Its code, once that was called.
        is_cut: True once it was ended before its time.
    """

    def __init__(
        self,
        playable: Playable | None,
        item: object,
        when: When,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.playable = playable
        self.item = item
        self.when = when
        self.outcome = Outcome(loop)
        self.utterance: Utterance | None = None
        self.run: GeneratorRun | None = None
        self.is_cut = False

    def cut(self) -> None:
        """Ends it: nothing more of it is played."""
        self.is_cut = True
        if self.run is not None:
            self.run.interrupt()

    def settle(self) -> None:
        """Notifies whoever waits for it: it is over."""
        heard_s = 0.0 if self.utterance is None else self.utterance.finish()
        if not self.outcome.done():
            self.outcome.set_result(heard_s)


class Announcer:
    """Plays announcements one after the other, between the parts of what the handler plays.

    Args:
        context: Records events, and reports errors of generators.
        sinks: Gets the audio, and what a generator yields beside it.
        variables: The context variables of the session's code.
    """

    def __init__(
        self, context: SessionContext, sinks: EmitSinks, variables: contextvars.Context
    ) -> None:
        self._context = context
        self._sinks = sinks
        self._buffer = sinks.audio
        self._variables = variables
        self._timeline = Announced(sinks.audio)
        self._waiting: dict[When, deque[Announcement]] = {"now": deque(), "silence": deque()}
        self._current: Announcement | None = None
        self._unheard: deque[Announcement] = deque()
        self._tasks = TaskScope()
        self._running: asyncio.Task[None] | None = None
        self._is_closed = False

    def prepare(self, audio: object, when: When) -> Announcement:
        """Returns an announcement that may be `put`; any thread. See `SessionControl.say`."""
        if when not in get_args(When):
            raise ValueError(f'when is "now" or "silence", got {when!r}')
        playable, item = (None, _checked(audio)) if is_item(audio) else (_playable(audio), None)
        if self._count() >= MAX_ANNOUNCEMENTS:
            raise _too_many()
        return Announcement(playable, item, when, self._context.loop)

    def put(self, announcement: Announcement) -> None:
        """Plays an announcement when its moment has come."""
        if self._is_closed:
            self.drop(announcement)
            return
        if self._count() >= MAX_ANNOUNCEMENTS:
            self.drop(announcement)
            self._context.report(_too_many())
            return
        self._waiting[announcement.when].append(announcement)
        if announcement.when == "now" and announcement.item is not None:
            # Nothing that the handler gives right behind it comes before it.
            self._buffer.open_interlude()
        self._context.turn_taking.changed.set()
        if self._running is None or self._running.done():
            self._running = self._tasks.start(self._run(), context=self._variables.copy())

    @property
    def is_idle(self) -> bool:
        """True if nothing waits, and nothing is under way."""
        return not (self._current or self._unheard or any(self._waiting.values()))

    def interrupt(self) -> None:
        """Ends what is said, and what waits; the audio of it is dropped by whoever calls this."""
        self._drop_waiting()
        if self._current is not None:
            self._current.cut()

    def note_cleared(self, unplayed_s: float) -> None:
        """What is queued was dropped, announcements included.

        Args:
            unplayed_s: The part of them that the client had and drops, in seconds.
        """
        for announcement in (*self._unheard, self._current):
            if announcement is None or announcement.utterance is None:
                continue
            if announcement.outcome.done():
                # Its code is still cleaning up.
                continue
            announcement.utterance.note_dropped(unplayed_s)
            announcement.cut()
            heard_s = announcement.utterance.finish()
            self._context.record(
                "interrupted", {"turn": 0, "heard_s": heard_s, "announcement": True}
            )
            announcement.settle()
        self._unheard.clear()

    async def close(self) -> None:
        """Ends all of it for good."""
        self._is_closed = True
        self.interrupt()
        for announcement in (*self._unheard, self._current):
            if announcement is not None:
                announcement.settle()
        self._unheard.clear()
        await self._tasks.close(RELEASE_S)

    def _count(self) -> int:
        return sum(map(len, self._waiting.values()))

    def _drop_waiting(self) -> None:
        for waiting in self._waiting.values():
            while waiting:
                self.drop(waiting.popleft())

    def drop(self, announcement: Announcement) -> None:
        """Ends an announcement that is not played."""
        announcement.settle()
        if announcement.run is not None:
            announcement.cut()
            self._tasks.start(announcement.run.close(RELEASE_S))
            return
        # An async generator that was never begun has nothing to clean up.
        with guard(self._context.report):
            close_sync(announcement.playable)

    async def _run(self) -> None:
        """Plays announcements until none waits."""
        while (announcement := await self._next()) is not None:
            self._current = announcement
            try:
                await self._play(announcement)
            finally:
                self._current = None
        await self._end_interlude()

    async def _next(self) -> Announcement | None:
        """Returns the next announcement when its moment has come; ``None`` if none waits."""
        while not self._waiting["now"]:
            await self._end_interlude()
            if not self._waiting["silence"]:
                return None
            if await self._is_silent():
                break
        waiting = self._waiting["now"] or self._waiting["silence"]
        return waiting.popleft() if waiting else await self._next()

    def _is_silent_now(self) -> bool:
        in_s = self._context.turn_taking.silent_in_s(self._context.loop.time())
        return in_s <= 0 and self._buffer.buffered_s <= 0

    async def _is_silent(self) -> bool:
        """Returns True while nobody speaks; else waits for a change, and returns False."""
        if self._is_silent_now():
            return True
        taking = self._context.turn_taking
        taking.changed.clear()
        waits = [self._tasks.start(taking.changed.wait())]
        in_s = taking.silent_in_s(self._context.loop.time())
        if in_s <= 0:
            # A handler without turns plays.
            waits.append(self._tasks.start(self._until_drained()))
        try:
            await asyncio.wait(
                waits,
                timeout=in_s if 0 < in_s < math.inf else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for wait in waits:
                wait.cancel()
        return False

    async def _until_drained(self) -> Literal[True]:
        await self._buffer.drain()
        return True

    async def _play(self, announcement: Announcement) -> None:
        if announcement.item is None and announcement.run is None:
            # The first item before anything is silenced for it: it may take its time.
            announcement.run = self._begin(announcement)
            announcement.item = await announcement.run.step()
        if announcement.when == "silence" and not (
            announcement.is_cut or announcement.item is FINISHED or self._is_silent_now()
        ):
            # It waits again.
            self._waiting["silence"].appendleft(announcement)
            return
        await self._play_items(announcement)
        if announcement.utterance is None or announcement.is_cut:
            announcement.settle()
            return
        announcement.utterance.end_s = self._timeline.accepted_s
        self._buffer.end_announcement()
        await announcement.utterance.until_passed_on()
        if not announcement.is_cut:
            self._unheard.append(announcement)
            self._tasks.start(self._until_heard(announcement))

    async def _play_items(self, announcement: Announcement) -> None:
        run, item = announcement.run, announcement.item
        if run is None:
            await self._pass_on(announcement, item)
            return
        try:
            while item is not FINISHED and not announcement.is_cut:
                await self._pass_on(announcement, item)
                item = await run.step()
        finally:
            await run.close(RELEASE_S)

    def _begin(self, announcement: Announcement) -> GeneratorRun:
        def heard_s(_turn: int) -> float:
            utterance = announcement.utterance
            return 0.0 if utterance is None else utterance.heard_s(self._context.playout_delay_s)

        token = current_turn.set(CurrentTurn(0, heard_s=heard_s))
        try:
            run = GeneratorRun(_nothing, (), self._context, generator=announcement.playable)
        finally:
            current_turn.reset(token)
        if announcement.is_cut:
            run.interrupt()
        return run

    async def _pass_on(self, announcement: Announcement, item: object) -> None:
        emission: Emission = NOTHING
        with guard(self._context.report):
            emission = read_audio(item)
        if emission.media is not None:
            if announcement.utterance is None:
                await self._buffer.begin_interlude()
                # It may have waited for the end of a hold.
                if announcement.is_cut:
                    return
                announcement.utterance = Utterance(self._timeline)
                self._context.record("response_starting", {"turn": 0, "announcement": True})
            with guard(self._context.report):
                await self._buffer.announce(*emission.media)
        if emission.outputs is not None and not announcement.is_cut:
            self._sinks.outputs.put(emission.outputs)
        if emission.close is not None and not announcement.is_cut:
            await self._end_interlude()
            await self._sinks.close(emission.close.msg)

    async def _end_interlude(self) -> None:
        if self._buffer.is_interlude:
            await self._buffer.end_interlude()

    async def _until_heard(self, announcement: Announcement) -> None:
        await asyncio.sleep(self._context.playout_delay_s)
        if announcement in self._unheard:
            self._unheard.remove(announcement)
            self._context.record("response_finished", {"turn": 0, "announcement": True})
            announcement.settle()


def is_item(audio: object) -> bool:
    """True for an item alone, and False for what yields items."""
    return isinstance(audio, tuple)


def _checked(audio: object) -> object:
    """Returns an item that stays as it is.

    Raises:
        HandlerError: It is no item of audio.
        AudioError: Its samples are of no shape or type that can be played.
    """
    emission = read_audio(audio)
    if emission.media is not None:
        OutboundAudio.samples_per_channel(emission.media.samples, emission.media.layout)
    return kept(audio)


def _playable(audio: object) -> Playable:
    """Returns an iterator.

    Raises:
        HandlerError: It is nothing that yields audio.
    """
    if isinstance(audio, str):
        raise HandlerError(
            "say() takes audio, got text: write say(get_tts_model().stream_tts_sync(text))"
        )
    try:
        return as_playable(audio)
    except TypeError:
        got = advise_on_said(audio)
        raise HandlerError(
            f"say() takes (rate, array), or a generator of such items, got {got}"
        ) from None


def advise_on_said(audio: Any) -> str:
    """Returns what was passed in place of audio, and what to write."""
    if callable(audio):
        name = getattr(audio, "__name__", "fn")
        return f"a function: write say({name}())"
    if hasattr(audio, "dtype"):
        return "an array alone: write say((sample_rate, array))"
    return f"{type(audio).__name__}"


def _too_many() -> HandlerError:
    return HandlerError(
        f"{MAX_ANNOUNCEMENTS} announcements wait already: wait for the result of one before more"
    )


def _nothing() -> None:
    """Stands for the function whose generator is there already."""
