"""`RealtimeHandler` itself: its arguments, its copies and its doors."""

from __future__ import annotations

import asyncio
import importlib.util
from typing import Any

import numpy as np
import pytest
from support.fake_session import FakeSession
from support.realtime_service import RATE_HZ, MemoryService, Script, handler_of, use_service

from gradio_webrtc import AdditionalOutputs, RealtimeHandler, WebRTCData
from gradio_webrtc.testing import simulate

URL = "wss://service.example/v1/realtime"


def weather(city: str) -> str:
    """Returns the weather."""
    return city


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - threads of the handler have no event
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"url": "https://service.example"}, ValueError, "must begin with wss://"),
        ({"url": 3}, TypeError, "url must be text"),
        ({"api_key": 3}, TypeError, "the key of a service must be text"),
        ({"api_key": "a\nb"}, ValueError, "printable ASCII"),
        ({"session": []}, TypeError, "session must be a dict, got list"),
        ({"session": {"a": {1, 2}}}, TypeError, "session must be a dict that JSON can carry"),
        ({"session": "text"}, TypeError, "session must be a dict, got str"),
        ({"headers": 3}, TypeError, "headers must be a dict, got int"),
        ({"headers": {"a": 3}}, TypeError, "headers must have text"),
        ({"headers": {"a": "b\r\nc: d"}}, ValueError, "the header 'a' must be printable"),
        ({"tools": [3]}, TypeError, "a tool is a function"),
        ({"tools": [weather, weather]}, ValueError, "two tools have the name weather"),
        ({"input_sample_rate": 3}, ValueError, "input_sample_rate"),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_written(
    arguments: dict[str, Any], error: Any, text: str
) -> None:
    with pytest.raises(error, match=text):
        RealtimeHandler(**{"url": URL, **arguments})


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ImportError, match=r'pip install "gradio_webrtc\[websocket\]"'):
        RealtimeHandler(URL)


def test_rates_are_those_of_the_session_or_those_of_the_protocol() -> None:
    handler = RealtimeHandler(URL)
    assert (handler.input_sample_rate, handler.output_sample_rate) == (24_000, 24_000)
    assert handler.input_frame_size == 480
    narrow = {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}}
    handler = RealtimeHandler(URL, session={"audio": narrow})
    assert (handler.input_sample_rate, handler.output_sample_rate) == (16_000, 24_000)
    assert RealtimeHandler(URL, input_sample_rate=8_000).input_frame_size == 160
    phone = {each: {"format": {"type": "audio/pcmu"}} for each in ("input", "output")}
    handler = RealtimeHandler(URL, session={"audio": phone})
    assert (handler.input_sample_rate, handler.output_sample_rate) == (8_000, 8_000)


def test_what_was_given_may_be_changed_afterwards() -> None:
    session: dict[str, Any] = {"instructions": "Be brief."}
    handler = handler_of(service := MemoryService(), session=session)
    session["instructions"] = "Talk."
    simulate(handler, (RATE_HZ, np.zeros(480, np.int16)))
    (update,) = service.last.events("session.update")
    assert update["session"]["instructions"] == "Be brief."


def test_no_key_is_in_its_representation() -> None:
    handler = RealtimeHandler(URL, "secret", headers={"api-key": "secret"})
    assert "secret" not in repr(handler) + repr(handler._rtc_options)  # noqa: SLF001 - the keeper


async def test_outside_of_a_session_there_is_nothing_to_stop_or_to_send() -> None:
    handler = RealtimeHandler(URL)
    handler.stop_reply()
    handler.set_args([])
    with pytest.raises(RuntimeError, match="RealtimeHandler is in no session"):
        handler.send_event({"type": "anything"})
    with pytest.raises(RuntimeError, match="in no session"):
        await handler.emit()


async def test_text_events_and_the_end_of_a_reply_may_come_from_any_thread() -> None:
    service = MemoryService(Script(answers=((700.0, 30.0),)))
    handler = handler_of(service).copy()
    session = FakeSession()
    handler.bind(session)
    await handler.start_up()
    await until(lambda: service.lines and service.last.received)
    event = {"type": "output_audio_buffer.clear"}
    with pytest.raises(TypeError):
        handler.send_event({"type": b"bytes"})
    await asyncio.to_thread(handler.send_event, event)
    await asyncio.to_thread(handler.set_args, [WebRTCData("id", textbox="Hello")])
    # The page sends its values again, without the text, before it asks for the answer.
    await asyncio.to_thread(handler.set_args, [WebRTCData("id"), "other"])
    await asyncio.to_thread(handler.trigger_response)
    await until(lambda: service.last.answers)
    await handler.wait_until_ready()
    item = None
    while item is None or isinstance(item, AdditionalOutputs):
        item = await handler.emit()
    await asyncio.to_thread(handler.stop_reply)
    await until(lambda: service.last.events("conversation.item.truncate"))
    kinds = [each["type"] for each in service.last.received]
    assert kinds[:4] == [
        "session.update",
        event["type"],
        "conversation.item.create",
        "response.create",
    ]
    assert session.interruptions == 1
    assert handler.latest_args[1:] == ["other"]
    await handler.release()
    assert service.lines[-1].is_over


class Watching(RealtimeHandler):
    """Has its own view of the events."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.kinds: list[str] = []

    async def on_event(self, event: dict[str, Any]) -> None:
        self.kinds.append(event["type"])
        if event["type"] == "response.created":
            raise KeyError("of the user's")

    async def start_up(self) -> None:
        await super().start_up()
        await super().start_up()


def test_a_subclass_gets_every_event_and_its_errors_end_nothing() -> None:
    service = MemoryService(Script(is_beta=True, answers=((700.0, 0.5),)))
    handler = handler_of(service, Watching)
    loud = (8_000 * np.sin(np.arange(RATE_HZ) * 0.1)).astype(np.int16)
    simulation = simulate(handler, (RATE_HZ, np.append(loud, np.zeros(RATE_HZ, np.int16))))
    assert len(service.lines) == 1, "and start_up may be called twice"
    assert isinstance(simulation.handler, Watching)
    kinds = simulation.handler.kinds
    assert {"session.updated", "response.created", "response.output_audio.delta"} <= set(kinds)
    errors = [event.data["error"] for event in simulation.events if event.name == "error"]
    assert [type(error) for error in errors] == [KeyError]
    assert simulation.outputs[-1].args[0][-1]["content"] == "Answer"


class Sync(RealtimeHandler):
    """Has a sync view of the events, which runs in a thread."""

    def on_event(self, event: dict[str, Any]) -> None:  # type: ignore[override]  # as users write
        self.last = event["type"]


def test_a_sync_view_of_the_events_will_do() -> None:
    service = MemoryService()
    simulation = simulate(handler_of(service, Sync), (RATE_HZ, np.zeros(480, np.int16)))
    assert getattr(simulation.handler, "last", None) == "session.updated"
    assert [event for event in simulation.events if event.name == "error"] == []


def test_copies_share_nothing_of_a_session() -> None:
    template = handler_of(MemoryService(), tools=[weather])
    copies = [template.copy() for _ in range(2)]
    services = [MemoryService(Script(answers=((700.0, 0.2),))) for _ in copies]
    for each, service in zip(copies, services, strict=True):
        use_service(each, service)
        simulate(each, (RATE_HZ, np.zeros(480, np.int16)))
    assert [len(service.lines) for service in services] == [1, 1]
    assert copies[0].url == copies[1].url == "ws://service.example/v1/realtime"
