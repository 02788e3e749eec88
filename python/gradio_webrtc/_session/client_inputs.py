"""The messages with which clients of routes set the inputs of their handlers.

A page of Gradio's passes inputs by way of Gradio, which checks them; its messages all go to
``on_message``. Runs on the event loop. Imports no transport and no Gradio.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from gradio_webrtc._messages import create_words, decode_data

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

SET_INPUTS: Final = "set_inputs"
"""The type of the message; the twin of the constant in ``frontend/client/call.ts``."""


class InputsRefused(ValueError):
    """The values of a client are none for its handler; the text is for the client."""


ReadInputs: TypeAlias = "Callable[[object], Sequence[Any] | None]"
"""Returns the values for the handler that a client sent; ``None`` where it has none to send.

Raises `InputsRefused` for anything else, with a text for the client."""


class ClientInputs:
    """Takes the messages that set inputs, and leaves all others to the handler.

    Args:
        read: Checks the values.
        apply: Called with those for the handler, or with ``None``.
        send: Sends a message to the client, which gets the reason of a refusal.
        pass_on: Called with every other message.
    """

    def __init__(
        self,
        read: ReadInputs,
        apply: Callable[[Sequence[Any] | None], None],
        send: Callable[[object], None],
        pass_on: Callable[[str], None],
    ) -> None:
        self._read = read
        self._apply = apply
        self._send = send
        self._pass_on = pass_on

    def take(self, text: str) -> None:
        """Takes a message of the client, whose size the transport has limited."""
        # Most messages are another one, and are decoded once, where they are needed.
        message = decode_data(text) if SET_INPUTS in text else None
        if not isinstance(message, dict) or message.get("type") != SET_INPUTS:
            self._pass_on(text)
            return
        try:
            values = self._read(message.get("data"))
        except InputsRefused as refusal:
            # Not a warning: the client decides how often it comes.
            logger.debug("inputs of a client are refused: %s", refusal)
            self._send(create_words("error", refusal))
        else:
            self._apply(values)
