"""Speech over a reply: what was decided about it, when, and what the program was asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_session import FakeSession

from gradio_webrtc._turns import interruption
from gradio_webrtc._turns.detector import TurnEvent
from gradio_webrtc._turns.interruption import Act, HandlerActs, Interrupter, InterruptionProgress

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_S = 0.6
RATE_HZ = 16_000

STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["began", "lasted", "silent", "over"])),
        st.tuples(st.just("ended"), st.sampled_from([0.0, 0.1, 0.2, 0.35, 0.6, 5.0])),
        st.tuples(st.just("answered"), st.booleans()),
    ),
    max_size=80,
)


def step(progress: InterruptionProgress, name: str, *values: Any) -> Act:
    if name == "answered":
        return progress.answered(is_interruption=values[0])
    act: Act = getattr(progress, name)(*values)
    return act


@given(STEPS)
def test_each_hold_ends_once_and_a_no_counts_for_what_was_in_question(
    steps: list[tuple[Any, ...]],
) -> None:
    progress = InterruptionProgress(LIMIT_S)
    is_held = is_speaking = is_pending = spoken_since = False
    speech_s = 0.0
    for name, *values in steps:
        act = step(progress, name, *values)
        if name == "began":
            assert act is (Act.NOTHING if is_held else Act.HOLD)
            is_held = is_speaking = True
            spoken_since |= is_pending
        elif name == "ended" and is_speaking:
            is_speaking = False
            speech_s += values[0]
            assert act is (Act.INTERRUPT if speech_s >= LIMIT_S else Act.NOTHING)
        elif name == "lasted":
            assert act is (Act.INTERRUPT if is_speaking else Act.NOTHING)
        elif name == "silent":
            is_asked = act is Act.ASK
            assert is_asked == (is_held and not is_speaking and not is_pending)
        elif name == "answered" and is_pending:
            yes = values[0]
            assert (act is Act.INTERRUPT) == yes
            assert (act is Act.RESUME) == (not yes and not spoken_since)
            is_pending = False
        else:
            assert act is Act.NOTHING
        if act is Act.ASK:
            assert is_held
            assert not is_speaking
            is_pending, spoken_since = True, False
        if act in (Act.RESUME, Act.INTERRUPT) or name == "over":
            is_held = is_speaking = is_pending = spoken_since = False
            speech_s = 0.0
        state = (progress.is_held, progress.is_speaking, progress.is_pending, progress.speech_s)
        assert state == (is_held, is_speaking, is_pending, speech_s)


def test_speech_of_a_hold_is_counted_together() -> None:
    progress = InterruptionProgress(LIMIT_S)
    assert progress.began() is Act.HOLD
    assert progress.ended(0.35) is Act.NOTHING
    assert progress.silent() is Act.ASK
    assert progress.began() is Act.NOTHING
    assert progress.ended(0.3) is Act.INTERRUPT
    assert progress.answered(is_interruption=False) is Act.NOTHING


def test_a_no_to_the_first_of_two_words_leads_to_a_question_about_both() -> None:
    progress = InterruptionProgress(LIMIT_S)
    progress.began()
    progress.ended(0.2)
    assert progress.silent() is Act.ASK
    progress.began()
    progress.ended(0.2)
    # Silent for long enough before the answer came, or not yet.
    assert progress.silent() is Act.NOTHING
    assert progress.answered(is_interruption=False) is Act.ASK
    progress.began()
    progress.ended(0.1)
    assert progress.answered(is_interruption=False) is Act.NOTHING
    assert progress.silent() is Act.ASK
    assert progress.answered(is_interruption=False) is Act.RESUME
    assert not progress.is_held


# With timers and questions


class FakeReplies:
    """Replies of which one is under way."""

    def __init__(self) -> None:
        self.is_engaged = True
        self.latest_turn = 3
        self.acts: list[str] = []
        self.on_unpaused: Callable[[], None] = lambda: None

    def pause(self) -> None:
        self.acts.append("pause")

    def unpause(self) -> None:
        self.acts.append("unpause")
        self.on_unpaused()


class Talk:
    """A reply, and a user who speaks over it for so many seconds.

    Attributes:
        acts: The acts on the reply and on the turn, in order.
        questions: The samples that the program was given with each.
    """

    def __init__(self, answer: Any = 0) -> None:
        self.session = FakeSession()
        self.replies = FakeReplies()
        self.acts = self.replies.acts
        self.answer = answer
        self.may_interrupt = True
        self.questions: list[int] = []
        self.received = np.zeros((1, 0), np.int16)
        self.now_s = 10.0
        self.begin_s = 0.0
        handler = HandlerActs(
            utterance=lambda: (RATE_HZ, self.received),
            may_interrupt=lambda: self.may_interrupt,
            interrupt=lambda: self._note("interrupt"),
            answer=lambda event: self._note(
                f"answer {0 if event.audio is None else event.audio.size}"
            ),
            disregard=lambda: self._note("disregard"),
            note_resumed=lambda: self._note("resumed"),
            note_candidate=lambda _event: self._note("candidate"),
        )
        replies: Any = self.replies
        self.interrupter = Interrupter(self.session, replies, handler, self.ask, LIMIT_S, 0.2)

    async def ask(self, audio: tuple[int, Any]) -> Any:
        self.questions.append(audio[1].size)
        return await self.answer() if callable(self.answer) else self.answer

    def receive(self, seconds: float) -> None:
        samples = np.ones((1, round(seconds * RATE_HZ)), np.int16)
        self.received = np.concatenate([self.received, samples], axis=1)
        self.now_s += seconds

    async def until_free(self) -> None:
        await self.session.until(lambda: not self.interrupter.is_held)

    def begin(self) -> bool:
        self.begin_s = self.now_s
        self.receive(0.2)
        return self.interrupter.begin(self.event("started_talking"))

    def speak(self, seconds: float) -> bool:
        """The user stops after so many seconds, of which 0.2 came; returns if it is held."""
        self.receive(seconds - 0.2)
        end_s = self.now_s
        self.receive(0.2)
        return self.interrupter.silence(self.event("pause_candidate", end_s))

    def pause(self) -> bool:
        audio, self.received = self.received, np.zeros((1, 0), np.int16)
        event = self.event("pause_detected", self.now_s - 0.2)
        return self.interrupter.withholds(event._replace(audio=audio))

    def event(self, name: Any, end_s: float | None = None) -> TurnEvent:
        return TurnEvent(name, self.now_s, self.begin_s, end_s)

    def _note(self, act: str) -> None:
        self.acts.append(act)
        # Wakes what waits for this.
        self.session.send(act)
        if act == "interrupt":
            self.replies.unpause()


async def test_a_reply_goes_on_and_the_turn_is_disregarded() -> None:
    talk = Talk()
    assert talk.begin()
    assert talk.speak(0.4)
    await talk.session.until(lambda: "reply_resumed" in talk.session.names)
    assert talk.acts == ["pause", "disregard", "resumed", "unpause"]
    assert talk.questions == [talk.received.size]
    assert talk.session.data("reply_resumed") == {
        "turn": 3,
        "time_s": pytest.approx(10.6),
        "speech_start_s": 10.0,
        "speech_end_s": pytest.approx(10.4),
    }
    assert not talk.interrupter.is_held


async def test_a_turn_that_is_over_waits_for_the_answer_and_is_dropped_or_answered() -> None:
    for answer, expected in (
        (False, ["pause", "resumed", "unpause"]),
        (True, ["pause", "interrupt", "unpause", "answer 9600", "candidate"]),
    ):
        go_on = asyncio.Event()

        async def slow(go_on: asyncio.Event = go_on, answer: bool = answer) -> bool:  # noqa: FBT001
            await go_on.wait()
            return answer

        talk = Talk(slow)
        talk.begin()
        talk.speak(0.4)
        assert talk.pause()
        assert talk.acts == ["pause"]
        go_on.set()
        await talk.until_free()
        assert talk.acts == expected


@pytest.mark.parametrize("answer", ["raises", None, "ambiguous", "late"])
async def test_what_is_no_answer_is_reported_and_an_interruption(
    answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> Any:
        if answer == "raises":
            raise TimeoutError("of the program's own")
        await asyncio.Event().wait()

    monkeypatch.setattr(interruption, "ANSWER_TIMEOUT_S", 0.01)
    answers = {"raises": fail, "late": fail, "ambiguous": np.zeros(2)}
    talk = Talk(answers.get(answer, answer))
    talk.begin()
    talk.speak(0.4)
    talk.pause()
    await talk.session.until(lambda: "candidate" in talk.acts)
    assert "interrupt" in talk.acts
    (error,) = talk.session.errors
    texts = {"raises": "own", None: "got None", "ambiguous": "ambiguous", "late": "within 0.01 s"}
    assert texts[answer] in str(error)


async def test_enough_speech_is_an_interruption_without_a_question() -> None:
    talk = Talk()
    talk.begin()
    assert not talk.speak(LIMIT_S + 0.01)
    assert talk.acts == ["pause", "interrupt", "unpause"]
    talk = Talk()
    talk.begin()
    # Without a silence in it: by the time that has passed.
    talk.receive(0.7)
    await talk.until_free()
    assert talk.acts == ["pause", "interrupt", "unpause"]
    assert talk.questions == []


async def test_audio_that_comes_late_is_waited_for_and_for_no_longer() -> None:
    talk = Talk()
    talk.begin()
    await talk.until_free()
    assert talk.acts == ["pause", "interrupt", "unpause"]


async def test_a_reply_goes_on_where_the_user_may_not_interrupt_any_more() -> None:
    talk = Talk()
    talk.begin()
    talk.interrupter.give_way()
    assert talk.acts == ["pause", "disregard", "resumed", "unpause"]
    talk.begin()
    talk.may_interrupt = False
    await talk.until_free()
    assert "interrupt" not in talk.acts


async def test_two_words_before_an_answer_are_one_question_and_one_turn() -> None:
    go_on = asyncio.Event()

    async def slow() -> bool:
        await go_on.wait()
        return len(talk.questions) > 1

    talk = Talk(slow)
    talk.begin()
    talk.speak(0.25)
    assert talk.pause()
    await asyncio.sleep(0)
    assert talk.begin()
    talk.speak(0.25)
    assert talk.pause()
    go_on.set()
    await talk.session.until(lambda: "candidate" in talk.acts)
    first, both = talk.questions
    assert both == 2 * first
    assert talk.acts == ["pause", "interrupt", "unpause", f"answer {both}", "candidate"]


async def test_a_turn_that_waits_is_the_beginning_of_the_one_that_interrupts() -> None:
    talk = Talk(asyncio.Event().wait)
    talk.begin()
    talk.speak(0.25)
    talk.pause()
    talk.begin()
    talk.interrupter.confirm()
    assert talk.acts == ["pause", "interrupt", "unpause", "answer 7200", "interrupt", "unpause"]


async def test_an_end_by_somebody_else_ends_the_question() -> None:
    ended = []

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    talk = Talk(slow)
    talk.begin()
    talk.speak(0.3)
    talk.pause()
    await asyncio.sleep(0)
    talk.replies.unpause()
    assert not talk.interrupter.is_held
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert ended == [True]
    assert talk.acts == ["pause", "unpause"]
    assert not talk.pause()
    assert talk.begin()
    await talk.interrupter.close()
    assert not talk.interrupter.is_held


async def test_nothing_is_held_where_nothing_is_played() -> None:
    talk = Talk()
    talk.replies.is_engaged = False
    assert not talk.begin()
    assert not talk.interrupter.silence(talk.event("pause_candidate", 10.3))
    assert not talk.pause()
    assert talk.acts == []
    # The last second of a reply whose code is over.
    talk.session.buffered_s = 0.4
    assert talk.begin()
