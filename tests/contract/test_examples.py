"""The examples in docstrings run as they stand."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pytest

import gradio_webrtc

WITH_EXAMPLES = [
    "gradio_webrtc._audio",
    "gradio_webrtc._handlers.notices",
    "gradio_webrtc._handlers.reply_on_pause",
    "gradio_webrtc._handlers.stream_handler",
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_run(name: str) -> None:
    module = importlib.import_module(name)
    known = vars(gradio_webrtc) | {"np": np}
    result = doctest.testmod(module, extraglobs=known)
    assert result.attempted
    assert not result.failed
