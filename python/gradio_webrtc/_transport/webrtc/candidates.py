"""The gate for the remote peer's candidates: addresses that it asks the server to send to.

A server that checks every address of an offer is a port scanner for its author. A candidate that is
refused here is not checked; the remote peer can still be reached there, since its own checks are
answered at whatever address they come from (peer-reflexive candidates, RFC 8445 section 7.3.1.3).
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import ifaddr
from aiortc.sdp import candidate_from_sdp

from gradio_webrtc._limits import DEFAULT_LIMITS
from gradio_webrtc.errors import InvalidCandidate, InvalidOffer

from .aiortc_internals import host_addresses

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aiortc import RTCIceCandidate

    from gradio_webrtc._limits import Limits

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address
    Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

MAX_NAMES: Final = 4
"""Names of multicast DNS that are resolved, each a packet to everybody on the local network. A
browser has one for each interface."""

PORTS: Final = range(1024, 65_536)
"""Below are services; no browser sends from there (RFC 6335 section 6)."""

CANDIDATE: Final = "a=candidate:"
END: Final = "a=end-of-candidates"

LINE_ENDS_OF_OTHERS: Final = re.compile("\r(?!\n)|[\v\f\x1c\x1d\x1e\x85\u2028\u2029]")
"""Python ends lines there, and SDP does not (RFC 8866 section 5)."""

NAME: Final = re.compile(r"[A-Za-z0-9-]{1,63}\.local")
"""Of multicast DNS, as browsers make it of a UUID."""

OF_NOBODY_BLOCKS: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        "0.0.0.0/8",
        "240.0.0.0/4",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "2002::/16",
        "2001::/32",
    )
)
"""Of no remote peer: "this network" and reserved ones (RFC 6890), and those of IPv6 that stand for
addresses of IPv4 of any kind."""

OF_NOBODY: Final = frozenset(
    ipaddress.ip_address(each)
    for each in (
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
    )
)
"""Where providers answer questions of their machines."""


class OfferedCandidates(NamedTuple):
    """The candidates in an offer, and the offer without them.

    Attributes:
        sdp: The rest.
        lines: Each candidate with the index of its media section.
    """

    sdp: str
    lines: Sequence[tuple[int, str]]


def take_candidates(sdp: str, most: int) -> OfferedCandidates:
    """Takes the candidates out of an offer, of which there may be so many.

    Raises:
        InvalidOffer: Its lines do not end as those of SDP do, or there are too many candidates.
    """
    if LINE_ENDS_OF_OTHERS.search(sdp):
        raise InvalidOffer("expected lines that end with CR LF (RFC 8866 section 5)")
    section, rest, found = -1, [], []
    for line in sdp.split("\n"):
        text = line.removesuffix("\r")
        section += text.startswith("m=")
        if text.startswith(CANDIDATE):
            found.append((section, text.removeprefix("a=")))
        elif text != END:
            rest.append(line)
    if len(set(found)) > most:
        raise InvalidOffer(f"expected at most {most} candidates, got {len(set(found))}")
    return OfferedCandidates("\n".join(rest), list(dict.fromkeys(found)))


def parse_candidate(line: str) -> RTCIceCandidate:
    """A candidate line, as `RTCIceCandidate` of the W3C has it.

    Raises:
        InvalidCandidate: It is none.
    """
    try:
        return candidate_from_sdp(line.removeprefix("candidate:"))
    except (ValueError, AssertionError, IndexError) as error:
        raise InvalidCandidate(f"cannot read the candidate {line[:100]!r}") from error


class CandidateGate:
    """Decides which candidates of one remote peer are checked.

    Args:
        limits: Their greatest number, and the networks that are allowed.
        own: The server's own with the prefixes of their networks (``"10.1.2.3/16"``); by default
            those of this machine's interfaces, whichever of them it offers.

    Attributes:
        refused: The number of candidates that were not let through, by reason.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS, own: Iterable[str] | None = None) -> None:
        self.refused: Counter[str] = Counter()
        self._most = limits.candidates
        self._allowed = [
            ipaddress.ip_network(each, strict=False) for each in limits.candidate_networks
        ]
        self._own = None if own is None else [ipaddress.ip_interface(each) for each in own]
        self._offered = None if self._own is None else [each.ip for each in self._own]
        self._seen: set[tuple[str, int, str]] = set()
        self._names = 0

    def lets_through(self, candidate: RTCIceCandidate) -> bool:
        """True for a candidate that may be checked; counts it otherwise."""
        reason = self._refusal(candidate)
        if reason is not None:
            self.refused[reason] += 1
        return reason is None

    def _refusal(self, candidate: RTCIceCandidate) -> str | None:
        if candidate.protocol.lower() != "udp":
            return "protocol"
        if candidate.port not in PORTS:
            return "port"
        key = (candidate.ip, candidate.port, candidate.protocol)
        if key in self._seen:
            return "twice"
        if len(self._seen) >= self._most:
            return "number"
        self._seen.add(key)
        if NAME.fullmatch(candidate.ip):
            self._names += 1
            return "names" if self._names > MAX_NAMES else None
        return self._refusal_of(candidate.ip)

    def _refusal_of(self, host: str) -> str | None:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return "address"
        kind = _kind_of(address)
        match kind:
            case "global":
                is_allowed = True
            case "nobody's":
                is_allowed = False
            case "loopback":
                is_allowed = self._has_only_itself() or self._is_listed(address)
            case "private":
                is_allowed = self._is_of_own_network(address) or self._is_listed(address)
            case _:
                is_allowed = self._is_listed(address)
        return None if is_allowed else kind

    def _has_only_itself(self) -> bool:
        return all(each.is_loopback for each in self._offered_addresses())

    def _is_listed(self, address: Address) -> bool:
        return any(address in network for network in self._allowed)

    def _is_of_own_network(self, address: Address) -> bool:
        # A network of all addresses is that of a tunnel, behind which others' networks are.
        return any(
            each.network.prefixlen > 0 and address in each.network
            for each in self._own_interfaces()
        )

    def _own_interfaces(self) -> list[Interface]:
        if self._own is None:
            self._own = [
                ipaddress.ip_interface(
                    (each.ip if isinstance(each.ip, str) else each.ip[0], each.network_prefix)
                )
                for adapter in ifaddr.get_adapters()
                for each in adapter.ips
            ]
        return self._own

    def _offered_addresses(self) -> list[Address]:
        if self._offered is None:
            self._offered = [
                ipaddress.ip_address(each.partition("%")[0]) for each in host_addresses()
            ]
        return self._offered


def _kind_of(address: Address) -> str:
    """The class of an address; "nobody's" for those that no remote peer has."""
    if address in OF_NOBODY or address.is_multicast or address.is_unspecified:
        return "nobody's"
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    if any(address in block for block in OF_NOBODY_BLOCKS):
        return "nobody's"
    return "global" if address.is_global else "private"
