"""The order in which clients get the places of one set: fairness between those who offer.

An offer takes a place before its client has proved that it is there. So offers that wait for their
connection are few for each client, and at most half of all places; the oldest gives its place after
`GIVE_WAY_S` to another client in as good a standing; and an offer that finds no place waits for a
moment, behind those of clients whose offers were in vain less often. That moment is longer where
unconnected offers hold places than where only sessions do, of which one may be ending.

Where many clients share an address, each Gradio session counts for itself. A stranger can make any
number of sessions, each of them in good standing at first. Clients in the same standing draw lots
for a place that became free, so a flood of new sessions makes a place rarer and shuts nobody out.
The address counts beside its sessions: of two in the same standing, the one whose address sends no
flood of offers goes first.

Runs on one event loop, whose clock it reads. Imports neither transports nor Gradio.
"""

from __future__ import annotations

import asyncio
import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from gradio_webrtc.errors import ServerBusy, SignalingError, TooManyOffers, TooManySessions

from .standing import Standings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gradio_webrtc._limits import Limits

    from .client_address import Client

GIVE_WAY_S: Final = 2.0
"""Seconds for which an answered offer that waits for its connection keeps its place from others. A
connection on one network takes tenths of a second, one over TURN two or three seconds."""

ENDING_S: Final = 1.0
"""Seconds that an offer waits for a place beside sessions that go on: one of them may be ending. A
client that begins again at once, such as a browser that loads its site again, sends the end and the
next offer on connections of their own, and either may come first."""

WAIT_S: Final = 2.5
"""Seconds that an offer waits for a place: until the last one gives way, and a little longer."""

MAX_WAITING: Final = 32
"""Offers that wait for a place at once, each with its request and an SDP of 32 KiB at most. When
there are more, one of those in the worst standing is refused."""

MAX_UNCONNECTED: Final = 64
"""Offers that wait for their connection at once, where sessions have no limit."""


