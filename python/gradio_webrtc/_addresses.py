"""The UDP ports and the addresses that clients reach the server at, as programs write them.

Plain values, checked when they are written. `_transport` opens its sockets by them. Imports nothing
of ours.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

PORTS: Final = range(1, 65_536)
"""The ports of UDP; 0 stands for any (RFC 768)."""

EXPECTED_PORTS: Final = "udp_ports must be a port, or the first and the last one, (50000, 50100)"
EXPECTED_ADDRESSES: Final = (
    'host_candidates must be a list of addresses, ["203.0.113.7"], or a dict from an address of '
    'this machine to the one that it has outside, {"10.0.0.5": "203.0.113.7"}'
)


@dataclass(frozen=True)
class ServerAddresses:
    """The UDP ports and the addresses of the server's side of sessions.

    Attributes:
        ports: The ports that sockets are bound to; empty for any that are free. All sessions share
            a single one, and each has its own where there are several.
        public: Addresses that are offered in place of all own ones.
        public_of: Addresses that are offered in place of one, by that one.
    """

    ports: Sequence[int] = ()
    public: tuple[str, ...] = ()
    public_of: tuple[tuple[str, str], ...] = ()

    @property
    def is_default(self) -> bool:
        """True if any ports are bound, and the machine's own addresses are offered."""
        return not (self.ports or self.public or self.public_of)

    def offered_for(self, own: str, others: Collection[str]) -> list[str]:
        """Returns the addresses that are offered for a socket.

        Args:
            own: The address that it is bound to.
            others: The addresses of all sockets of the session.
        """
        if self.public_of:
            return [dict(self.public_of).get(own, own)]
        version = ipaddress.ip_address(own).version
        listed = [each for each in self.public if ipaddress.ip_address(each).version == version]
        if not listed:
            return [own]
        # One of the machine's own stands in the list for its own socket alone.
        return [each for each in listed if each == own or each not in others]


DEFAULT_ADDRESSES: Final = ServerAddresses()
"""Any ports, and the machine's own addresses."""


def read_addresses(udp_ports: object, host_candidates: object) -> ServerAddresses:
    """Returns the ports and addresses of the arguments ``udp_ports`` and ``host_candidates``.

    Raises:
        TypeError: One is of the wrong kind.
        ValueError: A port or an address is none.
    """
    ports = () if udp_ports is None else _read_ports(udp_ports)
    if host_candidates is None:
        return ServerAddresses(ports)
    if isinstance(host_candidates, Mapping):
        pairs = [
            (_read_address(own), _read_address(public)) for own, public in host_candidates.items()
        ]
        for own, public in pairs:
            if ipaddress.ip_address(own).version != ipaddress.ip_address(public).version:
                raise ValueError(
                    f"host_candidates must map IPv4 to IPv4 and IPv6 to IPv6; got {own} to {public}"
                )
        return ServerAddresses(ports, public_of=tuple(pairs))
    if isinstance(host_candidates, str | bytes) or not isinstance(host_candidates, Iterable):
        raise TypeError(f"{EXPECTED_ADDRESSES}; got {host_candidates!r}")
    return ServerAddresses(ports, public=tuple(_read_address(each) for each in host_candidates))


def _read_ports(given: object) -> range:
    if isinstance(given, range):
        if given.step != 1:
            raise ValueError(f"{EXPECTED_PORTS}; got {given!r}, which leaves some out")
        ports = given
    elif isinstance(given, tuple | list):
        if len(given) != 2:  # noqa: PLR2004  # the first and the last
            raise ValueError(f"{EXPECTED_PORTS}; got {given!r}")
        first, last = (_read_port(each, given) for each in given)
        ports = range(first, last + 1)
    else:
        port = _read_port(given, given)
        ports = range(port, port + 1)
    if not ports:
        raise ValueError(f"{EXPECTED_PORTS}; got {given!r}, which has none")
    if ports[0] not in PORTS or ports[-1] not in PORTS:
        raise ValueError(f"udp_ports must be from {PORTS[0]} to {PORTS[-1]}; got {given!r}")
    return ports


def _read_port(port: object, given: object) -> int:
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"{EXPECTED_PORTS}; got {given!r}")
    return port


def _read_address(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{EXPECTED_ADDRESSES}; got {text!r}")
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise ValueError(f"{EXPECTED_ADDRESSES}, and no names or ports; got {text!r}") from error
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"{EXPECTED_ADDRESSES}; got {text!r}, where no machine is reached")
    return str(address)
