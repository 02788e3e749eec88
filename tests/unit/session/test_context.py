"""Requests of a handler to its session: from any thread, in order, and without secrets."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import gradio as gr
import numpy as np
import pytest

from gradio_webrtc._audio import ECHO_SCORE
from gradio_webrtc._session.buffers import MAX_BUFFERED_S, OutboundAudioBuffer
from gradio_webrtc._session.context import ECHO_S, MAX_REPORTED_PLACES, SessionContext
from gradio_webrtc._session.messages import MessageSender
from gradio_webrtc.errors import AudioError, HandlerError, WebRTCError

if TYPE_CHECKING:
    from collections.abc import Mapping

SECOND = np.ones((1, 48_000), np.int16)


class Ears:
    """Keeps what a session sends and records."""

    def __init__(self) -> None:
        self.messages: list[Mapping[str, Any]] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.audio_buffer = OutboundAudioBuffer()
        self.session = SessionContext(
            "client", self.audio_buffer, MessageSender(self._take), self.on_event
        )

    def _take(self, text: str) -> None:
        self.messages.append(json.loads(text))

    def on_event(self, _time_s: float, name: str, data: dict[str, Any]) -> None:
        self.events.append((name, data))


def _raise(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as raised:
        return raised


async def test_only_the_words_of_a_webrtc_error_reach_the_page(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ears = Ears()
    ears.session.report(_raise(WebRTCError("speak up, please")))
    ears.session.report(_raise(ValueError("password is hunter2")))
    reported = [message["message"] for message in ears.messages]
    assert reported[0] == "speak up, please"
    assert "hunter2" not in reported[1]
    assert "see the server's log" in reported[1]
    mark = reported[1].split("error ")[1].split(")")[0]
    (record,) = (each for each in caplog.records if each.levelno == logging.ERROR)
    assert record.getMessage().startswith(f"{mark}: ")
    assert record.exc_info is not None


async def test_what_gradio_raises_for_the_page_reaches_it_with_title_and_duration() -> None:
    ears = Ears()
    ears.session.report(_raise(gr.Error("No voice.", title="Upload one", duration=3)))
    ears.session.report(_raise(gr.Error("Say it.", duration=None)))
    ears.session.report(_raise(gr.Error("Not shown.", visible=False)))
    first, second = ears.messages
    expected = {"type": "error", "data": "No voice.", "message": "No voice.", "duration": 3}
    assert first == {**expected, "title": "Upload one"}
    assert (second["title"], second["duration"]) == ("Error", None)
    assert len(ears.events) == 3


@pytest.mark.parametrize("duration", ["long", float("inf"), float("nan"), -1, 0, [3]])
async def test_a_duration_that_is_none_lets_words_stay(duration: Any) -> None:
    ears = Ears()
    ears.session.report(_raise(gr.Error("No voice.", duration=duration)))
    assert [message["duration"] for message in ears.messages] == [None]


async def test_words_are_sent_again_once_the_page_shows_them_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ears = Ears()
    clock = [100.0]
    monkeypatch.setattr(ears.session.loop, "time", lambda: clock[-1])
    for now_s in (100.0, 102.9, 103.1):
        clock.append(now_s)
        ears.session.report(_raise(gr.Error("Say it again.", duration=3)))
        ears.session.report(_raise(ValueError("again")))
    reported = [message["message"] for message in ears.messages]
    assert reported.count("Say it again.") == 2
    assert len(reported) == 3


async def test_other_words_from_the_same_place_are_sent_at_once() -> None:
    ears = Ears()
    for word in ("one", "two"):
        ears.session.report(_raise(WebRTCError(word)))
    assert [message["message"] for message in ears.messages] == ["one", "two"]


async def test_the_places_of_failure_that_are_remembered_are_bounded() -> None:
    ears = Ears()
    for number in (*range(MAX_REPORTED_PLACES + 1), MAX_REPORTED_PLACES, 0):
        ears.session.report(_raise(WebRTCError(str(number))))
    reported = [message["message"] for message in ears.messages]
    assert reported == [*map(str, range(MAX_REPORTED_PLACES + 1)), "0"]


async def test_an_error_that_comes_50_times_a_second_is_reported_once() -> None:
    ears = Ears()
    for _ in range(50):
        ears.session.report(_raise(ValueError("again")))
    assert len(ears.messages) == 1


async def test_a_broken_contract_is_reported_by_its_mark_only() -> None:
    ears = Ears()
    ears.session.report(_raise(HandlerError("emit gave a str from /srv/secret")))
    assert "secret" not in str(ears.messages)


async def test_what_a_thread_asks_for_happens_on_the_loop_in_order() -> None:
    ears = Ears()
    where: list[int] = []
    sender = MessageSender(lambda _text: where.append(threading.get_ident()))
    session = SessionContext("client", ears.audio_buffer, sender, ears.on_event)

    def work() -> None:
        session.send({"type": "log"})
        session.event("started_talking")

    await asyncio.to_thread(work)
    await asyncio.sleep(0)
    assert set(where) == {threading.get_ident()}
    assert [name for name, _ in ears.events] == ["started_talking"]


async def test_another_listener_takes_the_place_of_the_first() -> None:
    ears = Ears()
    noted: list[tuple[str, dict[str, Any]]] = []
    ears.session.event("before")
    ears.session.listen(lambda _time_s, name, data: noted.append((name, data)))
    ears.session.event("behind", turn=1)
    assert ears.events == [("before", {})]
    assert noted == [("behind", {"turn": 1})]
    assert ears.session.events["before"] == 1


async def test_a_value_that_cannot_be_sent_is_an_error_where_it_was_sent() -> None:
    ears = Ears()

    def work() -> None:
        with pytest.raises(TypeError, match="not JSON serializable"):
            ears.session.send({"type": "level", "data": np.float32(1)})
        with pytest.raises(ValueError, match="not JSON compliant"):
            ears.session.send([float("nan")])

    await asyncio.to_thread(work)
    await asyncio.sleep(0)
    assert ears.messages == []


async def test_a_message_is_sent_as_it_is_now() -> None:
    ears = Ears()
    words = ["one"]

    def work() -> None:
        ears.session.send({"words": words})
        words.append("two")

    await asyncio.to_thread(work)
    await asyncio.sleep(0)
    assert ears.messages == [{"words": ["one"]}]


async def test_a_write_waits_when_a_second_is_queued_and_goes_on_when_it_is_taken() -> None:
    audio_buffer = OutboundAudioBuffer()
    writing = asyncio.get_running_loop().create_task(audio_buffer.write(48_000, np.tile(SECOND, 3)))
    await asyncio.sleep(0)
    assert audio_buffer.buffered_s <= MAX_BUFFERED_S
    assert not writing.done()
    taken = 0
    while not writing.done() or audio_buffer.buffered_s > 0:
        frame = audio_buffer.pull()
        taken += 0 if frame is None else frame.size
        await asyncio.sleep(0)
    assert await writing == taken == 3 * 48_000


async def test_clear_lets_go_of_a_write_that_waits_and_discards_the_rest() -> None:
    audio_buffer = OutboundAudioBuffer()
    writing = asyncio.get_running_loop().create_task(
        audio_buffer.write(48_000, np.tile(SECOND, 600))
    )
    await asyncio.sleep(0)
    audio_buffer.clear()
    assert await writing == 48_000
    assert audio_buffer.buffered_s == 0
    assert audio_buffer.pull(partial=True) is None


async def test_what_is_no_audio_is_refused_and_nothing_is_queued() -> None:
    audio_buffer = OutboundAudioBuffer()
    for rate_hz, samples in ((0, SECOND), (48_000, np.zeros((2, 2, 2))), (48_000, "text")):
        with pytest.raises(AudioError, match="expected"):
            await audio_buffer.write(rate_hz, samples)
    assert audio_buffer.buffered_s == 0


async def test_the_last_partial_frame_of_a_reply_is_sent_padded() -> None:
    audio_buffer = OutboundAudioBuffer()
    await audio_buffer.write(48_000, SECOND[:, :1_000])
    first = audio_buffer.pull()
    assert first is not None
    assert audio_buffer.pull() is None
    audio_buffer.end_reply()
    second = audio_buffer.pull()
    assert second is not None
    assert np.count_nonzero(second) == 40
    await asyncio.wait_for(audio_buffer.drain(), 1)


async def test_audio_is_compared_with_a_reply_and_until_its_echo_has_ended() -> None:
    ears, loop = Ears(), asyncio.get_running_loop()
    noise = (np.random.default_rng(1).normal(size=48_000) * 5_000).astype(np.int16)
    await ears.audio_buffer.write(48_000, noise)
    for _ in range(40):
        ears.audio_buffer.pull()
    received = noise[:24_000].reshape(1, -1)
    assert ears.session.echo_score(48_000, received) == 0.0
    ears.session.event("response_starting", turn=1)
    assert ears.session.echo_score(48_000, received) > ECHO_SCORE
    ears.session.event("response_finished", turn=1)
    now_s = loop.time()
    for later_s, is_compared in ((0.0, True), (ECHO_S - 0.1, True), (ECHO_S + 0.1, False)):
        with patch.object(loop, "time", lambda later_s=later_s: now_s + later_s):
            score = ears.session.echo_score(48_000, received)
        assert (score > ECHO_SCORE) is is_compared


async def test_a_client_plays_nothing_while_a_reply_is_held() -> None:
    ears = Ears()
    ears.session.allow_holds()
    for end in (ears.session.resume_reply, ears.session.drop_reply, ears.session.clear):
        await ears.audio_buffer.write(48_000, SECOND[:, :4_800])
        end()
        assert ears.messages == []
        await ears.audio_buffer.write(48_000, SECOND[:, :4_800])
        ears.session.hold_reply()
        ears.session.hold_reply()
        await asyncio.to_thread(end)
        await asyncio.sleep(0)
        assert [each["type"] for each in ears.messages] == ["hold", "resume"]
        assert not ears.audio_buffer.is_held
        ears.messages.clear()
        ears.audio_buffer.clear()


async def test_a_reply_is_over_for_everybody_once_the_user_has_its_end() -> None:
    ears = Ears()
    ears.session.event("response_starting", turn=1)
    await ears.audio_buffer.write(48_000, SECOND[:, :2_400])
    ears.session.end_reply()
    ears.session.event("response_finished", turn=1, failed=False)
    assert (ears.session.unheard, ears.events[1:]) == (1, [])
    while ears.audio_buffer.pull() is not None:
        pass
    await asyncio.wait_for(ears.session.until_replied(), 5)
    assert ears.events[1:] == [("response_finished", {"turn": 1, "failed": False})]
    assert ears.session.heard_s(1) == pytest.approx(0.05)


async def test_a_client_has_the_end_of_the_last_of_two_that_overlap() -> None:
    ears = Ears()
    ears.session.event("response_starting", turn=1)
    ears.session.record("response_starting", {"turn": 0, "announcement": True})
    ears.session.record("response_finished", {"turn": 0, "announcement": True})
    ears.session.event("interrupted", turn=1)
    ears.session.send("flushes what waits")
    logged = [each["data"] for each in ears.messages[:-1]]
    assert logged == ["response_starting", "response_starting", "interrupted"]
    assert ears.events[-1] == ("interrupted", {"turn": 1, "heard_s": 0.0})
