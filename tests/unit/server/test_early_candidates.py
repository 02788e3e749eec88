"""Candidates without a secret: they reach the session of their own client, and cost little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from starlette.requests import Request

from gradio_webrtc._server import early_candidates
from gradio_webrtc._server.early_candidates import (
    EARLY_S,
    LATE_S,
    MAX_ANSWERED,
    MAX_EARLY,
    MAX_OF_ONE,
    EarlyCandidates,
)
from gradio_webrtc._session.signaling import refusal_of
from gradio_webrtc.errors import SessionUnknown

if TYPE_CHECKING:
    from gradio_webrtc._session.signaling import Signaling

SUCCESS = {"status": "success"}


def candidate(port: int = 9, protocol: str = "udp", **more: Any) -> dict[str, Any]:
    return {
        "candidate": f"candidate:1 1 {protocol} 1 8.8.8.8 {port} typ host",
        "sdpMid": "0",
    } | more


def trickled(alias: Any = "page", port: int = 9, **more: Any) -> dict[str, Any]:
    body = {"type": "ice-candidate", "webrtc_id": alias, "candidate": candidate(port)}
    return body | more


def offered(alias: str = "page") -> dict[str, Any]:
    return {"type": "offer", "webrtc_id": alias, "sdp": "v=0"}


def request_from(address: str) -> Request:
    return Request({"type": "http", "client": (address, 1), "headers": [], "method": "POST"})


class Sessions:
    """Answers as `Signaling` does, and notes the ports of the candidates that reach a session."""

    def __init__(self) -> None:
        self.ports: dict[str, list[int]] = {}
        self.aliases: dict[str, str] = {}

    async def handle_request(
        self, body: dict[str, Any], _request: Any, *, read_inputs: Any = None
    ) -> dict[str, Any]:
        del read_inputs
        alias, secret = body["webrtc_id"], body.get("secret")
        if body["type"] == "offer":
            secret = f"the secret of {len(self.ports)}"
            self.ports[secret], self.aliases[secret] = [], alias
            return {"type": "answer", "secret": secret}
        if self.aliases.get(str(secret)) != alias:
            return refusal_of(SessionUnknown())
        if body["type"] == "ice-candidate":
            self.ports[str(secret)].append(int(body["candidate"]["candidate"].split()[5]))
        return SUCCESS

    @property
    def all_ports(self) -> list[list[int]]:
        return [*self.ports.values()]


class Desk:
    """The requests of clients, at a time that the test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.sessions = Sessions()
        self._requests = EarlyCandidates(cast("Signaling", self.sessions))

    async def ask(
        self, body: dict[str, Any], address: str = "8.8.8.8", cookie: str | None = None
    ) -> dict[str, Any]:
        return await self._requests.handle_request(body, request_from(address), cookie)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk()
    monkeypatch.setattr(early_candidates, "_now_s", lambda: made.now_s)
    return made


async def test_candidates_wait_for_the_answer_to_their_offer_and_follow_it(desk: Desk) -> None:
    assert await desk.ask(trickled(port=1)) == SUCCESS
    assert await desk.ask(trickled(port=2)) == SUCCESS
    await desk.ask(offered())
    assert desk.sessions.all_ports == [[1, 2]]
    assert await desk.ask(trickled(port=3)) == SUCCESS
    assert desk.sessions.all_ports == [[1, 2, 3]]


async def test_they_are_for_one_session_alone(desk: Desk) -> None:
    await desk.ask(trickled(port=1))
    await desk.ask(offered())
    await desk.ask(offered())
    assert desk.sessions.all_ports == [[1], []]


async def test_others_get_as_far_as_without_a_session(desk: Desk) -> None:
    await desk.ask(trickled(port=1))
    await desk.ask(offered("other"))
    await desk.ask(offered(), address="9.9.9.9")
    assert await desk.ask(trickled(port=2), address="7.7.7.7") == SUCCESS
    assert desk.sessions.all_ports == [[], []]
    await desk.ask(offered())
    assert desk.sessions.all_ports == [[], [], [1]]


async def test_only_candidates_may_come_without_a_secret(desk: Desk) -> None:
    await desk.ask(offered())
    for kind in ("close", "candidates"):
        answer = await desk.ask({"type": kind, "webrtc_id": "page"})
        assert answer["meta"]["error"] == "unknown_connection"


async def test_a_wrong_secret_is_no_missing_one(desk: Desk) -> None:
    await desk.ask(offered())
    answer = await desk.ask({**trickled(), "secret": "a guess"})
    assert answer["meta"]["error"] == "unknown_connection"
    assert desk.sessions.all_ports == [[]]


