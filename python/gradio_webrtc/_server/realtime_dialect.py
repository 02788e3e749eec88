"""What a session sends, in the events that clients of the OpenAI Realtime protocol expect.

A session's own events become those of turns and responses, its audio those of audio. Audio leaves
in real time, so a client that cuts a reply off counts what it has played. Runs on the event loop.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._audio import InboundAudio
from gradio_webrtc._messages import decode_data
from gradio_webrtc._realtime.protocol import BETA_NAMES, encode_audio, write_event
from gradio_webrtc._transport.pacing import FRAME_SAMPLES, SESSION_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from gradio_webrtc._transport import OrderedTransport, PacedFrame

    from .realtime_terms import EventRefused, SessionTerms
    from .realtime_words import Words

IMPLICIT_GAP: Final = 10
"""Frames without audio, 0.2 s, that end the response of a handler which reports no replies."""

MAX_ITEMS: Final = 64
"""Items with audio whose length is kept, the latest, for clients that cut one off."""

CANCELLED: Final = "cancelled"


@dataclass
class _Response:
    """The response under way.

    Attributes:
        response_id: Its id.
        item_id: The id of the one item that it has.
        is_implicit: True if the handler has not reported a reply: there is audio, or text.
        is_requested: True while nothing but the client's request is there.
        has_part: True once there was audio, or words.
        status: The status that it will have; empty while the handler goes on.
        words: The words so far.
    """

    response_id: str
    item_id: str
    is_implicit: bool
    is_requested: bool = False
    has_part: bool = False
    status: str = ""
    words: list[str] = field(default_factory=list)


class RealtimeDialect:
    """The dialect of one client; see `gradio_webrtc._transport.Dialect`.

    Args:
        terms: The terms of the session.

    Attributes:
        terms: The terms as they are now.
        cancel_reason: The reason of the next cancelled response.
        has_audio: True once audio was sent.
    """

    def __init__(self, terms: SessionTerms) -> None:
        self.terms = terms
        self.cancel_reason = "turn_detected"
        self.has_audio = False
        self._send: Callable[[str], None] = lambda _text: None
        self._note_alive: Callable[[], None] = lambda: None
        self._buffered_s: Callable[[], float] = lambda: 0.0
        self._salt = secrets.token_hex(5)
        self._ids = 0
        # Of the turn that is spoken, and of the last one that was.
        self._open_item_id = ""
        self._turn_item_id = ""
        self._own_text: str | None = None
        self._last_item_id: str | None = None
        self._response: _Response | None = None
        self._gap_frames = 0
        self._sent_samples: dict[str, int] = {}
        self._resampler: InboundAudio | None = None
        self._channels = 0

    def attach(self, transport: OrderedTransport, buffered_s: Callable[[], float]) -> None:
        """Sends through a transport from now on.

        Args:
            transport: The client's.
            buffered_s: Returns the audio of the session that waits to be sent, in seconds.
        """
        self._send = transport.put
        self._note_alive = transport.note_alive
        self._buffered_s = buffered_s

    @property
    def is_spoken_to(self) -> bool:
        """True while the user speaks, as far as was detected."""
        return bool(self._open_item_id)

    @property
    def is_responding(self) -> bool:
        """True while a response is under way."""
        return self._response is not None

    # What the session sends; see `Dialect`

    def write_audio(self, frame: PacedFrame) -> str | None:
        """Returns 20 ms of audio, behind the events that begin it."""
        if not frame.is_audio:
            self._note_gap()
            return None
        self._gap_frames = 0
        response = self._response or self._begin_response(is_implicit=True)
        response.is_requested = False
        self._begin_part(response)
        samples = self._resampled(frame.samples)
        self.has_audio = True
        if not self.terms.detects_turns:
            # Its client listens, and has nothing to send.
            self._note_alive()
        self._count_sent(response.item_id, samples.size)
        delta = encode_audio(samples, self.terms.outbound.kind)
        return self._encode("response.output_audio.delta", **_place_of(response), delta=delta)

    def write_text(self, text: str) -> str | None:
        """Returns an error, or the reason of the session's end, as an event; all else has none."""
        message = decode_data(text)
        data = message.get("data") if isinstance(message, dict) else None
        if not isinstance(data, str) or not data:
            return None
        match message.get("type"):
            case "error":
                return self._error("server_error", "handler_error", data)
            case "end_stream":
                code = message.get("code") or "session_ended"
                return self._error("server_error", str(code), data)
        return None

    def write_clear(self) -> str | None:
        """Returns nothing: such clients stop by themselves when the user speaks.

        The response whose audio was dropped is over, if its handler is done with it.
        """
        response = self._response
        if response is not None and (response.status or response.is_implicit):
            self._end_response(CANCELLED)
        return None

    # Events of the session

    def note_event(self, _time_s: float, name: str, data: Mapping[str, Any]) -> None:
        """Takes an event of the session; see `SessionContext.listen`."""
        match name:
            case "started_talking" if self.terms.detects_turns:
                self._begin_turn(data)
            case "pause_detected" if self.terms.detects_turns:
                self._end_turn(data)
            case "reply_resumed" if self.terms.detects_turns:
                self._drop_turn(data)
            case "response_starting":
                self._begin_reply()
            case "response_finished":
                self._note_finished("failed" if data.get("failed") else "completed")
            case "interrupted":
                self._end_response(CANCELLED)

    def note_text(self, text: str) -> None:
        """Records that the user's next turn is a text, which the client has."""
        self._turn_item_id, self._own_text = "", text

    def note_words(self, words: Words) -> None:
        """Takes words that a handler has emitted."""
        if words.role == "user":
            self._put_user_words(words.text)
            return
        response = self._response or self._begin_response(is_implicit=True)
        is_alone = response.is_implicit and not response.has_part
        response.is_requested = False
        self._begin_part(response)
        text = words.text if not words.is_whole or not response.words else f" {words.text}"
        response.words.append(text)
        self.send("response.output_audio_transcript.delta", **_place_of(response), delta=text)
        if is_alone:
            # Nothing else may ever come to end it.
            response.status = "completed"
            asyncio.get_running_loop().call_soon(self._end_if_played, response)

    # For the reader of the client's events

    def request_response(self) -> None:
        """Begins the response that the client has requested: it may cancel it from now on."""
        self._begin_response(is_implicit=True).is_requested = True

    def end_request(self) -> None:
        """Ends the response if there is still nothing of it, and the handler reports none."""
        if self._response is not None and self._response.is_requested:
            self._end_response(CANCELLED)

    def send(self, kind: str, **values: Any) -> None:
        """Sends an event."""
        self._send(self._encode(kind, **values))

    def send_session(self, kind: str) -> None:
        """Sends the terms of the session."""
        self.send(kind, session=self.terms.as_session())

    def refuse(self, refusal: EventRefused, event_id: str = "") -> None:
        """Sends the reason why an event of the client's is not acted on."""
        error = _error_of("invalid_request_error", refusal.code, str(refusal))
        error |= {"param": refusal.param, "event_id": event_id or None}
        self.send("error", error=error)

    def commit_turn(self) -> None:
        """Makes an item of what the user has spoken."""
        item_id = self._turn_item_id = self._open_item_id or self._new("item")
        self._open_item_id, self._own_text = "", None
        before = self._last_item_id
        self.send("input_audio_buffer.committed", previous_item_id=before, item_id=item_id)
        content = [{"type": "input_audio", "transcript": None}]
        self.add_item({"id": item_id, "type": "message", "role": "user", "content": content})

    def add_item(self, item: Mapping[str, Any]) -> str:
        """Sends an item that is whole; returns its id."""
        item = {"object": "realtime.item", "status": "completed", **item}
        item["id"] = item.get("id") or self._new("item")
        self._add(item)
        self._done(item)
        return str(item["id"])

    def sent_ms(self, item_id: str) -> int | None:
        """Returns the length of the audio of an item that was sent; ``None`` for no such item."""
        samples = self._sent_samples.get(item_id)
        return None if samples is None else samples * 1000 // self.terms.outbound.rate_hz

    # Turns

    def _begin_turn(self, data: Mapping[str, Any]) -> None:
        self._open_item_id = self._new("item")
        start_ms = _ms_of(data.get("speech_start_s"))
        kind = "input_audio_buffer.speech_started"
        self.send(kind, audio_start_ms=start_ms, item_id=self._open_item_id)

    def _end_turn(self, data: Mapping[str, Any]) -> None:
        # A handler may report an end without a beginning.
        self._open_item_id = self._open_item_id or self._new("item")
        end_ms = _ms_of(data.get("time_s", data.get("speech_end_s")))
        kind = "input_audio_buffer.speech_stopped"
        self.send(kind, audio_end_ms=end_ms, item_id=self._open_item_id)
        self.commit_turn()

    def _drop_turn(self, data: Mapping[str, Any]) -> None:
        """Ends a turn that was none: it is no item."""
        item_id, self._open_item_id = self._open_item_id, ""
        if item_id:
            kind = "input_audio_buffer.speech_stopped"
            self.send(kind, audio_end_ms=_ms_of(data.get("speech_end_s")), item_id=item_id)

    def _put_user_words(self, text: str) -> None:
        if text == self._own_text:
            return
        if self._turn_item_id:
            kind = "conversation.item.input_audio_transcription.completed"
            usage = {"type": "duration", "seconds": 0}
            at = {"item_id": self._turn_item_id, "content_index": 0}
            self.send(kind, **at, transcript=text, usage=usage)
        else:
            content = [{"type": "input_text", "text": text}]
            self.add_item({"type": "message", "role": "user", "content": content})

    # Responses

    def _begin_reply(self) -> None:
        """Begins the response of a reply, which may be the one that the client has requested."""
        response = self._response
        if response is not None and response.is_requested:
            response.is_implicit = response.is_requested = False
        else:
            self._finish_late()
            self._begin_response(is_implicit=False)

    def _begin_response(self, *, is_implicit: bool) -> _Response:
        response = _Response(self._new("resp"), self._new("item"), is_implicit)
        self._response = response
        self._resampler = None
        self._gap_frames = 0
        self.send("response.created", response=self._resource(response, "in_progress"))
        item = self._item_of(response, "in_progress")
        self.send(
            "response.output_item.added",
            response_id=response.response_id,
            output_index=0,
            item=item,
        )
        self._add(item)
        return response

    def _begin_part(self, response: _Response) -> None:
        if not response.has_part:
            response.has_part = True
            part = {"type": "audio", "transcript": ""}
            self.send("response.content_part.added", **_place_of(response), part=part)
            self._count_sent(response.item_id, 0)

    def _note_finished(self, status: str) -> None:
        response = self._response
        if response is not None and (response.is_requested or not response.is_implicit):
            response.status = status
            # Behind the words that the handler emitted last.
            asyncio.get_running_loop().call_soon(self._end_if_played, response)

    def _end_if_played(self, response: _Response) -> None:
        if response is self._response and self._buffered_s() <= 0:
            self._end_response(response.status)

    def _finish_late(self) -> None:
        """Ends the response before another, whose audio may not have left to the last."""
        if self._response is not None:
            self._end_response(self._response.status or "completed")

    def _note_gap(self) -> None:
        self._gap_frames += 1
        response = self._response
        if response is None:
            return
        if response.status:
            self._end_response(response.status)
        elif response.is_requested:
            # The handler takes its time.
            return
        elif response.is_implicit and self._gap_frames >= IMPLICIT_GAP:
            self._end_response("completed")

    def _end_response(self, status: str) -> None:
        response, self._response = self._response, None
        reason, self.cancel_reason = self.cancel_reason, "turn_detected"
        if response is None:
            return
        place, words = _place_of(response), "".join(response.words)
        if response.has_part:
            self.send("response.output_audio.done", **place)
            self.send("response.output_audio_transcript.done", **place, transcript=words)
            part = {"type": "audio", "transcript": words}
            self.send("response.content_part.done", **place, part=part)
        item = self._item_of(response, "completed" if status == "completed" else "incomplete")
        self._done(item)
        self.send(
            "response.output_item.done",
            response_id=response.response_id,
            output_index=0,
            item=item,
        )
        details: dict[str, Any] | None = None
        if status == CANCELLED:
            details = {"type": status, "reason": reason}
        elif status == "failed":
            details = {"type": status, "error": {"type": "server_error", "code": "handler_error"}}
        self.send("response.done", response=self._resource(response, status, details, item))

    def _resource(
        self,
        response: _Response,
        status: str,
        details: Mapping[str, Any] | None = None,
        item: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Returns a response as its events have it."""
        modalities = "modalities" if self.terms.uses_beta else "output_modalities"
        return {
            "object": "realtime.response",
            "id": response.response_id,
            "status": status,
            "status_details": details,
            "output": [] if item is None else [item],
            modalities: ["audio"],
            "metadata": None,
            "usage": None,
        }

    def _item_of(self, response: _Response, status: str) -> dict[str, Any]:
        kind = "audio" if self.terms.uses_beta else "output_audio"
        content = [{"type": kind, "transcript": "".join(response.words)}]
        return {
            "id": response.item_id,
            "object": "realtime.item",
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": content if response.has_part else [],
        }

    def _add(self, item: Mapping[str, Any]) -> None:
        self.send("conversation.item.added", previous_item_id=self._last_item_id, item=item)
        self._last_item_id = str(item["id"])

    def _done(self, item: Mapping[str, Any]) -> None:
        # The beta has one event for an item.
        if not self.terms.uses_beta:
            self.send("conversation.item.done", item=item)

    # Forms

    def _resampled(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Returns a frame of the session in the rate of the client, int16 ``(1, n)``."""
        channels = samples.size // FRAME_SAMPLES
        rate_hz = self.terms.outbound.rate_hz
        if self._resampler is None or self._channels != channels:
            self._channels = channels
            self._resampler = InboundAudio(
                SESSION_RATE_HZ, channels, rate_hz, frame_samples=rate_hz // 50
            )
        (frame,) = self._resampler.process(samples)
        return frame

    def _count_sent(self, item_id: str, samples: int) -> None:
        if item_id not in self._sent_samples and len(self._sent_samples) >= MAX_ITEMS:
            del self._sent_samples[next(iter(self._sent_samples))]
        self._sent_samples[item_id] = self._sent_samples.get(item_id, 0) + samples

    def _error(self, kind: str, code: str, message: str) -> str:
        return self._encode("error", error=_error_of(kind, code, message))

    def _encode(self, kind: str, **values: Any) -> str:
        name = BETA_NAMES.get(kind, kind) if self.terms.uses_beta else kind
        return write_event({"type": name, "event_id": self._new("event"), **values})

    def _new(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}_{self._salt}{self._ids:06d}"


def _place_of(response: _Response) -> dict[str, Any]:
    """Returns the place of the audio of a response, as its events have it."""
    return {
        "response_id": response.response_id,
        "item_id": response.item_id,
        "output_index": 0,
        "content_index": 0,
    }


def _error_of(kind: str, code: str, message: str) -> dict[str, Any]:
    return {"type": kind, "code": code, "message": message, "param": None, "event_id": None}


def _ms_of(time_s: object) -> int:
    return round(time_s * 1000) if isinstance(time_s, int | float) and time_s >= 0 else 0
