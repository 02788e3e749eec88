"""One session from its connection to the last thing freed, over a transport without a network."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any, ParamSpec

import pytest
from support.transports import SILENCE, Line

from gradio_webrtc import AdditionalOutputs, AsyncStreamHandler
from gradio_webrtc._config import SessionConfig
from gradio_webrtc._session import session as session_module
from gradio_webrtc._session.session import CANCEL_TIMEOUT_S, GOODBYE_S, STOPPING, Session
from gradio_webrtc.errors import ConnectionTimeout, ServerStopping
from gradio_webrtc.testing import FakeTransport
from gradio_webrtc.testing.clock import VirtualClockLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from gradio_webrtc._transport import AudioSink
    from gradio_webrtc.types import TransportStats

P = ParamSpec("P")


def on_virtual_clock(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs a test on a loop whose clock jumps over sleep."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


class Silent(AsyncStreamHandler):
    """Emits nothing, and notes what the session calls."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[list[Any]] = []
        self.emits = 0
        self.triggers = 0
        self.is_shut_down = False

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> None:
        self.emits += 1
        await asyncio.Event().wait()

    def set_args(self, args: list[Any]) -> None:
        self.inputs.append(args)

    def trigger_response(self) -> None:
        self.triggers += 1

    async def shutdown(self) -> None:
        self.is_shut_down = True

    def copy(self) -> Silent:
        return Silent()


def make(
    transport: FakeTransport | None = None,
    handler: Silent | None = None,
    **terms: Any,
) -> Session:
    return Session("client", transport or Line(), handler or Silent(), SessionConfig(**terms))


def begin(session: Session) -> asyncio.Task[str]:
    return asyncio.get_running_loop().create_task(session.run())


def line_of(session: Session) -> Line:
    assert isinstance(session.transport, Line)
    return session.transport


def ending_of(session: Session) -> Mapping[str, Any]:
    """The one message that announces the end to the client."""
    endings: list[Mapping[str, Any]] = [
        each for _, each in line_of(session).messages if each["type"] == "end_stream"
    ]
    [ending] = endings
    return ending


# The end


@on_virtual_clock
async def test_it_ends_with_its_transport_and_frees_everything() -> None:
    session = make()
    running = begin(session)
    await asyncio.sleep(0.1)
    line_of(session).hang_up("the client left")
    assert await running == "the client left"
    assert session.is_over
    assert line_of(session).is_closed
    assert isinstance(session.handler, Silent)
    assert session.handler.is_shut_down
    assert asyncio.all_tasks() == {asyncio.current_task()}


@on_virtual_clock
async def test_the_first_reason_counts_with_its_code() -> None:
    session = make()
    running = begin(session)
    await asyncio.sleep(0.1)
    session.end("first", "code_of_the_first")
    session.end("second", "code_of_the_second")
    line_of(session).hang_up("third")
    assert await running == "first"
    ending = ending_of(session)
    assert (ending["data"], ending["code"]) == ("first", "code_of_the_first")
    session.end("too late")
    assert ending_of(session) == ending


@on_virtual_clock
async def test_it_lasts_as_long_as_its_time_limit_from_the_connection_on() -> None:
    class Slow(Line):
        async def connect(self) -> None:
            await asyncio.sleep(5)
            await super().connect()

    session = make(Slow(), time_limit_s=2.5)
    assert await begin(session) == "The time limit of 2.5 seconds is reached."
    assert line_of(session).now_s == pytest.approx(2.5, abs=0.1)
    assert session.stats().duration_s == pytest.approx(2.5, abs=0.1)


@on_virtual_clock
async def test_without_a_limit_it_goes_on() -> None:
    session = make()
    running = begin(session)
    await asyncio.sleep(60)
    assert not running.done()
    session.end("enough")
    await running


@on_virtual_clock
async def test_it_can_end_before_its_client_connects() -> None:
    handler = Silent()
    session = make(Line(connects=False), handler)
    running = begin(session)
    await asyncio.sleep(1)
    session.end("enough")
    assert await running == "enough"
    assert (handler.emits, handler.is_shut_down) == (0, True)
    assert session.stats().duration_s == 0
    assert line_of(session).is_closed


