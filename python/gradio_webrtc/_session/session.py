"""One client's session, from the answered offer to the last thing freed.

Runs on the event loop. Owns every task and thread of the session. Imports no transport but its
protocol, and no Gradio.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import math
import secrets
import weakref
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc import _handlers as handlers
from gradio_webrtc._config import DEFAULT_CONFIG
from gradio_webrtc._messages import create_ending, create_message
from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc._workers.user_code import (
    call_user_code,
    contain_user_code,
    foreign_cancellation,
    guard,
)
from gradio_webrtc._workers.workers import UserFunction, Worker
from gradio_webrtc.errors import ServerStopping, TransportError
from gradio_webrtc.types import SessionStats

from .announcer import Announcer
from .buffers import OutboundAudioBuffer, OutboundVideoBuffer
from .client_inputs import ClientInputs
from .context import SessionContext
from .media import UNBLOCK_TIMEOUT_S, SessionMedia
from .messages import MessageSender
from .output_queue import OutputQueue
from .plain_values import plain_values
from .reporting import report_error
from .sinks import FLUSH_S, EmitSinks
from .turn_reports import TurnReports

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradio_webrtc._config import SessionConfig
    from gradio_webrtc._handlers import StreamHandlerBase
    from gradio_webrtc._transport import Transport
    from gradio_webrtc._workers.watchdog import Expect
    from gradio_webrtc.types import AdditionalOutputs

    from .client_inputs import ReadInputs
    from .media import Pump

logger = logging.getLogger(__name__)

SHUTDOWN_TIMEOUT_S: Final = 5.0
"""The time that a handler's ``shutdown``, and the clean-up of its ``start_up``, may take before the
rest is freed without them."""

CANCEL_TIMEOUT_S: Final = 1.0
"""The time that a cancelled coroutine of the user's may take to return, at the end of a session."""

HURRY_S: Final = 0.1
"""The same, and the least that ``shutdown`` gets, once a server that stops gives no more grace."""

AWAY_S: Final = 3.0
"""The time that a session which ends waits for a client whose connection is interrupted at that
moment: the last outputs and the reason are for it. Its place is taken meanwhile."""

GOODBYE_S: Final = 0.1
"""The part of the grace time in which connections are closed."""

MAX_UNPLAYED_S: Final = 1.0
"""Audio that a client, or the way to it, may have and not have played, in seconds, where none of it
is lost: no more waits in a `SendQueue`. Over RTP it is less than is played once more anyway."""

RESTART_AFTER_S: Final = 0.02
"""The time before a pump that user code has cancelled runs again, in seconds: code that does so
each time is called no more often than an ``emit`` that has nothing."""

STOPPING: Final = "The server is stopping."
"""The end reason of all sessions that end with the server."""

_orphaned: set[asyncio.Task[Any]] = set()


def _orphan(tasks: set[asyncio.Task[Any]]) -> None:
    """Gives up tasks in which user code goes on although they were cancelled."""
    _orphaned.update(tasks)
    for task in tasks:
        task.add_done_callback(_orphaned.discard)
        # The end of an event loop waits for all tasks that asyncio has registered, so forever.
        asyncio._unregister_task(task)  # noqa: SLF001 - documented, under "Extending"


def _repeat_inputs(reference: weakref.ref[Session]) -> None:
    if (session := reference()) is not None:
        session.repeat_inputs()


def ignore_event(_time_s: float, _name: str, _data: dict[str, Any]) -> None:
    """The listener of a session that nobody listens to."""


def ignore_message(_text: str) -> None:
    """The receiver of messages that come when a session is over."""


