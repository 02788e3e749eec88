"""The private names of aioice that the guard needs, as of 0.13, and whether they are there.

Knows nothing of what is done with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiortc import RTCDtlsTransport, RTCPeerConnection

CONNECTION: Final = "_connection"
PROTOCOLS: Final = "_protocols"
CHECK_LIST: Final = "_check_list"
NOMINATED: Final = "_nominated"
REMOTE_CANDIDATES: Final = "_remote_candidates"
QUEUE: Final = "_queue"
RECEIVE_NEXT: Final = "_recv_next"

METHODS: Final = ("data_received", "request_received", "query_consent", "build_request", "close")
"""Methods of a connection that the guard calls, or stands in front of."""


def looks_as_expected(connection: Any) -> bool:
    """True if a connection of aioice has all that the guard needs."""
    return (
        type(getattr(connection, PROTOCOLS, None)) is list
        and isinstance(getattr(connection, CHECK_LIST, None), list)
        and isinstance(getattr(connection, NOMINATED, None), dict)
        and isinstance(getattr(connection, REMOTE_CANDIDATES, None), list)
        and hasattr(getattr(connection, QUEUE, None), "put_nowait")
        and isinstance(getattr(connection, "local_username", None), str)
        and all(callable(getattr(connection, name, None)) for name in METHODS)
    )


def transports_of(pc: RTCPeerConnection) -> Iterator[RTCDtlsTransport]:
    """Each transport that a connection uses, once."""
    found = [each.receiver.transport for each in pc.getTransceivers()]
    if pc.sctp is not None:
        found.append(pc.sctp.transport)
    yield from dict.fromkeys(found)
