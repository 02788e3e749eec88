"""STUN and TURN servers as Link headers, from which clients of WHIP and WHEP read them.

RFC 9725 section 4.6. Functions without state.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

URL: Final = re.compile(r"(?:stun|turn)s?:[!#-;=?-~]+")
"""What the URL of a server may hold (RFC 7064, RFC 7065): nothing that ends a header or a link."""

QUOTABLE: Final = re.compile(r"[\t -~]*")
"""What a quoted string may hold (RFC 9110 section 5.6.4), of ASCII alone."""


def links_of(configuration: object) -> list[str]:
    """Returns the value of a Link header for each address of a server.

    Args:
        configuration: A W3C ``RTCConfiguration``; servers in it that no header can carry are left
            out.
    """
    servers = configuration.get("iceServers") if isinstance(configuration, Mapping) else None
    listed = servers if isinstance(servers, Sequence) else ()
    return [
        link
        for server in listed
        if isinstance(server, Mapping)
        for url in _urls_of(server)
        if (link := _link_of(url, server))
    ]


def _urls_of(server: Mapping[str, object]) -> list[str]:
    urls = server.get("urls", ())
    listed = [urls] if isinstance(urls, str) else urls if isinstance(urls, Sequence) else []
    return [each for each in listed if isinstance(each, str) and URL.fullmatch(each)]


def _link_of(url: str, server: Mapping[str, object]) -> str:
    link = f'<{url}>; rel="ice-server"'
    if not url.startswith("turn"):
        return link
    for name in ("username", "credential"):
        value = server.get(name, "")
        if not isinstance(value, str) or QUOTABLE.fullmatch(value) is None:
            return ""
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        link += f'; {name}="{escaped}"'
    return f'{link}; credential-type="password"'
