"""ReplyOnStopWords: silent before the word, the turn behind it, and silent again."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.conversing import RATE_HZ, WINDOW_SAMPLES, Dialogue, ScriptedVad, audio_at, conversing
from support.understanding import COMPUTER, OTHER, WORD_WINDOWS, FakeModel, computer, windows_at

from gradio_webrtc import AlgoOptions, ReplyOnStopWords, SileroVadOptions
from gradio_webrtc._turns.stop_words import KEPT_S, MAX_SEGMENT_S, TRANSCRIBE_EVERY_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray

STOPWORD = {"type": "stopword", "data": ""}


class Listening:
    """A reply that stores its arguments."""

    def __init__(self) -> None:
        self.received: list[NDArray[np.int16]] = []

    def __call__(self, audio: tuple[int, NDArray[np.int16]]) -> Iterator[str]:
        self.received.append(audio[1])
        yield "reply"


def handler(fn: Any, model: FakeModel, **options: Any) -> ReplyOnStopWords:
    return ReplyOnStopWords(
        fn,
        ["jarvis", "computer"],
        input_sample_rate=RATE_HZ,
        vad=ScriptedVad,
        stt_model=model,
        **options,
    )


def say(conversation: Dialogue, *parts: NDArray[np.int16]) -> None:
    conversation.feed(np.concatenate(parts, axis=1))


def other(windows: float = 40) -> NDArray[np.int16]:
    return audio_at(OTHER, windows)


def quiet(windows: float = 20) -> NDArray[np.int16]:
    return audio_at(0.0, windows)


async def until_asked(model: FakeModel) -> None:
    await asyncio.to_thread(model.asked.wait)


async def until_looked(conversation: Dialogue) -> None:
    """Waits until all speech was transcribed."""
    await conversation.handler._rtc_spotter._tasks.wait()  # noqa: SLF001 - no event of a vain search


async def test_nothing_is_answered_without_the_word() -> None:
    fn, model = Listening(), FakeModel()
    async with conversing(handler(fn, model)) as conversation:
        for _ in range(3):
            say(conversation, other(), quiet())
            await until_looked(conversation)
    assert model.looks
    assert conversation.session.events == []
    assert conversation.session.messages == []
    assert fn.received == []


async def test_the_turn_is_what_follows_the_word_in_one_breath() -> None:
    fn, model = Listening(), FakeModel()
    async with conversing(handler(fn, model)) as conversation:
        say(conversation, other(), quiet(8), computer(), other(50))
        await conversation.until_event("stopword")
        say(conversation, other(10), quiet())
        await conversation.until_event("response_finished")
    [received] = fn.received
    assert received.dtype == np.int16
    assert windows_at(received, OTHER) == 60
    assert windows_at(received, COMPUTER) <= 4, "what was needed to understand it is cut off"
    assert conversation.session.messages == [STOPWORD]
    assert conversation.items == ["reply"]
    assert conversation.session.data("stopword")["text"] == "Computer! so on"


async def test_the_word_waits_for_a_turn() -> None:
    fn, model = Listening(), FakeModel()
    async with conversing(handler(fn, model)) as conversation:
        say(conversation, quiet(), computer(), quiet(8))
        await conversation.until_event("stopword")
        await until_looked(conversation)
        say(conversation, quiet(100))
        assert conversation.handler.state.stop_word_detected
        assert conversation.session.names == ["stopword"]
        looks = len(model.looks)
        say(conversation, other(30), quiet())
        await conversation.until_event("response_finished")
    [received] = fn.received
    assert windows_at(received, OTHER) == 30
    assert windows_at(received, COMPUTER) == 0
    assert len(model.looks) == looks, "nothing is transcribed once the word was said"


async def test_the_times_are_those_of_the_session() -> None:
    fn, model = Listening(), FakeModel()
    async with conversing(handler(fn, model)) as conversation:
        say(conversation, other(50), quiet(), quiet(30), computer(), quiet(8))
        await conversation.until_event("stopword")
        await until_looked(conversation)
        say(conversation, quiet(28), other(30), quiet())
        pause = await conversation.until_event("pause_detected")
    windows_before = 50 + 20 + 30 + WORD_WINDOWS + 8 + 28
    assert pause["speech_start_s"] == pytest.approx(windows_before * 0.032, abs=0.033)
    assert pause["speech_end_s"] == pytest.approx((windows_before + 30) * 0.032, abs=0.033)


async def test_the_word_is_needed_for_every_turn() -> None:
    fn, model = Listening(), FakeModel()
    async with conversing(handler(fn, model)) as conversation:
        for turn in (1, 2):
            say(conversation, computer(), quiet(8))
            await conversation.until_event("stopword", turn)
            await until_looked(conversation)
            say(conversation, other(30), quiet())
            await conversation.until_event("response_finished", turn)
            assert not conversation.handler.state.stop_word_detected
            say(conversation, other(30), quiet())
            await until_looked(conversation)
    assert len(fn.received) == 2
    assert [windows_at(received, OTHER) for received in fn.received] == [30, 30]
    assert conversation.session.messages == [STOPWORD, STOPWORD]


async def endless(_audio: Any) -> AsyncIterator[str]:
    while True:
        yield "talking"
        await asyncio.sleep(0.001)


async def test_the_word_alone_interrupts_an_answer() -> None:
    model = FakeModel()
    async with conversing(handler(endless, model)) as conversation:
        conversation.handler.trigger_response()
        await conversation.until_said(2)
        say(conversation, other(), quiet())
        await until_looked(conversation)
        assert "interrupted" not in conversation.session.names
        say(conversation, computer(), quiet(8))
        await conversation.until_event("interrupted")
    assert conversation.session.names[-1] == "interrupted"
    assert "stopword" in conversation.session.names


async def test_an_answer_that_may_not_be_interrupted_is_deaf_to_the_word() -> None:
    model = FakeModel()
    async with conversing(handler(endless, model, can_interrupt=False)) as conversation:
        conversation.handler.trigger_response()
        await conversation.until_said(2)
        say(conversation, computer(), quiet())
        await until_looked(conversation)
        await conversation.until_said(5)
    assert "stopword" not in conversation.session.names
    assert model.looks == []


async def test_a_word_understood_after_an_answer_began_is_too_late() -> None:
    model = FakeModel()
    model.may_answer.clear()
    async with conversing(handler(endless, model, can_interrupt=False)) as conversation:
        say(conversation, computer(), quiet(8))
        await until_asked(model)
        conversation.handler.trigger_response()
        await conversation.until_said(1)
        model.may_answer.set()
        await until_looked(conversation)
    assert conversation.session.messages == []


async def test_silence_is_not_transcribed() -> None:
    model = FakeModel()
    async with conversing(handler(Listening(), model)) as conversation:
        say(conversation, quiet(2000))
        say(conversation, other(2), quiet(50))
        await until_looked(conversation)
    assert model.looks == []


async def test_the_model_runs_off_the_event_loop_and_sees_the_new_speech() -> None:
    model = FakeModel()
    async with conversing(handler(Listening(), model)) as conversation:
        for _ in range(10):
            say(conversation, other(31.25))
            await until_looked(conversation)
        say(conversation, quiet())
        await until_looked(conversation)
    assert threading.main_thread().ident not in model.threads
    assert len(model.threads) == 1
    assert len(model.looks) <= 10 / TRANSCRIBE_EVERY_S + 1
    assert sum(model.looks) >= 10
    assert max(model.looks) <= TRANSCRIBE_EVERY_S + 2


async def test_a_slow_model_sees_the_latest_and_memory_has_a_bound() -> None:
    fn, model = Listening(), FakeModel()
    model.may_answer.clear()
    async with conversing(handler(fn, model)) as conversation:
        say(conversation, other(40))
        await until_asked(model)
        say(conversation, other(2000))
        detector = conversation.handler._rtc_detector  # noqa: SLF001 - what it holds is not public
        assert detector._kept_samples <= (KEPT_S + 0.1) * RATE_HZ  # noqa: SLF001 - as above
        say(conversation, computer(), other(10))
        model.may_answer.set()
        await conversation.until_event("stopword")
        await until_looked(conversation)
        say(conversation, other(10), quiet())
        await conversation.until_event("response_finished")
    assert max(model.looks) <= MAX_SEGMENT_S
    assert windows_at(fn.received[0], OTHER) == 20


async def test_what_is_said_while_the_model_looks_is_in_the_turn() -> None:
    fn, model = Listening(), FakeModel()
    model.may_answer.clear()
    async with conversing(handler(fn, model)) as conversation:
        say(conversation, computer(), quiet(8))
        await until_asked(model)
        say(conversation, other(50), quiet())
        model.may_answer.set()
        await conversation.until_event("response_finished")
    assert windows_at(fn.received[0], OTHER) == 50


async def test_an_error_of_the_model_is_reported_and_the_next_word_is_detected() -> None:
    model = FakeModel()
    model.error = RuntimeError("out of memory")
    async with conversing(handler(Listening(), model)) as conversation:
        say(conversation, computer(), quiet())
        await until_looked(conversation)
        assert [str(error) for error in conversation.session.errors] == ["out of memory"]
        say(conversation, computer(), quiet())
        await conversation.until_event("stopword")
        await until_looked(conversation)


async def test_a_session_that_ends_while_the_model_looks() -> None:
    model = FakeModel()
    model.may_answer.clear()
    async with conversing(handler(Listening(), model)) as conversation:
        say(conversation, computer(), quiet())
        await until_asked(model)
    model.may_answer.set()
    assert conversation.session.events == []


async def test_another_rule_for_the_word() -> None:
    class Rude(ReplyOnStopWords):
        def stop_word_detected(self, text: str) -> bool:
            return "so on" in text

    rude = Rude(
        Listening(), "please", input_sample_rate=RATE_HZ, vad=ScriptedVad, stt_model=FakeModel()
    )
    async with conversing(rude) as conversation:
        say(conversation, other(), quiet())
        await conversation.until_event("stopword")
        await until_looked(conversation)


async def test_a_turn_triggered_before_the_word_is_empty() -> None:
    fn, model = Listening(), FakeModel()
    async with conversing(handler(fn, model)) as conversation:
        say(conversation, other(20))
        conversation.handler.trigger_response()
        await conversation.until_event("response_finished")
    assert [received.shape for received in fn.received] == [(1, 0)]


class Blocks:
    """A `PauseDetectionModel`: any audio is speech."""

    def vad(self, audio: tuple[int, Any], _options: Any) -> tuple[float, list[dict[str, int]]]:
        rate_hz, samples = audio
        spoken = int((samples != 0).sum())
        return spoken / rate_hz, [{"start": 0, "end": spoken}]

    def warmup(self) -> None:
        pass


async def test_a_model_of_blocks_finds_the_turn_behind_the_word() -> None:
    fn, model = Listening(), FakeModel()
    answering = ReplyOnStopWords(
        fn, ["computer"], input_sample_rate=RATE_HZ, model=Blocks(), stt_model=model
    )
    async with conversing(answering) as conversation:
        begin = RATE_HZ - RATE_HZ % WINDOW_SAMPLES
        detector = conversation.handler._rtc_detector  # noqa: SLF001 - Silero detects no word in a level
        say(conversation, quiet(62), other(60), quiet(60))
        for event in detector.wake(begin):
            conversation.handler._rtc_on_turn_event(event)  # noqa: SLF001 - as above
        say(conversation, quiet(40))
        await conversation.until_event("response_finished")
    assert windows_at(fn.received[0], OTHER) == 60


def reply(_audio: Any) -> Iterator[None]:
    yield None


@pytest.mark.parametrize(
    "arguments",
    [
        (AlgoOptions(0.7), SileroVadOptions(0.4), "stereo", 16000, 320, 8000),
        (None, AlgoOptions(0.7), SileroVadOptions(0.4), True, "stereo", 16000, 320, 8000),
    ],
    ids=["gradio_webrtc", "fastrtc"],
)
def test_both_positional_orders(arguments: tuple[Any, ...]) -> None:
    made = ReplyOnStopWords(reply, ["computer"], *arguments, stt_model=FakeModel()).copy()
    assert made.stop_words == ["computer"]
    assert made.algo_options == AlgoOptions(0.7)
    assert made.model_options == SileroVadOptions(0.4)
    assert made.expected_layout == "stereo"
    assert (made.output_sample_rate, made.output_frame_size) == (16000, 320)
    assert made.input_sample_rate == 8000


def test_a_copy_shares_the_model_and_not_the_state() -> None:
    model = FakeModel()
    template = ReplyOnStopWords(reply, ["computer"], stt_model=model)
    copy = template.copy()
    assert copy.stt_model is model
    assert copy.state is not template.state
    assert type(copy.state) is type(template.state)


def test_the_default_model_is_loaded_once() -> None:
    first, second = (ReplyOnStopWords(reply, ["computer"]) for _ in range(2))
    assert first.stt_model is second.stt_model


def test_something_that_cannot_transcribe_is_refused() -> None:
    with pytest.raises(TypeError, match="stt_model has a method"):
        ReplyOnStopWords(reply, ["computer"], stt_model="moonshine")  # type: ignore[call-overload]
