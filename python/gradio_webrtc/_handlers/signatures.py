"""The arguments of a user's function: whether they fit, and what is among them besides inputs."""

from __future__ import annotations

import functools
import inspect
import re
import types
from typing import TYPE_CHECKING, Any, Final, Union, get_args, get_origin

from gradio_webrtc.errors import HandlerError

from .notices import current_context

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
