"""gradio_webrtc 0.0.31, which fastrtc and this package come from, behind `call_server.py`."""

import functools
import os

from aiortc import RTCConfiguration, RTCPeerConnection
from conversing import count, make_handler

from gradio_webrtc import ReplyOnPause, StreamHandler, WebRTC, webrtc
from gradio_webrtc.pause_detection.vad import SileroVADModel

SileroVADModel.download_model = staticmethod(lambda: os.environ["BENCH_SILERO_OLD"])
# Its default asks a STUN server, which takes seconds where there is no network.
webrtc.RTCPeerConnection = functools.partial(RTCPeerConnection, RTCConfiguration(iceServers=[]))


def make_offer(scenario, meter):
    """Answers offers with that scenario's handler."""
    count(ReplyOnPause, "emit", meter, "emits")
    component = WebRTC(modality="audio", mode="send-receive")
    component.concurrency_limit = 10_000
    component.event_handler = make_handler(scenario, StreamHandler, ReplyOnPause, meter)
    return component.offer
