"""Publishes a recording with FFmpeg's own WHIP muxer: ``ffmpeg_publisher.py URL FILE TOKEN DIR``.

A program of its own, because the muxer connects and sends within calls that block. DIR gets a
certificate: built with GnuTLS, FFmpeg makes itself one with a curve that OpenSSL refuses. Silence
of `BEFORE_S` precedes the recording, and `AFTER_S` follows it.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RATE_HZ = 48_000
BEFORE_S = 0.5
AFTER_S = 1.5


def make_certificate(folder: Path) -> dict[str, str]:
    """A self-signed certificate with the curve of RFC 8827 section 6.5, as options of the muxer."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "publisher")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    files = {"cert_file": folder / "cert.pem", "key_file": folder / "key.pem"}
    files["cert_file"].write_bytes(certificate.public_bytes(form))
    files["key_file"].write_bytes(
        key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return {option: str(file) for option, file in files.items()}


def read(file: str) -> NDArray[np.int16]:
    """A recording with silence around it: int16 ``(n, 2)`` at `RATE_HZ`."""
    resampler = av.AudioResampler("s16", "stereo", RATE_HZ)
    with av.open(file) as container:
        frames = [
            resampled.to_ndarray()
            for frame in container.decode(audio=0)
            for resampled in resampler.resample(frame)
        ]
    said = np.concatenate(frames, axis=1).reshape(-1, 2)
    silences = [np.zeros((round(seconds * RATE_HZ), 2)) for seconds in (BEFORE_S, AFTER_S)]
    return np.concatenate([silences[0], said, silences[1]]).astype(np.int16)


def frames_of(samples: NDArray[np.int16]) -> Iterator[av.AudioFrame]:
    """Frames of 20 ms, each when its last sample was spoken."""
    begin_s, size = time.monotonic(), RATE_HZ // 50
    for start in range(0, len(samples) - size, size):
        block = samples[start : start + size].reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = RATE_HZ, start
        time.sleep(max(0.0, begin_s + (start + size) / RATE_HZ - time.monotonic()))
        yield frame


def publish(url: str, file: str, token: str, folder: str) -> None:
    """Sends the recording, and ends the session with DELETE."""
    samples = read(file)
    options = {"authorization": token, **make_certificate(Path(folder))}
    with av.open(url, "w", format="whip", options=options) as container:
        stream = container.add_stream("libopus", rate=RATE_HZ, layout="stereo")
        for frame in frames_of(samples):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    # Its messages come from threads of its own, which the end of Python does not wait for.
    av.logging.set_level(av.logging.PANIC)
    publish(*sys.argv[1:])
    os._exit(0)
