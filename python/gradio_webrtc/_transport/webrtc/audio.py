"""Outbound audio, from the session's frames to the track that aiortc's sender reads.

Runs on the event loop, 50 times a second and session. Uses public interfaces of aiortc and PyAV
alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, Packet

from gradio_webrtc._transport.opus import S16, TIME_BASE, OpusWriter
from gradio_webrtc._transport.pacing import FRAME_SAMPLES, SESSION_RATE_HZ, AudioPacer

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradio_webrtc._transport.base import AudioFrameSource
    from gradio_webrtc._transport.pacing import PacedFrame

SILENCE_DBOV: Final = -127
"""The lowest level there is; anything quieter counts as this (RFC 6464 section 3)."""

FULL_SCALE: Final = 32767


class AudioSender(MediaStreamTrack):
    """The track from which aiortc reads outbound audio.

    Args:
        source: Returns the frames.

    Attributes:
        source: As given.
        pacer: Returns the frames when they are due.
        writer: Makes packets of them.
        encodes: True if `recv` returns packets.
        on_close: Called by `close`, by whoever sends in its place.
    """

    kind = "audio"

    def __init__(self, source: AudioFrameSource) -> None:
        super().__init__()
        self.pacer = AudioPacer(source)
        self.writer = OpusWriter()
        self.source = source
        self.encodes = False
        self.on_close: Callable[[], None] = lambda: None

    def encode_opus(self) -> None:
        """Makes `recv` return Opus packets, which aiortc sends as they are, instead of frames."""
        self.encodes = True

    def close(self) -> None:
        """Ends the track, and frees its encoder."""
        self.on_close()
        self.stop()
        self.writer.close()

    async def recv(self) -> AudioFrame | Packet[Any]:
        """Returns the next 20 ms at its deadline; waits while there is nothing to send.

        A frame has 960 samples of s16 at 48 kHz in stereo, so that aiortc's encoder need not
        convert it.
        """
        if self.readyState != "live":
            raise MediaStreamError
        paced = await self.pacer.next_frame()
        if not self.encodes:
            return _make_frame(paced)
        packet = Packet(self.writer.write(paced.samples))
        packet.pts, packet.time_base = paced.pts, TIME_BASE
        return packet


def level_dbov(samples: NDArray[np.int16]) -> int:
    """Returns the level of int16 samples in dB of full scale, -127 to 0 (RFC 6465 appendix A)."""
    values = samples.reshape(-1).astype(np.float32)
    power = float(np.dot(values, values)) / (max(1, values.size) * FULL_SCALE**2)
    return round(max(SILENCE_DBOV, min(0.0, 10 * math.log10(power)))) if power else SILENCE_DBOV


def _make_frame(paced: PacedFrame) -> AudioFrame:
    """Returns a frame for aiortc's encoder, which always works in stereo.

    Mono is doubled here, because there FFmpeg would make it 3 dB quieter: its upmix keeps the power
    of both loudspeakers together, not the level of each.
    """
    is_mono = paced.samples.size == FRAME_SAMPLES
    samples = np.repeat(paced.samples, 2, axis=1) if is_mono else paced.samples
    frame = AudioFrame.from_ndarray(samples, format=S16, layout="stereo")
    frame.sample_rate = SESSION_RATE_HZ
    frame.pts = paced.pts
    frame.time_base = TIME_BASE
    return frame