class Session:
    """Owns all of one session: transport, handler copy, tasks and worker threads.

    Build it on the event loop, let the transport answer, then await `run`, which returns when
    everything is freed, however the session ended.

    Args:
        webrtc_id: The id of the session.
        transport: The client's connection, not yet open.
        handler: The session's own copy.
        config: The terms of the session.
        on_event: Called with every event of the conversation.
        make_worker: Makes the threads that run blocking code, from a name for the thread.

    Attributes:
        outputs: The AdditionalOutputs on their way to the client.
        context: The session as its handler uses it.
        audio_buffer: Emitted audio on its way to the transport.
        video_buffer: Emitted video on its way to the transport.
        secret: Known to the client alone; proves its further requests.
    """

    def __init__(
        self,
        webrtc_id: str,
        transport: Transport,
        handler: StreamHandlerBase,
        config: SessionConfig = DEFAULT_CONFIG,
        *,
        on_event: Callable[[float, str, dict[str, Any]], None] = ignore_event,
        make_worker: Callable[[str, str, Expect], Worker] = Worker,
    ) -> None:
        self.webrtc_id = webrtc_id
        self.secret = secrets.token_urlsafe(24)
        self.transport = transport
        self.handler = handler
        max_unplayed_s = MAX_UNPLAYED_S if transport.is_reliable else 0.0
        self.audio_buffer = OutboundAudioBuffer(transport.clear_audio, max_unplayed_s)
        self.video_buffer = OutboundVideoBuffer()
        self._sender = sender = MessageSender(transport.send_text)
        # Nothing here may refer back to this object, except what `_free` drops: a session is freed
        # when it is over, and not when a garbage collection finds the cycle.
        self.outputs = OutputQueue(
            lambda: sender.send(create_message("fetch_output")), is_fetched=config.has_outputs
        )
        owner = type(handler).__name__
        self.context = SessionContext(webrtc_id, self.audio_buffer, sender, on_event, owner)
        self._config = config
        self._tasks = TaskScope()
        loop = asyncio.get_running_loop()
        contain_user_code(loop, lambda variables: handlers.current_session in variables)
        self._end_reason: asyncio.Future[str] = loop.create_future()
        self._note_connected: Callable[[], object] = lambda: None
        self._end_code, self._has_sent_goodbye = "", False
        self._connected = asyncio.Event()
        self._connected_s: float | None = None
        self._final_stats: SessionStats | None = None
        self._deadline_s = math.inf
        self._starting_up: asyncio.Task[None] | None = None
        self._has_inputs = asyncio.Event()
        with handlers.in_session(self.context):
            handler.bind(self.context)
            self._variables = contextvars.copy_context()
        self._turn_reports = TurnReports(webrtc_id, config, sender, make_worker, self._variables)
        self._media = self._make_media(make_worker)
        self._latest_inputs: Sequence[Any] | None = config.default_inputs
        if self._latest_inputs is not None:
            # A method would be a reference back to this object.
            self.context.answer_requests(functools.partial(_repeat_inputs, weakref.ref(self)))

    def _make_media(self, make_worker: Callable[[str, str, Expect], Worker]) -> SessionMedia:
        config, context, plays = self._config, self.context, self._config.client_receives
        sinks = EmitSinks(self.audio_buffer, self.video_buffer, plays, self.outputs, self.end)
        media = SessionMedia(self.handler, context, self.transport, config, sinks, make_worker)
        if media.emitted_audio is not None and plays:
            announcer = Announcer(context, sinks, self._variables)
            context.allow_announcements(announcer, self.stop_reply)
        return media

    @property
    def is_over(self) -> bool:
        """True if the session has ended, and is freed or being freed."""
        return self._end_reason.done()

    def stats(self) -> SessionStats:
        """Returns a snapshot of all counters; from any thread, also after the end."""
        if self._final_stats is not None:
            return self._final_stats
        now_s = self.context.loop.time()
        audio, emitted = self._media.audio, self._media.emitted_audio
        return SessionStats(
            webrtc_id=self.webrtc_id,
            duration_s=0.0 if self._connected_s is None else now_s - self._connected_s,
            transport=self.transport.stats(),
            audio_frames_dropped=0 if audio is None else audio.dropped_frames,
            audio_backlog_s=0.0 if audio is None else audio.backlog_s,
            emits=0 if emitted is None else emitted.emits,
            reply_delays_s=tuple(self.audio_buffer.reply_delays_s),
            audio_buffered_s=self.audio_buffer.buffered_s,
            audio_played_s=self.audio_buffer.played_s,
            removed_samples_for_acceleration=self.audio_buffer.removed_samples,
            inserted_samples_for_deceleration=self.audio_buffer.inserted_samples,
            non_finite_samples=self.audio_buffer.non_finite,
            video_frames_replaced=self.video_buffer.replaced,
            outputs_dropped=self.outputs.dropped,
            outputs_replaced=self.outputs.replaced,
            inbound_messages_dropped=self._media.messages.dropped,
            interruptions=self.context.events["interrupted"],
            events=dict(self.context.events),
            turns=tuple(self.context.turn_times.latest),
        )

    def set_inputs(self, args: Sequence[Any]) -> None:
        """Passes the client's latest input values, without the component itself, to the handler."""
        if self._latest_inputs is not None:
            self._latest_inputs = args
        with guard(self.context.report):
            self._variables.copy().run(call_user_code, self.handler.set_args, list(args))
        self._has_inputs.set()

    def repeat_inputs(self) -> None:
        """Passes the latest input values to the handler, for a client that has none of its own."""
        if self._latest_inputs is not None:
            self.set_inputs(self._latest_inputs)

    def accept_inputs(self, read: ReadInputs) -> None:
        """Lets the client set the input values, by messages; call before it connects.

        Args:
            read: Checks what the client sends.
        """
        pass_on = self.transport.on_message
        inputs = ClientInputs(read, self._take_inputs, self._sender.send, pass_on)
        self.transport.on_message = inputs.take

    def _take_inputs(self, args: Sequence[Any] | None) -> None:
        if args is None:
            self._has_inputs.set()
        else:
            self.set_inputs(args)

    def submit(self, args: Sequence[Any]) -> None:
        """Passes the text field and the input values to the handler: a turn of its own."""
        self.set_inputs(args)
        self.trigger()

    def trigger(self) -> None:
        """Has the handler answer now, if it has a method for that."""
        trigger = getattr(self.handler, "trigger_response", None)
        if trigger is not None:
            with guard(self.context.report):
                self._variables.copy().run(call_user_code, trigger)

    def stop_reply(self) -> None:
        """Has the handler end the reply under way."""
        with guard(self.context.report):
            self._variables.copy().run(call_user_code, self.handler.stop_reply)

    def read_outputs(self) -> list[list[Any]]:
        """Returns the outputs that wait, as values of JSON, for the client that asks for them.

        From now on it is sent a message when there are more. Outputs that JSON cannot carry are
        left out, and reported as an error of the handler's.
        """
        read = []
        for outputs in self.outputs.take_all():
            with guard(self.context.report):
                read.append(plain_values(outputs.args))
        return read

    def put_outputs(self, outputs: AdditionalOutputs) -> None:
        """Queues outputs that do not come from the handler; from any thread."""
        try:
            self.context.loop.call_soon_threadsafe(self.outputs.put, outputs)
        except RuntimeError:
            logger.debug("%s: outputs for a session whose loop is closed", self.webrtc_id)

    def end(self, reason: str, code: str = "") -> None:
        """Ends the session soon; the first reason given, with its code, is the one that counts."""
        if not self._end_reason.done():
            self._end_code = code
            self._end_reason.set_result(reason)

    def when_connected(self, note: Callable[[], object]) -> None:
        """Calls ``note`` once, on the event loop, when the client connects; set it before `run`."""
        self._note_connected = note

    def when_over(self, note: Callable[[], object]) -> None:
        """Calls ``note`` once, on the event loop, when the session ends and its place is free."""
        self._end_reason.add_done_callback(lambda _: note())

    async def stop(self, grace_s: float) -> None:
        """Ends the session because the server stops, after the reply under way.

        A client that is about to connect is waited for as well: without a connection it could not
        be sent the reason.

        Args:
            grace_s: The time for that, in seconds, and for user code afterwards.
        """
        self._deadline_s = min(self._deadline_s, asyncio.get_running_loop().time() + grace_s)
        if not self.is_over:
            # The scope may be closed meanwhile, which ends this task with the session.
            finished = self._tasks.start(self._until_reply_played())
            waited_for: set[asyncio.Future[Any]] = {finished, self._end_reason}
            limit_s = max(0.0, grace_s - GOODBYE_S)
            await asyncio.wait(waited_for, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            finished.cancel()
        self.end(STOPPING, ServerStopping.code)

    def hurry(self) -> None:
        """Ends the session because the server stops, without grace for user code; any thread."""
        self._deadline_s = -math.inf
        try:
            self.context.loop.call_soon_threadsafe(self.end, STOPPING, ServerStopping.code)
        except RuntimeError:
            logger.debug("%s: its event loop is closed", self.webrtc_id)

    async def _until_reply_played(self) -> None:
        """Returns once no reply is under way, and the last of it was played to the user."""
        await self._connected.wait()
        if await self.context.until_replied() or self.audio_buffer.buffered_s > 0:
            await self.audio_buffer.drain()
            await asyncio.sleep(FLUSH_S)

    def _limit_s(self, limit_s: float) -> float:
        """Returns the time for user code, in seconds: the limit, or less when the server stops."""
        left_s = self._deadline_s - asyncio.get_running_loop().time()
        return min(limit_s, max(HURRY_S, left_s))

    async def run(self) -> str:
        """Holds the session until it ends, then frees everything.

        Returns:
            The reason of its end, in words.
        """
        reason = STOPPING
        with handlers.in_session(self.context):
            try:
                reason = await self._connect() or await self._run_tasks()
            except TransportError as error:
                reason = str(error)
            except asyncio.CancelledError:
                # Only an event loop that ends cancels a session, and its server ends with it.
                self._end_code = ServerStopping.code
                raise
            finally:
                self.end(reason)
                await self._free(reason)
        return reason

    async def _connect(self) -> str | None:
        """Returns once the client is connected, or with the reason why it will not be."""
        connecting = self._tasks.start(self.transport.connect())
        try:
            waited_for: set[asyncio.Future[Any]] = {connecting, self._end_reason}
            await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
            if self._end_reason.done():
                return self._end_reason.result()
            connecting.result()
            self._connected_s = asyncio.get_running_loop().time()
            self.context.turn_times.plays = self._config.client_receives
            self.context.begin_turns(self._turn_reports.take, self.transport.playout_delay_s)
            self._note_connected()
            self._connected.set()
            return None
        finally:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)

    async def _run_tasks(self) -> str:
        """Runs the session's tasks until one of them, or anybody else, ends the session."""
        # Its first steps come before the first step of any other task.
        self._starting_up = self._tasks.start(self._start_up())
        self._starting_up.add_done_callback(self._note_foreign_cancellation)
        self.repeat_inputs()
        outbound = self._media.outbound
        if not self._config.client_sends:
            outbound = [functools.partial(self._run_after_inputs, pump) for pump in outbound]
            # They start it; those of a client that sent them by itself are there already.
            if not self._has_inputs.is_set():
                self.context.request_inputs()
        tasks: set[asyncio.Task[Any]] = {self._tasks.start(self._until_closed())}
        for pump in [*self._media.inbound, *outbound]:
            self._start_pump(pump, tasks)
        if self._config.time_limit_s is not None:
            tasks.add(self._tasks.start(self._until_time_limit(self._config.time_limit_s)))
        try:
            reason = await self._end_reason
            # Before the tasks are cancelled, one of which may take its time.
            self._send_goodbye(reason)
            return reason
        finally:
            await self._cancel(tasks)

    async def _cancel(self, tasks: set[asyncio.Task[Any]]) -> None:
        """Cancels tasks; one in which user code goes on all the same is given up."""
        for task in tasks:
            task.cancel()
        limit_s = self._limit_s(CANCEL_TIMEOUT_S)
        _, unwilling = await asyncio.wait(tasks, timeout=limit_s)
        if unwilling:
            self._tasks.disown(unwilling)
            _orphan(unwilling)
            logger.warning(
                "a coroutine of %s goes on %.2g s after it was cancelled at the end of its "
                "session: let asyncio.CancelledError pass",
                type(self.handler).__name__,
                limit_s,
            )

    def _start_pump(self, pump: Pump, tasks: set[asyncio.Task[Any]], after_s: float = 0.0) -> None:
        """Runs a pump in a task of its own, whose failure ends the session and is never lost.

        A callback looks at the failure: a coroutine around the pump would be resumed with each of
        its steps, which is several times a packet.

        Args:
            pump: The pump.
            tasks: Gets its task.
            after_s: The time before it begins, in seconds.
        """
        task = self._tasks.start(_run_later(pump, after_s) if after_s else pump())
        tasks.add(task)
        task.add_done_callback(functools.partial(self._note_pump_over, pump, tasks))

    def _note_pump_over(
        self, pump: Pump, tasks: set[asyncio.Task[Any]], task: asyncio.Task[Any]
    ) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, TransportError):
            logger.debug("%s: the transport ended", self.webrtc_id)
        elif error is not None:
            # A fault of ours: the user is shown the end of the session.
            shown = report_error(error, f"a task of {self.webrtc_id}", "the session ends")
            self.end("" if shown is None else shown.text)
        elif self._note_foreign_cancellation(task):
            tasks.discard(task)
            self._start_pump(pump, tasks, RESTART_AFTER_S)

    def _note_foreign_cancellation(self, task: asyncio.Task[Any]) -> bool:
        """Reports a task that user code has cancelled: an error of it, as what it raises is."""
        error = None if self.is_over else foreign_cancellation(task)
        if error is not None:
            self.context.report(error)
        return error is not None

    async def _run_after_inputs(self, pump: Pump) -> None:
        """Runs a pump from the inputs of the click that started the session (mode "receive")."""
        await self._has_inputs.wait()
        await pump()

    async def _start_up(self) -> None:
        """Runs ``start_up``, which may take as long as the session."""
        with guard(self.context.report):
            await UserFunction(self.handler.start_up, self._media.start_up_worker)()

    async def _until_closed(self) -> None:
        self.end(await self.transport.wait_closed())

    async def _until_time_limit(self, limit_s: float) -> None:
        await asyncio.sleep(limit_s)
        self.end(f"The time limit of {limit_s:g} seconds is reached.")

    async def _free(self, reason: str) -> None:
        """Sends the goodbye, lets the handler shut down, ends threads and the connection.

        A step that fails is logged, and keeps no other from what it frees.
        """
        self._send_goodbye(reason)
        self.context.end_turns()
        await self.context.end_announcements()
        self.outputs.close()
        # What the client has not played yet is played: only a reply that was interrupted is not.
        self.audio_buffer.on_clear = lambda: 0.0
        self.audio_buffer.clear()
        await self._media.unblock(self._limit_s(UNBLOCK_TIMEOUT_S))
        self._media.close_workers()
        await self._shut_down()
        await self._release()
        await self._turn_reports.close(self._limit_s(CANCEL_TIMEOUT_S))
        self._media.start_up_worker.close()
        self._media.receive_worker.close()
        # Status messages that wait are sent behind the goodbye: they are part of the session.
        self._sender.flush()
        with guard(self._log_failure):
            await self.transport.close(self._limit_s(AWAY_S))
        await self._tasks.close()
        with guard(self._log_failure):
            self._final_stats = self.stats()
        self._final_stats = self._final_stats or SessionStats(self.webrtc_id)
        self._media.release()
        self._sender.close()
        self.transport.on_message = ignore_message

    def _log_failure(self, error: Exception) -> None:
        logger.error("%s: a part of its end failed", self.webrtc_id, exc_info=error)

    def _send_goodbye(self, reason: str) -> None:
        if not self._has_sent_goodbye:
            self._has_sent_goodbye = True
            self._sender.send(create_ending(reason, self._end_code))

    async def _release(self) -> None:
        """Frees the reply under way, which may be inside code that blocks."""
        try:
            async with asyncio.timeout(self._limit_s(SHUTDOWN_TIMEOUT_S)):
                # Subclasses may override it.
                with guard(self.context.report):
                    await self.handler.release()
        except TimeoutError:
            logger.debug("%s: a reply is left to return by itself", self.webrtc_id)

    async def _shut_down(self) -> None:
        """Lets the handler shut down and ``start_up`` clean up, at the same time."""
        tasks: set[asyncio.Task[Any]] = {self._tasks.start(self._run_shutdown())}
        if self._starting_up is not None:
            self._starting_up.cancel()
            tasks.add(self._starting_up)
        limit_s = self._limit_s(SHUTDOWN_TIMEOUT_S)
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
        # A cancelled task refers to where it was cancelled, and that to this object.
        self._starting_up = None

    async def _run_shutdown(self) -> None:
        with guard(self.context.report):
            await UserFunction(self.handler.shutdown, self._media.receive_worker)()


async def _run_later(pump: Pump, after_s: float) -> None:
    await asyncio.sleep(after_s)
    await pump()
