"""Which web pages may use the server functions of a component: those that the server itself gave.

Other pages in a visitor's browser can post to every address the browser reaches (cross-site request
forgery), and a page whose own name comes to mean this machine (DNS rebinding) can even read the
answers. Programs are not kept out: they can send any header. Understands Starlette's requests
without importing them.
"""

from __future__ import annotations

import ipaddress
import logging
import reprlib
import socket
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from gradio_webrtc.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger(__name__)

WARNING_EVERY_S: Final = 60.0
"""A refusal may be a mistake in the set-up, which the log tells; a flood of them fills no log."""

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

SAME_ORIGIN: Final = frozenset({"same-origin", "none"})
"""Values of ``Sec-Fetch-Site`` (W3C Fetch Metadata, section 2.3) with which the browser itself says
that the page and the address have one origin. Scripts cannot set this header."""

_warned_s: list[float] = []


class Site(NamedTuple):
    """What is known of the addresses under which the server is reached.

    Attributes:
        allowed_origins: Origins of other pages that may call, such as ``"https://example.com"``.
        hosts: Names that are known to lead to this server.
        trusted_proxies: Addresses or networks of proxies whose ``X-Forwarded-Host`` and
            ``X-Forwarded-Proto`` are believed.
    """

    allowed_origins: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    trusted_proxies: tuple[str, ...] = ()


class _Place(NamedTuple):
    """A host with its port, ``None`` where the scheme says it; names are in lower case."""

    host: str
    port: int | None


def check_request(request: Any, site: Site) -> None:
    """Raises unless a request comes from a page of this server, from a listed one, or a program.

    Args:
        request: Starlette's.
        site: What is known of the server.

    Raises:
        RequestRefused: It does not; says what came and what to do, for the server's log alone.
    """
    try:
        _check_content(request)
        origin = request.headers.get("origin")
        if origin is not None and _normal(origin) in site.allowed_origins:
            return
        host, scheme = _address_of(request, site)
        _check_origin(request, origin, host, scheme)
        _check_host(request, origin, host, site)
    except RequestRefused as refusal:
        _warn(str(refusal))
        raise RequestRefused from None


def read_origins(origins: Iterable[str] | None) -> frozenset[str]:
    """Reads the argument ``allowed_origins``.

    Raises:
        TypeError: It is text, or no collection of texts.
        ValueError: One is no origin.
    """
    if isinstance(origins, str) or not all(isinstance(each, str) for each in origins or ()):
        raise TypeError(
            f'allowed_origins must be a list such as ["https://x.org"]; got {origins!r}'
        )
    for each in origins or ():
        if urlsplit(each).scheme not in DEFAULT_PORTS or urlsplit(each).path not in ("", "/"):
            raise ValueError(
                f'allowed_origins must be scheme and host, such as "https://x.org"; got {each!r}'
            )
    return frozenset(_normal(each) for each in origins or ())


def _check_content(request: Any) -> None:
    # Other kinds can be posted by any page without asking (Fetch standard, section 2.2.2).
    sent = request.headers.get("content-type", "")
    if sent.partition(";")[0].strip().lower() != "application/json":
        raise RequestRefused(f"expected the content type application/json, got {_shown(sent)}")


def _check_origin(request: Any, origin: str | None, host: _Place, scheme: str) -> None:
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in SAME_ORIGIN:
        raise RequestRefused(f"a page of another origin asked, {_shown(origin)}: {_ADVICE}")
    # A proxy may have given the request another Host; the browser knows the one that it asked.
    if origin is None or (site is not None and origin != "null"):
        return
    sender = _read_origin(origin)
    if sender is None or _with_port(host, sender[0]) != sender[1]:
        raise RequestRefused(f"a page of the origin {_shown(origin)} asked: {_ADVICE}")
    # Behind a proxy that ends TLS the server itself sees http.
    if scheme == "https" and sender[0] != "https":
        raise RequestRefused(f"a page of the origin {_shown(origin)} asked over https: {_ADVICE}")


def _check_host(request: Any, origin: str | None, host: _Place, site: Site) -> None:
    """On loopback, refuses names that somebody else's name server may have led here.

    That an address is no name, and that a rebound name has no certificate, tells a page behind a
    tunnel or a proxy from one that was rebound.
    """
    if not _is_on_loopback(request) or _is_ours(host.host) or host.host in site.hosts:
        return
    sender = None if origin is None else _read_origin(origin)
    if sender is not None and sender == ("https", _with_port(host, "https")):
        return
    if _is_trusted(request, site):
        return
    raise RequestRefused(f"expected a Host that leads here, got {_shown(host.host)}: {_ADVICE}")


_ADVICE: Final = (
    "if it should be let in, list it: WebRTC(allowed_origins=[...]); behind a proxy of your own "
    "name its address in trusted_proxies"
)


def _address_of(request: Any, site: Site) -> tuple[_Place, str]:
    """The host and the scheme as the browser has them."""
    host, scheme = request.headers.get("host", ""), str(request.scope.get("scheme", "http"))
    if _is_trusted(request, site):
        host = _first(request, "x-forwarded-host") or host
        scheme = _first(request, "x-forwarded-proto") or scheme
    return _read_place(host), scheme


def _first(request: Any, name: str) -> str:
    return str(request.headers.get(name, "")).partition(",")[0].strip()


def _is_trusted(request: Any, site: Site) -> bool:
    client = request.scope.get("client")
    peer = _read_ip(client[0]) if client else None
    networks = (ipaddress.ip_network(each, strict=False) for each in site.trusted_proxies)
    return peer is not None and any(peer in each for each in networks)


def _is_on_loopback(request: Any) -> bool:
    """Whether the connection came to a loopback address of this machine."""
    server = request.scope.get("server")
    address = _read_ip(server[0]) if server else None
    return address is not None and address.is_loopback


def _is_ours(host: str) -> bool:
    """Whether no foreign name server has a say in where this host leads."""
    is_local = host == "localhost" or host.endswith(".localhost")
    return is_local or _read_ip(host) is not None or host in _machine_names()


@cache
def _machine_names() -> frozenset[str]:
    name = socket.gethostname().lower()
    return frozenset({name, f"{name}.local"})


def _read_place(text: str) -> _Place:
    try:
        parts = urlsplit(f"//{text}")
        return _Place((parts.hostname or "").rstrip("."), parts.port)
    except ValueError:
        return _Place("", None)


def _read_origin(text: str) -> tuple[str, _Place] | None:
    scheme, _, rest = text.lower().partition("://")
    place = _read_place(rest)
    if scheme not in DEFAULT_PORTS or not place.host or set("/?#@") & set(rest):
        return None
    return scheme, _with_port(place, scheme)


def _with_port(place: _Place, scheme: str) -> _Place:
    return _Place(place.host, place.port or DEFAULT_PORTS[scheme])


def _normal(origin: str) -> str:
    read = _read_origin(origin.rstrip("/"))
    return origin if read is None else f"{read[0]}://{read[1].host}:{read[1].port}"


def _read_ip(text: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(str(text))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _shown(text: object) -> str:
    return reprlib.repr(text)


def _warn(text: str) -> None:
    now_s = time.monotonic()
    if _warned_s and now_s - _warned_s[0] < WARNING_EVERY_S:
        return
    _warned_s[:] = [now_s]
    logger.warning("a request was refused: %s", text)
