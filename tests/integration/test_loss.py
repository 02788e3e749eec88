"""A network that loses packets and brings others late, between two real peers."""

from __future__ import annotations

import asyncio
import queue
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.client import Client
from support.collecting import Collector
from support.numbered_audio import PIECE_S, pieces, places_of
from support.serving import SessionServer
from support.signals import chirp, pieces_found

from gradio_webrtc import AsyncStreamHandler, StreamHandler
from gradio_webrtc._transport.webrtc import aiortc_internals as internals
from gradio_webrtc._transport.webrtc.aiortc_internals.fast_path import install_fast_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiortc import RTCPeerConnection
    from numpy.typing import NDArray

    from gradio_webrtc._transport.webrtc.aiortc_internals.fast_path import RtpFastPath

RATE_HZ = 48_000

SENT_S = 3.0
LOST_EVERY = 25
LATE_EVERY = 10


class Echo(AsyncStreamHandler):
    """Emits what it receives."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=RATE_HZ)
        self._frames: asyncio.Queue[tuple[int, NDArray[np.int16]]] = asyncio.Queue()

    async def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        self._frames.put_nowait(frame)

    async def emit(self) -> tuple[int, NDArray[np.int16]]:
        return await self._frames.get()

    def copy(self) -> Echo:
        return Echo()


class BlockingEcho(StreamHandler):
    """The same in threads."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=RATE_HZ)
        self._frames: queue.Queue[tuple[int, NDArray[np.int16]]] = queue.Queue()

    def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        self._frames.put_nowait(frame)

    def emit(self) -> tuple[int, NDArray[np.int16]] | None:
        try:
            return self._frames.get(timeout=0.1)
        except queue.Empty:
            return None

    def copy(self) -> BlockingEcho:
        return BlockingEcho()


class Stalled:
    """Between a sender of RTP and its socket: keeps some packets back, and then sends all of them.

    Args:
        send: Sends a packet.
        packets: The number of packets of audio that are kept.
    """

    def __init__(self, send: Callable[[bytes], Awaitable[None]], packets: int) -> None:
        self._send = send
        self._packets = packets
        self._kept: list[bytes] = []

    async def __call__(self, data: bytes) -> None:
        if not _is_audio(data):
            await self._send(data)
            return
        self._kept.append(data)
        if len(self._kept) > self._packets:
            kept, self._kept, self._packets = self._kept, [], 0
            for each in kept:
                await self._send(each)


class Disturbed:
    """Between a sender of RTP and its socket.

    Attributes:
        lost: The number of packets of audio that did not get through.
    """

    def __init__(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        self.lost = 0
        self._send = send
        self._count = 0
        self._late: bytes | None = None

    async def __call__(self, data: bytes) -> None:
        if not _is_audio(data):
            await self._send(data)
            return
        self._count += 1
        if self._count % LOST_EVERY == 0:
            self.lost += 1
        elif self._count % LATE_EVERY == 0:
            self._late = data
        else:
            await self._send(data)
            if self._late is not None:
                late, self._late = self._late, None
                await self._send(late)


def _is_audio(data: bytes) -> bool:
    """RTP and not RTCP (RFC 5761 section 4)."""
    return 127 < data[0] < 192 and not 64 <= data[1] & 0x7F <= 95


async def test_what_gets_through_is_received_in_order_and_nothing_else_is_missing() -> None:
    sent = chirp(SENT_S)
    collector, manager = Collector(SENT_S + 1), SessionServer()
    manager.serve(collector.copy)
    client = Client(manager, np.concatenate([np.zeros(24_000, np.int16), sent]))
    await client.call()
    ice: Any = client.pc.getSenders()[0].transport.transport
    disturbed = ice._send = Disturbed(ice._send)  # noqa: SLF001  # no public way to lose a packet
    await collector.has_all.wait()
    await client.hang_up()
    await manager.wait_idle()
    places = pieces_found(np.concatenate(collector.received), sent)
    found = [place for place in places if place >= 0]
    assert disturbed.lost >= SENT_S * 50 / LOST_EVERY
    assert len(places) - len(found) <= disturbed.lost
    assert found == sorted(found)


@pytest.mark.parametrize("way", ["fast path", "aiortc"])
async def test_both_ways_to_the_decoder_count_every_packet(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast_paths: list[RtpFastPath | None] = []
    pcs: list[RTCPeerConnection] = []

    def take(pc: RTCPeerConnection, *plane: Any) -> RtpFastPath | None:
        pcs.append(pc)
        fast_paths.append(install_fast_path(pc, *plane) if way == "fast path" else None)
        return fast_paths[-1]

    monkeypatch.setattr(internals, "install_fast_path", take)
    collector, manager = Collector(SENT_S + 1), SessionServer()
    manager.serve(collector.copy)
    client = Client(manager)
    await client.call()
    await collector.has_all.wait()
    stats = await pcs[0].getStats()
    received = sum(each.size for each in collector.received) // 960
    await client.hang_up()
    await manager.wait_idle()
    (inbound,) = (each for each in stats.values() if each.type == "inbound-rtp")
    assert inbound.packetsLost == 0
    assert received <= inbound.packetsReceived
    if way == "fast path":
        assert fast_paths[0] is not None
        assert fast_paths[0].taken > inbound.packetsReceived / 2


NUMBERS = range(75)
DISTURBED_AT = 25


@pytest.mark.parametrize(("handler", "packets"), [(Echo, 5), (Echo, 25), (BlockingEcho, 25)])
async def test_the_delay_of_an_echo_comes_back_after_a_stall(
    handler: type[Echo | BlockingEcho], packets: int
) -> None:
    server = SessionServer()
    server.serve(handler)
    client = Client(server, pieces(NUMBERS, RATE_HZ))
    await client.call()
    await client.until(lambda: len(client.audio_frames) >= 50 * DISTURBED_AT * PIECE_S)
    ice: Any = client.pc.getSenders()[0].transport.transport
    ice._send = Stalled(ice._send, packets)  # noqa: SLF001  # no public way to delay a packet
    await client.until(lambda: len(client.audio_frames) >= 50 * len(NUMBERS) * PIECE_S)
    stats = server.manager.stats(client.webrtc_id)
    assert stats is not None
    await client.hang_up()
    await server.wait_idle()
    places = places_of(client.received_audio(), NUMBERS, RATE_HZ)
    delays_ms = [
        round(1000 * (place / RATE_HZ - number * PIECE_S)) if place >= 0 else None
        for number, place in zip(NUMBERS, places, strict=True)
    ]
    found = [each for each in delays_ms[:DISTURBED_AT] if each is not None]
    after = [each for each in delays_ms[DISTURBED_AT + packets // 5 + 15 : -10] if each is not None]
    assert min(after) <= max(found) + 20
    assert stats.removed_samples_for_acceleration > 0
