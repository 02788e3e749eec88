"""The component's class is what Gradio's metaclass makes of it, without the stubs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gradio import component_meta

from gradio_webrtc import WebRTC, component


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the classes that Gradio would have written stubs of."""
    names: list[str] = []
    monkeypatch.setattr(
        component_meta, "create_or_modify_pyi", lambda _class, name, _events: names.append(name)
    )
    return names


def test_the_class_is_what_gradio_would_have_made(stubs: list[str]) -> None:
    made_later = {"__dict__", "__weakref__", "__abstractmethods__", "_abc_impl"}
    ours: Any = WebRTC
    gradios: Any = component_meta.ComponentMeta
    body = {name: value for name, value in vars(ours).items() if name not in made_later}
    body["__init__"] = ours.__init__.__wrapped__
    twin = gradios("WebRTC", ours.__bases__, body)
    assert stubs == ["WebRTC"]
    assert vars(twin).keys() == vars(ours).keys()
    assert twin.__init__.__code__ is ours.__init__.__code__
    assert twin.EVENTS is ours.EVENTS
    assert twin.__abstractmethods__ == ours.__abstractmethods__


def test_a_component_made_of_ours_is_all_that_gradio_makes_it(stubs: list[str]) -> None:
    class Louder(WebRTC):
        EVENTS = ["shout"]  # type: ignore[misc]  # noqa: RUF012 - as Gradio's guide has it

    assert stubs == ["Louder"]
    assert callable(Louder.shout)  # type: ignore[attr-defined]
    assert callable(Louder.submit)


def test_importing_leaves_nothing_beside_the_source() -> None:
    stub = Path(component.__file__).with_suffix(".pyi")
    stub.unlink(missing_ok=True)
    subprocess.run([sys.executable, "-c", "from gradio_webrtc import WebRTC"], check=True)
    assert not stub.exists()


def test_a_rebuilt_component_answers_for_the_same_sessions_even_when_there_are_none() -> None:
    component = WebRTC()
    rebuilt = WebRTC(**component.constructor_args)
    assert rebuilt._sessions is component._sessions  # noqa: SLF001
