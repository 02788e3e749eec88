"""The machine's own addresses that a session may be held on.

Patches one function of aioice for the whole process, once. Call it on the event loop, before the
first connection. Imports nothing of ours but `names` and `probe`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from aioice import ice

from . import names, probe

GetAddresses = Callable[[bool, bool], list[str]]


def host_addresses() -> list[str]:
    """Returns the addresses that are offered to remote peers; those of IPv6 may end in a zone."""
    return list(ice.get_host_addresses(use_ipv4=True, use_ipv6=True))


def offer_loopback_when_alone() -> None:
    """Lets a machine without a network reach itself.

    aioice leaves 127.0.0.1 out of the host candidates. On a machine with no other address that
    leaves none, and a client on that machine could never connect. With any other address nothing
    changes. The function is patched for the whole process, once; calling it again does nothing.
    """
    if not probe.has(names.LOOPBACK):
        return
    original = ice.get_host_addresses
    if getattr(original, "offers_loopback", False):
        return

    @functools.wraps(original)
    def get_host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:  # noqa: FBT001  # aioice's
        found = original(use_ipv4=use_ipv4, use_ipv6=use_ipv6)
        return found or (["127.0.0.1"] if use_ipv4 else ["::1"])

    get_host_addresses.offers_loopback = True  # type: ignore[attr-defined]
    ice.get_host_addresses = get_host_addresses
