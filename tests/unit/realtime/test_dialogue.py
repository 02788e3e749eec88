"""Dialogues with a service on a virtual clock: turns, barge-in, text, tools, words and keys."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from support.clock import run_virtual
from support.realtime_scene import Scene, audible_s, last_words, said, times_of
from support.realtime_service import RATE_HZ, MemoryService, Script, handler_of, use_service

from gradio_webrtc import RealtimeHandler, get_current_context
from gradio_webrtc._realtime import dialogue as module
from gradio_webrtc._realtime.keys import check_key
from gradio_webrtc._realtime.line import ServiceLost
from gradio_webrtc._realtime.transcript import OUTPUTS_EVERY_S
from gradio_webrtc.testing import simulate
from gradio_webrtc.types import AdditionalOutputs, CloseStream


def weather(city: str) -> str:
    """Returns the weather in a city."""
    return f"sunny in {city}"


def fail() -> None:
    """Fails."""
    raise KeyError("fn")


# Turns and barge-in


@pytest.mark.parametrize("release", ["general", "beta"])
def test_a_turn_is_answered_whole(release: str) -> None:
    service = MemoryService(Script(is_beta=release == "beta", answers=((700.0, 2.0),)))
    simulation = simulate(handler_of(service), said(1.0, 1.0, 1.0))
    names = [event.name for event in simulation.events]
    assert names == [
        "started_talking",
        "pause_detected",
        "response_starting",
        "response_finished",
    ]
    (turn,) = simulation.turns
    assert (turn.speech_start_s, turn.speech_end_s) == pytest.approx((1.0, 2.7))
    assert audible_s(simulation) == pytest.approx(2.0, abs=0.03)
    assert last_words(simulation) == ["Answer number 1"]
    assert service.last.events("conversation.item.truncate") == []
    assert simulation.stats.interruptions == 0
    assert service.lines[-1].is_over


def test_speech_over_a_reply_silences_it_and_reports_what_was_played() -> None:
    service = MemoryService(Script(answers=((700.0, 8.0), (1100.0, 1.0)), transcribes=True))
    simulation = simulate(handler_of(service), said(1.0, 1.0, 3.0, 1.0, 1.0))
    (interrupted_s,) = times_of(simulation, "interrupted")
    reply_s = simulation.turns[0].reply_start_s
    assert reply_s is not None
    played_s = audible_s(simulation, 0.0, interrupted_s)
    assert audible_s(simulation, interrupted_s + 0.02, simulation.turns[1].pause_s) == 0.0
    (cut,) = service.last.events("conversation.item.truncate")
    assert cut["audio_end_ms"] == pytest.approx(1000 * played_s, abs=21)
    assert cut["audio_end_ms"] == pytest.approx(1000 * (interrupted_s - reply_s), abs=21)
    (event,) = [each for each in simulation.events if each.name == "interrupted"]
    assert event.data["heard_s"] == cut["audio_end_ms"] / 1000
    # A word came every half a second.
    assert last_words(simulation) == ["Turn 1", "Answer number 1…", "Turn 2", "Answer number"]
    assert simulation.stats.interruptions == 1
    assert service.last.answers == 2


def test_an_announcement_within_a_reply_is_no_part_of_what_was_played_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def announce(_handler: RealtimeHandler, _data: object) -> None:
        session = get_current_context().session
        assert session is not None
        session.say((48_000, np.full((1, 48_000), 20_000, np.int16)))

    monkeypatch.setattr(RealtimeHandler, "on_message", announce)
    service = MemoryService(Script(answers=((700.0, 8.0), (1100.0, 1.0))))
    simulation = simulate(
        handler_of(service), said(1.0, 1.0, 4.0, 1.0, 1.0), messages=[(3.5, "now")]
    )
    (interrupted_s,) = [event.time_s for event in simulation.events if event.name == "interrupted"]
    (cut,) = service.last.events("conversation.item.truncate")
    reply_s = audible_s(simulation, 0.0, interrupted_s) - 1.0
    assert cut["audio_end_ms"] == pytest.approx(1000 * reply_s, abs=41)


def test_speech_behind_a_reply_interrupts_nothing() -> None:
    service = MemoryService(Script(answers=((700.0, 1.0),)))
    simulation = simulate(handler_of(service), said(1.0, 1.0, 3.0, 1.0, 1.0))
    assert times_of(simulation, "interrupted") == []
    assert service.last.events("conversation.item.truncate") == []
    # Each reply ends within a frame.
    assert audible_s(simulation) == pytest.approx(2.0, abs=0.05)


def test_a_session_may_forbid_barge_in() -> None:
    detection = {"type": "server_vad", "interrupt_response": False}
    terms = {"audio": {"input": {"turn_detection": detection}}}
    service = MemoryService(Script(answers=((700.0, 4.0), (700.0, 1.0))))
    simulation = simulate(handler_of(service, session=terms), said(1.0, 1.0, 2.0, 0.3, 0.5))
    assert audible_s(simulation) == pytest.approx(5.0, abs=0.05)
    names = [event.name for event in simulation.events]
    assert "interrupted" not in names
    # The second reply is made while the first is played, and begins behind it.
    assert names[-4:] == [
        "pause_detected",
        "response_finished",
        "response_starting",
        "response_finished",
    ]


def test_a_service_in_real_time_is_sent_what_was_played_as_well() -> None:
    async def scene() -> None:
        async with Scene(MemoryService()) as scene:
            scene.put("response.created", response={"id": "r"})
            scene.put("response.output_audio_transcript.delta", item_id="a", delta="It is")
            scene.put_audio(0.3)
            await scene.settle()
            await scene.items(3)
            # All that came was played, and more would have come.
            scene.put("input_audio_buffer.speech_started", audio_start_ms=0)
            scene.put("response.done", response={"id": "r", "status": "cancelled"})
            await scene.settle()
            (cut,) = scene.service.events("conversation.item.truncate")
            assert (cut["item_id"], cut["audio_end_ms"]) == ("a", 300)
            assert scene.session.data("interrupted")["heard_s"] == 0.3
            (words,) = await scene.items(1)
            assert words.args[0][-1]["content"] == "It is…"
            # A reply that was played to its end is no part of the next.
            scene.put("response.created", response={"id": "s"})
            scene.put_audio(0.1, "b")
            scene.put("response.done", response={"id": "s", "status": "completed"})
            scene.put("response.created", response={"id": "t"})
            await scene.settle()
            await scene.items(1)
            scene.put("input_audio_buffer.speech_started", audio_start_ms=0)
            await scene.settle()
            assert len(scene.service.events("conversation.item.truncate")) == 1

    run_virtual(scene())


def test_audio_that_comes_behind_an_interruption_is_not_played() -> None:
    async def scene() -> None:
        async with Scene(MemoryService(Script(answers=((700.0, 1.0),)))) as scene:
            scene.put("response.created", response={"id": "r"})
            scene.put_audio(0.5)
            await scene.items(2)
            scene.put("input_audio_buffer.speech_started", audio_start_ms=0)
            scene.put_audio(0.5)
            scene.put("response.output_audio_transcript.delta", item_id="a", delta="late")
            scene.put("response.done", response={"id": "r", "status": "cancelled"})
            scene.put("response.created", response={"id": "s"})
            scene.put_audio(0.1, item_id="b")
            await scene.settle()
            (item,) = await scene.items(1)
            assert item[0] == RATE_HZ
            assert item[1].size == 2400
            assert scene.session.names.count("interrupted") == 1
            assert scene.session.interruptions == 1

    run_virtual(scene())


# Text


def test_a_text_is_answered_in_place_of_the_reply_under_way() -> None:
    async def scene() -> None:
        async with Scene(MemoryService(Script(answers=((700.0, 4.0),)))) as scene:
            scene.dialogue.ask("Hello")
            await scene.items(3)
            scene.session.played_s = 0.15
            scene.dialogue.ask("And now?")
            await scene.settle()
            kinds = [each["type"] for each in scene.service.received]
            assert kinds == [
                "session.update",
                "conversation.item.create",
                "response.create",
                "conversation.item.truncate",
                "conversation.item.create",
                "response.create",
            ]
            texts = [
                each["item"]["content"][0]["text"]
                for each in scene.service.events("conversation.item.create")
            ]
            assert texts == ["Hello", "And now?"]
            (cut,) = scene.service.events("conversation.item.truncate")
            assert cut["audio_end_ms"] == 150
            assert scene.service.answers == 2
            assert scene.session.names.count("response_triggered") == 2

    run_virtual(scene())


def test_a_text_while_the_service_still_answers_cancels_that_and_waits_for_its_end() -> None:
    async def scene() -> None:
        async with Scene(MemoryService()) as scene:
            scene.put("response.created", response={"id": "r"})
            await scene.settle()
            scene.dialogue.ask("Hello")
            await scene.settle()
            kinds = [each["type"] for each in scene.service.received]
            assert kinds == ["session.update", "response.cancel", "conversation.item.create"]
            scene.put("response.done", response={"id": "r", "status": "cancelled"})
            await scene.settle()
            assert scene.service.received[-1]["type"] == "response.create"

    run_virtual(scene())


def test_without_a_text_what_was_spoken_is_answered() -> None:
    async def scene() -> None:
        async with Scene(MemoryService(Script(answers=((700.0, 0.2),)))) as scene:
            scene.dialogue.ask("")
            await scene.settle()
            kinds = [each["type"] for each in scene.service.received]
            assert kinds == ["session.update", "input_audio_buffer.commit", "response.create"]

    run_virtual(scene())


def test_a_text_from_before_the_connection_is_answered_once_it_is_there() -> None:
    async def scene() -> None:
        service = MemoryService(Script(answers=((700.0, 0.2),)), [ServiceLost("not yet")])
        async with Scene(service) as scene:
            scene.dialogue.ask("Hello")
            await asyncio.sleep(1)
            kinds = [each["type"] for each in scene.service.received]
            assert kinds == ["session.update", "conversation.item.create", "response.create"]
            ((_audio, words),) = await scene.items(1)
            assert isinstance(words, AdditionalOutputs)
            assert words.args[0][0] == {"role": "user", "content": "Hello"}

    run_virtual(scene())


# Tools


def test_a_tool_is_called_and_the_model_goes_on_with_its_output() -> None:
    calls = (("weather", '{"city": "Rome"}'), ("weather", '{"city": "Oslo"}'))
    service = MemoryService(Script(answers=((700.0, 1.0),), calls=calls))
    simulation = simulate(handler_of(service, tools=[weather]), said(1.0, 1.0, 1.0))
    (update,) = service.last.events("session.update")
    assert [each["name"] for each in update["session"]["tools"]] == ["weather"]
    outputs = [each["item"] for each in service.last.events("conversation.item.create")]
    assert [each["type"] for each in outputs] == ["function_call_output"] * 2
    assert {each["output"] for each in outputs} == {"sunny in Rome", "sunny in Oslo"}
    assert len({each["call_id"] for each in outputs}) == 2
    assert len(service.last.events("response.create")) == 1
    # One reply to the user, however many responses it took.
    assert len(times_of(simulation, "response_starting")) == 1
    assert len(times_of(simulation, "response_finished")) == 1
    assert audible_s(simulation) == pytest.approx(1.0, abs=0.03)


def test_a_tool_that_fails_is_reported_and_answered() -> None:
    service = MemoryService(Script(answers=((700.0, 1.0),), calls=(("fail", "{}"),)))
    simulation = simulate(handler_of(service, tools=[fail]), said(1.0, 1.0, 1.0))
    (item,) = service.last.events("conversation.item.create")
    assert item["item"]["output"] == "Error: the function failed (KeyError)"
    (error,) = [event for event in simulation.events if event.name == "error"]
    assert isinstance(error.data["error"], KeyError)
    shown = [message["data"] for _, message in simulation.messages if message["type"] == "error"]
    assert len(shown) == 1
    assert "fn" not in shown[0]
    assert audible_s(simulation) == pytest.approx(1.0, abs=0.03)


def test_tools_of_the_session_are_kept_beside_the_functions() -> None:
    service = MemoryService()
    own = {"type": "mcp", "server_label": "a"}
    simulate(handler_of(service, tools=[weather], session={"tools": [own]}), said(0.5))
    tools = service.last.events("session.update")[0]["session"]["tools"]
    assert tools[0] == own
    assert tools[1]["name"] == "weather"


def test_the_output_of_a_tool_whose_reply_was_interrupted_asks_for_no_other() -> None:
    async def scene() -> None:
        done = asyncio.Event()

        async def slow() -> str:
            """Takes its time."""
            await done.wait()
            return "at last"

        async with Scene(MemoryService(), tools=[slow]) as scene:
            scene.put("response.created", response={"id": "r"})
            call = {"type": "function_call", "call_id": "c", "name": "slow", "arguments": "{}"}
            scene.put("response.output_item.done", item=call)
            scene.put("response.done", response={"id": "r", "status": "completed"})
            scene.put("input_audio_buffer.speech_started")
            await scene.settle()
            done.set()
            await scene.settle()
            (output,) = scene.service.events("conversation.item.create")
            assert output["item"]["output"] == "at last"
            assert scene.service.events("response.create") == []

    run_virtual(scene())


# Words


def test_words_appear_as_they_are_spoken_and_not_too_often() -> None:
    service = MemoryService(Script(answers=((700.0, 3.0),), transcribes=True))
    simulation = simulate(handler_of(service), said(1.0, 1.0, 1.0))
    pause_s = simulation.turns[0].pause_s
    shown = [(each.time_s - pause_s, each.args[0]) for each in simulation.outputs]
    assert shown[0][1] == [{"role": "user", "content": "Turn 1"}]
    assert [messages[-1]["content"] for _, messages in shown[1:]] == [
        "Answer number",
        "Answer number 1",
    ][-len(shown[1:]) :]
    times = [time_s for time_s, _ in shown]
    assert all(later - earlier >= OUTPUTS_EVERY_S - 0.001 for earlier, later in pairwise(times))


def test_words_that_come_whole_are_shown_behind_their_audio() -> None:
    service = MemoryService(Script(is_beta=True, answers=((700.0, 3.0),), words="whole"))
    simulation = simulate(handler_of(service), said(1.0, 1.0, 1.0))
    assert last_words(simulation) == ["Answer number 1"]
    assert simulation.outputs[0].time_s > simulation.turns[0].pause_s + 1.5


def test_of_a_reply_that_was_not_heard_there_are_no_words() -> None:
    service = MemoryService(Script(answers=((700.0, 8.0), (700.0, 0.1)), words="whole"))
    simulation = simulate(handler_of(service), said(1.0, 1.0, 1.0, 1.0, 1.0))
    assert last_words(simulation) == ["Answer number 2"]


# The key


@pytest.mark.parametrize("kind", ["text", "function", "coroutine", "none", "header"])
def test_the_key_may_be_a_text_or_come_from_a_function(kind: str) -> None:
    async def key_async() -> str:
        return "key"

    keys: dict[str, Any] = {"text": "key", "function": lambda: "key", "coroutine": key_async}
    service = MemoryService()
    handler = handler_of(service, headers={"api-key": "other"} if kind == "header" else None)
    use_service(handler, service, api_key=keys.get(kind))
    simulate(handler, said(0.1))
    (request,) = service.requests
    assert request[0] == "ws://service.example/v1/realtime"
    expected = {"none": {}, "header": {"api-key": "other"}}
    assert request[1] == expected.get(kind, {"Authorization": "Bearer key"})


def test_a_function_for_the_key_is_called_for_each_connection_and_may_fail(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[int] = []

    def key() -> str:
        calls.append(1)
        if len(calls) == 2:
            raise KeyError("a secret")
        return f"key {len(calls)}"

    async def scene() -> None:
        service = MemoryService()
        async with Scene(service, api_key=key) as scene:
            service.lines[-1].fail()
            await asyncio.sleep(3)
            keys = [headers["Authorization"] for _, headers in service.requests]
            assert keys == ["Bearer key 1", "Bearer key 3"]
            assert scene.session.errors == []

    run_virtual(scene())
    assert "KeyError in the function for the key" in caplog.text
    assert "secret" not in caplog.text


async def _never() -> str:
    await asyncio.Event().wait()
    return "key"


def test_a_function_for_the_key_that_never_returns_is_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene() -> None:
        async with Scene(MemoryService(), api_key=_never) as scene:
            items = await scene.items(1)
            assert [str(each) for each in scene.session.errors] == [module.GONE]
            assert isinstance(items[0], CloseStream)

    run_virtual(scene())
    assert "TimeoutError in the function for the key" in caplog.text


@pytest.mark.parametrize("key", ["", "sec\nret", " secret", "secrät", 3, None])
def test_a_key_that_cannot_stand_in_a_header_is_refused_and_not_quoted(key: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="the key of a service must be") as raised:
        check_key(key)
    assert "sec" not in str(raised.value)
