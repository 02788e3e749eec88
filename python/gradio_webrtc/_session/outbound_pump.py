"""The outbound audio task of a session: what ``emit`` returns to the audio buffer.

Runs on the event loop; an ``emit`` that blocks runs in a worker of the session. Imports no
transport.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradio_webrtc._audio import OutboundAudio
from gradio_webrtc._handlers import StreamHandlerBase
from gradio_webrtc._mistakes import ScaleWatch
from gradio_webrtc._workers.user_code import describe_callable, is_being_cancelled, running_task
from gradio_webrtc._workers.workers import UserFunction
from gradio_webrtc.errors import AudioError, HandlerError

from .emissions import NOTHING, read_audio
from .rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from gradio_webrtc._handlers import StreamHandlerImpl
    from gradio_webrtc._workers.user_code import WatchedFunction
    from gradio_webrtc._workers.workers import Worker
    from gradio_webrtc.types import CloseStream

    from .buffers import Written
    from .context import SessionContext
    from .emissions import AudioOutput, Emission
    from .sinks import EmitSinks

MEDIA_S: Final = 0.001
"""The shortest audio that counts as media, in seconds: a handler that emits single samples is
called no more often than one that emits nothing."""


class OutboundPump:
    """Passes what ``handler.emit`` returns to the audio buffer, the outputs or the session's end.

    Args:
        handler: Its ``emit`` is called again and again.
        context: Reports errors of ``emit``.
        sinks: The destinations.
        worker: Runs an ``emit`` that is no coroutine function.

    Attributes:
        emits: Number of calls of ``emit``.
    """

    def __init__(
        self,
        handler: StreamHandlerImpl,
        context: SessionContext,
        sinks: EmitSinks,
        worker: Worker,
    ) -> None:
        self.emits = 0
        self._handler = handler
        self._context = context
        self._sinks = sinks
        self._buffer = sinks.audio
        self._emit_of_user = UserFunction(handler.session_emit, worker)
        self._name = describe_callable(getattr(handler, "fn", handler.session_emit))
        self._scale = ScaleWatch(self._name)
        self._rounds = Rounds()
        self._is_over = False
        self._interruptions = 0
        self._written: Written | None = None
        ready = getattr(handler.wait_until_ready, "__func__", None)
        self._is_always_ready = ready is StreamHandlerBase.wait_until_ready
        may_repeat = self._emit_of_user.is_blocking or self._emit_of_user.on_loop is not None
        self._may_repeat = may_repeat and self._is_always_ready and self._sinks.plays

    async def run(self) -> None:
        """Calls ``emit`` whenever it may have something, until cancelled or closed by it."""
        self._is_over = False
        try:
            while not is_being_cancelled():
                if not self._is_always_ready:
                    await self._handler.wait_until_ready()
                emission, has_media, has_anything = NOTHING, False, False
                # One coroutine for each step of this loop would be resumed with every packet.
                try:
                    item = await self._next_item()
                    # Barge-in while the step ran: what it returns is of a reply that is over.
                    if item is not None and self._interruptions == self._context.interruptions:
                        emission = self._read(item)
                        has_media = await self._route(emission)
                        has_anything = True
                except Exception as error:  # noqa: BLE001 - as `guard`, without its calls
                    self._context.report(error)
                if emission.close is not None:
                    await self._close(emission.close)
                    return
                await self._rounds.end(has_media=has_media, has_anything=has_anything)
        finally:
            with self._buffer.lock:
                self._is_over = True

    def _next_item(self) -> Awaitable[Any]:
        """Calls ``emit``, again and again while its items need no more than to be queued."""
        if self._may_repeat and self._buffer.is_lent:
            if (emit := self._emit_of_user.on_loop) is not None:
                return self._emit_on_loop(emit)
            series = self._emit_of_user.series(self._begin_emit, self._play)
            self._emit_of_user.begin(series)
            return self._emit_of_user.refused_by(series)
        self._begin_emit()
        return self._emit_of_user()

    async def _emit_on_loop(self, emit: WatchedFunction) -> Any:
        """Returns the first item that is left to `run`, as a series in a thread does."""
        task = running_task()
        try:
            while not task.cancelling():
                self._begin_emit()
                suspensions = emit.suspensions
                item = await emit()
                if not self._play(item):
                    return item
                # The loop has turned where the call has waited.
                if emit.suspensions == suspensions:
                    await asyncio.sleep(0)
            return None
        finally:
            # As in `InboundPump.deliver`.
            del task

    def _begin_emit(self) -> tuple[()] | None:
        """Notes a call of ``emit``, on the event loop or in the thread; ``None`` at the end."""
        if self._is_over:
            return None
        self.emits += 1
        self._interruptions = self._context.interruptions
        self._written = None
        return ()

    def _play(self, item: object) -> bool:
        """Queues what comes 50 times a second; on the event loop or in the thread of ``emit``.

        Returns:
            False for anything else, and where the order or the pace is the event loop's to keep.
        """
        if type(item) is not tuple or len(item) != 2:  # noqa: PLR2004 - rate and samples
            return False
        rate, samples = item
        if type(rate) is not int or type(samples) is not np.ndarray:
            return False
        # A barge-in counts before it takes the lock to drop what is queued: it is seen here, or it
        # drops this. What ``emit`` itself did to the session comes before what it returns.
        with self._buffer.lock:
            if (
                self._is_over
                or self._interruptions != self._context.interruptions
                or self._context.acts_waiting
            ):
                return False
            try:
                self._written = written = self._buffer.write_now(rate, samples)
            except AudioError:
                # It is no audio, which the event loop finds, too, and reports.
                return False
        if samples.dtype.kind == "f":
            self._scale.look(samples)
        is_whole = written.samples == OutboundAudio.samples_per_channel(samples)
        return is_whole and written.samples >= rate * MEDIA_S

    def _read(self, item: object) -> Emission:
        try:
            return read_audio(item)
        except HandlerError as error:
            raise HandlerError(f"cannot use what {self._name} emitted: {error}") from error

    async def _route(self, emission: Emission) -> bool:
        """Passes outputs and audio on; returns True if audio was queued."""
        if emission.outputs is not None:
            self._sinks.outputs.put(emission.outputs)
        audio: AudioOutput | None = emission.media
        if audio is None or not self._sinks.plays:
            return False
        self._scale.look(audio.samples)
        try:
            queued = await self._buffer.write(*audio, written=self._written)
        except AudioError as error:
            raise HandlerError(f"cannot play what {self._name} emitted: {error}") from error
        return queued >= audio.rate_hz * MEDIA_S

    async def _close(self, close: CloseStream) -> None:
        self._buffer.end_reply()
        await self._buffer.drain()
        await self._sinks.close(close.msg)
