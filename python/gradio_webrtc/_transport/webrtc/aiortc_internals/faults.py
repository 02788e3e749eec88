"""Faults of the parsers of aiortc and aioice: counted and logged, never the end of a session.

Runs on the event loop, around each datagram. Imports no other file of this room but `names` and
`probe`.
"""

from __future__ import annotations

import asyncio
import logging
import reprlib
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._transport.webrtc.quiet_log import QuietLog

from . import names, probe

if TYPE_CHECKING:
    from aiortc import RTCDtlsTransport

logger = logging.getLogger(__name__)

MAX_FAULTS: Final = 100
"""Faults of the parsers in a row, without a datagram between that was fine: that session ends."""

_faults = QuietLog(logger, "a datagram that no parser can read was dropped")


def note_fault(error: Exception) -> None:
    """Logs that a parser failed, once a minute at most."""
    _faults.warn(f"{type(error).__name__}: {reprlib.repr(str(error))}")


def contain_faults(dtls: RTCDtlsTransport) -> None:
    """Lets a transport go on after a datagram that a parser of aiortc fails at."""
    if not probe.has(names.FAULTS):
        return
    receive_next: Any = getattr(dtls, names.RECEIVE_NEXT)
    faults = 0

    async def receive() -> None:
        nonlocal faults
        try:
            await receive_next()
        except ConnectionError:
            raise
        except Exception as error:
            faults += 1
            note_fault(error)
            if faults >= MAX_FAULTS:
                raise ConnectionError from error
            # If it fails before it waits, no other task would ever run.
            await asyncio.sleep(0)
        else:
            faults = 0

    setattr(dtls, names.RECEIVE_NEXT, receive)
