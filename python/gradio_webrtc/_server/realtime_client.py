"""What a client of ``/v1/realtime`` sends: read, checked, and passed to its session.

A client may be anybody: every event is bounded in size and number before it is read, and one that
cannot be acted on is answered with an error that names the reason. Runs on the event loop.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from gradio_webrtc._realtime.protocol import decode_audio, name_of, object_of, read_event, text_of
from gradio_webrtc._transport import AudioBlock, TokenBucket
from gradio_webrtc.types import WebRTCData

from .realtime_terms import EventRefused, check_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from gradio_webrtc._realtime.protocol import Event
    from gradio_webrtc._session.session import Session
    from gradio_webrtc._transport import OrderedTransport, Wire

    from .realtime_dialect import RealtimeDialect

logger = logging.getLogger(__name__)

EVENTS_PER_S: Final = 300
"""Events that a client may send in a second, in the long run: 100 with 10 ms of audio, and more."""

EVENTS_AT_ONCE: Final = 3_000
"""Events at once: a recording of a minute in pieces of 20 ms."""

BYTES_PER_S: Final = 512 * 1024
"""Bytes of them: four times as many as audio of 48 kHz has in Base64."""

BYTES_AT_ONCE: Final = 5 * 1024 * 1024

BLOCK_S: Final = 0.1
"""The longest audio that is passed on at once, in seconds."""

LEAST_COMMIT_S: Final = 0.1
"""The least audio of a turn that a client ends itself, as at OpenAI."""

ROUNDING_S: Final = 1e-6
"""The rounding of sums of lengths: less than a sample."""

MOST_HELD_S: Final = 30.0
"""The longest turn that a client ends itself, in seconds; of more, the oldest audio goes. All of it
is processed at once, which takes 60 ms."""

MAX_TEXT_CHARS: Final = 32_768
"""Characters of the messages that wait for an answer."""

MAX_NOTED: Final = 20
"""Refusals that are logged in one session."""


class RealtimeReader:
    """Reads the events of one client.

    Args:
        session: Its session.
        transport: That of the session.
        dialect: That of the transport.
        takes_text: True if the handler can answer what the client writes.
    """

    def __init__(
        self,
        session: Session,
        transport: OrderedTransport,
        dialect: RealtimeDialect,
        *,
        takes_text: bool,
    ) -> None:
        self._session = session
        self._transport = transport
        self._dialect = dialect
        self._takes_text = takes_text
        self._events = TokenBucket(EVENTS_PER_S, EVENTS_AT_ONCE)
        self._bytes = TokenBucket(BYTES_PER_S, BYTES_AT_ONCE)
        self._refusals = 0
        self._texts: list[str] = []
        self._text_chars = 0
        self._is_over = False
        # The audio since the last turn: its length, and where the client ends turns all of it.
        self._open_s = 0.0
        self._held: deque[AudioBlock] = deque()
        self._committed: list[AudioBlock] = []
        self._has_received = False
        self._is_late = False

    def read(self, wire: Wire) -> None:
        """Acts on one message of the client."""
        if self._is_over:
            return
        if not self._events.take() or not self._bytes.take(len(wire)):
            self._is_over = True
            self._session.end("The client sent too much.", "rate_limit_exceeded")
            return
        # One that ends its turns itself, or writes, sends no audio between them.
        self._transport.note_alive()
        event = read_event(wire)
        if event is None:
            self._refuse(EventRefused("expected a JSON object with a type", "invalid_event"))
            return
        act = self._ACTIONS.get(event["type"], RealtimeReader._refuse_unknown)
        try:
            act(self, event)
        except EventRefused as refusal:
            self._refuse(refusal, name_of(event, "event_id"))

    def note_turn(self) -> None:
        """Records that the session has found the end of a turn."""
        self._open_s = 0.0

    def _refuse(self, refusal: EventRefused, event_id: str = "") -> None:
        self._refusals += 1
        if self._refusals <= MAX_NOTED:
            logger.info("an event of a realtime client is refused: %s", refusal)
        self._dialect.refuse(refusal, event_id)

    def _refuse_unknown(self, event: Event) -> None:
        kind = name_of(event, "type")
        raise EventRefused(f"there is no event {kind!r} here", "unsupported_event", "type")

    # The session

    def _update(self, event: Event) -> None:
        has_audio = self._has_received or self._dialect.has_audio
        terms, asked = self._dialect.terms, event.get("session")
        if not isinstance(asked, dict):
            kind = type(asked).__name__
            raise EventRefused(f"expected an object, got {kind}", param="session")
        self._dialect.terms = terms.updated(asked, has_audio=has_audio)
        if self._dialect.terms.detects_turns:
            self._held.clear()
            self._committed.clear()
        self._dialect.send_session("session.updated")

    # Audio

    def _append(self, event: Event) -> None:
        terms = self._dialect.terms
        try:
            samples = decode_audio(event.get("audio"), terms.inbound.kind)
        except ValueError as error:
            raise EventRefused(str(error), param="audio") from None
        self._has_received |= samples.size > 0
        late = sum(not self._take_block(block) for block in self._blocks(samples))
        was_late, self._is_late = self._is_late, late > 0
        if late and not was_late:
            raise EventRefused(
                f"audio comes faster than real time: {late * BLOCK_S:.1f} s or less were discarded",
                "rate_limit_exceeded",
                "audio",
            )

    def _blocks(self, samples: NDArray[np.int16]) -> list[AudioBlock]:
        rate_hz = self._dialect.terms.inbound.rate_hz
        size = round(BLOCK_S * rate_hz)
        parts = (samples[:, at : at + size] for at in range(0, samples.size, size))
        return [AudioBlock(rate_hz, 1, part) for part in parts]

    def _take_block(self, block: AudioBlock) -> bool:
        """Passes audio on, or holds it for the client; returns False if it came too fast."""
        duration_s = _seconds_of(block)
        size_bytes = block.samples.size * self._dialect.terms.inbound.bytes_per_sample
        if not self._transport.admit_audio(duration_s, size_bytes):
            return False
        self._open_s += duration_s
        if self._dialect.terms.detects_turns:
            self._transport.pass_on(block)
            return True
        self._hold(block)
        while self._open_s > MOST_HELD_S:
            self._open_s -= _seconds_of(self._held.popleft())
        return True

    def _hold(self, block: AudioBlock) -> None:
        """Keeps audio in blocks of about `BLOCK_S`: a client may send a sample at a time."""
        last = self._held[-1] if self._held else None
        if last is not None and _seconds_of(last) + _seconds_of(block) <= BLOCK_S:
            samples = np.concatenate([last.samples, block.samples], axis=1)
            self._held[-1] = block._replace(samples=samples)
        else:
            self._held.append(block)

    def _commit(self, _event: Event) -> None:
        if self._open_s < LEAST_COMMIT_S - ROUNDING_S:
            raise EventRefused(
                f"expected {LEAST_COMMIT_S * 1000:.0f} ms of audio, got "
                f"{self._open_s * 1000:.0f} ms",
                "input_audio_buffer_commit_empty",
            )
        self._open_s = 0.0
        self._committed += self._held
        self._held.clear()
        excess_s = sum(map(_seconds_of, self._committed)) - MOST_HELD_S
        while excess_s > ROUNDING_S:
            excess_s -= _seconds_of(self._committed.pop(0))
        self._dialect.commit_turn()

    def _clear(self, _event: Event) -> None:
        if self._dialect.terms.detects_turns and self._dialect.is_spoken_to:
            raise EventRefused(
                "the turn that is spoken cannot be cleared while this server detects turns",
                "unsupported_event",
            )
        self._open_s = 0.0
        self._held.clear()
        self._dialect.send("input_audio_buffer.cleared")

    # Items

    def _create_item(self, event: Event) -> None:
        item = object_of(event, "item")
        role, content = item.get("role"), item.get("content")
        if item.get("type") != "message" or role not in ("user", "assistant"):
            raise EventRefused(
                "items are messages of the user or the assistant here",
                "unsupported_value",
                "item.type",
            )
        text = _text_of(content)
        if role == "assistant":
            # What was said before: a handler has its own memory, and no place for another's.
            self._take_texts()
        elif self._takes_text:
            self._keep_text(text)
        else:
            raise EventRefused("this server answers audio alone", "unsupported_value", "item")
        kinds = {"user": "input_text", "assistant": "output_text"}
        kind = "text" if role == "assistant" and self._dialect.terms.uses_beta else kinds[role]
        parts = [{"type": kind, "text": text}]
        item_id = name_of(item, "id")
        own = {"id": item_id} if item_id else {}
        self._dialect.add_item({"type": "message", "role": role, "content": parts, **own})

    def _keep_text(self, text: str) -> None:
        # The end of a line counts, too: a text may be empty.
        if self._text_chars + len(text) + 1 > MAX_TEXT_CHARS:
            raise EventRefused(
                f"expected at most {MAX_TEXT_CHARS} characters before response.create",
                param="item.content",
            )
        self._texts.append(text)
        self._text_chars += len(text) + 1

    def _take_texts(self) -> str | None:
        """Returns the text that waits for an answer, which is then gone; ``None`` for none."""
        texts, self._texts, self._text_chars = self._texts, [], 0
        return "\n".join(texts) if texts else None

    def _truncate(self, event: Event) -> None:
        item_id, end_ms = name_of(event, "item_id"), event.get("audio_end_ms")
        sent_ms = self._dialect.sent_ms(item_id)
        if sent_ms is None:
            raise EventRefused(
                "there is no such item with audio", "item_truncate_invalid_item_id", "item_id"
            )
        if isinstance(end_ms, bool) or not isinstance(end_ms, int) or not 0 <= end_ms <= sent_ms:
            raise EventRefused(
                f"expected 0 to {sent_ms} ms, got {end_ms!r:.100}", param="audio_end_ms"
            )
        self._session.context.event("reply_truncated", heard_s=end_ms / 1000)
        self._dialect.send(
            "conversation.item.truncated", item_id=item_id, content_index=0, audio_end_ms=end_ms
        )

    # Responses

    def _create_response(self, event: Event) -> None:
        check_object(event.get("response"), "response")
        asked = object_of(event, "response")
        if asked.get("conversation") not in (None, "auto") or asked.get("input") is not None:
            raise EventRefused(
                "responses belong to the one conversation here",
                "unsupported_parameter",
                "response.conversation",
            )
        if self._dialect.is_responding:
            raise EventRefused(
                "a response is under way already", "conversation_already_has_active_response"
            )
        handler: Any = self._session.handler
        if not hasattr(handler, "trigger_response"):
            raise EventRefused("this server decides itself when to answer", "unsupported_event")
        committed, self._committed = self._committed, []
        for block in committed:
            self._transport.pass_on(block, at_once=True)
        text = self._take_texts()
        if text is not None:
            self._dialect.note_text(text)
        self._dialect.request_response()
        if text is not None:
            webrtc_id, inputs = self._session.webrtc_id, handler.latest_args[1:]
            self._session.submit([WebRTCData(webrtc_id, text), *inputs])
            # The text is for one turn.
            self._session.set_inputs([WebRTCData(webrtc_id), *inputs])
        else:
            self._session.trigger()

    def _cancel(self, _event: Event) -> None:
        if not self._dialect.is_responding:
            raise EventRefused("there is no response under way", "response_cancel_not_active")
        self._dialect.cancel_reason = "client_cancelled"
        self._session.stop_reply()
        self._dialect.end_request()

    _ACTIONS: ClassVar[Mapping[str, Callable[[RealtimeReader, Event], None]]] = {
        "session.update": _update,
        "input_audio_buffer.append": _append,
        "input_audio_buffer.commit": _commit,
        "input_audio_buffer.clear": _clear,
        "conversation.item.create": _create_item,
        "conversation.item.truncate": _truncate,
        "response.create": _create_response,
        "response.cancel": _cancel,
    }


def _seconds_of(block: AudioBlock) -> float:
    return block.samples.size / block.rate_hz


def _text_of(content: object) -> str:
    """Returns the text of a message.

    Raises:
        EventRefused: It is none, or has parts of other kinds.
    """
    parts = content if isinstance(content, list) else []
    kinds = ("input_text", "output_text", "text")
    if not parts or not all(isinstance(each, dict) and each.get("type") in kinds for each in parts):
        raise EventRefused(
            "the content of a message is text here", "unsupported_value", "item.content"
        )
    return "".join(text_of(part, "text") for part in parts)
