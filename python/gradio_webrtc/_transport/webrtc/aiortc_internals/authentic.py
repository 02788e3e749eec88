"""The time of the last packet that only the remote peer can have sent.

The guard of datagrams and the transport of media note it. Runs on the event loop. Imports
nothing of ours.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class AuthenticPackets:
    """The time of the last packet that was decrypted, whatever it carried, or that was signed.

    The source of a datagram can be forged, and proves nothing.

    Args:
        clock: Seconds, monotonic.

    Attributes:
        last_s: The time of the packet, in seconds of the clock; before the first one, the time at
            which this object was made.
    """

    __slots__ = ("clock", "last_s")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.last_s = clock()

    def note(self) -> None:
        """Notes that such a packet has come."""
        self.last_s = self.clock()
