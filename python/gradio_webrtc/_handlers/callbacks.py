"""Methods of a user's handler that can never work as they are written; told in words."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc.errors import HandlerError

if TYPE_CHECKING:
    from gradio_webrtc.types import SessionHandle

HEARD: Final = (
    "nobody takes what it yields, and its body never runs. Put the answer in a queue that {emit} "
    "returns from; or answer each turn of the caller with a generator function, ReplyOnPause(fn)"
)

RECEIVE_YIELDS: Final = f"receive returned a generator: {HEARD.format(emit='emit')}"
"""Words for a generator function that hides behind a decorator."""

GIVEN: Final = (
    "{emit} gives one item each time it is asked. Write return in place of yield, or keep one "
    "generator and return next(self.generator, None)"
)

RUN_ONCE: Final = "its body never runs. Write it with def or async def, and without yield"

NO_GENERATORS: Final = {
    "receive": HEARD.format(emit="emit"),
    "video_receive": HEARD.format(emit="video_emit"),
    "emit": GIVEN.format(emit="emit"),
    "video_emit": GIVEN.format(emit="video_emit"),
    "start_up": RUN_ONCE,
    "shutdown": RUN_ONCE,
}
"""Callbacks that may be sync or async, but no generators."""

PARAMETERS: Final = {
    "receive": ("frame",),
    "emit": (),
    "video_receive": ("frame",),
    "video_emit": (),
    "start_up": (),
    "shutdown": (),
    "copy": (),
}
"""What callbacks are called with, beside ``self``."""

SYNC_ALONE: Final = (
    "copy",
    "reset",
    "set_args",
    "set_channel",
    "clear_queue",
    "determine_pause",
    "process_audio",
    "trigger_response",
)
"""Methods that are called and not awaited."""


def mistakes_of(handler: object) -> list[str]:
    """Lists the mistakes in a handler's methods, each with what to write instead."""
    return (
        [
            f"{_name(handler, name)} is a generator function: {advice}"
            for name, advice in NO_GENERATORS.items()
            if _is_generator_function(getattr(handler, name, None))
        ]
        + [
            f"{_name(handler, name)} is async, and is called without await. Write def {name}"
            for name in SYNC_ALONE
            if _is_async(getattr(handler, name, None))
        ]
        + [
            f"{_name(handler, name)} cannot be called as it is: {misfit}. "
            f"Write def {name}({', '.join(('self', *parameters))})"
            for name, parameters in PARAMETERS.items()
            if (misfit := _misfit(getattr(handler, name, None), len(parameters)))
        ]
    )


def check_handler(handler: object) -> None:
    """Refuses a handler that cannot work, when the page is built.

    Raises:
        TypeError: Says what is wrong, and what to write instead.
    """
    forgotten = init_is_forgotten(handler)
    mistakes = [forgotten] if forgotten else mistakes_of(handler)
    if mistakes:
        raise TypeError("; ".join(mistakes))


def report_mistakes(handler: object, call: SessionHandle) -> None:
    """Tells of a handler that nobody checked before its call.

    Raises:
        HandlerError: It is not initialised, so that no call can be made with it.
    """
    forgotten = init_is_forgotten(handler)
    if forgotten:
        raise HandlerError(forgotten)
    for mistake in mistakes_of(handler):
        call.report(HandlerError(mistake))


def init_is_forgotten(handler: object) -> str:
    """Words for a handler whose base class never was initialised; empty for any other."""
    if hasattr(handler, "latest_args"):
        return ""
    name = type(handler).__qualname__
    return (
        f"{name} is not initialised: write super().__init__() as the first line of "
        f"{name}.__init__, or in __post_init__ where it is a dataclass"
    )


def _is_generator_function(method: Any) -> bool:
    return inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method)


def _is_async(method: Any) -> bool:
    return inspect.iscoroutinefunction(method) or _is_generator_function(method)


def _misfit(method: Any, count: int) -> str:
    """Says why a method cannot take so many arguments; empty when it can or will not say."""
    try:
        inspect.signature(method).bind(*(None,) * count)
    except TypeError as error:
        return str(error) if callable(method) else ""
    except ValueError:
        return ""
    return ""


def _name(handler: object, method: str) -> str:
    return f"{type(handler).__qualname__}.{method}"
