"""Attacks of a connected client: what it sends over its own session."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from aiortc.rtcsctptransport import ForwardTsnChunk
from aiortc.rtp import (
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtpPacket,
    pack_remb_fci,
    pack_rtcp_packet,
)

from .page import PageClient
from .signals import tone
from .wire import TSNS, Wire, data_chunk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from .page import GradioPage

NACK, PLI, REMB = 1, 1, 15
IN_A_ROW: Final = 50
"""Packets that are sent before the next moment of waiting: a socket holds some 300."""

SILENT_PACKET: Final = b"\xf8\xff\xfe"
"""A packet of Opus that is silence."""


class HostilePage(Wire, PageClient):
    """A client on a page that sends whatever it likes."""


@asynccontextmanager
async def connected(page: GradioPage, label: str = "echo") -> AsyncIterator[HostilePage]:
    """A session of the attacker's, which the server may end."""
    client = HostilePage(page, page.component("webrtc", label), tone(30.0, 330))
    answer = await client.call()
    try:
        assert answer.get("status") != "failed", answer
        yield client
    finally:
        await client.hang_up()


async def _send_all(client: HostilePage, packets: Iterable[bytes]) -> None:
    for number, packet in enumerate(packets):
        if client.closed.is_set():
            return
        await client.send_media(packet)
        if number % IN_A_ROW == 0:
            await asyncio.sleep(0.01)


async def acknowledge_what_was_never_sent(page: GradioPage) -> None:
    """Sends acknowledgements with hundreds of wide blocks, a kilobyte each."""
    async with connected(page) as client:
        for blocks in ([(1, 65_535)] * 270, [(each, 65_535 - each) for each in range(1, 271)]):
            for _ in range(20):
                await client.send_chunk(client.acknowledgement(blocks))
            await client.settle()


async def send_parts_out_of_order(page: GradioPage) -> None:
    """Sends every other part of a message, gives up some, and never the first."""
    async with connected(page) as client:
        begin = client.next_tsn
        client.is_deaf = True
        for number in range(2_000):
            await client.send_chunk(data_chunk(begin + 2 + 2 * number, 0, b"x" * 100))
            if number % IN_A_ROW == 0:
                await asyncio.sleep(0.01)
        for ahead in (100, 1 << 20, (1 << 31) - 1):
            chunk = ForwardTsnChunk()
            chunk.cumulative_tsn = (begin + ahead) % TSNS
            chunk.streams = [(stream, 65_535) for stream in range(300)]
            await client.send_chunk(chunk)
        await client.settle()


async def send_a_message_without_an_end(page: GradioPage) -> None:
    """Sends parts of a message until the server has had enough."""
    async with connected(page) as client:
        begin = client.next_tsn
        for number in range(20_000):
            if client.ended.is_set() or client.closed.is_set():
                break
            await client.send_chunk(data_chunk(begin + number, 0 if number else 2, b"x" * 50))
            if number % IN_A_ROW == 0:
                await asyncio.sleep(0.01)


async def send_streams_without_end(page: GradioPage) -> None:
    """Sends audio of thousands of sources, and packets far apart, whose gaps are to be filled."""
    async with connected(page) as client:
        opus = client.payload_type("opus")
        await _send_all(
            client,
            (
                RtpPacket(opus, 0, 1, 960, 1000 + ssrc, SILENT_PACKET).serialize()
                for ssrc in range(2_000)
            ),
        )
        await _send_all(
            client,
            (
                RtpPacket(
                    opus, 0, 6 * number % 65_536, 5_760 * number % TSNS, 7, SILENT_PACKET
                ).serialize()
                for number in range(2_000)
            ),
        )


async def send_reports_without_end(page: GradioPage) -> None:
    """Asks for all that was sent once more, for key frames and other rates; and sends a goodbye."""
    async with connected(page) as client:
        ssrc = _ssrc_of_server(client)
        kinds: list[bytes] = []
        for number in range(200):
            nack = RtcpRtpfbPacket(NACK, 1, ssrc)
            nack.lost = [(number + each) % 65_536 for each in range(500)]
            rate = pack_remb_fci(number % 2 * (1 << 60), [ssrc])
            kinds += [
                bytes(nack),
                bytes(RtcpPsfbPacket(PLI, 1, ssrc)),
                bytes(RtcpPsfbPacket(REMB, 1, 0, rate)),
                bytes(RtcpByePacket(sources=[31 * number + each for each in range(31)])),
                pack_rtcp_packet(202, 31, bytes(1000)),
            ]
        await _send_all(client, kinds)


async def send_frames_that_are_too_large(page: GradioPage) -> None:
    """Sends key frames of VP8, 67 bytes each, that claim 16,383 pixels for each side."""
    async with connected(page, "video") as client:
        vp8 = client.payload_type("vp8")
        huge = b"\x10\x02\x00\x9d\x01\x2a\xff\x3f\xff\x3f" + bytes(57)
        await _send_all(
            client,
            (
                RtpPacket(vp8, 1, number, 3_000 * number, 77, b"\x10" + huge).serialize()
                for number in range(1_000)
            ),
        )


def _ssrc_of_server(client: HostilePage) -> int:
    """The source of the audio that this client receives."""
    receiver: Any = client.pc.getTransceivers()[0].receiver
    sources = receiver.getSynchronizationSources()
    return int(sources[0].source) if sources else 1


HOSTILE: Final[tuple[Callable[[GradioPage], Awaitable[None]], ...]] = (
    acknowledge_what_was_never_sent,
    send_parts_out_of_order,
    send_a_message_without_an_end,
    send_streams_without_end,
    send_reports_without_end,
    send_frames_that_are_too_large,
)
