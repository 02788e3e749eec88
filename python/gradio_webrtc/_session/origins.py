"""The web pages that may use the server functions of a component: those that the server delivered.

Other pages in a visitor's browser can post to every address the browser reaches (cross-site request
forgery), and a page whose own name comes to lead to this machine (DNS rebinding) can even read the
answers. Programs are not kept out: they can send any header. Reads Starlette's requests without
importing them.
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
"""Seconds between two warnings. A refusal may be a mistake in the set-up, so it is logged; a flood
of refusals must not fill the log."""

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

MAX_PORT: Final = 65_535

HTTP_SCHEMES: Final = {"ws": "http", "wss": "https"}
"""The schemes of WebSockets, and those of the pages that open them (RFC 6455 section 11.1)."""

SAME_ORIGIN: Final = frozenset({"same-origin", "none"})
"""Values of ``Sec-Fetch-Site`` (W3C Fetch Metadata, section 2.3) by which the browser itself states
that the page and the address have one origin. Scripts cannot set this header."""

_warned_s: list[float] = []
"""The time of the last warning, on the monotonic clock; empty before the first."""


class Site(NamedTuple):
    """The addresses under which the server is reached, as far as they are known.

    Attributes:
        allowed_origins: Origins of other pages that may open sessions, such as
            ``"https://example.com"``.
        hosts: Names that lead to this server.
        trusted_proxies: Addresses or networks of proxies whose ``X-Forwarded-Host`` and
            ``X-Forwarded-Proto`` are believed.
    """

    allowed_origins: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    trusted_proxies: tuple[str, ...] = ()

    def allows(self, origin: str) -> bool:
        """True for the origin of another page that may call."""
        return _normal(origin) in self.allowed_origins


class PublicAddress(NamedTuple):
    """The address under which a client outside reached the server.

    Attributes:
        scheme: "http" or "https".
        host: The name or the IP address, in lower case and without brackets.
        port: The port; ``None`` for that of the scheme.
        prefix: The path that a proxy took away before that of the request; "" for none.
    """

    scheme: str
    host: str
    port: int | None
    prefix: str


class _Authority(NamedTuple):
    """A host with its port, ``None`` for that of the scheme; names are in lower case (RFC 3986)."""

    host: str
    port: int | None


def check_request(request: Any, site: Site) -> None:
    """Raises unless a request comes from a page of this server, from a listed one, or a program.

    Args:
        request: A request of Starlette's.
        site: The addresses of the server.

    Raises:
        RequestRefused: It does not. The reason, and the advice, go to the server's log alone.
    """
    try:
        _check_content(request)
        origin = request.headers.get("origin")
        if origin is not None and site.allows(origin):
            return
        host, scheme = _address_of(request, site)
        _check_origin(request, origin, host, scheme)
        _check_host(request, origin, host, site)
    except RequestRefused as refusal:
        log_refusal(str(refusal))
        raise RequestRefused from None


def check_mounted(request: Any, site: Site, *, is_json: bool = True) -> None:
    """Raises unless a request to a route of the user's own app may be answered.

    Browsers let pages of other origins send JSON only after a preflight, which the app answers: its
    CORSMiddleware, or the list in ``site``. Left to check is that it is JSON, and that the name of
    the host was not led here by a stranger.

    Args:
        request: A request of Starlette's.
        site: The addresses of the server.
        is_json: False for a route that has checked the content type itself, or whose method
            requires a preflight.

    Raises:
        RequestRefused: It may not. The reason, and the advice, go to the server's log alone.
    """
    try:
        if is_json:
            _check_content(request)
        origin = request.headers.get("origin")
        if origin is None or not site.allows(origin):
            _check_host(request, origin, _address_of(request, site)[0], site)
    except RequestRefused as refusal:
        log_refusal(str(refusal))
        raise RequestRefused from None


def check_socket(websocket: Any, site: Site) -> None:
    """Raises unless a WebSocket may be accepted: browsers open one from a page of any origin.

    They ask nobody before, and send cookies with it; but they always name the origin (RFC 6455
    section 4.1). So a WebSocket without one is that of a program, whatever its host.

    Args:
        websocket: A WebSocket of Starlette's, not accepted yet.
        site: The addresses of the server.

    Raises:
        RequestRefused: It may not. The reason, and the advice, go to the server's log alone.
    """
    try:
        origin = websocket.headers.get("origin")
        is_program = origin is None and "sec-fetch-site" not in websocket.headers
        if is_program or (origin is not None and site.allows(origin)):
            return
        host, scheme = _address_of(websocket, site)
        _check_origin(websocket, origin, host, HTTP_SCHEMES.get(scheme, scheme))
        _check_host(websocket, origin, host, site)
    except RequestRefused as refusal:
        log_refusal(str(refusal))
        raise RequestRefused from None


def public_address(request: Any, site: Site) -> PublicAddress:
    """Returns the address under which a request's client reached the server.

    A proxy that is trusted may state it, by ``X-Forwarded-Host``, ``-Proto``, ``-Port`` and
    ``-Prefix``; that of any other client counts for nothing.

    Args:
        request: A request or a WebSocket of Starlette's.
        site: The addresses of the server.
    """
    (host, port), scheme = _address_of(request, site)
    prefix = ""
    if _is_trusted(request, site):
        forwarded = _first(request, "x-forwarded-port")
        port = int(forwarded) if port is None and _is_port(forwarded) else port
        prefix = _first(request, "x-forwarded-prefix").rstrip("/")
    scheme = HTTP_SCHEMES.get(scheme, scheme)
    return PublicAddress(
        "https" if scheme == "https" else "http",
        host,
        None if port == DEFAULT_PORTS.get(scheme) else port,
        prefix if prefix.startswith("/") else "",
    )


def written_host(request: Any, site: Site) -> str:
    """Returns the host of `public_address` as the request has it, which may be in capitals."""
    text, _ = _stated_address(request, site)
    host = _read_authority(text).host
    begin = text.lower().find(host)
    return text[begin : begin + len(host)]


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text[:6]) <= MAX_PORT


def read_origins(origins: Iterable[str] | None) -> frozenset[str]:
    """Reads the argument ``allowed_origins``.

    Raises:
        TypeError: It is a text, or a collection of other things than texts.
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
    # Other kinds can be posted by any page without a preflight (Fetch standard, section 2.2.2).
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise RequestRefused(f"expected the content type application/json, got {_quote(kind)}")


