"""The destinations of what a handler emits, of audio and of video.

Runs on the event loop. Imports no transport.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from .buffers import OutboundAudioBuffer, OutboundVideoBuffer
    from .output_queue import OutputQueue

FLUSH_S: Final = 0.3
"""The time between the last frame sent and the end of the session. What the network and the jitter
buffer of the client still hold is played out in it."""


class EmitSinks(NamedTuple):
    """The destinations of what a handler emits.

    Attributes:
        audio: Takes audio.
        video: Takes video frames.
        plays: False if the client plays and shows nothing (mode "send"): media are dropped at once.
        outputs: Takes AdditionalOutputs.
        end: Ends the session, with a reason for the client.
    """

    audio: OutboundAudioBuffer
    video: OutboundVideoBuffer
    plays: bool
    outputs: OutputQueue
    end: Callable[[str], None]

    async def close(self, reason: str) -> None:
        """Ends the session once outputs are fetched, and what was sent last is played."""
        await self.outputs.drain()
        await asyncio.sleep(FLUSH_S)
        self.end(reason)
