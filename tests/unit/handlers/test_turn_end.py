"""Turns that a model ends before their pause, and those that it does not."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.conversing import (
    CHUNK,
    RATE_HZ,
    WINDOW_S,
    Dialogue,
    Endless,
    ScriptedVad,
    audio_at,
    conversing,
    replying,
    spoken_windows,
)
from support.understanding import OTHER, FakeModel, computer

from gradio_webrtc import AlgoOptions, ReplyOnPause, ReplyOnStopWords
from gradio_webrtc.types import TurnEndModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

CANDIDATE = 7
"""Windows of silence behind which a turn has a candidate: six and one that is not complete."""

CERTAIN = 17
"""Windows of silence that end a turn, and one more."""

SPECULATIVE = 27
"""The same with speculation."""


class Model:
    """Meets `TurnEndModel`.

    Attributes:
        answers: Returned one by one, and the last of them for ever; exceptions are raised.
        calls: Rate, windows of audio, ``speech_s`` and ``silence_s`` of each call.
        threads: The threads of the calls.
    """

    def __init__(self, *answers: Any) -> None:
        self.answers = [*answers]
        self.calls: list[tuple[int, float, float, float]] = []
        self.threads: list[threading.Thread] = []

    def note(self, rate_hz: int, samples: NDArray[np.int16], speech_s: float, end_s: float) -> Any:
        assert samples.dtype == np.int16
        assert samples.shape[0] == 1
        self.calls.append((rate_hz, samples.size / RATE_HZ / WINDOW_S, speech_s, end_s))
        self.threads.append(threading.current_thread())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def probability(
        self, rate_hz: int, samples: NDArray[np.int16], *, speech_s: float, silence_s: float
    ) -> Any:
        return self.note(rate_hz, samples, speech_s, silence_s)


class AsyncModel(Model):
    """A model on the event loop, which answers when it is released."""

    def __init__(self, *answers: Any, is_released: bool = True) -> None:
        super().__init__(*answers)
        self.released = asyncio.Event()
        self.cancelled = 0
        if is_released:
            self.released.set()

    async def probability(
        self, rate_hz: int, samples: NDArray[np.int16], *, speech_s: float, silence_s: float
    ) -> Any:
        answer = self.note(rate_hz, samples, speech_s, silence_s)
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return answer


class Answers:
    """A function that gives one chunk, and notes the windows of speech that it got."""

    def __init__(self) -> None:
        self.received: list[int] = []

    def __call__(self, audio: Any) -> Iterator[Any]:
        self.received.append(spoken_windows(audio))
        yield CHUNK


async def settle(talk: Dialogue) -> None:
    """Lets everything happen that needs no time, in the worker of the replies too."""
    for _ in range(3):
        await talk.handler._rtc_worker.run(lambda: None)  # noqa: SLF001
        for _ in range(20):
            await asyncio.sleep(0)


MODELS = pytest.mark.parametrize("kind", [Model, AsyncModel])


@MODELS
async def test_a_sure_model_ends_the_turn_at_once(kind: type[Model]) -> None:
    fn, model = Answers(), kind(0.9)
    async with conversing(replying(fn, turn_end=model)) as talk:
        talk.speak(10)
        talk.pause(CANDIDATE)
        await talk.until_event("response_finished")
        assert fn.received == [10]
        assert talk.session.names == [
            "started_talking",
            "pause_candidate",
            "turn_end_estimated",
            "pause_detected",
            "response_starting",
            "response_finished",
        ]
        estimate = talk.session.data("turn_end_estimated")
        assert (estimate["turn"], estimate["probability"]) == (1, 0.9)
        assert estimate["is_certain"] is True
        decision: Any = talk.session.data("pause_detected")
        assert decision["decided_by"] == "turn_end"
        silence_s = decision["time_s"] - decision["speech_end_s"]
        assert silence_s == pytest.approx(CANDIDATE * WINDOW_S)
        talk.pause(CERTAIN)
        await settle(talk)
        assert talk.session.names.count("pause_detected") == 1
        ((rate_hz, windows, speech_s, silence_s),) = model.calls
        assert rate_hz == RATE_HZ
        assert windows == pytest.approx(16.5, abs=1)
        assert speech_s == pytest.approx(10 * WINDOW_S)
        assert silence_s == pytest.approx(6 * WINDOW_S)
        on_loop = model.threads[0] is threading.current_thread()
        assert on_loop == (kind is AsyncModel)


@MODELS
async def test_an_unsure_model_leaves_the_turn_to_the_pause(kind: type[Model]) -> None:
    fn, model = Answers(), kind(0.49)
    async with conversing(replying(fn, turn_end=model)) as talk:
        talk.speak(10)
        talk.pause(CANDIDATE)
        assert (await talk.until_event("turn_end_estimated"))["is_certain"] is False
        await settle(talk)
        assert fn.received == []
        talk.pause(CERTAIN - CANDIDATE)
        await talk.until_event("response_finished")
        assert fn.received == [10]
        assert talk.session.data("pause_detected")["decided_by"] == "pause"
        assert len(model.calls) == 1


async def test_the_model_has_its_own_threshold() -> None:
    model = Model(0.9, 0.95)
    model.certain_at = 0.95  # type: ignore[attr-defined]  # optional
    async with conversing(replying(Answers(), turn_end=model)) as talk:
        talk.speak(10)
        talk.pause(CANDIDATE)
        assert (await talk.until_event("turn_end_estimated"))["is_certain"] is False
        talk.speak(3)
        talk.pause(CANDIDATE)
        assert (await talk.until_event("turn_end_estimated", 2))["is_certain"] is True
        await talk.until_event("pause_detected")


async def test_an_answer_is_dropped_where_the_user_has_gone_on() -> None:
    fn, model = Answers(), AsyncModel(0.9, 0.2, is_released=False)
    async with conversing(replying(fn, turn_end=model)) as talk:
        talk.speak(10)
        talk.pause(CANDIDATE)
        await settle(talk)
        talk.speak(3)
        model.released.set()
        await settle(talk)
        assert len(model.calls) == 1
        assert "turn_end_estimated" not in talk.session.names
        talk.pause(CERTAIN)
        await talk.until_event("response_finished")
        assert fn.received == [13]


async def test_one_is_estimated_at_a_time_and_the_newest_next() -> None:
    model = AsyncModel(0.9, is_released=False)
    async with conversing(replying(Answers(), turn_end=model)) as talk:
        for _ in range(4):
            talk.speak(10)
            talk.pause(CANDIDATE)
            await settle(talk)
        assert len(model.calls) == 1
        model.released.set()
        await talk.until_event("pause_detected")
        assert len(model.calls) == 2
        assert model.calls[1][2] == pytest.approx((4 * 10 + 3 * CANDIDATE) * WINDOW_S)


async def test_a_slow_model_does_not_delay_the_pause() -> None:
    fn, model = Answers(), AsyncModel(0.9, is_released=False)
    async with conversing(replying(fn, turn_end=model)) as talk:
        talk.speak(10)
        talk.pause(CERTAIN)
        await talk.until_event("response_finished")
        assert fn.received == [10]
        model.released.set()
        await settle(talk)
        assert "turn_end_estimated" not in talk.session.names
        assert talk.session.data("pause_detected")["decided_by"] == "pause"
        assert talk.session.names.count("pause_detected") == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (OSError("no such model"), OSError),
        (SystemExit(), RuntimeError),
        (None, TypeError),
        ("0.9", TypeError),
        (float("nan"), ValueError),
        (1.1, ValueError),
        (-0.1, ValueError),
    ],
)
@MODELS
async def test_a_model_that_fails_is_reported_and_unsure(
    kind: type[Model], answer: Any, error: type[Exception]
) -> None:
    fn = Answers()
    async with conversing(replying(fn, turn_end=kind(answer, 0.9))) as talk:
        talk.speak(10)
        talk.pause(CANDIDATE)
        await talk.session.until(lambda: bool(talk.session.errors))
        assert [type(each) for each in talk.session.errors] == [error]
        assert "turn_end_estimated" not in talk.session.names
        talk.pause(CERTAIN - CANDIDATE)
        await talk.until_event("response_finished")
        talk.speak(10)
        talk.pause(CANDIDATE)
        await talk.until_event("response_finished", 2)
        assert fn.received == [10, 10]


async def test_a_model_may_return_any_number() -> None:
    async with conversing(replying(Answers(), turn_end=Model(np.float32(0.75)))) as talk:
        talk.speak(10)
        talk.pause(CANDIDATE)
        assert (await talk.until_event("turn_end_estimated"))["probability"] == 0.75


async def test_what_follows_a_turn_that_was_ended_too_early_interrupts_and_is_the_next() -> None:
    fn = Endless()
    model = Model(0.9, 0.1)
    async with conversing(replying(fn.asynchronous, turn_end=model)) as talk:
        talk.speak(10)
        talk.pause(CANDIDATE)
        await talk.until_said(1)
        talk.speak(8)
        await settle(talk)
        assert talk.session.names[-1] == "interrupted"
        talk.pause(CERTAIN)
        await talk.until_event("response_starting", 2)
        await talk.until_said(len(talk.items) + 1)
        assert fn.received == [10, 8]


@pytest.mark.parametrize("probability", [0.9, 0.1])
async def test_with_speculation_the_answer_begins_early_and_is_certain_early(
    probability: float,
) -> None:
    fn, model = Answers(), AsyncModel(probability, is_released=False)
    async with conversing(replying(fn, turn_end=model, speculative=True)) as talk:
        talk.speak(10)
        talk.pause(CANDIDATE)
        await settle(talk)
        assert fn.received == [10]
        assert talk.items == []
        model.released.set()
        await talk.until_event("turn_end_estimated")
        await settle(talk)
        assert ("turn_committed" in talk.session.names) == (probability == 0.9)
        talk.pause(SPECULATIVE - CANDIDATE)
        await talk.until_event("response_finished")
        assert fn.received == [10]
        assert len(talk.items) == 1
        assert talk.session.names.count("pause_detected") == 1


class Moody:
    """A model that returns anything, after a while that a schedule decides."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.waiting: list[asyncio.Future[None]] = []

    async def probability(self, *_: Any, **__: Any) -> float:
        wait = asyncio.get_running_loop().create_future()
        self.waiting.append(wait)
        await wait
        if self._rng.random() < 0.1:
            raise OSError("of the model")
        return self._rng.random()

    def answer(self) -> None:
        for wait in self.waiting:
            if not wait.done():
                wait.set_result(None)


