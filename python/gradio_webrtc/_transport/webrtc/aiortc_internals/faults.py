"""Faults of the parsers of aiortc and aioice: counted and logged, never the end of a session."""

from __future__ import annotations

import asyncio
import inspect
import logging
import reprlib
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._transport.webrtc.quiet_log import QuietLog

from .ice_internals import RECEIVE_NEXT

if TYPE_CHECKING:
    from aiortc import RTCDtlsTransport

logger = logging.getLogger(__name__)

MAX_FAULTS: Final = 100
"""Faults of the parsers in a row, without a datagram between that was fine: that session ends."""

_faults = QuietLog(logger, "a datagram that nobody can make sense of was dropped")


def note_fault(error: Exception) -> None:
    """Logs that a parser failed, once a minute at most."""
    _faults.warn(f"{type(error).__name__}: {reprlib.repr(str(error))}")


def contain_faults(dtls: RTCDtlsTransport) -> None:
    """Has a transport go on after a datagram on which a parser of aiortc's fails."""
    receive_next: Any = getattr(dtls, RECEIVE_NEXT, None)
    if not inspect.iscoroutinefunction(receive_next):
        logger.warning("aiortc is not as expected: a datagram that it cannot read ends a session")
        return
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
            # Should it fail before it waits, nobody else would ever have a turn.
            await asyncio.sleep(0)
        else:
            faults = 0

    setattr(dtls, RECEIVE_NEXT, receive)
