"""Detection of turns by the core where nothing of a program's comes before it."""

from __future__ import annotations

import asyncio
import copy
import gc
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.conversing import CHUNK, Endless, conversing
from support.fake_session import FakeSession
from support.plain_handlers import OwnEmit, OwnReceive, Plain, bound, echo

from gradio_webrtc import ReplyOnPause
from gradio_webrtc.errors import AudioError
from gradio_webrtc.reply_on_pause import AppState


class Level:
    """A detector of speech that is written in Python."""

    sample_rate = 16_000
    window_samples = 512

    def probability(self, window: Any) -> float:
        return float(abs(window).mean() > 0.1)

    def reset(self) -> None: ...


class OwnPause(ReplyOnPause):
    def determine_pause(self, *_args: Any) -> bool:
        return False


async def test_received_audio_goes_to_the_built_in_detector_at_once() -> None:
    handler = bound(ReplyOnPause(echo, input_sample_rate=24_000))
    turns = handler.session_detection().turns
    assert (turns.sample_rate_hz, turns.frame_samples) == (24_000, 480)
    assert handler.session_detection().turns is turns
    await handler.release()


@pytest.mark.parametrize(
    "make",
    [
        Plain,
        lambda: OwnReceive(echo),
        lambda: OwnEmit(echo),
        lambda: OwnPause(echo),
        lambda: ReplyOnPause(echo, vad=Level),
        lambda: ReplyOnPause(echo, expected_layout="stereo"),
    ],
    ids=["any other", "own receive", "own emit", "own pause", "own detector", "stereo"],
)
async def test_what_comes_before_the_detector_gets_frames(make: Any) -> None:
    handler = bound(make())
    assert handler.session_detection() is None
    await handler.release()


async def test_a_receive_that_is_set_on_an_instance_gets_frames() -> None:
    handler = bound(ReplyOnPause(echo))
    handler.receive = lambda _frame: None
    assert handler.session_detection() is None
    await handler.release()


async def test_detection_has_the_rate_that_was_decided_last() -> None:
    handler = bound(ReplyOnPause(echo))
    handler.input_sample_rate, handler.input_frame_size = 16_000, 320
    turns = handler.session_detection().turns
    assert (turns.sample_rate_hz, turns.frame_samples) == (16_000, 320)
    handler.receive((16_000, np.zeros((1, 320), np.int16)))
    with pytest.raises(AudioError, match="frames of a session have one rate"):
        handler.receive((48_000, np.zeros((1, 960), np.int16)))
    handler.input_sample_rate = 48_000
    assert handler.session_detection() is None, "frames of another rate were taken"
    await handler.release()


async def test_frames_and_received_audio_have_one_clock() -> None:
    handler = bound(ReplyOnPause(echo))
    turns = handler.session_detection().turns
    before = turns.min_samples_until_event
    handler.receive((48_000, np.zeros((1, 480), np.int16)))
    assert turns.min_samples_until_event == before - 480
    turns.process(48_000, 1, np.zeros((1, 960), np.int16))
    assert handler.batch_allowance_s == (before - 1440) / 48_000
    await handler.release()


async def test_received_audio_is_skipped_while_a_reply_cannot_be_interrupted() -> None:
    async with conversing(ReplyOnPause(Endless().asynchronous, can_interrupt=False)) as talk:
        handler = talk.handler
        turns = handler.session_detection().turns
        assert turns.min_samples_until_event > 0
        handler.trigger_response()
        assert turns.min_samples_until_event == 0, "a turn waits for its reply"
        await talk.until_said(1)
        assert turns.min_samples_until_event == 0
        handler.can_interrupt = True
        assert turns.min_samples_until_event > 0
        handler.can_interrupt = False
        assert turns.min_samples_until_event == 0
        handler.stop_reply()
        await talk.until_idle()
        assert turns.min_samples_until_event > 0


async def test_a_greeting_that_cannot_be_interrupted_is_one_from_the_first_audio_on() -> None:
    def greet() -> Any:
        yield CHUNK

    handler = ReplyOnPause(echo, startup_fn=greet, can_interrupt=False)
    async with conversing(handler) as talk:
        turns = talk.handler.session_detection().turns
        assert turns.min_samples_until_event == 0
        await talk.until_event("response_finished")
        await talk.until_idle()
        assert turns.min_samples_until_event > 0


class OwnAppState(AppState):
    """A program's own state."""


async def test_a_state_that_a_program_sets_mutes_detection() -> None:
    handler = bound(ReplyOnPause(echo, can_interrupt=False))
    turns = handler.session_detection().turns
    assert turns.min_samples_until_event > 0
    handler.state.responding = True
    assert turns.min_samples_until_event == 0
    turns.process(48_000, 1, np.zeros((1, 960), np.int16))
    handler.state.responding = False
    turns.process(48_000, 1, np.zeros((1, 960), np.int16))
    assert turns.min_samples_until_event > 0
    handler.state = AppState(responding=True)
    assert turns.min_samples_until_event == 0
    handler.state = handler.state.new()
    assert turns.min_samples_until_event > 0
    handler.can_interrupt = True
    handler.state.responding = True
    assert turns.min_samples_until_event > 0, "the user may interrupt"
    await handler.release()


async def test_a_state_that_is_set_in_a_thread_mutes_detection_soon() -> None:
    handler = bound(ReplyOnPause(echo, can_interrupt=False))
    turns = handler.session_detection().turns
    await asyncio.to_thread(setattr, handler.state, "responding", True)  # noqa: FBT003
    await asyncio.sleep(0)
    assert turns.min_samples_until_event == 0
    await handler.release()


def test_a_state_may_be_set_behind_its_session() -> None:
    async def session() -> Any:
        handler = bound(ReplyOnPause(echo, can_interrupt=False))
        await handler.release()
        return handler

    handler = asyncio.run(session())
    handler.state.responding = True
    assert handler.state.responding


async def test_a_state_that_a_template_has_counts_for_its_copies() -> None:
    template = ReplyOnPause(echo, can_interrupt=False)
    template.state = OwnAppState(responding=True)
    handler = bound(template)
    assert type(handler.state) is OwnAppState
    turns = handler.session_detection().turns
    assert turns.min_samples_until_event > 0, "a copy begins with a new state"
    template.state.responding = False
    handler.state.responding = True
    assert turns.min_samples_until_event == 0
    await handler.release()


async def test_a_state_set_before_the_first_audio_mutes_detection() -> None:
    handler = ReplyOnPause(echo, can_interrupt=False).copy()
    handler.state.responding = True
    handler.bind(FakeSession())
    detection = handler.session_detection()
    assert detection is not None
    assert detection.turns.min_samples_until_event == 0
    await handler.release()


class OwnState(ReplyOnPause):
    """Computes its state."""

    @property
    def state(self) -> Any:
        return self.own

    @state.setter
    def state(self, state: Any) -> None:
        self.own = state


async def test_a_state_that_cannot_be_watched_gets_frames() -> None:
    handler = bound(OwnState(echo))
    assert handler.session_detection() is None
    await handler.release()
    other = bound(ReplyOnPause(echo))
    other.state = SimpleNamespace(responding=False, new=AppState)
    assert other.session_detection() is None
    other.state = AppState()
    await other.release()


async def test_a_state_keeps_no_handler() -> None:
    handler = bound(ReplyOnPause(echo))
    state = handler.state
    assert copy.copy(state) is not state
    assert copy.deepcopy(state).responding is False
    await handler.release()
    vanished = weakref.ref(handler)
    del handler
    gc.collect()
    assert vanished() is None
    state.responding = True
