"""The keys of SRTP, which a connection negotiates with DTLS (RFC 5764).

aiortc gives them to libsrtp alone, so they are exported a second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from . import names

if TYPE_CHECKING:
    from aiortc import RTCDtlsTransport

    from gradio_webrtc._transport.webrtc.opus_receiver import SrtpProfile

KEY_LABEL: Final = b"EXTRACTOR-dtls_srtp"
"""RFC 5764 section 4.2."""

KEY_BYTES: Final = {
    "SRTP_AES128_CM_SHA1_80": (16, 14),
    "SRTP_AEAD_AES_128_GCM": (16, 12),
    "SRTP_AEAD_AES_256_GCM": (32, 12),
}
"""The lengths of a master key and its salt, by profile (RFC 5764 section 4.1.2, RFC 7714 section
12)."""


class SrtpKeys(NamedTuple):
    """The keys of one direction.

    Attributes:
        profile: That was negotiated, as OpenSSL names it.
        key: The master key.
        salt: Its salt.
    """

    profile: SrtpProfile
    key: bytes
    salt: bytes


def inbound_keys(dtls: RTCDtlsTransport) -> SrtpKeys | None:
    """Returns the remote peer's keys; ``None`` for a profile that is not known here."""
    return _export(dtls, of_client=getattr(dtls, names.ROLE) == "server")


def outbound_keys(dtls: RTCDtlsTransport) -> SrtpKeys | None:
    """Returns our keys; ``None`` for a profile that is not known here."""
    return _export(dtls, of_client=getattr(dtls, names.ROLE) != "server")


def _export(dtls: RTCDtlsTransport, *, of_client: bool) -> SrtpKeys | None:
    tls: Any = getattr(dtls, names.SSL)
    profile = tls.get_selected_srtp_profile().decode()
    if profile not in KEY_BYTES:
        return None
    key, salt = KEY_BYTES[profile]
    material: bytes = tls.export_keying_material(KEY_LABEL, 2 * (key + salt))
    # The client's key, the server's, and the salts in the same order.
    index = 0 if of_client else 1
    keys, salts = material[: 2 * key], material[2 * key :]
    return SrtpKeys(
        cast("SrtpProfile", profile),
        keys[index * key : (index + 1) * key],
        salts[index * salt : (index + 1) * salt],
    )
