"""The events of the Realtime protocol: their names, their audio, and the terms of a session.

Both sides use it: the handler that is a client of a service, and the route that serves one. Names
are those of the general release of 2025; `read_event` translates those of the beta before it, which
services still send. Pure functions, any thread.
"""

from __future__ import annotations

import binascii
import json
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np

from gradio_webrtc._audio import decode_g711, encode_g711
from gradio_webrtc._messages import encode_message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

Event: TypeAlias = dict[str, Any]
"""One message in either direction: a JSON object with a ``type``."""

RATE_HZ: Final = 24_000
"""The rate of PCM audio, in both directions, unless the terms of a session have another."""

RATES_HZ: Final = (8_000, 16_000, 24_000, 48_000)
"""The rates of PCM audio that are read in the terms of a session. Not all services have 24 kHz."""

G711_RATE_HZ: Final = 8_000
"""The rate of G.711."""

LAWS: Final[dict[str, Literal["mulaw", "alaw"]]] = {"audio/pcmu": "mulaw", "audio/pcma": "alaw"}
"""The two kinds of G.711 by their names in the protocol (RFC 3551 section 4.5.14)."""

BETA_FORMATS: Final = {
    "audio/pcm": "pcm16",
    "audio/pcmu": "g711_ulaw",
    "audio/pcma": "g711_alaw",
}
"""The formats of audio, and their names in the beta, which had one rate for each."""


class AudioFormat(NamedTuple):
    """The form of the audio of one direction.

    Attributes:
        kind: "audio/pcm" for 16-bit PCM, little-endian; or "audio/pcmu" or "audio/pcma" for G.711.
        rate_hz: The sample rate.
    """

    kind: str = "audio/pcm"
    rate_hz: int = RATE_HZ

    @property
    def bytes_per_sample(self) -> int:
        """The bytes of a sample."""
        return 1 if self.kind in LAWS else 2

    def terms(self) -> dict[str, Any]:
        """Returns the format as the terms of a session have it."""
        return (
            {"type": self.kind} if self.kind in LAWS else {"type": self.kind, "rate": self.rate_hz}
        )


PCM: Final = AudioFormat()
"""The format where the terms have none."""

MAX_NAME_CHARS: Final = 128
"""Characters of an id or a name that are kept. Those of services have about 30."""

MAX_NUMBER: Final = 2**31
"""The largest number that is read: 24 days in milliseconds."""

BETA_NAMES: Final = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "conversation.item.added": "conversation.item.created",
}
"""The events of a server that had another name in the beta, and that name."""

_RELEASED_NAMES: Final = {beta: name for name, beta in BETA_NAMES.items()}

BETA_TERMS: Final = frozenset({"modalities", "input_audio_format", "output_audio_format"})
"""Fields of the terms of a session that only the beta had."""

_PCM16: Final[np.dtype[np.int16]] = np.dtype("<i2")


def read_event(wire: str | bytes) -> Event | None:
    """Returns an event, its type under the name of the general release; ``None`` if it is none.

    Args:
        wire: The message; the connection bounds its size.
    """
    try:
        event = json.loads(wire)
    # A sender may nest a thousand lists, which is a RecursionError.
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        return None
    event["type"] = _RELEASED_NAMES.get(event["type"], event["type"])
    return event


def write_event(event: Mapping[str, Any]) -> str:
    """Returns an event as it goes over the wire.

    Raises:
        TypeError: JSON cannot carry a value in it.
        ValueError: It contains itself, or a number that JSON does not have.
    """
    return encode_message(event)


def text_of(event: Mapping[str, Any], name: str) -> str:
    """Returns a field that should be text; empty where it is missing or something else."""
    value = event.get(name)
    return value if isinstance(value, str) else ""


def name_of(event: Mapping[str, Any], name: str) -> str:
    """Returns an id or a name, cut to `MAX_NAME_CHARS`; empty where it is missing."""
    return text_of(event, name)[:MAX_NAME_CHARS]


