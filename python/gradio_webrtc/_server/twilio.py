"""Requests of Twilio's: their signatures, their addresses, and the answers in TwiML.

Written from Twilio's public description. Functions for any thread, and one class for one event
loop; imports nothing of sessions but the addresses of a server.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import itertools
import secrets
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, tostring

from gradio_webrtc._session.origins import (
    DEFAULT_PORTS,
    PublicAddress,
    Site,
    public_address,
    written_host,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SIGNATURE_HEADER: Final = "x-twilio-signature"

TICKET_S: Final = 300.0
"""The life of a ticket, in seconds. The telephone service connects once it has read the greeting
aloud."""

MAX_USED_TICKETS: Final = 4096
"""Tickets that are stored as used; the oldest are removed first. Only genuine ones are."""

PATH_CHARS: Final = "/:@!$&'()*+,;=~-._"
"""Characters that stand in the path of a URL as they are (RFC 3986 section 3.3)."""


class TwilioAccount:
    """Checks that requests come from one Twilio account, by the token that both have.

    The tickets that were used are those of all streams of a process: several may have the token.

    Args:
        auth_token: The auth token of the account.

    Raises:
        ValueError: It is empty, with which anybody could sign.
    """

    _used: ClassVar[OrderedDict[str, None]] = OrderedDict()

    def __init__(self, auth_token: str) -> None:
        if not auth_token:
            raise ValueError("twilio_auth_token is empty: pass None to take calls from anybody")
        self._token = auth_token.encode()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"

    def has_signed(
        self, signature: str | None, urls: Iterable[str], fields: Iterable[tuple[str, str]] = ()
    ) -> bool:
        """True if a request is signed for one of these addresses.

        Args:
            signature: The value of its header; ``None`` without one.
            urls: The addresses that the service may have called, one of which it signs.
            fields: The fields of a form.
        """
        if signature is None:
            return False
        given = signature.encode(errors="replace")
        # Each name and value once, as the service's own libraries do.
        form = "".join(name + value for name, value in sorted(set(fields)))
        genuine = [self._sign(url + form) for url in urls]
        return any(hmac.compare_digest(each, given) for each in genuine)

    def issue_ticket(self, call_sid: str) -> str:
        """Returns a text that proves, once, that a WebSocket follows a signed webhook.

        Any process that has the token can check it: the two may come to different ones.
        """
        expires, nonce = f"{_now_s() + TICKET_S:.0f}", secrets.token_hex(16)
        return f"{expires}.{nonce}.{self._seal(expires, nonce, call_sid)}"

    def redeem_ticket(self, ticket: str, call_sid: str) -> bool:
        """True if a ticket is genuine, of this call, fresh, and was not redeemed here before."""
        expires, _, rest = ticket.partition(".")
        nonce, _, seal = rest.partition(".")
        expected = self._seal(expires, nonce, call_sid)
        if not hmac.compare_digest(seal.encode(errors="replace"), expected.encode()):
            return False
        # It is one of ours from here on.
        if _now_s() > float(expires) or nonce in self._used:
            return False
        self._used[nonce] = None
        if len(self._used) > MAX_USED_TICKETS:
            self._used.popitem(last=False)
        return True

    def _sign(self, text: str) -> bytes:
        digest = hmac.new(self._token, text.encode(errors="replace"), hashlib.sha1).digest()
        return base64.b64encode(digest)

    def _seal(self, expires: str, nonce: str, call_sid: str) -> str:
        text = f"gradio_webrtc ticket\n{expires}\n{nonce}\n{call_sid}"
        return hmac.new(self._token, text.encode(errors="replace"), hashlib.sha256).hexdigest()


def _now_s() -> float:
    # Another process may check a ticket, which has no monotonic clock in common with this one.
    return time.time()  # noqa: TID251


def public_path(request: Any, address: PublicAddress, path: str | None = None) -> str:
    """Returns a path as clients outside have it.

    Args:
        request: A request or a WebSocket of Starlette's.
        address: The server's, as that client reached it.
        path: A path within the app; by default that of the request.
    """
    root = str(request.scope.get("root_path", "")).rstrip("/")
    own = route_path(request) if path is None else path
    # A proxy may state the prefix that the server has as its root path, too.
    prefix = "" if root.startswith(address.prefix) else address.prefix
    return quote(f"{prefix}{root}{own}", safe=PATH_CHARS)


def route_path(request: Any) -> str:
    """Returns the path of a request within the app."""
    path, root = str(request.scope["path"]), str(request.scope.get("root_path", "")).rstrip("/")
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


def signed_urls(request: Any, site: Site) -> Iterator[str]:
    """Yields the addresses that the service may have signed for a request.

    A proxy that ends TLS may not state it, the port of the scheme may be written or not, the host
    may be in capitals, and the address of a WebSocket is signed with a slash at its end by some.

    Args:
        request: A request or a WebSocket of Starlette's.
        site: The addresses of the server.
    """
    address = public_address(request, site)
    is_socket = request.scope["type"] == "websocket"
    path = public_path(request, address)
    query = request.scope.get("query_string", b"").decode("latin-1")
    schemes = ("wss", "ws") if is_socket else ("https", "http")
    ends = [path, f"{path}/"] if is_socket else [path]
    hosts = dict.fromkeys((address.host, written_host(request, site)))
    for host, scheme in itertools.product(hosts, schemes):
        default = DEFAULT_PORTS["https" if scheme.endswith("s") else "http"]
        for port, end in itertools.product(dict.fromkeys((address.port, None, default)), ends):
            yield f"{scheme}://{_authority(host, port)}{end}{query and f'?{query}'}"


def socket_url(request: Any, site: Site, path: str) -> str:
    """Returns the address of a WebSocket of this server, as clients outside have it.

    Telephone services take encrypted ones alone, and a proxy that ends TLS may not state it: it is
    "wss" for every public name.

    Args:
        request: The request that the answer is for.
        site: The addresses of the server.
        path: The path of the WebSocket within the app.
    """
    address = public_address(request, site)
    is_plain = address.scheme == "http" and _is_local(address.host)
    authority = _authority(address.host, address.port)
    return f"{'ws' if is_plain else 'wss'}://{authority}{public_path(request, address, path)}"


def connect_twiml(
    url: str, parameters: Iterable[tuple[str, str]], greeting: str | None, farewell: str | None
) -> str:
    """Returns the TwiML that connects a call to a WebSocket, both ways.

    Args:
        url: The address of the WebSocket.
        parameters: Names and values that come back with its ``start``.
        greeting: Read aloud before that; ``None`` for nothing.
        farewell: Read aloud once the WebSocket has ended, likewise.
    """
    response = Element("Response")
    if greeting:
        SubElement(response, "Say").text = greeting
    stream = SubElement(SubElement(response, "Connect"), "Stream", url=url)
    for name, value in parameters:
        SubElement(stream, "Parameter", name=name, value=value)
    if farewell:
        SubElement(response, "Say").text = farewell
    return _xml(response)


def busy_twiml() -> str:
    """Returns the TwiML that refuses a call: the user gets the busy signal."""
    response = Element("Response")
    SubElement(response, "Reject", reason="busy")
    return _xml(response)


def _xml(element: Element) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>' + tostring(element, encoding="unicode")


def _authority(host: str, port: int | None) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"


def _is_local(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
