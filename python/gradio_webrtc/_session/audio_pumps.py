"""The two walks of a call: the caller's sound to ``receive``, what ``emit`` gives to the wire."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from gradio_webrtc._audio import InboundAudio
from gradio_webrtc._handlers import AsyncStreamHandler, StreamHandler
from gradio_webrtc._handlers.signatures import RECEIVE_YIELDS
from gradio_webrtc._mistakes import ScaleWatch
from gradio_webrtc._workers.user_code import describe_callable, is_being_cancelled
from gradio_webrtc._workers.workers import UserFunction
from gradio_webrtc.errors import AudioError, HandlerError

from .output_queue import Emitted, split_emitted

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradio_webrtc._transport import AudioBlock, Transport
    from gradio_webrtc._workers.workers import Worker
    from gradio_webrtc.types import CloseStream

    from .audio_buffer import OutboundAudioBuffer
    from .context import SessionContext
    from .output_queue import OutputQueue
    from .video_buffer import OutboundVideoBuffer

AudioHandler: TypeAlias = StreamHandler | AsyncStreamHandler
"""What hears and speaks; whether a method is a coroutine function is looked up, not assumed."""

logger = logging.getLogger(__name__)

MAX_INBOUND_S: Final = 1.0
"""How much of the caller's sound waits for a slow ``receive``; beyond it the oldest goes, since
what is a second old helps nobody in a conversation."""

NOTHING_NOW_S: Final = 0.02
"""The wait after an ``emit`` that had nothing: one frame, so that it is asked 50 times a second
at most."""

MAX_ROUNDS_WITHOUT_MEDIA: Final = 50
"""How many rounds in a second may bring no media, as many as there are frames. A handler that gives
outputs alone, or media that nobody receives, is held back by nothing else."""

MEDIA_S: Final = 0.001
"""Audio that is shorter holds nobody back: a handler that gives single samples is asked no more
often than one that gives none."""

FLUSH_S: Final = 0.3
"""From the last frame sent to the end of the call: what the network and the far end's jitter
buffer still hold back then is heard before the connection goes."""


class Rounds:
    """Sees to it that a pump lets the event loop turn, and asks no more often than makes sense."""

    def __init__(self) -> None:
        self._without_media: deque[float] = deque(maxlen=MAX_ROUNDS_WITHOUT_MEDIA)

    async def end(self, *, has_media: bool, has_anything: bool = True) -> None:
        """Returns when the next round may begin, always after a turn of the event loop.

        Args:
            has_media: The round put audio or a picture in a queue, which holds it back itself.
            has_anything: It gave outputs, at least.
        """
        if has_media:
            # The first packet is made and sent before the next item is: a function that computes
            # would hold it up.
            await asyncio.sleep(0)
            return
        now_s = asyncio.get_running_loop().time()
        wait_s = 0.0 if has_anything else NOTHING_NOW_S
        if len(self._without_media) == MAX_ROUNDS_WITHOUT_MEDIA:
            wait_s = max(wait_s, self._without_media[0] + 1.0 - now_s)
        self._without_media.append(now_s + wait_s)
        await asyncio.sleep(wait_s)


class InboundPump:
    """From the transport to ``handler.receive``.

    Args:
        transport: Where the sound comes from.
        handler: Whose ``receive`` is called, with frames of its rate, layout and frame size.
        call: Where errors of ``receive`` are reported.
        worker: Runs a ``receive`` that is no coroutine function and may block.
    """

    def __init__(
        self,
        transport: Transport,
        handler: AudioHandler,
        call: SessionContext,
        worker: Worker,
    ) -> None:
        self.dropped_frames = 0
        self._transport = transport
        self._handler = handler
        self._call = call
        self._audio: InboundAudio | None = None
        self._format = (0, 0)
        self._receive_at_once = handler.session_receive
        self._receive_of_user = UserFunction(handler.session_receive, worker)
        self._is_light = handler.receive_is_light and not self._receive_of_user.is_async
        self._frame_s = handler.input_frame_size / handler.input_sample_rate
        self._waiting: deque[NDArray[np.int16]] = deque(
            maxlen=max(2, round(MAX_INBOUND_S / self._frame_s))
        )
        self._arrived = asyncio.Event()

    async def run(self) -> None:
        """Takes the transport's sound until it ends, and never lets it wait for the handler.

        Raises:
            ConnectionLost: The caller sends no more.
        """
        await self._transport.carry_audio(self._take)

    async def deliver(self) -> None:
        """Hands queued frames to a ``receive`` that takes its time. Runs until cancelled."""
        while not is_being_cancelled():
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting and not is_being_cancelled():
                await self._receive(self._waiting.popleft())
                if self._waiting:
                    # One that never waits must not keep the loop until it has caught up.
                    await asyncio.sleep(0)

    async def send_silence(self) -> None:
        """Hands one frame of silence to ``receive``, for a handler that waits for input."""
        channels = 2 if self._handler.expected_layout == "stereo" else 1
        await self._receive(np.zeros((1, self._handler.input_frame_size * channels), np.int16))

    def _take(self, block: AudioBlock) -> float:
        """See `AudioSink`."""
        frames = self._convert(block)
        if not self._is_light:
            for frame in frames:
                self._enqueue(frame)
            return 0.0
        for frame in frames:
            self._receive_now(frame)
        # Up to a frame was taken that is not whole, and so not heard.
        return self._handler.batch_allowance_s - self._frame_s

    def _convert(self, block: AudioBlock) -> list[NDArray[np.int16]]:
        if self._audio is None or self._format != (block.rate_hz, block.channels):
            self._format = (block.rate_hz, block.channels)
            self._audio = InboundAudio(
                block.rate_hz,
                block.channels,
                self._handler.input_sample_rate,
                layout=self._handler.expected_layout,
                frame_samples=self._handler.input_frame_size,
            )
        return self._audio.process(block.samples)

    def _enqueue(self, frame: NDArray[np.int16]) -> None:
        if len(self._waiting) == self._waiting.maxlen:
            self.dropped_frames += 1
            if self.dropped_frames == 1:
                logger.warning(
                    "receive() of %s is slower than real time: dropping the oldest audio",
                    type(self._handler).__name__,
                )
        self._waiting.append(frame)
        self._arrived.set()

    def _receive_now(self, frame: NDArray[np.int16]) -> None:
        try:
            self._receive_at_once((self._handler.input_sample_rate, frame))
        except Exception as error:  # noqa: BLE001  # the edge between the user's code and the call
            self._call.report(error)

    async def _receive(self, frame: NDArray[np.int16]) -> None:
        try:
            given = await self._receive_of_user((self._handler.input_sample_rate, frame))
            if inspect.isgenerator(given) or inspect.isasyncgen(given):
                self._call.report(HandlerError(RECEIVE_YIELDS))
        except Exception as error:  # noqa: BLE001  # the edge between the user's code and the call
            self._call.report(error)


class EmitSinks(NamedTuple):
    """Where the things go that a handler gives.

    Attributes:
        playout: Takes audio.
        screen: Takes pictures.
        plays: False when the caller hears and sees nothing (mode "send"): both are dropped at once.
        outputs: Takes AdditionalOutputs.
        end: Ends the call, with a reason for the page.
    """

    audio_buffer: OutboundAudioBuffer
    video_buffer: OutboundVideoBuffer
    plays: bool
    outputs: OutputQueue
    end: Callable[[str], None]


class OutboundPump:
    """From ``handler.emit`` to the playout, the page's outputs, and the end of the call.

    Args:
        handler: Whose ``emit`` is asked.
        call: Where errors of ``emit`` are reported.
        outlets: Where the things go that it gives.
        worker: Runs an ``emit`` that is no coroutine function.
    """

    def __init__(
        self,
        handler: AudioHandler,
        call: SessionContext,
        sinks: EmitSinks,
        worker: Worker,
    ) -> None:
        self._handler = handler
        self._call = call
        self._sinks = sinks
        self._audio_buffer = sinks.audio_buffer
        self._emit_of_user = UserFunction(handler.session_emit, worker)
        self._name = describe_callable(getattr(handler, "fn", handler.session_emit))
        self._scale = ScaleWatch(self._name)
        self._rounds = Rounds()

    async def run(self) -> None:
        """Asks ``emit`` whenever there may be something, until cancelled or closed by it."""
        while not is_being_cancelled():
            await self._handler.wait_until_ready()
            emitted, has_media = Emitted(), False
            try:
                emitted = await self._emit()
                has_media = await self._route(emitted)
            except Exception as error:  # noqa: BLE001  # the edge between the user's code and the call
                self._call.report(error)
                emitted = Emitted(close=emitted.close)
            if emitted.close is not None:
                await self._close(emitted.close)
                return
            await self._rounds.end(has_media=has_media, has_anything=emitted != Emitted())

    async def _emit(self) -> Emitted:
        interruptions = self._call.interruptions
        item = await self._emit_of_user()
        # A reply that was interrupted meanwhile has nothing more to say.
        try:
            return split_emitted(item if interruptions == self._call.interruptions else None)
        except HandlerError as error:
            raise HandlerError(f"cannot use what {self._name} gave: {error}") from error

    async def _route(self, emitted: Emitted) -> bool:
        """Sends outputs and audio where they belong; True when audio was queued."""
        if emitted.outputs is not None:
            self._sinks.outputs.put(emitted.outputs)
        if emitted.audio is None or not self._sinks.plays:
            return False
        self._scale.look(emitted.audio.samples)
        try:
            queued = await self._audio_buffer.write(*emitted.audio)
            return queued >= emitted.audio.rate_hz * MEDIA_S
        except AudioError as error:
            raise HandlerError(f"cannot play what {self._name} gave: {error}") from error

    async def _close(self, close: CloseStream) -> None:
        self._audio_buffer.end_reply()
        await self._audio_buffer.drain()
        await asyncio.sleep(FLUSH_S)
        self._sinks.end(close.msg)
