"""Messages on their way to the page, in the order in which they were given."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._messages import encode_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NEWS_DELAY_S: Final = 0.02
"""How long news may wait. It takes as long to send one message as to encode and send the first
frame of an answer, and between a pause and the answer to it there are two; a page that shows them a
frame later is none the worse, and a caller who hears the answer later is."""


class MessageSender:
    """Sends what cannot wait at once, and news when the sound of the moment has gone out.

    Every method is called on the event loop.

    Args:
        send_text: Sends one message as it goes over the wire.
    """

    def __init__(self, send_text: Callable[[str], None]) -> None:
        self._send_text = send_text
        self._news: list[Mapping[str, Any]] = []
        self._timer: asyncio.TimerHandle | None = None

    def send(self, message: Mapping[str, Any]) -> None:
        """Sends a message, and before it the news that came before it.

        Raises:
            TypeError: A value in it is nothing that JSON can carry.
        """
        self.flush()
        self._send_text(encode_message(message))

    def send_soon(self, message: Mapping[str, Any]) -> None:
        """Sends a message within `NEWS_DELAY_S`."""
        self._news.append(message)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(NEWS_DELAY_S, self.flush)

    def flush(self) -> None:
        """Sends all news now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        news, self._news = self._news, []
        for message in news:
            self._send_text(encode_message(message))

    def let_go(self) -> None:
        """Sends nothing any more: a handler may be kept, and is not to keep a connection."""
        self._send_text = _drop


def _drop(_text: str) -> None: ...
