"""The caller's sound reaches its hearer in order, at once, and with whatever goes wrong in it."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtp import RtpPacket
from av import AudioFrame

from gradio_webrtc._transport.webrtc.aiortc_internals import names
from gradio_webrtc._transport.webrtc.aiortc_internals.inline import decode_inline
from gradio_webrtc._transport.webrtc.incoming import AudioReceiver
from gradio_webrtc._transport.webrtc.opus import OpusEncoder
from gradio_webrtc.errors import ConnectionLost

if TYPE_CHECKING:
    from gradio_webrtc._transport import AudioBlock, AudioSink

OPUS = 96
client: contextvars.ContextVar[str] = contextvars.ContextVar("client", default="nobody")


class Packets:
    """A receiver as far as frames pass through it, and a caller who sends packets.

    Args:
        inline: Packets are decoded on the event loop; otherwise frames come from elsewhere.

    Attributes:
        heard: How many samples each block had that came through.
    """

    def __init__(self, *, inline: bool) -> None:
        self.track = RemoteStreamTrack("audio")
        self.sent = 0
        self.heard: list[int] = []
        self._encoder = OpusEncoder(1)
        if inline:
            setattr(self, names.JITTER_BUFFER, JitterBuffer(capacity=16, prefetch=4))
            decode_inline(self, [OPUS])  # type: ignore[arg-type]

    def send(self) -> None:
        """A packet of 20 ms, which is decoded at once."""
        payload = self._encoder.encode(np.zeros((1, 960), np.int16))
        packet = RtpPacket(OPUS, 0, self.sent, 960 * self.sent, 1, payload)
        self.sent += 1
        getattr(self, names.JITTER_BUFFER).add(packet)

    def put(self, item: object) -> None:
        """A frame that aiortc decoded, or its mark of the end."""
        vars(self.track)["_queue"].put_nowait(item)

    def hear(self, block: AudioBlock) -> float:
        self.heard.append(block.samples.size)
        return 0.0

    async def carry(self, sink: AudioSink | None = None) -> asyncio.Task[None]:
        """Listens, with `hear` unless told otherwise; returns when it has begun."""
        receiver: Any = self
        carrying = asyncio.get_running_loop().create_task(
            AudioReceiver(receiver).carry(sink or self.hear)
        )
        await asyncio.sleep(0)
        return carrying


def frame(samples: int) -> AudioFrame:
    return AudioFrame.from_ndarray(np.zeros((1, samples), np.int16), "s16", "mono")


async def test_a_packet_is_heard_before_its_datagram_is_done_with() -> None:
    packets = Packets(inline=True)
    carrying = await packets.carry()
    packets.send()
    packets.send()
    assert packets.heard == [960, 960]
    carrying.cancel()


async def test_what_came_before_anybody_listened_is_heard_first() -> None:
    packets = Packets(inline=True)
    packets.put(frame(480))
    packets.send()
    carrying = await packets.carry()
    packets.send()
    assert packets.heard == [480, 960, 960]
    carrying.cancel()


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("is_early", [False, True])
async def test_frames_that_aiortc_decodes_are_heard_up_to_the_end(
    inline: bool,  # noqa: FBT001
    is_early: bool,  # noqa: FBT001
) -> None:
    packets = Packets(inline=inline)
    given = (frame(160), frame(320), None)
    if is_early:
        for item in given:
            packets.put(item)
    carrying = await packets.carry()
    if not is_early:
        for item in given:
            packets.put(item)
    with pytest.raises(ConnectionLost, match="ended"):
        await carrying
    assert packets.heard == [160, 320]


async def test_the_hearers_error_is_raised_there_and_not_at_the_socket() -> None:
    packets = Packets(inline=True)

    def hear(block: AudioBlock) -> float:
        packets.hear(block)
        raise ZeroDivisionError

    carrying = await packets.carry(hear)
    packets.send()
    packets.send()
    with pytest.raises(ZeroDivisionError):
        await carrying
    assert packets.heard == [960]


async def test_nothing_is_heard_once_the_call_is_over() -> None:
    packets = Packets(inline=True)
    carrying = await packets.carry()
    packets.send()
    carrying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await carrying
    packets.send()
    assert packets.heard == [960]


async def test_the_hearer_runs_in_the_context_of_its_call() -> None:
    packets, heard = Packets(inline=True), list[str]()

    def hear(_block: AudioBlock) -> float:
        heard.append(client.get())
        return 0.0

    token = client.set("Ada")
    carrying = await packets.carry(hear)
    client.reset(token)
    packets.send()
    assert heard == ["Ada"]
    carrying.cancel()
