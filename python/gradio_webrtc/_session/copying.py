"""The handler of each session: made by the user's code, off the event loop where that may block.

Used on the event loop. A refusal shows the user no internals; the log has the reason.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._handlers import StreamHandlerBase
from gradio_webrtc._workers.user_code import (
    call_user_code,
    describe_callable,
    is_being_cancelled,
    is_never_blocking,
)
from gradio_webrtc._workers.workers import Worker
from gradio_webrtc.errors import HandlerError, HandlerUnavailable

from .reporting import UserMessage, report_error

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

COPY_TIMEOUT_S: Final = 10.0
"""Seconds that ``copy()`` of a handler may take before the client is refused. Connections to
services are made in a second or two; no user waits for longer than this."""

HOOKS: Final = ("receive", "emit", "video_receive", "video_emit", "start_up", "shutdown")
"""A handler of which one of these is a coroutine function lives on the event loop: programs make
tasks and futures in its ``__init__``."""

NO_LOOP: Final = "no running event loop"
"""Part of the text of the RuntimeError with which asyncio refuses code outside of an event loop.
The error has neither a type nor an attribute of its own; a test fails when the words change."""

NO_HANDLER: Final = UserMessage("There is nobody to take the call.")
"""The message in place of that of an error which is marked as not to be shown."""


def refuse(error: BaseException, where: str) -> HandlerUnavailable:
    """Logs why there is no handler for a session, and returns the refusal for its client."""
    message = report_error(error, where, "the session is refused") or NO_HANDLER
    return HandlerUnavailable(message.text, message.title)


class HandlerMaker:
    """Makes the handlers of a component's sessions. Used on the event loop.

    Args:
        make: Makes one, as the ``copy`` of a template does. It runs on the event loop if it is
            the ``copy`` of a handler with a coroutine method or one of ours; any other in a thread
            of its own, in which ``asyncio.get_event_loop()`` returns the loop of the session. One
            that raises there because no event loop runs is called again on the loop, as later ones
            are.
        limit_s: The seconds that it may take in a thread.

    Attributes:
        make: The function that was passed.
    """

    def __init__(
        self, make: Callable[[], StreamHandlerBase], limit_s: float = COPY_TIMEOUT_S
    ) -> None:
        self.make = make
        self._limit_s = limit_s
        self._template = getattr(make, "__self__", make)
        self._has_warned = False
        self._needs_loop = is_never_blocking(make) or _is_async(self._template)

    async def make_for(self, webrtc_id: str) -> StreamHandlerBase:
        """Makes the handler of the session with this id.

        Raises:
            HandlerUnavailable: There is none; the log has the reason.
        """
        try:
            return self._checked(await self._make(webrtc_id))
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            raise refuse(error, self._where(webrtc_id)) from None
        # Not `guard`, which lets SystemExit pass: one session must not end the server.
        except BaseException as error:  # noqa: BLE001
            raise refuse(error, self._where(webrtc_id)) from None

    async def _make(self, webrtc_id: str) -> object:
        if self._needs_loop:
            return call_user_code(self.make)
        worker = Worker(f"copy-{webrtc_id[:8]}")
        limit = asyncio.timeout(self._limit_s)
        try:
            async with limit:
                return await worker.submit(
                    contextvars.copy_context(),
                    self._name,
                    self._make_in_thread,
                    asyncio.get_running_loop(),
                )
        except TimeoutError:
            if limit.expired():
                raise HandlerError(self._too_slow) from None
            raise
        except RuntimeError as error:
            if NO_LOOP not in str(error):
                raise
        finally:
            worker.close()
        self._needs_loop = True
        return call_user_code(self.make)

    def _make_in_thread(self, loop: asyncio.AbstractEventLoop) -> object:
        asyncio.set_event_loop(loop)
        try:
            return self.make()
        finally:
            asyncio.set_event_loop(None)

    def _checked(self, made: object) -> StreamHandlerBase:
        if isinstance(made, StreamHandlerBase):
            if made is self._template and not self._has_warned:
                self._has_warned = True
                logger.warning("%s", self._no_copy("the handler itself"))
            return made
        if inspect.iscoroutine(made):
            made.close()
        raise HandlerError(self._no_copy(_describe(made)))

    def _no_copy(self, returned: str) -> str:
        kind = type(self._template).__name__
        return (
            f"{self._name} returned {returned}; every session needs a new handler of its own: "
            f"write `def copy(self): return {kind}(...)`"
        )

    @property
    def _name(self) -> str:
        return f"{describe_callable(self.make)}()"

    @property
    def _too_slow(self) -> str:
        return (
            f"{self._name} has not returned within {self._limit_s:g} s: "
            "open connections in start_up(), which may take its time"
        )

    def _where(self, webrtc_id: str) -> str:
        return f"{self._name}, which makes the handler of {webrtc_id}"


def _is_async(template: Any) -> bool:
    kind = template if inspect.isclass(template) else type(template)
    return any(inspect.iscoroutinefunction(getattr(kind, name, None)) for name in HOOKS)


def _describe(made: object) -> str:
    if made is None:
        return "None"
    if inspect.isclass(made):
        return f"the class {made.__name__}, which has to be called"
    return f"a {type(made).__name__}"
