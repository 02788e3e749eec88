"""The session as its handler uses it, from whatever thread the handler's code runs in.

Messages and buffers are shared with the event loop; a method that must run there has it in its
docstring. Imports neither handlers nor transports.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import traceback
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Literal

from gradio_webrtc._messages import SHOWN_S, create_message, create_words, encode_message
from gradio_webrtc._turns.current_turn import deferred
from gradio_webrtc.errors import HandlerError

from .buffers import ignore_time
from .hearing import Hearing
from .reporting import message_of, report_error
from .turn_taking import REPLY_ENDS, REPLY_STARTS, REPLY_STOPS, TurnTaking
from .turn_times import TurnTimes

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from gradio_webrtc._turn_timings import TurnTimings

    from .announcer import Announcer, When
    from .buffers import OutboundAudioBuffer
    from .messages import MessageSender

logger = logging.getLogger(__name__)

LOG_EVENTS: Final = frozenset({"started_talking", "pause_detected", "response_starting"})
"""Events that clients of gradio_webrtc 0.0.31 and fastrtc expect as ``log`` messages. Our
front end shows them as texts."""

MORE_LOG_EVENTS: Final = frozenset({"response_finished", "interrupted", "reply_resumed"})
"""Events that only our front end shows."""

ECHO_S: Final = 1.1
"""Seconds after the end of a reply in which its echo may still come: the longest delay at which the
core looks for one."""

MAX_REPORTED_PLACES: Final = 100
"""The latest places of failure that one session stores, so that each is reported once."""


class SessionContext:
    """Implements `gradio_webrtc.types.SessionHandle` for one session.

    Everything happens on the event loop and in order: at once if called there, and by way of
    ``call_soon_threadsafe`` from any other thread.

    Args:
        webrtc_id: The id of the session.
        buffer: The audio that `clear` and `end_reply` act on.
        sender: Sends messages to the client.
        on_event: Called on the loop with each event: the loop's time, the name and the data.
        owner: The name of the handler's class, for the log.

    Attributes:
        interruptions: The number of replies that barge-in ended. What a step that began before the
            last of them returns is not played.
        events: The number of events by name.
        acts_waiting: The number of uses of this by threads that the event loop has not come to yet;
            may be read in any thread.
        turn_times: The moments of the user's turns.
    """

    def __init__(
        self,
        webrtc_id: str,
        buffer: OutboundAudioBuffer,
        sender: MessageSender,
        on_event: Callable[[float, str, dict[str, Any]], None],
        owner: str = "code",
    ) -> None:
        self.webrtc_id = webrtc_id
        self.interruptions = 0
        self.events: Counter[str] = Counter()
        self.acts_waiting = 0
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self.turn_times = TurnTimes(self._loop.time())
        self._playout_delay_s: Callable[[], float] = no_delay
        self._hearing = Hearing(buffer, lambda: self.playout_delay_s)
        self._buffer = buffer
        self._sender = sender
        self._on_event = on_event
        self._lock = threading.Lock()
        self.turn_taking = TurnTaking()
        self._echo_until_s = -math.inf
        self._reported: dict[tuple[str, str, int, str], float] = {}
        self._answer_request: Callable[[], object] | None = None
        self._announcer: Announcer | None = None
        self._stop_reply: Callable[[], object] = no_delay

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the session."""
        return self._loop

    @property
    def played_s(self) -> float:
        """The length of the emitted audio that was passed on to be played, in seconds."""
        return self._buffer.played_s

    @property
    def buffered_s(self) -> float:
        """The length of the emitted audio that waits for that, in seconds."""
        return self._buffer.waiting_s

    @property
    def is_playing(self) -> bool:
        """True while emitted audio, or an announcement, waits to be passed on."""
        return self._buffer.buffered_s > 0

    @property
    def playout_delay_s(self) -> float:
        """The time from a packet to the moment at which the client has played it, in seconds."""
        return self._playout_delay_s()

    def begin_turns(
        self,
        on_complete: Callable[[TurnTimings, float], object],
        playout_delay_s: Callable[[], float],
    ) -> None:
        """Measures the user's turns from now on, until `end_turns`: the session is connected.

        Args:
            on_complete: Called with each turn, and the time of the event loop from which its
                moments are counted.
            playout_delay_s: That of the transport.
        """
        origin_s = self._loop.time()
        self._playout_delay_s = playout_delay_s
        self.turn_times.begin(origin_s, lambda: self.playout_delay_s)
        self.turn_times.on_complete = lambda turn: on_complete(turn, origin_s)
        self.turn_times.on_behind = self._await_place
        self._buffer.on_reply = self._note_packet

    def end_turns(self) -> None:
        """Completes the turn that is open, and drops what refers back to this."""
        self.turn_times.end()
        self._buffer.on_reply = ignore_time
        self._playout_delay_s = no_delay
        self._hearing.close()

    def note_moment(self, turn: int, moment: Literal["function_start_s", "first_item_s"]) -> None:
        """Notes a moment in the answer to a turn; call on the event loop."""
        if self.turn_times.note_moment(moment, turn, self._loop.time(), self._queued_s):
            self._buffer.expect_reply(counts=False)

    @property
    def _queued_s(self) -> float:
        """The audio before an answer that comes now, in seconds; infinite in an announcement."""
        return math.inf if self._buffer.is_interlude else self._buffer.buffered_s

    def _note_packet(self, time_s: float) -> None:
        self.turn_times.note_packet(time_s, is_announced=self._buffer.is_interlude)

    def _await_place(self, is_queued: bool) -> None:  # noqa: FBT001 - the form of a callback
        self._hearing.when_next(self._note_next, is_queued=is_queued)

    def _note_next(self) -> None:
        if self.turn_times.note_next():
            self._buffer.expect_reply(counts=False)

    def allow_announcements(self, announcer: Announcer, stop_reply: Callable[[], object]) -> None:
        """Lets `say` and `interrupt` act from now on, until `end_announcements`.

        Args:
            announcer: Plays what is said.
            stop_reply: Has the handler end the reply under way.
        """
        self._announcer, self._stop_reply = announcer, stop_reply

    async def end_announcements(self) -> None:
        """Ends all that is said, and drops what refers back to this."""
        announcer, self._announcer = self._announcer, None
        self._stop_reply = no_delay
        if announcer is not None:
            await announcer.close()

    @property
    def is_announcing(self) -> bool:
        """True while something is said, or waits to be."""
        return self._announcer is not None and not self._announcer.is_idle

    def say(self, audio: object, when: When = "now") -> concurrent.futures.Future[float]:
        """Has audio played to the user; see `SessionControl.say`."""
        announcer = self._announcer
        if announcer is None:
            raise HandlerError("say() has nobody to play to: the session has no audio, or is over")
        announcement = announcer.prepare(audio, when)
        if not deferred(
            lambda: self._on_loop(announcer.put, announcement),
            lambda: self._on_loop(announcer.drop, announcement),
        ):
            self._on_loop(announcer.put, announcement)
        return announcement.outcome

    def interrupt(self) -> None:
        """Ends what is played to the user; see `SessionControl.interrupt`."""
        self._in_order(lambda: self._on_loop(self._interrupt))

    def echo_score(self, rate_hz: int, received: NDArray[np.int16]) -> float:
        """Returns how much received audio resembles the reply; call on the event loop."""
        if not self.turn_taking.is_replying and self._loop.time() > self._echo_until_s:
            return 0.0
        return self._buffer.echo_score(rate_hz, received)

    def send(self, message: object) -> None:
        """Sends a JSON message to the client, as it is now.

        Raises:
            TypeError: A value in it is nothing that JSON can carry.
            ValueError: It contains itself, or a number that JSON does not have.
        """
        # In the thread of the code that sends it, which gets the error of a value that cannot be.
        encoded = encode_message(message)
        self._in_order(lambda: self._on_loop(self._sender.send_encoded, encoded))

    def answer_requests(self, answer: Callable[[], object]) -> None:
        """Lets ``answer`` pass on input values from now on, soon after each request for them.

        For a client that has no inputs of its own, and is not asked.
        """
        self._answer_request = answer

    def request_inputs(self) -> None:
        """Asks the client for its latest input values."""
        if self._answer_request is None:
            # Also for code whose messages are held back: it waits for the answer.
            request = encode_message(create_message("send_input"))
            self._on_loop(self._sender.send_encoded, request)
        else:
            # Soon: the code that requests them is about to wait for what comes next.
            self._on_loop(self._loop.call_soon, self._answer_request)

    def clear(self) -> None:
        """Drops queued audio, and nothing else."""
        self._in_order(lambda: self._on_loop(self._end_hold, self._clear))

    def drop_reply(self) -> None:
        """Drops queued audio, and what a running ``emit`` still returns."""
        self._on_loop(self._drop_reply)

    def heard_s(self, turn: int) -> float:
        """Returns what the user has heard of the reply to a turn, in seconds."""
        return self._hearing.heard_s(turn)

    @property
    def unheard(self) -> int | None:
        """The turn whose reply is complete, and was not heard to its end."""
        return self._hearing.unheard

    def allow_holds(self) -> None:
        """Keeps what `hold_reply` needs, from now on."""
        self._on_loop(self._buffer.allow_holds)

    def hold_reply(self) -> None:
        """Silences the reply at once, and keeps all of it."""
        self._on_loop(self._hold)

    def resume_reply(self) -> None:
        """Plays a reply on that is held."""
        self._on_loop(self._end_hold, self._buffer.release)

    def end_reply(self) -> None:
        """Pads and sends the last partial frame of a reply."""
        self._on_loop(self._buffer.end_reply)

    def event(self, name: str, **data: object) -> None:
        """Records an event of the conversation, the end of a reply once it was heard."""
        self._on_loop(self._note_event, name, data)

    def listen(self, on_event: Callable[[float, str, dict[str, Any]], None]) -> None:
        """Has ``on_event`` called with each event from now on, in place of another."""
        self._on_event = on_event

    async def until_replied(self) -> bool:
        """Returns once no reply is under way; call on the event loop.

        Returns:
            True if one was under way at the call.
        """
        is_replying = self.turn_taking.is_replying
        await self.turn_taking.until_replied()
        return is_replying

    def report(self, error: BaseException) -> None:
        """Logs an error of user code once, and shows it to the user without internals.

        The same error from the same place is logged again only in another session. Only the text of
        a `WebRTCError` and of Gradio's ``gr.Error`` is sent to the client, again once it is no
        longer shown; of any other error a short id that is also in the log.
        """
        if not self._is_first(error):
            return
        shown = report_error(
            error, f"the handler of {self.webrtc_id} ({self._owner})", "the session goes on"
        )
        if shown is not None:
            self.send(create_words("error", *shown))
        self.event("error", error=error)

    def _is_first(self, error: BaseException) -> bool:
        shown = message_of(error)
        place = (*_place_of(error), "" if shown is None else shown.text)
        now_s = self._loop.time()
        if now_s < self._reported.get(place, -math.inf):
            return False
        if len(self._reported) >= MAX_REPORTED_PLACES:
            del self._reported[next(iter(self._reported))]
        self._reported[place] = math.inf if shown is None else now_s + (shown.duration_s or SHOWN_S)
        return True

    def _note_event(self, name: str, data: dict[str, Any]) -> None:
        """Takes an event of the handler's; that a reply is over is recorded once it was heard."""
        turn = data.get("turn", 0)
        if name == REPLY_ENDS:
            self._hearing.end(turn, lambda: self.record(name, data))
            return
        if name == REPLY_STARTS:
            # What is left of the one before is played first, and is no concern of anybody's.
            self._hearing.begin(turn)
        elif name == REPLY_STOPS:
            heard_s = self._hearing.interrupt(turn)
            data.setdefault("heard_s", heard_s)
        self.record(name, data)

    def record(self, name: str, data: dict[str, Any]) -> None:
        """Records an event as it is; call on the event loop."""
        self.events[name] += 1
        now_s = self._loop.time()
        self._on_event(now_s, name, data)
        if not data.get("announcement"):
            self._note_turn_time(name, data, now_s)
        self.turn_taking.note_event(name, data, now_s)
        is_end = name in {REPLY_ENDS, REPLY_STOPS}
        if is_end:
            self._echo_until_s = now_s + ECHO_S
        if is_end and self.turn_taking.is_replying:
            # For the client the reply goes on: this came between.
            return
        if name in LOG_EVENTS or name in MORE_LOG_EVENTS:
            self._sender.send_soon(create_message("log", name))

    def _note_turn_time(self, name: str, data: dict[str, Any], now_s: float) -> None:
        is_first = self.turn_times.note_event(name, data, now_s, self._queued_s)
        if is_first or name == "pause_detected":
            self._buffer.expect_reply(counts=name == "pause_detected")

    def _interrupt(self) -> None:
        if self._announcer is not None:
            self._announcer.interrupt()
        self._stop_reply()
        if self._buffer.is_interlude:
            self._drop_reply()

    def _clear(self) -> None:
        is_interlude = self._buffer.is_interlude
        unplayed_s = self._buffer.clear()
        self._hearing.note_cleared(0.0 if is_interlude else unplayed_s)
        if self._announcer is not None:
            self._announcer.note_cleared(unplayed_s if is_interlude else 0.0)

    def _drop_reply(self) -> None:
        self.interruptions += 1
        self._end_hold(self._clear)

    def _hold(self) -> None:
        if not self._buffer.is_held:
            self._buffer.hold()
            self._sender.send(create_message("hold"))

    def _end_hold(self, act: Callable[[], None]) -> None:
        if self._buffer.is_held:
            # First: what comes is played.
            self._sender.send(create_message("resume"))
        act()

    @staticmethod
    def _in_order(act: Callable[[], None]) -> None:
        """Does it; for an answer that is held back, in its order, once that is certain."""
        if not deferred(act):
            act()

    def _on_loop(self, act: Callable[..., object], *args: object) -> None:
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self._loop:
            act(*args)
            return
        with self._lock:
            self.acts_waiting += 1
        try:
            self._loop.call_soon_threadsafe(self._act, act, args)
        except RuntimeError:
            logger.debug("a handler used a session whose event loop is closed")

    def _act(self, act: Callable[..., object], args: tuple[object, ...]) -> None:
        try:
            act(*args)
        finally:
            with self._lock:
                self.acts_waiting -= 1


def no_delay() -> float:
    """Stands for what a session has that is not connected."""
    return 0.0


def _place_of(error: BaseException) -> tuple[str, str, int]:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return (type(error).__qualname__, str(error), 0)
    return (type(error).__qualname__, frames[-1].filename, frames[-1].lineno or 0)