@on_virtual_clock
async def test_a_client_that_does_not_come_ends_it_in_the_transports_words() -> None:
    class Lost(Line):
        async def connect(self) -> None:
            raise ConnectionTimeout("the client did not connect within 10 s")

    session = make(Lost())
    assert await begin(session) == "the client did not connect within 10 s"
    assert line_of(session).is_closed


@on_virtual_clock
async def test_a_fault_of_ours_ends_it_and_shows_no_internals(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Line):
        async def carry_audio(self, _sink: AudioSink) -> None:
            raise KeyError("hunter2")

    session = make(Broken())
    reason = await begin(session)
    assert "see the server's log" in reason
    assert "hunter2" not in str(line_of(session).messages)
    assert "hunter2" in caplog.text


@on_virtual_clock
async def test_an_event_loop_that_ends_stops_the_server_for_the_client() -> None:
    session = make()
    running = begin(session)
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    ending = ending_of(session)
    assert (ending["data"], ending["code"]) == (STOPPING, ServerStopping.code)
    assert line_of(session).is_closed


@on_virtual_clock
async def test_a_coroutine_that_swallows_its_cancellation_is_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Stubborn(Silent):
        def __init__(self) -> None:
            super().__init__()
            self.may_end = asyncio.Event()

        async def emit(self) -> None:
            while not self.may_end.is_set():
                try:
                    await self.may_end.wait()
                except asyncio.CancelledError:
                    continue
            raise asyncio.CancelledError

    handler = Stubborn()
    session = make(handler=handler)
    running = begin(session)
    await asyncio.sleep(0.1)
    session.end("enough")
    ended_s = asyncio.get_running_loop().time()
    assert await running == "enough"
    took_s = asyncio.get_running_loop().time() - ended_s
    assert took_s == pytest.approx(CANCEL_TIMEOUT_S, abs=0.5)
    [record] = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "a coroutine of Stubborn goes on 1 s after it was cancelled" in record.getMessage()
    assert line_of(session).is_closed
    orphaned = session_module._orphaned  # noqa: SLF001 - the tasks that are held till they end
    assert len(orphaned) == 1
    assert orphaned.isdisjoint(asyncio.all_tasks()), "nobody waits for it"
    handler.may_end.set()
    while orphaned:  # noqa: ASYNC110 - each turn of the loop brings it nearer
        await asyncio.sleep(0)


# The end of the server


@on_virtual_clock
async def test_a_server_that_stops_waits_for_no_reply_where_there_is_none() -> None:
    session = make()
    running = begin(session)
    await asyncio.sleep(0.1)
    begin_s = asyncio.get_running_loop().time()
    await session.stop(10)
    assert asyncio.get_running_loop().time() == begin_s
    assert await running == STOPPING
    assert ending_of(session)["code"] == ServerStopping.code


@on_virtual_clock
async def test_a_server_that_stops_leaves_a_reply_its_grace_time() -> None:
    session = make()
    running = begin(session)
    await asyncio.sleep(0.1)
    session.context.event("response_starting")
    begin_s = asyncio.get_running_loop().time()
    await session.stop(2)
    waited_s = asyncio.get_running_loop().time() - begin_s
    assert waited_s == pytest.approx(2 - GOODBYE_S)
    assert await running == STOPPING


@on_virtual_clock
async def test_a_reply_that_is_over_ends_the_wait() -> None:
    session = make()
    running = begin(session)
    await asyncio.sleep(0.1)
    session.context.event("response_starting")
    stopping = asyncio.get_running_loop().create_task(session.stop(60))
    await asyncio.sleep(1)
    assert not stopping.done()
    session.context.event("response_finished")
    await stopping
    assert asyncio.get_running_loop().time() < 5
    assert await running == STOPPING


async def test_the_grace_time_can_be_ended_from_any_thread() -> None:
    session = make()
    running = begin(session)
    session.context.event("response_starting")
    stopping = asyncio.get_running_loop().create_task(session.stop(3600))
    await asyncio.to_thread(session.hurry)
    assert await running == STOPPING
    await stopping


# Events for others


