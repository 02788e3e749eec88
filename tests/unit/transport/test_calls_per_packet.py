"""The number of Python calls of ours that one packet of audio takes in the transport.

A call costs some 50 ns and more, fifty times a second, for each session and each direction. Whoever
adds one to these numbers has a reason for it.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from aioice.ice import CandidatePair
from aiortc import RTCPeerConnection, RTCSessionDescription

from gradio_webrtc._transport.pacing import FRAME_SAMPLES
from gradio_webrtc._transport.webrtc.aiortc_internals import code_inline, names
from gradio_webrtc._transport.webrtc.aiortc_internals.authentic import AuthenticPackets
from gradio_webrtc._transport.webrtc.aiortc_internals.datagram_guard import DatagramGuard
from gradio_webrtc._transport.webrtc.audio import AudioSender

from .test_datagram_guard import HERE, Connection, Pair, Socket
from .test_fast_path import Ends, packet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from numpy.typing import NDArray

PACKETS = 100


@contextmanager
def counting() -> Iterator[list[str]]:
    """Notes the functions of the transport that are called, or resumed, within the block."""
    called: list[str] = []

    def note(frame: FrameType, event: str, _arg: object) -> None:
        if event == "call" and "gradio_webrtc/_transport" in frame.f_code.co_filename:
            called.append(frame.f_code.co_qualname)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(before)


async def test_an_inbound_packet_takes_five() -> None:
    ends, connection = Ends(), Connection()
    DatagramGuard(connection, authentic=AuthenticPackets())
    sock = Socket(connection)
    connection._check_list.append(Pair(HERE, CandidatePair.State.SUCCEEDED))  # noqa: SLF001
    connection.data_received = ends.receive
    datagrams = [ends.encrypt(packet(number)) for number in range(1, PACKETS + 2)]
    sock.datagram_received(datagrams.pop(0), HERE)
    with counting() as called:
        for datagram in datagrams:
            sock.datagram_received(datagram, HERE)
    assert len(ends.decoded) == PACKETS + 2
    assert len(called) <= 5 * PACKETS, sorted(set(called))


class Ready:
    """A source that has a frame of silence at any time."""

    async def wait_ready(self) -> None:
        """Always ready."""

    def pull(self, *, partial: bool = False) -> NDArray[np.int16]:
        del partial
        return np.zeros((1, FRAME_SAMPLES), np.int16)

    def pull_early(self) -> NDArray[np.int16] | None:
        return self.pull()


async def test_an_outbound_packet_takes_seven() -> None:
    client, callee = RTCPeerConnection(), RTCPeerConnection()
    client.addTransceiver("audio")
    offer = await client.createOffer()
    await callee.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
    callee.addTrack(AudioSender(Ready()))
    code_inline(callee, (await callee.createAnswer()).sdp, {})
    next_frame: Any = getattr(callee.getSenders()[0], names.NEXT_FRAME)
    await next_frame()
    with counting() as called:
        for _ in range(10):
            await next_frame()
    await asyncio.gather(client.close(), callee.close())
    # Two coroutines, each of which is resumed once by the clock; encoder and level.
    assert len(called) <= 7 * 10, sorted(set(called))
