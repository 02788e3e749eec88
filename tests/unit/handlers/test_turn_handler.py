"""ReplyOnPause from its template to the end of its session."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.conversing import (
    RATE_HZ,
    WINDOW_S,
    Recorder,
    ScriptedVad,
    audio_at,
    conversing,
    replying,
)

from gradio_webrtc._handlers import AlgoOptions, ReplyOnPause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

client: contextvars.ContextVar[str] = contextvars.ContextVar("client")


async def test_an_idle_handler_waits_without_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    start = threading.Thread.start

    def noting_start(thread: threading.Thread) -> None:
        if threading.get_ident() == here:
            started.append(thread.name)
        start(thread)

    here = threading.get_ident()
    monkeypatch.setattr(threading.Thread, "start", noting_start)
    async with conversing(replying(Recorder())) as talk:
        talk.pause(100)
        for _ in range(10):
            await asyncio.sleep(0)
        assert started == []
        assert inspect.iscoroutinefunction(talk.handler.session_emit)


async def test_the_thread_ends_with_the_session() -> None:
    threads: list[threading.Thread] = []

    def reply(audio: Any) -> Iterator[Any]:
        threads.append(threading.current_thread())
        yield audio

    async with conversing(replying(reply)) as talk:
        talk.say()
        await talk.until_event("response_finished")
    threads[0].join(timeout=10)
    assert not threads[0].is_alive()


@pytest.mark.parametrize("is_async", [False, True])
async def test_the_end_of_the_session_closes_the_generator(is_async: bool) -> None:  # noqa: FBT001
    closed: list[bool] = []

    def reply(audio: Any) -> Iterator[Any]:
        try:
            while True:
                yield audio
        finally:
            closed.append(True)

    async def reply_too(audio: Any) -> AsyncIterator[Any]:
        try:
            while True:
                yield audio
        finally:
            closed.append(True)

    async with conversing(replying(reply_too if is_async else reply)) as talk:
        talk.say()
        await talk.until_said(3)
        assert not closed
    assert closed == [True]


async def test_the_end_of_the_session_does_not_wait_for_blocked_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gradio_webrtc._turns.replies.RELEASE_S", 0.0)
    gate, done, entered = threading.Event(), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def reply(_audio: Any) -> Iterator[Any]:
        try:
            loop.call_soon_threadsafe(entered.set)
            gate.wait()
            yield None
        finally:
            done.set()

    async with conversing(replying(reply)) as talk:
        talk.say()
        await entered.wait()
    assert not done.is_set()
    gate.set()
    assert done.wait(timeout=10)


async def test_each_session_has_its_own_copy() -> None:
    template = replying(Recorder())
    template.remark = "kept"  # type: ignore[attr-defined]
    async with conversing(template) as one, conversing(template) as other:
        one.say()
        await one.until_event("response_finished")
        assert one.handler.remark == other.handler.remark == "kept"
        assert other.session.events == []
        assert other.items == []
        copy_of_a_used_one = one.handler.copy()
        assert copy_of_a_used_one.latest_args == []
        assert not inspect.iscoroutinefunction(copy_of_a_used_one.emit)
    assert template.generator is None


async def test_a_copy_calls_its_own_methods() -> None:
    class Counting(ReplyOnPause):
        def __init__(self) -> None:
            super().__init__(self.reply, vad=ScriptedVad, input_sample_rate=RATE_HZ)
            self.count = 0

        def reply(self, audio: Any) -> Iterator[Any]:
            self.count += 1
            yield audio

    template = Counting()
    async with conversing(template) as talk:
        talk.say()
        await talk.until_event("response_finished")
        assert talk.handler.count == 1
    assert template.count == 0


async def test_outside_a_session_it_receives_and_emits_nothing() -> None:
    handler = replying(Recorder())
    with pytest.raises(RuntimeError, match="in no session"):
        handler.receive((RATE_HZ, audio_at(1, 1)))
    with pytest.raises(RuntimeError, match="in no session"):
        await handler.wait_until_ready()
    with pytest.raises(RuntimeError, match="in no session"):
        handler.emit()
    assert handler.generator is None
    handler.reset()
    await handler.release()


def test_frames_are_20_ms_at_any_rate_unless_receive_is_overridden() -> None:
    class Listening(ReplyOnPause):
        def receive(self, frame: Any) -> None:
            super().receive(frame)

    assert ReplyOnPause(Recorder()).input_frame_size == 960
    assert ReplyOnPause(Recorder(), input_sample_rate=16000).input_frame_size == 320
    assert Listening(Recorder(), input_sample_rate=16000).input_frame_size == 960


def test_listening_is_light_with_the_built_in_detector_alone() -> None:
    class Listening(ReplyOnPause):
        def receive(self, frame: Any) -> None:
            super().receive(frame)

    class Judging(ReplyOnPause):
        def determine_pause(self, audio: Any, sampling_rate: int, state: Any) -> bool:
            return super().determine_pause(audio, sampling_rate, state)

    assert ReplyOnPause(Recorder()).receive_is_light
    assert not replying(Recorder()).receive_is_light
    assert not Listening(Recorder()).receive_is_light
    assert not Judging(Recorder()).receive_is_light


async def test_stereo_is_processed_as_the_mean_of_its_channels() -> None:
    fn = Recorder()
    handler = ReplyOnPause(fn, vad=ScriptedVad, input_sample_rate=RATE_HZ, expected_layout="stereo")
    mono = np.concatenate([audio_at(0.9, 16), audio_at(0, 17)], axis=1)
    stereo = np.stack([mono[0] + 100, mono[0] - 100], axis=1).reshape(1, -1)
    async with conversing(handler) as talk:
        talk.feed(stereo)
        await talk.until_event("response_finished")
    audio = fn.calls[0][0][1]
    assert set(np.unique(audio)) == {0, mono.max()}
    assert np.count_nonzero(audio) == audio_at(1, 16).size


async def test_a_detector_of_ones_own_may_listen_in_a_thread() -> None:
    fn = Recorder()
    async with conversing(replying(fn)) as talk:
        await asyncio.get_running_loop().run_in_executor(None, talk.say)
        await talk.until_event("response_finished")
    assert len(fn.calls) == 1


async def test_a_detector_given_as_an_object_is_shared_unless_it_can_be_copied() -> None:
    class Copying(ScriptedVad):
        copies = 0

        def copy(self) -> Copying:
            Copying.copies += 1
            return Copying()

    shared = ScriptedVad()
    for vad in (shared, Copying()):
        handler = ReplyOnPause(Recorder(), model=vad, input_sample_rate=RATE_HZ)
        async with conversing(handler) as talk:
            talk.say()
            await talk.until_event("response_finished")
    assert Copying.copies > 0


async def test_a_turn_that_never_pauses_is_ended_at_its_limit() -> None:
    fn = Recorder()
    options = AlgoOptions(max_continuous_speech_s=2.0)
    async with conversing(replying(fn, algo_options=options, can_interrupt=False)) as talk:
        talk.speak(80)
        await talk.until_event("response_finished")
    assert fn.lengths[0] * WINDOW_S == pytest.approx(2.0, abs=0.1)
