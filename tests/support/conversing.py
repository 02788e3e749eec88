"""A handler in a session in which every window of the user's speech is written down beforehand."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradio_webrtc._handlers import ReplyOnPause, current_session
from gradio_webrtc._workers.workers import Worker

from .fake_session import FakeSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray

    from gradio_webrtc._handlers import StreamHandlerBase

RATE_HZ: Final = 16000
WINDOW_SAMPLES: Final = 512
WINDOW_S: Final = WINDOW_SAMPLES / RATE_HZ

CHUNK: Final = (24000, np.ones((1, 480), np.int16))
"""A chunk to emit: 20 ms."""

LOUDNESS: Final = 16384
"""The sample value that stands for the probability 1."""


class ScriptedVad:
    """Meets `VoiceActivityDetector`: the level of the audio is the probability of speech."""

    sample_rate = RATE_HZ
    window_samples = WINDOW_SAMPLES

    def __init__(self) -> None:
        self.resets = 0

    def probability(self, window: NDArray[np.float32]) -> float:
        return float(min(window.mean() * 32768 / LOUDNESS, 1.0))

    def reset(self) -> None:
        self.resets += 1


def audio_at(probability: float, windows: float) -> NDArray[np.int16]:
    """So many windows that a `ScriptedVad` takes for speech with this probability; ``(1, n)``."""
    level = round(probability * LOUDNESS)
    return np.full((1, round(windows * WINDOW_SAMPLES)), level, np.int16)


class Dialogue:
    """Lets a user speak to a handler, and collects what the handler emits.

    Attributes:
        session: Records the requests of the handler.
        items: The items that ``emit`` gave, without the ``None`` in between.
    """

    def __init__(self, handler: StreamHandlerBase) -> None:
        self.handler: Any = handler
        self.session = FakeSession()
        self.items: list[Any] = []
        self._worker = Worker("conversation")
        self._moved = asyncio.Event()

    def feed(self, samples: NDArray[np.int16]) -> None:
        """Hands audio over in frames, as a session does."""
        frame_samples = self.handler.input_frame_size
        for start in range(0, samples.shape[1], frame_samples):
            self.handler.session_receive((RATE_HZ, samples[:, start : start + frame_samples]))

    def speak(self, windows: float = 16, probability: float = 0.9) -> None:
        """The user speaks for so many windows of 32 ms."""
        self.feed(audio_at(probability, windows))

    def pause(self, windows: float = 17) -> None:
        """The user is silent for so many windows of 32 ms; 16 end a turn."""
        self.feed(audio_at(0.0, windows))

    def say(self, windows: float = 16) -> None:
        """One whole turn."""
        self.speak(windows)
        self.pause()

    async def until_event(self, name: str, count: int = 1) -> dict[str, object]:
        """Waits for so many events of a name and returns what came with the last."""
        await self.session.until(lambda: self.session.names.count(name) >= count)
        return self.session.data(name)

    async def until_said(self, count: int) -> None:
        """Waits until the handler has emitted so many items."""
        while len(self.items) < count:
            self._moved.clear()
            await self._moved.wait()

    async def until_idle(self) -> None:
        """Waits until the handler has nothing to answer any more."""
        while self.handler.event.is_set():
            self._moved.clear()
            await self._moved.wait()

    async def pump(self) -> None:
        """Asks for items as a session does, for ever."""
        while True:
            await self.handler.wait_until_ready()
            emit = self.handler.session_emit
            if inspect.iscoroutinefunction(emit):
                item = await emit()
            else:
                item = await self._worker.run(emit)
            if item is not None:
                self.items.append(item)
            self._moved.set()
            await asyncio.sleep(0)

    def close(self) -> None:
        """Ends the thread."""
        self._worker.close()


def replying(fn: Any, **options: Any) -> ReplyOnPause:
    """A handler that receives what `conversing` lets the user say."""
    return ReplyOnPause(fn, vad=ScriptedVad, input_sample_rate=RATE_HZ, **options)


class Recorder:
    """A reply function that stores its arguments, and yields so many items."""

    def __init__(self, items: int = 2) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._items = items

    def __call__(self, audio: tuple[int, Any]) -> Iterator[tuple[int, Any]]:
        self.calls.append((audio,))
        for number in range(self._items):
            yield (24000, np.full((1, 480), number, np.int16))

    @property
    def lengths(self) -> list[float]:
        """The windows of audio that each run of the function got."""
        return [session[0][1].size / RATE_HZ / WINDOW_S for session in self.calls]


def spoken_windows(audio: tuple[int, Any]) -> int:
    """The number of windows of speech in the audio that a function was given."""
    return round(np.count_nonzero(audio[1]) / 512)


class Endless:
    """A reply function that talks until it is stopped."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self.closed = 0

    def sync(self, audio: Any) -> Iterator[Any]:
        self.received.append(spoken_windows(audio))
        try:
            while True:
                yield CHUNK
        finally:
            self.closed += 1

    async def asynchronous(self, audio: Any) -> AsyncIterator[Any]:
        self.received.append(spoken_windows(audio))
        try:
            while True:
                yield CHUNK
        finally:
            self.closed += 1


@asynccontextmanager
async def conversing(template: StreamHandlerBase, *inputs: object) -> AsyncIterator[Dialogue]:
    """A session of a copy of this handler, in which the page answers with these inputs."""
    conversation = Dialogue(template.copy())
    handler = conversation.handler
    handler.bind(conversation.session)
    conversation.session.answer_requests(handler, *inputs)
    token = current_session.set(conversation.session)
    started = handler.start_up()
    if inspect.isawaitable(started):
        await started
    pump = asyncio.get_running_loop().create_task(conversation.pump())
    try:
        yield conversation
    finally:
        pump.cancel()
        outcome = (await asyncio.gather(pump, return_exceptions=True))[0]
        await handler.release()
        conversation.close()
        current_session.reset(token)
    assert isinstance(outcome, asyncio.CancelledError), outcome
