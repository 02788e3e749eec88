"""Redundant audio (RFC 2198) between two real peers, over a network that loses it in bursts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support import coded_audio
from support.collecting import Collector
from support.redundancy import RedundantClient
from support.serving import SessionServer

from gradio_webrtc._transport.webrtc import aiortc_internals as internals
from gradio_webrtc._transport.webrtc.aiortc_internals.fast_path import install_fast_path
from gradio_webrtc._transport.webrtc.media_loop import SWITCH

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection

    from gradio_webrtc._transport.webrtc.aiortc_internals.fast_path import RtpFastPath

FRAMES = 300
SETTLING = 50
"""Frames before the first burst: 1 s, in which the connection begins."""

BURST, PERIOD = 2, 20
"""A tenth of the packets is lost, two at a time."""


def is_in_burst(number: int) -> bool:
    return number >= SETTLING and number % PERIOD >= PERIOD - BURST


class Paths:
    """The ways of sessions to the decoder.

    Attributes:
        made: The fast paths; ``None`` for a session on aiortc's way.
    """

    def __init__(self, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[RtpFastPath | None] = []
        self._way = way
        if way == "event loop":
            monkeypatch.setenv(SWITCH, "off")
        monkeypatch.setattr(internals, "install_fast_path", self._install)

    def _install(self, pc: RTCPeerConnection, *plane: Any) -> RtpFastPath | None:
        path = install_fast_path(pc, *plane) if self._way != "aiortc" else None
        self.made.append(path)
        return path


async def real_frames(redundancy: int | None) -> int:
    """The number of frames that a handler received as they were sent, after the first second."""
    collector, manager = Collector((FRAMES + 20) / 50), SessionServer()
    manager.serve(collector.copy)
    client = RedundantClient(manager, coded_audio.frames(FRAMES, first=1))
    client.is_lost, client.redundancy = is_in_burst, redundancy
    await client.call()
    assert client.accepted == (redundancy is not None)
    await collector.has_all.wait()
    await client.hang_up()
    await manager.wait_idle()
    windows = coded_audio.read(np.concatenate(collector.received))
    found = [number for number, _ in coded_audio.found(windows.numbers)]
    wanted = range(SETTLING + 1, FRAMES + 1)
    # Once each: a frame that follows a concealed one may be found in that, too.
    return len(set(wanted) & set(found))


@pytest.mark.parametrize("way", ["thread", "event loop", "aiortc"])
async def test_bursts_are_rebuilt_on_each_way_to_the_decoder(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(way, monkeypatch)
    sent = FRAMES - SETTLING
    lost = sum(map(is_in_burst, range(FRAMES)))
    without, one, two = await asyncio.gather(*map(real_frames, (None, 1, 2)))
    assert without <= sent - lost + 3
    assert one >= sent - lost // 2 - 3
    assert two >= sent - 3
    for path in filter(None, paths.made):
        assert path.secured.stats()["red_packets_refused"] == 0