def object_of(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Returns a field that should be an object; an empty one where it is something else."""
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def number_of(event: Mapping[str, Any], name: str) -> int:
    """Returns a field that should be a whole number from 0 on; 0 where it is something else.

    No more than `MAX_NUMBER`: JSON has numbers that no float can hold.
    """
    value = event.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return min(max(0, value), MAX_NUMBER)


def encode_audio(samples: NDArray[np.int16], kind: str = PCM.kind) -> str:
    """Returns samples as Base64 of a kind of format, by default 16-bit PCM, little-endian."""
    if kind in LAWS:
        data = encode_g711(samples, LAWS[kind])
    else:
        data = samples.astype(_PCM16, copy=False).tobytes()
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def decode_audio(text: object, kind: str = PCM.kind) -> NDArray[np.int16]:
    """Returns the samples in Base64 of a kind of format, int16 ``(1, n)``; do not write to them.

    Raises:
        ValueError: It is no Base64, or half a sample is at its end.
    """
    if not isinstance(text, str):
        raise ValueError(f"expected audio as text in Base64, got {type(text).__name__}")  # noqa: TRY004 - what came is wrong, and no code
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise ValueError(f"expected audio in Base64, got what is none: {error}") from None
    if kind in LAWS:
        return decode_g711(data, LAWS[kind]).reshape(1, -1)
    if len(data) % 2:
        raise ValueError(f"expected samples of 2 bytes each, got {len(data)} bytes")
    return np.frombuffer(data, _PCM16).reshape(1, -1)


def append_audio(samples: NDArray[np.int16], kind: str = PCM.kind) -> str:
    """Returns the event that sends a user's audio, as it goes over the wire."""
    # Written out, since there are fifty a second. Base64 needs no escapes.
    return f'{{"type":"input_audio_buffer.append","audio":"{encode_audio(samples, kind)}"}}'


def is_beta(terms: Mapping[str, Any]) -> bool:
    """True if the terms of a session are in the form of the beta."""
    return not isinstance(terms.get("audio"), dict) and bool(BETA_TERMS & set(terms))


def merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the defaults with what was given in their place, object by object."""
    result = dict(defaults)
    for name, value in given.items():
        default = result.get(name)
        if isinstance(default, dict) and isinstance(value, dict):
            result[name] = merged(default, value)
        else:
            result[name] = value
    return result


def default_terms(inbound: AudioFormat, outbound: AudioFormat, *, beta: bool) -> dict[str, Any]:
    """Returns the terms that a client sends in any case: those without which nobody is played.

    Args:
        inbound: The format of the user's audio.
        outbound: The format of the reply's.
        beta: True for the form of the beta, which has no rates.
    """
    if beta:
        return {
            "input_audio_format": BETA_FORMATS[inbound.kind],
            "output_audio_format": BETA_FORMATS[outbound.kind],
        }
    return {
        "type": "realtime",
        "audio": {"input": {"format": inbound.terms()}, "output": {"format": outbound.terms()}},
    }


def read_format(value: object) -> AudioFormat:
    """Returns a format that stands in the terms of a session, in the form of either release.

    Raises:
        ValueError: There is no such format here; the text names those that there are.
    """
    if isinstance(value, str):
        kind = next((name for name, beta in BETA_FORMATS.items() if beta == value), None)
        if kind is not None:
            return AudioFormat(kind, G711_RATE_HZ if kind in LAWS else RATE_HZ)
    elif isinstance(value, dict):
        kind, rate_hz = value.get("type"), value.get("rate")
        is_rate = rate_hz is None or isinstance(rate_hz, int)
        if isinstance(kind, str) and kind in LAWS and is_rate and rate_hz in (None, G711_RATE_HZ):
            return AudioFormat(kind, G711_RATE_HZ)
        if kind in (None, PCM.kind) and is_rate and rate_hz in (None, *RATES_HZ):
            return AudioFormat(PCM.kind, rate_hz or RATE_HZ)
    raise ValueError(
        f"expected audio/pcm at {', '.join(map(str, RATES_HZ))} Hz, audio/pcmu or audio/pcma; got "
        f"{value!r:.100}"
    )


def format_in(terms: Mapping[str, Any], direction: Literal["input", "output"]) -> object:
    """Returns the format of a direction as it stands in the terms of a session, of either form.

    ``None`` where there is none.
    """
    if is_beta(terms):
        return terms.get(f"{direction}_audio_format")
    return object_of(object_of(terms, "audio"), direction).get("format")


def format_of(
    terms: Mapping[str, Any], direction: Literal["input", "output"]
) -> AudioFormat | None:
    """Returns the format of a direction in the terms; ``None`` where there is none that we have."""
    try:
        value = format_in(terms, direction)
        return None if value is None else read_format(value)
    except ValueError:
        return None


def turn_detection_of(terms: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Returns the turn detection in the terms of a session, of either form; ``None`` if it is off.

    Where the terms do not name any, it is an empty object: the service's own is on.
    """
    place = terms
    if not is_beta(terms):
        place = object_of(object_of(terms, "audio"), "input")
    if "turn_detection" in place and place["turn_detection"] is None:
        return None
    return object_of(place, "turn_detection")


def message_item(role: str, text: str, *, item_id: str = "", beta: bool = False) -> Event:
    """Returns an item of a conversation: what the user or the assistant has written or spoken.

    Args:
        role: "user" or "assistant".
        text: The words.
        item_id: Its id, where it has one.
        beta: True for the form of the beta.
    """
    kind = "input_text"
    if role == "assistant":
        kind = "text" if beta else "output_text"
    content = [{"type": kind, "text": text}]
    item: Event = {"type": "message", "role": role, "content": content}
    return {"id": item_id, **item} if item_id else item


def create_item(item: Mapping[str, Any]) -> Event:
    """Returns the event that adds an item to the conversation."""
    return {"type": "conversation.item.create", "item": item}
