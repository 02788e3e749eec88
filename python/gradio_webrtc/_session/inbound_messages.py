"""The client's messages on their way to the handler: in order, one at a time.

Runs on the event loop; a blocking ``on_message`` runs in a worker. Imports no transport.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._messages import decode_data
from gradio_webrtc._workers.user_code import guard, is_being_cancelled, is_never_blocking
from gradio_webrtc._workers.workers import UserFunction
from gradio_webrtc.errors import HandlerError

if TYPE_CHECKING:
    from gradio_webrtc._handlers import StreamHandlerBase
    from gradio_webrtc._workers.workers import Worker

    from .context import SessionContext

logger = logging.getLogger(__name__)

HANDSHAKE: Final = "handshake"
"""The text that pages of gradio_webrtc and fastrtc send when the data channel opens: no message."""

MAX_WAITING: Final = 256
MAX_WAITING_CHARS: Final = 1_048_576
"""Messages, and characters of them together, that wait for a slow ``on_message``. Beyond either the
oldest are dropped: the transport limits the rate of a client, so that only a handler that never
keeps up loses any. One message is always kept, however long it may be."""

YIELDS: Final = (
    "on_message returned a generator, whose body never runs: write it with def or async def, and "
    "without yield"
)


class InboundMessages:
    """Passes what the client sends over the data channel to ``handler.on_message``.

    Messages wait as text, whose size the transport has limited, and are decoded one at a time.

    Args:
        handler: The session's own copy.
        context: Reports errors of ``on_message``.
        worker: Runs an ``on_message`` that is no coroutine function.

    Attributes:
        is_needed: False if the handler does not override ``on_message``, so that nothing is kept.
        dropped: Messages that ``on_message`` was too slow for.
    """

    def __init__(self, handler: StreamHandlerBase, context: SessionContext, worker: Worker) -> None:
        self.is_needed = not is_never_blocking(handler.on_message)
        self.dropped = 0
        self._owner = type(handler).__name__
        self._context = context
        self._on_message_of_user = UserFunction(handler.on_message, worker)
        self._waiting: deque[str] = deque()
        self._chars = 0
        self._arrived = asyncio.Event()

    def take(self, text: str) -> None:
        """Queues a message of the client; see `Transport.on_message`."""
        if text == HANDSHAKE:
            return
        self._waiting.append(text)
        self._chars += len(text)
        while len(self._waiting) > 1 and self._is_full():
            self._chars -= len(self._waiting.popleft())
            self._count_dropped()
        self._arrived.set()

    async def run(self) -> None:
        """Passes messages on until it is cancelled."""
        while not is_being_cancelled():
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting and not is_being_cancelled():
                text = self._waiting.popleft()
                self._chars -= len(text)
                with guard(self._context.report):
                    _check(await self._on_message_of_user(decode_data(text)))
                # A coroutine that never awaits would keep the loop until it has caught up.
                await asyncio.sleep(0)

    def _is_full(self) -> bool:
        return len(self._waiting) > MAX_WAITING or self._chars > MAX_WAITING_CHARS

    def _count_dropped(self) -> None:
        self.dropped += 1
        if self.dropped == 1:
            logger.warning(
                "on_message() of %s is slower than its client sends: dropping the oldest messages",
                self._owner,
            )


def _check(returned: Any) -> None:
    if inspect.isgenerator(returned) or inspect.isasyncgen(returned):
        raise HandlerError(YIELDS)
