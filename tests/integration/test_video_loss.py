"""Video through a network that loses packets: frames wait for what is missing, and not for long."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

import pytest
from support.client import Client
from support.frames import number_of
from support.udp_relay import RelayedServer, UdpRelay, is_audio
from support.video_calls import finish, is_growing, serve_video

from gradio_webrtc import AdditionalOutputs
from gradio_webrtc.testing import Network

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from support.serving import SessionServer

CALM = 40
"""Frames before the loss, in which the connection begins."""


class Lag:
    """A function that notes how many frames the camera took since the one that it gets.

    Attributes:
        numbers: Of the frames that it got.
        lags: Of each of them, in frames: 30 are a second.
    """

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.lags: list[int] = []
        self.camera: Any = None

    def __call__(self, image: NDArray[Any]) -> Any:
        number = number_of(image)
        if self.camera is not None:
            self.numbers.append(number)
            self.lags.append(self.camera.taken - number)
        return image, AdditionalOutputs(number)


class LosesTwice:
    """A direction of a relay that loses one packet of video, and its first retransmission.

    Attributes:
        lost: The packets that were lost.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.lost = 0
        self.begins = False
        self._send = send
        self._types: set[int] = set()

    def __call__(self, packet: bytes) -> None:
        if not is_audio(packet):
            self._send(packet)
            return
        kind = packet[1] & 0x7F
        # Packets that are sent again have a payload type of their own (RFC 4588 section 4).
        is_new = kind not in self._types
        self._types.add(kind)
        if (self.lost == 0 and self.begins) or (self.lost == 1 and is_new):
            self.lost += 1
            return
        self._send(packet)


def client_behind(manager: SessionServer, relay: UdpRelay, lag: Lag) -> Client:
    server: Any = RelayedServer(manager, relay)
    client = Client(server, modality="video")
    lag.camera = client.camera
    return client


async def test_a_packet_that_is_lost_twice_holds_up_few_frames() -> None:
    lag = Lag()
    manager = serve_video(lag)
    async with UdpRelay() as relay:
        client = client_behind(manager, relay, lag)
        vars(relay.up)["send"] = lossy = LosesTwice(relay.up.send)
        relay._client.on_packet = lossy  # noqa: SLF001  # as its own constructor has it
        await client.call()
        await client.until(lambda: len(client.video_frames) >= CALM)
        before = statistics.median(lag.lags[-10:])
        lossy.begins = True
        lag.lags.clear()
        await client.camera.has_taken(client.camera.taken + 3 * CALM)
        await finish(manager, client)
    assert lossy.lost == 2
    assert is_growing(lag.numbers)
    assert len(lag.lags) >= 2 * CALM
    assert max(lag.lags) <= before + CALM // 2
    assert statistics.median(lag.lags[-10:]) <= before + 3


@pytest.mark.parametrize("way", ["up", "both"])
async def test_video_at_a_loss_of_ten_percent_stays_in_time(way: str) -> None:
    lag = Lag()
    manager = serve_video(lag)
    async with UdpRelay() as relay:
        client = client_behind(manager, relay, lag)
        await client.call()
        await client.until(lambda: len(client.video_frames) >= CALM)
        before = statistics.median(lag.lags[-10:])
        lag.lags.clear()
        relay.up.set_network(Network(loss=0.1, seed=3))
        if way == "both":
            relay.down.set_network(Network(loss=0.1, seed=4))
        begin = client.camera.taken
        await client.camera.has_taken(begin + 6 * CALM)
        await finish(manager, client)
    assert is_growing(lag.numbers)
    # The plan sends fewer frames where a tenth is lost.
    assert len(lag.lags) >= 0.6 * 6 * CALM
    assert statistics.median(lag.lags) <= before + 3
    assert sum(each > before + CALM // 2 for each in lag.lags) <= len(lag.lags) / 20
