"""``gr.Chatbot(type="messages")``, which programs for Gradio 5 write and Gradio 6 refuses.

Runs once, at the import of the package.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from typing import Any

import gradio as gr


def accept_messages_type() -> None:
    """Makes ``gr.Chatbot`` accept ``type="messages"``, the one format that it has now.

    Every other value is refused as before. A DeprecationWarning reports it once in a process. Does
    nothing where Gradio accepts the argument itself.
    """
    construct = gr.Chatbot.__init__
    if "type" in inspect.signature(construct).parameters:
        return

    @functools.wraps(construct)
    def construct_tolerantly(self: gr.Chatbot, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("type") == "messages":
            del kwargs["type"]
            _warn_once()
        construct(self, *args, **kwargs)

    gr.Chatbot.__init__ = construct_tolerantly  # type: ignore[method-assign]


@functools.cache
def _warn_once() -> None:
    warnings.warn(
        'gr.Chatbot(type="messages"): leave the argument out, messages are the only format of '
        "Gradio 6. gradio_webrtc still accepts it",
        DeprecationWarning,
        stacklevel=3,
    )
