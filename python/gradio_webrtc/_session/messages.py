"""Messages on their way to the client, in order.

Runs on the event loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._messages import encode_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BATCH_DELAY_S: Final = 0.02
"""The longest that a status message waits, in seconds. Encoding and sending one takes as long as
encoding and sending the first frame of a reply, and two of them fall between a pause and the reply:
a client that shows them one frame later loses nothing, a user whose reply is later does."""


class MessageSender:
    """Sends urgent messages at once, and status messages behind the audio that is due.

    Every method is called on the event loop.

    Args:
        send_text: Sends one encoded message.
    """

    def __init__(self, send_text: Callable[[str], None]) -> None:
        self._send_text = send_text
        self._batch: list[Mapping[str, Any]] = []
        self._timer: asyncio.TimerHandle | None = None

    def send(self, message: object) -> None:
        """Sends a message, behind the status messages that wait.

        Raises:
            TypeError: A value in it is nothing that JSON can carry.
            ValueError: It contains itself, or a number that JSON does not have.
        """
        self.send_encoded(encode_message(message))

    def send_encoded(self, text: str) -> None:
        """Sends a message that is encoded already, behind the status messages that wait."""
        self.flush()
        self._send_text(text)

    def send_soon(self, message: Mapping[str, Any]) -> None:
        """Sends a status message within `BATCH_DELAY_S`."""
        self._batch.append(message)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_DELAY_S, self.flush)

    def flush(self) -> None:
        """Sends all status messages that wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._batch = self._batch, []
        for message in batch:
            self._send_text(encode_message(message))

    def close(self) -> None:
        """Drops what is sent from now on: a handler may outlive its session, a connection not."""
        self._send_text = _drop


def _drop(_text: str) -> None: ...
