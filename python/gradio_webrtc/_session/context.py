"""What a handler may do to its call, from whatever thread it runs in."""

from __future__ import annotations

import asyncio
import logging
import math
import traceback
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._messages import SHOWN_S, create_message, create_words

from .reporting import report_error, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .audio_buffer import OutboundAudioBuffer
    from .message_sender import MessageSender

logger = logging.getLogger(__name__)

PAGE_EVENTS: Final = frozenset({"started_talking", "pause_detected", "response_starting"})
"""What clients of the predecessors expect as ``log`` messages. Ours shows them in words."""

ALSO_FOR_THE_PAGE: Final = frozenset({"response_finished", "interrupted"})

REPLY_BEGINS: Final = "response_starting"

REPLY_ENDS: Final = frozenset({"response_finished", "interrupted"})

MAX_REPORTED_PLACES: Final = 100
"""How many places of failure one call remembers, the latest, so as not to tell of each of them over
again."""


class SessionContext:
    """Implements `gradio_webrtc.types.SessionHandle` for one session.

    Everything it does happens on the event loop, in the order it was asked for: at once when asked
    from there, and by way of ``call_soon_threadsafe`` from any other thread.

    Args:
        webrtc_id: The caller's id.
        playout: What `clear` and `end_reply` act on.
        outbox: Takes the messages for the page.
        on_event: Told of each event, with its data and the loop's time; runs on the loop.
        owner: Whose errors are reported, as the log names it.

    Attributes:
        interruptions: How many times a handler's reply was interrupted: what a step that began
            before the last of them still gives is not played.
    """

    def __init__(
        self,
        webrtc_id: str,
        audio_buffer: OutboundAudioBuffer,
        sender: MessageSender,
        on_event: Callable[[float, str, dict[str, Any]], None],
        owner: str = "code",
    ) -> None:
        self.webrtc_id = webrtc_id
        self._owner = owner
        self.interruptions = 0
        self._loop = asyncio.get_running_loop()
        self._audio_buffer = audio_buffer
        self._sender = sender
        self._on_event = on_event
        self._replied = asyncio.Event()
        self._replied.set()
        self._reported: dict[tuple[str, str, int, str], float] = {}

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that runs the call."""
        return self._loop

    def send(self, message: Mapping[str, object]) -> None:
        """Sends a JSON message to the page."""
        self._on_loop(self._sender.send, message)

    def request_inputs(self) -> None:
        """Asks the page for its latest input values."""
        self.send(create_message("send_input"))

    def clear(self) -> None:
        """Drops queued audio, and nothing else."""
        self._on_loop(self._audio_buffer.clear)

    def interrupt(self) -> None:
        """Drops queued audio, and what a running ``emit`` still returns."""
        self._on_loop(self._interrupt)

    def end_reply(self) -> None:
        """Pads and sends the last partial frame of a reply."""
        self._on_loop(self._audio_buffer.end_reply)

    def event(self, name: str, **data: object) -> None:
        """Notes that something happened in the conversation."""
        self._on_loop(self._note, name, data)

    async def until_replied(self) -> bool:
        """Returns once the handler answers no turn; call on the event loop.

        Returns:
            Whether it did so until now.
        """
        is_replying = not self._replied.is_set()
        await self._replied.wait()
        return is_replying

    def report(self, error: BaseException) -> None:
        """Logs an error of the user's code once, and tells the page without internals.

        The same error from the same place is logged again only in another call. Only the words of
        a `WebRTCError` and of Gradio's ``gr.Error`` reach the page, and may do so again when the
        page no longer shows them; for any other error a short id that is also in the log.
        """
        if not self._is_news(error):
            return
        told = report_error(
            error, f"the handler of {self.webrtc_id} ({self._owner})", "the call goes on"
        )
        if told is not None:
            self.send(create_words("error", *told))
        self.event("error", error=error)

    def _is_news(self, error: BaseException) -> bool:
        told = words_of(error)
        place = (*_place_of(error), "" if told is None else told.text)
        now_s = self._loop.time()
        if now_s < self._reported.get(place, -math.inf):
            return False
        if len(self._reported) >= MAX_REPORTED_PLACES:
            del self._reported[next(iter(self._reported))]
        self._reported[place] = math.inf if told is None else now_s + (told.duration_s or SHOWN_S)
        return True

    def _note(self, name: str, data: dict[str, Any]) -> None:
        self._on_event(self._loop.time(), name, data)
        if name == REPLY_BEGINS:
            self._replied.clear()
        elif name in REPLY_ENDS:
            self._replied.set()
        if name in PAGE_EVENTS or name in ALSO_FOR_THE_PAGE:
            self._sender.send_soon(create_message("log", name))

    def _interrupt(self) -> None:
        self.interruptions += 1
        self._audio_buffer.clear()

    def _on_loop(self, act: Callable[..., None], *args: object) -> None:
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self._loop:
            act(*args)
            return
        try:
            self._loop.call_soon_threadsafe(act, *args)
        except RuntimeError:
            logger.debug("a handler acted on a call whose event loop is closed")


def _place_of(error: BaseException) -> tuple[str, str, int]:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return (type(error).__qualname__, str(error), 0)
    return (type(error).__qualname__, frames[-1].filename, frames[-1].lineno or 0)
