"""The base of every handler: construction, inputs from the page, messages, life in a session."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.fake_session import FakeSession

from gradio_webrtc._handlers import (
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    StreamHandler,
    stream_handler,
)
from gradio_webrtc._workers.workers import Worker
from gradio_webrtc.errors import AudioError, ConnectionLost
from gradio_webrtc.testing.clock import VirtualClockLoop

if TYPE_CHECKING:
    from collections.abc import Iterator


class Plain(StreamHandler):
    def receive(self, frame: object) -> None: ...

    def emit(self) -> None: ...

    def copy(self) -> Plain:
        return Plain()


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker("handler")
    yield worker
    worker.close()


async def in_a_session(handler: StreamHandler | None = None) -> tuple[StreamHandler, FakeSession]:
    handler, session = handler or Plain(), FakeSession()
    handler.bind(session)
    return handler, session


def test_the_defaults_are_those_of_gradio_webrtc_and_fastrtc() -> None:
    handler = Plain()
    assert handler.expected_layout == "mono"
    assert handler.output_sample_rate == 24000
    assert handler.output_frame_size == 480
    assert handler.input_sample_rate == 48000
    assert handler.fps == 30
    assert handler.input_frame_size == 960
    assert handler.latest_args == []
    assert not handler.args_set.is_set()
    assert not handler.phone_mode
    assert not handler.receive_is_light


def test_the_positional_order_is_that_of_gradio_webrtc_and_fastrtc() -> None:
    class Full(Plain):
        def __init__(self) -> None:
            super().__init__("stereo", 16000, 480, 8000, 60)

    handler = Full()
    assert handler.expected_layout == "stereo"
    assert (handler.output_sample_rate, handler.output_frame_size) == (16000, 480)
    assert (handler.input_sample_rate, handler.fps) == (8000, 60)


@pytest.mark.parametrize(
    "arguments",
    [
        {"input_sample_rate": 0},
        {"input_sample_rate": "x"},
        {"output_sample_rate": 200_000},
        {"output_sample_rate": 24000.0},
        {"expected_layout": "surround"},
    ],
)
def test_what_no_audio_has_is_refused_at_construction(arguments: dict[str, Any]) -> None:
    with pytest.raises(AudioError, match=next(iter(arguments))):
        StreamHandler.__init__(Plain(), **arguments)


def test_rates_of_numpys_making_are_taken() -> None:
    handler = Plain()
    StreamHandler.__init__(handler, input_sample_rate=np.int64(16000))  # type: ignore[arg-type]
    assert handler.input_sample_rate == 16000


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        (StreamHandler, {"receive", "emit", "copy"}),
        (AsyncStreamHandler, {"receive", "emit", "copy"}),
        (AudioVideoStreamHandler, {"video_receive", "video_emit", "copy"}),
        (AsyncAudioVideoStreamHandler, {"video_receive", "video_emit", "copy"}),
    ],
)
def test_what_a_subclass_must_write(kind: Any, missing: set[str]) -> None:
    assert inspect.isabstract(kind)
    assert kind.__abstractmethods__ == missing


async def test_an_audio_video_handler_without_audio_sends_and_receives_none() -> None:
    class Seeing(AudioVideoStreamHandler):
        def video_receive(self, frame: object) -> None: ...

        def video_emit(self) -> None: ...

        def copy(self) -> Seeing:
            return Seeing()

    class SeeingAsync(AsyncAudioVideoStreamHandler):
        async def video_receive(self, frame: object) -> None: ...

        async def video_emit(self) -> None: ...

        def copy(self) -> SeeingAsync:
            return SeeingAsync()

    frame = (48000, np.zeros((1, 960), np.int16))
    seeing, seeing_async = Seeing(), SeeingAsync()
    assert isinstance(seeing, StreamHandler)
    assert isinstance(seeing_async, AsyncStreamHandler)
    seeing.receive(frame)
    assert seeing.emit() is None
    await seeing_async.receive(frame)
    assert await seeing_async.emit() is None


async def test_a_base_handler_is_always_ready_and_needs_no_start_up() -> None:
    handler, _ = await in_a_session()
    await handler.wait_until_ready()
    handler.start_up()
    await handler.start_up()
    handler.shutdown()
    await handler.shutdown()


# Inputs


async def test_inputs_stand_behind_the_placeholder() -> None:
    handler, _ = await in_a_session()
    handler.set_args([1, "two"])
    assert handler.latest_args == ["__webrtc_value__", 1, "two"]
    assert handler.args_set.is_set()


async def test_no_inputs_are_inputs_too() -> None:
    handler, _ = await in_a_session()
    handler.set_args([])
    assert handler.latest_args == ["__webrtc_value__"]
    assert handler.args_set.is_set()


async def test_inputs_come_as_a_list() -> None:
    handler, _ = await in_a_session()
    with pytest.raises(TypeError, match="args must be a list"):
        handler.set_args("ab")  # type: ignore[arg-type]


async def test_waiting_for_inputs_asks_the_page_and_returns_with_its_answer() -> None:
    handler, session = await in_a_session()
    session.answer_requests(handler, "answer")
    await handler.wait_for_args()
    assert session.requests == 1
    assert handler.latest_args[1:] == ["answer"]


async def test_waiting_again_waits_for_the_new_answer() -> None:
    handler, session = await in_a_session()
    handler.set_args(["old"])
    session.answer_requests(handler, "new")
    await handler.wait_for_args()
    assert handler.latest_args[1:] == ["new"]
    assert handler.args_set.is_set()


async def test_two_waiters_are_served_by_one_answer() -> None:
    handler, session = await in_a_session()
    waiters = asyncio.gather(handler.wait_for_args(), handler.wait_for_args())
    await session.until(lambda: session.requests == 2)
    handler.set_args(["answer"])
    await waiters


async def test_a_sync_handler_waits_in_its_own_thread(worker: Worker) -> None:
    handler, session = await in_a_session()
    session.answer_requests(handler, 5)
    await worker.run(handler.wait_for_args_sync)
    assert handler.latest_args == ["__webrtc_value__", 5]


async def test_the_end_of_the_session_ends_the_wait(worker: Worker) -> None:
    handler, session = await in_a_session()
    waiting = asyncio.get_running_loop().create_task(worker.run(handler.wait_for_args_sync))
    await session.until(lambda: session.requests == 1)
    await handler.release()
    with pytest.raises(ConnectionLost, match="the session ended"):
        await waiting


async def test_a_wait_that_begins_behind_the_session_ends_at_once(worker: Worker) -> None:
    handler, _ = await in_a_session()
    await handler.release()
    with pytest.raises(ConnectionLost, match="the session ended"):
        await worker.run(handler.wait_for_args_sync)


def test_a_wait_that_begins_behind_the_event_loop_ends_at_once() -> None:
    handler, _ = asyncio.run(in_a_session())
    errors: list[str] = []

    def wait() -> None:
        try:
            handler.wait_for_args_sync()
        except ConnectionLost as error:
            errors.append(str(error))

    late = threading.Thread(target=wait)
    late.start()
    late.join()
    assert errors == ["the session ended"]


async def test_waiting_synchronously_on_the_loop_is_refused() -> None:
    handler, _ = await in_a_session()
    with pytest.raises(RuntimeError, match="event loop"):
        handler.wait_for_args_sync()


async def test_inputs_may_be_set_from_any_thread(worker: Worker) -> None:
    handler, _ = await in_a_session()
    waiting = asyncio.get_running_loop().create_task(handler.wait_for_args())
    await asyncio.sleep(0)
    await worker.run(handler.set_args, ["from a thread"])
    await waiting
    assert handler.latest_args[1:] == ["from a thread"]


async def test_a_page_that_never_answers_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_handler, "INPUTS_TIMEOUT_S", 0.0)
    handler, _ = await in_a_session()
    with pytest.raises(TimeoutError, match="did not send its input values"):
        await handler.wait_for_args()


def test_a_page_that_takes_its_time_is_waited_for() -> None:
    async def ask() -> list[object]:
        handler, session = await in_a_session()
        loop = asyncio.get_running_loop()

        def answer_late() -> None:
            loop.call_later(50, handler.set_args, ["at last"])

        session.on_request = answer_late
        await handler.wait_for_args()
        return handler.latest_args

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        assert runner.run(ask()) == ["__webrtc_value__", "at last"]


async def test_on_the_phone_there_is_no_page_to_wait_for() -> None:
    handler, session = await in_a_session()
    handler.phone_mode = True
    await handler.wait_for_args()
    assert session.requests == 0
    assert handler.args_set.is_set()


async def test_reset_makes_the_next_turn_ask_again() -> None:
    handler, _ = await in_a_session()
    handler.set_args([1])
    handler.reset()
    assert not handler.args_set.is_set()
    assert handler.latest_args[1:] == [1]


async def test_fetching_asks_without_waiting() -> None:
    handler, session = await in_a_session()
    await handler.fetch_args()
    assert session.requests == 1


# Messages


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        ({"type": "log", "data": "x"}, {"type": "log", "data": "x"}),
        (json.dumps({"type": "log", "data": "x"}), {"type": "log", "data": "x"}),
        ("plain words", {"type": "log", "data": "plain words"}),
        ("[1, 2]", {"type": "log", "data": "[1, 2]"}),
    ],
)
async def test_messages_reach_the_page_as_json_objects(
    message: Any, sent: dict[str, object], worker: Worker
) -> None:
    handler, session = await in_a_session()
    await handler.send_message(message)
    await worker.run(handler.send_message_sync, message)
    assert session.messages == [sent, sent]


@pytest.mark.parametrize("data", [{"type": "chat", "data": 1}, "words", [1, "two"], 3, None])
async def test_data_of_the_programs_own_is_sent_as_it_is(data: Any, worker: Worker) -> None:
    handler, session = await in_a_session()
    handler.send(data)
    await worker.run(handler.send, data)
    assert session.messages == [data, data]


def test_data_cannot_be_sent_outside_of_a_session() -> None:
    with pytest.raises(RuntimeError, match="in no session"):
        Plain().send("words")


async def test_messages_of_the_client_are_ignored_by_default() -> None:
    handler, session = await in_a_session()
    assert await handler.on_message({"type": "chat"}) is None
    assert session.errors == []


async def test_the_channel_of_older_programs_sends_messages() -> None:
    handler = Plain()
    assert handler.channel is None
    assert not handler.channel_set.is_set()
    _, session = await in_a_session(handler)
    assert handler.channel_set.is_set()
    assert handler.channel is not None
    handler.channel.send('{"type": "log", "data": 1}')
    assert session.messages == [{"type": "log", "data": 1}]


async def test_clearing_the_queue_clears_the_session() -> None:
    handler, session = await in_a_session()
    handler.clear_queue()
    assert session.clears == 1


async def test_ending_a_reply_interrupts_the_session() -> None:
    Plain().stop_reply()
    handler, session = await in_a_session()
    handler.stop_reply()
    assert session.interruptions == 1


async def test_the_loop_is_the_sessions(worker: Worker) -> None:
    handler, session = await in_a_session()
    assert handler.loop is session.loop
    assert await worker.run(lambda: handler.loop) is session.loop
    assert handler.loop is asyncio.get_running_loop()
    assert threading.current_thread() is threading.main_thread()


async def test_outside_a_session_a_handler_raises() -> None:
    handler = Plain()
    with pytest.raises(RuntimeError, match="Plain is in no session"):
        _ = handler.loop
    with pytest.raises(RuntimeError, match="in no session"):
        await handler.wait_for_args()
    with pytest.raises(RuntimeError, match="in no session"):
        handler.wait_for_args_sync()
