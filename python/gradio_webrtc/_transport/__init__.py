"""The network side of a session. Imports neither handlers nor sessions nor Gradio."""

from .base import AudioBlock, AudioFrameSource, AudioSink, Transport, VideoFrameSource
from .buckets import TokenBucket
from .frame import PixelConverter, PlanarFrame, TimedFrame
from .link import (
    BrokenRules,
    Carrier,
    LinkTransport,
    TooManyCarriers,
    read_link_request,
)
from .ordered import Dialect, OrderedTransport
from .pacing import AudioPacer, PacedFrame
from .send_queue import Wire
from .webrtc.offer import Offer, read_offer
from .webrtc.peer import PeerTransport

__all__ = [
    "AudioBlock",
    "AudioFrameSource",
    "AudioPacer",
    "AudioSink",
    "BrokenRules",
    "Carrier",
    "Dialect",
    "LinkTransport",
    "Offer",
    "OrderedTransport",
    "PacedFrame",
    "PeerTransport",
    "PixelConverter",
    "PlanarFrame",
    "TimedFrame",
    "TokenBucket",
    "TooManyCarriers",
    "Transport",
    "VideoFrameSource",
    "Wire",
    "read_link_request",
    "read_offer",
]
