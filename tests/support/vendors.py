"""Stand-ins for the services that the programs of `guide/fastrtc` use: no keys, no network."""

from __future__ import annotations

import asyncio
import base64
import io
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from .signals import tone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

RATE_HZ = 24_000
ANSWER_S = 0.4
"""The length of a spoken answer: enough for its pitch, and short enough for many calls."""

ODD_BYTES = 1_001
"""The size of a piece of a stream of bytes: services take no care that a sample stays whole."""

LISTENS_S = 0.5
"""The audio after which a live model answers."""

VOICES = {"low": 400.0, "middle": 600.0, "high": 900.0}
"""The pitch of each voice in Hz: what was asked for can be measured at the other end."""


def speak(voice: str = "middle", rate_hz: int = RATE_HZ) -> bytes:
    """A spoken answer: int16 mono."""
    return tone(ANSWER_S, VOICES[voice], rate_hz).tobytes()


class Chat:
    """A language model, which answers with what was asked, or with answers given beforehand.

    Args:
        answers: Its answers, one after the other; without any it repeats the user.

    Attributes:
        asked: The conversation of each request.
    """

    def __init__(self, *answers: str) -> None:
        self.asked: list[list[dict[str, Any]]] = []
        self._answers = iter(answers)

    def complete(self, messages: Sequence[dict[str, Any]]) -> str:
        """The answer to a conversation of ``{"role": ..., "content": ...}``."""
        self.asked.append([dict(each) for each in messages])
        return next(self._answers, f"You said: {messages[-1]['content']}")

    def stream(self, messages: Sequence[dict[str, Any]]) -> Iterator[str]:
        """The same, word by word."""
        for word in self.complete(messages).split():
            yield f"{word} "


class Recogniser:
    """Speech to text for audio files; it counts the seconds, and has an ear for nothing else."""

    def transcribe(self, file: bytes) -> str:
        """The length of a recording in words."""
        with av.open(io.BytesIO(file), "r") as container:
            rate_hz = container.streams.audio[0].rate
            samples = sum(frame.samples for frame in container.decode(audio=0))
        return f"{samples / rate_hz:.1f} seconds"

    async def transcribe_async(self, file: bytes) -> str:
        """The same, for the event loop."""
        return await asyncio.to_thread(self.transcribe, file)


class Speaker:
    """Text to speech as a stream of bytes: int16 mono at `RATE_HZ`, in odd pieces.

    Attributes:
        spoken: The texts so far.
    """

    def __init__(self) -> None:
        self.spoken: list[str] = []

    def stream(self, text: str, piece_bytes: int = ODD_BYTES) -> Iterator[bytes]:
        """One text; the pitch is that of the voice "middle", however long it is."""
        self.spoken.append(text)
        audio = speak()
        for begin in range(0, len(audio), piece_bytes):
            yield audio[begin : begin + piece_bytes]


class Kokoro:
    """A stand-in for ``kokoro_onnx.Kokoro``, whose voice is that of `Speaker`."""

    def __init__(self, model_path: str, voices_path: str) -> None:
        del model_path, voices_path

    def create(self, text: str, voice: str, speed: float, lang: str) -> tuple[Any, int]:
        """One sentence: float32 and its rate."""
        del text, voice, speed, lang
        return np.frombuffer(speak(), np.int16).astype(np.float32) / 32768, RATE_HZ


@dataclass
class Event:
    """What a live model sends: "speech_started", "user", "audio" or "assistant".

    Attributes:
        type: One of these.
        audio: int16 mono of an "audio" event, as bytes.
        text: The words of the others.
    """

    type: str
    audio: bytes = b""
    text: str = ""

    @property
    def message(self) -> dict[str, str]:
        """The words, for a chatbot."""
        return {"role": self.type, "content": self.text}


class LiveModel:
    """A connection to a live model: after each half second of audio it answers with a tone.

    Attributes:
        images: The number of images that it got.
        is_open: False once it was closed.
    """

    def __init__(self, voice: str, rate_hz: int) -> None:
        self.images = 0
        self.is_open = True
        self._voice = voice
        self._rate_hz = rate_hz
        self._received = 0
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()

    async def send(self, audio: str | bytes) -> None:
        """Takes audio: int16 mono at 16 kHz, as bytes or in base64."""
        self._received += len(base64.b64decode(audio) if isinstance(audio, str) else audio)
        if self._received < LISTENS_S * 16_000 * 2:
            return
        self._received = 0
        self._events.put_nowait(Event("speech_started"))
        self._events.put_nowait(Event("user", text="a question"))
        answer = speak(self._voice, self._rate_hz)
        for half in (answer[: len(answer) // 4 * 2], answer[len(answer) // 4 * 2 :]):
            self._events.put_nowait(Event("audio", audio=half))
        self._events.put_nowait(Event("assistant", text="an answer"))

    async def send_image(self, jpeg: bytes) -> None:
        """Takes an image, as a JPEG file."""
        assert jpeg.startswith(b"\xff\xd8")
        self.images += 1

    async def respond(self, stream: AsyncIterator[str]) -> AsyncIterator[Event]:
        """Takes a whole stream of audio, and yields what comes back."""
        async for audio in stream:
            await self.send(audio)
            while not self._events.empty():
                if (event := self._events.get_nowait()) is not None:
                    yield event

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yields what comes back until the connection is closed."""
        while (event := await self._events.get()) is not None:
            yield event

    async def close(self) -> None:
        """Hangs up."""
        self.is_open = False
        self._events.put_nowait(None)


@dataclass
class LiveService:
    """Live models, one for each who connects.

    Attributes:
        connections: All of them so far.
    """

    connections: list[LiveModel] = field(default_factory=list)

    @asynccontextmanager
    async def connect(
        self, voice: str = "middle", rate_hz: int = RATE_HZ
    ) -> AsyncIterator[LiveModel]:
        """One connection, closed behind the block."""
        model = LiveModel(voice, rate_hz)
        self.connections.append(model)
        try:
            yield model
        finally:
            await model.close()
