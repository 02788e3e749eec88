"""The network side of a call. Knows neither handlers nor Gradio."""

from .base import AudioBlock, FrameSource, Transport
from .pacing import Pacer
from .peer import PeerTransport

__all__ = ["AudioBlock", "FrameSource", "Pacer", "PeerTransport", "Transport"]
