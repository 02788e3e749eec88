"""Two agents that talk to each other: two streams in one program, one of which speaks first."""

import asyncio
import base64
import time
from collections.abc import AsyncGenerator

import numpy as np
import soxr
from support.vendors import LiveService

from gradio_webrtc import AsyncStreamHandler, Stream, get_tts_model, wait_for_item
from gradio_webrtc.utils import audio_to_int16

service = LiveService()
tts_model = get_tts_model()


class Teacher(AsyncStreamHandler):
    voice = "low"

    def __init__(self):
        super().__init__(
            expected_layout="mono", output_sample_rate=24_000, input_sample_rate=24_000
        )
        self.input_queue: asyncio.Queue = asyncio.Queue()
        self.output_queue: asyncio.Queue = asyncio.Queue()
        self.quit = asyncio.Event()

    def copy(self):
        return type(self)()

    async def start_up(self):
        async with service.connect(self.voice) as model:
            async for event in model.respond(self.stream()):
                if event.audio:
                    samples = np.frombuffer(event.audio, np.int16)
                    self.output_queue.put_nowait((self.output_sample_rate, samples))

    async def stream(self) -> AsyncGenerator[str, None]:
        while not self.quit.is_set():
            try:
                yield await asyncio.wait_for(self.input_queue.get(), 0.1)
            except TimeoutError:
                pass

    async def receive(self, frame: tuple[int, np.ndarray]) -> None:
        _, samples = frame
        self.input_queue.put_nowait(base64.b64encode(samples.squeeze().tobytes()).decode())

    async def emit(self):
        return await wait_for_item(self.output_queue)

    def shutdown(self) -> None:
        self.quit.set()


class Student(Teacher):
    voice = "high"

    async def start_up(self):
        rate, spoken = tts_model.tts("How do I fold a paper boat?")
        spoken = soxr.resample(spoken, rate, self.output_sample_rate)
        first = audio_to_int16((self.output_sample_rate, spoken))
        await self.output_queue.put((self.output_sample_rate, first))
        await super().start_up()


def looks(title: str, colour: str):
    return {
        "title": title,
        "icon": "https://icons.example/boat.png",
        "pulse_color": colour,
        "icon_button_color": "rgb(255, 255, 255)",
    }


teacher_stream = Stream(
    Teacher(),
    modality="audio",
    mode="send-receive",
    ui_args=looks("Teacher", "rgb(74, 138, 213)"),
)

student_stream = Stream(
    Student(),
    modality="audio",
    mode="send-receive",
    ui_args=looks("Student", "rgb(132, 112, 196)"),
)

if __name__ == "__main__":
    teacher_stream.ui.launch(server_port=7860, prevent_thread_lock=True)
    student_stream.ui.launch(server_port=7861, prevent_thread_lock=True)
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        teacher_stream.ui.close()
        student_stream.ui.close()
