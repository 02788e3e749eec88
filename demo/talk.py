"""A voice assistant: speak, pause, and be answered aloud. Interrupt it whenever you like.

Everything runs here, without an account, a key or a download. Start it with

    pip install "gradio_webrtc[talk]"
    python demo/talk.py

`ReplyOnPause` detects the turns, `talk_speech.py` transcribes and speaks, `talk_replies.py`
chooses the answer. Replace `reply_to` with a language model for answers to anything.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, TypeAlias

import gradio as gr
import numpy as np
import numpy.typing as npt
from talk_replies import GREETING, is_interruption, reply_to
from talk_speech import Ears, Voice

from gradio_webrtc import AdditionalOutputs, ReplyOnPause, WebRTC

Message: TypeAlias = dict[str, Any]
Spoken: TypeAlias = tuple[int, npt.NDArray[np.float32]] | AdditionalOutputs

CONCURRENCY_LIMIT = 4
"""Sessions that may be open at the same time."""

SUGGESTIONS = (
    "What time is it?",
    "What is the date?",
    "Count to twenty.",
    "Tell me a story.",
    "Stop.",
)

HEADING = """
<header class="heading">
  <h1>Talk to this machine</h1>
  <p>Speak, pause, and be answered. Interrupt it whenever you like.</p>
</header>
"""
CHIPS = f"""
<p class="chips">
  You can say {" ".join(f"<span>{text}</span>" for text in SUGGESTIONS)}
</p>
"""
CSS = """
.gradio-container { max-width: 1120px !important; }
.heading { padding: 1.25rem 0 0.5rem; }
.heading h1 { font-size: 1.9rem; font-weight: 700; line-height: 1.2; }
.heading p, .chips { color: var(--body-text-color-subdued); }
.chips { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem; }
.chips span {
  padding: 0.2rem 0.75rem;
  border: 1px solid var(--border-color-primary);
  border-radius: 999px;
  background: var(--background-fill-primary);
  color: var(--body-text-color);
}
"""


class TurnResponder:
    """Transcribes each turn, chooses the answer and speaks it."""

    def __init__(self, ears: Ears, voice: Voice) -> None:
        self._ears = ears
        self._voice = voice

    def greet(self, messages: list[Message]) -> Iterator[Spoken]:
        """Yields the greeting, when the session opens."""
        yield from self._speak(GREETING, messages)

    def answer(
        self, audio: tuple[int, npt.NDArray[np.int16]], messages: list[Message]
    ) -> Iterator[Spoken]:
        """Yields the answer to a turn: `audio` is what the user said, int16 (1, samples)."""
        _rate_hz, samples = audio
        transcript = self._ears.transcribe(samples)
        messages = [*messages, {"role": "user", "content": transcript or "…"}]
        yield AdditionalOutputs(messages)
        yield from self._speak(reply_to(transcript, datetime.now().astimezone()), messages)

    def is_interruption(self, audio: tuple[int, npt.NDArray[np.int16]]) -> bool:
        """Returns False if what was said over an answer is a "right" or an "okay"."""
        _rate_hz, samples = audio
        return is_interruption(self._ears.transcribe(samples))

    def _speak(self, sentences: Iterable[str], messages: list[Message]) -> Iterator[Spoken]:
        # One sentence at a time: the first is audible while the others are still text, and after an
        # interruption the written conversation ends where the voice did.
        said = ""
        for sentence in sentences:
            said = f"{said} {sentence}".strip()
            yield AdditionalOutputs([*messages, {"role": "assistant", "content": said}])
            for samples in self._voice.say(sentence):
                yield (self._voice.sample_rate, samples)


def build(responder: TurnResponder) -> gr.Blocks:
    """Builds the page: the call on the left, the conversation on the right."""
    page = gr.Blocks(title="Talk to this machine")
    with page:
        gr.HTML(HEADING)
        with gr.Row():
            with gr.Column(scale=2):
                webrtc = WebRTC(
                    label="Call", mode="send-receive", modality="audio", height=340, latency=True
                )
                gr.HTML(CHIPS)
            with gr.Column(scale=3):
                messages = gr.Chatbot(
                    label="Conversation",
                    height=440,
                    placeholder="Press **Start** and say hello.",
                    buttons=[],
                )
        webrtc.stream(
            ReplyOnPause(
                responder.answer,
                startup_fn=responder.greet,
                input_sample_rate=Ears.sample_rate,
                output_sample_rate=Voice.sample_rate,
                # Answers sooner, and goes on behind an "mhm".
                speculative=True,
                resume=True,
                is_interruption=responder.is_interruption,
            ),
            inputs=[webrtc, messages],
            outputs=[webrtc],
            concurrency_limit=CONCURRENCY_LIMIT,
        )
        webrtc.on_additional_outputs(
            lambda said: said, outputs=[messages], queue=False, show_progress="hidden"
        )
    return page


def main() -> None:
    """Loads both models, then opens the page: whoever opens it can talk at once."""
    # A font that Gradio carries; its semi-bold cut lacks most letters, so bold stands in.
    font = gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700))
    theme = gr.themes.Soft(font=(font, "system-ui", "sans-serif"))
    page = build(TurnResponder(Ears(), Voice()))
    page.launch(theme=theme, css=CSS, footer_links=[])


if __name__ == "__main__":
    main()
