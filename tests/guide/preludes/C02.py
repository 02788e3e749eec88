"""The part that the guide's "Reply On Stopwords" leaves out: a class, a function, components."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np
import numpy.typing as npt
from support.notes import note

import gradio_webrtc
from gradio_webrtc import AdditionalOutputs

__all__ = ["ReplyOnStopWords", "code", "generate", "history", "np"]

history = gr.Chatbot(value=[{"role": "user", "content": "hello"}], render=False)
code = gr.Code(value="print(1)", render=False)


def generate(
    audio: tuple[int, npt.NDArray[np.int16]], history: Any, code: Any
) -> Iterator[AdditionalOutputs]:
    """Note the arguments, and answer with values alone."""
    note("C02.generate", audio=audio, history=history, code=code)
    yield AdditionalOutputs(history, code)


def ReplyOnStopWords(*args: Any, **kwargs: Any) -> gradio_webrtc.ReplyOnStopWords:  # noqa: N802 - the guide's name
    """Make the handler, in the page that the guide makes around it; the two components go there."""
    for component in (history, code):
        component.render()  # type: ignore[no-untyped-call]  # Gradio's
    return gradio_webrtc.ReplyOnStopWords(*args, **kwargs)
