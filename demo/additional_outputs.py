"""Additional outputs: the page writes down how long and how loud each turn was.

    python demo/additional_outputs.py

Put a speech recogniser in place of `measure`, and it takes the minutes of a meeting.
"""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np
import numpy.typing as npt

from gradio_webrtc import AdditionalOutputs, ReplyOnPause, WebRTC

Messages = list[dict[str, Any]]


def measure(
    audio: tuple[int, npt.NDArray[np.int16]], spoken_s: float, messages: Messages
) -> Iterator[AdditionalOutputs]:
    """Answers a turn: `audio`, then the current values of the other `inputs`."""
    sample_rate, samples = audio
    seconds = samples.size / sample_rate
    loudness = 20 * np.log10(np.sqrt(np.mean((samples / 32768) ** 2)) + 1e-5)
    said = {"role": "user", "content": f"{seconds:.1f} s at {loudness:.0f} dB"}
    total = {"role": "assistant", "content": f"That makes {spoken_s + seconds:.1f} s."}
    yield AdditionalOutputs(spoken_s + seconds, [*messages, said, total])


with gr.Blocks(title="Minutes") as demo:
    gr.Markdown("# Minutes\nSpeak, pause, and read how much you have said.")
    spoken_s = gr.State(0.0)
    with gr.Row():
        webrtc = WebRTC(label="Microphone", mode="send", modality="audio", height=400)
        messages = gr.Chatbot(label="Minutes", height=400)
    webrtc.stream(
        ReplyOnPause(measure), inputs=[webrtc, spoken_s, messages], outputs=[webrtc], time_limit=90
    )
    webrtc.on_additional_outputs(
        lambda seconds, minutes: (seconds, minutes),
        outputs=[spoken_s, messages],
        queue=False,
        show_progress="hidden",
    )

if __name__ == "__main__":
    demo.launch()
