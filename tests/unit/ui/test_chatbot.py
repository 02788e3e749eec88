"""Gradio 5's ``gr.Chatbot(type="messages")`` works in Gradio 6, and is reported once."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest

from gradio_webrtc._ui import chatbot

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def _first_time() -> Iterator[None]:
    forget = chatbot._warn_once.cache_clear  # noqa: SLF001 - once a process, but not in a test
    forget()
    yield
    forget()


@pytest.mark.usefixtures("_first_time")
async def test_a_chatbot_of_messages_is_taken_and_said_once() -> None:
    with gr.Blocks():
        with pytest.warns(DeprecationWarning, match="leave the argument out"):
            first = gr.Chatbot(label="transcript", type="messages")  # type: ignore[call-arg]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            gr.Chatbot([], type="messages")  # type: ignore[call-arg]
    assert first.label == "transcript"
    assert "type" not in first.constructor_args


@pytest.mark.parametrize("value", ["tuples", None, "Messages"])
async def test_any_other_type_of_chatbot_is_gradios_to_refuse(value: Any) -> None:
    with gr.Blocks(), pytest.raises(TypeError, match="type"):
        gr.Chatbot(type=value)  # type: ignore[call-arg]


def test_a_gradio_that_takes_the_argument_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def construct(self: object, value: object = None, type: str = "messages") -> None: ...  # noqa: A002

    monkeypatch.setattr(gr.Chatbot, "__init__", construct)
    chatbot.accept_messages_type()
    assert gr.Chatbot.__init__ is construct
