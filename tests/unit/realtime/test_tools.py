"""Python functions as the tools of a model."""

from __future__ import annotations

import functools
import inspect
import queue  # noqa: TC003 - the annotation is read
from typing import Any, Literal

import pytest
from pydantic import TypeAdapter

from gradio_webrtc._realtime import tools as module
from gradio_webrtc._realtime.tools import (
    ArgumentsRefused,
    failure_of,
    is_of_arguments,
    make_tool,
    make_tools,
    output_of,
)
from gradio_webrtc.errors import WebRTCError


def weather(city: str, unit: Literal["C", "F"] = "C", *, days: int = 1) -> str:
    """Returns the weather in a city.

    It is always sunny.

    Args:
        city: The name of the city,
            and: its country.
        unit (str): The unit of temperatures.
        days: The number of days.

    Returns:
        A sentence.
    """
    return f"{days} days of sun in {city}, in {unit}"


async def book(seats: int) -> dict[str, int]:
    """Books seats.

    :param int seats: The number of seats.
    """
    return {"seats": seats}


class Diary:
    """Has things that can be called."""

    def note(self, text: str) -> str:
        """Notes a text."""
        return text.upper()

    def __call__(self, day: int) -> int:
        return day


def test_a_function_describes_itself() -> None:
    schema = make_tool(weather).schema
    assert schema["type"] == "function"
    assert schema["name"] == "weather"
    assert schema["description"] == "Returns the weather in a city.\n\nIt is always sunny."
    parameters = schema["parameters"]
    assert parameters["required"] == ["city"]
    assert parameters["additionalProperties"] is False
    assert parameters["properties"]["unit"]["enum"] == ["C", "F"]
    assert parameters["properties"]["days"]["type"] == "integer"
    notes = {name: each["description"] for name, each in parameters["properties"].items()}
    assert notes == {
        "city": "The name of the city, and: its country.",
        "unit": "The unit of temperatures.",
        "days": "The number of days.",
    }


def test_a_note_may_be_a_field() -> None:
    parameters = make_tool(book).schema["parameters"]
    assert parameters["properties"]["seats"]["description"] == "The number of seats."
    assert make_tool(book).schema["description"] == "Books seats."


async def test_functions_of_every_kind_can_be_tools() -> None:
    assert make_tool(weather).fn(city="Rome", days="3") == "3 days of sun in Rome, in C"
    assert make_tool(Diary().note).fn(text="a") == "A"
    assert make_tool(Diary()).fn(day=1) == 1
    assert make_tool(Diary()).name == "Diary"
    partial = make_tool(functools.partial(weather, days=5))
    assert (partial.name, partial.fn(city="Rome")) == ("weather", "5 days of sun in Rome, in C")
    later = make_tool(functools.partial(book, seats=4))
    assert (inspect.iscoroutinefunction(later.fn), await later.fn()) == (True, {"seats": 4})
    tool = make_tool(book)
    assert inspect.iscoroutinefunction(tool.fn)
    assert await tool.fn(seats="2") == {"seats": 2}


def of_queue(item: queue.Queue[int]) -> None: ...


def of_unknown(item: Nothing) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def by_place(item: int, /) -> None: ...


def any_number(*items: int) -> None: ...


@pytest.mark.parametrize(
    ("fn", "error", "text"),
    [
        (3, TypeError, "a tool is a function, got 3"),
        (Diary, TypeError, "a tool is a function"),
        (lambda item: item, ValueError, "needs a name"),
        (of_queue, TypeError, "of_queue have no JSON schema"),
        (of_unknown, TypeError, "of_unknown have no JSON schema"),
        (by_place, TypeError, "item of the tool by_place has none"),
        (any_number, TypeError, "items of the tool any_number has none"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_at_once(fn: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        make_tool(fn)


def test_two_tools_cannot_have_one_name() -> None:
    assert list(make_tools([weather, book])) == ["weather", "book"]
    with pytest.raises(ValueError, match="two tools have the name weather"):
        make_tools([weather, functools.partial(weather, days=2)])


@pytest.mark.parametrize("text", ["[]", "{", "1", "null", "[" * 60_000, '"text"'])
def test_arguments_that_are_no_object_are_refused(text: str) -> None:
    with pytest.raises(ArgumentsRefused, match="as a JSON object"):
        make_tool(weather).read_arguments(text)


def test_arguments_have_a_bound() -> None:
    long = '{"city": "' + "x" * module.MAX_ARGUMENT_CHARS + '"}'
    with pytest.raises(ArgumentsRefused, match="at most 65536 characters"):
        make_tool(weather).read_arguments(long)
    assert make_tool(weather).read_arguments("") == {}


def test_arguments_that_do_not_fit_are_described_to_the_model() -> None:
    tool = make_tool(weather)
    with pytest.raises(ValueError, match="weather") as raised:
        tool.fn(city=3, colour="red")
    assert is_of_arguments(raised.value, tool)
    text = failure_of(raised.value, tool)
    assert text.startswith("Error: the arguments do not fit: ")
    assert "city: Input should be a valid string" in text
    assert "colour: Unexpected keyword argument" in text


class Shelf:
    """A tool that can be called, with a method that is one as well."""

    def find(self, number: int) -> int:
        return number

    def __call__(self, number: int) -> int:
        return number


def _local(number: int) -> int:
    return number


def tools_of_all_kinds() -> list[Any]:
    def local(number: int) -> int:
        return number

    async def local_async(number: int) -> int:
        return number

    return [_local, local, local_async, Shelf().find, Shelf(), functools.partial(local)]


@pytest.mark.parametrize("fn", tools_of_all_kinds())
async def test_wrong_arguments_are_the_model_s_wherever_a_function_was_written(fn: Any) -> None:
    tool = make_tool(fn)
    with pytest.raises(ValueError, match="valid integer") as raised:
        await tool.fn(number="x")
    assert is_of_arguments(raised.value, tool)
    assert failure_of(raised.value, tool).startswith("Error: the arguments do not fit: number: ")


def test_a_validation_within_a_tool_is_no_matter_of_the_model() -> None:
    def parse(text: str) -> int:
        return TypeAdapter(dict[str, int]).validate_python({text: "a password"})[text]

    tool = make_tool(parse)
    with pytest.raises(ValueError, match="valid integer") as raised:
        tool.fn(text="from the database")
    assert not is_of_arguments(raised.value, tool)
    failure = failure_of(raised.value, tool)
    assert failure == "Error: the function failed (ValidationError)"


def test_only_the_words_of_our_errors_reach_the_model() -> None:
    tool = make_tool(weather)
    assert failure_of(WebRTCError("No seats are left.")) == "Error: No seats are left."
    assert failure_of(KeyError("the password")) == "Error: the function failed (KeyError)"
    assert not is_of_arguments(KeyError(), tool)
    assert is_of_arguments(ArgumentsRefused("no object"), tool)


def test_outputs_are_text_or_json_and_bounded() -> None:
    assert output_of("as it is") == "as it is"
    assert output_of({"a": [1, None], "b": object, "c": b"\xff"}).startswith('{"a":[1,null],"b":"<')
    assert output_of(None) == "null"
    assert len(output_of("x" * 100_000)) == module.MAX_OUTPUT_CHARS
