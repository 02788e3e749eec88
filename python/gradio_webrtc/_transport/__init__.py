"""The network side of a call. Knows neither handlers nor Gradio."""

from .base import AudioBlock, AudioFrameSource, AudioSink, Transport, VideoFrameSource
from .frame import PixelConverter, PlanarFrame, TimedFrame
from .pacing import AudioPacer
from .stats import TransportStats
from .webrtc.offer import Offer, read_offer
from .webrtc.peer import PeerTransport
from .webrtc.tracks import TrackTerms

__all__ = [
    "AudioBlock",
    "AudioFrameSource",
    "AudioPacer",
    "AudioSink",
    "Offer",
    "PeerTransport",
    "PixelConverter",
    "PlanarFrame",
    "TimedFrame",
    "TrackTerms",
    "Transport",
    "TransportStats",
    "VideoFrameSource",
    "read_offer",
]
