"""The arguments of `ReplyOnPause` in the orders of gradio_webrtc 0.0.31 and of fastrtc 0.0.34.

A function without state, for any thread. Imports the options of turns alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._turns.interruption import INTERRUPT_AFTER_S
from gradio_webrtc._turns.options import AlgoOptions, SileroVadOptions, Speculation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gradio_webrtc.types import AudioFrame, Layout

FASTRTC_ORDER: Final = (
    "startup_fn",
    "algo_options",
    "model_options",
    "can_interrupt",
    "expected_layout",
    "output_sample_rate",
    "output_frame_size",
    "input_sample_rate",
    "model",
    "needs_args",
)
"""The positional order of fastrtc 0.0.34, behind ``fn``."""

GRADIO_WEBRTC_ORDER: Final = (
    "algo_options",
    "model_options",
    "expected_layout",
    "output_sample_rate",
    "output_frame_size",
    "input_sample_rate",
)
"""The positional order of gradio_webrtc 0.0.31, behind ``fn``."""


@dataclass
class ReplyOptions:
    """The arguments of `ReplyOnPause` besides the function, which documents them."""

    startup_fn: Callable[..., Any] | None = None
    algo_options: AlgoOptions | None = None
    model_options: Any = None
    can_interrupt: bool = True
    expected_layout: Layout = "mono"
    output_sample_rate: int = 24000
    output_frame_size: int | None = None
    input_sample_rate: int = 48000
    model: Any = None
    needs_args: bool = False
    vad: Any = None
    speculative: bool | Speculation | None = False
    echo_guard: bool = True
    resume: bool = False
    is_interruption: Callable[[AudioFrame], Any] | None = None
    interrupt_after_s: float = INTERRUPT_AFTER_S
    turn_end: Any = None


def reply_options(positional: tuple[object, ...], keywords: Mapping[str, object]) -> ReplyOptions:
    """Returns the arguments behind the function, by name, from either order.

    Args:
        positional: In the order of fastrtc 0.0.34 or of gradio_webrtc 0.0.31, told apart by type.
        keywords: By name; a name may not be given twice.

    Raises:
        TypeError: Too many, an unknown name, one given twice, or one of the wrong type.
    """
    order = GRADIO_WEBRTC_ORDER if _is_gradio_webrtc_order(positional) else FASTRTC_ORDER
    if len(positional) > len(order):
        raise TypeError(
            f"ReplyOnPause takes at most {len(order) + 1} positional arguments in this order: "
            f"fn, {', '.join(order)}"
        )
    named = dict(zip(order, positional, strict=False))
    known = {field.name for field in fields(ReplyOptions)}
    for name in keywords:
        if name not in known:
            raise TypeError(f"ReplyOnPause got an unexpected argument {name!r}")
        if name in named:
            raise TypeError(f"ReplyOnPause got {name!r} twice")
    options = ReplyOptions(**named, **keywords)  # type: ignore[arg-type]  # checked below
    _check(options)
    return options


def _is_gradio_webrtc_order(positional: tuple[object, ...]) -> bool:
    """True if AlgoOptions, the options of the model or the layout stand where 0.0.31 has them."""
    first, second, third = (*positional, None, None, None)[:3]
    return (
        isinstance(first, AlgoOptions)
        or isinstance(second, SileroVadOptions)
        or isinstance(third, str)
    )


def _check(options: ReplyOptions) -> None:
    if not (options.startup_fn is None or callable(options.startup_fn)):
        raise TypeError(f"startup_fn is a function, got {options.startup_fn!r}")
    if not (options.algo_options is None or isinstance(options.algo_options, AlgoOptions)):
        raise TypeError(f"algo_options is an AlgoOptions, got {options.algo_options!r}")
    if not isinstance(options.speculative, bool | Speculation | None):
        raise TypeError(f"speculative is True, False or a Speculation, got {options.speculative!r}")
    if not isinstance(options.echo_guard, bool):
        raise TypeError(f"echo_guard is True or False, got {options.echo_guard!r}")
    _check_resuming(options)
    if options.model is not None and options.vad is not None:
        raise TypeError("model and vad are two names for one thing: give one of them")


def _check_resuming(options: ReplyOptions) -> None:
    if not isinstance(options.resume, bool):
        raise TypeError(f"resume is True or False, got {options.resume!r}")
    if not (options.is_interruption is None or callable(options.is_interruption)):
        raise TypeError(f"is_interruption is a function, got {options.is_interruption!r}")
    if not isinstance(options.interrupt_after_s, int | float):
        raise TypeError(f"interrupt_after_s is a number, got {options.interrupt_after_s!r}")
    if options.is_interruption is not None and not options.resume:
        raise TypeError("is_interruption is asked with resume=True only")
