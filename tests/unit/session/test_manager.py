"""Clients of any transport are admitted under the same limits, and a refusal leaves nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from support.transports import LineFactory

from gradio_webrtc import AdditionalOutputs, AsyncStreamHandler, Limits, get_current_context
from gradio_webrtc._config import SessionConfig
from gradio_webrtc._session import manager as manager_module
from gradio_webrtc._session.manager import SessionManager
from gradio_webrtc._session.session import Session
from gradio_webrtc.errors import (
    HandlerUnavailable,
    InvalidOffer,
    ServerStopping,
    SessionExists,
    SessionUnknown,
    TooManyOffers,
    TooManySessions,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gradio_webrtc._session.directory import Entry


class Silent(AsyncStreamHandler):
    """Emits nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Any] = []

    async def start_up(self) -> None:
        self.requests.append(get_current_context().request)

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> None:
        await asyncio.Event().wait()

    def copy(self) -> Silent:
        return Silent()


@pytest.fixture
async def manager() -> AsyncIterator[SessionManager]:
    manager = SessionManager()
    manager.serve(Silent().copy)
    yield manager
    await manager.close()
    assert len(manager) == 0


def guest(number: int = 1, gradio_session: str = "first") -> Any:
    """A request from a public address."""
    return SimpleNamespace(
        client=(f"203.0.113.{number}", 1), headers={}, session_hash=gradio_session
    )


async def until_over(manager: SessionManager, entry: Entry) -> None:
    """Ends a session and returns when it is freed."""
    entry.session.end("enough")
    await manager.wait_idle()


async def test_any_transport_is_admitted(manager: SessionManager) -> None:
    factory = LineFactory()
    names, session = await manager.admit(factory, "mine", guest())
    assert factory.steps == ["check", "make", "answer"]
    assert factory.configs == [manager.config] * 2
    assert session.transport is factory.line
    assert names.name == session.webrtc_id == "mine"
    assert manager.get("mine") is manager.get(names.session_id) is session
    assert manager.find("mine", session.secret, "first") is session
    assert manager.count_sessions() == len(manager) == 1


async def test_a_telephone_has_no_inputs_and_fetches_no_outputs(manager: SessionManager) -> None:
    manager.has_outputs = True
    _, session = await manager.admit(LineFactory(), phone_mode=True)
    assert session.handler.phone_mode
    session.outputs.put(AdditionalOutputs(1))
    async with asyncio.timeout(1):
        await session.outputs.drain()
    session.end("enough")
    await manager.wait_idle()
    _, session = await manager.admit(LineFactory())
    assert not session.handler.phone_mode


async def test_whether_all_places_are_taken(manager: SessionManager) -> None:
    assert not SessionManager().is_full
    assert not manager.is_full
    entry = await manager.admit(LineFactory())
    assert manager.is_full
    await until_over(manager, entry)
    assert not manager.is_full


async def test_the_terms_of_one_client_may_differ(manager: SessionManager) -> None:
    factory, outputs = LineFactory(), manager.has_outputs
    manager.has_outputs = True

    def adapt(config: SessionConfig) -> SessionConfig:
        assert factory.steps == ["check"]
        return dataclasses.replace(config, mode="send", default_inputs=("Ada",))

    _, session = await manager.admit(factory, None, guest(), adapt=adapt)
    assert [each.mode for each in factory.configs] == ["send-receive", "send"]
    await asyncio.sleep(0.01)
    assert session.handler.latest_args == ["__webrtc_value__", "Ada"]
    session.outputs.put(AdditionalOutputs(1))
    assert session.transport.messages == [], "outputs are not announced"  # type: ignore[attr-defined]  # a Line
    manager.has_outputs = outputs


async def test_a_client_whose_terms_cannot_be_made_takes_no_place(manager: SessionManager) -> None:
    def fail(_config: SessionConfig) -> SessionConfig:
        raise ServerStopping

    with pytest.raises(ServerStopping):
        await manager.admit(LineFactory(), None, guest(), adapt=fail)
    assert manager.count_sessions() == 0


async def test_the_handler_gets_the_request_of_its_client(manager: SessionManager) -> None:
    request = guest()
    _, session = await manager.admit(LineFactory(), None, request)
    handler = session.handler
    assert isinstance(handler, Silent)
    while not handler.requests:  # noqa: ASYNC110 - each turn of the loop brings it nearer
        await asyncio.sleep(0)
    assert handler.requests == [request]


async def test_the_limit_counts_for_every_transport(manager: SessionManager) -> None:
    first = await manager.admit(LineFactory())
    refused = LineFactory()
    for alias, request in ((None, None), ("mine", guest())):
        with pytest.raises(TooManySessions, match="at most 1 calls"):
            await manager.admit(refused, alias, request)
    assert refused.steps == ["check"] * 2
    assert manager.count_sessions() == len(manager) == 1
    await until_over(manager, first)
    names, _ = await manager.admit(LineFactory(), "mine", guest())
    assert names.name == "mine", "the refused client left no name behind"


