"""An agent that is asked for a place and answers aloud, with nothing but a page."""

from support.vendors import Chat

from gradio_webrtc import (
    ReplyOnPause,
    Stream,
    get_stt_model,
    get_tts_model,
    get_twilio_turn_credentials,
)

stt_model = get_stt_model()
tts_model = get_tts_model()

INSTRUCTIONS = "Find a quiet place to work at."


class Agent:
    def __init__(self):
        self.llm = Chat()

    def run(self, text: str) -> str:
        return self.llm.complete([{"role": "user", "content": text}])


agent = Agent()


def process_response(audio):
    text = stt_model.stt(audio)
    if not text.strip():
        return
    answer = agent.run(f"{INSTRUCTIONS}\n\n{text}")
    yield from tts_model.stream_tts_sync(answer or "")


stream = Stream(
    handler=ReplyOnPause(process_response, input_sample_rate=16_000),
    modality="audio",
    mode="send-receive",
    ui_args={
        "pulse_color": "rgb(255, 255, 255)",
        "icon_button_color": "rgb(255, 255, 255)",
        "title": "🧑‍💻 Places to work at",
    },
    rtc_configuration=get_twilio_turn_credentials(),
)

if __name__ == "__main__":
    stream.ui.launch(server_port=7860)
