"""The address and the Gradio session that a request comes from, for limits that count by either.

Reads the requests of Starlette and of Gradio without importing either. Runs in any thread.
"""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_HOPS: Final = 16
"""The proxies that are followed back, from the nearest on."""

IPV6_PREFIX: Final = 64
"""The prefix length of a network that one subscriber has to itself (RFC 6177): all of its addresses
are one client's."""

MAX_SESSION_CHARS: Final = 128
"""Gradio's session hashes have 11; longer names of a client are kept as a digest."""

FORWARDED: Final = ("x-forwarded-for", "forwarded")
"""The headers that proxies add: the usual one, and that of RFC 7239."""


class Client(NamedTuple):
    """The sender of a request, as far as the network shows.

    Attributes:
        address: An IPv4 address, or an IPv6 network of 64 bits; empty when there is none.
        session: The Gradio session, of the client's own choice. For a request that did not come
            through Gradio from an address that is shared, what proxies name, or the id that the
            client proposes. Empty when there is none.
        is_shared: True if many clients may come from this address: it is that of a proxy that
            names nobody, or that is not trusted.
    """

    address: str
    session: str = ""
    is_shared: bool = False

    @property
    def key(self) -> str:
        """The name under which limits count: the address, or one session where clients share it."""
        return f"{self.address} {self.session}" if self.is_shared else self.address


def client_of(
    request: Any, trusted_proxies: Iterable[str] = (), alias: object = None
) -> Client | None:
    """Returns the sender of a request; ``None`` for a program of this process, without one.

    Args:
        request: A ``gr.Request`` or a Starlette request.
        trusted_proxies: Addresses or networks of proxies that add ``X-Forwarded-For``.
        alias: The id that the client proposes for its session; anything else for none.
    """
    if request is None:
        return None
    peer = _peer_of(request)
    forwarded = _forwarded_for(request)
    session = name = gradio_session_of(request) or ""
    if not hasattr(request, "session_hash") or hasattr(request, "is_of_route"):
        # A client of a route has no Gradio session. Like that, these are its own choice.
        name = _bounded(",".join(forwarded) or (alias if isinstance(alias, str) else ""))
    networks = [ipaddress.ip_network(each, strict=False) for each in trusted_proxies]
    if peer is None:
        return Client("", name, is_shared=True)
    address = _follow_back(peer, forwarded, networks)
    is_named = address != peer or address in map(_read, forwarded)
    is_direct = is_named or (address.is_global and not _is_proxied(request))
    return Client(_normal(address), session if is_direct else name, is_shared=not is_direct)


def gradio_session_of(request: Any) -> str | None:
    """Returns the Gradio session that a request came from; ``None`` for a program without one.

    Its name is the client's own choice, so its length is bounded.
    """
    session = getattr(request, "session_hash", None)
    return _bounded(session) if isinstance(session, str) else None


async def has_left(request: Any) -> bool:
    """True if the client has closed the connection of its request: no answer can reach it."""
    ask = getattr(request, "has_left", None)
    return ask is not None and await ask()


def client_address(request: Any, trusted_proxies: Iterable[str] = ()) -> str:
    """Returns the key under which a request's client is counted; empty without a request."""
    client = client_of(request, trusted_proxies)
    return "" if client is None else client.key


def _bounded(name: str) -> str:
    if len(name) <= MAX_SESSION_CHARS:
        return name
    # JSON can carry lone surrogates, which UTF-8 cannot.
    return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()


def _follow_back(peer: IPAddress, forwarded: list[str], networks: list[IPNetwork]) -> IPAddress:
    """Returns the nearest address of no trusted proxy; each proxy adds its peer at the end."""
    address = peer
    for text in reversed(forwarded[-MAX_HOPS:]):
        if not any(address in network for network in networks):
            break
        named = _read(text)
        if named is None:
            break
        address = named
    return address


def _peer_of(request: Any) -> IPAddress | None:
    client = getattr(request, "client", None)
    # A tuple in ASGI, an object in Starlette, a copy in Gradio.
    host = client[0] if isinstance(client, tuple) and client else getattr(client, "host", None)
    return _read(host)


def _forwarded_for(request: Any) -> list[str]:
    """Returns the addresses in the order in which proxies added them.

    Some add a line of their own behind the client's: all lines are one list (RFC 9110 section 5.3).
    """
    headers = getattr(request, "headers", None) or {}
    lines = (
        headers.getlist("x-forwarded-for")
        if hasattr(headers, "getlist")
        else [headers.get("x-forwarded-for", "")]
    )
    return [each.strip() for line in lines for each in str(line).split(",") if each]


def _is_proxied(request: Any) -> bool:
    headers = getattr(request, "headers", None) or {}
    return any(headers.get(name) for name in FORWARDED)


def _read(text: object) -> IPAddress | None:
    """Reads an address, with or without a port; ``None`` for anything else.

    An IPv4 address that is written as IPv6 (RFC 4291, section 2.5.5.2) is returned as IPv4.
    """
    if not isinstance(text, str):
        return None
    text = text.strip().partition("%")[0]
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _normal(address: IPAddress) -> str:
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
    return str(address)
