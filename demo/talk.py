"""Talk to this machine: speak, pause, and be answered aloud. Interrupt it whenever you like.

Everything runs here, without an account, a key or a download. Start it with

    pip install "gradio_webrtc[talk]"
    python demo/talk.py

Turns are found by `ReplyOnPause`; `talk_speech.py` hears and speaks; `talk_replies.py` decides
what to say. Replace `reply_to` by a language model, and this is a voice assistant.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, TypeAlias

import gradio as gr
import numpy as np
import numpy.typing as npt
from talk_replies import GREETING, reply_to
from talk_speech import Ears, Voice

from gradio_webrtc import AdditionalOutputs, ReplyOnPause, WebRTC

Message: TypeAlias = dict[str, Any]
Spoken: TypeAlias = tuple[int, npt.NDArray[np.float32]] | AdditionalOutputs

CALLERS = 4
"""How many may talk at the same time."""

SUGGESTIONS = [
    "What time is it?",
    "What is the date?",
    "Count to twenty.",
    "Tell me a story.",
    "Stop.",
]


class Conversation:
    """What one question needs: to be heard, thought about and answered aloud."""

    def __init__(self, ears: Ears, voice: Voice) -> None:
        self._ears = ears
        self._voice = voice

    def greet(self, messages: list[Message]) -> Iterator[Spoken]:
        """What is said when the call opens."""
        yield from self._speak(GREETING, messages)

    def answer(
        self, audio: tuple[int, npt.NDArray[np.int16]], messages: list[Message]
    ) -> Iterator[Spoken]:
        """What is said after each pause: `audio` is the caller's turn, int16 (1, samples)."""
        _rate_hz, samples = audio
        heard = self._ears.transcribe(samples)
        messages = [*messages, {"role": "user", "content": heard or "…"}]
        yield AdditionalOutputs(messages)
        yield from self._speak(reply_to(heard, datetime.now().astimezone()), messages)

    def _speak(self, sentences: Iterable[str], messages: list[Message]) -> Iterator[Spoken]:
        # One sentence at a time: the first is heard while the others are still text, and when
        # the caller interrupts, the conversation ends where the voice did.
        said = ""
        for sentence in sentences:
            said = f"{said} {sentence}".strip()
            yield AdditionalOutputs([*messages, {"role": "assistant", "content": said}])
            for samples in self._voice.say(sentence):
                yield (self._voice.sample_rate, samples)


def build(conversation: Conversation) -> gr.Blocks:
    """The page: the call on the left, what was said on the right."""
    page = gr.Blocks(title="Talk")
    with page:
        gr.Markdown("# Talk to this machine\nSpeak, pause, and be answered. Interrupt at any time.")
        with gr.Row(equal_height=True):
            with gr.Column(scale=2):
                call = WebRTC(label="Call", mode="send-receive", modality="audio")
                gr.Markdown("**You can say** " + " · ".join(f"“{text}”" for text in SUGGESTIONS))
            with gr.Column(scale=3):
                messages = gr.Chatbot(label="Conversation", height=420, buttons=[])
        call.stream(
            ReplyOnPause(
                conversation.answer,
                startup_fn=conversation.greet,
                input_sample_rate=Ears.sample_rate,
                output_sample_rate=Voice.sample_rate,
            ),
            inputs=[call, messages],
            outputs=[call],
            concurrency_limit=CALLERS,
        )
        call.on_additional_outputs(
            lambda said: said, outputs=[messages], queue=False, show_progress="hidden"
        )
    return page


if __name__ == "__main__":
    # Both models are loaded and warm before the page can be opened.
    build(Conversation(Ears(), Voice())).launch(theme=gr.themes.Soft())
