"""The other end of a link's carrier, in this process in place of a network."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gradio_webrtc._transport.link.frames import (
    HEADER,
    NUMBERED,
    FrameKind,
    write_ack,
    write_frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradio_webrtc._transport.link import Carrier, LinkTransport


def frames(kind: FrameKind, payloads: list[bytes], first: int = 1) -> bytes:
    return b"".join(write_frame(kind, number, each) for number, each in enumerate(payloads, first))


class Far:
    """The other end of one carrier, in this process.

    Attributes:
        frames: All that came: kind, number and payload.
        gate: Cleared to take nothing for a while.
    """

    def __init__(self, transport: LinkTransport, received: int = 0) -> None:
        self.transport = transport
        self.frames: list[tuple[int, int, bytes]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._news = asyncio.Event()
        self.carrier: Carrier = transport.open(received)
        carrying = transport.carry(self.carrier, self._write)
        self.task = asyncio.get_running_loop().create_task(carrying)

    async def _write(self, data: bytes) -> None:
        await self.gate.wait()
        begin = 0
        while begin < len(data):
            length, kind, number = HEADER.unpack_from(data, begin)
            behind = begin + 4 + length
            self.frames.append((kind, number, data[begin + HEADER.size : behind]))
            begin = behind
        self._news.set()

    def of(self, kind: FrameKind) -> list[bytes]:
        """The payloads of one kind."""
        return [payload for each, _, payload in self.frames if each == kind]

    @property
    def numbers(self) -> list[int]:
        """The numbers of the frames that have some."""
        return [number for kind, number, _ in self.frames if kind in NUMBERED]

    def acknowledge(self, received: int | None = None) -> None:
        """Acknowledges a frame; by default the last one that came."""
        self.transport.take(write_ack(self.numbers[-1] if received is None else received, 0.0))

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def drop(self) -> None:
        """Breaks the carrier."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
