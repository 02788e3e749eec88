"""What may be passed to ``WebRTC.stream`` and ``WebRTC(...)``: checks and defaults, no Gradio."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final, get_args

from .handlers import (
    AudioGenerator,
    StreamHandlerBase,
    TurnHandler,
    VideoFunction,
    VideoGenerator,
    VideoStreamHandler,
)
from .types import Modality, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MODES: Final = get_args(Mode)
MODALITIES: Final = get_args(Modality)

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
        raise ValueError(f"mode must be one of {', '.join(MODES)}; got {mode!r}")
    if modality not in MODALITIES:
        raise ValueError(f"modality must be one of {', '.join(MODALITIES)}; got {modality!r}")


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
            "StreamHandlerBase."
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
        TypeError: ``fn`` is nothing of the kind.
        ValueError: ``fn`` does not fit the mode and the modality.
    """
    if isinstance(fn, StreamHandlerBase):
        _check_handler(fn, modality)
        return fn
    if not (isinstance(fn, VideoStreamHandler) or callable(fn)):
        raise TypeError(f"expected a function or a handler, got {fn!r}")
    if modality == "video":
        video = fn if isinstance(fn, VideoStreamHandler) else VideoStreamHandler(fn)
        if mode == "receive":
            return VideoGenerator(video)
        return VideoFunction(video, takes_inputs=takes_inputs)
    if mode == "receive" and modality == "audio" and not isinstance(fn, VideoStreamHandler):
        return AudioGenerator(fn)
    raise ValueError(f"{_name(fn)} does not fit mode {mode!r} with modality {modality!r}")


def follows_inputs(template: StreamHandlerBase, mode: Mode) -> bool:
    """Whether a call is told of every change of its inputs.

    In mode "receive" those of the click count, and a handler of turns asks at each turn: values
    that came in between would pass for its answer.
    """
    return mode != "receive" and not isinstance(template, TurnHandler)


def _check_handler(handler: StreamHandlerBase, modality: Modality) -> None:
    """A handler that can neither see nor show is no use where there are pictures."""
    if modality != "audio" and not hasattr(handler, "video_emit"):
        raise ValueError(
            f"{type(handler).__name__} has no video_receive and video_emit, which the modality "
            f"{modality!r} needs: see AudioVideoStreamHandler"
        )


def _name(fn: object) -> str:
    return getattr(fn, "__qualname__", type(fn).__name__)