@on_virtual_clock
async def test_the_connection_and_the_end_are_reported_once() -> None:
    session, notes = make(), list[str]()
    session.when_connected(lambda: notes.append("connected"))
    session.when_over(lambda: notes.append("over"))
    running = begin(session)
    assert notes == []
    await asyncio.sleep(0.1)
    assert notes == ["connected"]
    session.end("enough")
    await running
    assert notes == ["connected", "over"]


# Counters


@on_virtual_clock
async def test_the_counters_are_read_before_during_and_after_it() -> None:
    session = make(FakeTransport(48_000, SILENCE))
    before = session.stats()
    assert (before.webrtc_id, before.duration_s, before.events) == ("client", 0, {})
    running = begin(session)
    await asyncio.sleep(0.5)
    session.context.event("pause_detected")
    session.context.event("pause_detected")
    session.context.event("interrupted", turn=1)
    during = session.stats()
    assert during.duration_s == pytest.approx(0.5, abs=0.01)
    assert during.transport.packets_received == pytest.approx(25, abs=2)
    assert during.events == {"pause_detected": 2, "interrupted": 1}
    assert during.interruptions == 1
    await asyncio.sleep(0.5)
    session.end("enough")
    await running
    after = session.stats()
    assert after.duration_s == pytest.approx(1.0, abs=0.1)
    assert after.transport.packets_received > during.transport.packets_received
    await asyncio.sleep(10)
    assert session.stats() is after, "they stand still once it is freed"


@on_virtual_clock
async def test_a_snapshot_does_not_change_with_the_session() -> None:
    session = make()
    snapshot = session.stats()
    session.context.event("pause_detected")
    assert snapshot.events == {}
    session.end("enough")
    await session.run()


async def test_the_counters_can_be_read_in_any_thread() -> None:
    session = make()
    running = begin(session)
    stats = await asyncio.to_thread(session.stats)
    assert stats.webrtc_id == "client"
    session.end("enough")
    await running
    assert (await asyncio.to_thread(session.stats)).webrtc_id == "client"


# Inputs and outputs


async def test_outputs_can_be_put_from_any_thread() -> None:
    session = make(has_outputs=True)
    running = begin(session)
    await asyncio.to_thread(session.put_outputs, AdditionalOutputs("from a thread"))
    outputs = await session.outputs.next()
    assert outputs is not None
    assert outputs.args == ("from a thread",)
    session.end("enough")
    await running
    types = [message["type"] for _, message in line_of(session).messages]
    assert types.count("fetch_output") == 1


def test_outputs_for_a_closed_loop_are_dropped() -> None:
    async def main() -> Session:
        session = make()
        session.end("enough")
        await session.run()
        return session

    session = asyncio.run(main())
    session.put_outputs(AdditionalOutputs("too late"))
    session.hurry()
    assert session.outputs.take() is None


async def test_inputs_reach_the_handler_and_text_is_a_turn() -> None:
    handler = Silent()
    session = make(handler=handler)
    session.set_inputs((1, 2))
    assert (handler.inputs, handler.triggers) == ([[1, 2]], 0)
    session.submit(("text",))
    assert (handler.inputs, handler.triggers) == ([[1, 2], ["text"]], 1)
    session.end("enough")
    await session.run()


async def test_an_error_over_inputs_is_reported_and_ends_nothing() -> None:
    class Picky(Silent):
        def set_args(self, args: list[Any]) -> None:
            raise ValueError(args)

        def trigger_response(self) -> None:
            raise KeyError

    events: list[str] = []
    session = Session(
        "client", Line(), Picky(), on_event=lambda _time_s, name, _data: events.append(name)
    )
    session.set_inputs((1,))
    session.submit((2,))
    assert events == ["error", "error"], "the second error over inputs is that of the first"
    assert not session.is_over
    session.end("enough")
    await session.run()


@on_virtual_clock
async def test_a_client_that_only_receives_gets_nothing_before_its_inputs() -> None:
    handler = Silent()
    session = make(handler=handler, mode="receive")
    running = begin(session)
    await asyncio.sleep(1)
    assert handler.emits == 0
    session.set_inputs(())
    await asyncio.sleep(0.1)
    assert handler.emits == 1
    session.end("enough")
    await running


