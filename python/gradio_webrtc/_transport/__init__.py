"""The network side of a session. Imports neither handlers nor sessions nor Gradio."""

from .base import AudioBlock, AudioFrameSource, AudioSink, Transport, VideoFrameSource
from .buckets import TokenBucket
from .frame import PixelConverter, PlanarFrame, TimedFrame
from .ordered import Dialect, OrderedTransport
from .pacing import AudioPacer, PacedFrame
from .send_queue import Wire
from .webrtc.offer import Offer, read_candidate, read_offer
from .webrtc.peer import PeerTransport

__all__ = [
    "AudioBlock",
    "AudioFrameSource",
    "AudioPacer",
    "AudioSink",
    "Dialect",
    "Offer",
    "OrderedTransport",
    "PacedFrame",
    "PeerTransport",
    "PixelConverter",
    "PlanarFrame",
    "TimedFrame",
    "TokenBucket",
    "Transport",
    "VideoFrameSource",
    "Wire",
    "read_candidate",
    "read_offer",
]
