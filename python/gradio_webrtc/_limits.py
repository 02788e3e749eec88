"""The limits of a component's sessions: documented defaults, checked when they are written.

Plain values. Each is enforced by the module that owns what it limits. Imports nothing of ours.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, fields
from typing import Final

MOST: Final = 1_000_000
"""The largest number that is taken. Nothing counted here can reach it, so a larger one is a
mistake."""

LEAST_S: Final = 0.1
"""The shortest time that is taken, in seconds. Media comes every 20 ms: a shorter one is a mistake,
too."""

RANGES: Final = {
    # The front end's own messages fit, and the window of four messages stays a few megabytes.
    "message_bytes": (1024, MOST),
    "messages_per_s": (10, 10_000),
    # One macroblock, and as much as VP8 can express: 14 bits each way (RFC 6386 section 9.1).
    "picture_pixels": (16 * 16, 16_383 * 16_383),
    "pictures_per_s": (1, 1000),
}
"""The smallest and the largest value of the limits that are not from 1 to `MOST`."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits that protect a server from its clients, for ``WebRTC(limits=Limits(...))``.

    ``concurrency_limit`` and ``time_limit`` are arguments of ``stream``, and not among these.

    Args:
        idle_limit_s: Seconds without any media from a client that should send, after which its
            session ends: 0.1 to 1,000,000, or ``None`` for no limit. A muted microphone sends
            silence, which is media.
        offers_per_minute: Offers that one address may make in a minute, in the long run; a third of
            that at once.
        unconnected_offers: Offers of one address that may wait for their connection at once.
        blocked_threads: Threads of ended sessions that user code which does not return may keep
            busy, in the whole process, before new offers are refused.
        trusted_proxies: Addresses or networks (``"10.0.0.0/8"``) of proxies in front of the server
            whose ``X-Forwarded-For`` is believed.
        candidates: ICE candidates that a client may name, in its offer and after it together. A
            browser has some three.
        candidate_networks: Networks (``"192.168.0.0/16"``) that a client's candidates may be of,
            beside the public internet and the server's own networks. Others that are private,
            link-local or loopback are left out, for the server would probe whatever they name.
        message_bytes: The largest message over the data channel, 1,024 to 1,000,000 bytes. It is
            part of the answer, and a larger message ends the session. The default is what a client
            assumes without it (RFC 8841 section 6).
        messages_per_s: Messages over the data channel in a second, in the long run, 10 to 10,000;
            twice as many at once, and 100 in any case. More of them end the session.
        picture_pixels: The largest video frame that is decoded, in pixels, 256 to 268,402,689. By
            default four times full HD, as much as a camera of 3,840 x 2,160 gives.
        pictures_per_s: Video frames that are decoded in a second, in the long run, 1 to 1,000; as
            many at once. Frames beyond that are dropped, until the next key frame.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: A value is out of range, or no address or network.

    Example:
        >>> limits = Limits(trusted_proxies=("10.0.0.5",), idle_limit_s=None)
        >>> webrtc = WebRTC(modality="audio", limits=limits)
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
"""The limits of a component that none were given to; made once, since they cannot be changed."""
