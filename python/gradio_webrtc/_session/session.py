"""One caller's life, from the answered offer to the last thing freed."""

from __future__ import annotations

import asyncio
import contextvars
import hmac
import logging
import math
import secrets
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc import _handlers as handlers
from gradio_webrtc._messages import create_ending, create_message
from gradio_webrtc._workers.user_code import call_user_code, contain_user_code
from gradio_webrtc._workers.workers import UserFunction, Worker
from gradio_webrtc.errors import ServerStopping, TransportError

from .audio_buffer import OutboundAudioBuffer
from .audio_pumps import FLUSH_S, EmitSinks
from .context import SessionContext
from .media import UNBLOCK_TIMEOUT_S, SessionMedia, Terms
from .message_sender import MessageSender
from .output_queue import OutputQueue
from .reporting import report_error
from .video_buffer import OutboundVideoBuffer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradio_webrtc._handlers import StreamHandlerBase
    from gradio_webrtc._transport import Transport
    from gradio_webrtc._workers.watchdog import Expect
    from gradio_webrtc.types import AdditionalOutputs

    from .media import Walk

logger = logging.getLogger(__name__)

SHUTDOWN_TIMEOUT_S: Final = 5.0
"""How long a handler's ``shutdown``, and the clean-up of its ``start_up``, may take before the rest
is freed without them."""

CANCEL_TIMEOUT_S: Final = 1.0
"""How long a cancelled coroutine of the user's may take to let go, at the end of a call."""

HURRY_S: Final = 0.1
"""The same, and what ``shutdown`` has at least, once a server that stops gives no more grace."""

GOODBYE_S: Final = 0.1
"""The part of the grace time in which connections are closed."""

STOPPING: Final = "The server is stopping."
"""The reason of all calls that end with the server."""

_left_to_themselves: set[asyncio.Task[None]] = set()

DEFAULT_TERMS: Final = Terms()


def _leave_to_themselves(tasks: set[asyncio.Task[None]]) -> None:
    """Gives up on tasks in which user code goes on although they were cancelled."""
    _left_to_themselves.update(tasks)
    for task in tasks:
        task.add_done_callback(_left_to_themselves.discard)
        # The end of an event loop waits for all tasks that asyncio knows of, and so for ever.
        asyncio._unregister_task(task)  # noqa: SLF001 - documented, under "Extending"


def ignore_event(_time_s: float, _name: str, _data: dict[str, Any]) -> None:
    """The listener of a session that nobody listens to."""


