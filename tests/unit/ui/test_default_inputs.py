"""The values of inputs for clients without a page: the defaults, read as a page's are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from gradio_webrtc._ui.default_inputs import default_inputs

if TYPE_CHECKING:
    import pytest


async def test_they_are_read_by_their_components() -> None:
    components = [
        gr.Textbox("Ada"),
        gr.Textbox(),
        gr.Slider(1, 10, value=3, step=1),
        gr.Checkbox(value=True),
        gr.Dropdown(["a", "b"], value="b"),
        gr.Radio(["a", "b"]),
        gr.Number(2.5),
        gr.State({"turns": []}),
        gr.Chatbot([{"role": "user", "content": "hello"}]),
        gr.Textbox(lambda: "computed"),
    ]
    values = default_inputs(components)
    assert values[:8] == ["Ada", None, 3, True, "b", None, 2.5, {"turns": []}]
    assert values[8][0]["role"] == "user"
    assert values[9] == "computed"


async def test_each_session_has_values_of_its_own() -> None:
    state = gr.State([])
    first, second = default_inputs([state]), default_inputs([state])
    first[0].append("changed")
    assert second == [[]]


async def test_a_value_that_its_component_cannot_read_is_none_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = gr.Dropdown(["a"], value="a", label="The name")
    broken.value = "gone"
    assert default_inputs([broken, gr.Number(1)]) == [None, 1]
    assert "The name" in caplog.text
