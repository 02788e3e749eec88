"""A simulated client's audio as packets, and a whole session behind a bad network."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.signals import speech, tone

from gradio_webrtc import AsyncStreamHandler, ReplyOnPause
from gradio_webrtc._transport import AudioBlock
from gradio_webrtc.testing import Network, simulate
from gradio_webrtc.testing.packets import PacketPath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gradio_webrtc.testing import Simulation

RATE_HZ = 48_000
SECONDS = 10
HELLO = speech("asterisk_hello_world_16k")


class Collector(AsyncStreamHandler):
    """Keeps the audio that it receives."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=RATE_HZ)
        self.received: list[NDArray[np.int16]] = []

    async def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        self.received.append(frame[1].reshape(-1))

    async def emit(self) -> None:
        await asyncio.Event().wait()

    def copy(self) -> Collector:
        return Collector()


def collected(network: Network | None) -> tuple[Simulation, NDArray[np.int16]]:
    """A session of `SECONDS` of a tone, and what its handler received."""
    simulation = simulate(Collector(), (RATE_HZ, tone(SECONDS, 440, RATE_HZ)), network=network)
    assert isinstance(simulation.handler, Collector)
    return simulation, np.concatenate(simulation.handler.received)


def reply(audio: tuple[int, NDArray[np.int16]]) -> Iterator[tuple[int, NDArray[np.int16]]]:
    yield audio


def test_a_network_without_a_fault_changes_the_coding_alone() -> None:
    simulation, received = collected(Network())
    transport = simulation.stats.transport
    assert (transport.packets_lost, transport.packets_discarded) == (0, 0)
    assert transport.concealed_samples == 0
    _, plain = collected(None)
    assert abs(received.size - plain.size) <= RATE_HZ // 50
    loud = np.abs(received).reshape(-1, 960).max(axis=1) > 1_000
    assert abs(int(loud.sum()) - 50 * SECONDS) <= 1


def test_lost_packets_are_rebuilt_or_concealed_by_the_receiver_of_real_sessions() -> None:
    simulation, received = collected(Network(loss=0.1, seed=4))
    transport = simulation.stats.transport
    assert 25 < transport.packets_lost < 100
    # Each packet has a copy of the one before: of two losses in a row, the first is concealed.
    assert 0 < transport.concealed_samples < 0.5 * 960 * transport.packets_lost
    # As long as without a loss, but for packets that were lost at the end.
    assert abs(received.size / RATE_HZ - simulation.duration_s) < 0.1


def test_packets_with_a_wrong_bit_count_as_lost() -> None:
    simulation, _ = collected(Network(corrupt=0.1))
    transport = simulation.stats.transport
    assert 25 < transport.packets_lost < 100
    assert transport.packets_discarded == 0


def test_packets_that_come_twice_are_decoded_once() -> None:
    simulation, received = collected(Network(duplicate=0.5))
    assert simulation.stats.transport.packets_discarded > 100
    assert abs(received.size / RATE_HZ - simulation.duration_s) < 0.1


@pytest.mark.parametrize(
    ("network", "turns"), [(Network(loss=1.0), 0), (Network(blackouts=((1.0, 60.0),)), 1)]
)
def test_a_session_ends_also_when_nothing_comes(network: Network, turns: int) -> None:
    simulation = simulate(reply, HELLO, network=network)
    assert simulation.end_reason == "the recording is over"
    assert len(simulation.turns) == turns


def test_a_slow_network_makes_the_answer_late_by_its_delay() -> None:
    (near,) = simulate(reply, HELLO, network=Network()).turns
    (far,) = simulate(reply, HELLO, network=Network(delay_ms=200)).turns
    assert near.reply_start_s is not None
    assert far.reply_start_s is not None
    assert far.reply_start_s - near.reply_start_s == pytest.approx(0.2, abs=0.021)


def test_a_run_is_the_same_again_with_the_same_seed_alone() -> None:
    network = Network(loss=0.1, delay_ms=60, jitter_ms=40, keep_order=False, seed=1)
    first, again = (simulate(reply, HELLO, network=network) for _ in range(2))
    assert np.array_equal(first.audio[1], again.audio[1])
    assert first.stats.transport == again.stats.transport
    other = simulate(reply, HELLO, network=Network(loss=0.1, delay_ms=60, jitter_ms=40, seed=2))
    assert first.stats.transport != other.stats.transport


def test_a_turn_is_found_behind_a_bad_network() -> None:
    handler = ReplyOnPause(reply)
    network = Network(loss=0.1, delay_ms=60, jitter_ms=20, seed=3)
    assert len(simulate(handler, HELLO, network=network).turns) == 1


def test_what_the_sink_raises_is_raised_where_packets_are_received() -> None:
    def fail(_block: AudioBlock) -> float:
        raise KeyError("sink")

    path = PacketPath(Network(delay_ms=10), fail, lambda: 0.0)
    path.send(0.0, AudioBlock(RATE_HZ, 1, np.zeros((1, 960), np.int16)))
    path.receive(0.005)
    assert path.deadline_s == pytest.approx(0.01)
    with pytest.raises(KeyError, match="sink"):
        path.receive(path.deadline_s or 0.0)


FAULTS = {
    "a fifth lost": Network(loss=0.2, seed=1),
    "long bursts": Network(burst_loss=0.2, burst_packets=5, seed=2),
    "jitter in order": Network(delay_ms=200, jitter_ms=200, seed=3),
    "jitter out of order": Network(delay_ms=100, jitter_ms=50, keep_order=False, seed=4),
    "reordering": Network(delay_ms=50, reorder=0.25, seed=5),
    "duplicates": Network(duplicate=0.1, seed=6),
    "wrong bits": Network(corrupt=0.02, seed=7),
    "half a second of nothing": Network(blackouts=((2.0, 2.5),)),
}


@pytest.mark.parametrize("network", FAULTS.values(), ids=list(FAULTS))
def test_every_turn_is_found_behind_every_fault(network: Network) -> None:
    rate_hz, said = HELLO
    pause = np.zeros(round(1.5 * rate_hz), np.int16)
    four = np.concatenate([part for _ in range(4) for part in (said.reshape(-1), pause)])
    assert len(simulate(lambda _audio: None, (rate_hz, four), network=network).turns) == 4
