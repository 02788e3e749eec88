"""One user's dialogue with a service: turns, replies, barge-in, tools and what was spoken.

It stands between a `Link`, whose events it acts on, and a handler, which plays what it has. Runs on
the event loop.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from gradio_webrtc._messages import create_words, printable
from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc._workers.user_code import guard
from gradio_webrtc._workers.workers import UserFunction, Worker
from gradio_webrtc.errors import WebRTCError
from gradio_webrtc.types import CloseStream

from .keys import read_key
from .link import Address, Link, ServiceGone
from .playback import Audio, Cut, Mark, Playback, Text
from .protocol import (
    create_item,
    decode_audio,
    default_terms,
    format_of,
    is_beta,
    merged,
    message_item,
    name_of,
    number_of,
    object_of,
    text_of,
    turn_detection_of,
)
from .tool_calls import ToolCalls, ToolRequest
from .transcript import Transcript, WordOutputs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from gradio_webrtc.types import EmitType, SessionHandle

    from .line import OpenLine
    from .protocol import AudioFormat, Event
    from .tools import Tool

logger = logging.getLogger(__name__)

RELEASE_S: Final = 1.0
"""Seconds that the end of a session waits for a service, and for tools, to let go."""

MAX_LOGGED_ERRORS: Final = 20
"""Errors of a service that are logged in one session."""

MAX_ITEMS: Final = 64
"""Items of one response whose words come in parts. Most have one."""

MAX_TEXT_CHARS: Final = 32_768
"""Characters of one message that the user writes."""

QUIET: Final = "quiet_"
"""The beginning of the ids of events that may be in vain: an error about one is no news."""

OF_TIMING: Final = frozenset(
    {
        "conversation_already_has_active_response",
        "input_audio_buffer_commit_empty",
        "response_cancel_not_active",
        "session_expired",
    }
)
"""Errors that follow from two sides that act at the same time, or lead to a new connection."""

LOST: Final = "The connection to the voice service was lost. Trying again."
FOUND: Final = "Connected to the voice service again."
STARTED_OVER: Final = "Connected to the voice service again. It starts over."
GONE: Final = "The voice service cannot be reached."
REFUSED: Final = "The voice service refused the connection."
FAILED: Final = "The voice service could not answer."
ERROR: Final = "The voice service reported an error."
"""Texts for the user."""


@dataclass(frozen=True)
class ServiceOptions:
    """The service of a handler, the same for all of its sessions.

    Attributes:
        url: Its address.
        api_key: The key, or a function that returns it; ``None`` for none.
        headers: Headers of the request for a connection.
        terms: The terms of the session that differ from the service's own.
        tools: The functions that its model may call, by name.
        inbound: The format of the user's audio.
        outbound: The format of its replies.
        open_line: Opens a connection.
    """

    url: str
    api_key: str | Callable[[], str | Awaitable[str]] | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    terms: Mapping[str, Any]
    tools: Mapping[str, Tool]
    inbound: AudioFormat
    outbound: AudioFormat
    open_line: OpenLine


class _ReplyStart(NamedTuple):
    """The beginning of a reply, behind the audio of the one before it."""

    turn: int


class _ReplyEnd(NamedTuple):
    """The end of a reply, behind all of its audio."""

    failed: bool


class Dialogue:
    """The dialogue of one session. Every method is called on its event loop.

    Args:
        session: The session of the handler.
        options: The service.
        owner: The name of the handler's class, for the log.
        on_event: Called with each event before it is acted on; ``None`` for nobody.

    Attributes:
        link: The way to the service.
    """

    def __init__(
        self,
        session: SessionHandle,
        options: ServiceOptions,
        owner: str,
        on_event: Callable[[Event], Any] | None = None,
    ) -> None:
        self.link = Link(options.open_line, self)
        self._outbound = options.outbound
        self._session = session
        self._options = options
        # Apart: a tool that never returns must not keep the next connection from its key. Without
        # a job they have no threads.
        make_worker = partial(_make_worker, session.webrtc_id, owner)
        self._key_worker, self._event_worker = make_worker("key"), make_worker("events")
        self._on_event = None if on_event is None else UserFunction(on_event, self._event_worker)
        self._playback = Playback(options.outbound.rate_hz)
        self._transcript = Transcript()
        self._words = WordOutputs(self._transcript, self._wake)
        self._calls = ToolCalls(
            options.tools, partial(make_worker, "tools"), session.report, self._answer_call
        )
        self._tasks = TaskScope()
        self._has_begun = False
        self._is_beta = False
        # The user was shown that the service is lost.
        self._owes_news = False
        self._turns = 0
        self._logged_errors = 0
        self._speech_start_s = 0.0
        # The terms of the service's turn detection; None when it is off.
        self._turn_detection: Mapping[str, Any] | None = turn_detection_of(options.terms)
        # The user waits for a reply; the handler plays one.
        self._is_awaited = False
        self._is_replying = False
        # Of the reply that the service makes: it may be several responses, with tools between.
        self._is_making = False
        self._has_spoken = False
        self._goes_on = False
        # Of the response under way at the service.
        self._is_responding = False
        self._is_dropped = False
        self._response_calls = 0
        self._spoken_item_id, self._spoken_index = "", 0
        self._owes_request = False
        self._items_with_deltas: set[str] = set()

    # The handler's side

    def begin(self) -> None:
        """Connects to the service; does nothing if that was done."""
        if not self._has_begun:
            self._has_begun = True
            self._tasks.start(self._run())

    async def close(self) -> None:
        """Leaves the service, and ends the tools that run."""
        self._words.close()
        await self._tasks.close(RELEASE_S)
        await self._calls.close(RELEASE_S)
        for worker in (self._key_worker, self._event_worker):
            worker.close()

    async def wait_until_ready(self) -> None:
        """Returns once `next_item` has something."""
        await self._playback.wait_ready()

    def next_item(self) -> EmitType:
        """Returns the next item for the user; ``None`` if there is none now."""
        while True:
            position_s = self._session.played_s + self._session.buffered_s
            match self._playback.take(position_s):
                case None:
                    return self._words.take_if_due()
                case Audio() as audio:
                    part = (self._playback.rate_hz, audio.samples)
                    words = self._words.take_if_due()
                    return part if words is None else (part, words)
                case Text() as text:
                    self._transcript.add(text.item_id, text.text)
                    self._words.note_shown_later()
                case Mark(CloseStream() as end):
                    return end
                case Mark(_ReplyStart() as start):
                    self._is_awaited, self._is_replying = False, True
                    self._session.event("response_starting", turn=start.turn)
                case Mark(_ReplyEnd() as end):
                    self._end_reply(failed=end.failed)
                    if (words := self._words.take()) is not None:
                        return words

    def ask(self, text: str) -> None:
        """Has the service answer a text of the user's, or without one what was spoken so far."""
        self.stop_reply()
        self._turns += 1
        if text:
            item_id = f"item_{secrets.token_hex(12)}"
            text = text[:MAX_TEXT_CHARS]
            self._transcript.put(item_id, text, "user")
            self._words.note_change()
            item = message_item("user", text, item_id=item_id, beta=self._is_beta)
            self.link.send(create_item(item))
        else:
            self.link.send({"type": "input_audio_buffer.commit"})
        self._session.event("response_triggered", turn=self._turns)
        self._is_awaited = True
        self._request_response()

    def stop_reply(self) -> None:
        """Ends the reply under way, as the user's words over it do."""
        if self._is_responding and not self._is_dropped:
            self._send_quietly("response.cancel")
        self._interrupt()

    # The link's side

    async def find_address(self) -> Address:
        """Returns the address with the key; see `Client`.

        Raises:
            ServiceLost: The user's function for the key failed.
        """
        headers = dict(self._options.headers)
        key = await read_key(self._options.api_key, self._key_worker)
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        return Address(self._options.url, headers)

    def greet(self, terms: Mapping[str, Any], *, is_again: bool) -> list[Event]:
        """Returns the terms of the session, and what was said before; see `Client`."""
        self._is_beta = is_beta(terms)
        options = self._options
        defaults = default_terms(options.inbound, options.outbound, beta=self._is_beta)
        own = merged(defaults, options.terms)
        if options.tools:
            schemas = [tool.schema for tool in options.tools.values()]
            own["tools"] = [*(own.get("tools") or []), *schemas]
        first = [{"type": "session.update", "session": own}]
        # A service that takes no history is used without.
        items = self._transcript.items(beta=self._is_beta)
        first += [{"event_id": _quiet_id(), **create_item(item)} for item in items]
        if is_again and self._owes_news:
            self._owes_news = False
            whole = self._transcript.is_complete
            self._session.send(create_words("info", FOUND if whole else STARTED_OVER))
        if self._owes_request:
            self._owes_request = False
            first.append({"type": "response.create"})
        return first

    def note_lost(self, tries: int) -> None:
        """Ends what belonged to the connection; see `Client`."""
        if tries == 1:
            self._owes_news = True
            self._session.send(create_words("warning", LOST))
        self._is_responding = self._is_dropped = self._goes_on = False
        self._calls.cancel()
        # The turn may have ended, and its reply not begun.
        has_spoken = self._is_making and self._has_spoken
        is_owed = self._is_awaited or self._is_making
        if is_owed and not has_spoken and self._transcript.is_unanswered:
            self._owes_request = True
        else:
            self._finish_making(failed=True)

    async def take_event(self, event: Event) -> None:
        """Acts on an event; see `Client`."""
        if self._on_event is not None:
            with guard(self._session.report):
                await self._on_event(event)
        act = self._ACTIONS.get(event["type"])
        if act is not None:
            act(self, event)

    async def _run(self) -> None:
        text = GONE
        with guard(self._session.report) as running:
            try:
                await self.link.run()
            except ServiceGone as error:
                logger.error("the realtime service is gone: %s", error)  # noqa: TRY400 - its words are all of it
                text = REFUSED if error.is_refusal else GONE
        if running.error is None:
            self._session.report(WebRTCError(text))
        self._playback.put_mark(CloseStream(text))

    # Events of the service

    def _note_terms(self, event: Event) -> None:
        terms = object_of(event, "session")
        self._turn_detection = turn_detection_of(terms)
        outbound = format_of(terms, "output")
        if outbound is not None and self._playback.set_rate(outbound.rate_hz):
            self._outbound = outbound

    def _note_speech(self, event: Event) -> None:
        self._speech_start_s = number_of(event, "audio_start_ms") / 1000
        self._session.event("started_talking", speech_start_s=self._speech_start_s)
        detection = self._turn_detection or {}
        if detection.get("interrupt_response") is not False:
            self._interrupt()

    def _note_pause(self, event: Event) -> None:
        self._turns += 1
        self._session.event(
            "pause_detected",
            turn=self._turns,
            audio=(self._options.inbound.rate_hz, np.zeros((1, 0), np.int16)),
            speech_start_s=self._speech_start_s,
            speech_end_s=number_of(event, "audio_end_ms") / 1000,
        )
        self._transcript.begin(name_of(event, "item_id"), "user")
        detection = self._turn_detection or {}
        if detection.get("create_response") is not False:
            self._is_awaited = True
            self.link.expect_answer()

    def _note_committed(self, event: Event) -> None:
        self._transcript.begin(name_of(event, "item_id"), "user")

    def _note_user_words(self, event: Event) -> None:
        words = text_of(event, "transcript")
        if words.strip():
            self._transcript.put(name_of(event, "item_id"), words, "user")
            self._words.note_change()

    def _note_response(self, _event: Event) -> None:
        self.link.note_answer()
        self._is_responding, self._is_dropped = True, False
        self._spoken_item_id, self._spoken_index = "", 0
        self._response_calls = 0
        self._items_with_deltas.clear()
        self._goes_on = False
        if not self._playback.has_room:
            self._cut_short()
        elif not self._is_making:
            self._is_making, self._has_spoken = True, False
            self._playback.put_mark(_ReplyStart(self._turns))

    def _note_item(self, event: Event) -> None:
        item = object_of(event, "item")
        if item.get("role") == "assistant" and not self._is_dropped:
            self._transcript.begin(name_of(item, "id"), "assistant")

    def _note_audio(self, event: Event) -> None:
        if self._is_dropped:
            return
        try:
            samples = decode_audio(event.get("delta"), self._outbound.kind)
        except ValueError as error:
            self._log_error("a realtime service sent what is no audio: %s", error)
            return
        if not self._playback.has_room:
            self._cut_short()
            return
        item_id, index = name_of(event, "item_id"), number_of(event, "content_index")
        self._has_spoken, self._spoken_item_id, self._spoken_index = True, item_id, index
        self._playback.put_audio(Audio(item_id, index, samples))

    def _note_reply_words(self, event: Event) -> None:
        item_id = name_of(event, "item_id")
        if len(self._items_with_deltas) >= MAX_ITEMS:
            self._items_with_deltas.clear()
        self._items_with_deltas.add(item_id)
        self._put_words(item_id, text_of(event, "delta"))

    def _note_all_words(self, event: Event) -> None:
        """Takes the words of an item from a service that sends them whole."""
        item_id = name_of(event, "item_id")
        if item_id not in self._items_with_deltas:
            self._put_words(item_id, text_of(event, "transcript") or text_of(event, "text"))

    def _put_words(self, item_id: str, words: str) -> None:
        if self._is_dropped:
            return
        if self._playback.has_room:
            self._playback.put_text(item_id, words)
        else:
            self._cut_short()

    def _note_item_done(self, event: Event) -> None:
        item = object_of(event, "item")
        if item.get("type") == "function_call" and item.get("status") != "incomplete":
            self._begin_call(item)

    def _note_response_done(self, event: Event) -> None:
        response = object_of(event, "response")
        was_dropped, self._is_dropped = self._is_dropped, False
        self._is_responding = False
        is_failure = response.get("status") == "failed"
        if is_failure:
            details = object_of(object_of(response, "status_details"), "error")
            self._log_error("a realtime service failed to answer: %s", _words_of(details))
            self._session.report(WebRTCError(FAILED))
        if self._response_calls and not was_dropped:
            self._goes_on = True
        elif not was_dropped:
            self._finish_making(failed=is_failure)
        self._go_on()
        if self._owes_request:
            self._owes_request = False
            self._request_response()

    def _note_error(self, event: Event) -> None:
        error = object_of(event, "error")
        code = text_of(error, "code") or text_of(error, "type")
        if code in OF_TIMING or text_of(error, "event_id").startswith(QUIET):
            logger.info("a realtime service reports: %s", _words_of(error))
            self._owes_request |= code == "conversation_already_has_active_response"
            return
        self.link.note_answer()
        self._log_error("a realtime service reports an error: %s", _words_of(error))
        self._session.report(WebRTCError(ERROR))

    # Replies

    def _request_response(self) -> None:
        """Has the service answer, once it is not answering already."""
        if self._is_responding or not self.link.is_open:
            self._owes_request = True
        else:
            self.link.send({"type": "response.create"})
            self.link.expect_answer()

    def _finish_making(self, *, failed: bool) -> None:
        """Ends the reply behind what was received of it."""
        if self._is_making:
            self._is_making = False
            self._playback.put_mark(_ReplyEnd(failed))

    def _end_reply(self, *, failed: bool) -> None:
        if self._is_replying:
            self._is_replying = False
            self._session.end_reply()
            self._session.event("response_finished", turn=self._turns, failed=failed)

    def _cut_short(self) -> None:
        """Ends a reply that is longer than anybody can keep, at what there is room for."""
        self._log_error("a realtime service sent more than there is room for: the rest is left out")
        self._is_dropped = True
        self._finish_making(failed=False)
        self._send_quietly("response.cancel")
        item_id, index = self._spoken_item_id, self._spoken_index
        if received_ms := self._playback.received_ms(item_id, index):
            self._truncate(Cut(item_id, index, received_ms))

    def _truncate(self, cut: Cut) -> None:
        self._send_quietly(
            "conversation.item.truncate",
            item_id=cut.item_id,
            content_index=cut.content_index,
            audio_end_ms=cut.played_ms,
        )

    def _interrupt(self) -> None:
        """Drops what the user has not heard of the reply, and reports to the service where."""
        self.link.note_answer()
        played_s = self._session.played_s
        is_playing = self._playback.is_playing(played_s)
        open_item_id = self._spoken_item_id if self._is_responding else ""
        cuts = self._playback.interrupt(played_s, open_item_id)
        self._is_dropped = self._is_responding
        self._is_making = self._goes_on = self._owes_request = False
        if is_playing:
            self._session.drop_reply()
        for cut in cuts:
            if self._transcript.cut(cut.item_id):
                self._words.note_change()
            self._truncate(cut)
        if self._is_awaited or self._is_replying or is_playing:
            self._is_awaited = self._is_replying = False
            heard_s = cuts[0].played_ms / 1000 if cuts else 0.0
            self._session.event("interrupted", turn=self._turns, heard_s=heard_s)

    def _send_quietly(self, kind: str, **values: object) -> None:
        """Sends an event that may come too late, and about which an error is then no news."""
        self.link.send({"type": kind, "event_id": _quiet_id(), **values})

    # Tools

    def _note_call(self, event: Event) -> None:
        """Takes a call from a service that does not report the item that it is."""
        if name_of(event, "name"):
            self._begin_call(event)

    def _begin_call(self, call: Mapping[str, Any]) -> None:
        call_id = name_of(call, "call_id")
        if self._is_dropped or not call_id or not self._options.tools:
            return
        request = ToolRequest(call_id, name_of(call, "name"), text_of(call, "arguments"))
        self._response_calls += self._calls.begin(request)

    def _answer_call(self, call_id: str, output: str) -> None:
        item = {"type": "function_call_output", "call_id": call_id, "output": output}
        self.link.send(create_item(item))
        self._go_on()

    def _go_on(self) -> None:
        """Has the model answer with the outputs of its tools, once all of them are there."""
        if self._goes_on and not len(self._calls):
            self._goes_on = False
            self._request_response()

    def _wake(self) -> None:
        """Has `next_item` called even if nothing comes from the service."""
        if not len(self._playback):
            self._playback.put_mark(None)

    def _log_error(self, text: str, *args: object) -> None:
        self._logged_errors += 1
        level = logging.WARNING if self._logged_errors <= MAX_LOGGED_ERRORS else logging.DEBUG
        logger.log(level, text, *args)

    _ACTIONS: Final[dict[str, Callable[[Dialogue, Event], None]]] = {
        "session.updated": _note_terms,
        "input_audio_buffer.speech_started": _note_speech,
        "input_audio_buffer.speech_stopped": _note_pause,
        "input_audio_buffer.committed": _note_committed,
        "conversation.item.input_audio_transcription.completed": _note_user_words,
        "response.created": _note_response,
        "response.output_item.added": _note_item,
        "response.output_audio.delta": _note_audio,
        "response.output_audio_transcript.delta": _note_reply_words,
        "response.output_text.delta": _note_reply_words,
        "response.output_audio_transcript.done": _note_all_words,
        "response.output_text.done": _note_all_words,
        "response.output_item.done": _note_item_done,
        "response.function_call_arguments.done": _note_call,
        "response.done": _note_response_done,
        "error": _note_error,
    }


def _make_worker(webrtc_id: str, owner: str, task: str) -> Worker:
    return Worker(f"{task}-{webrtc_id[:8]}", owner)


def _quiet_id() -> str:
    return f"{QUIET}{secrets.token_hex(8)}"


def _words_of(error: Mapping[str, Any]) -> str:
    """Returns an error of a service for the log."""
    code = text_of(error, "code") or text_of(error, "type") or "-"
    return printable(f"{code}: {text_of(error, 'message')}")
