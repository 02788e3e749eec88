"""Arguments of ``WebRTC(...)`` and ``stream(...)`` that can have no effect: said, not swallowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from gradio_webrtc._limits import Limits
from gradio_webrtc.types import FrameFormat

if TYPE_CHECKING:
    from gradio_webrtc.types import Modality, Mode

ICE_SERVER_KEYS: Final = frozenset({"urls", "username", "credential", "credentialType"})
"""What a server of a W3C ``RTCConfiguration`` may have (``RTCIceServer``)."""

BUTTON_LABELS: Final = frozenset({"start", "stop", "waiting"})


class _Useless(NamedTuple):
    """An argument, and when it does nothing.

    Attributes:
        is_so: Whether it does nothing, in this mode and this modality.
        why: The end of "... has no effect".
        instead: What to write.
        default: What it is when nobody gave it.
    """

    is_so: Callable[[str, str], bool]
    why: str
    instead: str = "leave it out"
    default: object = None


def _always(_mode: str, _modality: str) -> bool:
    return True


def _has_video(_mode: str, modality: str) -> bool:
    return modality != "audio"


def _has_no_video(_mode: str, modality: str) -> bool:
    return modality == "audio"


def _has_no_camera(mode: str, modality: str) -> bool:
    return mode == "receive" or modality == "audio"


def _records_nothing(mode: str, _modality: str) -> bool:
    return mode == "receive"


def _starts_by_itself(mode: str, _modality: str) -> bool:
    return mode != "receive"


def _takes_both(_mode: str, modality: str) -> bool:
    return modality == "audio-video"


_TRIGGER: Final = "use stream(fn, inputs, outputs, trigger=button.click) to start one from an event"
_TIMER: Final = "use gr.Timer(seconds).tick(fn, ...) for what is to happen regularly"
_INPUTS: Final = "give the components to stream(fn, inputs=[webrtc, ...], outputs=[webrtc])"
_BUTTON: Final = 'in this mode, whose calls the caller starts; use WebRTC(mode="receive")'
_BOTH: Final = 'with modality "audio-video", which takes both kinds'
_NOT_RECORDED: Final = 'in mode "receive", which records nothing'
_VOICE_ONLY: Final = 'but in calls by voice, WebRTC(modality="audio")'

CONSTRUCTOR: Final[Mapping[str, _Useless]] = {
    "value": _Useless(_always, "since a call has no value", _TRIGGER),
    "every": _Useless(_always, "on calls", _TIMER),
    "inputs": _Useless(_always, "here", _INPUTS),
    "mirror_webcam": _Useless(_has_no_camera, "where no camera is shown", default=True),
    "track_constraints": _Useless(_records_nothing, _NOT_RECORDED),
    "rtp_params": _Useless(_records_nothing, _NOT_RECORDED),
    "icon": _Useless(_has_video, _VOICE_ONLY),
    "icon_button_color": _Useless(_has_video, _VOICE_ONLY),
    "pulse_color": _Useless(_has_video, _VOICE_ONLY),
    "icon_radius": _Useless(_has_video, _VOICE_ONLY),
    "full_screen": _Useless(_has_no_video, "without pictures", default=True),
    "allow_extra_tracks": _Useless(_takes_both, _BOTH, default=False),
}

STREAM: Final[Mapping[str, _Useless]] = {
    "trigger": _Useless(_starts_by_itself, _BUTTON, "or leave it out"),
    "frame_format": _Useless(_has_no_video, "without pictures", default="bgr"),
}


def check_constructor(given: Mapping[str, Any], mode: Mode, modality: Modality) -> list[str]:
    """Checks the arguments of ``WebRTC(...)``.

    Args:
        given: The arguments by name.
        mode: Which way media go, from the page's side.
        modality: Which media there are.

    Returns:
        A warning for each that does nothing.

    Raises:
        TypeError: One is of a kind that can never work.
        ValueError: One has a value that can never work.
    """
    if given["variant"] not in ("wave", "textbox"):
        raise ValueError(f'variant must be "wave" or "textbox"; got {given["variant"]!r}')
    check_time_limit(given["time_limit"])
    _check_limits(given["limits"])
    _check_configuration(given["rtc_configuration"])
    _check_server_configuration(given["server_rtc_configuration"])
    said = _useless_ones("WebRTC", CONSTRUCTOR, given, mode, modality)
    if unknown := set(given["button_labels"] or {}) - BUTTON_LABELS:
        said.append(f"button_labels: {_list(unknown)} has no effect, {_list(BUTTON_LABELS)} have")
    if unknown := set(given["server_rtc_configuration"] or {}) - {"iceServers"}:
        said.append(f"server_rtc_configuration: {_list(unknown)} has no effect, iceServers has")
    return said


def check_stream_settings(given: Mapping[str, Any], mode: Mode, modality: Modality) -> list[str]:
    """Checks the settings of ``stream(...)``.

    Args:
        given: The arguments by name, and the component's ``variant``.
        mode: Which way media go, from the page's side.
        modality: Which media there are.

    Returns:
        A warning for each that does nothing.

    Raises:
        TypeError: One is of a kind that can never work.
        ValueError: One has a value that can never work.
    """
    check_time_limit(given["time_limit"])
    _check_concurrency_limit(given["concurrency_limit"])
    if (chosen := given["frame_format"]) not in get_args(FrameFormat):
        raise ValueError(f'frame_format must be "bgr" or "rgb"; got {chosen!r}')
    if (chosen := given["send_input_on"]) not in ("submit", "change"):
        raise ValueError(f'send_input_on must be "submit" or "change"; got {chosen!r}')
    said = _useless_ones("stream", STREAM, given, mode, modality)
    if chosen == "submit" and (mode == "receive" or given["variant"] != "textbox"):
        said.append(
            'stream(send_input_on="submit") waits for a text field that is not there; use '
            'WebRTC(variant="textbox"), or leave it out'
        )
    return said


def check_time_limit(seconds: object) -> None:
    """Raises unless ``seconds`` is ``None`` or a number above 0."""
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


def _check_configuration(configuration: object) -> None:
    if not (configuration is None or isinstance(configuration, Mapping) or callable(configuration)):
        raise TypeError(
            'rtc_configuration must be {"iceServers": [...]} or a function that returns it; got '
            f"{type(configuration).__name__}"
        )


def _check_server_configuration(configuration: object) -> None:
    """The server's own side is asked to connect with it when the first caller is there already."""
    if configuration is None:
        return
    wanted = 'server_rtc_configuration must be {"iceServers": [{"urls": ...}, ...]}'
    if not isinstance(configuration, Mapping):
        raise TypeError(f"{wanted}; got {type(configuration).__name__}")
    servers = configuration.get("iceServers", [])
    if not isinstance(servers, (list, tuple)):
        raise TypeError(f"{wanted}; got iceServers as {type(servers).__name__}")
    for server in servers:
        if not isinstance(server, Mapping) or "urls" not in server:
            raise ValueError(f"{wanted}; a server has no urls")
        if unknown := set(server) - ICE_SERVER_KEYS:
            raise ValueError(f"{wanted}, with username and credential; a server has {unknown}")


def _useless_ones(
    place: str, table: Mapping[str, _Useless], given: Mapping[str, Any], mode: str, modality: str
) -> list[str]:
    return [
        f"{place}({name}=...) has no effect {useless.why}; {useless.instead}"
        for name, useless in table.items()
        if _was_given(given[name], useless.default) and useless.is_so(mode, modality)
    ]


def _was_given(value: object, default: object) -> bool:
    """Tells by identity: an array, say, has no one answer to ``==``."""
    return value is not default and not (isinstance(value, str) and value == default)


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(map(str, names)))
