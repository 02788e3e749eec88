"""Overrides in subclasses of ReplyOnStopWords: the word, the turn behind it, the frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.conversing import RATE_HZ, WINDOW_SAMPLES, Dialogue, ScriptedVad, audio_at, conversing
from support.understanding import COMPUTER, OTHER, FakeModel, computer, windows_at

from gradio_webrtc import ReplyOnStopWords

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

STOPWORD = {"type": "stopword", "data": ""}


class Listening:
    """A reply that stores its arguments."""

    def __init__(self) -> None:
        self.received: list[NDArray[np.int16]] = []

    def __call__(self, audio: tuple[int, NDArray[np.int16]]) -> Iterator[str]:
        self.received.append(audio[1])
        yield "reply"


def say(conversation: Dialogue, *parts: NDArray[np.int16]) -> None:
    conversation.feed(np.concatenate(parts, axis=1))


def other(windows: float = 40) -> NDArray[np.int16]:
    return audio_at(OTHER, windows)


def quiet(windows: float = 20) -> NDArray[np.int16]:
    return audio_at(0.0, windows)


async def until_looked(conversation: Dialogue) -> None:
    """Waits until all speech was transcribed."""
    await conversation.handler._rtc_spotter._tasks.wait()  # noqa: SLF001 - no event of a vain search


class Overriding(ReplyOnStopWords):
    """Adds to everything that programs override."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.diary: set[str] = set()

    def copy(self) -> Any:
        clone = super().copy()
        clone.diary = self.diary
        return clone

    def receive(self, frame: Any) -> None:
        self.diary.add("receive")
        super().receive((frame[0], frame[1].squeeze().copy()))

    def reset(self) -> None:
        self.diary.add("reset")
        super().reset()

    def stop_word_detected(self, text: str) -> bool:
        self.diary.add("stop_word_detected")
        return super().stop_word_detected(text)


async def test_overrides_that_add_to_ours_change_nothing() -> None:
    fn, model = Listening(), FakeModel()
    template = Overriding(
        fn, ["computer"], input_sample_rate=RATE_HZ, vad=ScriptedVad, stt_model=model
    )
    async with conversing(template) as conversation:
        for turn in (1, 2):
            say(conversation, quiet(), computer(), quiet(8))
            await conversation.until_event("stopword", turn)
            await until_looked(conversation)
            say(conversation, other(30), quiet())
            await conversation.until_event("response_finished", turn)
            await conversation.until_idle()
        assert conversation.session.errors == []
    assert [windows_at(received, OTHER) for received in fn.received] == [30, 30]
    assert template.diary == {"receive", "reset", "stop_word_detected"}


class Level:
    """A PauseDetectionModel that takes a level for speech."""

    def vad(self, audio: tuple[int, NDArray[Any]], _options: Any) -> tuple[float, list[Any]]:
        return float((audio[1] > 0).sum() / audio[0]), []

    def warmup(self) -> None: ...


class AddsToTheRule(ReplyOnStopWords):
    def determine_pause(self, audio: Any, sampling_rate: int, state: Any) -> bool:
        return super().determine_pause(audio, sampling_rate, state)


class AddsToTheFrames(ReplyOnStopWords):
    def process_audio(self, audio: Any, state: Any) -> None:
        super().process_audio(audio, state)


class RewritesTheRule(ReplyOnStopWords):
    """The way of fastrtc: the word in blocks, then the pause in blocks."""

    def determine_pause(self, audio: Any, sampling_rate: int, state: Any) -> bool:
        if len(audio) / sampling_rate < self.algo_options.audio_chunk_duration:
            return False
        state.buffer = None
        if not state.stop_word_detected:
            text = self.stt_model.stt((sampling_rate, audio.astype(np.float32) / 32768))
            state.stop_word_detected = self.stop_word_detected(text)
            if state.stop_word_detected:
                self.send_stopword()
            return False
        speech_s, _ = self.model.vad((sampling_rate, audio), None)
        state.started_talking |= speech_s > 0.2
        if state.started_talking:
            state.stream = audio if state.stream is None else np.append(state.stream, audio)
        return bool(state.started_talking and speech_s < 0.1)


class RewritesReceive(ReplyOnStopWords):
    def receive(self, frame: Any) -> None:
        self.process_audio(frame, self.state)
        if self.state.pause_detected:
            self.event.set()


@pytest.mark.parametrize("kind", [AddsToTheRule, AddsToTheFrames, RewritesTheRule, RewritesReceive])
async def test_a_subclass_that_detects_in_blocks_waits_for_the_word_too(
    kind: type[ReplyOnStopWords],
) -> None:
    fn, stt = Listening(), FakeModel()
    template = kind(fn, ["computer"], input_sample_rate=RATE_HZ, model=Level(), stt_model=stt)
    block = 0.6 * RATE_HZ / WINDOW_SAMPLES
    async with conversing(template) as conversation:
        for turn in (1, 2):
            for level in (OTHER, 0.0, COMPUTER):
                say(conversation, audio_at(level, block))
            assert conversation.session.messages.count(STOPWORD) == turn
            for level in (0.0, OTHER, OTHER, 0.0):
                say(conversation, audio_at(level, block))
            await conversation.until_event("response_finished", turn)
            await conversation.until_idle()
        assert conversation.session.errors == []
    assert [round(received.size / RATE_HZ, 1) for received in fn.received] == [1.8, 1.8]
