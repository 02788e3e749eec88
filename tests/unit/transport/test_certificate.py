"""The certificates of remote peers that our side accepts, compared with aiortc's own choice."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiortc import RTCCertificate, RTCConfiguration, RTCPeerConnection
from aiortc.rtcdtlstransport import SRTP_PROFILES
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from gradio_webrtc._transport.webrtc.aiortc_internals import names, probe
from gradio_webrtc._transport.webrtc.aiortc_internals.certificate import OpenCertificate, accept_rsa

if TYPE_CHECKING:
    import pytest


def suites(own: RTCCertificate) -> set[str]:
    context = own._create_ssl_context(SRTP_PROFILES)  # noqa: SLF001 - the seam that is tested
    return set(SSL.Connection(context).get_cipher_list())


def certificates(pc: RTCPeerConnection) -> list[Any]:
    return list(vars(pc)[names.CERTIFICATES])


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


async def test_another_aiortc_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "has", lambda asked: asked is not names.CERTIFICATE)
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    before = certificates(pc)
    accept_rsa(pc)
    assert certificates(pc) == before
    await pc.close()


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def sign(subject: str, issuer: str, key: Any, issuer_key: Any) -> x509.Certificate:
    begin = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    return (
        x509.CertificateBuilder(
            named(issuer),
            named(subject),
            key.public_key(),
            x509.random_serial_number(),
            begin,
            begin + dt.timedelta(days=36_500),
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


def shake_hands(*sides: SSL.Connection) -> None:
    """Until both are done, over no network."""
    done = [False, False]
    while not all(done):
        for number, side in enumerate(sides):
            with suppress(SSL.WantReadError):
                side.do_handshake()
                done[number] = True
            with suppress(SSL.WantReadError):
                while True:
                    sides[1 - number].bio_write(side.bio_read(65_536))


def test_no_certificates_above_the_remote_peers_are_checked() -> None:
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(6)]
    chain = [sign(f"{n}", f"{n + 1}", keys[n], keys[n + 1]) for n in range(5)]
    theirs = SSL.Context(SSL.DTLS_METHOD)
    theirs.use_certificate(chain[0])
    theirs.use_privatekey(keys[0])
    for each in chain[1:]:
        theirs.add_extra_chain_cert(each)
    checked: list[int] = []

    def note(_connection: object, _found: object, _error: int, depth: int, _is_fine: int) -> bool:
        checked.append(depth)
        return True

    ours = OpenCertificate.generateCertificate()._create_ssl_context(SRTP_PROFILES)  # noqa: SLF001
    ours.set_verify(ours.get_verify_mode(), note)
    server, client = SSL.Connection(ours), SSL.Connection(theirs)
    server.set_accept_state()
    client.set_connect_state()
    shake_hands(server, client)
    assert checked
    assert max(checked) <= 1