class Session:
    """Owns all of one call: transport, handler copy, tasks, worker threads.

    Build it on the event loop, let the transport answer, then await `run`, which returns when all
    is freed, however the call ended.

    Args:
        webrtc_id: The id that the caller chose.
        transport: The caller's connection, not yet open.
        handler: This caller's own copy.
        terms: What the call is to be.
        on_event: Told of every event of the conversation.
        make_worker: Makes the threads that run blocking code, from a name for the thread.
    """

    def __init__(
        self,
        webrtc_id: str,
        transport: Transport,
        handler: StreamHandlerBase,
        terms: Terms = DEFAULT_TERMS,
        *,
        on_event: Callable[[float, str, dict[str, Any]], None] = ignore_event,
        make_worker: Callable[[str, str, Expect], Worker] = Worker,
    ) -> None:
        self.webrtc_id = webrtc_id
        self.secret = secrets.token_urlsafe(24)
        self.transport = transport
        self.handler = handler
        self.audio_buffer = OutboundAudioBuffer()
        self.video_buffer = OutboundVideoBuffer()
        self._sender = sender = MessageSender(transport.send_text)
        # Nothing here may refer back to this object, but what `_free` lets go of: it is to be freed
        # when it is over, not when a garbage collection finds it.
        self.outputs = OutputQueue(
            lambda: sender.send(create_message("fetch_output")), is_wanted=terms.has_outputs
        )
        owner = type(handler).__name__
        self.call = SessionContext(webrtc_id, self.audio_buffer, self._sender, on_event, owner)
        self._terms = terms
        loop = asyncio.get_running_loop()
        contain_user_code(loop, lambda context: handlers.current_session in context)
        self._end_reason: asyncio.Future[str] = loop.create_future()
        self._note_connected: Callable[[], object] = lambda: None
        self._end_code = ""
        self._has_said_goodbye = False
        self._connected = asyncio.Event()
        self._deadline_s = math.inf
        self._starting_up: asyncio.Task[None] | None = None
        self._has_inputs = asyncio.Event()
        with handlers.in_session(self.call):
            handler.bind(self.call)
            self._context = contextvars.copy_context()
        sinks = EmitSinks(
            self.audio_buffer, self.video_buffer, terms.receives, self.outputs, self.end
        )
        self._media = SessionMedia(handler, self.call, transport, terms, sinks, make_worker)

    @property
    def is_over(self) -> bool:
        """Whether the call has ended, and is freed or being freed."""
        return self._end_reason.done()

    def knows(self, secret: object) -> bool:
        """Whether this is the secret that went with our answer, compared in constant time."""
        return isinstance(secret, str) and hmac.compare_digest(
            secret.encode(errors="replace"), self.secret.encode()
        )

    def set_inputs(self, args: Sequence[Any]) -> None:
        """The page's latest input values, without the component itself."""
        try:
            self._context.copy().run(call_user_code, self.handler.set_args, list(args))
        except Exception as error:  # noqa: BLE001  # a handler may override set_args
            self.call.report(error)
        self._has_inputs.set()

    def submit(self, args: Sequence[Any]) -> None:
        """What was written in the page's text field, and the input values; a turn of its own."""
        self.set_inputs(args)
        trigger = getattr(self.handler, "trigger_response", None)
        if trigger is None:
            return
        try:
            self._context.copy().run(call_user_code, trigger)
        except Exception as error:  # noqa: BLE001  # a handler may override trigger_response
            self.call.report(error)

    def give_outputs(self, outputs: AdditionalOutputs) -> None:
        """Sends values to the page that do not come from the handler; from any thread."""
        try:
            self.call.loop.call_soon_threadsafe(self.outputs.put, outputs)
        except RuntimeError:
            logger.debug("%s: outputs for a call whose event loop is closed", self.webrtc_id)

    def end(self, reason: str, code: str = "") -> None:
        """Ends the call soon; the first reason given, with its code, is the one that counts."""
        if not self._end_reason.done():
            self._end_code = code
            self._end_reason.set_result(reason)

    def when_connected(self, note: Callable[[], object]) -> None:
        """Calls ``note`` once, on the event loop, when the caller is there; set it before `run`."""
        self._note_connected = note

    def when_over(self, note: Callable[[], object]) -> None:
        """Calls ``note`` once, on the event loop, when the call has ended and its place is free."""
        self._end_reason.add_done_callback(lambda _: note())

    async def stop(self, grace_s: float) -> None:
        """Ends the call since the server stops, and the reply under way, if any, first.

        A caller who is about to connect is waited for as well: without a connection nobody could
        be told why there will be no call.

        Args:
            grace_s: How long that may take, in seconds, and what user code does afterwards.
        """
        self._deadline_s = min(self._deadline_s, asyncio.get_running_loop().time() + grace_s)
        if not self.is_over:
            said = asyncio.get_running_loop().create_task(self._until_said())
            waited_for: set[asyncio.Future[Any]] = {said, self._end_reason}
            limit_s = max(0.0, grace_s - GOODBYE_S)
            await asyncio.wait(waited_for, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            said.cancel()
        self.end(STOPPING, ServerStopping.code)

    def hurry(self) -> None:
        """Ends the call since the server stops, and leaves user code no more time; any thread."""
        self._deadline_s = -math.inf
        try:
            self.call.loop.call_soon_threadsafe(self.end, STOPPING, ServerStopping.code)
        except RuntimeError:
            logger.debug("%s: its event loop is closed", self.webrtc_id)

    async def _until_said(self) -> None:
        """Returns once no reply is under way, and the last of it was heard."""
        await self._connected.wait()
        if await self.call.until_replied() or self.audio_buffer.buffered_s > 0:
            await self.audio_buffer.drain()
            await asyncio.sleep(FLUSH_S)

    def _left_s(self, limit_s: float) -> float:
        """How long user code may take, in seconds: the limit, and less when the server stops."""
        left_s = self._deadline_s - asyncio.get_running_loop().time()
        return min(limit_s, max(HURRY_S, left_s))

    async def run(self) -> str:
        """Holds the call until it ends, then frees everything.

        Returns:
            Why it ended, in words.
        """
        reason = STOPPING
        with handlers.in_session(self.call):
            try:
                reason = await self._connect() or await self._converse()
            except TransportError as error:
                reason = str(error)
            except asyncio.CancelledError:
                # Nobody cancels a call but an event loop that ends, and with it its server.
                self._end_code = ServerStopping.code
                raise
            finally:
                self.end(reason)
                await self._free(reason)
        return reason

    async def _connect(self) -> str | None:
        """Returns once the caller is there, or with the reason why they will not come."""
        connecting = asyncio.get_running_loop().create_task(self.transport.connect())
        try:
            waited_for: set[asyncio.Future[Any]] = {connecting, self._end_reason}
            await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
            if self._end_reason.done():
                return self._end_reason.result()
            connecting.result()
            self._note_connected()
            self._connected.set()
            return None
        finally:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)

    async def _converse(self) -> str:
        """Runs the call's tasks until one of them, or anybody, ends it."""
        walks = [
            self._until_closed(),
            *(self._walk(walk) for walk in self._media.listening),
            *(self._walk_with_inputs(walk) for walk in self._media.answering),
        ]
        if self._terms.time_limit_s is not None:
            walks.append(self._until_time_limit(self._terms.time_limit_s))
        loop = asyncio.get_running_loop()
        # Its first steps come before the first of anything else.
        self._starting_up = loop.create_task(self._start_up())
        tasks = {loop.create_task(walk) for walk in walks}
        try:
            reason = await self._end_reason
            # Before the tasks, one of which may not let go.
            self._say_goodbye(reason)
            return reason
        finally:
            await self._cancel(tasks)

    async def _cancel(self, tasks: set[asyncio.Task[None]]) -> None:
        """Ends tasks; one in which user code goes on in spite of it is left to itself."""
        for task in tasks:
            task.cancel()
        limit_s = self._left_s(CANCEL_TIMEOUT_S)
        _, unwilling = await asyncio.wait(tasks, timeout=limit_s)
        if unwilling:
            _leave_to_themselves(unwilling)
            logger.warning(
                "a coroutine of %s goes on %.2g s after it was cancelled at the end of its call: "
                "let asyncio.CancelledError pass",
                type(self.handler).__name__,
                limit_s,
            )

    async def _walk(self, walk: Walk) -> None:
        """A task whose failure is the end of the call and never goes unseen."""
        try:
            await walk()
        except TransportError:
            logger.debug("%s: the transport ended", self.webrtc_id)
        except Exception as error:  # noqa: BLE001  # whatever it is, the page is told of its end
            told = report_error(error, f"a task of the call {self.webrtc_id}", "the call ends")
            self.end("" if told is None else told.text)

    async def _walk_with_inputs(self, walk: Walk) -> None:
        """A task that, in mode "receive", begins with the inputs of the click that started it."""
        if not self._terms.sends:
            await self._has_inputs.wait()
        await self._walk(walk)

    async def _start_up(self) -> None:
        """Runs ``start_up``, which may take as long as the call."""
        try:
            await UserFunction(self.handler.start_up, self._media.start_up_worker)()
        except Exception as error:  # noqa: BLE001  # the edge between the user's code and the call
            self.call.report(error)

    async def _until_closed(self) -> None:
        self.end(await self.transport.wait_closed())

    async def _until_time_limit(self, limit_s: float) -> None:
        await asyncio.sleep(limit_s)
        self.end(f"The time limit of {limit_s:g} seconds is reached.")

    async def _free(self, reason: str) -> None:
        """Says goodbye, lets the handler shut down, ends threads and the connection."""
        self._say_goodbye(reason)
        self.outputs.close()
        self.audio_buffer.clear()
        await self._media.unblock(self._left_s(UNBLOCK_TIMEOUT_S))
        self._media.close_workers()
        await self._shut_down()
        await self._release()
        self._media.start_up_worker.close()
        self._media.receive_worker.close()
        # What ended with the call is news too.
        self._sender.flush()
        await self.transport.close()
        self._media.let_go()
        self._sender.let_go()

    def _say_goodbye(self, reason: str) -> None:
        if not self._has_said_goodbye:
            self._has_said_goodbye = True
            self._sender.send(create_ending(reason, self._end_code))

    async def _release(self) -> None:
        """Lets go of the reply under way, which may wait for code that blocks."""
        try:
            async with asyncio.timeout(self._left_s(SHUTDOWN_TIMEOUT_S)):
                await self.handler.release()
        except TimeoutError:
            logger.debug("%s: a reply is left to return by itself", self.webrtc_id)

    async def _shut_down(self) -> None:
        """Lets the handler shut down and ``start_up`` clean up, at the same time."""
        loop = asyncio.get_running_loop()
        tasks = {loop.create_task(self._run_shutdown())}
        if self._starting_up is not None:
            self._starting_up.cancel()
            tasks.add(self._starting_up)
        limit_s = self._left_s(SHUTDOWN_TIMEOUT_S)
        _, late = await asyncio.wait(tasks, timeout=limit_s)
        for task in late:
            hook = "start_up" if task is self._starting_up else "shutdown"
            logger.warning(
                "%s() of %s took longer than %.2g s",
                hook,
                type(self.handler).__name__,
                limit_s,
            )
        if late:
            await self._cancel(late)

    async def _run_shutdown(self) -> None:
        try:
            await UserFunction(self.handler.shutdown, self._media.receive_worker)()
        except Exception as error:  # noqa: BLE001  # the edge between the user's code and the call
            self.call.report(error)
