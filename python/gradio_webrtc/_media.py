"""The package's only door to the compiled media plane.

The classes are documented in ``_core/media.pyi``. Imports nothing else of ours.
"""

from ._core.media import (
    AudioEncoder,
    AudioReceiver,
    NetworkLink,
    OpusDecoder,
    SecureReceiver,
    opus_packet_samples,
)

__all__ = [
    "AudioEncoder",
    "AudioReceiver",
    "NetworkLink",
    "OpusDecoder",
    "SecureReceiver",
    "opus_packet_samples",
]
