"""What a caller is about to hear: a bounded queue between the handler and the transport."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from gradio_webrtc._audio import OutboundAudio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gradio_webrtc.types import Layout

MAX_BUFFERED_S: Final = 1.0
"""How far a handler may run ahead of the caller's ear. Enough to ride out a garbage collection or
a slow sentence; little enough that a generator is never minutes ahead of what was said."""


class OutboundAudioBuffer:
    """Takes audio of any rate, type and layout, gives 20 ms call frames.

    `write` waits while the queue is full; `pull` never waits. All of it runs on the event loop.

    Attributes:
        epoch: Grows with every `clear`, which ends each `write` that began before it.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self._audio = OutboundAudio(max_buffered_s=MAX_BUFFERED_S)
        self._ready = asyncio.Event()
        self._space = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()

    @property
    def buffered_s(self) -> float:
        """How much sound waits to be sent, in seconds."""
        return self._audio.buffered_s

    @property
    def non_finite(self) -> int:
        """How many samples were NaN or infinite and became silence."""
        return self._audio.non_finite

    async def write(self, rate_hz: int, samples: object, layout: Layout | None = None) -> int:
        """Queues audio, waiting for space as often as it must.

        Args:
            rate_hz: Sample rate, 8,000 to 192,000 Hz; may differ from call to call.
            samples: int16 full scale or float from -1 to 1; ``(n,)``, ``(1, n)``, planar
                ``(2, n)``, or packed ``(1, 2 * n)`` with ``layout="stereo"``.
            layout: One channel or two, where the shape does not tell.

        Returns:
            How many samples per channel were queued: less than there are when `clear` came in
            between and the rest was dropped.

        Raises:
            AudioError: It is no audio; nothing of it was queued.
        """
        total = OutboundAudio.samples_per_channel(samples, layout)
        epoch, taken = self.epoch, 0
        while taken < total:
            accepted = self._audio.push(rate_hz, samples, layout=layout, offset=taken)
            taken += accepted
            self._drained.clear()
            self._ready.set()
            if taken < total:
                self._space.clear()
                await self._space.wait()
            if epoch != self.epoch:
                break
        return taken

    def end_reply(self) -> None:
        """The reply is over: its last partial frame is padded and sent."""
        self._audio.end()
        if self._audio.buffered_s > 0:
            self._ready.set()

    def clear(self) -> None:
        """Barge-in: forgets all that waits, and lets go of a `write` that waits for space."""
        self.epoch += 1
        self._audio.clear()
        self._note_taken()

    def pull(self, *, partial: bool = False) -> NDArray[np.int16] | None:
        """The next 20 ms, int16 ``(1, 960 * channels)``; see `AudioFrameSource.pull`."""
        frame = self._audio.pull(partial=partial)
        if frame is not None:
            self._note_taken()
        return frame

    async def wait_ready(self) -> None:
        """Returns once there is something to send."""
        await self._ready.wait()

    async def drain(self) -> None:
        """Returns once everything written so far has been taken."""
        await self._drained.wait()

    def _note_taken(self) -> None:
        self._space.set()
        if self._audio.buffered_s <= 0:
            self._ready.clear()
            self._drained.set()
