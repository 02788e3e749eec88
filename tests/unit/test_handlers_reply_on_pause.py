"""ReplyOnPause: turns, what the function gets, barge-in, errors, life in a call."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.conversing import RATE_HZ, WINDOW_S, ScriptedVad, conversing, sound

from gradio_webrtc.handlers import AlgoOptions, ReplyOnPause, base
from gradio_webrtc.types import AdditionalOutputs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

caller: contextvars.ContextVar[str] = contextvars.ContextVar("caller")


def replying(fn: Any, **options: Any) -> ReplyOnPause:
    """A handler that hears what `support.conversing` lets the caller say."""
    return ReplyOnPause(fn, vad=ScriptedVad, input_sample_rate=RATE_HZ, **options)


class Recorder:
    """A reply function that remembers what it was called with, and says so many items."""

    def __init__(self, items: int = 2) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._items = items

    def __call__(self, audio: tuple[int, Any]) -> Iterator[tuple[int, Any]]:
        self.calls.append((audio,))
        for number in range(self._items):
            yield (24000, np.full((1, 480), number, np.int16))

    @property
    def lengths(self) -> list[float]:
        """How many windows of sound each call got."""
        return [call[0][1].size / RATE_HZ / WINDOW_S for call in self.calls]


# Turns


async def test_a_turn_is_answered_once_with_all_of_it() -> None:
    fn = Recorder()
    async with conversing(replying(fn)) as talk:
        talk.pause(20)
        talk.say(30)
        await talk.until_event("response_finished")
        talk.pause(40)
        assert [item[0] for item in talk.items] == [24000, 24000]
    ((rate, audio),) = fn.calls[0]
    assert len(fn.calls) == 1
    assert rate == RATE_HZ
    assert audio.dtype == np.int16
    assert audio.ndim == 2
    assert audio.shape[0] == 1
    assert np.count_nonzero(audio) == sound(1, 30).size
    # 0.3 s of pre-roll, the speech, and the pause that ended it.
    assert fn.lengths[0] == pytest.approx(0.3 / WINDOW_S + 30 + 16, abs=1)


async def test_every_turn_is_answered() -> None:
    fn = Recorder()
    async with conversing(replying(fn)) as talk:
        for turn in range(1, 4):
            talk.say(10 * turn)
            await talk.until_event("response_finished", turn)
    assert [round(np.count_nonzero(call[0][1]) / 512) for call in fn.calls] == [10, 20, 30]


async def test_silence_and_noises_are_not_answered() -> None:
    fn = Recorder()
    async with conversing(replying(fn)) as talk:
        talk.pause(100)
        talk.speak(5)
        talk.pause(100)
        talk.speak(50, probability=0.45)
        talk.pause(100)
        assert talk.call.events == []
    assert fn.calls == []


async def test_the_events_of_a_turn_come_in_order_and_with_their_times() -> None:
    async with conversing(replying(Recorder())) as talk:
        talk.pause(10)
        talk.say(20)
        await talk.until_event("response_finished")
        assert talk.call.names == [
            "started_talking",
            "pause_candidate",
            "pause_detected",
            "response_starting",
            "response_finished",
        ]
        started = talk.call.data("started_talking")
        paused = talk.call.data("pause_detected")
        assert started["time_s"] == pytest.approx(17 * WINDOW_S, abs=0.021)
        assert started["speech_start_s"] == pytest.approx(10 * WINDOW_S)
        assert paused["time_s"] == pytest.approx(46 * WINDOW_S, abs=0.021)
        assert paused["speech_start_s"] == pytest.approx(10 * WINDOW_S)
        assert paused["speech_end_s"] == pytest.approx(30 * WINDOW_S)
        assert paused["turn"] == 1
        audio: Any = paused["audio"]
        assert audio[0] == RATE_HZ
        assert np.count_nonzero(audio[1]) == sound(1, 20).size
        assert talk.call.ended_replies == 1
        assert talk.call.data("response_finished") == {"turn": 1, "failed": False}


async def test_a_pause_that_was_none_is_cancelled() -> None:
    async with conversing(replying(Recorder())) as talk:
        talk.speak(10)
        talk.pause(8)
        talk.say(10)
        await talk.until_event("response_finished")
        assert talk.call.names[1:4] == ["pause_candidate", "pause_cancelled", "pause_candidate"]


async def test_state_and_event_tell_how_far_the_turn_is() -> None:
    gate = asyncio.Event()

    async def reply(_audio: Any) -> AsyncIterator[Any]:
        await gate.wait()
        yield (24000, np.zeros((1, 480), np.int16))
        await asyncio.Event().wait()

    async with conversing(replying(reply)) as talk:
        handler = talk.handler
        assert not handler.event.is_set()
        talk.speak(10)
        assert handler.state.started_talking
        talk.pause()
        assert handler.event.is_set()
        assert handler.state.pause_detected
        assert not handler.state.started_talking
        assert handler.state.sampling_rate == RATE_HZ
        assert handler.state.stream.ndim == 1
        assert np.count_nonzero(handler.state.stream) == sound(1, 10).size
        await talk.until_event("response_starting")
        assert handler.state.responding
        assert not handler.state.responded_audio
        await asyncio.sleep(0)
        assert inspect.isasyncgen(handler.generator)
        gate.set()
        await talk.until_said(1)
        assert handler.state.responded_audio
        talk.speak(10)
        assert handler.state.interrupted.is_set()
        await talk.until_idle()
        assert handler.generator is None
        assert not handler.state.responding
        assert not handler.state.interrupted.is_set()


# What the function is, and what it gets


async def reply_async(audio: Any) -> AsyncIterator[Any]:
    yield audio
    yield audio


def disguised(audio: Any) -> AsyncIterator[Any]:
    return reply_async(audio)


def reply_once(audio: Any) -> Any:
    return audio


async def reply_once_async(audio: Any) -> Any:
    return audio


class Answers:
    def method(self, audio: Any) -> Iterator[Any]:
        yield audio

    async def method_async(self, audio: Any) -> AsyncIterator[Any]:
        yield audio

    def __call__(self, audio: Any) -> Iterator[Any]:
        yield audio


def reply_greeting(greeting: str, audio: Any) -> Iterator[Any]:
    assert greeting == "hello"
    yield audio


@pytest.mark.parametrize(
    ("fn", "is_async", "items"),
    [
        (Recorder(2), False, 2),
        (reply_async, True, 2),
        (reply_once, False, 1),
        (reply_once_async, True, 1),
        (Answers().method, False, 1),
        (Answers().method_async, True, 1),
        (Answers(), False, 1),
        (functools.partial(reply_greeting, "hello"), False, 1),
        (disguised, False, 2),
        (lambda audio: iter([audio]), False, 1),
    ],
)
async def test_any_kind_of_function_may_reply(fn: Any, is_async: bool, items: int) -> None:  # noqa: FBT001
    handler = replying(fn)
    assert handler.is_async is is_async
    async with conversing(handler, "an input nobody takes") as talk:
        talk.say()
        await talk.until_event("response_finished")
        assert len(talk.items) == items
        assert talk.call.errors == []
        assert talk.call.requests == 0


@pytest.mark.parametrize("is_async", [False, True])
async def test_inputs_follow_the_audio_when_the_function_takes_them(is_async: bool) -> None:  # noqa: FBT001
    got: list[tuple[Any, ...]] = []

    def reply(audio: Any, text: str, number: int = 0) -> Iterator[Any]:
        got.append((audio, text, number))
        yield audio

    async def reply_too(audio: Any, text: str, number: int = 0) -> AsyncIterator[Any]:
        for item in reply(audio, text, number):
            yield item

    async with conversing(replying(reply_too if is_async else reply), "text", 7) as talk:
        talk.say()
        await talk.until_event("response_finished")
        assert talk.handler.latest_args == [got[0][0], "text", 7]
    assert got[0][0][0] == RATE_HZ
    assert got[0][1:] == ("text", 7)


async def test_inputs_are_fetched_anew_for_every_turn() -> None:
    got: list[int] = []

    def reply(audio: Any, number: int) -> Iterator[Any]:
        got.append(number)
        yield audio

    async with conversing(replying(reply)) as talk:
        for number in (1, 2, 3):
            talk.call.answer_requests(talk.handler, number)
            talk.say()
            await talk.until_event("response_finished", number)
        assert talk.call.requests == 3
    assert got == [1, 2, 3]


async def test_inputs_that_came_unasked_are_enough() -> None:
    got: list[str] = []

    def reply(audio: Any, text: str) -> Iterator[Any]:
        got.append(text)
        yield audio

    async with conversing(replying(reply)) as talk:
        talk.handler.set_args(["unasked"])
        talk.say()
        await talk.until_event("response_finished")
        assert talk.call.requests == 0
    assert got == ["unasked"]


@pytest.mark.parametrize(
    ("fn", "options", "takes_inputs"),
    [
        (lambda _audio: None, {}, False),
        (lambda _audio, _text: None, {}, True),
        (lambda _audio, _text=None: None, {}, True),
        (lambda *_args: None, {}, True),
        (lambda _audio, *, _voice="x": None, {}, False),
        (lambda _audio: None, {"needs_args": True}, True),
        (functools.partial(lambda _audio, _text: None, _text="x"), {}, False),
        (functools.partial(lambda _text, _audio: None, "x"), {}, False),
        (Answers().method, {}, False),
        (max, {}, False),
    ],
)
def test_whether_inputs_are_wanted_is_read_from_the_signature(
    fn: Any,
    options: dict[str, Any],
    takes_inputs: bool,  # noqa: FBT001
) -> None:
    assert replying(fn, **options)._needs_additional_inputs is takes_inputs  # noqa: SLF001


async def test_a_page_that_never_answers_costs_the_turn_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "INPUTS_TIMEOUT_S", 0.0)

    def reply(audio: Any, _text: str) -> Iterator[Any]:
        yield audio

    async with conversing(replying(reply)) as talk:
        talk.call.on_request = None
        talk.say()
        await talk.until_event("response_finished")
        assert isinstance(talk.call.errors[0], TimeoutError)
        monkeypatch.setattr(base, "INPUTS_TIMEOUT_S", 10.0)
        talk.call.answer_requests(talk.handler, "here")
        talk.say()
        await talk.until_event("response_finished", 2)
        assert len(talk.call.errors) == 1
        assert len(talk.items) == 1


async def test_on_the_phone_outputs_come_back_as_the_next_turns_inputs() -> None:
    got: list[tuple[Any, ...]] = []

    def reply(_audio: Any, *history: Any) -> Iterator[Any]:
        got.append(history)
        yield AdditionalOutputs("remember", len(got))
        yield ((24000, np.zeros((1, 480), np.int16)), AdditionalOutputs("remember", -len(got)))

    async with conversing(replying(reply)) as talk:
        talk.handler.phone_mode = True
        for turn in (1, 2, 3):
            talk.say()
            await talk.until_event("response_finished", turn)
        assert talk.call.requests == 0
        assert talk.call.errors == []
    assert got == [(), ("remember", -1), ("remember", -2)]


async def test_context_variables_of_the_call_reach_the_function() -> None:
    caller.set("Ada")
    got: list[str] = []

    def reply(audio: Any) -> Iterator[Any]:
        got.append(caller.get())
        yield audio

    async with conversing(replying(reply)) as talk:
        talk.say()
        await talk.until_event("response_finished")
    assert got == ["Ada"]


async def test_sync_code_never_runs_on_the_event_loop() -> None:
    threads: set[int] = set()

    def reply(audio: Any) -> Iterator[Any]:
        try:
            threads.add(threading.get_ident())
            yield audio
        finally:
            threads.add(threading.get_ident())

    async with conversing(replying(reply)) as talk:
        talk.say()
        await talk.until_event("response_finished")
    assert len(threads) == 1
    assert threading.get_ident() not in threads


# The start of the call


async def test_the_start_up_function_speaks_first() -> None:
    def greet() -> Iterator[Any]:
        yield (24000, np.ones((1, 480), np.int16))

    async with conversing(replying(Recorder(), startup_fn=greet)) as talk:
        await talk.until_event("response_finished")
        assert len(talk.items) == 1
        assert talk.call.names == ["response_starting", "response_finished"]
        talk.say()
        await talk.until_event("response_finished", 2)
        assert talk.call.data("response_finished")["turn"] == 1


async def test_the_start_up_function_gets_inputs_when_it_takes_them() -> None:
    got: list[tuple[Any, ...]] = []

    def greet(name: str) -> Iterator[Any]:
        got.append((name,))
        yield (24000, np.ones((1, 480), np.int16))

    def reply(audio: Any, name: str) -> Iterator[Any]:
        got.append((audio[0], name))
        yield audio

    async with conversing(replying(reply, startup_fn=greet), "Ada") as talk:
        await talk.until_event("response_finished")
        talk.say()
        await talk.until_event("response_finished", 2)
        assert talk.call.requests == 2
    assert got == [("Ada",), (RATE_HZ, "Ada")]


async def test_a_start_up_function_without_arguments_is_called_without() -> None:
    def greet() -> Iterator[Any]:
        yield (24000, np.ones((1, 480), np.int16))

    def reply(audio: Any, _name: str) -> Iterator[Any]:
        yield audio

    async with conversing(replying(reply, startup_fn=greet), "Ada") as talk:
        await talk.until_event("response_finished")
        assert talk.call.errors == []
        assert talk.call.requests == 0


# Errors


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("after", [0, 1])
async def test_an_error_ends_the_turn_and_not_the_call(is_async: bool, after: int) -> None:  # noqa: FBT001
    calls = []

    def reply(audio: Any) -> Iterator[Any]:
        calls.append(audio)
        if len(calls) == 2:
            for _ in range(after):
                yield audio
            raise ValueError("mine")
        yield audio

    async def reply_too(audio: Any) -> AsyncIterator[Any]:
        for item in reply(audio):
            yield item

    async with conversing(replying(reply_too if is_async else reply)) as talk:
        for turn in (1, 2, 3):
            talk.say()
            await talk.until_event("response_finished", turn)
        assert [str(error) for error in talk.call.errors] == ["mine"]
        assert len(talk.items) == 2 + after
        assert talk.call.ended_replies == 3
        assert [
            data["failed"] for name, data in talk.call.events if name == "response_finished"
        ] == [
            False,
            True,
            False,
        ]


async def test_a_function_that_cannot_be_called_is_an_error_of_the_turn() -> None:
    def reply() -> Iterator[Any]:
        yield None

    async with conversing(replying(reply)) as talk:
        talk.say()
        await talk.until_event("response_finished")
        assert isinstance(talk.call.errors[0], TypeError)


async def test_an_error_of_an_overridden_reset_is_reported() -> None:
    class Careless(ReplyOnPause):
        def reset(self) -> None:
            super().reset()
            raise ValueError("in reset")

    handler = Careless(Recorder(), vad=ScriptedVad, input_sample_rate=RATE_HZ)
    async with conversing(handler) as talk:
        talk.say()
        await talk.call.until(lambda: bool(talk.call.errors))
        talk.say()
        await talk.until_event("response_finished", 2)
        assert str(talk.call.errors[0]) == "in reset"


async def test_what_a_detector_raises_reaches_whoever_feeds_it() -> None:
    class Broken(ScriptedVad):
        def probability(self, window: Any) -> float:
            raise ValueError(f"{window.size} samples are too much for me")

    handler = ReplyOnPause(Recorder(), vad=Broken, input_sample_rate=RATE_HZ)
    async with conversing(handler) as talk:
        with pytest.raises(ValueError, match="512 samples"):
            talk.pause(2)


# Life of a handler


async def test_an_idle_handler_waits_without_a_thread() -> None:
    before = threading.active_count()
    async with conversing(replying(Recorder())) as talk:
        talk.pause(100)
        for _ in range(10):
            await asyncio.sleep(0)
        assert threading.active_count() == before
        assert inspect.iscoroutinefunction(talk.handler.emit)


async def test_the_thread_ends_with_the_call() -> None:
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
async def test_the_end_of_the_call_closes_the_generator(is_async: bool) -> None:  # noqa: FBT001
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


async def test_the_end_of_the_call_does_not_wait_for_blocked_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gradio_webrtc.handlers.turn_handler.RELEASE_S", 0.0)
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


async def test_each_call_has_its_own_copy() -> None:
    template = replying(Recorder())
    template.remark = "kept"  # type: ignore[attr-defined]
    async with conversing(template) as one, conversing(template) as other:
        one.say()
        await one.until_event("response_finished")
        assert one.handler.remark == other.handler.remark == "kept"
        assert other.call.events == []
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


async def test_outside_a_call_it_hears_and_says_nothing() -> None:
    handler = replying(Recorder())
    with pytest.raises(RuntimeError, match="not in a call"):
        handler.receive((RATE_HZ, sound(1, 1)))
    with pytest.raises(RuntimeError, match="not in a call"):
        await handler.wait_until_ready()
    with pytest.raises(RuntimeError, match="not in a call"):
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


async def test_stereo_is_heard_as_the_mean_of_its_channels() -> None:
    fn = Recorder()
    handler = ReplyOnPause(fn, vad=ScriptedVad, input_sample_rate=RATE_HZ, expected_layout="stereo")
    mono = np.concatenate([sound(0.9, 16), sound(0, 17)], axis=1)
    stereo = np.stack([mono[0] + 100, mono[0] - 100], axis=1).reshape(1, -1)
    async with conversing(handler) as talk:
        talk.feed(stereo)
        await talk.until_event("response_finished")
    audio = fn.calls[0][0][1]
    assert set(np.unique(audio)) == {0, mono.max()}
    assert np.count_nonzero(audio) == sound(1, 16).size


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
