"""The package's only door to the compiled media plane.

The classes are documented in ``_core/media.pyi`` and ``_core/plane.pyi``. Imports nothing else of
ours.
"""

import sys

from ._core.media import (
    AudioEncoder,
    AudioReceiver,
    NetworkLink,
    OpusDecoder,
    SecureReceiver,
    opus_packet_samples,
)

if sys.platform != "win32":
    from ._core.media import SecureSender
    from ._core.plane import MediaEndpoint, MediaMailbox, MediaPlane, MediaSocket

__all__ = [
    "AudioEncoder",
    "AudioReceiver",
    "MediaEndpoint",
    "MediaMailbox",
    "MediaPlane",
    "MediaSocket",
    "NetworkLink",
    "OpusDecoder",
    "SecureReceiver",
    "SecureSender",
    "opus_packet_samples",
]
