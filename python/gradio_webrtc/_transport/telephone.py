"""The protocol of Twilio Media Streams, by which telephone calls are carried over a WebSocket.

Written from Twilio's public description: JSON objects with an ``event``, mu-law at 8 kHz as Base64
in them, and marks, which come back once the audio before them was played. Runs on the event loop;
imports neither a server nor a session.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gradio_webrtc._messages import decode_message
from gradio_webrtc.errors import InvalidOffer

from .base import AudioBlock
from .ordered import OrderedTransport
from .payloads import BrokenMessage, Encoding, MonoEncoder, decode_payload, encode_payload
from .websocket import LEAD_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradio_webrtc._config import SessionConfig

    from .ordered import Writer
    from .pacing import PacedFrame
    from .send_queue import Wire

RATE_HZ: Final = 8_000
"""The clock of G.711 (RFC 3551 section 4.5.14), and the only rate of telephone calls."""

LINE: Final = (RATE_HZ, 1)
"""The rate and the channels of a call, as its ``mediaFormat`` has them."""

ENCODINGS: Final[dict[object, Encoding]] = {"audio/x-mulaw": "mulaw", "audio/x-alaw": "alaw"}
"""The encodings of a call by their names in ``mediaFormat``. Twilio has the first alone."""

MARK_S: Final = 0.1
"""Audio between two marks, in seconds: how exactly it is known what the user has heard."""

MAX_MARKS: Final = 64
"""Marks that may be on their way; the oldest are given up. A client that confirms has a few."""

DIGITS: Final = frozenset("0123456789*#ABCD")
"""The keys of a telephone (ITU-T Q.23)."""


class TelephoneStart(NamedTuple):
    """The beginning of a telephone call.

    Attributes:
        stream_sid: The name of the stream, in all that follows.
        call_sid: The name of the telephone call; "" for none.
        encoding: The form of the samples.
        parameters: Values that the answer to the webhook passed on, by name.
    """

    stream_sid: str
    call_sid: str
    encoding: Encoding
    parameters: Mapping[str, str]


def read_start(message: Mapping[str, object]) -> TelephoneStart:
    """Reads the message with which a call begins.

    Raises:
        InvalidOffer: It is none, or for audio of another form.
    """
    start = message.get("start")
    if not isinstance(start, dict):
        raise InvalidOffer('expected "start" with an object')
    stream_sid = message.get("streamSid", start.get("streamSid"))
    call_sid = start.get("callSid", "")
    if not isinstance(stream_sid, str) or not isinstance(call_sid, str):
        raise InvalidOffer('expected "streamSid" and "callSid" as texts')
    form = start.get("mediaFormat", {})
    name = form.get("encoding", "audio/x-mulaw") if isinstance(form, dict) else None
    encoding = ENCODINGS.get(name) if isinstance(name, str) else None
    if encoding is None or (form.get("sampleRate", RATE_HZ), form.get("channels", 1)) != LINE:
        raise InvalidOffer(
            f"expected audio/x-mulaw or audio/x-alaw at {RATE_HZ} Hz, with one channel"
        )
    given = start.get("customParameters", {})
    parameters = given.items() if isinstance(given, dict) else ()
    texts = {name: value for name, value in parameters if isinstance(value, str)}
    return TelephoneStart(stream_sid, call_sid, encoding, texts)


class Marks:
    """Counts the audio that a client has played, by the marks that it sends back.

    A client also sends them back when it drops the audio before them, so a `clear` ends all that
    are on their way: what is counted was heard, and what was heard last may not be counted.

    Args:
        rate_hz: The rate of the audio.

    Attributes:
        heard_s: The audio that was played, in seconds.
    """

    def __init__(self, rate_hz: int = RATE_HZ) -> None:
        self.heard_s = 0.0
        self._rate_hz = rate_hz
        self._unmarked = 0
        self._names = 0
        self._pending: deque[tuple[str, int]] = deque()
        self._none_pending = asyncio.Event()
        self._none_pending.set()

    @property
    def unconfirmed_s(self) -> float:
        """The audio that was sent and not confirmed, in seconds."""
        samples = self._unmarked + sum(samples for _, samples in self._pending)
        return samples / self._rate_hz

    @property
    def is_due(self) -> bool:
        """True if enough was sent for another mark."""
        return self._unmarked >= MARK_S * self._rate_hz

    def count(self, samples: int) -> None:
        """Counts audio that was sent."""
        self._unmarked += samples

    def make(self) -> str:
        """Returns the name of a mark for all audio sent so far."""
        self._names += 1
        name = str(self._names)
        self._pending.append((name, self._unmarked))
        if len(self._pending) > MAX_MARKS:
            self._pending.popleft()
        self._unmarked = 0
        self._none_pending.clear()
        return name

    def clear(self) -> None:
        """Gives up the audio that was sent and not confirmed."""
        self._pending.clear()
        self._unmarked = 0
        self._none_pending.set()

    def confirm(self, name: object) -> None:
        """Takes a mark that came back; a name that is none of those on their way is ignored."""
        if not any(name == each for each, _ in self._pending):
            return
        # A client that leaves one out has played what was before it, too.
        is_found = False
        while not is_found:
            each, samples = self._pending.popleft()
            self.heard_s += samples / self._rate_hz
            is_found = name == each
        if not self._pending:
            self._none_pending.set()

    async def until_confirmed(self) -> None:
        """Returns once no mark is on its way."""
        await self._none_pending.wait()


class TelephoneDialect:
    """Writes what a session sends; see `Dialect`. Audio is returned bare, as bytes.

    Behind the last audio before a gap come empty bytes: the place of a mark.

    Args:
        start: The beginning of the call.
        rate_hz: The rate of the audio.
    """

    def __init__(self, start: TelephoneStart, rate_hz: int = RATE_HZ) -> None:
        self._encoder = MonoEncoder(rate_hz, start.encoding)
        self._has_unmarked = False
        stream_sid = json.dumps(start.stream_sid)
        self.clear = f'{{"event":"clear","streamSid":{stream_sid}}}'
        self._head = f'"streamSid":{stream_sid}'

    def write_audio(self, frame: PacedFrame) -> Wire | None:
        """Returns 20 ms of mono audio; empty bytes behind the last before a gap."""
        data = self._encoder.encode(frame)
        if data:
            self._has_unmarked = True
            return data
        if self._encoder.has_tail or not self._has_unmarked:
            return None
        self._has_unmarked = False
        return b""

    def write_text(self, text: str) -> Wire | None:  # noqa: ARG002 - the protocol's argument
        """Returns ``None``: a telephone shows nothing."""
        return None

    def write_clear(self) -> Wire | None:
        """Returns the request to drop what was not played."""
        return self.clear

    def media(self, data: bytes) -> str:
        """Returns audio as it goes over the wire."""
        payload = encode_payload(data)
        return f'{{"event":"media",{self._head},"media":{{"payload":"{payload}"}}}}'

    def mark(self, name: str) -> str:
        """Returns a mark as it goes over the wire."""
        return f'{{"event":"mark",{self._head},"mark":{{"name":"{name}"}}}}'


class TelephoneTransport(OrderedTransport):
    """The transport of one telephone call.

    Args:
        start: The beginning of the call.
        config: The kinds and directions of media, and the limits.
        rate_hz: The rate of the audio.
    """

    def __init__(
        self, start: TelephoneStart, config: SessionConfig, rate_hz: int = RATE_HZ
    ) -> None:
        self._form = TelephoneDialect(start, rate_hz)
        super().__init__(self._form, config, lead_s=LEAD_S)
        self._marks = Marks(rate_hz)

    def attach(self, write: Writer) -> None:
        """Connects the client: from now on everything is written by ``write``. Call it once."""
        super().attach(functools.partial(self._write_marked, write))

    def confirm(self, mark: object) -> None:
        """Takes a mark that came back."""
        self._marks.confirm(mark)
        self.heard_s = self._marks.heard_s

    @property
    def _unplayed_s(self) -> float:
        # Of a client that confirms nothing it is not known.
        at_client_s = 0.0 if self.heard_s is None else self._marks.unconfirmed_s
        return super()._unplayed_s + at_client_s

    async def _write_marked(self, write: Writer, wire: Wire) -> None:
        if isinstance(wire, str):
            if wire == self._form.clear:
                self._marks.clear()
            await write(wire)
            return
        if wire:
            await write(self._form.media(wire))
            self._marks.count(len(wire))
        if self._marks.is_due or not wire:
            await write(self._form.mark(self._marks.make()))

    async def _until_taken(self) -> None:
        await super()._until_taken()
        # What is not played when the WebSocket ends is never played.
        await self._marks.until_confirmed()


class TelephoneReader:
    """Reads what a client sends behind its ``start``.

    Args:
        transport: Takes the audio, the marks and the keys.
        start: The beginning of the call.
        rate_hz: The rate of the audio.
    """

    def __init__(
        self, transport: TelephoneTransport, start: TelephoneStart, rate_hz: int = RATE_HZ
    ) -> None:
        self._transport = transport
        self._encoding: Encoding = start.encoding
        self._rate_hz = rate_hz

    def read(self, wire: Wire) -> None:
        """Takes one message; those that the description does not have are ignored.

        Raises:
            BrokenMessage: It is no JSON object, or the audio in it is none.
        """
        message = decode_message(wire)
        if message is None:
            raise BrokenMessage("expected a JSON object")
        match message.get("event"):
            case "media":
                self._take_media(_part(message, "media"))
            case "mark":
                self._transport.confirm(_part(message, "mark").get("name"))
            case "dtmf":
                self._take_key(_part(message, "dtmf").get("digit"))
            case "stop":
                self._transport.hang_up("the user hung up")

    def _take_media(self, media: Mapping[str, Any]) -> None:
        if media.get("track", "inbound") != "inbound":
            # The audio of ours, which a stream of both tracks brings back.
            return
        samples = decode_payload(media.get("payload"), self._encoding)
        self._transport.deliver_audio(AudioBlock(self._rate_hz, 1, samples), samples.size)

    def _take_key(self, digit: object) -> None:
        if isinstance(digit, str) and digit in DIGITS:
            self._transport.deliver_text(f'{{"type":"dtmf","digit":"{digit}"}}')


def _part(message: Mapping[str, object], name: str) -> Mapping[str, Any]:
    part = message.get(name)
    return part if isinstance(part, dict) else {}