def _check_origin(request: Any, origin: str | None, host: _Authority, scheme: str) -> None:
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in SAME_ORIGIN:
        raise RequestRefused(f"a page of another origin asked, {_quote(origin)}: {_ADVICE}")
    # A proxy may have replaced the Host of the request; the browser compared the original one.
    if origin is None or (site is not None and origin != "null"):
        return
    sender = _read_origin(origin)
    if sender is None or _with_port(host, sender[0]) != sender[1]:
        raise RequestRefused(f"a page of the origin {_quote(origin)} asked: {_ADVICE}")
    # Behind a proxy that ends TLS the server itself gets http.
    if scheme == "https" and sender[0] != "https":
        raise RequestRefused(f"a page of the origin {_quote(origin)} asked over https: {_ADVICE}")


def _check_host(request: Any, origin: str | None, host: _Authority, site: Site) -> None:
    """On loopback, refuses names that a foreign name server may have led here.

    Two facts distinguish a page behind a tunnel or a proxy from one that was rebound: an address is
    no name, and a rebound name has no certificate for https.
    """
    if not _is_on_loopback(request) or _is_ours(host.host) or host.host in site.hosts:
        return
    sender = None if origin is None else _read_origin(origin)
    if sender is not None and sender == ("https", _with_port(host, "https")):
        return
    if _is_trusted(request, site):
        return
    raise RequestRefused(f"expected a Host that leads here, got {_quote(host.host)}: {_ADVICE}")


_ADVICE: Final = (
    "if it should be let in, list it: allowed_origins=[...] of WebRTC or Stream; behind a proxy of "
    "your own name its address in trusted_proxies"
)


def _address_of(request: Any, site: Site) -> tuple[_Authority, str]:
    """Returns the host and the scheme as the browser has them."""
    host, scheme = _stated_address(request, site)
    return _read_authority(host), scheme


def _stated_address(request: Any, site: Site) -> tuple[str, str]:
    """Returns the host with its port, and the scheme, as they were written."""
    host, scheme = request.headers.get("host", ""), str(request.scope.get("scheme", "http"))
    if _is_trusted(request, site):
        host = _first(request, "x-forwarded-host") or host
        scheme = _first(request, "x-forwarded-proto") or scheme
    return host, scheme


def _first(request: Any, name: str) -> str:
    return str(request.headers.get(name, "")).partition(",")[0].strip()


def _is_trusted(request: Any, site: Site) -> bool:
    client = request.scope.get("client")
    # The port 0 is nobody's: uvicorn has put the client's address in the place of its proxy's, and
    # believes proxies on this machine alone, unless its options name others.
    is_replaced = client is not None and client[1] == 0
    peer = _read_ip("127.0.0.1" if is_replaced else client[0]) if client else None
    networks = (ipaddress.ip_network(each, strict=False) for each in site.trusted_proxies)
    return peer is not None and any(peer in each for each in networks)


def _is_on_loopback(request: Any) -> bool:
    """True if the connection came to a loopback address of this machine."""
    server = request.scope.get("server")
    address = _read_ip(server[0]) if server else None
    return address is not None and address.is_loopback


def _is_ours(host: str) -> bool:
    """True if no foreign name server decides where this host leads (RFC 6761, section 6.3)."""
    is_local = host == "localhost" or host.endswith(".localhost")
    return is_local or _read_ip(host) is not None or host in _machine_names()


@cache
def _machine_names() -> frozenset[str]:
    name = socket.gethostname().lower()
    return frozenset({name, f"{name}.local"})


def _read_authority(text: str) -> _Authority:
    try:
        parts = urlsplit(f"//{text}")
        return _Authority((parts.hostname or "").rstrip("."), parts.port)
    except ValueError:
        return _Authority("", None)


def _read_origin(text: str) -> tuple[str, _Authority] | None:
    scheme, _, rest = text.lower().partition("://")
    authority = _read_authority(rest)
    if scheme not in DEFAULT_PORTS or not authority.host or set("/?#@") & set(rest):
        return None
    return scheme, _with_port(authority, scheme)


def _with_port(authority: _Authority, scheme: str) -> _Authority:
    return _Authority(authority.host, authority.port or DEFAULT_PORTS[scheme])


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


def _quote(text: object) -> str:
    """Quotes text of a stranger's for the log, shortened."""
    return reprlib.repr(text)


def log_refusal(text: str) -> None:
    """Logs why a request was refused, once in `WARNING_EVERY_S`."""
    now_s = time.monotonic()
    if _warned_s and now_s - _warned_s[0] < WARNING_EVERY_S:
        return
    _warned_s[:] = [now_s]
    logger.warning("a request was refused: %s", text)
