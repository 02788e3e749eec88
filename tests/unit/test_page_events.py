"""The component's events are listeners of Gradio's kind, and cost an import next to nothing."""

import subprocess
import sys
from pathlib import Path

import gradio as gr
import pytest
from gradio.events import EventListener

from gradio_webrtc import WebRTC

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
"""Says whether a backend of Matplotlib was there before a page's first event, and what the event
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
def test_an_event_says_when_it_comes(event: EventListener) -> None:
    assert WebRTC.has_event(event)
    listener = getattr(WebRTC, event)
    assert listener.__doc__.startswith(event.doc)
    assert "Parameters:" in listener.__doc__


def test_the_first_event_finds_matplotlib_imported(tmp_path: Path) -> None:
    # Gradio imports it in its first event, on the event loop that carries the calls.
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
