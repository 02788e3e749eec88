"""Receive-only audio: a click plays an arpeggio, made note by note while it plays.

    python demo/audio_to_client.py

The browser does not ask for a microphone. Click again to start from the beginning.
"""

from collections.abc import Iterator

import gradio as gr
import numpy as np
import numpy.typing as npt

from gradio_webrtc import WebRTC

SAMPLE_RATE = 24_000
CHORD = (261.63, 329.63, 392.00, 523.25)  # C major, in Hz


def arpeggio(rounds: int) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    """Yields one plucked note after the other: floats of shape (1, samples), -1 to 1."""
    times = np.arange(SAMPLE_RATE // 3) / SAMPLE_RATE
    for _ in range(rounds):
        for hz in CHORD:
            note = np.sin(2 * np.pi * hz * times) * np.exp(-6 * times) * 0.5
            yield (SAMPLE_RATE, note.reshape(1, -1))


with gr.Blocks(title="Arpeggio") as demo:
    gr.Markdown("# Arpeggio\nFour notes a round, a third of a second each.")
    webrtc = WebRTC(label="Audio", mode="receive", modality="audio")
    rounds = gr.Slider(label="Rounds", minimum=1, maximum=10, step=1, value=3)
    button = gr.Button("Play", variant="primary")
    webrtc.stream(arpeggio, inputs=[rounds], outputs=[webrtc], trigger=button.click)

if __name__ == "__main__":
    demo.launch()
