"""Checks of handlers and functions when the interface of a stream is built, before any session.

They run in the thread that builds it. Functions read signatures only, and call no user code.
Imports neither transports nor sessions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradio_webrtc._mistakes import shorten
from gradio_webrtc._workers.user_code import unwrap_partial

from .signatures import (
    SESSION_ID,
    Callee,
    advise_on_init,
    explain_misfit,
    mistakes_of,
    signature_of,
)

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable, Sequence

    from .turn_handler import TurnHandler


def check_handler(handler: object) -> None:
    """Refuses a handler that cannot work.

    Raises:
        TypeError: It has a mistake; the text has the remedy.
    """
    advice = advise_on_init(handler)
    mistakes = [advice] if advice else mistakes_of(handler)
    if mistakes:
        raise TypeError("; ".join(mistakes))


def check_function(fn: Callable[..., Any], first: str, inputs: Sequence[str]) -> list[str]:
    """Compares the parameters of a function with the values of a stream.

    Args:
        fn: The user's function.
        first: The value before the inputs, in words; empty if there is none.
        inputs: The sources of the values behind it, in words.

    Returns:
        Warnings for the user.

    Raises:
        TypeError: It cannot be called with them; names the function with its signature, and them.
    """
    reason = explain_misfit(fn, bool(first) + len(inputs))
    if reason is not None:
        raise TypeError(
            f"{describe_call(fn)} cannot be called with {_in_words(first, inputs)}: {reason}. Give "
            "it one parameter for each of them, or change the inputs of the stream; a parameter "
            f"called {SESSION_ID} takes none of them and gets the id of the session"
        )
    if not (inputs and Callee(fn).takes_id_among_inputs):
        return []
    text = (
        f"{describe_call(fn)}: {SESSION_ID} gets the id of the session, and the parameters behind "
        f"it the values of {', '.join(inputs)}. To make that clear, write {SESSION_ID} last, or "
        "behind *"
    )
    return [text]


def check_turns(handler: TurnHandler, inputs: Sequence[str]) -> list[str]:
    """Compares the functions of a handler of turns with the inputs of its stream.

    Args:
        handler: One with an ``emit`` of its own calls its functions as it likes.
        inputs: The sources of the values behind the audio, in words.

    Returns:
        Warnings for the user.

    Raises:
        TypeError: See `check_function`.
    """
    if handler.emits_by_itself:
        return []
    for_turns, for_start = handler._rtc_takes_inputs  # noqa: SLF001 - it is one of us
    warnings = check_function(handler.fn, "the audio", inputs if for_turns else ())
    if handler.startup_fn is not None:
        warnings += check_function(handler.startup_fn, "", inputs if for_start else ())
    # Of the class itself: the code of a subclass may read the values from `latest_args`.
    is_ready_made = vars(type(handler)).get("_rtc_is_ready_made", False)
    if inputs and is_ready_made and not (for_turns or for_start):
        warnings.append(
            f"{describe_call(handler.fn)} takes the audio alone: the values of "
            f"{', '.join(inputs)} are not used. Give it a parameter for each of them, or leave "
            "them out of the inputs of the stream"
        )
    return warnings


def describe_call(fn: Callable[..., Any]) -> str:
    """Returns the function as its first line would call it, without annotations."""
    inner = unwrap_partial(fn)
    name = getattr(inner, "__qualname__", type(inner).__qualname__).rpartition("<locals>.")[2]
    signature = signature_of(fn)
    if signature is None:
        return name
    bare = [_bare(each) for each in signature.parameters.values()]
    plain = signature.replace(parameters=bare, return_annotation=signature.empty)
    return f"{name}{plain}"


class _ShortDefault:
    """A default in a signature, as short as a text repeats it."""

    def __init__(self, default: object) -> None:
        self._text = shorten(default)

    def __repr__(self) -> str:
        return self._text


def _bare(parameter: inspect.Parameter) -> inspect.Parameter:
    """Returns the parameter without its annotation, and with a default that is short."""
    has_default = parameter.default is not parameter.empty
    default = _ShortDefault(parameter.default) if has_default else parameter.empty
    return parameter.replace(annotation=parameter.empty, default=default)


def _in_words(first: str, inputs: Sequence[str]) -> str:
    if not inputs:
        return f"{first} alone" if first else "no values"
    values = f"the values of {', '.join(inputs)}"
    return f"{first} and {values}" if first else values
