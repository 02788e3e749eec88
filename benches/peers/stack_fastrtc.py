"""fastrtc 0.0.34 behind `call_server.py`."""

import fastrtc_model  # noqa: F401  # before the model is made
from aiortc import RTCConfiguration
from conversing import count, make_handler, make_video_function
from fastrtc import AsyncStreamHandler, ReplyOnPause, StreamHandler
from fastrtc.webrtc_connection_mixin import WebRTCConnectionMixin


class Connections(WebRTCConnectionMixin):
    """The part that fastrtc's Stream and WebRTC share, without a page."""

    def __init__(self, handler, modality="audio") -> None:
        super().__init__()
        self.concurrency_limit = 10_000
        self.event_handler = handler
        self.time_limit = None
        self.modality = modality
        self.mode = "send-receive"
        self.allow_extra_tracks = False
        self.rtc_configuration = None
        # Its default asks a STUN server, which takes seconds where there is no network.
        self.server_rtc_configuration = RTCConfiguration(iceServers=[])


def make_offer(scenario, meter):
    """Answers offers with that scenario's handler."""
    count(ReplyOnPause, "emit", meter, "emits")
    if scenario == "video":
        connections = Connections(make_video_function(meter), "video")
    else:
        handler = make_handler(scenario, StreamHandler, ReplyOnPause, meter, AsyncStreamHandler)
        connections = Connections(handler)

    async def offer(body):
        return await connections.handle_offer(
            body, connections.set_additional_outputs(body["webrtc_id"])
        )

    return offer
