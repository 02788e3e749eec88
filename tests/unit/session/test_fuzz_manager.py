"""Offers, inputs, closes and time in any order: places, secrets and inputs stay whose they are."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from support.serving import SessionServer

from gradio_webrtc import StreamHandler
from gradio_webrtc._session import signaling
from gradio_webrtc.errors import ConnectionLost, SessionUnknown
from gradio_webrtc.testing.clock import VirtualClockLoop
from gradio_webrtc.testing.transport import FakeTransport

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    import pytest

LIMIT = 3
TIME_LIMIT_S = 2.0
IDS = st.sampled_from(["anna", "bela", "cleo", "dora", "emil"])


class InputRecorder(StreamHandler):
    """Keeps the inputs that it gets."""

    made: ClassVar[list[InputRecorder]] = []

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Any] = []

    def set_args(self, args: list[Any]) -> None:
        self.got.extend(args)

    async def start_up(self) -> None:
        """On the event loop: without threads, each run is the same."""

    async def shutdown(self) -> None:
        """As `start_up`."""

    def receive(self, _frame: object) -> None:
        """Ignores audio."""

    def emit(self) -> None:
        """Emits nothing."""

    def copy(self) -> InputRecorder:
        InputRecorder.made.append(recorder := InputRecorder())
        return recorder


class Wire(FakeTransport):
    """A connection that stands at once, or never."""

    made: ClassVar[list[Wire]] = []
    next_connects: ClassVar[bool] = True

    def __init__(self, *_: object) -> None:
        super().__init__(48_000, np.zeros(960, np.int16))
        self.stands = self.is_closed = False
        self.connects = Wire.next_connects
        Wire.made.append(self)

    async def answer(self, _body: Mapping[str, object]) -> dict[str, object]:
        return {"type": "answer", "sdp": "v=0"}

    async def candidates(self) -> list[dict[str, object]]:
        return []

    async def add_candidate(self, _candidate: object) -> None:
        """Has no use for it."""

    async def connect(self) -> None:
        if not self.connects:
            raise ConnectionLost(await self.wait_closed())
        self.stands = True
        await super().connect()

    async def close(self, away_s: float = 0.0) -> None:
        self.is_closed = True
        await super().close(away_s)


class Clients(RuleBasedStateMachine):
    """A server, and what each of its clients has and expects."""

    sessions = Bundle("sessions")

    @initialize()
    def start(self) -> None:
        InputRecorder.made.clear()
        Wire.made.clear()
        self.loop = VirtualClockLoop()
        asyncio.set_event_loop(self.loop)
        self.manager = SessionServer()
        self.manager.serve(InputRecorder().copy, concurrency_limit=LIMIT, time_limit_s=TIME_LIMIT_S)
        self.expected: dict[str, tuple[InputRecorder, list[Any]]] = {}
        self.names: set[str] = set()
        self.aliases: dict[str, str] = {}
        self.inputs = 0

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    def ask(self, kind: str, webrtc_id: str, **more: object) -> dict[str, Any]:
        body = {"type": kind, "webrtc_id": webrtc_id, "sdp": "v=0", **more}
        answer: dict[str, Any] = self.run(self.manager.handle_request(body))
        return answer

    @rule(target=sessions, webrtc_id=IDS, connects=st.booleans())
    def offer(self, webrtc_id: str, connects: bool) -> tuple[str, str]:  # noqa: FBT001  # drawn
        Wire.next_connects = connects
        before, known = self.manager.count_sessions(), len(self.manager)
        answer = self.ask("offer", webrtc_id)
        if answer.get("status") == "failed":
            assert before >= LIMIT or (webrtc_id in self.names and known > 0)
            return webrtc_id, "none"
        # One that was to end may have ended while the offer was looked at; an invariant counts.
        self.names.add(webrtc_id)
        self.aliases[answer["secret"]] = webrtc_id
        self.expected[answer["secret"]] = (InputRecorder.made[-1], [])
        return answer["webrtc_id"], answer["secret"]

    @rule(session=sessions)
    def type_something(self, session: tuple[str, str]) -> None:
        self.inputs += 1
        try:
            self.manager.find(*session).set_inputs([self.inputs])
        except SessionUnknown:
            return
        self.expected[session[1]][1].append(self.inputs)

    @rule(session=sessions, other=sessions)
    def use_the_secret_of_another(self, session: tuple[str, str], other: tuple[str, str]) -> None:
        secret = "a guess" if session[1] == other[1] else other[1]
        names = (other[0], self.aliases.get(other[1]))
        is_owner = secret == other[1] and session[0] in names
        for kind in ("close", "candidates", "ice-candidate"):
            answer = self.ask(kind, session[0], secret=secret)
            assert answer.get("status") == "failed" or is_owner

    @rule(session=sessions, candidate=st.none() | st.text())
    def trickle(self, session: tuple[str, str], candidate: object) -> None:
        self.ask("ice-candidate", session[0], secret=session[1], candidate=candidate)

    @rule(session=sessions)
    def hang_up(self, session: tuple[str, str]) -> None:
        self.ask("close", session[0], secret=session[1])

    @rule(number=st.integers(0, 50))
    def vanish(self, number: int) -> None:
        if Wire.made:
            Wire.made[number % len(Wire.made)].hang_up("the connection failed")

    @rule(webrtc_id=IDS)
    def end_from_python(self, webrtc_id: str) -> None:
        self.manager.end(webrtc_id, "enough")

    @rule(seconds=st.sampled_from([0.0, 0.02, 0.5]))
    def wait(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule()
    def wait_for_the_time_limit(self) -> None:
        connected = [each for each in Wire.made if each.stands]
        self.run(asyncio.sleep(TIME_LIMIT_S + 0.1))
        # Those who never connect have a limit of the transport's, which is not here.
        assert all(each.is_closed for each in connected)

    @invariant()
    def places_are_counted(self) -> None:
        assert 0 <= self.manager.count_sessions() <= LIMIT
        assert self.manager.count_sessions() <= len(self.manager) <= len(Wire.made)

    @invariant()
    def inputs_reach_their_own_session(self) -> None:
        for listener, expected in self.expected.values():
            assert listener.got == expected

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        self.run(self.manager.close())
        self.run(asyncio.sleep(0))
        left = asyncio.all_tasks(self.loop)
        self.loop.close()
        assert len(self.manager) == 0
        assert left == set()
        assert all(each.is_closed for each in Wire.made)


def test_sessions_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signaling, "PeerTransport", Wire)
    offer = SimpleNamespace(client_receives=True)
    monkeypatch.setattr(signaling, "read_offer", lambda *_: offer)
    run_state_machine_as_test(Clients, settings=settings(stateful_step_count=15))
