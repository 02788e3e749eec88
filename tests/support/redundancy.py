"""A client that offers redundant audio (RFC 2198), and sends it over a wire that loses packets."""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from .client import Client

if TYPE_CHECKING:
    from collections.abc import Callable

RED_TYPE: Final = 63
"""The payload type that Chromium has for it, too."""


def offer_red(sdp: str) -> str:
    """An offer of aiortc's, with redundant audio in Opus behind all other codecs."""
    lines = sdp.split("\r\n")
    (opus,) = (line.split()[0].partition(":")[2] for line in lines if "opus/48000/2" in line)
    (at,) = (k for k, line in enumerate(lines) if line.startswith("m=audio "))
    lines[at] += f" {RED_TYPE}"
    lines[at + 1 : at + 1] = [
        f"a=rtpmap:{RED_TYPE} red/48000/2",
        f"a=fmtp:{RED_TYPE} {opus}/{opus}",
    ]
    return "\r\n".join(lines)


def pack_red(packets: list[tuple[int, bytes]], payload_type: int) -> bytes:
    """The last of some packets, redundant ones before it: each with its timestamp."""
    own_timestamp, own = packets[-1]
    headers = b"".join(
        struct.pack(
            "!BBH",
            0x80 | payload_type,
            (own_timestamp - timestamp) >> 6,
            ((own_timestamp - timestamp) << 10 | len(payload)) & 0xFFFF,
        )
        for timestamp, payload in packets[:-1]
    )
    rest = b"".join(payload for _, payload in packets[:-1])
    return headers + bytes([payload_type]) + rest + own


class RedundantClient(Client):
    """A client that offers redundant audio, and sends what the answer accepts.

    Attributes:
        is_lost: Called with the number of each packet of audio, from 0; true for those that vanish.
        redundancy: The packets that each one carries beside its own; ``None`` to offer none.
        accepted: True if the answer has redundant audio.
    """

    redundancy: int | None = 2
    is_lost: Callable[[int], bool] = staticmethod(lambda _number: False)

    async def offer(self) -> dict[str, Any]:
        offer = await super().offer()
        dtls: Any = self.pc.getSenders()[0].transport
        # There is no public way to lose a packet, nor to send one in another format.
        self._send, self._count = dtls._send_rtp, 0  # noqa: SLF001
        self._sent: deque[tuple[int, bytes]] = deque(maxlen=1 + (self.redundancy or 0))
        dtls._send_rtp = self._send_audio  # noqa: SLF001
        if self.redundancy is not None:
            offer["sdp"] = offer_red(offer["sdp"])
        return offer

    @property
    def accepted(self) -> bool:
        (media,) = (
            line for line in self.answer["sdp"].split("\r\n") if line.startswith("m=audio ")
        )
        return str(RED_TYPE) in media.split()[3:]

    async def _send_audio(self, data: bytes) -> None:
        if 64 <= data[1] & 0x7F <= 95 and data[1] >= 192:  # RTCP (RFC 5761 section 4)
            await self._send(data)
            return
        number, self._count = self._count, self._count + 1
        if self.accepted:
            data = self._with_copies(data)
        if not self.is_lost(number):
            await self._send(data)

    def _with_copies(self, data: bytes) -> bytes:
        size = 12 + 4 * (data[0] & 0x0F)
        if data[0] & 0x10:
            size += 4 + 4 * int.from_bytes(data[size + 2 : size + 4], "big")
        timestamp = int.from_bytes(data[4:8], "big")
        self._sent.append((timestamp, data[size:]))
        header = bytes([data[0], data[1] & 0x80 | RED_TYPE]) + data[2:size]
        return header + pack_red(list(self._sent), data[1] & 0x7F)
