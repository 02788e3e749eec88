"""The protocol of fastrtc's WebSocket clients: JSON objects, with the audio as Base64 in them.

Objects with an ``event`` that it has are the protocol's own; any other text is a message of the
session. Runs on the event loop; imports neither a server nor a session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradio_webrtc._messages import decode_message
from gradio_webrtc.errors import InvalidOffer

from .base import AudioBlock
from .payloads import (
    ENCODINGS,
    BrokenMessage,
    Encoding,
    MonoEncoder,
    decode_payload,
    encode_payload,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .ordered import OrderedTransport
    from .pacing import PacedFrame
    from .send_queue import Wire

LEAD_S: Final = 0.1
"""Audio that is sent ahead of real time, in seconds. These clients play what comes, as soon as it
comes; a busy machine or a lost TCP segment on a short way delays a packet by less."""

PONG: Final = '{"event":"pong"}'
CLEAR: Final = '{"event":"clear"}'


def read_encoding(start: Mapping[str, object]) -> Encoding:
    """Returns the encoding that a client has chosen with its ``start``, for both directions.

    Raises:
        InvalidOffer: There is no such encoding.
    """
    chosen = start.get("encoding", "mulaw")
    for encoding in ENCODINGS:
        if chosen == encoding:
            return encoding
    raise InvalidOffer(f"expected one of the encodings {', '.join(ENCODINGS)}")


class MediaDialect:
    """Writes what a session sends; see `Dialect`.

    Args:
        encoding: The form of the samples.

    Attributes:
        encoding: As given.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self._encoder: MonoEncoder | None = None

    def set_rate(self, rate_hz: int) -> None:
        """Sets the rate of the audio, before any is written.

        Raises:
            AudioError: It is out of range.
        """
        self._encoder = MonoEncoder(rate_hz, self.encoding)

    def write_audio(self, frame: PacedFrame) -> Wire | None:
        """Returns 20 ms of mono audio, and nothing for a gap."""
        data = b"" if self._encoder is None else self._encoder.encode(frame)
        if not data:
            return None
        return f'{{"event":"media","media":{{"payload":"{encode_payload(data)}"}}}}'

    def write_text(self, text: str) -> Wire | None:
        """Returns a message as it is."""
        return text

    def write_clear(self) -> Wire | None:
        """Returns a request that clients of fastrtc's do not have, and ignore."""
        return CLEAR


class MediaReader:
    """Reads what a client sends behind its ``start``.

    Args:
        transport: Takes the audio and the messages.
        encoding: The form of the samples.
        rate_hz: Returns the rate of the audio that comes next, which is that of the handler.
    """

    def __init__(
        self, transport: OrderedTransport, encoding: Encoding, rate_hz: Callable[[], int]
    ) -> None:
        self._transport = transport
        self._encoding: Encoding = encoding
        self._rate_hz = rate_hz

    def read(self, wire: Wire) -> None:
        """Takes one message.

        Raises:
            BrokenMessage: It is none of the protocol.
        """
        if isinstance(wire, bytes):
            raise BrokenMessage("expected text, got bytes")
        message = decode_message(wire) or {}
        match message.get("event"):
            case "media":
                self._take_media(message.get("media"))
            case "ping":
                self._transport.send_text(PONG)
            case "stop":
                self._transport.hang_up()
            case "start":
                raise BrokenMessage('expected one "start", got a second one')
            case _:
                self._transport.deliver_text(wire)

    def _take_media(self, media: object) -> None:
        payload = media.get("payload") if isinstance(media, dict) else None
        samples = decode_payload(payload, self._encoding)
        size_bytes = samples.nbytes if self._encoding == "pcm16" else samples.size
        self._transport.deliver_audio(AudioBlock(self._rate_hz(), 1, samples), size_bytes)
