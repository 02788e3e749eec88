"""The component's events are listeners of Gradio's kind, and cost an import next to nothing."""

import gradio as gr
import pytest
from gradio.events import EventListener

from gradio_webrtc import WebRTC


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
