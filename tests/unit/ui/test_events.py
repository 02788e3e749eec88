"""The component's events are listeners of Gradio's kind, and cost an import next to nothing."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import gradio as gr
import pytest
from gradio.context import LocalContext
from gradio.events import EventListener

from gradio_webrtc import ReplyOnPause, WebRTC
from gradio_webrtc._handlers.notices import holding

FIRST_EVENT = """
import sys
sys.path.insert(0, sys.argv[1])
import gradio as gr
from fastapi.testclient import TestClient
from gradio_webrtc import ReplyOnPause, WebRTC

with gr.Blocks() as page:
    call = WebRTC(mode="send-receive", modality="audio")
    call.stream(ReplyOnPause(print), inputs=[call], outputs=[call])
    page.load(lambda: None, api_name="first", queue=False)
client = TestClient(gr.routes.App.create_app(page))
before = set(sys.modules)
client.post("/gradio_api/run/first", json={"data": []}).raise_for_status()
was_there = "matplotlib.backends" in before
print(was_there, *{name.partition(".")[0] for name in {*sys.modules} - before})
"""
"""Prints whether a backend of Matplotlib was there before a page's first event, and what the event
imported. Its argument is the folder of the Matplotlib."""


def test_gradio_has_no_stubs_to_write() -> None:
    # Its metaclass writes and parses them for the events that a class names in its own body.
    assert "EVENTS" not in vars(WebRTC)


# In an event loop: outside of one Gradio makes loops that it never closes.
@pytest.mark.parametrize("event", WebRTC.EVENTS)
async def test_a_function_can_be_attached_to_an_event(event: EventListener) -> None:
    with gr.Blocks() as page:
        component = WebRTC(elem_id="calls")
        getattr(component, event)(lambda: "heard", None, gr.Textbox())
    config = page.get_config_file()
    [calls] = [part["id"] for part in config["components"] if part["props"].get("elem_id")]
    [attached] = config["dependencies"]
    assert attached["targets"] == [(calls, event)]
    assert len(attached["outputs"]) == 1


@pytest.mark.parametrize("event", WebRTC.EVENTS)
def test_an_event_describes_its_occasion(event: EventListener) -> None:
    assert WebRTC.has_event(event)
    listener = getattr(WebRTC, event)
    assert listener.__doc__.startswith(event.doc)
    assert "Parameters:" in listener.__doc__


class Toasts:
    """Stands for Gradio's queue: keeps what it would send to the page."""

    def __init__(self) -> None:
        self._queue = self
        self.shown: list[tuple[Any, ...]] = []

    def log_message(self, *, log: str, title: str, level: str, duration: Any, **_: Any) -> None:
        self.shown.append((level, log, title, duration))


@pytest.fixture
def toasts() -> Iterator[Toasts]:
    """The words that Gradio shows in the page of the event that runs."""
    shown = Toasts()
    with holding(LocalContext.blocks, cast("Any", shown)), holding(LocalContext.event_id, "e"):
        yield shown


async def notice() -> Any:
    """The function behind the event ``notice``."""
    with gr.Blocks() as page:
        component = WebRTC(modality="audio")
        component.stream(ReplyOnPause(print), inputs=[component], outputs=[component])
    [found] = [
        each.fn
        for each in page.fns.values()
        if each.fn is not None and "notice" in {event for _, event in each.targets}
    ]
    return found


@pytest.mark.parametrize("kind", ["warning", "info", "success"])
async def test_words_with_a_look_of_their_own_are_shown_by_gradio(
    kind: str, toasts: Toasts
) -> None:
    given = {"kind": kind, "text": "Too loud.", "title": "Mind", "duration": 2}
    (await notice())(gr.EventData(None, given))
    assert toasts.shown == [(kind, "Too loud.", "Mind", 2)]


async def test_errors_with_a_look_of_their_own_are_shown_by_gradio() -> None:
    given = {"kind": "error", "text": "No voice.", "title": "Upload one", "duration": None}
    show = await notice()
    with pytest.raises(gr.Error) as shown:
        show(gr.EventData(None, given))
    error = shown.value
    assert (error.message, error.title, error.duration) == ("No voice.", "Upload one", None)
    assert not error.print_exception


@pytest.mark.parametrize("given", [None, "text", [1], {}, {"kind": "sing", "text": "la"}])
async def test_a_notice_that_is_none_shows_nothing(given: Any, toasts: Toasts) -> None:
    (await notice())(gr.EventData(None, given))
    assert toasts.shown == []


async def test_a_notice_may_hold_anything(toasts: Toasts) -> None:
    given = {"kind": "info", "text": ["a"], "title": {}, "duration": "long"}
    (await notice())(gr.EventData(None, given))
    assert toasts.shown == [("info", "['a']", "{}", None)]


def test_the_first_event_finds_matplotlib_imported(tmp_path: Path) -> None:
    # Gradio imports it in its first event, on the event loop that carries the sessions.
    package = tmp_path / "matplotlib"
    package.mkdir()
    (package / "__init__.py").write_text(
        "def get_backend():\n    import matplotlib.backends\n    return 'agg'\n"
        "def use(backend): pass\n"
    )
    (package / "backends.py").write_text("")
    command = [sys.executable, "-c", FIRST_EVENT, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    was_there, *imported = done.stdout.split()
    assert was_there == "True"
    assert "matplotlib" not in imported
