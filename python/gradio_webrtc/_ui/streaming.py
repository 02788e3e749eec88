"""Checks and defaults for the arguments of ``WebRTC.stream`` and ``WebRTC(...)``.

Everything that cannot work is refused where the page is built, with the code to write instead.
Imports no Gradio.
"""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING, Any, Final, get_args

from gradio_webrtc._handlers import (
    AsyncAudioVideoStreamHandler,
    AudioGenerator,
    AudioVideoStreamHandler,
    StreamHandlerBase,
    TurnHandler,
    VideoFunction,
    VideoGenerator,
    VideoStreamHandler,
)
from gradio_webrtc._handlers.checks import check_function, check_handler, check_turns
from gradio_webrtc._handlers.signatures import NO_GENERATORS
from gradio_webrtc._mistakes import advise_on_function, shorten
from gradio_webrtc.types import Modality, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MODES: Final = get_args(Mode)
MODALITIES: Final = get_args(Modality)

IDLE_METHODS: Final = {
    AudioVideoStreamHandler.receive,
    AudioVideoStreamHandler.emit,
    AsyncAudioVideoStreamHandler.receive,
    AsyncAudioVideoStreamHandler.emit,
}
"""The methods of the base classes that receive and emit no audio."""

AUDIO_CONSTRAINTS: Final[dict[str, Any]] = {
    "echoCancellation": True,
    "noiseSuppression": {"exact": True},
    "autoGainControl": {"exact": True},
    "sampleRate": {"ideal": 24000},
    "sampleSize": {"ideal": 16},
    "channelCount": {"exact": 1},
}
"""The constraints of a page for a microphone (W3C ``MediaTrackConstraints``). It asks again without
``exact`` when a device has no such feature."""


def video_constraints(*, full_screen: bool) -> dict[str, Any]:
    """Returns the constraints for a camera: 720p to fill the screen, a small square otherwise."""
    width, height = (1280, 720) if full_screen else (500, 500)
    return {
        "facingMode": "user",
        "width": {"ideal": width},
        "height": {"ideal": height},
        "frameRate": {"ideal": 30},
    }


def default_track_constraints(modality: Modality, *, full_screen: bool) -> dict[str, Any]:
    """Returns the constraints for a component without constraints of its own."""
    video = video_constraints(full_screen=full_screen)
    if modality == "video":
        return video
    if modality == "audio":
        return dict(AUDIO_CONSTRAINTS)
    return {"video": video, "audio": dict(AUDIO_CONSTRAINTS)}


def check_mode(mode: str, modality: str) -> None:
    """Raises ValueError unless there are such a mode and such a modality."""
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}; got {shorten(mode)}")
    if modality not in MODALITIES:
        raise ValueError(
            f"modality must be one of {', '.join(MODALITIES)}; got {shorten(modality)}"
        )


def check_stream(
    component: object,
    fn: Callable[..., Any] | StreamHandlerBase | None,
    inputs: Sequence[object],
    outputs: Sequence[object],
    trigger: Callable[..., Any] | None,
) -> None:
    """Checks the arguments of ``stream``.

    Args:
        component: The WebRTC component.
        fn: The handler, or a function.
        inputs: The input components.
        outputs: The output components.
        trigger: The event that starts the stream, in mode "receive".

    Raises:
        ValueError: They do not fit the component. The texts are those of gradio_webrtc 0.0.31 and
            fastrtc where these have one.
    """
    mode, modality = component.mode, component.modality  # type: ignore[attr-defined]
    if mode == "receive":
        _check_receive(component, inputs, outputs, trigger)
        return
    if modality != "video" and not isinstance(fn, StreamHandlerBase):
        raise ValueError(
            f"In the {mode} mode for audio, the event handler must be an instance of "
            f"StreamHandlerBase. {_advise_on_handler(fn, modality)}"
        )
    if not inputs or inputs[0] is not component:
        raise ValueError(
            "In the webrtc stream event, the first input component must be the WebRTC component."
        )
    if not outputs or (len(outputs) != 1 and outputs[0] is not component):
        raise ValueError(
            "In the webrtc stream event, the only output component must be the WebRTC component."
        )
    if outputs[0] is not component:
        # gradio_webrtc 0.0.31 and fastrtc accept it, and programs with a text field write it.
        warnings.warn(
            "stream() sends nothing to its output component: use on_additional_outputs for that",
            stacklevel=3,
        )


def _check_receive(
    component: object,
    inputs: Sequence[object],
    outputs: Sequence[object],
    trigger: Callable[..., Any] | None,
) -> None:
    if any(each is component for each in inputs):
        raise ValueError(
            "In the receive mode stream event, the WebRTC component cannot be an input."
        )
    if len(outputs) != 1 or outputs[0] is not component:
        raise ValueError(
            "In the receive mode stream, the only output component must be the WebRTC component."
        )
    if trigger is None:
        raise ValueError("In the receive mode stream event, the trigger parameter must be provided")