class Endless(Silent):
    """Runs ``start_up`` for as long as the session, as handlers do that read from a service."""

    async def start_up(self) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("handler", [Silent, Endless])
@pytest.mark.parametrize("default_inputs", [None, ("Ada",)])
@on_virtual_clock
async def test_a_session_that_is_over_is_freed_without_a_garbage_collection(
    handler: type[Silent], default_inputs: Any
) -> None:
    session = make(handler=handler(), default_inputs=default_inputs)
    session.accept_inputs(lambda _: None)
    running = begin(session)
    await asyncio.sleep(0.1)
    session.end("enough")
    await running
    del running
    weak = weakref.ref(session)
    gc.disable()
    try:
        del session
        await asyncio.sleep(0)
        assert weak() is None
    finally:
        gc.enable()


# Whatever fails at the end


class FailsToRelease(Silent):
    async def release(self) -> None:
        await super().release()
        raise LookupError("release")


class FailsToClose(Line):
    async def close(self, away_s: float = 0.0) -> None:
        await super().close(away_s)
        raise LookupError("close")


class FailsToCount(Line):
    def stats(self) -> TransportStats:
        if self.is_closed:
            raise LookupError("stats")
        return super().stats()


@pytest.mark.parametrize(
    ("transport", "handler"),
    [(Line, FailsToRelease), (FailsToClose, Silent), (FailsToCount, Silent)],
)
@on_virtual_clock
async def test_one_step_that_fails_keeps_nothing_from_being_freed(
    transport: type[Line], handler: type[Silent], caplog: pytest.LogCaptureFixture
) -> None:
    session = make(transport(), handler())
    threads = set(threading.enumerate())
    running = begin(session)
    await asyncio.sleep(0.1)
    session.end("enough")
    assert await running == "enough"
    assert line_of(session).is_closed
    failures = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [type(error) for error in failures] == [LookupError]
    assert session.stats().webrtc_id == "client"
    assert set(threading.enumerate()) <= threads
    assert asyncio.all_tasks() == {asyncio.current_task()}


# ------------------------------------------------------------------------- audio at the client


class CountingLine(Line):
    """Counts the times at which audio on its way is dropped."""

    clears = 0

    def clear_audio(self) -> float:
        self.clears += 1
        return 0.0


async def test_an_interruption_drops_the_audio_that_the_client_has_not_played_yet() -> None:
    line = CountingLine()
    session = make(line)
    session.context.drop_reply()
    session.context.clear()
    assert line.clears == 2
    session.end("over")
    await session.run()


async def test_the_end_of_a_session_cuts_no_audio_at_the_client() -> None:
    line = CountingLine()
    session = make(line)
    session.end("over")
    await session.run()
    assert line.clears == 0


# Inputs of a client that has none of its own


class Asks(Silent):
    """Asks for its inputs, over and over, in its own thread of the loop."""

    set_args = AsyncStreamHandler.set_args

    def __init__(self) -> None:
        super().__init__()
        self.got: list[list[Any]] = []

    async def start_up(self) -> None:
        while True:
            await self.wait_for_args()
            self.got.append(self.latest_args[1:])
            await asyncio.sleep(1.0)


@on_virtual_clock
async def test_a_client_without_inputs_is_answered_for_at_once_and_never_asked() -> None:
    handler = Asks()
    session = make(handler=handler, default_inputs=("Ada", 2))
    running = begin(session)
    await asyncio.sleep(1.5)
    session.set_inputs(["Grace", 3])
    await asyncio.sleep(1.0)
    assert handler.got == [["Ada", 2], ["Ada", 2], ["Grace", 3]]
    sent = [message for _, message in line_of(session).messages]
    assert not [each for each in sent if each["type"] == "send_input"]
    session.end("enough")
    await running


@on_virtual_clock
async def test_a_generator_starts_with_the_default_inputs() -> None:
    handler = Silent()
    session = make(handler=handler, mode="receive", default_inputs=("Ada",))
    running = begin(session)
    await asyncio.sleep(0.1)
    assert handler.inputs == [["Ada"]]
    assert handler.emits == 1, "nothing waits for a click"
    session.end("enough")
    await running
