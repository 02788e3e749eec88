"""Writes what libsrtp makes of RTP and RTCP packets, and in which orders it receives them.

    python make_golden.py rust/media/tests/data

Needs `pylibsrtp`. PROVENANCE.md describes the result.
"""

import argparse
import random
import struct
from collections.abc import Iterator
from pathlib import Path

from pylibsrtp import Error, Policy, Session

# Names as in `golden_srtp.rs`, with the lengths of the master key and of the salt together.
PROFILES = {
    "Aes128CmSha1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    "AeadAes128Gcm": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    "AeadAes256Gcm": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
}

# The parts of packets that are lost, and that come again.
LOST = 0.2
DUPLICATED = 0.2

# A stream that wraps around twice: each step is less than half the circle.
SEQUENCE_NUMBERS = (
    *(40_000, 65_533, 65_534, 65_535, 0, 1, 2),
    *(30_000, 60_000, 65_535, 0, 5, 4, 3),
)


def master_key(length: int) -> bytes:
    """Returns the master key and salt of a profile: any bytes, none of them repeated."""
    return bytes(range(length))


def session(profile: str, direction: int) -> Session:
    """Returns a new session for all streams of one direction."""
    number, key_length = PROFILES[profile]
    return Session(Policy(master_key(key_length), direction, srtp_profile=number))


def rtp(sequence_number: int, ssrc: int, form: int) -> bytes:
    """Returns an RTP packet: bare, with an extension, with two contributing sources, or empty."""
    first = 0x80 | (0, 0x10, 0x02, 0)[form]
    rest = (b"", bytes.fromhex("bede000110850000"), bytes(range(8)), b"")[form]
    timestamp = sequence_number * 960
    header = struct.pack("!BBHII", first, 111, sequence_number, timestamp, ssrc)
    payload = bytes((sequence_number + at) % 256 for at in range((40, 33, 80, 0)[form]))
    return header + rest + payload


def receiver_report(ssrc: int, number: int) -> bytes:
    """Returns a receiver report with one block of any numbers."""
    block = struct.pack("!I5I", 0xCAFE, number, number + 1, number + 2, 0, 0)
    return struct.pack("!BBHI", 0x81, 201, 7, ssrc) + block


def packets(profile: str) -> Iterator[str]:
    """Yields lines of profile, protocol, packet and protected packet, in order of sending."""
    sender = session(profile, Policy.SSRC_ANY_OUTBOUND)
    for at, sequence_number in enumerate(SEQUENCE_NUMBERS):
        for ssrc in (0x01020304, 0xFFFFFFFE):
            packet = rtp(sequence_number, ssrc, at % 4)
            yield f"{profile} rtp {packet.hex()} {sender.protect(packet).hex()}"
    for number in range(4):
        for ssrc in (1, 0x01020304):
            packet = receiver_report(ssrc, number)
            yield f"{profile} rtcp {packet.hex()} {sender.protect_rtcp(packet).hex()}"


def reception_order(seed: int) -> list[int]:
    """Returns indices from a round to the next with gaps, duplicates and late ones."""
    chance = random.Random(seed)  # noqa: S311
    start = 65_536 - chance.randrange(50, 300)
    late = {index: chance.choice((0, 0, 0, 2, 10, 126, 127, 128, 129, 300)) for index in range(500)}
    order = sorted(range(500), key=lambda index: (index + late[index], index))
    kept = [index for index in order if chance.random() > LOST]
    again = [
        chance.choice(kept[: at + 1]) for at in range(len(kept)) if chance.random() < DUPLICATED
    ]
    for index in again:
        kept.insert(kept.index(index) + chance.randrange(1, 150), index)
    return [start + index for index in kept]


def verdicts(profile: str, seed: int) -> str:
    """Returns a line of profile, and of sequence numbers with `+` where libsrtp took the packet."""
    sender = session(profile, Policy.SSRC_ANY_OUTBOUND)
    receiver = session(profile, Policy.SSRC_ANY_INBOUND)
    order = reception_order(seed)
    sent = {
        index: sender.protect(rtp(index % 65_536, 7, 0))
        for index in range(min(order), max(order) + 1)
    }
    result = []
    for index in order:
        try:
            receiver.unprotect(sent[index])
        except Error:
            result.append(f"{index}-")
        else:
            result.append(f"{index}+")
    return f"{profile} {' '.join(result)}"


def main() -> None:
    """Writes both files into the folder given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    lines = [line for profile in PROFILES for line in packets(profile)]
    (folder / "srtp_packets.txt").write_text("\n".join(lines) + "\n")
    lines = [verdicts(profile, seed) for seed, profile in enumerate(PROFILES)]
    (folder / "srtp_verdicts.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
