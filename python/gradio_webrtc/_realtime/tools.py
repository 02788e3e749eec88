"""Python functions that the model of a service may call: their JSON schema, and one call.

Runs on the event loop, but for the functions themselves. Arguments come from a model, which
anybody may have talked into anything: they are checked against the annotations first.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import PydanticUserError, TypeAdapter, ValidationError, validate_call
from pydantic_core import to_json

from gradio_webrtc._workers.user_code import (
    describe_callable,
    is_async_callable,
    unwrap_partial,
)
from gradio_webrtc.errors import WebRTCError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MAX_ARGUMENT_CHARS: Final = 64 * 1024
"""Characters of the arguments of one call."""

MAX_OUTPUT_CHARS: Final = 64 * 1024
"""Characters of an output; the rest is cut off. A model reads some 16,000 tokens of it."""

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""The names that services take for a function."""

_SECTION: Final = re.compile(r"(?:Args|Arguments|Parameters):")
_GOOGLE: Final = re.compile(r"(\w+)(?: *\(.*?\))?: *(.+)")
_FIELD: Final = re.compile(r":param(?: \w+)? (\w+): *(.+)")


class ArgumentsRefused(ValueError):
    """Arguments that do not fit a function, in words for the model."""


@dataclass(frozen=True)
class Tool:
    """A function of the user's, as a service gets it.

    Attributes:
        fn: The function, behind a check of its arguments.
        name: Its name.
        schema: Its description in the form of the protocol.
        titles: The titles under which Pydantic reports that arguments do not fit: the name of the
            function, or since 2.10 that with all it stands in, such as ``Shop.find``.
    """

    fn: Callable[..., Any]
    name: str
    schema: dict[str, Any] = field(repr=False)
    titles: frozenset[str] = field(repr=False)

    def read_arguments(self, text: str) -> dict[str, Any]:
        """Returns the arguments of a call, by name; not compared with the annotations yet.

        Raises:
            ArgumentsRefused: They are no JSON object, or too long.
        """
        if len(text) > MAX_ARGUMENT_CHARS:
            raise ArgumentsRefused(f"expected at most {MAX_ARGUMENT_CHARS} characters of arguments")
        try:
            arguments = json.loads(text or "{}")
        except (ValueError, RecursionError):
            raise ArgumentsRefused("expected the arguments as a JSON object") from None
        if not isinstance(arguments, dict):
            raise ArgumentsRefused("expected the arguments as a JSON object")
        return arguments


def make_tool(fn: Any) -> Tool:
    """Returns a function as a tool: described by its signature, its annotations and its docstring.

    Raises:
        TypeError: It cannot be called, takes arguments without a name, or has an annotation that
            JSON has nothing for.
        ValueError: Its name is none that services take.
    """
    if not callable(fn) or isinstance(fn, type):
        raise TypeError(f"a tool is a function, got {fn!r:.200}")
    named: Any = unwrap_partial(fn)
    name = getattr(named, "__name__", type(named).__name__)
    if not NAME.fullmatch(name):
        raise ValueError(
            f"a tool needs a name of letters, digits, - and _, which {describe_callable(fn)} has "
            "not: write a function with def"
        )
    _check_parameters(fn, name)
    try:
        plain: Any = fn if inspect.isroutine(fn) else _as_function(fn)
        parameters = TypeAdapter(plain).json_schema()
        checked = validate_call(plain)
    except (PydanticUserError, NameError) as error:
        reason = str(error).partition("\n")[0]
        raise TypeError(f"the arguments of the tool {name} have no JSON schema: {reason}") from None
    text = inspect.getdoc(named) or ""
    for argument, note in _argument_notes(text).items():
        if argument in parameters.get("properties", {}):
            parameters["properties"][argument].setdefault("description", note)
    schema = {
        "type": "function",
        "name": name,
        "description": _summary(text),
        "parameters": parameters,
    }
    titles = frozenset({name, plain.__name__, plain.__qualname__})
    return Tool(functools.wraps(named)(checked), name, schema, titles)


