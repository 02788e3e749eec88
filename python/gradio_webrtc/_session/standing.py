"""Counts of the latest offers of each client, and of those that led to no connection.

All tables are bounded; the client whose last offer is the oldest is removed first. Runs on the
event loop; the time is an argument. Imports nothing of the network.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .client_address import Client

MAX_CLIENTS: Final = 4096
"""Clients that each table stores, at about 200 bytes each."""

BURST_SHARE: Final = 3
"""The part of a minute's offers that may come at once: one third."""

VAIN_LEAK_S: Final = 10.0
"""The seconds in which one vain offer leaks away: as long as an unconnected offer lives."""

FORGIVEN: Final = 4
"""Vain offers that make a standing worse by one: three more tries after one that failed."""

FLOOD_LEAK_S: Final = 1.0
"""The time in which one offer of an address leaks away, in seconds: a client that is refused and
tries again every few seconds is never taken for a flood."""

FLOOD: Final = 10
"""Offers beyond which an address stands back: a client makes one, and three more by itself."""

MOST_COUNTED: Final = 60.0
"""The most that is counted, so that the worst client is as good as any after ten minutes."""


class LeakyCounts:
    """Counts by name that leak away in time: leaky buckets (ITU-T I.371, annex A.2)."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, name: str, now_s: float, leak_s: float) -> float:
        """Returns the count of a name, of which one leaks away in ``leak_s`` seconds."""
        count, counted_s = self._counts.get(name, (0.0, now_s))
        return max(0.0, count - (now_s - counted_s) / leak_s)

    def add(self, name: str, more: float, now_s: float, leak_s: float) -> None:
        """Adds to a count, which stays between 0 and `MOST_COUNTED`."""
        count = min(MOST_COUNTED, max(0.0, self.count(name, now_s, leak_s) + more))
        self._counts[name] = (count, now_s)
        self._counts.move_to_end(name)
        while len(self._counts) > MAX_CLIENTS:
            self._counts.popitem(last=False)


class Standings:
    """The clients seen of late, by address and by session."""

    def __init__(self) -> None:
        self._offers = LeakyCounts()
        self._vain = LeakyCounts()
        self._flood = LeakyCounts()

    def __len__(self) -> int:
        return max(len(self._offers), len(self._vain), len(self._flood))

    def count_offer(self, client: Client, per_minute: int, now_s: float) -> bool:
        """Counts an offer.

        Args:
            client: The client that made it.
            per_minute: The offers that it may make in a minute, in the long run.
            now_s: The time in seconds.

        Returns:
            True if it is within the limit.
        """
        self._flood.add(client.address, 1, now_s, FLOOD_LEAK_S)
        leak_s = 60 / per_minute
        most = min(MOST_COUNTED, max(1, per_minute // BURST_SHARE))
        if self._offers.count(client.key, now_s, leak_s) + 1 > most:
            return False
        self._offers.add(client.key, 1, now_s, leak_s)
        return True

    def count_place(self, client: Client, now_s: float) -> None:
        """Counts a place that an offer took, in vain until `forgive`."""
        self._vain.add(client.key, 1, now_s, VAIN_LEAK_S)

    def forgive(self, client: Client, now_s: float) -> None:
        """Records that an offer was not in vain: its client connected."""
        self._vain.add(client.key, -1, now_s, VAIN_LEAK_S)
        self._flood.add(client.address, -1, now_s, FLOOD_LEAK_S)

    def standing_of(self, client: Client, now_s: float) -> tuple[int, bool]:
        """Returns the standing of a client, the lowest first in order.

        It is made of its vain offers, then of the flood from its address. Offers that were refused
        count for the address alone: a client that tries again must not stand behind one that was
        never here.
        """
        vain = self._vain.count(client.key, now_s, VAIN_LEAK_S)
        flood = self._flood.count(client.address, now_s, FLOOD_LEAK_S)
        return int(vain / FORGIVEN), flood > FLOOD
