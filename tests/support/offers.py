"""Offers of aiortc's and of browsers, as text."""

from __future__ import annotations

from typing import Final

from aiortc import RTCConfiguration, RTCPeerConnection

from .repository import ROOT

BROWSERS: Final = {
    file.stem: file.read_bytes().decode()
    for file in sorted((ROOT / "tests" / "data" / "offers").glob("*.sdp"))
}
"""The offers of browsers for a microphone, with a camera or without, and a data channel."""


async def make_sdp(*kinds: str) -> str:
    """The SDP of a client with these media, each both ways, and a data channel."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.createDataChannel("text")
    for kind in kinds:
        pc.addTransceiver(kind)
    await pc.setLocalDescription(await pc.createOffer())
    sdp = str(pc.localDescription.sdp)
    await pc.close()
    return sdp
