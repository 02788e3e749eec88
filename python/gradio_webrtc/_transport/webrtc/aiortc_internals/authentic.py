"""The time of the last packet that only the remote peer can have sent.

The guard of datagrams and the transport of media note it. Runs on the event loop. Imports
nothing of ours.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradio_webrtc._media import SecureReceiver


class AuthenticPackets:
    """The time of the last packet that was decrypted, whatever it carried, or that was signed.

    The source of a datagram can be forged, and proves nothing.

    Args:
        clock: Seconds, monotonic.

    Attributes:
        secured: Decrypts packets of its own, whose time counts, too; on the same clock.
    """

    __slots__ = ("_last_s", "clock", "secured")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.secured: SecureReceiver | None = None
        self._last_s = clock()

    @property
    def last_s(self) -> float:
        """The time of the packet, in seconds of the clock.

        Before the first one, the time at which this object was made.
        """
        secured_s = None if self.secured is None else self.secured.last_s
        return self._last_s if secured_s is None else max(self._last_s, secured_s)

    def note(self) -> None:
        """Notes that such a packet has come."""
        self._last_s = self.clock()
