"""Which certificates of callers a call is secured with. Not: whose they are, the offer says that.

aiortc offers cipher suites for ECDSA certificates alone, as browsers use. GStreamer's webrtcbin
and others bring an RSA certificate, and would find no suite in common.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiortc import RTCCertificate

from .names import warn_unprotected

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection
    from OpenSSL import SSL

SUITES: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
)
"""In OpenSSL's names. The first must be there (RFC 8827, 6.5), the last two are aiortc's own; the
RSA ones are those with forward secrecy and authenticated encryption alone."""

_CERTIFICATES: Final = "_RTCPeerConnection__certificates"


class OpenCertificate(RTCCertificate):
    """Our side's certificate, and with it the suites and the chains that our side takes part in."""

    def _create_ssl_context(self, srtp_profiles: list[Any]) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(SUITES.encode())
        # The offer's fingerprint says whose the certificate is. Those above it are nobody's, and
        # their signatures, of keys of the caller's choice, take OpenSSL 10 ms each to check.
        context.set_verify_depth(0)
        return context


def accept_rsa(pc: RTCPeerConnection) -> None:
    """Lets callers with an RSA certificate in, and checks none above theirs.

    Call it before anything else is done with ``pc``. There is no public way to. An aiortc that is
    made in another way is left as it is, which is logged once.
    """
    own = vars(pc).get(_CERTIFICATES)
    makes_contexts = hasattr(RTCCertificate, "_create_ssl_context")
    if not makes_contexts or not isinstance(own, list):
        warn_unprotected("chains of certificates that take long to check")
        return
    own[:] = [OpenCertificate.generateCertificate()]
