"""Everything that goes over a client's connection, byte by byte: chunks of SCTP, RTP and RTCP."""

from __future__ import annotations

import asyncio
import itertools
import struct
from typing import Any

from aiortc.rtcsctptransport import (
    Chunk,
    DataChunk,
    HeartbeatAckChunk,
    HeartbeatChunk,
    SackChunk,
    serialize_packet,
)

from .client import Client

TSNS = 1 << 32
TEXT = 51
"""The payload protocol identifier of text in a chunk (RFC 8831 section 8)."""


class Wire(Client):
    """Sends any bytes over its connection: as chunks of SCTP, as RTP and as RTCP.

    Attributes:
        is_deaf: Drops the acknowledgements of what it sends.
    """

    is_deaf = False

    async def call(self) -> dict[str, Any]:
        answer = await super().call()
        if answer.get("status") == "failed":
            return answer
        self.opened = asyncio.Event()
        self.channel.on("open", self.opened.set)
        if self.channel.readyState != "open":
            await self.opened.wait()
        self._pings: dict[bytes, asyncio.Event] = {}
        self._numbers = itertools.count()
        sctp: Any = self.pc.sctp
        self._theirs = sctp._receive_chunk
        sctp._receive_chunk = self._receive_chunk_or_drop
        return answer

    @property
    def next_tsn(self) -> int:
        """The number of the next chunk of data, as long as nothing is sent on the channel."""
        sctp: Any = self.pc.sctp
        return int(sctp._local_tsn)

    def acknowledgement(self, gaps: list[tuple[int, int]]) -> SackChunk:
        """An acknowledgement of all that came, and of blocks behind it."""
        sctp: Any = self.pc.sctp
        chunk = SackChunk()
        chunk.cumulative_tsn = sctp._last_received_tsn
        chunk.advertised_rwnd = 1 << 17
        chunk.gaps = list(gaps)
        return chunk

    async def send_chunk(self, chunk: Chunk | bytes) -> None:
        sctp: Any = self.pc.sctp
        raw = RawChunk(chunk) if isinstance(chunk, bytes) else chunk
        packet = serialize_packet(
            sctp._local_port, sctp._remote_port, sctp._remote_verification_tag, raw
        )
        await sctp.transport._send_data(packet)

    async def send_media(self, packet: bytes) -> None:
        """Sends a packet of RTP or RTCP, encrypted."""
        dtls: Any = self.pc.getSenders()[0].transport
        await dtls._send_rtp(packet)

    def payload_type(self, codec: str) -> int:
        """The number that stands for a codec in the packets of this session."""
        (found, *_) = (
            each.payloadType
            for each in self.pc.getTransceivers()[0]._codecs
            if each.name.lower() == codec
        )
        assert found is not None
        return int(found)

    async def settle(self) -> None:
        """Returns once the server has taken all that was sent over SCTP, or ended the session."""
        number = struct.pack("!Q", next(self._numbers))
        ping = HeartbeatChunk()
        ping.params.append((1, number))
        answered = self._pings[number] = asyncio.Event()
        loop = asyncio.get_running_loop()
        waits = [loop.create_task(each.wait()) for each in (answered, self.ended, self.closed)]
        done: set[asyncio.Task[Any]] = set()
        while not done:
            # Its answer comes behind hundreds of others, and a socket's buffer has its end.
            await self.send_chunk(ping)
            done, _ = await asyncio.wait(waits, timeout=1, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def reason(self) -> str:
        """The reason for which the server ended the session, once it did."""
        await self.ended.wait()
        return str(self.messages[-1]["data"])

    async def _receive_chunk_or_drop(self, chunk: Chunk) -> None:
        if isinstance(chunk, HeartbeatAckChunk):
            for _, value in chunk.params:
                if value in self._pings:
                    self._pings[value].set()
        if not (self.is_deaf and isinstance(chunk, SackChunk)):
            await self._theirs(chunk)


class RawChunk(Chunk):
    """Bytes that claim to be chunks."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data

    def __bytes__(self) -> bytes:
        return self._data


def data_chunk(tsn: int, flags: int, payload: bytes, stream: int = 1) -> DataChunk:
    """A part of a message."""
    chunk = DataChunk(flags)
    chunk.tsn, chunk.stream_id, chunk.protocol = tsn % TSNS, stream, TEXT
    chunk.user_data = payload
    return chunk
