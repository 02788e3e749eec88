"""What clients of `/v1/realtime` send, whoever they are."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradio_webrtc._realtime.protocol import encode_audio
from gradio_webrtc._server import realtime_client as module
from gradio_webrtc._server.realtime_client import RealtimeReader
from gradio_webrtc._server.realtime_dialect import RealtimeDialect
from gradio_webrtc._server.realtime_terms import SessionTerms
from gradio_webrtc._transport import OrderedTransport, PacedFrame
from gradio_webrtc._transport import ordered as transport_module
from gradio_webrtc.types import WebRTCData

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

    from gradio_webrtc._transport import AudioBlock

RATE_HZ = 24_000


def seconds(length_s: float, value: int = 1000) -> NDArray[np.int16]:
    return np.full((1, round(length_s * RATE_HZ)), value, np.int16)


class Handler:
    """As much of a handler as a reader uses."""

    def __init__(self) -> None:
        self.latest_args: list[Any] = ["__webrtc_value__", "an input"]

    def trigger_response(self) -> None: ...


class Client:
    """A client and its session, without either of them."""

    def __init__(self, *, takes_text: bool = True, **terms: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self.blocks: list[AudioBlock] = []
        self.acts: list[Any] = []
        self.webrtc_id = "id"
        self.handler: Any = Handler()
        self.context = self
        self.dialect = RealtimeDialect(SessionTerms("sess_1", "model", **terms))
        self.transport = OrderedTransport(self.dialect)
        self.dialect.attach(self.transport, lambda: 0.0)
        self.takes_text = takes_text
        self.reader = self.make_reader()
        self._carrying: asyncio.Task[None] | None = None

    def make_reader(self) -> RealtimeReader:
        session: Any = self
        return RealtimeReader(session, self.transport, self.dialect, takes_text=self.takes_text)

    async def start(self) -> None:
        async def write(text: Any) -> None:
            self.events.append(json.loads(text))

        self.transport.attach(write)
        self._carrying = asyncio.get_running_loop().create_task(
            self.transport.carry_audio(self._take)
        )
        await asyncio.sleep(0)

    async def stop(self) -> None:
        await self.transport.close()
        if self._carrying is not None:
            await asyncio.gather(self._carrying, return_exceptions=True)

    def _take(self, block: AudioBlock) -> float:
        self.blocks.append(block)
        return 0.0

    # The session

    def submit(self, args: Any) -> None:
        self.acts.append(args)

    def set_inputs(self, args: Any) -> None:
        self.acts.append(["inputs", *args])

    def trigger(self) -> None:
        self.acts.append("trigger")

    def stop_reply(self) -> None:
        self.acts.append("stop")

    def end(self, reason: str, code: str) -> None:
        self.acts.append((reason, code))

    def event(self, name: str, **data: Any) -> None:
        self.acts.append((name, data))

    # The client

    async def send(self, kind: str, **values: Any) -> None:
        await self.send_raw(json.dumps({"type": kind, **values}))

    async def send_raw(self, wire: str | bytes) -> None:
        self.reader.read(wire)
        for _ in range(4):
            await asyncio.sleep(0)

    async def append(self, samples: NDArray[np.int16]) -> None:
        await self.send("input_audio_buffer.append", audio=encode_audio(samples))

    async def say(self, text: str, role: str = "user", kind: str = "input_text") -> None:
        content = [{"type": kind, "text": text}]
        item = {"type": "message", "role": role, "content": content}
        await self.send("conversation.item.create", item=item)

    def kinds(self) -> list[str]:
        return [each["type"] for each in self.events]

    def errors(self) -> list[str]:
        return [each["error"]["code"] for each in self.events if each["type"] == "error"]

    def received_s(self) -> float:
        return sum(block.samples.size / block.rate_hz for block in self.blocks)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made = Client()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def waiting() -> AsyncIterator[Client]:
    """A client that ends turns itself."""
    made = Client(detects_turns=False)
    await made.start()
    yield made
    await made.stop()


# Audio


async def test_audio_is_passed_on_in_short_blocks(client: Client) -> None:
    await client.append(seconds(0.25))
    assert [block.samples.size for block in client.blocks] == [2400, 2400, 1200]
    assert {(block.rate_hz, block.channels) for block in client.blocks} == {(RATE_HZ, 1)}
    assert client.events == []
    assert client.transport.stats().bytes_received == 12_000


@pytest.mark.parametrize("audio", [None, 3, "AAA", "äöü", "AAAAA===", "AAAA"])
async def test_what_is_no_audio_is_refused(client: Client, audio: Any) -> None:
    await client.send("input_audio_buffer.append", audio=audio, event_id="mine")
    (event,) = client.events
    assert event["error"]["param"] == "audio"
    assert event["error"]["event_id"] == "mine"
    assert client.blocks == []


async def test_audio_that_comes_too_fast_is_discarded_and_reported_once(client: Client) -> None:
    for _ in range(15):
        await client.append(seconds(1.0))
    assert client.received_s() <= transport_module.AUDIO_AT_ONCE_S + 0.2
    assert client.errors() == ["rate_limit_exceeded"]
    assert client.transport.stats().packets_discarded > 40


async def test_a_commit_needs_audio_and_a_turn_that_was_found_needs_none(client: Client) -> None:
    await client.send("input_audio_buffer.commit")
    await client.append(seconds(0.05))
    await client.send("input_audio_buffer.commit")
    assert client.errors() == ["input_audio_buffer_commit_empty"] * 2
    await client.append(seconds(0.05))
    await client.send("input_audio_buffer.commit")
    assert client.kinds()[2:] == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    await client.append(seconds(0.5))
    client.reader.note_turn()
    await client.send("input_audio_buffer.commit")
    assert len(client.errors()) == 3


async def test_a_turn_is_cleared_only_where_nobody_detects_it(client: Client) -> None:
    await client.send("input_audio_buffer.clear")
    assert client.kinds() == ["input_audio_buffer.cleared"]
    client.dialect.note_event(0.0, "started_talking", {"speech_start_s": 0.1})
    await client.send("input_audio_buffer.clear")
    assert client.errors() == ["unsupported_event"]


async def test_a_client_that_ends_turns_has_them_answered_whole(waiting: Client) -> None:
    await waiting.append(seconds(0.5, 1))
    await waiting.send("input_audio_buffer.commit")
    await waiting.append(seconds(0.3, 2))
    await waiting.send("input_audio_buffer.clear")
    await waiting.append(seconds(0.4, 3))
    await waiting.send("input_audio_buffer.commit")
    assert waiting.blocks == [], "nothing is detected in it before"
    await waiting.send("response.create")
    assert waiting.received_s() == pytest.approx(0.9)
    assert {int(block.samples[0, 0]) for block in waiting.blocks} == {1, 3}
    assert waiting.acts == ["trigger"]
    await waiting.send("response.create")
    assert waiting.received_s() == pytest.approx(0.9)


async def test_a_turn_that_a_client_ends_has_a_longest_length(
    waiting: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_HELD_S", 1.0)
    for number in range(3):
        await waiting.append(seconds(0.6, number))
    await waiting.send("input_audio_buffer.commit")
    await waiting.append(seconds(0.6, 9))
    await waiting.send("input_audio_buffer.commit")
    await waiting.send("response.create")
    assert waiting.received_s() == pytest.approx(1.0)
    assert int(waiting.blocks[-1].samples[0, 0]) == 9


async def test_a_sample_at_a_time_is_kept_in_few_blocks(
    waiting: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVENTS_AT_ONCE", 5_000)
    waiting.reader = waiting.make_reader()
    await waiting.append(seconds(0.25))
    sample = json.dumps({"type": "input_audio_buffer.append", "audio": encode_audio(ONE)})
    for _ in range(4_900):
        waiting.reader.read(sample)
    await waiting.send("input_audio_buffer.commit")
    await waiting.send("response.create")
    assert sum(block.samples.size for block in waiting.blocks) == 6_000 + 4_900
    assert len(waiting.blocks) <= 6


ONE = np.ones((1, 1), np.int16)


async def test_what_is_held_is_gone_with_the_clients_own_turns(waiting: Client) -> None:
    await waiting.append(seconds(0.5))
    await waiting.send("input_audio_buffer.commit")
    await waiting.send("session.update", session={"turn_detection": {"type": "server_vad"}})
    await waiting.send("response.create")
    assert waiting.blocks == []
    await waiting.append(seconds(0.1))
    assert waiting.received_s() == pytest.approx(0.1)


# The session


async def test_terms_change_as_a_whole_and_are_sent_back(client: Client) -> None:
    narrow = {"format": {"type": "audio/pcm", "rate": 16_000}}
    await client.send("session.update", session={"type": "realtime", "audio": {"input": narrow}})
    assert client.events[0]["session"]["audio"]["input"]["format"]["rate"] == 16_000
    await client.append(seconds(0.1))
    assert client.blocks[0].rate_hz == 16_000
    await client.send("session.update", session={"audio": {"input": {"format": {"type": "x"}}}})
    await client.send("session.update", session={"input_audio_format": "g711_ulaw"})
    await client.send("session.update", session=3)
    await client.send("session.update")
    assert client.kinds() == ["session.updated", *["error"] * 4]
    assert client.events[-1]["error"]["message"] == "expected an object, got NoneType"
    assert client.dialect.terms.inbound.rate_hz == 16_000


# Items


async def test_a_text_is_a_turn_once_an_answer_is_requested(client: Client) -> None:
    await client.say("Hello")
    await client.say("there")
    assert client.kinds() == ["conversation.item.added", "conversation.item.done"] * 2
    assert client.events[0]["item"]["content"] == [{"type": "input_text", "text": "Hello"}]
    assert client.acts == []
    await client.send("response.create")
    said, then = client.acts
    assert said == [WebRTCData("id", "Hello\nthere"), "an input"]
    # The text is for one turn.
    assert then == ["inputs", WebRTCData("id"), "an input"]
    client.dialect.note_event(0.0, "interrupted", {"turn": 1})
    await client.send("response.create")
    assert client.acts[2:] == ["trigger"]


async def test_a_conversation_from_before_is_taken_and_not_answered(client: Client) -> None:
    await client.say("Hello")
    await client.say("Good day", "assistant", "output_text")
    assert client.events[2]["item"]["content"][0]["type"] == "output_text"
    await client.send("response.create")
    assert client.acts == ["trigger"]


async def test_an_item_keeps_the_id_that_its_client_has_given(client: Client) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]}
    await client.send("conversation.item.create", item={**item, "id": "mine"})
    assert client.events[0]["item"]["id"] == "mine"


@pytest.mark.parametrize(
    "item",
    [
        None,
        {},
        {"type": "function_call_output", "call_id": "c", "output": "x"},
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "a"}]},
        {"type": "message", "role": "user", "content": []},
        {"type": "message", "role": "user", "content": "text"},
        {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": ""}]},
        {"type": "message", "role": ["user"], "content": [{"type": "input_text", "text": "a"}]},
    ],
)
async def test_items_of_other_kinds_are_refused(client: Client, item: Any) -> None:
    await client.send("conversation.item.create", item=item)
    assert client.errors() == ["unsupported_value"]


async def test_a_handler_of_audio_alone_gets_no_text() -> None:
    client = Client(takes_text=False)
    await client.start()
    await client.say("Hello")
    assert client.errors() == ["unsupported_value"]
    await client.stop()


async def test_text_is_bounded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TEXT_CHARS", 8)
    await client.say("Hello")
    await client.say("Hello")
    assert client.errors() == ["invalid_value"]
    # An empty one takes its place as well.
    for _ in range(5):
        await client.say("")
    assert client.errors() == ["invalid_value"] * 4
    await client.say("before", role="assistant", kind="output_text")
    await client.say("Hello")
    assert client.errors() == ["invalid_value"] * 4


async def test_a_reply_is_truncated_within_its_audio(client: Client) -> None:
    frame = PacedFrame(0, np.zeros((1, 960), np.int16), is_audio=True)
    for _ in range(5):
        assert client.dialect.write_audio(frame) is not None
    await asyncio.sleep(0.01)
    (added,) = [each for each in client.events if each["type"] == "response.output_item.added"]
    item_id = added["item"]["id"]
    await client.send("conversation.item.truncate", item_id=item_id, audio_end_ms=60)
    assert client.events[-1]["type"] == "conversation.item.truncated"
    assert client.events[-1]["audio_end_ms"] == 60
    assert client.acts == [("reply_truncated", {"heard_s": 0.06})]
    for end_ms in (-1, 101, 1.5, None, True, "60"):
        await client.send("conversation.item.truncate", item_id=item_id, audio_end_ms=end_ms)
    await client.send("conversation.item.truncate", item_id="unknown", audio_end_ms=0)
    assert client.errors() == ["invalid_value"] * 6 + ["item_truncate_invalid_item_id"]


# Responses


async def test_one_response_is_under_way_at_a_time_and_can_be_cancelled(client: Client) -> None:
    await client.send("response.cancel")
    assert client.errors() == ["response_cancel_not_active"]
    client.dialect.note_event(0.0, "response_starting", {"turn": 1})
    await client.send("response.create")
    assert client.errors()[1:] == ["conversation_already_has_active_response"]
    await client.send("response.cancel")
    assert client.acts == ["stop"]
    client.dialect.note_event(0.0, "interrupted", {"turn": 1})
    await asyncio.sleep(0)
    details = client.events[-1]["response"]["status_details"]
    assert details == {"type": "cancelled", "reason": "client_cancelled"}


async def test_a_response_is_there_once_it_is_requested(client: Client) -> None:
    await client.send("response.create")
    assert client.kinds()[0] == "response.created"
    await client.send("response.create")
    assert client.errors() == ["conversation_already_has_active_response"]
    assert client.acts == ["trigger"]
    # A handler that reports no replies, and has not begun to answer.
    await client.send("response.cancel")
    assert client.acts == ["trigger", "stop"]
    done = client.events[-1]["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    await client.send("response.create")
    assert client.acts == ["trigger", "stop", "trigger"]


@pytest.mark.parametrize("response", [{"conversation": "none"}, {"input": []}])
async def test_responses_outside_of_the_conversation_are_refused(
    client: Client, response: dict[str, Any]
) -> None:
    await client.send("response.create", response=response)
    assert client.errors() == ["unsupported_parameter"]
    assert client.acts == []


async def test_a_handler_that_cannot_be_asked_is_not(client: Client) -> None:
    client.handler = object()
    await client.send("response.create")
    assert client.errors() == ["unsupported_event"]


# Hostile clients


@pytest.mark.parametrize(
    "wire", ["", "{", "[]", "3", b"\xff\xfe", "[" * 100_000, '{"type": 3}', b"\x00" * 100]
)
async def test_what_is_no_event_is_refused(client: Client, wire: str | bytes) -> None:
    await client.send_raw(wire)
    assert client.errors() == ["invalid_event"]


async def test_unknown_events_are_refused_by_name(client: Client) -> None:
    await client.send("output_audio_buffer.clear", event_id="e" * 1000)
    error = client.events[0]["error"]
    assert error["code"] == "unsupported_event"
    assert "'output_audio_buffer.clear'" in error["message"]
    assert len(error["event_id"]) <= 128


async def test_any_event_shows_that_a_client_is_there(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    signs: list[int] = []
    monkeypatch.setattr(client.transport, "note_alive", lambda: signs.append(1))
    await client.say("Hello")
    assert signs == [1]


async def test_a_flood_of_events_ends_the_session(client: Client) -> None:
    silence = json.dumps({"type": "input_audio_buffer.append", "audio": ""})
    for _ in range(2 * module.EVENTS_AT_ONCE):
        client.reader.read(silence)
    assert client.acts == [TOO_MUCH]


async def test_a_flood_of_bytes_ends_the_session(client: Client) -> None:
    for _ in range(module.BYTES_AT_ONCE // 1_000_000 + 1):
        client.reader.read(" " * 1_000_000)
    assert client.acts == [TOO_MUCH]
    # Nothing is read any more: its end may take a while.
    client.reader.read('{"type": "input_audio_buffer.clear"}')
    await asyncio.sleep(0)
    assert "input_audio_buffer.cleared" not in client.kinds()


TOO_MUCH = ("The client sent too much.", "rate_limit_exceeded")


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_nothing_that_a_client_sends_is_an_error_of_ours(data: st.DataObject) -> None:
    values: st.SearchStrategy[Any] = st.sampled_from(
        [
            *("", "x", "AAAA", "user", "message", None, 0, -1, 2**70, 1.5, True, [], {}),
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": 3}]},
            {"type": "message", "role": "assistant", "content": [{"type": "text"}]},
            {"audio": {"input": {"format": {"type": "audio/pcma"}, "turn_detection": None}}},
            {"conversation": "none"},
            {"modalities": ["audio"], "output_audio_format": []},
            encode_audio(seconds(0.2)),
        ]
    )
    names = ["session", "audio", "item", "item_id", "audio_end_ms", "response", "event_id"]
    kinds = st.sampled_from([*RealtimeReader._ACTIONS, "unknown"])  # noqa: SLF001 - all of them
    events = data.draw(
        st.lists(st.tuples(kinds, st.dictionaries(st.sampled_from(names), values)), max_size=25)
    )

    async def scene() -> None:
        client = Client()
        await client.start()
        for kind, fields in events:
            await client.send(kind, **fields)
        assert all(each["type"] for each in client.events)
        await client.stop()

    asyncio.run(scene())
