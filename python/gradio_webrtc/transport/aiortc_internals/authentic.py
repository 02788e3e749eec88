"""How much of what came to a connection could only be the remote peer's."""

from __future__ import annotations


class AuthenticPackets:
    """Counts the packets of a connection that were decrypted, whatever they carry.

    Attributes:
        count: Their number, which only grows.
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0
