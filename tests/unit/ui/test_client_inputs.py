"""The input values of clients of routes, read by components as those of a page are."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from gradio_webrtc._session.client_inputs import InputsRefused
from gradio_webrtc._ui.client_inputs import input_reader

SEVERAL = (gr.Slider(0, 2, 1), gr.Textbox(), gr.Dropdown(["a", "b"]))


def test_each_component_reads_its_value() -> None:
    read = input_reader(SEVERAL)
    assert read([1.5, "text", "b"]) == [1.5, "text", "b"]
    assert read([0, 7, None]) == [0, "7", None]


def test_a_stream_without_inputs_takes_none() -> None:
    read = input_reader(())
    assert read([]) is None
    with pytest.raises(InputsRefused, match="expected a list of 0 values"):
        read([1])


@pytest.mark.parametrize("values", [None, [], [1], [1, "x", "a", 4], "abc", {"0": 1}, 7])
def test_any_other_number_of_values_is_refused(values: object) -> None:
    with pytest.raises(InputsRefused, match="expected a list of 3 values"):
        input_reader(SEVERAL)(values)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (7, "Slider, input 1, refuses this value: Value 7 is greater than maximum value 2."),
        ("loud", "Slider, input 1, refuses this value"),
        (None, "Slider, input 1, refuses this value"),
        ([1], "Slider, input 1, refuses this value"),
    ],
)
def test_a_value_that_the_component_refuses_is_refused(value: object, reason: str) -> None:
    with pytest.raises(InputsRefused) as refused:
        input_reader(SEVERAL)([value, "", "a"])
    assert str(refused.value) == reason


FILE = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize(
    ("component", "value"),
    [
        (gr.State("the server's"), "the client's"),
        (gr.File(), FILE),
        (gr.Image(), FILE),
        (gr.Audio(), FILE),
        (gr.MultimodalTextbox(), {"text": "", "files": [FILE]}),
        (gr.Chatbot(), [{"role": "user", "content": FILE}]),
        (gr.Gallery(), [FILE]),
        (gr.UploadButton(), FILE),
    ],
)
def test_values_that_stay_on_the_server_or_name_files_are_no_clients(
    component: Any, value: object
) -> None:
    with pytest.raises(InputsRefused, match=r"no client can send.*stream\.set_input"):
        input_reader([component])([value])