@pytest.mark.parametrize("speculative", [False, True])
@pytest.mark.parametrize("seed", range(25))
async def test_whatever_comes_first_no_word_is_lost_and_none_is_in_two_turns(
    seed: int,
    speculative: bool,  # noqa: FBT001 - a parameter of pytest's
) -> None:
    rng = random.Random(seed)  # noqa: S311 - a schedule
    model, spoken = Moody(rng), 0
    fn = Answers()
    async with conversing(replying(fn, turn_end=model, speculative=speculative)) as talk:
        for _ in range(12):
            names = talk.session.names
            if names.count("pause_detected") > names.count("response_finished"):
                # A turn whose answer has not begun is a part of the next one, too.
                await settle(talk)
            words = rng.randint(7, 20)
            spoken += words
            talk.speak(words)
            for _ in range(rng.randint(1, 4)):
                talk.pause(rng.randint(1, 10))
                if rng.random() < 0.5:
                    model.answer()
                if rng.random() < 0.8:
                    await settle(talk)
        talk.pause(SPECULATIVE)
        await settle(talk)
        decisions = [data for name, data in talk.session.events if name == "pause_detected"]
        audio: list[Any] = [data["audio"] for data in decisions]
        ends: list[Any] = [data["speech_end_s"] for data in decisions]
        starts: list[Any] = [data["speech_start_s"] for data in decisions]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    found = sum(spoken_windows(each) for each in audio)
    assert found == spoken
    assert all(isinstance(error, OSError) for error in talk.session.errors)


