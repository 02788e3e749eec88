"""The data channel as the predecessors' handlers know it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

from gradio_webrtc._messages import create_message


class Reachable(Protocol):
    """A call as far as its page can be told something; from any thread."""

    webrtc_id: str

    def send(self, message: Mapping[str, object]) -> None:
        """Sends a JSON message to the page."""


class Channel:
    """What stands for the data channel: an object with ``send(text)``; from any thread.

    Args:
        call: The call whose page it sends to.
    """

    def __init__(self, call: Reachable) -> None:
        self._call = call

    def send(self, message: str) -> None:
        """Sends a JSON object as text; other text arrives as a log message."""
        self._call.send(as_message(message))


def as_message(message: str | Mapping[str, object]) -> Mapping[str, object]:
    """The JSON object in this text, or one around it that makes it a log message."""
    if isinstance(message, Mapping):
        return message
    try:
        decoded = json.loads(message)
    except ValueError:
        decoded = None
    return decoded if isinstance(decoded, dict) else create_message("log", message)
