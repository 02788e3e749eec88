"""Datagrams that reach a session's port: connectivity checks of ICE, and others."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

from aioice import stun

if TYPE_CHECKING:
    from collections.abc import Iterator


def check(username: str, password: str, **attributes: Any) -> bytes:
    """A connectivity check of ICE (RFC 8445 section 7.2.2)."""
    message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    message.attributes["USERNAME"] = username
    message.attributes["PRIORITY"] = 1
    message.attributes.update({name.replace("_", "-"): v for name, v in attributes.items()})
    message.add_message_integrity(password.encode())
    return bytes(message)


def mutations(datagram: bytes, count: int) -> Iterator[bytes]:
    made = random.Random(1)  # noqa: S311  # garbage
    for _ in range(count):
        changed = bytearray(datagram)
        for _ in range(made.randint(1, 4)):
            changed[made.randrange(len(changed))] = made.randrange(256)
        if made.random() < 0.3:
            del changed[made.randrange(len(changed)) :]
        yield bytes(changed)


def addresses(sdp: str) -> set[tuple[str, int]]:
    """The addresses of IPv4 in a description."""
    found = re.findall(r"a=candidate:\S+ \d+ udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+)", sdp)
    return {(host, int(port)) for host, port in found}
