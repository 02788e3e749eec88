"""Sound between aiortc and the session: ``AudioFrame`` on one side, int16 arrays on the other."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from gradio_webrtc.errors import ConnectionLost

from .base import AudioBlock
from .pacing import CALL_RATE_HZ, FRAME_SAMPLES, Pacer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .base import FrameSource

TIME_BASE: Final = Fraction(1, CALL_RATE_HZ)


class AudioReceiver:
    """The caller's sound as int16 blocks.

    Args:
        track: aiortc's remote track. Its queue has no bound, so `receive` must keep being awaited.
    """

    def __init__(self, track: MediaStreamTrack) -> None:
        self._track = track

    async def receive(self) -> AudioBlock:
        """The next block.

        Raises:
            ConnectionLost: The track ended.
        """
        try:
            frame = await self._track.recv()
        except MediaStreamError as error:
            raise ConnectionLost("the caller's audio track ended") from error
        if not isinstance(frame, AudioFrame):
            raise ConnectionLost(f"expected decoded audio on the track, got {type(frame).__name__}")
        samples = frame.to_ndarray()
        if samples.dtype != np.int16:
            raise ConnectionLost(f"expected packed s16 from the decoder, got {frame.format.name}")
        return AudioBlock(
            frame.sample_rate, len(frame.layout.channels), cast("NDArray[np.int16]", samples)
        )


class AudioSender(MediaStreamTrack):
    """The track that aiortc reads what we say from.

    Args:
        source: Where the frames come from.
    """

    kind = "audio"

    def __init__(self, source: FrameSource) -> None:
        super().__init__()
        self._pacer = Pacer(source)

    async def recv(self) -> AudioFrame:
        """The next frame at its deadline; none at all while there is nothing to say.

        It has 960 samples of s16 at 48 kHz in stereo, so that aiortc's encoder need not convert it.
        Mono is doubled here, because there FFmpeg would make it 3 dB quieter: its upmix keeps the
        power of both loudspeakers together, not the level of each.
        """
        if self.readyState != "live":
            raise MediaStreamError
        paced = await self._pacer.next_frame()
        is_mono = paced.samples.size == FRAME_SAMPLES
        samples = np.repeat(paced.samples, 2, axis=1) if is_mono else paced.samples
        frame = AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.sample_rate = CALL_RATE_HZ
        frame.pts = paced.pts
        frame.time_base = TIME_BASE
        return frame
