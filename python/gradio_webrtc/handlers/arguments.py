"""The arguments of a user's function: whether they fit, and the id of the call among them."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .turn_handler import TurnHandler

CALL_ID: Final = "webrtc_id"
"""A parameter of this name gets the id of the call, and none of the inputs' values."""


class Callee:
    """A user's function, and where the id of the call belongs among its arguments.

    Args:
        fn: Any callable. One that names no parameters is called with the values alone.
        webrtc_id: The id.
    """

    def __init__(self, fn: Callable[..., Any], webrtc_id: str = "") -> None:
        self.fn = fn
        self._webrtc_id = webrtc_id
        self._position, self._takes_id = _place_of_id(fn)

    @property
    def takes_id_among_inputs(self) -> bool:
        """True when positional parameters follow that of the id, so that it can be misread."""
        return self._position is not None and self._position < max_positionals(self.fn)

    def bind(self, *args: object) -> tuple[Callable[..., Any], tuple[object, ...]]:
        """Returns a callable and its positional arguments, the id among them where it is wanted.

        Args:
            *args: The values for all other parameters.
        """
        if not self._takes_id:
            return self.fn, args
        if self._position is None or len(args) < self._position:
            return functools.partial(self.fn, **{CALL_ID: self._webrtc_id}), args
        return self.fn, (*args[: self._position], self._webrtc_id, *args[self._position :])


def max_positionals(fn: Callable[..., Any]) -> float:
    """Counts the values that ``fn`` can take besides the id of the call; 0 when it will not say."""
    signature = signature_of(fn)
    if signature is None:
        return 0
    parameters = signature.parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return float("inf")
    return len(_positionals(signature)) - (_place_of_id(fn)[0] is not None)


def requires_positional(fn: Callable[..., Any]) -> bool:
    """Tells whether ``fn`` cannot be called without values."""
    return why_not_callable(fn, 0) is not None


def why_not_callable(fn: Callable[..., Any], count: int) -> str | None:
    """Says why ``fn`` cannot take so many values; ``None`` when it can or will not say."""
    called, args = Callee(fn).bind(*(None,) * count)
    misfit = _misfit(signature_of(called), args)
    if misfit is not None and _misfit(_outermost_signature(called), args) is None:
        # A decorator that keeps the signature of what it wraps may supply the rest itself.
        return None
    return misfit


def check_function(fn: Callable[..., Any], first: str, inputs: Sequence[str]) -> list[str]:
    """Compares a function with what a stream has for it, when the page is built.

    Args:
        fn: The user's function.
        first: What comes before the inputs, in words; empty when nothing does.
        inputs: What gives the values behind it, in words.

    Returns:
        What to warn of.

    Raises:
        TypeError: It cannot be called with them; names the function with its signature, and them.
    """
    reason = why_not_callable(fn, bool(first) + len(inputs))
    if reason is not None:
        raise TypeError(
            f"{describe_call(fn)} cannot be called with {_in_words(first, inputs)}: {reason}. Give "
            "it one parameter for each of them, or change the inputs of the stream; a parameter "
            f"called {CALL_ID} takes none of them and gets the id of the call"
        )
    if not (inputs and Callee(fn).takes_id_among_inputs):
        return []
    text = (
        f"{describe_call(fn)}: {CALL_ID} gets the id of the call, and the parameters behind it the "
        f"values of {', '.join(inputs)}. To say so, write {CALL_ID} last, or behind *"
    )
    return [text]


def check_turns(handler: TurnHandler, inputs: Sequence[str]) -> list[str]:
    """Compares the functions of a handler of turns with the inputs of its stream.

    Args:
        handler: One whose own ``emit`` calls the functions is trusted to know how.
        inputs: What gives the values behind the sound, in words.

    Returns:
        What to warn of.

    Raises:
        TypeError: See `check_function`.
    """
    if handler.emits_by_itself:
        return []
    for_turns, for_start = handler._takes_inputs  # noqa: SLF001 - it is one of us
    told = check_function(handler.fn, "the audio", inputs if for_turns else ())
    if handler.startup_fn is not None:
        told += check_function(handler.startup_fn, "", inputs if for_start else ())
    # A subclass may read the values from `latest_args`.
    is_ours = type(handler).__module__.startswith("gradio_webrtc.")
    if inputs and is_ours and not (for_turns or for_start):
        told.append(
            f"{describe_call(handler.fn)} takes the audio alone: the values of "
            f"{', '.join(inputs)} are not used. Give it a parameter for each of them, or leave "
            "them out of the inputs of the stream"
        )
    return told


def describe_call(fn: Callable[..., Any]) -> str:
    """The function as its first line would call it, without annotations."""
    inner = fn
    while isinstance(inner, functools.partial):
        inner = inner.func
    name = getattr(inner, "__qualname__", type(inner).__qualname__).rpartition("<locals>.")[2]
    signature = signature_of(fn)
    if signature is None:
        return name
    bare = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
    plain = signature.replace(parameters=bare, return_annotation=signature.empty)
    return f"{name}{plain}"


def signature_of(fn: Callable[..., Any]) -> inspect.Signature | None:
    """The signature that ``fn`` shows, or ``None`` when it shows none, as some compiled ones."""
    try:
        return inspect.signature(fn)
    except (TypeError, ValueError):
        return None


def _outermost_signature(fn: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(fn, follow_wrapped=False)
    except (TypeError, ValueError):
        return None


def _misfit(signature: inspect.Signature | None, args: Sequence[object]) -> str | None:
    try:
        if signature is not None:
            signature.bind(*args)
    except TypeError as error:
        return str(error)
    return None


def _place_of_id(fn: Callable[..., Any]) -> tuple[int | None, bool]:
    """The position of the parameter for the id, unless it has to be named; whether it is there."""
    signature = signature_of(fn)
    parameter = None if signature is None else signature.parameters.get(CALL_ID)
    if signature is None or parameter is None or _is_bound_by_user(fn):
        return None, False
    match parameter.kind:
        case inspect.Parameter.KEYWORD_ONLY:
            return None, True
        case inspect.Parameter.POSITIONAL_OR_KEYWORD | inspect.Parameter.POSITIONAL_ONLY:
            return _positionals(signature).index(CALL_ID), True
    return None, False


def _is_bound_by_user(fn: Callable[..., Any]) -> bool:
    """Tells whether a partial has given the id already, or something in its place."""
    while isinstance(fn, functools.partial):
        if CALL_ID in fn.keywords:
            return True
        fn = fn.func
    return False


def _positionals(signature: inspect.Signature) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [name for name, each in signature.parameters.items() if each.kind in kinds]


def _in_words(first: str, inputs: Sequence[str]) -> str:
    if not inputs:
        return f"{first} alone" if first else "no values"
    values = f"the values of {', '.join(inputs)}"
    return f"{first} and {values}" if first else values
