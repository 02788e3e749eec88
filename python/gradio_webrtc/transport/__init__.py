"""The network side of a call. Knows neither handlers nor Gradio."""

from .base import AudioBlock, AudioSink, FrameSource, PictureSource, Transport
from .offer import Offer, read_offer
from .pacing import Pacer
from .peer import PeerTransport
from .picture import Picture, PixelConverter, TimedPicture
from .tracks import TrackTerms
from .turnstile import turnstile

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
    "turnstile",
]