async def test_a_turn_that_is_answered_on_request_is_not_estimated_any_more() -> None:
    fn, model = Answers(), AsyncModel(0.9, is_released=False)
    async with conversing(replying(fn, turn_end=model)) as talk:
        talk.speak(10)
        talk.pause(CANDIDATE)
        await settle(talk)
        talk.handler.trigger_response()
        model.released.set()
        await talk.until_event("response_finished")
        await settle(talk)
        assert fn.received == [10]
        assert "turn_end_estimated" not in talk.session.names


async def test_a_turn_that_is_ended_for_its_length_is_not_ended_again() -> None:
    fn, model = Answers(), AsyncModel(0.9, is_released=False)
    options = AlgoOptions(max_continuous_speech_s=17 * WINDOW_S)
    async with conversing(replying(fn, turn_end=model, algo_options=options)) as talk:
        talk.speak(10)
        talk.pause(8)
        await settle(talk)
        assert talk.session.names.count("pause_detected") == (len(fn.received) > 0)
        model.released.set()
        await talk.until_event("response_finished")
        await settle(talk)
        assert fn.received == [10]
        assert talk.session.names.count("pause_detected") == 1


async def test_nothing_is_estimated_while_the_answer_may_not_be_interrupted() -> None:
    fn, model = Endless(), Model(0.9)
    template = replying(fn.asynchronous, turn_end=model, can_interrupt=False)
    async with conversing(template) as talk:
        talk.speak(10)
        talk.pause(CANDIDATE)
        await talk.until_event("response_starting")
        talk.speak(10)
        talk.pause(CANDIDATE)
        await settle(talk)
        assert len(model.calls) == 1


