"""The limits of a component's sessions: documented defaults, checked where they are given.

Plain values, without a duty of their own; whoever enforces one says so in its own module.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, fields
from typing import Final

MOST: Final = 1_000_000
"""More than anything counted here can reach; a larger number is a mistake."""

LEAST_S: Final = 0.1
"""Media comes every 20 ms; what is below is a mistake, too."""

RANGES: Final = {
    # A page's own messages fit, and the window of four messages stays a few megabytes.
    "message_bytes": (1024, MOST),
    "messages_per_s": (10, 10_000),
    # One block of a codec, and as much as VP8 can say.
    "picture_pixels": (16 * 16, 16_383 * 16_383),
    "pictures_per_s": (1, 1000),
}
"""The least and the most of those that are not from 1 to `MOST`."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits that protect a server from its clients, for ``WebRTC(limits=Limits(...))``.

    ``concurrency_limit`` and ``time_limit`` are arguments of ``stream`` as before.

    Args:
        idle_limit_s: Seconds without any media from a client that should send, after which its
            session ends, a tenth at least; ``None`` for no limit. A muted microphone sends silence,
            which is media.
        offers_per_minute: How many offers one address may make in a minute, in the long run; a
            third of that at once.
        unconnected_offers: How many offers of one address may wait for their connection at once.
        blocked_threads: How many threads of ended sessions may be kept busy by user code that does
            not return, in the whole process, before new offers are refused.
        trusted_proxies: Addresses or networks (``"10.0.0.0/8"``) of proxies in front of the server
            whose ``X-Forwarded-For`` is believed.
        candidates: ICE candidates that a client may name, in its offer and behind it together. A
            browser has some three.
        candidate_networks: Networks (``"192.168.0.0/16"``) that a client's candidates may be of,
            beside the public internet and the server's own networks. Others that are private,
            link-local or loopback are left out, for the server would probe whatever they name.
        message_bytes: The largest message over the data channel. A client learns it from the
            answer, and loses its session with a larger one. By default what is assumed where
            nothing is said (RFC 8841 section 6).
        messages_per_s: Messages over the data channel, in the long run; twice as many at once, and
            100 in any case. A client with more loses its session.
        picture_pixels: The largest picture that is decoded, in pixels. By default four times full
            HD, as much as a camera of 3,840 x 2,160 gives.
        pictures_per_s: Pictures that are decoded, in the long run; as many at once. What comes
            beyond it is dropped, until the next key frame.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: A value is out of range, or no address or network.
    """

    idle_limit_s: float | None = 30.0
    offers_per_minute: int = 60
    unconnected_offers: int = 3
    blocked_threads: int = 16
    trusted_proxies: tuple[str, ...] = ()
    candidates: int = 32
    candidate_networks: tuple[str, ...] = ()
    message_bytes: int = 64 * 1024
    messages_per_s: int = 50
    picture_pixels: int = 4 * 1920 * 1080
    pictures_per_s: int = 120

    def __post_init__(self) -> None:
        """Checks every value."""
        if self.idle_limit_s is not None:
            _check_seconds("idle_limit_s", self.idle_limit_s)
        for each in fields(self):
            value = getattr(self, each.name)
            if each.type == "int":
                _check_count(each.name, value)
            elif each.name != "idle_limit_s":
                _check_networks(each.name, value)


def _check_seconds(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds or None; got {value!r}")
    if not LEAST_S <= value <= MOST:
        raise ValueError(f"{name} must be {LEAST_S} or more, or None for no limit; got {value!r}")


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number; got {value!r}")
    least, most = RANGES.get(name, (1, MOST))
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least:,} to {most:,}; got {value!r}")


def _check_networks(name: str, networks: object) -> None:
    if isinstance(networks, str) or not isinstance(networks, (tuple, list, set, frozenset)):
        raise TypeError(f"{name} must be a list of addresses or networks; got {networks!r}")
    for each in networks:
        if isinstance(each, bool | int | bytes):
            raise TypeError(f'{name} must be written as text, such as "10.0.0.0/8"; got {each!r}')
        try:
            ipaddress.ip_network(each, strict=False)
        except ValueError as error:
            raise ValueError(
                f'{name} must be addresses or networks, such as "10.0.0.0/8"; got {each!r}'
            ) from error


DEFAULT_LIMITS: Final = Limits()
