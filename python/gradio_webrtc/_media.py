"""The package's only door to the compiled media plane.

The classes are documented in ``_core/media.pyi``. Imports nothing else of ours.
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
    from ._core.media import (
        MediaEndpoint,
        MediaMailbox,
        MediaPlane,
        MediaSocket,
        SecureSender,
    )

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
