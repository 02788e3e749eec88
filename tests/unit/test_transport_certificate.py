"""Which callers' certificates our side accepts, held against aiortc's own choice."""

from __future__ import annotations

from typing import Any

from aiortc import RTCCertificate, RTCConfiguration, RTCPeerConnection
from aiortc.rtcdtlstransport import SRTP_PROFILES
from OpenSSL import SSL

from gradio_webrtc.transport import certificate
from gradio_webrtc.transport.certificate import OpenCertificate, accept_rsa


def suites(own: RTCCertificate) -> set[str]:
    context = own._create_ssl_context(SRTP_PROFILES)  # noqa: SLF001 - the seam that is tested
    return set(SSL.Connection(context).get_cipher_list())


def certificates(pc: RTCPeerConnection) -> list[Any]:
    return list(vars(pc)[certificate._CERTIFICATES])  # noqa: SLF001 - as above


async def test_suites_for_rsa_join_those_of_aiortc() -> None:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    (before,) = certificates(pc)
    accept_rsa(pc)
    (after,) = certificates(pc)
    assert isinstance(after, OpenCertificate)
    joined = suites(after) - suites(before)
    assert joined == {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"}
    assert suites(before) < suites(after)
    await pc.close()


async def test_another_aiortc_is_left_as_it_is() -> None:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    vars(pc)[certificate._CERTIFICATES] = own = (RTCCertificate.generateCertificate(),)  # noqa: SLF001
    accept_rsa(pc)
    assert vars(pc)[certificate._CERTIFICATES] is own  # noqa: SLF001
    await pc.close()
