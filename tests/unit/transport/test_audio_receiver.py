"""Inbound audio reaches its sink in order, at once, and with the errors on its way."""

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

from gradio_webrtc._media import AudioEncoder
from gradio_webrtc._transport.webrtc.aiortc_internals import names
from gradio_webrtc._transport.webrtc.aiortc_internals.opus_coding import decode_inline
from gradio_webrtc._transport.webrtc.audio_receiver import AudioReceiver
from gradio_webrtc.errors import ConnectionLost

if TYPE_CHECKING:
    from gradio_webrtc._transport import AudioBlock, AudioSink

OPUS = 96
client: contextvars.ContextVar[str] = contextvars.ContextVar("client", default="nobody")


class Packets:
    """The audio part of a receiver, and a remote peer that sends packets.

    Args:
        inline: Packets are decoded on the event loop; otherwise frames come from elsewhere.

    Attributes:
        received: The number of samples of each block that came through.
    """

    def __init__(self, *, inline: bool) -> None:
        self.track = RemoteStreamTrack("audio")
        self.sent = 0
        self.received: list[int] = []
        self._encoder = AudioEncoder(1)
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

    def take(self, block: AudioBlock) -> float:
        self.received.append(block.samples.size)
        return 0.0

    async def carry(self, sink: AudioSink | None = None) -> asyncio.Task[None]:
        """Carries audio, to `take` by default; returns when it has begun."""
        receiver: Any = self
        carrying = asyncio.get_running_loop().create_task(
            AudioReceiver(receiver).carry(sink or self.take)
        )
        await asyncio.sleep(0)
        return carrying


def frame(samples: int) -> AudioFrame:
    return AudioFrame.from_ndarray(np.zeros((1, samples), np.int16), "s16", "mono")


async def test_a_packet_is_delivered_before_its_datagram_is_done_with() -> None:
    packets = Packets(inline=True)
    carrying = await packets.carry()
    packets.send()
    packets.send()
    assert packets.received == [960, 960]
    carrying.cancel()


async def test_audio_that_came_before_the_sink_is_delivered_first() -> None:
    packets = Packets(inline=True)
    packets.put(frame(480))
    packets.send()
    carrying = await packets.carry()
    packets.send()
    assert packets.received == [480, 960, 960]
    carrying.cancel()


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("is_early", [False, True])
async def test_frames_that_aiortc_decodes_are_delivered_up_to_the_end(
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
    assert packets.received == [160, 320]


async def test_the_error_of_a_sink_is_raised_there_and_not_at_the_socket() -> None:
    packets = Packets(inline=True)

    def take(block: AudioBlock) -> float:
        packets.take(block)
        raise ZeroDivisionError

    carrying = await packets.carry(take)
    packets.send()
    packets.send()
    with pytest.raises(ZeroDivisionError):
        await carrying
    assert packets.received == [960]


async def test_nothing_is_delivered_once_the_session_is_over() -> None:
    packets = Packets(inline=True)
    carrying = await packets.carry()
    packets.send()
    carrying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await carrying
    packets.send()
    assert packets.received == [960]


async def test_the_sink_runs_in_the_context_of_its_session() -> None:
    packets, received = Packets(inline=True), list[str]()

    def take(_block: AudioBlock) -> float:
        received.append(client.get())
        return 0.0

    token = client.set("Ada")
    carrying = await packets.carry(take)
    client.reset(token)
    packets.send()
    assert received == ["Ada"]
    carrying.cancel()