def make_template(
    fn: StreamHandlerBase | VideoStreamHandler | Callable[..., Any] | None,
    mode: Mode,
    modality: Modality,
    *,
    takes_inputs: bool = False,
) -> StreamHandlerBase:
    """Returns the handler of which every session gets a copy.

    Args:
        fn: A handler, which is itself the template; or a function, or a video function with its
            rate, for the modes and modalities that need no handler.
        mode: The direction of the media, from the page's side.
        modality: The kinds of media.
        takes_inputs: True if a video function takes values besides the frame.

    Raises:
        TypeError: ``fn`` is none of these, or a handler that cannot work as it is written.
        ValueError: ``fn`` does not fit the mode and the modality.
    """
    if isinstance(fn, StreamHandlerBase):
        check_handler(fn)
        _check_fit(fn, mode, modality)
        return fn
    if not isinstance(fn, VideoStreamHandler) and (not callable(fn) or _is_of_handler(fn)):
        raise TypeError(f"expected a function or a handler. {_advise_on_handler(fn, modality)}")
    if modality == "video":
        video = fn if isinstance(fn, VideoStreamHandler) else VideoStreamHandler(fn)
        if mode == "receive":
            return VideoGenerator(video)
        return VideoFunction(video, takes_inputs=takes_inputs)
    if mode == "receive" and modality == "audio" and not isinstance(fn, VideoStreamHandler):
        return AudioGenerator(fn)
    expected = "an AudioVideoStreamHandler" if modality == "audio-video" else "a function"
    raise ValueError(
        f"{_name(fn)} does not fit mode {mode!r} with modality {modality!r}: give stream() "
        f"{expected}"
    )


def follows_inputs(template: StreamHandlerBase, mode: Mode) -> bool:
    """True if every change of the inputs is sent to a session under way.

    In mode "receive" the inputs of the click count. A handler of turns requests them at each turn,
    and values that came in between would pass for the answer.
    """
    return mode != "receive" and not isinstance(template, TurnHandler)


def check_arguments(template: StreamHandlerBase, inputs: Sequence[object]) -> None:
    """Compares the user's function in a template with the inputs of the stream.

    Args:
        template: The result of `make_template`.
        inputs: The components behind our own, or any objects that stand for them.

    Raises:
        TypeError: The function cannot be called with their values.
    """
    labels = [_label(each) for each in inputs]
    messages: list[str] = []
    match template:
        case TurnHandler():
            messages = check_turns(template, labels)
        case VideoFunction():
            messages = check_function(template.fn, "the video frame", labels)
        case AudioGenerator() | VideoGenerator():
            messages = check_function(template.fn, "", labels)
    for text in messages:
        warnings.warn(text, stacklevel=3)


def _check_fit(handler: StreamHandlerBase, mode: Mode, modality: Modality) -> None:
    """Raises if a handler has no use for the media of the component, or lacks methods for them."""
    name = type(handler).__name__
    has_video = hasattr(handler, "video_emit")
    if modality == "video" and not has_video:
        raise ValueError(
            f"{name} handles audio alone, and the modality is 'video', as it is by default: write "
            'WebRTC(modality="audio")'
        )
    if modality == "audio-video" and not has_video:
        raise ValueError(
            f"{name} has no video_receive and video_emit, which the modality {modality!r} needs: "
            'write WebRTC(modality="audio"), or see AudioVideoStreamHandler'
        )
    if modality == "audio" and has_video:
        _check_without_video(handler)
    if mode == "receive" and isinstance(handler, TurnHandler):
        raise ValueError(
            f"{name} replies to a user, and in mode 'receive' no audio comes in: write "
            'WebRTC(mode="send-receive"), or give stream() the generator function in place of '
            f"{name}"
        )


def _check_without_video(handler: StreamHandlerBase) -> None:
    """Refuses a video handler where there is no video; warns if it handles audio as well."""
    text = (
        f"{type(handler).__name__} handles video, of which there is none with the modality "
        "'audio': write WebRTC(modality=\"audio-video\")"
    )
    if {getattr(type(handler), name, None) for name in ("receive", "emit")} <= IDLE_METHODS:
        raise ValueError(text)
    warnings.warn(text, stacklevel=5)


def _is_of_handler(fn: object) -> bool:
    """True for a class of handlers, or a method of one: both are callable, and no functions."""
    if isinstance(fn, type):
        return issubclass(fn, StreamHandlerBase | VideoStreamHandler)
    return _is_method(fn)


def _is_method(fn: object) -> bool:
    """True for a bound callback of a handler, such as ``handler.receive``."""
    owner = getattr(fn, "__self__", None)
    return isinstance(owner, StreamHandlerBase) and getattr(fn, "__name__", "") in NO_GENERATORS


def _advise_on_handler(fn: object, modality: Modality) -> str:
    """Returns a text that names an object which is no handler, and the code to write instead."""
    if modality == "audio-video" and callable(fn) and not _is_video(fn):
        kind = "class" if isinstance(fn, type) else "function"
        return f"Got the {kind} {_name(fn)}: write an AudioVideoStreamHandler"
    if isinstance(fn, type):
        needs = "fn" if issubclass(fn, TurnHandler | VideoStreamHandler) else ""
        return f"Got the class {fn.__name__}: write {fn.__name__}({needs})"
    if _is_of_handler(fn):
        return f"Got the method {_name(fn)}: give the handler itself"
    if isinstance(fn, VideoStreamHandler):
        return "Got a VideoStreamHandler, which is for the modality 'video'"
    return _advise_on_callable(fn) if callable(fn) else f"Got {advise_on_function(fn)}"


def _advise_on_callable(fn: Callable[..., Any]) -> str:
    name = _name(fn)
    if inspect.isroutine(fn) and name.isidentifier():
        return f"Got the function {name}: write ReplyOnPause({name})"
    # The name of a partial, a lambda, a method or an object does not identify its code.
    return f"Got {name}: write ReplyOnPause(fn), with it for fn"


def _is_video(fn: object) -> bool:
    """True for objects that have an advice of their own where there are audio and video."""
    return isinstance(fn, VideoStreamHandler) or hasattr(fn, "video_emit") or _is_method(fn)


def _label(component: object) -> str:
    """Returns a component in words: its kind, and its label if it has one."""
    label = getattr(component, "label", None)
    kind = type(component).__name__
    return f"{kind} {shorten(label)}" if label else kind


def _name(fn: object) -> str:
    return getattr(fn, "__qualname__", type(fn).__qualname__).rpartition("<locals>.")[2]
