"""The arguments of a user's function: whether they fit, and what is among them besides inputs."""

from __future__ import annotations

import functools
import inspect
import re
import types
from typing import TYPE_CHECKING, Any, Final, Union, get_args, get_origin

from gradio_webrtc._mistakes import shorten

from .notices import current_context

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .turn_handler import TurnHandler

CALL_ID: Final = "webrtc_id"
"""A parameter of this name gets the id of the call, and none of the inputs' values."""

REQUEST_IN_WORDS: Final = re.compile(r"Request(\|None)?|None\|Request|Optional\[Request\]")
"""The annotation of a ``gr.Request`` that was left as text, without modules, quotes and spaces."""


class Callee:
    """A user's function, and what belongs among its arguments besides the inputs' values.

    A parameter called ``webrtc_id`` gets the id of the call, and one that is annotated as a
    ``gr.Request`` the request of the call. A default that is a ``gr.Progress`` stays.

    Args:
        fn: Any callable. One that names no parameters is called with the values alone.
        webrtc_id: The id.
    """

    def __init__(self, fn: Callable[..., Any], webrtc_id: str = "") -> None:
        self.fn = fn
        self._webrtc_id = webrtc_id
        self._specials = _specials_of(fn)
        self._positionals = _positionals(signature_of(fn)) if self._specials else []

    @property
    def takes_id_among_inputs(self) -> bool:
        """True when positional parameters follow that of the id, so that it can be misread."""
        specials = {each.name for each in self._specials}
        if CALL_ID not in specials & set(self._positionals):
            return False
        behind = self._positionals[self._positionals.index(CALL_ID) :]
        return not specials.issuperset(behind)

    def bind(self, *args: object) -> tuple[Callable[..., Any], tuple[object, ...]]:
        """Returns a callable and its positional arguments, with what is wanted besides the values.

        Args:
            *args: The values for all other parameters.
        """
        named: dict[str, object] = {}
        for each in self._specials:
            if each.name in self._positionals[: len(args) + 1]:
                position = self._positionals.index(each.name)
                args = (*args[:position], self._value_for(each), *args[position:])
            elif not _is_progress(each.default):
                named[each.name] = self._value_for(each)
        return (functools.partial(self.fn, **named) if named else self.fn), args

    def _value_for(self, special: inspect.Parameter) -> object:
        if special.name == CALL_ID:
            return self._webrtc_id
        if _is_progress(special.default):
            return special.default
        context = current_context.get()
        return None if context is None else context.request


def max_positionals(fn: Callable[..., Any]) -> float:
    """Counts the inputs' values that ``fn`` can take; 0 when it will not say."""
    signature = signature_of(fn)
    if signature is None:
        return 0
    parameters = signature.parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return float("inf")
    specials = {each.name for each in _specials_of(fn)}
    return len([name for name in _positionals(signature) if name not in specials])


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
    bare = [_bare(each) for each in signature.parameters.values()]
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


def _specials_of(fn: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters that none of the inputs' values is for, in their order."""
    signature = signature_of(fn)
    parameters = [] if signature is None else signature.parameters.values()
    return [
        each
        for each in parameters
        if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        and (each.name == CALL_ID or _is_progress(each.default) or _is_request(each.annotation))
        and not _is_bound_by_user(fn, each.name)
    ]


def _is_progress(default: object) -> bool:
    return _is_gradios(type(default), "Progress")


def _is_request(annotation: object) -> bool:
    """Tells a ``gr.Request``, or ``None`` besides, also when the annotation is a text."""
    if isinstance(annotation, str):
        bare = re.sub(r"\w+\.|[\s'\"]", "", annotation)
        return REQUEST_IN_WORDS.fullmatch(bare) is not None
    is_union = get_origin(annotation) in (Union, types.UnionType)
    kinds = set(get_args(annotation)) - {type(None)} if is_union else [annotation]
    return all(_is_gradios(each, "Request") for each in kinds)


def _is_gradios(kind: object, name: str) -> bool:
    """Tells a class of Gradio's, which is not known here, by its name."""
    package = str(getattr(kind, "__module__", "")).partition(".")[0]
    return getattr(kind, "__name__", "") == name and package == "gradio"


def _is_bound_by_user(fn: Callable[..., Any], name: str) -> bool:
    """Tells whether a partial has given the parameter already."""
    while isinstance(fn, functools.partial):
        if name in fn.keywords:
            return True
        fn = fn.func
    return False


def _positionals(signature: inspect.Signature | None) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = {} if signature is None else signature.parameters
    return [name for name, each in parameters.items() if each.kind in kinds]


class _Shown:
    """A default in a signature, as far as a text repeats it."""

    def __init__(self, default: object) -> None:
        self._text = shorten(default)

    def __repr__(self) -> str:
        return self._text


def _bare(parameter: inspect.Parameter) -> inspect.Parameter:
    """The parameter without its annotation, and with a default that is short."""
    has_default = parameter.default is not parameter.empty
    default = _Shown(parameter.default) if has_default else parameter.empty
    return parameter.replace(annotation=parameter.empty, default=default)


def _in_words(first: str, inputs: Sequence[str]) -> str:
    if not inputs:
        return f"{first} alone" if first else "no values"
    values = f"the values of {', '.join(inputs)}"
    return f"{first} and {values}" if first else values
