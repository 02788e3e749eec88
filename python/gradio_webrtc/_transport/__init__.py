"""The network side of a session. Imports neither handlers nor sessions nor Gradio."""

from .base import (
    AudioBlock,
    AudioFrameSource,
    AudioPlayer,
    AudioSink,
    Detected,
    Transport,
    VideoFrameSource,
)
from .buckets import TokenBucket
from .frame import PixelConverter, PlanarFrame, TimedFrame
from .frame_flow import VIDEO_CLOCK_HZ, FrameRateLimiter
from .link import (
    BrokenRules,
    Carrier,
    LinkTransport,
    TooManyCarriers,
    read_link_request,
)
from .ordered import FLUSH_TIMEOUT_S, Dialect, OrderedTransport
from .pacing import SESSION_RATE_HZ, AudioPacer, PacedFrame
from .payloads import BrokenMessage, Encoding
from .send_queue import Wire
from .telephone import TelephoneReader, TelephoneStart, TelephoneTransport, read_start
from .webrtc.fragment import Fragment, read_fragment
from .webrtc.offer import Offer, read_candidate, read_offer
from .webrtc.peer import PeerTransport
from .websocket import LEAD_S, MediaDialect, MediaReader, read_encoding

__all__ = [
    "FLUSH_TIMEOUT_S",
    "LEAD_S",
    "SESSION_RATE_HZ",
    "VIDEO_CLOCK_HZ",
    "AudioBlock",
    "AudioFrameSource",
    "AudioPacer",
    "AudioPlayer",
    "AudioSink",
    "BrokenMessage",
    "BrokenRules",
    "Carrier",
    "Detected",
    "Dialect",
    "Encoding",
    "Fragment",
    "FrameRateLimiter",
    "LinkTransport",
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
    "TooManyCarriers",
    "Transport",
    "VideoFrameSource",
    "Wire",
    "read_candidate",
    "read_encoding",
    "read_fragment",
    "read_link_request",
    "read_offer",
    "read_start",
]