async def test_the_session_may_end_while_the_model_computes() -> None:
    model = AsyncModel(0.9, is_released=False)
    async with conversing(replying(Answers(), turn_end=model)) as talk:
        talk.speak(10)
        talk.pause(CANDIDATE)
        await settle(talk)
    assert model.cancelled == 1
    assert "turn_end_estimated" not in talk.session.names


async def test_the_session_does_not_wait_for_a_model_that_blocks() -> None:
    begun, released = threading.Event(), threading.Event()

    class Blocking:
        def probability(self, *_: Any, **__: Any) -> float:
            begun.set()
            released.wait()
            return 0.9

    async with conversing(replying(Answers(), turn_end=Blocking())) as talk:
        talk.speak(10)
        talk.pause(CANDIDATE)
        await asyncio.to_thread(begun.wait)
    released.set()
    assert "turn_end_estimated" not in talk.session.names


async def test_a_class_gives_each_session_its_own_model_and_an_object_is_shared() -> None:
    made: list[Any] = []

    class Own:
        def __init__(self) -> None:
            made.append(self)

        def probability(self, *_: Any, **__: Any) -> float:
            return 0.9

    class Copied(Own):
        def copy(self) -> Copied:
            return Copied()

    shared = Own()
    for turn_end, models in ((Own, 2), (Copied(), 2), (shared, 0)):
        made.clear()
        template = replying(Answers(), turn_end=turn_end)
        for _ in range(2):
            async with conversing(template) as talk:
                talk.say()
                await talk.until_event("pause_detected")
        assert len(made) == models


def test_what_is_no_model_is_refused() -> None:
    class Strange:
        certain_at: Any = 0

        def probability(self, *_: Any, **__: Any) -> float:
            return 0.9

    for turn_end in (0.5, True, object(), lambda: 0.5):
        with pytest.raises(TypeError, match="turn_end is an object with probability"):
            replying(Answers(), turn_end=turn_end)
    for value in (0, -1, 1.01, float("nan")):
        Strange.certain_at = value
        with pytest.raises(ValueError, match="certain_at is more than 0, to 1"):
            replying(Answers(), turn_end=Strange())
    Strange.certain_at = "high"
    with pytest.raises(TypeError, match="certain_at is a number"):
        replying(Answers(), turn_end=Strange())


def test_a_handler_that_could_not_use_it_is_named() -> None:
    class Blocks(ReplyOnPause):
        def determine_pause(self, *_: Any) -> bool:
            return False

    class Emitting(ReplyOnPause):
        def emit(self) -> None:
            return None

    with pytest.raises(ValueError, match="turn_end has no effect with turns that"):
        Blocks(Answers(), turn_end=Model(0.9))
    with pytest.warns(UserWarning, match="turn_end has no effect in Emitting") as warned:
        handler = Emitting(Answers(), turn_end=Model(0.9))
    assert warned[0].filename == __file__
    assert handler.turn_end is None


def test_a_model_meets_its_protocol() -> None:
    assert isinstance(Model(0.9), TurnEndModel)
    assert not isinstance(ScriptedVad, Model)


async def test_without_a_model_nothing_changes() -> None:
    async with conversing(replying(Answers())) as talk:
        talk.say()
        await talk.until_event("response_finished")
        assert "decided_by" not in talk.session.data("pause_detected")
        assert talk.handler.turn_end is None


async def test_with_stop_words_the_turn_behind_the_word_is_estimated_alone() -> None:
    fn, model = Answers(), Model(0.9)
    template = ReplyOnStopWords(
        fn,
        ["computer"],
        input_sample_rate=RATE_HZ,
        vad=ScriptedVad,
        stt_model=FakeModel(),
        turn_end=model,
    )
    async with conversing(template) as talk:
        talk.feed(audio_at(OTHER, 20))
        talk.pause(CERTAIN)
        await settle(talk)
        assert model.calls == []
        talk.feed(computer())
        talk.pause(CANDIDATE)
        await talk.until_event("stopword")
        talk.pause(CERTAIN)
        await settle(talk)
        assert model.calls == []
        talk.speak(20)
        talk.pause(CANDIDATE)
        await talk.until_event("response_finished")
        assert fn.received == [20]
        assert talk.session.data("pause_detected")["decided_by"] == "turn_end"
        assert not talk.handler.state.stop_word_detected
        talk.speak(20)
        talk.pause(CERTAIN)
        await settle(talk)
        assert len(model.calls) == 1
