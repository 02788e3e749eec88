"""The package's only door to the compiled media plane.

The classes are documented in ``_core/media.pyi``. Imports nothing else of ours.
"""

from ._core.media import AudioReceiver, NetworkLink, OpusDecoder, OpusEncoder, opus_packet_samples

__all__ = ["AudioReceiver", "NetworkLink", "OpusDecoder", "OpusEncoder", "opus_packet_samples"]