async def test_a_place_is_free_as_soon_as_its_session_is_over(manager: SessionManager) -> None:
    names, session = await manager.admit(LineFactory())
    session.end("enough")
    assert (manager.count_sessions(), len(manager)) == (0, 1)
    await manager.admit(LineFactory())
    assert manager.count_sessions() == 1
    while manager.get(names.name):  # noqa: ASYNC110 - each turn of the loop brings it nearer
        await asyncio.sleep(0)


async def test_offers_without_a_connection_are_counted_before_they_are_read() -> None:
    manager = SessionManager()
    config = SessionConfig(limits=Limits(unconnected_offers=1))
    manager.serve(Silent().copy, config, concurrency_limit=8)
    await manager.admit(LineFactory(connects=False), None, guest())
    refused = LineFactory()
    with pytest.raises(TooManyOffers):
        await manager.admit(refused, None, guest())
    assert refused.steps == []
    await manager.admit(LineFactory(), None, guest(2))
    await manager.close()


async def test_offers_in_a_minute_are_counted_for_each_client() -> None:
    manager = SessionManager()
    config = SessionConfig(limits=Limits(offers_per_minute=3))
    manager.serve(Silent().copy, config, concurrency_limit=8)
    await manager.admit(LineFactory(), None, guest())
    with pytest.raises(TooManyOffers):
        await manager.admit(LineFactory(), None, guest())
    await manager.admit(LineFactory(), None, guest(2))
    for _ in range(3):
        await manager.admit(LineFactory())
    assert manager.count_sessions() == 5, "a program of this process is not limited"
    await manager.close()


async def test_an_offer_is_read_before_it_costs_a_place_or_a_handler() -> None:
    made: list[Silent] = []

    def make_handler() -> Silent:
        made.append(Silent())
        return made[-1]

    manager = SessionManager()
    manager.serve(make_handler)
    await manager.admit(LineFactory())
    unreadable = LineFactory("check", InvalidOffer("expected an offer"))
    with pytest.raises(InvalidOffer):
        await manager.admit(unreadable, None, guest())
    assert (unreadable.steps, len(made)) == (["check"], 1)
    await manager.close()


@pytest.mark.parametrize("fails_in", ["check", "make", "answer"])
@pytest.mark.parametrize("error", [InvalidOffer("no"), RuntimeError("a fault")])
async def test_a_transport_that_fails_leaves_nothing(
    manager: SessionManager, fails_in: str, error: Exception
) -> None:
    for request in (None, guest()):
        factory = LineFactory(fails_in, error)
        with pytest.raises(type(error)) as raised:
            await manager.admit(factory, "mine", request)
        assert raised.value is error
        assert factory.steps[-1] == fails_in
        assert factory.line is None or factory.line.is_closed
        assert manager.count_sessions() == len(manager) == 0
        assert manager.get("mine") is None
    names, _ = await manager.admit(LineFactory(), "mine")
    assert names.name == "mine"


async def test_a_client_that_leaves_before_its_answer_leaves_nothing(
    manager: SessionManager,
) -> None:
    factory = LineFactory()
    factory.may_answer.clear()
    admitting = asyncio.get_running_loop().create_task(manager.admit(factory, "mine", guest()))
    while factory.line is None:  # noqa: ASYNC110 - each turn of the loop brings it nearer
        await asyncio.sleep(0)
    assert manager.count_sessions() == 1
    admitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await admitting
    assert factory.line.is_closed
    assert manager.count_sessions() == len(manager) == 0
    await manager.admit(LineFactory(), "mine", guest())


async def test_a_client_that_left_before_its_answer_came_leaves_nothing(
    manager: SessionManager,
) -> None:
    """A page that is left in that moment has no secret yet, with which it could end the session."""
    factory = LineFactory()

    async def has_left() -> bool:
        return factory.steps[-1:] == ["answer"]

    request = guest()
    request.has_left = has_left
    _, session = await manager.admit(factory, "mine", request)
    assert session.is_over
    assert manager.count_sessions() == 0
    await manager.wait_idle()
    assert factory.line is not None
    assert factory.line.is_closed
    await manager.admit(LineFactory(), "mine", guest())


