"""`ReplyOnPause(resume=True)`: replies that wait while the user speaks, and go on or end."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.blocks import Model
from support.conversing import (
    CHUNK,
    RATE_HZ,
    WINDOW_SAMPLES,
    Dialogue,
    Endless,
    ScriptedVad,
    conversing,
    replying,
    spoken_windows,
)
from support.understanding import FakeModel

from gradio_webrtc import AlgoOptions, ReplyOnPause, ReplyOnStopWords

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

SHORT = 10
"""Windows of a word that may be none: 0.32 s."""


class Question:
    """An `is_interruption` that waits until it is allowed to answer.

    Attributes:
        audio: The audio of each question.
        answers: The next answers, in order; ``False`` behind the last.
    """

    def __init__(self, answers: Sequence[bool] = (), *, waits: bool = False) -> None:
        self.audio: list[tuple[int, Any]] = []
        self.answers = list(answers)
        self.go_on, self.asked = asyncio.Event(), asyncio.Event()
        if not waits:
            self.go_on.set()

    async def __call__(self, audio: tuple[int, Any]) -> bool:
        self.audio.append(audio)
        self.asked.set()
        await self.go_on.wait()
        return self.answers.pop(0) if self.answers else False


def resuming(fn: Any, is_interruption: Any, **options: Any) -> ReplyOnPause:
    return replying(fn, resume=True, is_interruption=is_interruption, **options)


async def begin(talk: Dialogue, items: int = 1) -> int:
    """Has the first turn answered; returns the number of events until then."""
    talk.say()
    await talk.until_said(items)
    return len(talk.session.names)


async def test_a_word_silences_the_reply_and_it_goes_on() -> None:
    fn, question = Endless(), Question()
    async with conversing(resuming(fn.asynchronous, question)) as talk:
        assert talk.session.allows_holds
        before = await begin(talk)
        talk.speak(SHORT)
        assert talk.session.holds == ["hold"]
        assert talk.session.names[before:] == ["started_talking"]
        talk.pause()
        await talk.until_event("reply_resumed")
        names = talk.session.names[before:]
        assert names == ["started_talking", "pause_candidate", "reply_resumed"]
        assert talk.session.holds == ["hold", "resume"]
        assert talk.session.data("reply_resumed")["turn"] == 1
        ((rate_hz, audio),) = question.audio
        assert (rate_hz, audio.dtype, audio.shape[0]) == (RATE_HZ, np.int16, 1)
        assert spoken_windows((rate_hz, audio)) == SHORT
        assert not talk.handler.state.started_talking
        said = len(talk.items)
        await talk.until_said(said + 1)
        # The one interruption is that of the first turn, over nothing.
        assert (fn.closed, talk.session.interruptions) == (0, 1)
        # What was dropped is no part of the next turn.
        talk.speak(30)
        talk.pause()
        await talk.until_event("response_starting", 2)
        assert fn.received == [16, 30]


async def test_a_word_that_interrupts_is_answered() -> None:
    fn, question = Endless(), Question([True])
    async with conversing(resuming(fn.asynchronous, question)) as talk:
        before = await begin(talk)
        talk.speak(SHORT)
        talk.pause()
        await talk.until_event("response_starting", 2)
        names = talk.session.names[before:]
        assert names == [
            "started_talking",
            "pause_candidate",
            "interrupted",
            "pause_detected",
            "response_starting",
        ]
        assert fn.received == [16, SHORT]
        assert fn.closed == 1


async def test_the_turn_waits_for_an_answer_that_takes_its_time() -> None:
    fn, question = Endless(), Question([True], waits=True)
    async with conversing(resuming(fn.asynchronous, question)) as talk:
        await begin(talk)
        talk.speak(SHORT)
        talk.pause(60)
        await asyncio.sleep(0)
        assert talk.session.names.count("pause_detected") == 1
        assert "interrupted" not in talk.session.names
        question.go_on.set()
        await talk.until_event("response_starting", 2)
        assert fn.received == [16, SHORT]


async def test_longer_speech_interrupts_at_its_end_without_a_question() -> None:
    fn, question = Endless(), Question()
    async with conversing(resuming(fn.asynchronous, question)) as talk:
        await begin(talk)
        talk.speak(20)
        talk.pause()
        await talk.until_event("response_starting", 2)
        assert question.audio == []
        assert talk.session.names.count("interrupted") == 1


async def test_sync_code_answers_in_a_thread_of_its_own() -> None:
    threads = []

    def is_interruption(_audio: Any) -> bool:
        threads.append(threading.current_thread())
        return False

    async with conversing(resuming(Endless().sync, is_interruption)) as talk:
        await begin(talk)
        talk.speak(SHORT)
        talk.pause()
        await talk.until_event("reply_resumed")
    (thread,) = threads
    assert thread is not threading.main_thread()
    await asyncio.to_thread(thread.join)


async def test_an_error_of_the_program_is_reported_and_an_interruption() -> None:
    async def is_interruption(_audio: Any) -> bool:
        raise ValueError("no model")

    async with conversing(resuming(Endless().asynchronous, is_interruption)) as talk:
        await begin(talk)
        talk.speak(SHORT)
        talk.pause()
        await talk.until_event("response_starting", 2)
        assert [str(error) for error in talk.session.errors] == ["no model"]


async def test_speech_that_goes_on_makes_a_no_void() -> None:
    fn, question = Endless(), Question(waits=True)
    async with conversing(resuming(fn.asynchronous, question)) as talk:
        await begin(talk)
        talk.speak(8)
        talk.pause()
        await asyncio.sleep(0)
        talk.speak(8)
        question.go_on.set()
        await question.asked.wait()
        await asyncio.sleep(0)
        assert "reply_resumed" not in talk.session.names
        talk.pause()
        await talk.until_event("reply_resumed")
        assert [spoken_windows(audio) for audio in question.audio] == [8, 16]
        assert fn.received == [16]


async def test_two_words_that_are_long_enough_together_interrupt() -> None:
    fn, question = Endless(), Question(waits=True)
    async with conversing(resuming(fn.asynchronous, question)) as talk:
        await begin(talk)
        talk.speak(SHORT)
        talk.pause()
        await asyncio.sleep(0)
        talk.speak(SHORT)
        talk.pause()
        await talk.until_event("response_starting", 2)
        # Both are the turn.
        assert fn.received == [16, 2 * SHORT]


async def test_a_reply_that_ends_meanwhile_finishes_behind_the_hold() -> None:
    question = Question(waits=True)

    async def fn(_audio: Any) -> AsyncIterator[Any]:
        yield CHUNK
        await spoken.wait()
        yield CHUNK

    spoken = asyncio.Event()
    async with conversing(resuming(fn, question)) as talk:
        before = await begin(talk)
        talk.speak(SHORT)
        talk.pause()
        spoken.set()
        await talk.until_said(2)
        for _ in range(5):
            await asyncio.sleep(0)
        assert "response_finished" not in talk.session.names
        assert talk.session.ended_replies == 0
        question.go_on.set()
        await talk.until_event("response_finished")
        assert talk.session.names[before:][-2:] == ["reply_resumed", "response_finished"]


async def test_an_answer_is_begun_early_only_once_it_is_an_interruption() -> None:
    for answer in (True, False):
        fn, question = Endless(), Question([answer], waits=True)
        handler = resuming(fn.asynchronous, question, speculative=True)
        async with conversing(handler) as talk:
            talk.speak()
            talk.pause(28)
            await talk.until_said(1)
            talk.speak(SHORT)
            # Silent for longer than it takes to begin an answer, and not long enough for the turn.
            talk.pause(16)
            await asyncio.sleep(0)
            assert len(fn.received) == 1
            await question.asked.wait()
            question.go_on.set()
            await talk.until_event("interrupted" if answer else "reply_resumed")
            talk.pause(20)
            if answer:
                await talk.until_event("turn_committed", 2)
                await talk.until_said(len(talk.items) + 1)
            assert fn.received == [16, SHORT][: 1 + answer]


async def test_the_handler_is_stopped_in_a_hold() -> None:
    fn, question = Endless(), Question(waits=True)
    async with conversing(resuming(fn.asynchronous, question)) as talk:
        await begin(talk)
        talk.speak(SHORT)
        talk.handler.stop_reply()
        assert talk.session.holds == ["hold", "resume"]
        # There is nothing that could go on: the turn goes its usual way.
        talk.pause()
        await talk.until_event("response_starting", 2)
        assert question.audio == []
        talk.speak(SHORT)
        talk.pause()
        await question.asked.wait()
        talk.handler.stop_reply()
        question.go_on.set()
        await talk.until_idle()
        assert fn.received == [16, SHORT]
        assert "reply_resumed" not in talk.session.names


async def test_an_answer_that_is_requested_makes_it_an_interruption() -> None:
    for windows in (0, 17):
        fn, question = Endless(), Question(waits=True)
        async with conversing(resuming(fn.asynchronous, question)) as talk:
            await begin(talk)
            talk.speak(SHORT)
            talk.pause(windows)
            talk.handler.trigger_response()
            await talk.until_event("response_starting", 2)
            assert fn.received == [16, SHORT]
            assert talk.session.names.count("interrupted") == 1
            assert talk.session.holds == ["hold", "resume"]


async def test_a_reply_goes_on_when_the_user_may_not_interrupt_any_more() -> None:
    fn, question = Endless(), Question(waits=True)
    async with conversing(resuming(fn.asynchronous, question)) as talk:
        await begin(talk)
        talk.speak(SHORT)
        talk.handler.can_interrupt = False
        assert talk.session.names[-1] == "reply_resumed"
        talk.pause()
        talk.speak(30)
        assert talk.session.holds == ["hold", "resume"]
        assert fn.received == [16]


async def test_a_generator_that_is_set_in_a_hold_is_played_at_once() -> None:
    fn, question = Endless(), Question(waits=True)
    async with conversing(resuming(fn.asynchronous, question)) as talk:
        await begin(talk)
        talk.speak(SHORT)
        talk.handler.generator = iter([(24_000, np.full((1, 480), 7, np.int16))])
        talk.handler.event.set()
        await talk.until_event("response_finished")
        assert talk.items[-1][1][0, 0] == 7
        assert talk.session.holds == ["hold", "resume"]


async def test_a_session_that_ends_in_a_hold_leaves_nothing() -> None:
    ended = []

    async def is_interruption(_audio: Any) -> bool:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)
        return True

    fn = Endless()
    async with conversing(resuming(fn.asynchronous, is_interruption)) as talk:
        await begin(talk)
        talk.speak(SHORT)
        talk.pause()
        await asyncio.sleep(0)
        handler = weakref.ref(talk.handler)
    assert ended == [True]
    assert fn.closed == 1
    del talk
    # The task of the session is the last to have it.
    await asyncio.sleep(0)
    gc.collect()
    assert handler() is None


async def test_an_echo_is_ignored_before_it_holds_anything() -> None:
    fn, question = Endless(), Question()
    async with conversing(resuming(fn.asynchronous, question)) as talk:
        before = await begin(talk)
        talk.session.echo_scores = [0.9]
        talk.speak(7)
        talk.pause(30)
        await asyncio.sleep(0)
        assert talk.session.names[before:] == ["echo_ignored"]
        assert talk.session.holds == []


async def test_without_a_question_every_word_interrupts_at_once() -> None:
    async with conversing(replying(Endless().asynchronous, resume=True)) as talk:
        await begin(talk)
        talk.speak(7)
        assert talk.session.names[-2:] == ["started_talking", "interrupted"]
        assert talk.session.holds == []
        assert not talk.session.allows_holds


async def test_the_method_of_a_subclass_is_that_of_the_sessions_copy() -> None:
    class Listening(ReplyOnPause):
        def __init__(self) -> None:
            self.asked = 0
            options: dict[str, Any] = {
                "vad": ScriptedVad,
                "input_sample_rate": RATE_HZ,
            }
            fn = Endless().asynchronous
            super().__init__(fn, resume=True, is_interruption=self.decide, **options)

        async def decide(self, _audio: Any) -> bool:
            self.asked += 1
            return False

    template = Listening()
    async with conversing(template) as talk:
        await begin(talk)
        talk.speak(SHORT)
        talk.pause()
        await talk.until_event("reply_resumed")
        assert (talk.handler.asked, template.asked) == (1, 0)


def test_arguments_that_make_no_sense_are_refused() -> None:
    def ask(_audio: Any) -> bool:
        return True

    given: Any
    for given, error, text in (
        ({"resume": 1}, TypeError, "resume is True or False, got 1"),
        ({"resume": True, "is_interruption": 3}, TypeError, "is_interruption is a function, got 3"),
        ({"is_interruption": ask}, TypeError, "with resume=True only"),
        ({"resume": True, "interrupt_after_s": "1"}, TypeError, "is a number, got '1'"),
        ({"resume": True, "interrupt_after_s": 0.2}, ValueError, "threshold, 0.2 s, got 0.2"),
        ({"resume": True, "interrupt_after_s": float("nan")}, ValueError, "got nan"),
        ({"resume": True, "model": Model()}, ValueError, "detected in blocks"),
    ):
        with pytest.raises(error, match=text):
            ReplyOnPause(print, **given)
    longer = AlgoOptions(started_talking_threshold=0.7)
    with pytest.raises(ValueError, match=r"threshold, 0\.7 s, got 0\.6"):
        ReplyOnPause(print, algo_options=longer, resume=True)


def test_where_it_has_no_effect_it_warns() -> None:
    class Own(ReplyOnPause):
        def emit(self) -> None: ...

    options: dict[str, Any] = {"resume": True, "is_interruption": print}
    with pytest.warns(UserWarning, match="resume has no effect in Own: its own emit") as caught:
        Own(print, **options)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="ReplyOnStopWords: the word alone interrupts") as caught:
        ReplyOnStopWords(print, ["computer"], stt_model=FakeModel(), **options)
    assert caught[0].filename == __file__


def test_windows_are_as_long_as_the_tests_expect() -> None:
    # A word of `SHORT` windows is shorter than `interrupt_after_s`, and two are longer.
    assert SHORT * WINDOW_SAMPLES / RATE_HZ < 0.6 < 2 * SHORT * WINDOW_SAMPLES / RATE_HZ
