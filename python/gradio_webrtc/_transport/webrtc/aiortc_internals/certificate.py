"""Our own certificate: the cipher suites and the chains of certificates that our side accepts.

aiortc offers cipher suites for ECDSA certificates alone, as browsers use. GStreamer's webrtcbin
and others bring an RSA certificate, and would find no suite in common. Whose a certificate is, the
fingerprint in the offer decides, and nothing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiortc import RTCCertificate

from . import names, probe

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection
    from OpenSSL import SSL

SUITES: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
)
"""In OpenSSL's names. The first must be there (RFC 8827 section 6.5), the last two are aiortc's
own; the RSA ones are those with forward secrecy and authenticated encryption alone."""


class OpenCertificate(RTCCertificate):
    """Our side's certificate, and with it the suites and the chains that our side accepts."""

    def _create_ssl_context(self, srtp_profiles: list[Any]) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(SUITES.encode())
        # The offer's fingerprint identifies the certificate. Those above it identify nobody, and
        # their signatures, with keys of the peer's choice, take OpenSSL 10 ms each to check.
        context.set_verify_depth(0)
        return context


def accept_rsa(pc: RTCPeerConnection) -> None:
    """Accepts remote peers with an RSA certificate, and checks none above theirs.

    Call it before anything else is done with ``pc``. aiortc has no public way to do this.
    """
    if probe.has(names.CERTIFICATE):
        vars(pc)[names.CERTIFICATES][:] = [OpenCertificate.generateCertificate()]
