"""The network side of a session. Imports neither handlers nor sessions nor Gradio."""

from .base import AudioBlock, AudioFrameSource, AudioSink, Transport, VideoFrameSource
from .buckets import TokenBucket
from .frame import PixelConverter, PlanarFrame, TimedFrame
from .ordered import Dialect, OrderedTransport
from .pacing import AudioPacer, PacedFrame
from .payloads import BrokenMessage, Encoding
from .send_queue import Wire
from .telephone import TelephoneReader, TelephoneStart, TelephoneTransport, read_start
from .webrtc.offer import Offer, read_offer
from .webrtc.peer import PeerTransport
from .websocket import LEAD_S, MediaDialect, MediaReader, read_encoding

__all__ = [
    "LEAD_S",
    "AudioBlock",
    "AudioFrameSource",
    "AudioPacer",
    "AudioSink",
    "BrokenMessage",
    "Dialect",
    "Encoding",
    "MediaDialect",
    "MediaReader",
    "Offer",
    "OrderedTransport",
    "PacedFrame",
    "PeerTransport",
    "PixelConverter",
    "PlanarFrame",
    "TelephoneReader",
    "TelephoneStart",
    "TelephoneTransport",
    "TimedFrame",
    "TokenBucket",
    "Transport",
    "VideoFrameSource",
    "Wire",
    "read_encoding",
    "read_offer",
    "read_start",
]
