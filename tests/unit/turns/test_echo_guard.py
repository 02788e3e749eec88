"""Turns that are the echo of a reply, at their beginning and behind it."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from support.conversing import RATE_HZ, Endless, conversing, replying
from support.fake_session import FakeSession

from gradio_webrtc import AlgoOptions, ReplyOnPause, SileroVadOptions
from gradio_webrtc._audio import ECHO_SCORE
from gradio_webrtc._turns.detector import PauseTurnDetector, TurnEvent
from gradio_webrtc._turns.echo_guard import EchoGuard
from gradio_webrtc._turns.options import make_detector


async def test_an_echo_interrupts_nothing_and_is_no_turn() -> None:
    fn = Endless()
    async with conversing(replying(fn.asynchronous)) as talk:
        talk.say(10)
        await talk.until_said(1)
        before = len(talk.session.names)
        talk.session.echo_scores = [0.9]
        talk.speak(7)
        talk.pause(30)
        await asyncio.sleep(0)
        assert talk.session.names[before:] == ["echo_ignored"]
        event = talk.session.data("echo_ignored")
        assert event["score"] == 0.9
        assert event["speech_start_s"] == pytest.approx(27 * 0.032)
        assert not talk.handler.has_open_turn
    assert fn.received == [10]


async def test_the_beginning_of_the_turn_is_compared_at_its_rate() -> None:
    async with conversing(replying(Endless().asynchronous)) as talk:
        talk.say(10)
        # Seven windows, in whole frames of 20 ms.
        assert talk.session.compared == [(RATE_HZ, 12 * 320)]


async def test_an_echo_that_goes_on_is_compared_again_each_time_it_would_begin_a_turn() -> None:
    async with conversing(replying(Endless().asynchronous)) as talk:
        talk.say(10)
        await talk.until_said(1)
        talk.session.echo_scores = [0.9] * 100
        talk.speak(7 * 20)
        assert talk.session.names.count("echo_ignored") == 20
        assert "interrupted" not in talk.session.names


async def test_a_user_who_joins_an_echo_interrupts_and_nothing_said_is_lost() -> None:
    fn = Endless()
    async with conversing(replying(fn.asynchronous)) as talk:
        talk.say(10)
        await talk.until_said(1)
        talk.session.echo_scores = [0.9, ECHO_SCORE]
        talk.speak(14)
        assert "interrupted" not in talk.session.names
        talk.session.echo_scores = [np.nextafter(ECHO_SCORE, 0)]
        talk.speak(7)
        assert talk.session.names[-2:] == ["started_talking", "interrupted"]
        talk.pause()
        await talk.until_event("response_starting", 2)
        # With the pre-roll of 0.3 s: what the detector had heard when it began again.
        assert fn.received[1] >= 14


async def test_what_is_found_of_an_echo_by_another_thread_is_ignored_with_it() -> None:
    session = FakeSession()
    session.echo_scores = [0.9]
    detector = PauseTurnDetector(make_detector(RATE_HZ, AlgoOptions(), SileroVadOptions()), RATE_HZ)
    guard = EchoGuard(session, threading.Lock())
    begun = TurnEvent("started_talking", 1.2, 1.0, None)
    assert guard.covers(begun, detector, RATE_HZ)
    audio = np.zeros((1, RATE_HZ), np.int16)
    for name in ("pause_candidate", "pause_cancelled", "pause_detected"):
        event = begun._replace(name=name, speech_end_s=1.5, audio=audio)
        assert guard.covers(event, detector, RATE_HZ)
        assert not guard.covers(event._replace(speech_start_s=2.0), detector, RATE_HZ)
    assert session.names == ["echo_ignored"]


async def test_without_the_guard_nothing_is_compared() -> None:
    fn = Endless()
    async with conversing(replying(fn.asynchronous, echo_guard=False)) as talk:
        talk.say(10)
        await talk.until_said(1)
        talk.session.echo_scores = [0.9]
        talk.speak(7)
        assert talk.session.names[-2:] == ["started_talking", "interrupted"]
        assert talk.session.compared == []
        talk.handler.echo_guard = True
        talk.pause()


def test_the_guard_is_on_unless_it_is_turned_off() -> None:
    assert ReplyOnPause(print).echo_guard is True
    assert ReplyOnPause(print, echo_guard=False).copy().echo_guard is False
    with pytest.raises(TypeError, match="echo_guard is True or False, got 'no'"):
        ReplyOnPause(print, echo_guard="no")  # type: ignore[call-overload]
