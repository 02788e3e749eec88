"""Measures our own part of a reply: from the decision that the turn is over to the first packet."""

import asyncio
import functools

from aiortc import RTCDtlsTransport

from gradio_webrtc._session.session import Session

# Payload types of RTCP (RFC 5761, section 4).
RTCP = range(64, 96)


def watch(meter) -> None:
    """Adds each reply's milliseconds to ``meter.own_ms``."""
    decided = {}
    make, send = Session.__init__, RTCDtlsTransport._send_rtp

    @functools.wraps(make)
    def noting(session, *args, **kwargs):
        def note(_time_s, name, _data):
            if name == "pause_detected":
                (sender,) = session.transport._pc.getSenders()
                decided[sender.transport] = asyncio.get_running_loop().time()

        make(session, *args, **kwargs | {"on_event": note})

    @functools.wraps(send)
    async def sending(transport, data):
        await send(transport, data)
        if transport in decided and data[1] & 0x7F not in RTCP:
            now_s = asyncio.get_running_loop().time()
            meter.own_ms.append(1000 * (now_s - decided.pop(transport)))

    Session.__init__ = noting
    RTCDtlsTransport._send_rtp = sending
