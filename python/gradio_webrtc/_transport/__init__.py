"""The network side of a session. Imports neither handlers nor sessions nor Gradio."""

from .base import AudioBlock, AudioFrameSource, AudioSink, Transport, VideoFrameSource
from .frame import PixelConverter, PlanarFrame, TimedFrame
from .pacing import AudioPacer
from .webrtc.fragment import Fragment, read_fragment
from .webrtc.offer import Offer, read_offer
from .webrtc.peer import PeerTransport

__all__ = [
    "AudioBlock",
    "AudioFrameSource",
    "AudioPacer",
    "AudioSink",
    "Fragment",
    "Offer",
    "PeerTransport",
    "PixelConverter",
    "PlanarFrame",
    "TimedFrame",
    "Transport",
    "VideoFrameSource",
    "read_fragment",
    "read_offer",
]
