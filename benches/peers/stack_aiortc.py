"""A bare echo on aiortc, with nothing on top, behind `call_server.py`."""

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription


class Echo(MediaStreamTrack):
    """Gives back each frame as it comes."""

    def __init__(self, track, meter) -> None:
        super().__init__()
        self.kind = track.kind
        self._track = track
        self._meter = meter

    async def recv(self):
        frame = await self._track.recv()
        self._meter.received += 1
        return frame


def make_offer(scenario, meter):
    """Answers offers with an echo, of video as well; there is no other scenario."""
    if scenario not in ("echo", "video"):
        raise ValueError(scenario)
    connections = set()

    async def offer(body):
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connections.add(pc)
        pc.on("track", lambda track: pc.addTrack(Echo(track, meter)))
        await pc.setRemoteDescription(RTCSessionDescription(body["sdp"], "offer"))
        await pc.setLocalDescription(await pc.createAnswer())
        return {"sdp": pc.localDescription.sdp, "type": "answer"}

    return offer
