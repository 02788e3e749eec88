"""WebSockets without a session: few, short, and none in the way of a client that speaks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from support.fake_websocket import FakeWebSocket

from gradio_webrtc._server import newcomers as module
from gradio_webrtc._server.newcomers import Newcomers, receive_start, refuse
from gradio_webrtc._session.origins import Site
from gradio_webrtc._workers.per_loop import PerLoop
from gradio_webrtc.errors import ConnectionLost, InvalidOffer, TooManySessions, WebRTCError

if TYPE_CHECKING:
    from collections.abc import Mapping

SITE = Site()


@pytest.fixture(autouse=True)
def _none_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_newcomers", PerLoop(Newcomers))


async def start_of(websocket: FakeWebSocket) -> Mapping[str, Any]:
    opened: Any = websocket
    async with asyncio.timeout(5):
        return await receive_start(opened, SITE, ())


async def test_the_start_is_returned() -> None:
    websocket = FakeWebSocket()
    websocket.client_sends({"event": "connected"})
    websocket.client_sends({"event": "ping"})
    websocket.client_sends({"event": "start", "websocket_id": "one"})
    assert await start_of(websocket) == {"event": "start", "websocket_id": "one"}
    assert websocket.is_accepted
    assert websocket.objects() == [{"event": "pong"}]


@pytest.mark.parametrize(
    "first",
    [
        {"event": "media", "media": {"payload": "AAAA"}},
        {"event": "stop"},
        {"event": ["start"]},
        {"type": "start"},
        ["start"],
        "start",
        b"\xff",
        '{"event": "start", "x": "' + "x" * module.MAX_START_CHARS + '"}',
        "[" * 5_000,
    ],
)
async def test_anything_else_first_is_refused(first: object) -> None:
    websocket = FakeWebSocket()
    websocket.client_sends(first)
    with pytest.raises(InvalidOffer, match='the event "start" first'):
        await start_of(websocket)


async def test_pings_hold_no_place_for_ever() -> None:
    websocket = FakeWebSocket()
    for _ in range(module.MAX_MESSAGES):
        websocket.client_sends({"event": "ping"})
    with pytest.raises(InvalidOffer):
        await start_of(websocket)


async def test_a_client_that_leaves_before_its_start_is_no_error() -> None:
    websocket = FakeWebSocket()
    websocket.client_leaves()
    with pytest.raises(ConnectionLost):
        await start_of(websocket)


async def test_a_silent_client_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_TIMEOUT_S", 0.05)
    with pytest.raises(InvalidOffer, match='expected "start" within'):
        await start_of(FakeWebSocket())


async def test_a_page_of_another_origin_is_not_let_in() -> None:
    websocket = FakeWebSocket(origin="https://evil.example")
    with pytest.raises(ConnectionLost):
        await start_of(websocket)
    assert not websocket.is_accepted
    assert websocket.code is not None


async def test_the_oldest_silent_client_makes_room_for_a_new_one() -> None:
    silent = [
        asyncio.ensure_future(start_of(FakeWebSocket()))  # noqa: TID251  # awaited below
        for _ in range(module.MAX_PER_ADDRESS)
    ]
    other = asyncio.ensure_future(start_of(FakeWebSocket("198.51.100.2")))  # noqa: TID251  # below
    await asyncio.sleep(0)
    speaking = FakeWebSocket()
    speaking.client_sends({"event": "start"})
    assert await start_of(speaking) == {"event": "start"}
    with pytest.raises(InvalidOffer):
        await silent[0]
    assert not any(each.done() for each in [*silent[1:], other])
    for each in [*silent[1:], other]:
        each.cancel()
    await asyncio.gather(*silent[1:], other, return_exceptions=True)


async def test_all_addresses_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_IN_ALL", 3)
    waiting = [
        asyncio.ensure_future(start_of(FakeWebSocket(f"198.51.100.{number}")))  # noqa: TID251  # below
        for number in range(5)
    ]
    await asyncio.sleep(0)
    assert len(module._newcomers.here()) == 3  # noqa: SLF001  # no public count
    done, pending = await asyncio.wait(waiting, timeout=0.05)
    assert done == {*waiting[:2]}
    for each in pending:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert len(module._newcomers.here()) == 0  # noqa: SLF001  # as above


async def test_a_refusal_names_its_reason_and_no_internals(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused: Any = FakeWebSocket()
    await refuse(refused, TooManySessions(2))
    (answer,) = refused.objects()
    assert answer["status"] == "failed"
    assert answer["meta"]["error"] == "concurrency_limit_reached"
    assert answer["meta"]["limit"] == 2
    assert refused.code == 1000
    broken: Any = FakeWebSocket()
    await refuse(broken, KeyError("a secret"))
    assert broken.objects()[0]["meta"]["error"] == "server_error"
    assert "secret" not in str(broken.sent)
    assert "a secret" in caplog.text
    spoken: Any = FakeWebSocket()
    await refuse(spoken, WebRTCError("The model is loading."))
    assert spoken.objects()[0]["meta"]["message"] == "The model is loading."


async def test_a_refusal_of_a_client_that_left_is_no_error() -> None:
    gone: Any = FakeWebSocket()
    gone.breaks = RuntimeError("closed")
    await refuse(gone, TooManySessions(2))
