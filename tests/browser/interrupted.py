"""A page for `test_without_udp.py`: answers each turn with a long tone, until it is interrupted."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import gradio as gr
import numpy as np
from support.signals import tone

from gradio_webrtc import ReplyOnPause, WebRTC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RATE_HZ = 48_000
PITCHES_HZ = [400, 1000]
"""Of the first answer, and of all others."""

LENGTH_S = 20

_turns = count()


def answer(_audio: tuple[int, NDArray[np.int16]]) -> Iterator[tuple[int, NDArray[np.int16]]]:
    """A tone in pieces of 0.1 s, faster than they are played."""
    pitch_hz = PITCHES_HZ[min(next(_turns), 1)]
    piece = tone(0.1, pitch_hz, RATE_HZ)[np.newaxis]
    for _ in range(10 * LENGTH_S):
        yield RATE_HZ, piece


with gr.Blocks(title="Interrupted") as page:
    call = WebRTC(label="Call", mode="send-receive", modality="audio", fallback="always")
    call.stream(ReplyOnPause(answer), inputs=[call], outputs=[call])

if __name__ == "__main__":
    page.launch()
