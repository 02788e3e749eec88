"""Arguments of ``WebRTC(...)`` and ``stream(...)`` that have no effect, or can never work.

Those without an effect are reported in warnings, the others in errors. Imports no Gradio.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from gradio_webrtc._limits import Limits
from gradio_webrtc.types import Fallback, FrameFormat

if TYPE_CHECKING:
    from gradio_webrtc.types import Modality, Mode

ICE_SERVER_KEYS: Final = frozenset({"urls", "username", "credential", "credentialType"})
"""The members of a server in a W3C ``RTCConfiguration`` (``RTCIceServer``)."""

BUTTON_LABELS: Final = frozenset({"start", "stop", "waiting"})
"""The states of the button that have a label."""


class _Ineffective(NamedTuple):
    """An argument, and the condition under which it has no effect.

    Attributes:
        applies: True if it has no effect, in this mode and this modality.
        why: The end of "... has no effect".
        instead: The advice.
        default: The value of the argument where it was not passed.
    """

    applies: Callable[[str, str], bool]
    why: str
    instead: str = "leave it out"
    default: object = None


def _always(_mode: str, _modality: str) -> bool:
    return True


def _has_video(_mode: str, modality: str) -> bool:
    return modality != "audio"


def _has_no_video(_mode: str, modality: str) -> bool:
    return modality == "audio"


def _has_no_audio(_mode: str, modality: str) -> bool:
    return modality == "video"


def _has_no_camera(mode: str, modality: str) -> bool:
    return mode == "receive" or modality == "audio"


def _records_nothing(mode: str, _modality: str) -> bool:
    return mode == "receive"


def _starts_by_itself(mode: str, _modality: str) -> bool:
    return mode != "receive"


def _takes_both(_mode: str, modality: str) -> bool:
    return modality == "audio-video"


_TRIGGER: Final = "use stream(fn, inputs, outputs, trigger=button.click) to start one from an event"
_TIMER: Final = "use gr.Timer(seconds).tick(fn, ...) to run a function regularly"
_INPUTS: Final = "give the components to stream(fn, inputs=[webrtc, ...], outputs=[webrtc])"
_BUTTON: Final = 'in this mode, whose sessions the user starts; use WebRTC(mode="receive")'
_BOTH: Final = 'with modality "audio-video", which takes both kinds'
_NOT_RECORDED: Final = 'in mode "receive", which records nothing'
_VOICE_ONLY: Final = 'but in sessions with audio alone, WebRTC(modality="audio")'

CONSTRUCTOR: Final[Mapping[str, _Ineffective]] = {
    "value": _Ineffective(_always, "since a session has no value", _TRIGGER),
    "every": _Ineffective(_always, "on sessions", _TIMER),
    "inputs": _Ineffective(_always, "here", _INPUTS),
    "mirror_webcam": _Ineffective(_has_no_camera, "where no camera is shown", default=True),
    "track_constraints": _Ineffective(_records_nothing, _NOT_RECORDED),
    "rtp_params": _Ineffective(_records_nothing, _NOT_RECORDED),
    "icon": _Ineffective(_has_video, _VOICE_ONLY),
    "icon_button_color": _Ineffective(_has_video, _VOICE_ONLY),
    "pulse_color": _Ineffective(_has_video, _VOICE_ONLY),
    "icon_radius": _Ineffective(_has_video, _VOICE_ONLY),
    "full_screen": _Ineffective(_has_no_video, "without video", default=True),
    "allow_extra_tracks": _Ineffective(_takes_both, _BOTH, default=False),
    "latency": _Ineffective(_has_no_audio, "without audio", default=False),
    "on_turn": _Ineffective(_has_no_audio, "without audio"),
}

STREAM: Final[Mapping[str, _Ineffective]] = {
    "trigger": _Ineffective(_starts_by_itself, _BUTTON, "or leave it out"),
    "frame_format": _Ineffective(_has_no_video, "without video", default="bgr"),
}


def check_constructor(arguments: Mapping[str, Any], mode: Mode, modality: Modality) -> list[str]:
    """Checks the arguments of ``WebRTC(...)``.

    Args:
        arguments: The arguments by name.
        mode: The direction of the media, from the page's side.
        modality: The kinds of media.

    Returns:
        A warning for each that has no effect.

    Raises:
        TypeError: One is of a kind that can never work.
        ValueError: One has a value that can never work.
    """
    if arguments["variant"] not in ("wave", "textbox"):
        raise ValueError(f'variant must be "wave" or "textbox"; got {arguments["variant"]!r}')
    if arguments["fallback"] not in get_args(Fallback):
        raise ValueError(
            f'fallback must be "auto", "never" or "always"; got {arguments["fallback"]!r}'
        )
    check_time_limit(arguments["time_limit"])
    _check_limits(arguments["limits"])
    _check_on_turn(arguments["on_turn"])
    _check_configuration(arguments["rtc_configuration"])
    _check_server_configuration(arguments["server_rtc_configuration"])
    warnings = _warnings_of("WebRTC", CONSTRUCTOR, arguments, mode, modality)
    if unknown := set(arguments["button_labels"] or {}) - BUTTON_LABELS:
        warnings.append(
            f"button_labels: {_list(unknown)} has no effect, {_list(BUTTON_LABELS)} have"
        )
    if unknown := set(arguments["server_rtc_configuration"] or {}) - {"iceServers"}:
        warnings.append(f"server_rtc_configuration: {_list(unknown)} has no effect, iceServers has")
    return warnings


def check_stream_settings(
    arguments: Mapping[str, Any], mode: Mode, modality: Modality
) -> list[str]:
    """Checks the settings of ``stream(...)``.

    Args:
        arguments: The arguments by name, and the component's ``variant``.
        mode: The direction of the media, from the page's side.
        modality: The kinds of media.

    Returns:
        A warning for each that has no effect.

    Raises:
        TypeError: One is of a kind that can never work.
        ValueError: One has a value that can never work.
    """
    check_time_limit(arguments["time_limit"])
    _check_concurrency_limit(arguments["concurrency_limit"])
    if (chosen := arguments["frame_format"]) not in get_args(FrameFormat):
        raise ValueError(f'frame_format must be "bgr" or "rgb"; got {chosen!r}')
    if (chosen := arguments["send_input_on"]) not in ("submit", "change"):
        raise ValueError(f'send_input_on must be "submit" or "change"; got {chosen!r}')
    warnings = _warnings_of("stream", STREAM, arguments, mode, modality)
    if chosen == "submit" and (mode == "receive" or arguments["variant"] != "textbox"):
        warnings.append(
            'stream(send_input_on="submit") waits for a text field that is not there; use '
            'WebRTC(variant="textbox"), or leave it out'
        )
    return warnings


def check_time_limit(seconds: object) -> None:
    """Raises unless ``seconds`` is ``None`` or a number above 0.

    Raises:
        TypeError: It is no number.
        ValueError: It is 0 or less, or not a number.
    """
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"time_limit must be a number of seconds or None; got {seconds!r}")
    if not seconds > 0:
        raise ValueError(f"time_limit must be above 0, or None for no limit; got {seconds!r}")


def _check_concurrency_limit(limit: object) -> None:
    if limit is None or limit == "default":
        return
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(
            f'concurrency_limit must be a whole number, or "default" or None for 1; got {limit!r}'
        )
    if limit < 1:
        raise ValueError(f"concurrency_limit must be at least 1; got {limit!r}")


def _check_limits(limits: object) -> None:
    if not isinstance(limits, Limits | None):
        raise TypeError(f"limits must be Limits(...), imported from gradio_webrtc; got {limits!r}")


def _check_on_turn(on_turn: object) -> None:
    if on_turn is not None and not callable(on_turn):
        raise TypeError(f"on_turn must be a function of one argument, or None; got {on_turn!r}")
    if inspect.isgeneratorfunction(on_turn) or inspect.isasyncgenfunction(on_turn):
        raise TypeError("on_turn must not yield: the body of a generator function would never run")


def _check_configuration(configuration: object) -> None:
    if not (configuration is None or isinstance(configuration, Mapping) or callable(configuration)):
        raise TypeError(
            'rtc_configuration must be {"iceServers": [...]} or a function that returns it; got '
            f"{type(configuration).__name__}"
        )


def _check_server_configuration(configuration: object) -> None:
    """Checks it where the page is built: it is used only when the first client connects."""
    if configuration is None:
        return
    expected = 'server_rtc_configuration must be {"iceServers": [{"urls": ...}, ...]}'
    if not isinstance(configuration, Mapping):
        raise TypeError(f"{expected}; got {type(configuration).__name__}")
    servers = configuration.get("iceServers", [])
    if not isinstance(servers, (list, tuple)):
        raise TypeError(f"{expected}; got iceServers as {type(servers).__name__}")
    for server in servers:
        if not isinstance(server, Mapping) or "urls" not in server:
            raise ValueError(f"{expected}; a server has no urls")
        if unknown := set(server) - ICE_SERVER_KEYS:
            raise ValueError(f"{expected}, with username and credential; a server has {unknown}")


def _warnings_of(
    place: str,
    table: Mapping[str, _Ineffective],
    arguments: Mapping[str, Any],
    mode: str,
    modality: str,
) -> list[str]:
    return [
        f"{place}({name}=...) has no effect {entry.why}; {entry.instead}"
        for name, entry in table.items()
        if _was_passed(arguments[name], entry.default) and entry.applies(mode, modality)
    ]


def _was_passed(value: object, default: object) -> bool:
    """True if a value was passed; by identity, since an array has no single answer to ``==``."""
    return value is not default and not (isinstance(value, str) and value == default)


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(map(str, names)))
