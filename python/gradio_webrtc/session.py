"""One caller's life, from the answered offer to the last thing freed."""

from __future__ import annotations

import asyncio
import hmac
import inspect
import logging
import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .call import SessionCall
from .concurrency import Worker
from .errors import TransportError
from .messages import create_message, encode_message
from .outputs import OutputQueue
from .playout import Playout
from .pumps import InboundPump, OutboundPump, Outlets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .pumps import AudioHandler
    from .transport import Transport

logger = logging.getLogger(__name__)

SHUTDOWN_TIMEOUT_S: Final = 5.0
"""How long a handler's ``shutdown`` may take before the rest is freed without it."""

UNBLOCK_TIMEOUT_S: Final = 0.5
"""How long a blocked ``emit`` gets to return after the last frame of silence."""


class Terms(NamedTuple):
    """What one call is to be.

    Attributes:
        sends_audio: The caller hears us (modes "send-receive" and "receive").
        has_outputs: The page wants AdditionalOutputs.
        time_limit_s: Ends the call this long after it connected.
    """

    sends_audio: bool = True
    has_outputs: bool = False
    time_limit_s: float | None = None


DEFAULT_TERMS: Final = Terms()


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
        handler: AudioHandler,
        terms: Terms = DEFAULT_TERMS,
        *,
        on_event: Callable[[float, str, dict[str, Any]], None] = ignore_event,
        make_worker: Callable[[str], Worker] = Worker,
    ) -> None:
        self.webrtc_id = webrtc_id
        self.secret = secrets.token_urlsafe(24)
        self.transport = transport
        self.handler = handler
        self.playout = Playout()
        self.outputs = OutputQueue(lambda: self._send(create_message("fetch_output")))
        self.call = SessionCall(webrtc_id, self.playout, self._send, on_event)
        self._time_limit_s = terms.time_limit_s
        self._end_reason: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._emit_worker = make_worker(f"emit-{webrtc_id[:8]}")
        self._receive_worker = make_worker(f"receive-{webrtc_id[:8]}")
        if terms.sends_audio:
            transport.play_audio(self.playout)
        handler.bind(self.call)
        self.inbound = InboundPump(transport, handler, self.call, self._receive_worker)
        outlets = Outlets(
            self.playout, terms.sends_audio, self.outputs if terms.has_outputs else None, self.end
        )
        self._outbound = OutboundPump(handler, self.call, outlets, self._emit_worker)

    def knows(self, secret: object) -> bool:
        """Whether this is the secret that went with our answer, compared in constant time."""
        return isinstance(secret, str) and hmac.compare_digest(
            secret.encode(), self.secret.encode()
        )

    def set_inputs(self, args: Sequence[Any]) -> None:
        """The page's latest input values, without the component itself."""
        try:
            self.handler.set_args(list(args))
        except Exception as error:  # noqa: BLE001  # a handler may override set_args
            self.call.report(error)

    def end(self, reason: str) -> None:
        """Ends the call soon; the first reason given is the one that counts."""
        if not self._end_reason.done():
            self._end_reason.set_result(reason)

    async def run(self) -> str:
        """Holds the call until it ends, then frees everything.

        Returns:
            Why it ended, in words.
        """
        reason = "the call was cancelled"
        try:
            await self.transport.connect()
            reason = await self._converse()
        except TransportError as error:
            reason = str(error)
        finally:
            await self._free(reason)
        return reason

    async def _converse(self) -> str:
        """Runs the call's tasks until one of them, or anybody, ends it."""
        walks = [
            self._until_closed(),
            self._walk(self.inbound.run()),
            self._walk(self.inbound.deliver()),
            self._walk(self._speak()),
        ]
        if self._time_limit_s is not None:
            walks.append(self._until_time_limit(self._time_limit_s))
        tasks = [asyncio.get_running_loop().create_task(walk) for walk in walks]
        try:
            return await self._end_reason
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _walk(self, walk: Any) -> None:
        """A task whose failure is the end of the call and never goes unseen."""
        try:
            await walk
        except TransportError:
            logger.debug("%s: the transport ended", self.webrtc_id)
        except Exception:
            logger.exception("a task of the call %s failed", self.webrtc_id)
            self.end("Something went wrong on the server.")

    async def _speak(self) -> None:
        try:
            await self._run_hook(self.handler.start_up)
        except Exception as error:  # noqa: BLE001  # the edge between the user's code and the call
            self.call.report(error)
        await self._outbound.run()

    async def _until_closed(self) -> None:
        self.end(await self.transport.wait_closed())

    async def _until_time_limit(self, limit_s: float) -> None:
        await asyncio.sleep(limit_s)
        self.end(f"The time limit of {limit_s:g} seconds is reached.")

    async def _run_hook(self, hook: Callable[[], Any]) -> None:
        if inspect.iscoroutinefunction(hook):
            await hook()
        else:
            await self._emit_worker.run(hook)

    def _send(self, message: Mapping[str, object]) -> None:
        self.transport.send_text(encode_message(message))

    async def _free(self, reason: str) -> None:
        """Says goodbye, lets the handler shut down, ends threads and the connection."""
        self._send(create_message("end_stream", reason))
        self.playout.clear()
        await self._unblock_emit()
        self._emit_worker.close()
        try:
            async with asyncio.timeout(SHUTDOWN_TIMEOUT_S):
                await self._shut_down()
        except TimeoutError:
            logger.warning(
                "shutdown() of %s took longer than %g s",
                type(self.handler).__name__,
                SHUTDOWN_TIMEOUT_S,
            )
        await self.handler.release()
        self._receive_worker.close()
        await self.transport.close()

    async def _unblock_emit(self) -> None:
        """Wakes an ``emit`` that waits for input inside ``queue.get()``, as a plain echo does.

        A thread cannot be stopped from outside. One last frame of silence lets such a handler
        return by itself, so that its thread ends with the call.
        """
        if not self._emit_worker.is_busy:
            return
        try:
            async with asyncio.timeout(UNBLOCK_TIMEOUT_S):
                await self.inbound.send_silence()
        except TimeoutError:
            logger.debug("receive() of %s is blocked as well", type(self.handler).__name__)

    async def _shut_down(self) -> None:
        try:
            if inspect.iscoroutinefunction(self.handler.shutdown):
                await self.handler.shutdown()
            else:
                await self._receive_worker.run(self.handler.shutdown)
        except Exception as error:  # noqa: BLE001  # the edge between the user's code and the call
            self.call.report(error)
