"""What may be passed to ``WebRTC.stream`` and ``WebRTC(...)``: checks and defaults, no Gradio."""

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

IDLE: Final = {
    AudioVideoStreamHandler.receive,
    AudioVideoStreamHandler.emit,
    AsyncAudioVideoStreamHandler.receive,
    AsyncAudioVideoStreamHandler.emit,
}
"""Methods that hear and say nothing."""

AUDIO_CONSTRAINTS: Final[dict[str, Any]] = {
    "echoCancellation": True,
    "noiseSuppression": {"exact": True},
    "autoGainControl": {"exact": True},
    "sampleRate": {"ideal": 24000},
    "sampleSize": {"ideal": 16},
    "channelCount": {"exact": 1},
}
"""What the page asks of a microphone (W3C ``MediaTrackConstraints``). It asks again without
``exact`` when a device has no such feature."""


def video_constraints(*, full_screen: bool) -> dict[str, Any]:
    """What the page asks of a camera: 720p for a large picture, a small square otherwise."""
    width, height = (1280, 720) if full_screen else (500, 500)
    return {
        "facingMode": "user",
        "width": {"ideal": width},
        "height": {"ideal": height},
        "frameRate": {"ideal": 30},
    }


def default_track_constraints(modality: Modality, *, full_screen: bool) -> dict[str, Any]:
    """The constraints for a component that was given none."""
    video = video_constraints(full_screen=full_screen)
    if modality == "video":
        return video
    if modality == "audio":
        return dict(AUDIO_CONSTRAINTS)
    return {"video": video, "audio": dict(AUDIO_CONSTRAINTS)}


def check_mode(mode: str, modality: str) -> None:
    """Raises ValueError unless both words are known."""
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
    """Checks what was passed to ``stream``.

    Raises:
        ValueError: In the predecessors' words where they had words for it.
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
        # The predecessors let it pass, and programs for their text field say it.
        warnings.warn(
            "stream() sends nothing to the output component given: that is what "
            "on_additional_outputs is for",
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
    """What every call gets a copy of.

    Args:
        fn: A handler, which is itself the template; or a function, or a video function with its
            rate, for the modes and modalities that have no need of a handler.
        mode: Which way media go, from the page's side.
        modality: Which media there are.
        takes_inputs: A video function takes values besides the picture.

    Raises:
        TypeError: ``fn`` is nothing of the kind, or a handler that cannot work as it is written.
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
    needed = "an AudioVideoStreamHandler" if modality == "audio-video" else "a function"
    raise ValueError(
        f"{_name(fn)} does not fit mode {mode!r} with modality {modality!r}: give stream() {needed}"
    )


def follows_inputs(template: StreamHandlerBase, mode: Mode) -> bool:
    """Whether a call is told of every change of its inputs.

    In mode "receive" those of the click count, and a handler of turns asks at each turn: values
    that came in between would pass for its answer.
    """
    return mode != "receive" and not isinstance(template, TurnHandler)


def check_arguments(template: StreamHandlerBase, inputs: Sequence[object]) -> None:
    """Compares the user's function in a template with the inputs of the stream.

    Args:
        template: What `make_template` gave.
        inputs: The components behind our own, or any objects that stand for them.

    Raises:
        TypeError: The function cannot be called with their values.
    """
    labels = [_label(each) for each in inputs]
    told: list[str] = []
    match template:
        case TurnHandler():
            told = check_turns(template, labels)
        case VideoFunction():
            told = check_function(template.fn, "the picture", labels)
        case AudioGenerator() | VideoGenerator():
            told = check_function(template.fn, "", labels)
    for text in told:
        warnings.warn(text, stacklevel=3)


def _check_fit(handler: StreamHandlerBase, mode: Mode, modality: Modality) -> None:
    """A handler that can neither see nor show is no use where there are pictures, and so on."""
    name = type(handler).__name__
    can_see = hasattr(handler, "video_emit")
    if modality == "video" and not can_see:
        raise ValueError(
            f"{name} hears and speaks, and the modality is 'video', as it is by default: write "
            'WebRTC(modality="audio")'
        )
    if modality == "audio-video" and not can_see:
        raise ValueError(
            f"{name} has no video_receive and video_emit, which the modality {modality!r} needs: "
            'write WebRTC(modality="audio"), or see AudioVideoStreamHandler'
        )
    if modality == "audio" and can_see:
        _check_video_receiver(handler)
    if mode == "receive" and isinstance(handler, TurnHandler):
        raise ValueError(
            f"{name} answers a caller, and in mode 'receive' nobody is heard: write "
            'WebRTC(mode="send-receive"), or give stream() the generator function in place of '
            f"{name}"
        )


def _check_video_receiver(handler: StreamHandlerBase) -> None:
    """A handler of pictures where there are none: no use, unless it hears or speaks as well."""
    text = (
        f"{type(handler).__name__} sees and shows pictures, of which there are none with the "
        "modality 'audio': write WebRTC(modality=\"audio-video\")"
    )
    if {getattr(type(handler), name, None) for name in ("receive", "emit")} <= IDLE:
        raise ValueError(text)
    warnings.warn(text, stacklevel=5)


def _is_of_handler(fn: object) -> bool:
    """Tells a class of handlers, or a method of one, from a function, for which both would pass."""
    if isinstance(fn, type):
        return issubclass(fn, StreamHandlerBase | VideoStreamHandler)
    return _is_method(fn)


def _is_method(fn: object) -> bool:
    """Tells a callback of a handler."""
    owner = getattr(fn, "__self__", None)
    return isinstance(owner, StreamHandlerBase) and getattr(fn, "__name__", "") in NO_GENERATORS


def _advise_on_handler(fn: object, modality: Modality) -> str:
    """Names an object that is no handler, and what to write instead."""
    if modality == "audio-video" and callable(fn) and not _is_video(fn):
        kind = "class" if isinstance(fn, type) else "function"
        return f"Got the {kind} {_name(fn)}: write an AudioVideoStreamHandler, which sees and hears"
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
    # A partial, a lambda, a method or an object is not written as it is called.
    return f"Got {name}: write ReplyOnPause(fn), with it for fn"


def _is_video(fn: object) -> bool:
    """Tells what has a hint of its own where there are pictures and sound."""
    return isinstance(fn, VideoStreamHandler) or hasattr(fn, "video_emit") or _is_method(fn)


def _label(component: object) -> str:
    """A component in words: its kind, and its label if it has one."""
    label = getattr(component, "label", None)
    kind = type(component).__name__
    return f"{kind} {shorten(label)}" if label else kind


def _name(fn: object) -> str:
    return getattr(fn, "__qualname__", type(fn).__qualname__).rpartition("<locals>.")[2]
