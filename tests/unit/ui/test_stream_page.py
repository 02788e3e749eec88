"""The page of a `Stream`."""

from __future__ import annotations

from itertools import product
from typing import Any

import gradio as gr
import pytest

from gradio_webrtc import WebRTC
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
    page, component, _ = build_page(WebRTC, PageParts(mode, modality, (), outputs, options))
    assert {component, *outputs} <= set(page.blocks.values())
