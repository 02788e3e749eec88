"""Which addresses a call may be held on."""

from __future__ import annotations

import functools
from collections.abc import Callable

from aioice import ice

GetAddresses = Callable[[bool, bool], list[str]]


def offer_loopback_when_alone() -> None:
    """Makes a machine without a network reach itself.

    aioice leaves 127.0.0.1 out of the host candidates. On a machine with no other address that
    leaves none, and a page opened on that machine could never connect. With any other address
    nothing changes. Installed once; calling it again does nothing.
    """
    original = ice.get_host_addresses
    if getattr(original, "offers_loopback", False):
        return

    @functools.wraps(original)
    def get_host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:  # noqa: FBT001  # aioice's
        found = original(use_ipv4=use_ipv4, use_ipv6=use_ipv6)
        return found or (["127.0.0.1"] if use_ipv4 else ["::1"])

    get_host_addresses.offers_loopback = True  # type: ignore[attr-defined]
    ice.get_host_addresses = get_host_addresses
