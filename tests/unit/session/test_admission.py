"""Admission: who takes a place, on a clock that jumps over idle time."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from support.clock import run_virtual

from gradio_webrtc._limits import Limits
from gradio_webrtc._session.admission import (
    ENDING_S,
    GIVE_WAY_S,
    MAX_WAITING,
    WAIT_S,
    Admission,
    Room,
    Ticket,
)
from gradio_webrtc._session.client_address import Client
from gradio_webrtc.errors import ServerBusy, SignalingError, TooManyOffers, TooManySessions

if TYPE_CHECKING:
    from collections.abc import Callable

ANNA, BERT, CARL = Client("8.8.8.8"), Client("9.9.9.9"), Client("1.1.1.1")
LIMITS = Limits()
DEAD_S = 10.0


@dataclass
class Hall:
    """A number of places, and what happens to those who ask for one."""

    limit: int | None = 1
    taken: int = 0
    admission: Admission = field(default_factory=lambda: Admission(random.Random(1)))  # noqa: S311
    gave_way: list[str] = field(default_factory=list)
    tasks: set[asyncio.Task[object]] = field(default_factory=set)

    def room(self) -> Room:
        return Room(self.limit, self.taken)

    def take(self) -> bool:
        if self.limit is not None and self.taken >= self.limit:
            return False
        self.taken += 1
        return True

    def give_back(self) -> None:
        self.taken -= 1

    async def offer(self, client: Client | None, limits: Limits = LIMITS) -> Ticket:
        """A place for an offer, answered at once."""
        self.admission.count(client, limits)
        ticket = await self.admission.admit(client, self)

        def end() -> None:
            self.gave_way.append(client.key if client else "")
            self.free(ticket)

        ticket.answered(end)
        return ticket

    def free(self, ticket: Ticket) -> None:
        """The end of an offer or a session."""
        self.give_back()
        ticket.close()

    async def call(self, client: Client, connects_after_s: float = 0.2) -> Ticket | None:
        """A session, if the client was let in and could connect before it had to give way."""
        try:
            ticket = await self.offer(client)
        except SignalingError:
            return None
        before = len(self.gave_way)
        await asyncio.sleep(connects_after_s)
        if client.key in self.gave_way[before:]:
            return None
        ticket.connected()
        return ticket

    def start(self, attack: Callable[[], Client], every_s: float = 0.1) -> None:
        """Offers for ever that never connect."""
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(
            self._flood(attack, every_s)
        )
        self.tasks.add(task)

    async def _flood(self, attack: Callable[[], Client], every_s: float) -> None:
        while True:
            self.tasks.add(asyncio.get_running_loop().create_task(self._offer_dead(attack())))
            await asyncio.sleep(every_s)

    async def _offer_dead(self, client: Client) -> None:
        try:
            ticket = await self.offer(client)
        except SignalingError:
            return
        before = len(self.gave_way)
        await asyncio.sleep(DEAD_S)
        if client.key not in self.gave_way[before:]:
            self.free(ticket)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def test_an_offer_takes_a_free_place_and_the_next_one_none() -> None:
    async def calls() -> None:
        hall = Hall()
        ticket = await hall.offer(ANNA)
        ticket.connected()
        with pytest.raises(TooManySessions):
            await hall.offer(BERT)
        hall.free(ticket)
        await hall.offer(BERT)

    run_virtual(calls())


def test_the_oldest_unconnected_offer_gives_way_to_another_client() -> None:
    async def calls() -> None:
        hall = Hall()
        await hall.offer(ANNA)
        began_s = asyncio.get_running_loop().time()
        await hall.offer(BERT)
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(GIVE_WAY_S)
        assert hall.gave_way == ["8.8.8.8"]
        assert hall.taken == 1

    run_virtual(calls())


def test_no_offer_gives_way_to_one_of_the_same_client() -> None:
    async def calls() -> None:
        hall = Hall()
        await hall.offer(ANNA)
        await asyncio.sleep(2 * GIVE_WAY_S)
        with pytest.raises(TooManySessions):
            await hall.offer(ANNA)
        assert hall.gave_way == []

    run_virtual(calls())


def test_a_session_that_connected_gives_way_to_nobody() -> None:
    async def calls() -> None:
        hall = Hall()
        (await hall.offer(ANNA)).connected()
        await asyncio.sleep(2 * GIVE_WAY_S)
        with pytest.raises(TooManySessions):
            await hall.offer(BERT)

    run_virtual(calls())


def test_who_waits_is_refused_when_the_place_is_taken_for_good() -> None:
    async def calls() -> None:
        hall = Hall()
        ticket = await hall.offer(ANNA)
        waiting = asyncio.get_running_loop().create_task(hall.offer(BERT))
        await asyncio.sleep(1.5 * ENDING_S)
        assert hall.admission.waiting == 1
        ticket.connected()
        with pytest.raises(TooManySessions):
            await waiting
        assert hall.admission.waiting == 0

    run_virtual(calls())


@pytest.mark.parametrize("client", [ANNA, BERT], ids=["same", "another"])
@pytest.mark.parametrize("has_connected", [True, False])
def test_an_offer_gets_the_place_of_a_session_that_is_just_ending(
    *, client: Client, has_connected: bool
) -> None:
    """The end of a call and the next offer come on connections of their own, in any order."""

    async def calls() -> None:
        hall, loop = Hall(), asyncio.get_running_loop()
        ending = await hall.offer(ANNA)
        if has_connected:
            ending.connected()
        following = loop.create_task(hall.offer(client))
        await asyncio.sleep(0.9 * ENDING_S)
        assert not following.done()
        hall.free(ending)
        ended_s = loop.time()
        await following
        assert loop.time() == ended_s, "by an event, and not after a wait"
        assert hall.gave_way == []

    run_virtual(calls())


def test_an_offer_beside_sessions_that_go_on_is_refused_after_a_moment() -> None:
    async def calls() -> None:
        hall, loop = Hall(), asyncio.get_running_loop()
        (await hall.offer(ANNA)).connected()
        for client in (ANNA, BERT):
            began_s = loop.time()
            with pytest.raises(TooManySessions):
                await hall.offer(client)
            assert loop.time() - began_s == pytest.approx(ENDING_S)
        assert hall.admission.waiting == 0

    run_virtual(calls())


def test_unconnected_offers_take_half_of_the_places() -> None:
    async def calls() -> None:
        hall = Hall(limit=10)
        clients = [Client(f"8.8.8.{n}") for n in range(6)]
        for client in clients[:5]:
            await hall.offer(client)
        waiting = asyncio.get_running_loop().create_task(hall.offer(clients[5]))
        await asyncio.sleep(0.1)
        assert hall.taken == 5
        await waiting
        assert hall.taken == 5
        assert hall.gave_way == ["8.8.8.0"]

    run_virtual(calls())


def test_a_client_has_few_unconnected_offers_at_once() -> None:
    async def calls() -> None:
        hall = Hall(limit=None)
        tickets = [await hall.offer(ANNA) for _ in range(LIMITS.unconnected_offers)]
        with pytest.raises(TooManyOffers):
            await hall.offer(ANNA)
        await hall.offer(BERT)
        tickets[0].connected()
        await hall.offer(ANNA)

    run_virtual(calls())


def test_a_client_makes_few_offers_a_minute() -> None:
    async def calls() -> None:
        hall, refused = Hall(limit=None), 0
        for _ in range(100):
            try:
                ticket = await hall.offer(ANNA, Limits(offers_per_minute=30))
            except TooManyOffers:
                refused += 1
            else:
                ticket.connected()
                hall.free(ticket)
        assert refused == 90
        await asyncio.sleep(60)
        await hall.offer(ANNA)

    run_virtual(calls())


def test_a_program_of_this_process_is_not_limited() -> None:
    async def calls() -> None:
        hall = Hall(limit=100)
        for _ in range(100):
            await hall.offer(None)
        with pytest.raises(TooManySessions):
            await hall.offer(None)

    run_virtual(calls())


@pytest.mark.parametrize("connects_after_s", [0.2, 3.0])
@pytest.mark.parametrize("limit", [1, 2, 10])
def test_dead_offers_of_one_address_keep_nobody_out(limit: int, connects_after_s: float) -> None:
    """Ten a second; those who come over TURN and take three seconds are let in too."""

    async def calls() -> int:
        hall, connected = Hall(limit=limit), 0
        hall.start(lambda: ANNA)
        for n in range(20):
            await asyncio.sleep(1.5)
            # A client that was refused tries once more.
            client = Client(f"9.9.9.{n}")
            ticket = await hall.call(client, connects_after_s) or await hall.call(
                client, connects_after_s
            )
            if ticket is not None:
                connected += 1
                hall.free(ticket)
        await hall.close()
        return connected

    assert run_virtual(calls()) == 20


@pytest.mark.parametrize("limit", [1, 4])
def test_any_number_of_new_sessions_shuts_nobody_out(limit: int) -> None:
    """Ten dead offers a second, each of a page session of its own, behind a nameless proxy."""

    async def calls() -> int:
        hall, number, tries = Hall(limit=limit), iter(range(100_000)), 0
        hall.start(lambda: Client("127.0.0.1", str(next(number)), is_shared=True))
        await asyncio.sleep(5)
        while (await hall.call(Client("127.0.0.1", "Bert", is_shared=True))) is None:
            tries += 1
            assert tries < 200
            await asyncio.sleep(5)
        await hall.close()
        return tries

    run_virtual(calls())


def test_new_sessions_of_one_address_stand_behind_another_address() -> None:
    """As when a stranger invents the header of a proxy that is not trusted."""

    async def calls() -> int:
        hall, number, connected = Hall(), iter(range(100_000)), 0
        hall.start(lambda: Client("8.8.8.8", str(next(number)), is_shared=True))
        await asyncio.sleep(5)
        for n in range(20):
            ticket = await hall.call(Client(f"9.9.9.{n}"))
            if ticket is not None:
                connected += 1
                hall.free(ticket)
            await asyncio.sleep(1)
        await hall.close()
        return connected

    assert run_virtual(calls()) == 20


def test_who_waits_is_bounded_and_those_who_stand_back_go_first() -> None:
    async def calls() -> None:
        hall = Hall()
        await hall.offer(CARL)
        flood = [Client("127.0.0.1", str(n), is_shared=True) for n in range(10 * MAX_WAITING)]
        loop = asyncio.get_running_loop()
        waiting = [loop.create_task(hall.offer(each)) for each in flood]
        await asyncio.sleep(0.1)
        assert hall.admission.waiting == MAX_WAITING
        better = loop.create_task(hall.offer(BERT))
        await asyncio.sleep(WAIT_S)
        assert better.done()
        assert not better.exception()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(each) for each in outcomes} == {ServerBusy, TooManySessions}
        assert hall.admission.waiting == 0

    run_virtual(calls())


def test_a_wait_that_is_given_up_leaves_nothing() -> None:
    async def calls() -> None:
        hall = Hall()
        ticket = await hall.offer(ANNA)
        waiting = asyncio.get_running_loop().create_task(hall.offer(BERT))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert hall.admission.waiting == 0
        hall.free(ticket)
        assert hall.taken == 0

    run_virtual(calls())


def test_a_wait_given_up_in_the_moment_of_its_success_gives_the_place_back() -> None:
    async def calls() -> None:
        hall = Hall()
        ticket = await hall.offer(ANNA)
        waiting = asyncio.get_running_loop().create_task(hall.offer(BERT))
        await asyncio.sleep(0.1)
        hall.free(ticket)
        assert hall.taken == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert hall.taken == 0

    run_virtual(calls())
