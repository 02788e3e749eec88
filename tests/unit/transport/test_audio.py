"""Audio that aiortc encodes keeps its level."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from aiortc.codecs.opus import OpusDecoder, OpusEncoder
from aiortc.jitterbuffer import JitterFrame
from av import AudioFrame
from support.clock import run_virtual

from gradio_webrtc._transport.webrtc.audio import AudioSender

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAMES = 20
TIMES_S = np.arange(FRAMES * 960) / 48_000
TONE = (8000 * np.sin(2 * np.pi * 500 * TIMES_S)).astype(np.int16)


class Frames:
    """A source with the samples of an array, 20 ms at a time."""

    def __init__(self, frames: NDArray[np.int16]) -> None:
        self._frames = iter(frames)

    async def wait_ready(self) -> None:
        """Always ready."""

    def pull(self, *, partial: bool = False) -> NDArray[np.int16]:
        del partial
        frame: NDArray[np.int16] = next(self._frames)
        return frame[np.newaxis]

    def pull_early(self) -> NDArray[np.int16] | None:
        return self.pull()


async def through_opus(said: NDArray[np.int16]) -> NDArray[np.float64]:
    """Returns the first channel of the decoded packets."""
    sender, encoder, decoder = AudioSender(Frames(said)), OpusEncoder(), OpusDecoder()
    received = []
    for _ in range(FRAMES):
        frame_sent = await sender.recv()
        assert isinstance(frame_sent, AudioFrame)
        payloads, timestamp = encoder.encode(frame_sent)
        for payload in payloads:
            for frame in decoder.decode(JitterFrame(data=payload, timestamp=timestamp)):
                assert isinstance(frame, AudioFrame)
                received.append(frame.to_ndarray())
    return np.concatenate(received, axis=1)[0, ::2].astype(float)


@pytest.mark.parametrize("channels", [1, 2])
def test_opus_carries_the_level_of_every_channel(channels: int) -> None:
    said = np.repeat(TONE, channels).reshape(FRAMES, 960 * channels)
    settled = run_virtual(through_opus(said))[4800:]
    assert np.sqrt(np.mean(settled**2)) == pytest.approx(8000 / 2**0.5, rel=0.03)
