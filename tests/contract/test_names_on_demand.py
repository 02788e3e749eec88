"""Names of the package that are imported when they are asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import gradio_webrtc

LATER = (
    "gradio_webrtc.credentials",
    "gradio_webrtc._audio_files",
    "gradio_webrtc._handlers.realtime",
    "gradio_webrtc._handlers.reply_on_stopwords",
    "gradio_webrtc._turns.smart_turn",
    "gradio_webrtc._turns.speech_to_text",
)


def test_every_name_is_there_and_listed() -> None:
    assert [name for name in gradio_webrtc.__all__ if not hasattr(gradio_webrtc, name)] == []
    assert set(gradio_webrtc.__all__) <= set(dir(gradio_webrtc))


def test_importing_brings_only_what_every_session_needs() -> None:
    program = (
        f"import sys, gradio_webrtc; print(*(set({LATER!r}) & sys.modules.keys())); "
        f"from gradio_webrtc import *; print(*(set({LATER!r}) - sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == []


def test_an_unknown_name_is_reported_with_its_module() -> None:
    with pytest.raises(AttributeError, match="module 'gradio_webrtc' has no attribute 'Replies'"):
        gradio_webrtc.Replies  # type: ignore[attr-defined]  # noqa: B018
