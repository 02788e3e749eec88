"""The limits of a component's sessions: documented defaults, checked where they are given.

Plain values, without a duty of their own; whoever enforces one says so in its own module.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, fields
from typing import Final

MOST: Final = 1_000_000
"""More than anything counted here can reach; a larger number is a mistake."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits that protect a server from its clients, for ``WebRTC(limits=Limits(...))``.

    ``concurrency_limit`` and ``time_limit`` are arguments of ``stream`` as before.

    Args:
        idle_limit_s: Seconds without any media from a client that should send, after which its
            session ends; ``None`` for no limit. A muted microphone sends silence, which is media.
        offers_per_minute: How many offers one address may make in a minute, in the long run; a
            third of that at once.
        unconnected_offers: How many offers of one address may wait for their connection at once.
        blocked_threads: How many threads of ended sessions may be kept busy by user code that does
            not return, in the whole process, before new offers are refused.
        trusted_proxies: Addresses or networks (``"10.0.0.0/8"``) of proxies in front of the server
            whose ``X-Forwarded-For`` is believed.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: A value is out of range, or no address or network.
    """

    idle_limit_s: float | None = 30.0
    offers_per_minute: int = 60
    unconnected_offers: int = 3
    blocked_threads: int = 16
    trusted_proxies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks every value."""
        if self.idle_limit_s is not None:
            _check_seconds("idle_limit_s", self.idle_limit_s)
        for each in fields(self):
            if each.type == "int":
                _check_count(each.name, getattr(self, each.name))
        _check_networks(self.trusted_proxies)


def _check_seconds(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds or None; got {value!r}")
    if not 0 < value <= MOST:
        raise ValueError(f"{name} must be above 0, or None for no limit; got {value!r}")


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number; got {value!r}")
    if not 1 <= value <= MOST:
        raise ValueError(f"{name} must be from 1 to {MOST:,}; got {value!r}")


def _check_networks(networks: object) -> None:
    if isinstance(networks, str) or not isinstance(networks, (tuple, list, set, frozenset)):
        raise TypeError(
            f"trusted_proxies must be a list of addresses or networks; got {networks!r}"
        )
    for each in networks:
        try:
            ipaddress.ip_network(each, strict=False)
        except ValueError as error:
            raise ValueError(
                f'trusted_proxies must be addresses or networks, such as "10.0.0.0/8"; got {each!r}'
            ) from error


DEFAULT_LIMITS: Final = Limits()