async def test_a_handler_that_cannot_be_made_costs_no_transport(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> Silent:
        raise ValueError("hunter2")

    manager = SessionManager()
    manager.serve(fail)
    factory = LineFactory()
    with pytest.raises(HandlerUnavailable) as raised:
        await manager.admit(factory)
    assert "hunter2" not in str(raised.value)
    assert "hunter2" in caplog.text
    assert (factory.steps, len(manager)) == (["check"], 0)


async def test_a_handler_serves_one_session_at_a_time(caplog: pytest.LogCaptureFixture) -> None:
    manager, shared = SessionManager(), Silent()
    manager.serve(lambda: shared, concurrency_limit=2)
    first = await manager.admit(LineFactory())
    factory = LineFactory()
    with pytest.raises(HandlerUnavailable):
        await manager.admit(factory)
    assert "returned a handler that serves another session" in caplog.text
    assert (factory.steps, len(manager)) == (["check"], 1)
    await until_over(manager, first)
    await manager.admit(LineFactory())
    await manager.close()


async def test_without_a_handler_nobody_is_admitted(caplog: pytest.LogCaptureFixture) -> None:
    factory = LineFactory()
    with pytest.raises(HandlerUnavailable):
        await SessionManager().admit(factory)
    assert factory.steps == []
    assert "this component has no stream event" in caplog.text


async def test_an_alias_belongs_to_one_session_at_a_time() -> None:
    manager = SessionManager()
    manager.serve(Silent().copy, concurrency_limit=8)
    await manager.admit(LineFactory(), "mine", guest())
    with pytest.raises(SessionExists):
        await manager.admit(LineFactory(), "mine", guest())
    names, session = await manager.admit(LineFactory(), "mine", guest(2, "second"))
    assert names.name == names.session_id != "mine"
    assert manager.find("mine", session.secret, "second") is session
    with pytest.raises(SessionUnknown):
        manager.find("mine", session.secret, "first")
    await manager.close()


async def test_a_stopping_server_refuses_clients_and_ends_sessions(
    manager: SessionManager,
) -> None:
    _, session = await manager.admit(LineFactory())
    assert not manager.is_stopping
    await manager.drain(0.1)
    assert session.is_over
    assert manager.is_stopping
    factory = LineFactory()
    with pytest.raises(ServerStopping):
        await manager.admit(factory)
    assert factory.steps == []


async def test_a_session_that_is_opened_while_the_server_stops_is_refused(
    manager: SessionManager,
) -> None:
    factory = LineFactory()
    factory.may_answer.clear()
    admitting = asyncio.get_running_loop().create_task(manager.admit(factory))
    while factory.line is None:  # noqa: ASYNC110 - each turn of the loop brings it nearer
        await asyncio.sleep(0)
    await manager.drain(0.1)
    factory.may_answer.set()
    with pytest.raises(ServerStopping):
        await admitting
    assert factory.line.is_closed


async def test_outputs_are_fetched_where_a_function_takes_them(
    manager: SessionManager,
) -> None:
    manager.has_outputs = True
    factory = LineFactory()
    names, _ = await manager.admit(factory)
    manager.output_setter(names.name)(AdditionalOutputs(1))
    assert (await manager.fetch_output(names.name)).args == (1,)
    assert factory.line is not None
    assert [each["type"] for _, each in factory.line.messages] == ["fetch_output"]


async def test_a_stream_of_outputs_ends_with_the_session(manager: SessionManager) -> None:
    names, session = await manager.admit(LineFactory())
    put = manager.output_setter(names.name)
    for value in range(3):
        put(AdditionalOutputs(value))
    fetched = []
    async for outputs in manager.output_stream(names.name):
        fetched.append(outputs.args)
        if len(fetched) == 3:
            session.end("enough")
    assert fetched == [(0,), (1,), (2,)]


async def test_whoever_waits_for_an_output_waits_so_long(
    manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager_module, "FETCH_TIMEOUT_S", 0.01)
    names, _ = await manager.admit(LineFactory())
    with pytest.raises(TimeoutError):
        await manager.fetch_output(names.name)


async def test_a_session_is_ended_and_counted_from_any_thread(manager: SessionManager) -> None:
    names, session = await manager.admit(LineFactory())
    stats = await asyncio.to_thread(manager.stats, names.name)
    assert stats is not None
    assert stats.webrtc_id == names.name
    assert await asyncio.to_thread(manager.loops) == {asyncio.get_running_loop()}
    assert await asyncio.to_thread(manager.end, names.name, "enough")
    while not session.is_over:  # noqa: ASYNC110 - each turn of the loop brings it nearer
        await asyncio.sleep(0)
    assert not manager.end(names.name, "again")


async def test_an_unknown_id_ends_and_sends_nothing(manager: SessionManager) -> None:
    manager.output_setter("nobody")(AdditionalOutputs(1))
    assert manager.stats("nobody") is None
    assert not manager.end("nobody", "")
    assert [each async for each in manager.output_stream("nobody")] == []
    with pytest.raises(SessionUnknown):
        await manager.fetch_output("nobody")


async def test_a_session_that_fails_is_logged_and_forgotten(
    manager: SessionManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_session: object) -> str:
        raise KeyError("a fault of ours")

    monkeypatch.setattr(Session, "run", fail)
    await manager.admit(LineFactory(), "mine")
    await manager.wait_idle()
    await asyncio.sleep(0)
    assert len(manager) == 0
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.getMessage() == "the session mine failed"
