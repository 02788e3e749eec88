"""The parts of a connection, and the change of one of them into one of ours.

Runs on the event loop, before the connection starts. Imports nothing of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from aiortc import RTCDtlsTransport, RTCPeerConnection

Hardened = TypeVar("Hardened")


def become(thing: object, kind: type[Hardened]) -> Hardened | None:
    """Makes an object of aiortc one of ours, which overrides what trusts the remote peer too much.

    aiortc makes its objects itself, and has no place to hand it others. Changing the class of one
    leaves those of other programs alone, costs no call per packet and makes no reference cycle.

    Args:
        thing: An object of aiortc, whose names `probe` has found.
        kind: A subclass of its class, with no slots and no constructor of its own.

    Returns:
        The object; ``None`` if it is of another class already.
    """
    if type(thing) is not kind.__base__:
        return None
    hardened: Any = thing
    hardened.__class__ = kind
    return hardened  # type: ignore[no-any-return]


def transports_of(pc: RTCPeerConnection) -> Iterator[RTCDtlsTransport]:
    """Yields each transport that a connection uses, once."""
    found = [each.receiver.transport for each in pc.getTransceivers()]
    if pc.sctp is not None:
        found.append(pc.sctp.transport)
    yield from dict.fromkeys(found)


def cancel_marked(task: asyncio.Task[None], *marks: asyncio.Event) -> None:
    """Cancels a task; the marks that others wait for are set, however far it has come."""

    def set_marks(_task: object) -> None:
        for mark in marks:
            mark.set()

    task.add_done_callback(set_marks)
    task.cancel()
