"""The overrides of ReplyOnPause in programs for fastrtc, in the two ways they are written.

`ADDED` calls ours and adds to it. `REWRITTEN` does all of it again: the algorithm of fastrtc's
own class, which its users' programs start from.
"""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from gradio_webrtc._handlers import AlgoOptions, AppState, ReplyOnPause
from gradio_webrtc._messages import create_message
from gradio_webrtc.types import WebRTCData

NAMES = ("determine_pause", "process_audio", "reset", "copy", "emit", "receive")


class Noted(ReplyOnPause):
    """Keeps a diary that its copies share."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.diary: dict[str, int] = {}

    def note(self, name: str) -> None:
        self.diary[name] = self.diary.get(name, 0) + 1


class AddsToDeterminePause(Noted):
    def determine_pause(self, audio: Any, sampling_rate: int, state: AppState) -> bool:
        self.note("determine_pause")
        return super().determine_pause(audio, sampling_rate, state)


class AddsToProcessAudio(Noted):
    def process_audio(self, audio: Any, state: AppState) -> None:
        super().process_audio(audio, state)
        self.note("process_audio")


class AddsToReset(Noted):
    def reset(self) -> None:
        super().reset()
        self.note("reset")


class AddsToCopy(Noted):
    def copy(self) -> Any:
        clone = super().copy()
        clone.diary = self.diary
        self.note("copy")
        return clone


class AddsToEmit(Noted):
    def emit(self) -> Any:
        item = super().emit()
        if item is not None:
            self.note("emit")
        return item


class AddsToReceive(Noted):
    def receive(self, frame: Any) -> None:
        rate_hz, samples = frame
        super().receive((rate_hz, samples.squeeze().copy()))
        self.note("receive")
        if self.state.pause_detected and self.event.is_set():
            self.note("pauses")


class RewritesDeterminePause(Noted):
    def determine_pause(self, audio: Any, sampling_rate: int, state: AppState) -> bool:
        self.note("determine_pause")
        options = self.algo_options
        if len(audio) / sampling_rate < options.audio_chunk_duration:
            return False
        state.buffer = None
        speech_s, _ = self.model.vad((sampling_rate, audio), self.model_options)
        if not state.started_talking and speech_s > options.started_talking_threshold:
            state.started_talking = True
            self.send_message_sync(create_message("log", "started_talking"))
        if not state.started_talking:
            return False
        state.stream = audio if state.stream is None else np.concatenate((state.stream, audio))
        return bool(speech_s < options.speech_threshold)


class RewritesProcessAudio(Noted):
    def process_audio(self, audio: Any, state: AppState) -> None:
        self.note("process_audio")
        rate_hz, samples = audio
        samples = np.squeeze(samples)
        state.sampling_rate = state.sampling_rate or rate_hz
        fresh = samples if state.buffer is None else np.concatenate((state.buffer, samples))
        state.buffer = fresh
        state.pause_detected = self.determine_pause(fresh, state.sampling_rate, self.state)


class RewritesReset(Noted):
    def reset(self) -> None:
        self.note("reset")
        self.args_set.clear()
        self.generator = None
        self.event.clear()
        self.state = AppState()


class RewritesCopy(Noted):
    def copy(self) -> Any:
        self.note("copy")
        clone = type(self)(
            self.fn,
            self.startup_fn,
            self.algo_options,
            self.model_options,
            self.can_interrupt,
            self.expected_layout,
            self.output_sample_rate,
            self.output_frame_size,
            self.input_sample_rate,
            self.model,
            self.needs_args,
        )
        clone.diary = self.diary
        return clone


class RewritesEmit(Noted):
    def emit(self) -> Any:
        if not self.event.is_set():
            return None
        if not self.generator:
            self._begin()
        self.state.responding = True
        generator = self.generator
        try:
            item = self._next(generator)
        except (StopIteration, StopAsyncIteration):
            if self.generator is generator:
                self.reset()
            return None
        except Exception:
            self.reset()
            raise
        self.note("emit")
        return item

    def _begin(self) -> None:
        self.wait_for_args_sync()
        stream = self.state.stream
        speech = np.zeros((1, 0), np.int16) if stream is None else stream.reshape(1, -1)
        if isinstance(self.latest_args[0], WebRTCData):
            self.latest_args[0].audio = (self.state.sampling_rate, speech)
        else:
            self.latest_args[0] = (self.state.sampling_rate, speech)
        self.generator = self.fn(*self.latest_args)
        self.state = self.state.new()

    def _next(self, generator: Any) -> Any:
        if not self.is_async:
            return next(generator)
        step = self.async_iterate(generator)
        return asyncio.run_coroutine_threadsafe(step, self.loop).result()


class RewritesReceive(Noted):
    def receive(self, frame: Any) -> None:
        self.note("receive")
        if self.state.responding and not self.can_interrupt:
            return
        self.process_audio(frame, self.state)
        if not self.state.pause_detected:
            return
        self.event.set()
        if self.can_interrupt and self.state.responding:
            self._drop()
            self.generator = None
        if self.can_interrupt:
            self.clear_queue()

    def _drop(self) -> None:
        generator = self.generator
        if self.emits_by_itself:
            # Its emit would take one that it finds closed for one that has come to its end.
            self.generator = None
        try:
            if self.is_async:
                ending = generator.aclose()
                asyncio.run_coroutine_threadsafe(ending, self.loop).result(timeout=1.0)
            else:
                generator.close()
        except Exception:  # noqa: BLE001 - as the programs have it
            self.note("could not close")


ADDED: dict[str, type[Noted]] = {
    "determine_pause": AddsToDeterminePause,
    "process_audio": AddsToProcessAudio,
    "reset": AddsToReset,
    "copy": AddsToCopy,
    "emit": AddsToEmit,
    "receive": AddsToReceive,
}
REWRITTEN: dict[str, type[Noted]] = {
    "determine_pause": RewritesDeterminePause,
    "process_audio": RewritesProcessAudio,
    "reset": RewritesReset,
    "copy": RewritesCopy,
    "emit": RewritesEmit,
    "receive": RewritesReceive,
}

OPTIONS = AlgoOptions(audio_chunk_duration=0.6)


def overriding(*parts: type[Noted]) -> type[Noted]:
    """A class that overrides what these do."""
    return type("Program", (*parts, Noted), {})