def make_tools(functions: Iterable[Callable[..., Any]]) -> dict[str, Tool]:
    """Returns functions as tools by name.

    Raises:
        TypeError: One cannot be a tool.
        ValueError: Two have one name, or one has none that services take.
    """
    tools: dict[str, Tool] = {}
    for fn in functions:
        tool = make_tool(fn)
        if tool.name in tools:
            raise ValueError(f"two tools have the name {tool.name}")
        tools[tool.name] = tool
    return tools


def output_of(result: object) -> str:
    """Returns the result of a tool as text for the model: text as it is, all else as JSON."""
    text = result if isinstance(result, str) else _as_json(result)
    return text[:MAX_OUTPUT_CHARS]


def _as_json(result: object) -> str:
    return to_json(result, fallback=str, bytes_mode="base64", inf_nan_mode="strings").decode()


def failure_of(error: BaseException, tool: Tool | None = None) -> str:
    """Returns the output of a tool that failed; ``None`` for a call of no tool.

    The words of a `WebRTCError` are for everybody. Those of other exceptions may hold what is no
    business of the user's, to whom the model may read them out.
    """
    if isinstance(error, ArgumentsRefused):
        return f"Error: {error}"
    if isinstance(error, ValidationError) and tool is not None and is_of_arguments(error, tool):
        wrong = [
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}"
            for each in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        return f"Error: the arguments do not fit: {'; '.join(wrong)}"[:MAX_OUTPUT_CHARS]
    if isinstance(error, WebRTCError):
        return f"Error: {error}"
    return f"Error: the function failed ({type(error).__name__})"


def is_of_arguments(error: BaseException, tool: Tool) -> bool:
    """True if an error is the model's: its arguments do not fit. Any other is the function's."""
    if isinstance(error, ValidationError):
        return error.title in tool.titles
    return isinstance(error, ArgumentsRefused)


def _as_function(fn: Any) -> Any:
    """Returns a partial, or an object that can be called, as a function with its signature.

    Pydantic looks for the names in annotations where a function was written, and finds no such
    place for these.
    """
    signature = inspect.signature(fn, eval_str=True)

    def call(*args: object, **kwargs: object) -> Any:
        return fn(*args, **kwargs)

    async def call_async(*args: object, **kwargs: object) -> Any:
        return await fn(*args, **kwargs)

    plain: Any = call_async if is_async_callable(fn) else call
    plain.__signature__ = signature
    plain.__annotations__ = {
        name: each.annotation
        for name, each in signature.parameters.items()
        if each.annotation is not each.empty
    }
    plain.__name__ = getattr(unwrap_partial(fn), "__name__", type(fn).__name__)
    return plain


def _check_parameters(fn: Callable[..., Any], name: str) -> None:
    for each in inspect.signature(fn).parameters.values():
        if each.kind in {each.POSITIONAL_ONLY, each.VAR_POSITIONAL}:
            raise TypeError(
                f"a model passes arguments by name, and {each.name} of the tool {name} has none"
            )


def _summary(docstring: str) -> str:
    """Returns a docstring up to its sections."""
    lines = []
    for line in docstring.splitlines():
        if re.fullmatch(r"\w+:", line) or line.startswith(":"):
            break
        lines.append(line)
    return "\n".join(lines).strip()


def _argument_notes(docstring: str) -> Mapping[str, str]:
    """Returns the notes on arguments in a docstring, by name.

    They are entries of ``Args:`` with their continuations, or fields such as ``:param city:``.
    """
    notes: dict[str, str] = dict(_FIELD.findall(docstring))
    is_inside, name, least_indent = False, "", 0
    for line in docstring.splitlines():
        if line.strip() and not line.startswith(" "):
            is_inside = _SECTION.fullmatch(line.strip()) is not None
            continue
        if not is_inside or not line.strip():
            continue
        entry = _GOOGLE.fullmatch(line.strip())
        indent = len(line) - len(line.lstrip())
        if entry and (not name or indent <= least_indent):
            name, least_indent = entry[1], indent
            notes[name] = entry[2]
        elif name:
            notes[name] += f" {line.strip()}"
    return notes
