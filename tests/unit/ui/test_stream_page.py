"""The page of a `Stream`."""

from __future__ import annotations

from itertools import product
from typing import Any

import gradio as gr
import pytest

from gradio_webrtc import Stream, WebRTC
from gradio_webrtc._ui.stream_page import PAIRS, PageParts, build_page


@pytest.mark.parametrize(
    ("pair", "make_output", "options"),
    [
        *product(sorted(PAIRS), (gr.Textbox, gr.Chatbot), ({}, {"full_screen": False})),
        (("audio", "send-receive"), gr.Chatbot, {"variant": "textbox", "icon_radius": 3}),
    ],
)
async def test_no_page_is_warned_of_arguments_that_nobody_wrote(
    pair: Any, make_output: Any, options: dict[str, Any]
) -> None:
    modality, mode = pair
    outputs = [make_output()]
    made: list[Any] = []
    parts = PageParts(mode, modality, (), outputs, options)
    page = build_page(WebRTC, parts, lambda *bound: made.extend(bound))
    component, button = made
    assert {component, *outputs} <= set(page.blocks.values())
    assert (button is None) == (mode != "receive")


def add(frame: Any, _value: float) -> Any:
    return frame


def shown_on(page: gr.Blocks) -> list[Any]:
    """The components that have a place in the layout of a page, once for each."""
    found: list[Any] = []
    left: list[Any] = [page.get_config_file()["layout"]]
    while left:
        part = left.pop()
        found.append(page.blocks.get(part["id"]))
        left += part.get("children") or []
    return found


async def test_streams_may_share_a_component() -> None:
    shared = gr.Slider()
    pages = [Stream(add, additional_inputs=[shared]).ui for _ in range(2)]
    assert all(shared in shown_on(page) for page in pages)


async def test_a_component_of_a_finished_page_is_shown_on_both() -> None:
    with gr.Blocks() as other:
        shared = gr.Slider()
    page = Stream(add, additional_inputs=[shared]).ui
    assert shared in shown_on(page)
    assert shared in shown_on(other)


async def test_an_input_that_comes_twice_is_shown_once() -> None:
    twice = gr.Slider()
    page = Stream(lambda frame, _a, _b: frame, additional_inputs=[twice, twice]).ui
    assert twice.parent is not None
    assert twice.parent.children == [twice]
    assert twice in shown_on(page)


async def test_a_component_made_on_the_programs_page_moves_to_that_of_the_stream() -> None:
    with gr.Blocks() as demo:
        moved = gr.Slider()
        with gr.Tab("A stream"):
            Stream(add, additional_inputs=[moved])
    assert moved not in demo.children
    assert shown_on(demo).count(moved) == 1


@pytest.mark.parametrize("parts", [gr.Slider(render=False), ["slider"], gr.Slider, "slider"])
@pytest.mark.parametrize("name", ["additional_inputs", "additional_outputs"])
async def test_what_is_no_list_of_components_is_refused(name: str, parts: Any) -> None:
    options: dict[str, Any] = {name: parts}
    with pytest.raises(TypeError, match=f"{name} must be a list of Gradio components"):
        Stream(add, additional_outputs_handler=add, **options)


@pytest.mark.parametrize("limit", ["5", 5.0, True])
async def test_a_limit_that_is_no_number_is_refused(limit: Any) -> None:
    with pytest.raises(TypeError, match="concurrency_limit must be a whole number"):
        Stream(lambda frame: frame, concurrency_limit=limit)


@pytest.mark.parametrize("limit", [None, "default"])
async def test_no_limit_stands_for_one(limit: Any) -> None:
    assert Stream(lambda frame: frame, concurrency_limit=limit).concurrency_limit == 1
