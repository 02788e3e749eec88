"""A transport without a network: sound from an array, and a page that answers by itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradio_webrtc._messages import decode_message
from gradio_webrtc._transport import AudioBlock, AudioPacer, TransportStats
from gradio_webrtc.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from gradio_webrtc._transport import AudioFrameSource, AudioSink, TimedFrame, VideoFrameSource

BLOCK_S: Final = 0.02
"""A caller's sound comes in packets of 20 ms, each when its last sample was spoken."""


AUDIBLE: Final = 100
"""int16 full scale less 50 dB: an echo of silence is no sound that a call would wait for."""


class FakeTransport:
    """One caller who says what an array holds and is silent ever after.

    Meets `gradio_webrtc._transport.Transport`. What it heard and was told stays in its lists.

    Args:
        rate_hz: Sample rate of ``samples``; a multiple of 50 Hz.
        samples: int16, ``(n,)`` or ``(1, n)``.
        on_page_message: Called with every message for the page.

    Attributes:
        sent: ``(time_s, samples)`` of each frame of sound that the caller heard.
        messages: ``(time_s, message)`` of each message for the page.
        last_audio_s: When the last audible frame went out.
    """

    def __init__(
        self,
        rate_hz: int,
        samples: NDArray[np.int16],
        on_page_message: Callable[[Mapping[str, Any]], None] = lambda _message: None,
    ) -> None:
        self.on_message: Callable[[str], None] = lambda _text: None
        self.sent: list[tuple[float, NDArray[np.int16]]] = []
        self.messages: list[tuple[float, Mapping[str, Any]]] = []
        self.last_audio_s = 0.0
        self._rate_hz = rate_hz
        self._samples = samples.reshape(1, -1)
        self._block_samples = round(rate_hz * BLOCK_S)
        self._blocks = 0
        self._on_page_message = on_page_message
        self._closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._origin_s = 0.0
        self._player: asyncio.Task[None] | None = None
        self._source: AudioFrameSource | None = None

    @property
    def duration_s(self) -> float:
        """How long the caller speaks, in seconds."""
        return self._samples.size / self._rate_hz

    @property
    def now_s(self) -> float:
        """Seconds since the call connected."""
        return asyncio.get_running_loop().time() - self._origin_s

    async def connect(self) -> None:
        """Connects at once; the caller's first sample is spoken now."""
        self._origin_s = asyncio.get_running_loop().time()
        if self._source is not None:
            self._player = asyncio.get_running_loop().create_task(self._play(self._source))

    async def carry_audio(self, sink: AudioSink) -> None:
        """Hands on 20 ms at a time, when they have been spoken."""
        while True:
            sink(await self._next_block())

    async def _next_block(self) -> AudioBlock:
        begin = self._blocks * self._block_samples
        self._blocks += 1
        due_s = self._origin_s + self._blocks * BLOCK_S
        await asyncio.sleep(due_s - asyncio.get_running_loop().time())
        block = self._samples[:, begin : begin + self._block_samples]
        missing = self._block_samples - block.size
        if missing:
            block = np.pad(block, ((0, 0), (0, missing)))
        return AudioBlock(self._rate_hz, 1, np.ascontiguousarray(block))

    def play_audio(self, source: AudioFrameSource) -> None:
        """Records what ``source`` gives, paced as on a wire."""
        self._source = source

    async def receive_video_frame(self) -> TimedFrame:
        """Nothing: the caller has no camera."""
        raise ConnectionLost("the caller sends no pictures")

    def play_video(self, source: VideoFrameSource) -> None:
        """The caller does not look."""

    def send_text(self, text: str) -> None:
        """Takes a message for the page."""
        message = decode_message(text)
        if message is not None:
            self.messages.append((self.now_s, message))
            self._on_page_message(message)

    def stats(self) -> TransportStats:
        """Returns the packets that were received and sent, one for each frame of 20 ms."""
        return TransportStats(packets_received=self._blocks, packets_sent=len(self.sent))

    def hang_up(self, reason: str = "the caller left") -> None:
        """The caller leaves."""
        if not self._closed.done():
            self._closed.set_result(reason)

    async def wait_closed(self) -> str:
        """Returns once the caller left."""
        return await asyncio.shield(self._closed)

    async def close(self) -> None:
        """Ends the connection."""
        self.hang_up("closed by the server")
        if self._player is not None:
            self._player.cancel()
            await asyncio.gather(self._player, return_exceptions=True)

    async def _play(self, source: AudioFrameSource) -> None:
        pacer = AudioPacer(source)
        while True:
            frame = await pacer.next_frame()
            if frame.is_audio:
                self.sent.append((self.now_s, frame.samples))
                if np.abs(frame.samples).max() > AUDIBLE:
                    self.last_audio_s = self.now_s
