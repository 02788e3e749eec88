"""Errors of a service, connections that are lost, and services that send anything."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clock import run_virtual
from support.realtime_scene import Scene, said
from support.realtime_service import MemoryService, Script, handler_of

from gradio_webrtc._realtime import dialogue as module
from gradio_webrtc._realtime.line import ServiceLost, ServiceRefused
from gradio_webrtc.testing import simulate


def weather(city: str) -> str:
    """Returns the weather in a city."""
    return f"sunny in {city}"


# Errors and lost connections


def test_a_failure_of_the_service_is_shown_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = MemoryService(Script(fails=True))
    simulation = simulate(handler_of(service), said(1.0, 1.0, 1.0))
    shown = [message for _, message in simulation.messages if message["type"] == "error"]
    assert [message["data"] for message in shown] == [module.FAILED]
    assert "no_luck: secret internals" in caplog.text
    (finished,) = [event for event in simulation.events if event.name == "response_finished"]
    assert finished.data["failed"]


def test_errors_about_events_that_came_too_late_are_no_news(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene() -> None:
        async with Scene(MemoryService()) as scene:
            for code in module.OF_TIMING:
                scene.put("error", error={"type": "invalid_request_error", "code": code})
            late = {"type": "invalid_request_error", "event_id": f"{module.QUIET}1"}
            scene.put("error", error=late)
            await scene.settle()
            assert scene.session.errors == []
            assert caplog.records == []
            for _ in range(module.MAX_LOGGED_ERRORS + 10):
                scene.put("error", error={"code": "bad\nthing", "message": "x" * 10_000})
            await scene.settle()
            assert {str(error) for error in scene.session.errors} == {module.ERROR}
            lines = [record.getMessage() for record in caplog.records]
            assert len(lines) == module.MAX_LOGGED_ERRORS
            assert all("\n" not in line and len(line) < 700 for line in lines)

    caplog.set_level(logging.WARNING)
    run_virtual(scene())


def test_after_a_lost_connection_the_service_gets_the_conversation_again() -> None:
    async def scene() -> None:
        service = MemoryService(Script(answers=((700.0, 0.3),), transcribes=True))
        async with Scene(service) as scene:
            scene.dialogue.ask("Hello")
            await scene.until(lambda: "response_finished" in scene.session.names)
            service.lines[-1].fail()
            await asyncio.sleep(1)
            assert len(service.lines) == 2
            created = scene.service.events("conversation.item.create")
            # A service may take no history, which is no news for the user.
            assert all(each["event_id"].startswith(module.QUIET) for each in created)
            items = [each["item"] for each in created]
            assert [(each["role"], each["content"][0]["text"]) for each in items] == [
                ("user", "Hello"),
                ("assistant", "Answer"),
            ]
            assert scene.service.events("response.create") == []
            kinds = [(each["type"], each["data"]) for each in scene.session.messages]
            assert kinds == [("warning", module.LOST), ("info", module.FOUND)]

    run_virtual(scene())


def test_words_that_are_missing_make_a_conversation_start_over() -> None:
    service = MemoryService(Script(answers=((700.0, 0.3),)))

    async def scene() -> None:
        async with Scene(service) as scene:
            scene.put("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u")
            scene.put("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="u")
            await scene.settle()
            service.lines[-1].fail()
            await asyncio.sleep(1)
            assert scene.session.messages[-1]["data"] == module.STARTED_OVER

    run_virtual(scene())


def test_a_question_that_was_not_answered_is_asked_again() -> None:
    async def scene() -> None:
        service = MemoryService()
        async with Scene(service) as scene:
            # The service begins to answer, and is gone.
            scene.put("response.created", response={"id": "r"})
            scene.put(
                "conversation.item.input_audio_transcription.completed",
                item_id="u",
                transcript="Where is it?",
            )
            await scene.settle()
            service.lines[-1].fail()
            await asyncio.sleep(1)
            kinds = [each["type"] for each in scene.service.received]
            assert kinds == ["session.update", "conversation.item.create", "response.create"]
            await scene.items(5)
            assert scene.session.names.count("response_starting") == 1

    run_virtual(scene())


def test_a_service_that_comes_and_goes_is_no_news_each_time() -> None:
    async def scene() -> None:
        service = MemoryService()
        async with Scene(service) as scene:
            for count in (1, 2, 3):
                service.lines[-1].fail()
                await asyncio.sleep(3)
                assert len(service.lines) == count + 1
            assert [each["data"] for each in scene.session.messages] == [module.LOST, module.FOUND]

    run_virtual(scene())


def test_a_turn_whose_answer_never_began_is_answered_over_the_next_connection() -> None:
    async def scene() -> None:
        service = MemoryService()
        async with Scene(service) as scene:
            scene.put("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="u")
            kind = "conversation.item.input_audio_transcription.completed"
            scene.put(kind, item_id="u", transcript="Where is it?")
            await scene.settle()
            service.lines[-1].fail()
            await asyncio.sleep(1)
            kinds = [each["type"] for each in scene.service.received]
            assert kinds == ["session.update", "conversation.item.create", "response.create"]

    run_virtual(scene())


def test_a_text_whose_answer_never_began_is_answered_over_the_next_connection() -> None:
    async def scene() -> None:
        service = MemoryService(Script(answers=((700.0, 0.3),)))
        async with Scene(service) as scene:
            scene.dialogue.ask("Hello")
            await scene.until(lambda: "response_finished" in scene.session.names)
            service.lines[-1].service.script = Script(is_deaf=True)
            scene.dialogue.ask("Where is it?")
            await scene.settle()
            service.lines[-1].fail()
            await asyncio.sleep(1)
            kinds = [each["type"] for each in scene.service.received]
            assert kinds == ["session.update", *["conversation.item.create"] * 3, "response.create"]

    run_virtual(scene())


def test_a_turn_without_words_is_not_asked_for_again() -> None:
    async def scene() -> None:
        service = MemoryService(Script(answers=((700.0, 0.3),)))
        async with Scene(service) as scene:
            scene.dialogue.ask("Hello")
            await scene.until(lambda: "response_finished" in scene.session.names)
            scene.put("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="u")
            await scene.settle()
            service.lines[-1].fail()
            await asyncio.sleep(1)
            assert scene.service.events("response.create") == []

    run_virtual(scene())


def test_a_reply_that_a_lost_connection_ends_is_played_as_far_as_it_came() -> None:
    async def scene() -> None:
        service = MemoryService()
        async with Scene(service) as scene:
            scene.put("response.created", response={"id": "r"})
            scene.put_audio(0.3)
            await scene.settle()
            service.lines[-1].fail()
            await scene.until(lambda: "response_finished" in scene.session.names)
            assert scene.session.data("response_finished")["failed"]
            assert scene.played_s == pytest.approx(0.3)

    run_virtual(scene())


@pytest.mark.parametrize(
    ("error", "text"),
    [(ServiceLost("gone"), module.GONE), (ServiceRefused("status 401"), module.REFUSED)],
)
def test_without_a_service_the_session_ends_with_a_sentence(error: Exception, text: str) -> None:
    service = MemoryService(failures=[error] * 10)
    simulation = simulate(handler_of(service), said(0.1), tail_s=60.0)
    assert simulation.end_reason == text
    shown = [message["data"] for _, message in simulation.messages if message["type"] == "error"]
    assert shown == [text]


def test_a_service_that_never_answers_is_left_and_asked_again() -> None:
    async def scene() -> None:
        service = MemoryService()
        async with Scene(service) as scene:
            scene.put("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="u")
            # What services confirm at once, answer or none.
            scene.put("input_audio_buffer.committed", item_id="u")
            scene.put("conversation.item.added", item={"id": "u", "role": "user"})
            await asyncio.sleep(29)
            assert len(service.lines) == 1
            await asyncio.sleep(3)
            assert len(service.lines) == 2

    run_virtual(scene())


@pytest.mark.parametrize("kind", ["response.created", "speech_started", "error"])
def test_a_service_that_owes_nothing_may_be_silent(kind: str) -> None:
    events: dict[str, dict[str, Any]] = {
        "response.created": {"type": kind, "response": {"id": "r"}},
        "speech_started": {"type": "input_audio_buffer.speech_started", "item_id": "v"},
        "error": {"type": kind, "error": {"type": "server_error", "message": "No."}},
    }

    async def scene() -> None:
        service = MemoryService()
        async with Scene(service) as scene:
            scene.put("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="u")
            await scene.settle()
            service.lines[-1].put(events[kind])
            await asyncio.sleep(3600)
            assert len(service.lines) == 1

    run_virtual(scene())


# Hostile services


def test_a_reply_that_is_too_long_ends_where_there_is_no_room(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gradio_webrtc._realtime.playback.MAX_WAITING_S", 2.0)

    async def scene() -> None:
        async with Scene(MemoryService()) as scene:
            scene.put("response.created", response={"id": "r"})
            for _ in range(100):
                scene.put_audio(0.5)
                scene.put("response.output_audio_transcript.delta", item_id="a", delta="word ")
            await scene.settle()
            playback = scene.dialogue._playback  # noqa: SLF001 - the bound is inside
            assert playback.waiting_s == 2.0
            (cut,) = scene.service.events("conversation.item.truncate")
            assert (cut["item_id"], cut["audio_end_ms"]) == ("a", 2000)
            assert len(scene.service.events("response.cancel")) == 1
            scene.put("response.done", response={"status": "cancelled"})
            await scene.until(lambda: "response_finished" in scene.session.names)
            assert scene.played_s == pytest.approx(2.0)
            # The next one has room again.
            scene.put("response.created", response={"id": "s"})
            scene.put_audio(0.5, item_id="b")
            await scene.until(lambda: scene.played_s > 2.4)

    run_virtual(scene())
    assert caplog.text.count("more than there is room for") == 1


def test_a_user_can_interrupt_a_reply_that_fills_all_the_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gradio_webrtc._realtime.playback.MAX_WAITING_S", 2.0)

    async def scene() -> None:
        async with Scene(MemoryService()) as scene:
            scene.put("response.created", response={"id": "r"})
            for _ in range(100):
                scene.put_audio(0.5)
            scene.put("response.done", response={"status": "completed"})
            await scene.items(3)
            scene.put("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u")
            await scene.settle()
            assert scene.session.names[-1] == "interrupted"
            cuts = scene.service.events("conversation.item.truncate")
            assert [each["audio_end_ms"] for each in cuts] == [2000, 300]

    run_virtual(scene())


def test_responses_without_an_end_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradio_webrtc._realtime.playback.MAX_ENTRIES", 10)

    async def scene() -> None:
        async with Scene(MemoryService()) as scene:
            for _ in range(50):
                scene.put("response.created", response={"id": "r"})
                scene.put("response.done", response={"status": "completed"})
            await scene.settle()
            playback = scene.dialogue._playback  # noqa: SLF001 - the bound is inside
            assert len(playback) <= 11

    run_virtual(scene())


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_nothing_that_a_service_sends_ends_a_dialogue(data: st.DataObject) -> None:
    values: st.SearchStrategy[Any] = st.sampled_from(
        [
            *("", "x", "resp_1", "function_call", "assistant", "AAAA", "AAA"),
            *(None, 0, -1, 2**70, 10**400, 1.5, True, [], {}),
            {"id": "a", "role": "assistant", "status": "failed"},
            {"audio": {"output": 3}},
            {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
            {"turn_detection": None, "modalities": 1},
        ]
    )
    fields = [
        *("session", "item", "item_id", "response", "response_id", "delta", "transcript"),
        *("error", "audio_start_ms", "audio_end_ms", "content_index", "call_id", "arguments"),
        *("name", "text"),
    ]
    kinds = st.sampled_from([*module.Dialogue._ACTIONS, "unknown"])  # noqa: SLF001 - all of them
    events = data.draw(
        st.lists(st.tuples(kinds, st.dictionaries(st.sampled_from(fields), values)), max_size=30)
    )

    async def scene() -> None:
        async with Scene(MemoryService(), tools=[weather]) as scene:
            for kind, values_of in events:
                scene.put(kind, **values_of)
            await scene.settle()
            scene.put("response.created", response={})
            scene.put_audio(0.02, item_id="last")
            await scene.until(lambda: scene.played_s > 0)
            assert {str(each) for each in scene.session.errors} <= {module.ERROR, module.FAILED}

    logging.disable(logging.CRITICAL)
    try:
        run_virtual(scene())
    finally:
        logging.disable(logging.NOTSET)
