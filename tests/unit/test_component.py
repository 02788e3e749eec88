"""Values that an ordinary event may give to the component; the rest is refused.

All in an event loop: outside of one Gradio makes loops that it never closes.
"""

from __future__ import annotations

import uuid
from typing import Any

import gradio as gr
import numpy as np
import pytest

from gradio_webrtc import AdditionalOutputs, CloseStream, WebRTC, WebRTCData

PAGES_OWN = {"webrtc_id": str(uuid.uuid4()), "secret": "s", "textbox": "hello"}


@pytest.fixture
async def component() -> WebRTC:
    with gr.Blocks():
        return WebRTC(mode="receive", modality="audio")


@pytest.mark.parametrize(
    "value",
    [
        None,
        "start_webrtc_stream",
        "__webrtc_value__",
        str(uuid.uuid4()),
        WebRTCData(str(uuid.uuid4()), "hello"),
        PAGES_OWN,
    ],
)
async def test_the_components_own_values_go_back(component: WebRTC, value: Any) -> None:
    assert component.postprocess(value) is value


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ((24_000, np.zeros((1, 9))), r"a tuple \(int, ndarray\)"),
        (np.zeros((9, 9, 3), np.uint8), "type ndarray"),
        ("song.wav", "type str"),
        (b"RIFF", "type bytes"),
        (0, "type int"),
        (False, "type bool"),
        ({"path": "song.wav"}, "type dict"),
        ([], "type list"),
        (AdditionalOutputs(1), "type AdditionalOutputs"),
        (CloseStream("enough"), "type CloseStream"),
    ],
)
async def test_anything_else_is_an_error_that_names_the_way(
    component: WebRTC, value: Any, kind: str
) -> None:
    way = r".*\.stream\(fn, inputs=\[\.\.\.\], outputs=\[webrtc\], trigger=button\.click\)"
    with pytest.raises(gr.Error, match=kind + way):
        component.postprocess(value)
