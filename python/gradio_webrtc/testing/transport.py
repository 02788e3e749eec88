"""A transport without a network: audio from an array, and messages kept in a list.

Runs on the event loop.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from gradio_webrtc._audio import Resampler
from gradio_webrtc._messages import decode_data
from gradio_webrtc._transport import AudioBlock, AudioPacer
from gradio_webrtc._transport.pacing import FRAME_SAMPLES, SESSION_RATE_HZ
from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc.errors import ConnectionLost
from gradio_webrtc.types import TransportStats

from .echo import EchoPath
from .packets import PacketPath

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradio_webrtc._audio import InboundTurns
    from gradio_webrtc._transport import (
        AudioFrameSource,
        AudioSink,
        Detected,
        TimedFrame,
        VideoFrameSource,
    )
    from gradio_webrtc.types import Layout

    from .echo import Echo
    from .network import Network

BLOCK_S: Final = 0.02
"""The length of an inbound block in seconds, as in a packet of a browser. Each comes when its last
sample was spoken."""

AUDIBLE: Final = 100
"""The int16 peak above which a frame is audible, full scale less 50 dB: nobody waits for the end of
an echo of silence."""


class FakeTransport:
    """The transport of a client that sends the audio of an array, and silence from then on.

    `simulate` makes one for its session. It meets `gradio_webrtc._transport.Transport`, and
    everything that the session sends stays in lists. All times are in seconds since the session
    connected.

    Args:
        rate_hz: Sample rate of ``samples``; a multiple of 50 Hz.
        samples: int16, ``(n,)`` or ``(1, n)``.
        on_page_message: Called with every message to the client.
        network: The network that the audio goes through, as packets of Opus; ``None`` for no
            network and no codec.
        echo: The way from its speaker to its microphone; ``None`` for none.

    Attributes:
        sent: ``(time_s, samples)`` of each audio frame that was sent to the client.
        messages: ``(time_s, message)`` of each message to the client: values of JSON, as a rule
            dicts.
        last_audio_s: The time at which the last audible frame was sent.
    """

    is_reliable = False

    def __init__(
        self,
        rate_hz: int,
        samples: NDArray[np.int16],
        on_page_message: Callable[[Any], None] = lambda _message: None,
        *,
        network: Network | None = None,
        echo: Echo | None = None,
    ) -> None:
        if (network or echo) is not None and rate_hz != SESSION_RATE_HZ:
            resampler = Resampler(rate_hz, SESSION_RATE_HZ)
            resampled = [resampler.process(samples.reshape(1, -1)), resampler.flush()]
            rate_hz, samples = SESSION_RATE_HZ, np.concatenate(resampled, axis=1).astype(np.int16)
        self.on_message: Callable[[str], None] = lambda _text: None
        self.sent: list[tuple[float, NDArray[np.int16]]] = []
        self.messages: list[tuple[float, Any]] = []
        self.last_audio_s = 0.0
        self._rate_hz = rate_hz
        self._samples = samples.reshape(1, -1)
        self._block_samples = round(rate_hz * BLOCK_S)
        self._blocks = 0
        self._note_message = on_page_message
        self._closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._origin_s = 0.0
        self._tasks = TaskScope()
        self._source: AudioFrameSource | None = None
        self._network = network
        self._echo = None if echo is None else EchoPath(echo, FRAME_SAMPLES)
        self._path: PacketPath | None = None
        self._preferred: tuple[int, Layout] | None = None

    @property
    def duration_s(self) -> float:
        """The length of the array in seconds."""
        return self._samples.size / self._rate_hz

    @property
    def now_s(self) -> float:
        """Seconds since the session connected."""
        return asyncio.get_running_loop().time() - self._origin_s

    async def connect(self) -> None:
        """Connects at once; the first sample of the array is spoken now."""
        self._origin_s = asyncio.get_running_loop().time()
        if self._source is not None:
            self._tasks.start(self._play(self._source))

    def prefer_audio(self, rate_hz: int, layout: Layout) -> None:
        """Has the receiver of a network decode for that, as those of real sessions do."""
        self._preferred = (rate_hz, layout)
        if self._path is not None:
            self._path.prefer_audio(rate_hz, layout)

    def keep_pauses(self) -> None:
        """Has gaps in the timestamps of packets be silence; see `Transport.keep_pauses`."""
        if self._path is not None:
            self._path.keep_pauses()

    def flush_audio(self) -> bool:
        """Delivers what waits behind a network; see `Transport.flush_audio`."""
        if self._path is not None:
            self._path.flush_audio()
        return True

    def feed_turns(self, turns: InboundTurns, on_detected: Callable[[Detected], None]) -> None:
        """Leaves it to the sink, which runs on the virtual clock."""

    async def carry_audio(self, sink: AudioSink) -> None:
        """Delivers 20 ms at a time, when they have been spoken, or when the network lets them."""
        if self._network is not None:
            await self._carry_packets(PacketPath(self._network, sink, lambda: self.now_s))
        while True:
            await self._sleep_until(self._next_block_s)
            sink(self._take_block())

    async def _carry_packets(self, path: PacketPath) -> NoReturn:
        self._path = path
        if self._preferred is not None:
            path.prefer_audio(*self._preferred)
        try:
            while True:
                deadline_s = path.deadline_s
                # The clock may stand a rounding error before the time that was waited for.
                now_s = min(self._next_block_s, math.inf if deadline_s is None else deadline_s)
                await self._sleep_until(now_s)
                path.receive(now_s)
                if now_s >= self._next_block_s:
                    path.send(now_s, self._take_block())
                    path.receive(now_s)
        finally:
            path.close()

    @property
    def _next_block_s(self) -> float:
        return (self._blocks + 1) * BLOCK_S

    async def _sleep_until(self, time_s: float) -> None:
        await asyncio.sleep(self._origin_s + time_s - asyncio.get_running_loop().time())

    def _take_block(self) -> AudioBlock:
        """The next 20 ms of the array, or silence."""
        begin = self._blocks * self._block_samples
        self._blocks += 1
        block = self._samples[:, begin : begin + self._block_samples]
        missing = self._block_samples - block.size
        if missing:
            block = np.pad(block, ((0, 0), (0, missing)))
        if self._echo is not None:
            block = self._echo.add_to(block)
        return AudioBlock(self._rate_hz, 1, np.ascontiguousarray(block))

    def play_audio(self, source: AudioFrameSource) -> None:
        """Records the frames of ``source``, paced as on a wire."""
        self._source = source

    async def receive_video_frame(self) -> TimedFrame:
        """Raises `ConnectionLost`: the client has no camera."""
        raise ConnectionLost("the client sends no video")

    def play_video(self, source: VideoFrameSource) -> None:
        """Does nothing: the client shows no video."""

    def send_text(self, text: str) -> None:
        """Records a message to the client."""
        message = decode_data(text)
        self.messages.append((self.now_s, message))
        self._note_message(message)

    def clear_audio(self) -> float:
        """Drops nothing: what was sent counts as played."""
        return 0.0

    def playout_delay_s(self) -> float:
        """Returns 0: what was sent counts as played."""
        return 0.0

    def stats(self) -> TransportStats:
        """Returns the packets that were received and sent, one for each frame of 20 ms."""
        received = self._path.stats() if self._path else TransportStats(self._blocks)
        return replace(received, packets_sent=len(self.sent))

    def hang_up(self, reason: str = "the client left") -> None:
        """Ends the connection as the client does.

        Args:
            reason: The reason, in words.
        """
        if not self._closed.done():
            self._closed.set_result(reason)

    async def wait_closed(self) -> str:
        """Returns, with the reason in words, once the connection is over."""
        return await asyncio.shield(self._closed)

    async def close(self, away_s: float = 0.0) -> None:  # noqa: ARG002 - nobody is away
        """Ends the connection; safe to call twice."""
        self.hang_up("closed by the server")
        await self._tasks.close()

    async def _play(self, source: AudioFrameSource) -> None:
        pacer = AudioPacer(source)
        while True:
            frame = await pacer.next_frame()
            if frame.is_audio:
                self.sent.append((self.now_s, frame.samples))
                if self._echo is not None:
                    self._echo.play(self.now_s, frame.samples)
                if np.abs(frame.samples).max() > AUDIBLE:
                    self.last_audio_s = self.now_s
