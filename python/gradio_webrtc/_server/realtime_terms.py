"""The terms of a session that a client of ``/v1/realtime`` may ask for, and those that it gets.

Pure functions, any thread. What a handler decides for itself, such as its voice and its model, has
no terms here: such fields of a client are ignored.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from gradio_webrtc._realtime.protocol import (
    BETA_FORMATS,
    PCM,
    AudioFormat,
    format_in,
    is_beta,
    object_of,
    read_format,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

DIRECTIONS: Final[tuple[Literal["input", "output"], ...]] = ("input", "output")


class EventRefused(Exception):
    """An event of a client that is not acted on.

    Attributes:
        code: The word by which a program recognises the reason.
        param: The field that is wrong, if it is one.
    """

    def __init__(self, message: str, code: str = "invalid_value", param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


@dataclass(frozen=True)
class SessionTerms:
    """The terms of one session.

    Attributes:
        session_id: The id that the client gets.
        model: The model that the client has asked for; it has no effect.
        uses_beta: True for a client of the protocol's beta.
        can_interrupt: True if the user may talk over a reply.
        can_wait: True if the handler can leave it to the client where a turn ends.
        inbound: The format of the client's audio.
        outbound: The format of the audio that it gets.
        detects_turns: False if the client states where a turn ends.
    """

    session_id: str
    model: str
    uses_beta: bool = False
    can_interrupt: bool = True
    can_wait: bool = True
    inbound: AudioFormat = PCM
    outbound: AudioFormat = PCM
    detects_turns: bool = True

    def updated(self, asked: Mapping[str, Any], *, has_audio: bool) -> SessionTerms:
        """Returns the terms with those that a client asks for; all of them or none.

        Args:
            asked: The client's ``session``, in the form of either release.
            has_audio: True once audio has gone either way.

        Raises:
            EventRefused: One of them cannot be met.
        """
        _check_objects(asked)
        _check_kind(asked)
        inbound, outbound = (self._read_format(asked, each) for each in DIRECTIONS)
        if has_audio and (inbound, outbound) != (self.inbound, self.outbound):
            raise EventRefused("the formats of audio cannot change once there was audio")
        detects_turns = self._read_detection(asked)
        return dataclasses.replace(
            self, inbound=inbound, outbound=outbound, detects_turns=detects_turns
        )

    def _read_format(
        self, asked: Mapping[str, Any], direction: Literal["input", "output"]
    ) -> AudioFormat:
        value = format_in(asked, direction)
        if value is None:
            return self.inbound if direction == "input" else self.outbound
        try:
            return read_format(value)
        except ValueError as error:
            raise EventRefused(str(error), param=f"session.audio.{direction}.format") from None

    def _read_detection(self, asked: Mapping[str, Any]) -> bool:
        place = asked if is_beta(asked) or "turn_detection" in asked else _input_of(asked)
        if "turn_detection" not in place:
            return self.detects_turns
        detects_turns = place["turn_detection"] is not None
        if not detects_turns and not self.can_wait:
            raise EventRefused(
                "this server detects turns itself: turn_detection cannot be null",
                "unsupported_value",
                "session.audio.input.turn_detection",
            )
        return detects_turns

    def as_session(self) -> dict[str, Any]:
        """Returns the terms as ``session.created`` and ``session.updated`` have them."""
        detection = None
        if self.detects_turns:
            detection = {
                "type": "server_vad",
                "create_response": True,
                "interrupt_response": self.can_interrupt,
            }
        common: dict[str, Any] = {
            "id": self.session_id,
            "object": "realtime.session",
            "model": self.model,
        }
        common |= {"instructions": "", "tools": [], "tool_choice": "none"}
        if self.uses_beta:
            return common | {
                "modalities": ["audio", "text"],
                "input_audio_format": BETA_FORMATS[self.inbound.kind],
                "output_audio_format": BETA_FORMATS[self.outbound.kind],
                "input_audio_transcription": None,
                "turn_detection": detection,
                "max_response_output_tokens": "inf",
            }
        return common | {
            "type": "realtime",
            "output_modalities": ["audio"],
            "audio": {
                "input": {
                    "format": self.inbound.terms(),
                    "transcription": None,
                    "noise_reduction": None,
                    "turn_detection": detection,
                },
                "output": {"format": self.outbound.terms()},
            },
            "max_output_tokens": "inf",
        }


def _check_objects(asked: Mapping[str, Any]) -> None:
    """Raises where there is something else in the place of an object."""
    audio, terms = asked.get("audio"), object_of(asked, "audio")
    places = {"audio": audio, **{f"audio.{each}": terms.get(each) for each in DIRECTIONS}}
    places["audio.input.turn_detection"] = _input_of(asked).get("turn_detection")
    places["turn_detection"] = asked.get("turn_detection")
    for place, value in places.items():
        check_object(value, f"session.{place}")


def check_object(value: object, param: str) -> None:
    """Raises `EventRefused` unless a field is an object, or not there."""
    if value is not None and not isinstance(value, dict):
        raise EventRefused(f"expected an object, got {type(value).__name__}", param=param)


def _input_of(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    return object_of(object_of(asked, "audio"), "input")


def _check_kind(asked: Mapping[str, Any]) -> None:
    """Raises for a kind of session, or of reply, that there is not."""
    if asked.get("type") not in (None, "realtime"):
        raise EventRefused("there are sessions of the type realtime alone", param="session.type")
    for name in ("output_modalities", "modalities"):
        if asked.get(name) is not None and "audio" not in _list_of(asked, name):
            raise EventRefused("replies are audio", "unsupported_value", f"session.{name}")
    if not isinstance(asked.get("tools") or [], list):
        raise EventRefused("expected a list", param="session.tools")
    if _list_of(asked, "tools"):
        raise EventRefused(
            "tools are functions of the server here: a client cannot add any",
            "unsupported_parameter",
            "session.tools",
        )


def _list_of(asked: Mapping[str, Any], name: str) -> list[Any]:
    value = asked.get(name)
    return value if isinstance(value, list) else []
