"""Every public class and function has an example that runs, or refers to one.

The public names are those of the API reference. An example is a doctest in a docstring.
"""

from __future__ import annotations

import asyncio
import doctest
import importlib
import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from support.reference import documented

import gradio_webrtc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ELSEWHERE = {
    "AsyncAudioVideoStreamHandler": ("AudioVideoStreamHandler", "the same with coroutines"),
    "AudioChunk": ("SileroVADModel", "an item of its result"),
    "CartesiaTTSModel": ("get_tts_model", "it makes one, for the key of an account"),
    "CartesiaTTSOptions": ("HibariTTSOptions", "the same for a service"),
    "DataChannel": ("StreamHandler", "a handler has one, and methods for all of it"),
    "FakeTransport": ("simulate", "it makes one, inside of the event loop"),
    "HibariTTSModel": ("get_tts_model", "it makes one"),
    "KokoroTTSModel": ("get_tts_model", "it makes one, from weights that are downloaded"),
    "KokoroTTSOptions": ("HibariTTSOptions", "the same for another model"),
    "SessionHandle": ("StreamHandler", "a handler has one, and methods for all of it"),
    "SimulatedEvent": ("Simulation", "an item of the result"),
    "SimulatedOutput": ("Simulation", "an item of the result"),
    "SmartTurn": ("TurnEndModel", "the weights are those of another package"),
    "StreamHandlerBase": ("StreamHandler", "users subclass that one"),
    "TTSModel": ("get_tts_model", "it returns one"),
    "TTSOptions": ("HibariTTSOptions", "users pass a subclass of it"),
    "TransportStats": ("SessionStats", "a field of it"),
    "UIArgs": ("Stream", "an argument of it"),
    "Turn": ("Simulation", "an item of the result"),
}
"""Public names without an example: the name of a documented one with an example, to which the
docstring refers, and the reason why that one is enough."""

OLDER = {each.name for each in documented("older_paths.md")}
"""Names for older programs, which need no example: the page leads to Migrating, for new ones."""


NAMES = {name: getattr(gradio_webrtc, name) for name in gradio_webrtc.__all__} | {"np": np}
"""The names that examples need not import: they may name whatever a program imports."""

CREDENTIALS = ("HF_TOKEN", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")


class Documented(NamedTuple):
    """A public class or function, and the examples in its docstrings."""

    name: str
    value: Any
    tests: list[doctest.DocTest]


def examples_of(name: str, value: Any) -> list[doctest.DocTest]:
    """The examples of a public object, those of a class's methods among them."""
    module = importlib.import_module(value.__module__)
    finder = doctest.DocTestFinder(exclude_empty=True)
    names = vars(module) | NAMES
    return [test for test in finder.find(value, name, module, extraglobs=names) if test.examples]


def classes_and_functions() -> Iterator[Documented]:
    """Yields everything of ours in the reference that can be called or subclassed."""
    for _, name, found in documented():
        value: Any = found
        is_ours = getattr(value, "__module__", "").startswith("gradio_webrtc")
        if is_ours and (isinstance(value, type) or inspect.isroutine(inspect.unwrap(value))):
            yield Documented(name, value, examples_of(name, value))


def base_with_an_example(value: Any) -> bool:
    """True for an exception of ours one of whose bases, which `help` shows, has an example."""
    if not (isinstance(value, type) and issubclass(value, Exception)):
        return False
    return any(base.__name__ in PUBLIC and PUBLIC[base.__name__].tests for base in value.__mro__)


PUBLIC = {each.name: each for each in classes_and_functions()}
EXAMPLES = [test for each in PUBLIC.values() for test in each.tests]


async def run_on_a_loop(run: Callable[[], object]) -> None:
    """Runs it within an event loop: outside of one Gradio makes loops that it does not close."""
    run()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda test: test.name)
def test_an_example_runs(example: doctest.DocTest, monkeypatch: pytest.MonkeyPatch) -> None:
    # No example may reach a service, on no machine.
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    report: list[str] = []
    run = partial(doctest.DocTestRunner().run, example, out=report.append)
    makes_page = any(name in (example.docstring or "") for name in ("gr.Blocks", "Stream("))
    if makes_page:
        asyncio.run(run_on_a_loop(run))
    else:
        run()
    if report:
        pytest.fail("".join(report), pytrace=False)


@pytest.mark.parametrize("name", sorted(PUBLIC.keys() - OLDER - ELSEWHERE.keys()))
def test_a_public_class_or_function_has_an_example(name: str) -> None:
    _, value, tests = PUBLIC[name]
    assert tests or base_with_an_example(value), "add an example, or a line to ELSEWHERE"


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_name_without_an_example_refers_to_one(name: str) -> None:
    target, reason = ELSEWHERE[name]
    _, value, tests = PUBLIC[name]
    assert reason
    assert not tests, "it has an example: remove its line from ELSEWHERE"
    assert PUBLIC[target].tests
    assert f"`{target}`" in (inspect.getdoc(value) or "")
