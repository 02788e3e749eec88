"""Reply on stop words: a lamp that waits for "computer", and then does what you say.

    pip install "gradio_webrtc[stopword]"
    python demo/stop_words.py

Try "Computer, make it red." The speech recogniser runs on this machine.
"""

from collections.abc import Iterator

import gradio as gr
import numpy as np
import numpy.typing as npt

from gradio_webrtc import AdditionalOutputs, ReplyOnStopWords, WebRTC, get_stt_model

Audio = tuple[int, npt.NDArray[np.int16]]

COLOURS = {"red": "crimson", "blue": "royalblue", "green": "seagreen", "yellow": "gold"}


def lamp(colour: str) -> str:
    """Draws the lamp, in any CSS colour."""
    light = f"background: {colour}; box-shadow: 0 0 4em {colour}"
    bulb = "width: 11em; height: 11em; margin: 4em auto; border-radius: 50%"
    return f'<div style="{bulb}; {light}"></div>'


def obey(audio: Audio) -> Iterator[AdditionalOutputs]:
    """Answers a turn: `audio` is what was said after the stop word."""
    words = get_stt_model().stt(audio)
    for name, colour in COLOURS.items():
        if name in words.lower():
            yield AdditionalOutputs(lamp(colour), words)
            return
    yield AdditionalOutputs(gr.skip(), f"{words} (I know {', '.join(COLOURS)}.)")


with gr.Blocks(title="Lamp") as demo:
    gr.Markdown('# Lamp\nSay "Computer, make it red", or blue, green, yellow.')
    with gr.Row():
        with gr.Column():
            webrtc = WebRTC(label="Microphone", mode="send", modality="audio")
            understood = gr.Textbox(label="Understood", interactive=False)
        light = gr.HTML(lamp("gray"))
    webrtc.stream(
        ReplyOnStopWords(obey, stop_words=["computer"], input_sample_rate=16_000),
        inputs=[webrtc],
        outputs=[webrtc],
        time_limit=90,
        concurrency_limit=10,
    )
    webrtc.on_additional_outputs(
        lambda colour, words: (colour, words),
        outputs=[light, understood],
        queue=False,
        show_progress="hidden",
    )

if __name__ == "__main__":
    demo.launch()
