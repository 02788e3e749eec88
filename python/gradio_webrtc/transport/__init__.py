"""The network side of a call. Knows neither handlers nor Gradio."""

from .base import AudioBlock, AudioSink, FrameSource, PictureSource, Transport
from .offer import read_offer
from .pacing import Pacer
from .peer import PeerTransport
from .picture import Picture, PixelConverter, TimedPicture
from .tracks import TrackTerms

__all__ = [
    "AudioBlock",
    "AudioSink",
    "FrameSource",
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