class Room(NamedTuple):
    """The size of a set of places, and the number of those that are taken.

    Attributes:
        limit: Places in all; ``None`` for any number.
        taken: Places that are taken, those of unconnected offers included.
    """

    limit: int | None
    taken: int

    @property
    def most_unconnected(self) -> int:
        """The number of places that unconnected offers may take: half of all, and one at least."""
        return MAX_UNCONNECTED if self.limit is None else max(1, self.limit // 2)


class Place(Protocol):
    """The place that one offer asks for."""

    def room(self) -> Room:
        """Counts all places."""

    def take(self) -> bool:
        """Takes the place if one is free.

        Returns:
            True if it is taken now.

        Raises:
            SignalingError: None can ever be free.
        """

    def give_back(self) -> None:
        """Frees the place that was taken."""


@dataclass(eq=False)
class Ticket:
    """The place of one offer, from its admission to the end of its session.

    Attributes:
        client: The client that made the offer; ``None`` for a program of this process.
        gives_way_s: The time from which it gives way, on the loop's clock; infinity until it is
            answered.
    """

    client: Client | None
    _admission: Admission
    gives_way_s: float = math.inf
    _end: Callable[[], object] | None = None

    def answered(self, end: Callable[[], object]) -> None:
        """Records that the offer was answered: after `GIVE_WAY_S` it may have to give way.

        Args:
            end: Ends the offer's session, and frees its place at once.
        """
        self._end = end
        self._admission.note_answered(self)

    def connected(self) -> None:
        """Records that the client connected: its place is safe, and its offer was not in vain."""
        self._admission.note_connected(self)

    def close(self) -> None:
        """Records that the place is free again; safe to call twice."""
        self._end = None
        self._admission.note_free(self)

    def give_way(self) -> None:
        """Ends the offer in favour of another."""
        end, self._end = self._end, None
        if end is not None:
            end()


@dataclass(eq=False)
class _Waiting:
    """An offer without a place.

    Attributes:
        client: The client that made it.
        place: The place that it asks for.
        hopes_until_s: The time until which it waits even beside sessions alone, on the loop's
            clock.
        outcome: The ticket, or the refusal.
    """

    client: Client
    place: Place
    hopes_until_s: float = field(default_factory=lambda: _now_s() + ENDING_S)
    outcome: asyncio.Future[Ticket] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def refuse(self, error: SignalingError | None = None) -> None:
        """Ends the wait without a place."""
        if not self.outcome.done():
            self.outcome.set_exception(error or no_place(self.place.room()))


class Admission:
    """Admits offers to one set of places.

    Args:
        lots: Chooses among clients in the same standing. By default the system's randomness, which
            a client cannot predict.
    """

    def __init__(self, lots: random.Random | None = None) -> None:
        self._lots = lots or random.SystemRandom()
        self._standings = Standings()
        self._unconnected: dict[Ticket, Client] = {}
        self._waiting: list[_Waiting] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """The number of offers that wait for a place."""
        return len(self._waiting)

    def count(self, client: Client | None, limits: Limits) -> None:
        """Counts an offer, before anything of it is read.

        Raises:
            TooManyOffers: The client offered too often, or too many of its offers are unconnected.
        """
        if client is None:
            return
        if not self._standings.count_offer(client, limits.offers_per_minute, _now_s()):
            raise TooManyOffers
        pending = [*self._unconnected.values(), *(each.client for each in self._waiting)]
        if sum(each.key == client.key for each in pending) >= limits.unconnected_offers:
            raise TooManyOffers

    async def admit(self, client: Client | None, place: Place) -> Ticket:
        """Takes a place for an offer that `count` admitted, as soon as its client may have one.

        Args:
            client: The client that made the offer; a program of this process, ``None``, is not
                limited.
            place: The place to be taken.

        Returns:
            The ticket, to be closed when the session is over or was never made.

        Raises:
            TooManySessions: All places are taken.
            ServerBusy: Too many unconnected offers wait, or those of clients in better standing.
        """
        if client is None:
            if place.take():
                return Ticket(None, self)
            raise no_place(place.room())
        waiting = _Waiting(client, place)
        self._enqueue(waiting)
        self._serve()
        try:
            async with asyncio.timeout(WAIT_S):
                return await waiting.outcome
        except TimeoutError:
            if (ticket := self._leave(waiting)) is not None:
                return ticket
            raise no_place(place.room()) from None
        except asyncio.CancelledError:
            if (ticket := self._leave(waiting)) is not None:
                place.give_back()
                ticket.close()
            raise

    def note_answered(self, ticket: Ticket) -> None:
        """Records that an offer was answered; see `Ticket.answered`."""
        ticket.gives_way_s = _now_s() + GIVE_WAY_S
        self._serve()

    def note_connected(self, ticket: Ticket) -> None:
        """Records that a client connected; see `Ticket.connected`."""
        client = self._unconnected.pop(ticket, None)
        if client is not None:
            self._standings.forgive(client, _now_s())
        self._serve()

    def note_free(self, ticket: Ticket) -> None:
        """Removes an offer; one that waits may take its place."""
        self._unconnected.pop(ticket, None)
        self._serve()

    def _enqueue(self, waiting: _Waiting) -> None:
        """Lets an offer wait; where too many do, in place of one in the worst standing.

        Raises:
            ServerBusy: All that wait are in better standing.
        """
        if len(self._waiting) >= MAX_WAITING:
            worst = self._draw(self._waiting, of=max)
            if self._standing(worst.client) < self._standing(waiting.client):
                raise ServerBusy
            self._waiting.remove(worst)
            worst.refuse(ServerBusy())
        self._waiting.append(waiting)

    def _leave(self, waiting: _Waiting) -> Ticket | None:
        """Ends a wait; returns the ticket if one came in the same turn of the loop as the end."""
        if waiting in self._waiting:
            self._waiting.remove(waiting)
        outcome = waiting.outcome
        has_ticket = outcome.done() and not outcome.cancelled() and outcome.exception() is None
        return outcome.result() if has_ticket else None

    def _serve(self) -> None:
        """Gives places to the offers that are next, and refuses those that wait in vain."""
        while self._waiting:
            best = self._draw(self._waiting, of=min)
            try:
                has_place = self._take(best) or (self._make_way(best) and self._take(best))
            except SignalingError as error:
                self._waiting.remove(best)
                best.refuse(error)
                continue
            if not has_place:
                break
            self._waiting.remove(best)
            ticket = Ticket(best.client, self)
            self._unconnected[ticket] = best.client
            self._standings.count_place(best.client, _now_s())
            best.outcome.set_result(ticket)
        self._refuse_hopeless()
        self._set_timer()

    def _take(self, waiting: _Waiting) -> bool:
        is_open = len(self._unconnected) < waiting.place.room().most_unconnected
        return is_open and waiting.place.take()

    def _make_way(self, waiting: _Waiting) -> bool:
        """Ends the oldest unconnected offer that has to give way to this client, if any."""
        now_s, standing = _now_s(), self._standing(waiting.client)
        yielding = [
            ticket
            for ticket, client in self._unconnected.items()
            if client.key != waiting.client.key
            and ticket.gives_way_s <= now_s
            and self._standing(client) >= standing
        ]
        if not yielding:
            return False
        oldest = min(yielding, key=lambda ticket: ticket.gives_way_s)
        del self._unconnected[oldest]
        oldest.give_way()
        return True

    def _refuse_hopeless(self) -> None:
        """Refuses offers that could only wait for sessions, or for their client's own offers.

        They have waited for `ENDING_S`: what was just ending when they came has ended.
        """
        now_s = _now_s()
        for each in [each for each in self._waiting if each.hopes_until_s <= now_s]:
            if all(client.key == each.client.key for client in self._unconnected.values()):
                self._waiting.remove(each)
                each.refuse()

    def _set_timer(self) -> None:
        """Serves again when an unconnected offer may have to give way, or a hope ends."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_s = _now_s()
        times_s = [each.gives_way_s for each in self._unconnected]
        times_s += [each.hopes_until_s for each in self._waiting]
        due_s = min((each for each in times_s if each > now_s), default=math.inf)
        if self._waiting and due_s < math.inf:
            self._timer = asyncio.get_running_loop().call_at(due_s, self._serve)

    def _draw(
        self, waiting: Iterable[_Waiting], of: Callable[[Iterable[tuple[int, bool]]], object]
    ) -> _Waiting:
        """Returns one of those in the best or the worst standing (``min`` or ``max``), by lot."""
        standings = [(self._standing(each.client), each) for each in waiting]
        extreme = of(standing for standing, _ in standings)
        return self._lots.choice([each for standing, each in standings if standing == extreme])

    def _standing(self, client: Client) -> tuple[int, bool]:
        return self._standings.standing_of(client, _now_s())


def no_place(room: Room) -> SignalingError:
    """Returns the refusal of an offer: all places are taken, or too many offers wait."""
    if room.limit is not None and room.taken >= room.limit:
        return TooManySessions(room.limit)
    return ServerBusy()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
