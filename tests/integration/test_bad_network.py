"""Real peers behind a bad network: every frame that gets through is received, once and in order."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from support import coded_audio
from support.client import Client
from support.collecting import Collector
from support.serving import SessionServer
from support.udp_relay import RelayedServer, UdpRelay

from gradio_webrtc.testing import Network

FRAMES = 200
SETTLING = 50
"""Frames before the fault: 1 s, in which the connection begins."""


async def received_behind(network: Network) -> tuple[list[int], UdpRelay]:
    """The frames that a handler received from a client behind that network."""
    collector, manager = Collector((FRAMES + 20) / 50), SessionServer()
    manager.serve(collector.copy)
    async with UdpRelay() as relay:
        server: Any = RelayedServer(manager, relay)
        client = Client(server, coded_audio.frames(FRAMES, first=1))
        await client.call()
        relay.up.set_network(network)
        await collector.has_all.wait()
        await client.hang_up()
        await manager.wait_idle()
    windows = coded_audio.read(np.concatenate(collector.received))
    return [number for number, _ in coded_audio.found(windows.numbers)], relay


@pytest.mark.parametrize(
    "network",
    [
        Network(),
        Network(loss=0.1, seed=5),
        Network(duplicate=0.3),
        Network(delay_ms=30, reorder=0.2),
        Network(corrupt=0.1),
    ],
    ids=["no fault", "loss", "duplicates", "reordering", "wrong bits"],
)
async def test_what_gets_through_is_received_once_and_in_order(network: Network) -> None:
    numbers, relay = await received_behind(network)
    stats = relay.up.stats()
    gone = stats["lost"] + stats["corrupted"]
    assert len(set(numbers)) >= FRAMES - gone - SETTLING // 10
    # Where a loss was concealed, a frame may go on beyond its neighbour; nothing else goes back.
    ahead = [number for number in dict.fromkeys(numbers) if number]
    assert sum(later < earlier for earlier, later in itertools.pairwise(ahead)) <= gone


def test_every_frame_of_coded_audio_is_read_from_it_and_none_from_noise() -> None:
    line = coded_audio.frames(coded_audio.PERIOD)
    numbers = [number for number, _ in coded_audio.found(coded_audio.read(line).numbers)]
    assert numbers == list(range(coded_audio.PERIOD))
    noise = np.random.default_rng(1).integers(-8_000, 8_000, 5 * 48_000).astype(np.int16)
    found_in_noise = coded_audio.found(coded_audio.read(noise).numbers)
    assert len(found_in_noise) <= 5
    assert not coded_audio.read(np.zeros(48_000, np.int16)).is_loud.any()


def test_opus_keeps_nearly_every_frame() -> None:
    line = coded_audio.frames(coded_audio.PERIOD)
    for fec, least in ((False, 0.99), (True, 0.95)):
        decoder = coded_audio.Decoder()
        decoded = [decoder.decode(packet) for packet in coded_audio.encode(line, fec=fec)]
        windows = coded_audio.read(np.concatenate(decoded))
        found = {number for number, _ in coded_audio.found(windows.numbers)}
        assert len(found) >= least * coded_audio.PERIOD