async def test_the_cookie_of_an_earlier_session_with_the_same_id_does_no_harm(desk: Desk) -> None:
    old = (await desk.ask(offered()))["secret"]
    desk.sessions.aliases.pop(old)
    desk.now_s = 2 * LATE_S
    assert await desk.ask(trickled(port=1), cookie=old) == SUCCESS
    new = (await desk.ask(offered(), cookie=old))["secret"]
    assert await desk.ask(trickled(port=2), cookie=new) == SUCCESS
    assert await desk.ask({"type": "close", "webrtc_id": "page"}, cookie=new) == SUCCESS
    assert desk.sessions.all_ports == [[], [1, 2]]


async def test_neither_waits_nor_counts_for_long(desk: Desk) -> None:
    await desk.ask(trickled(port=1))
    desk.now_s += EARLY_S + 0.1
    await desk.ask(offered())
    assert desk.sessions.all_ports == [[]]
    desk.now_s += LATE_S
    await desk.ask(trickled(port=2))
    assert desk.sessions.all_ports == [[2]]
    desk.now_s += 0.1
    assert await desk.ask(trickled(port=3)) == SUCCESS
    assert desk.sessions.all_ports == [[2]]


async def test_what_waits_is_bounded_for_one_and_for_all(desk: Desk) -> None:
    for port in range(2 * MAX_OF_ONE):
        await desk.ask(trickled("first", port=port + 1))
    for number in range(MAX_EARLY):
        await desk.ask(trickled(f"page-{number}"))
    await desk.ask(offered("first"))
    await desk.ask(offered(f"page-{MAX_EARLY - 1}"))
    assert desk.sessions.all_ports == [[], [9]]
    for port in range(2 * MAX_OF_ONE):
        await desk.ask(trickled("second", port=port + 1))
    await desk.ask(offered("second"))
    assert desk.sessions.all_ports[-1] == [*range(1, MAX_OF_ONE + 1)]


async def test_the_oldest_of_many_sessions_is_dropped(desk: Desk) -> None:
    for number in range(MAX_ANSWERED + 1):
        await desk.ask(offered(f"page-{number}"))
    for number in (0, MAX_ANSWERED):
        assert await desk.ask(trickled(f"page-{number}")) == SUCCESS
    ports = desk.sessions.all_ports
    assert (ports[0], ports[-1]) == ([], [9])


@pytest.mark.parametrize(
    "wrong",
    [
        candidate(candidate="nonsense"),
        candidate(candidate="candidate:1" + "1" * 2_000),
        candidate(sdpMid=["0"]),
        candidate(sdpMid="0" * 2_000),
        candidate(sdpMid=None, sdpMLineIndex="0"),
        {"candidate": 7},
    ],
)
async def test_what_no_session_could_read_does_not_wait(desk: Desk, wrong: Any) -> None:
    answer = await desk.ask(trickled(candidate=wrong))
    assert answer["meta"]["error"] == "invalid_candidate_format"


@pytest.mark.parametrize(
    "idle", [None, {"candidate": ""}, candidate(protocol="tcp"), candidate(extra="x" * 50_000)]
)
async def test_the_end_of_candidates_and_others_without_a_use_cost_nothing(
    desk: Desk, idle: Any
) -> None:
    for _ in range(2 * MAX_OF_ONE):
        assert await desk.ask(trickled(candidate=idle)) == SUCCESS
    await desk.ask(trickled(port=5))
    await desk.ask(offered())
    has_use = idle is not None and "extra" in idle
    assert desk.sessions.all_ports == [[9] * MAX_OF_ONE if has_use else [5]]


@pytest.mark.parametrize("alias", ["", "a b", "x" * 50_000, "__webrtc_value__"])
async def test_no_candidate_waits_under_what_can_be_no_id(desk: Desk, alias: str) -> None:
    await desk.ask(trickled("page", port=1))
    for _ in range(2 * MAX_EARLY):
        assert await desk.ask(trickled(alias)) == SUCCESS
    await desk.ask(offered())
    assert desk.sessions.all_ports == [[1]]


async def test_a_program_of_this_process_is_one_client(desk: Desk) -> None:
    requests = desk._requests  # noqa: SLF001  # as `Stream.offer` has it
    assert await requests.handle_request(trickled(port=1)) == SUCCESS
    await requests.handle_request(offered())
    assert desk.sessions.all_ports == [[1]]
