"""The signatures of user code: the arguments of functions, and the methods of handlers.

Read when a session calls a function or binds a handler. `checks` uses them earlier, when the
interface is built.
"""

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

SESSION_ID: Final = "webrtc_id"
"""A parameter of this name gets the id of the session, and none of the inputs' values."""

REQUEST_IN_WORDS: Final = re.compile(r"Request(\|None)?|None\|Request|Optional\[Request\]")
"""The annotation of a ``gr.Request`` that was left as text, without modules, quotes and spaces."""

NO_ITEMS_FROM_RECEIVE: Final = (
    "its items are dropped, and its body never runs. Put the answer in a queue that {emit} returns "
    "from; or answer each turn of the user with a generator function, ReplyOnPause(fn)"
)

RECEIVE_YIELDS: Final = f"receive returned a generator: {NO_ITEMS_FROM_RECEIVE.format(emit='emit')}"
"""The report of a generator function that hides behind a decorator."""

ONE_ITEM_A_CALL: Final = (
    "{emit} gives one item each time it is called. Write return in place of yield, or keep one "
    "generator and return next(self.generator, None)"
)

RUN_ONCE: Final = "its body never runs. Write it with def or async def, and without yield"

NO_GENERATORS: Final = {
    "receive": NO_ITEMS_FROM_RECEIVE.format(emit="emit"),
    "video_receive": NO_ITEMS_FROM_RECEIVE.format(emit="video_emit"),
    "emit": ONE_ITEM_A_CALL.format(emit="emit"),
    "video_emit": ONE_ITEM_A_CALL.format(emit="video_emit"),
    "start_up": RUN_ONCE,
    "shutdown": RUN_ONCE,
}
"""Methods that may be sync or async, but no generators, with the reason and the remedy."""

PARAMETERS: Final = {
    "receive": ("frame",),
    "emit": (),
    "video_receive": ("frame",),
    "video_emit": (),
    "start_up": (),
    "shutdown": (),
    "copy": (),
}
"""The parameters of methods, beside ``self``."""

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


class Callee:
    """A user's function, and its arguments besides the inputs' values.

    A parameter called ``webrtc_id`` gets the id of the session, and one that is annotated as a
    ``gr.Request`` the request of the session. A default that is a ``gr.Progress`` stays.

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
        """True if positional parameters follow that of the id, so that it can be misread."""
        specials = {each.name for each in self._specials}
        if SESSION_ID not in specials & set(self._positionals):
            return False
        behind = self._positionals[self._positionals.index(SESSION_ID) :]
        return not specials.issuperset(behind)

    def bind(self, *args: object) -> tuple[Callable[..., Any], tuple[object, ...]]:
        """Returns a callable and its positional arguments, complete with those besides the values.

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
        if special.name == SESSION_ID:
            return self._webrtc_id
        if _is_progress(special.default):
            return special.default
        context = current_context.get()
        return None if context is None else context.request


def max_positionals(fn: Callable[..., Any]) -> float:
    """Returns the number of inputs' values that ``fn`` can take; 0 if it shows no signature."""
    signature = signature_of(fn)
    if signature is None:
        return 0
    parameters = signature.parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return float("inf")
    specials = {each.name for each in _specials_of(fn)}
    return len([name for name in _positionals(signature) if name not in specials])


def requires_positional(fn: Callable[..., Any]) -> bool:
    """True if ``fn`` cannot be called without values."""
    return explain_misfit(fn, 0) is not None


def explain_misfit(fn: Callable[..., Any], count: int) -> str | None:
    """Returns the reason why ``fn`` cannot take so many values; ``None`` if none is known."""
    called, args = Callee(fn).bind(*(None,) * count)
    misfit = _misfit(signature_of(called), args)
    if misfit is not None and _misfit(_outermost_signature(called), args) is None:
        # A decorator that keeps the signature of what it wraps may supply the rest itself.
        return None
    return misfit


def signature_of(fn: Callable[..., Any]) -> inspect.Signature | None:
    """Returns the signature that ``fn`` shows; ``None`` if it shows none, as some compiled ones."""
    try:
        return inspect.signature(fn)
    except (TypeError, ValueError):
        return None


def mistakes_of(handler: object) -> list[str]:
    """Returns the mistakes in a handler's methods, each with its remedy."""
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
            if (misfit := _method_misfit(getattr(handler, name, None), len(parameters)))
        ]
    )


def report_mistakes(handler: object, session: SessionHandle) -> None:
    """Reports the mistakes of a handler that was not checked before its session.

    Raises:
        HandlerError: It is not initialised, so that no session can use it.
    """
    advice = advise_on_init(handler)
    if advice:
        raise HandlerError(advice)
    for mistake in mistakes_of(handler):
        session.report(HandlerError(mistake))


def advise_on_init(handler: object) -> str:
    """Returns advice if a handler's base class was never initialised; else an empty text."""
    if hasattr(handler, "latest_args"):
        return ""
    name = type(handler).__qualname__
    return (
        f"{name} is not initialised: write super().__init__() as the first line of "
        f"{name}.__init__, or in __post_init__ where it is a dataclass"
    )


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


def _method_misfit(method: Any, count: int) -> str | None:
    return _misfit(signature_of(method), (None,) * count) if callable(method) else None


def _specials_of(fn: Callable[..., Any]) -> list[inspect.Parameter]:
    """Returns the parameters that take none of the inputs' values, in their order."""
    signature = signature_of(fn)
    parameters = [] if signature is None else signature.parameters.values()
    return [
        each
        for each in parameters
        if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        and (each.name == SESSION_ID or _is_progress(each.default) or _is_request(each.annotation))
        and not _is_bound_by_user(fn, each.name)
    ]


def _is_progress(default: object) -> bool:
    return _is_gradios(type(default), "Progress")


def _is_request(annotation: object) -> bool:
    """True for a ``gr.Request``, or ``None`` besides, also if the annotation is a text."""
    if isinstance(annotation, str):
        bare = re.sub(r"\w+\.|[\s'\"]", "", annotation)
        return REQUEST_IN_WORDS.fullmatch(bare) is not None
    is_union = get_origin(annotation) in (Union, types.UnionType)
    kinds = set(get_args(annotation)) - {type(None)} if is_union else [annotation]
    return all(_is_gradios(each, "Request") for each in kinds)


def _is_gradios(kind: object, name: str) -> bool:
    """True for a class of Gradio's, by its name: handlers work without Gradio, and import none."""
    package = str(getattr(kind, "__module__", "")).partition(".")[0]
    return getattr(kind, "__name__", "") == name and package == "gradio"


def _is_bound_by_user(fn: Callable[..., Any], name: str) -> bool:
    """True if a partial has bound the parameter already."""
    while isinstance(fn, functools.partial):
        if name in fn.keywords:
            return True
        fn = fn.func
    return False


def _positionals(signature: inspect.Signature | None) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = {} if signature is None else signature.parameters
    return [name for name, each in parameters.items() if each.kind in kinds]


def _is_generator_function(method: Any) -> bool:
    return inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method)


def _is_async(method: Any) -> bool:
    return inspect.iscoroutinefunction(method) or _is_generator_function(method)


def _name(handler: object, method: str) -> str:
    return f"{type(handler).__qualname__}.{method}"
