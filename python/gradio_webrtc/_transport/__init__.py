"""The network side of a call. Knows neither handlers nor Gradio."""

from .base import AudioBlock, AudioSink, FrameSource, PictureSource, Transport
from .pacing import Pacer
from .picture import Picture, PixelConverter, TimedPicture
from .webrtc.offer import Offer, read_offer
from .webrtc.peer import PeerTransport
from .webrtc.tracks import TrackTerms

__all__ = [
    "AudioBlock",
    "AudioSink",
    "FrameSource",
    "Offer",
    "Pacer",
    "PeerTransport",
    "Picture",
    "PictureSource",
    "PixelConverter",
    "TimedPicture",
    "TrackTerms",
    "Transport",
    "read_offer",
]
