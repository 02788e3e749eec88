"""The transport without a network: its audio on the clock, and the records that it keeps."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.clock import run_virtual

from gradio_webrtc.errors import ConnectionLost
from gradio_webrtc.testing import FakeTransport

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradio_webrtc._transport import AudioBlock

RATE_HZ = 16_000
BLOCK = RATE_HZ // 50


class Source:
    """Outbound audio: a frame of each of these levels, and nothing from then on."""

    def __init__(self, *levels: int) -> None:
        self._levels = list(levels)

    async def wait_ready(self) -> None:
        if not self._levels:
            await asyncio.Event().wait()

    def pull(self, *, partial: bool = False) -> NDArray[np.int16] | None:
        del partial
        return np.full((1, 960), self._levels.pop(0), np.int16) if self._levels else None

    def pull_early(self) -> NDArray[np.int16] | None:
        return self.pull()


def test_a_block_comes_when_its_last_sample_was_spoken_and_silence_behind_the_array() -> None:
    samples = np.arange(2 * BLOCK + 10, dtype=np.int16)

    async def scene() -> None:
        transport = FakeTransport(RATE_HZ, samples)
        assert transport.duration_s == pytest.approx(0.040625)
        await asyncio.sleep(100)
        await transport.connect()
        blocks: list[tuple[float, AudioBlock]] = []
        enough = asyncio.Event()

        def take(block: AudioBlock) -> float:
            blocks.append((transport.now_s, block))
            if len(blocks) == 4:
                enough.set()
            return 0.0

        carrying = asyncio.get_running_loop().create_task(transport.carry_audio(take))
        await enough.wait()
        carrying.cancel()
        assert [at for at, _ in blocks] == pytest.approx([0.02, 0.04, 0.06, 0.08])
        assert {block.rate_hz for _, block in blocks} == {RATE_HZ}
        received = np.concatenate([block.samples for _, block in blocks], axis=1)
        assert received.shape == (1, 4 * BLOCK)
        assert np.array_equal(received[0, : samples.size], samples)
        assert not received[0, samples.size :].any()
        await transport.close()

    run_virtual(scene())


def test_audio_is_recorded_without_the_silence_of_gaps_and_its_audible_end_is_noted() -> None:
    async def scene() -> None:
        transport = FakeTransport(RATE_HZ, np.zeros(1, np.int16))
        transport.play_audio(Source(1000, 2000, 5))
        await transport.connect()
        await asyncio.sleep(10)
        assert [int(samples.max()) for _, samples in transport.sent] == [1000, 2000, 5]
        first_s, second_s, third_s = (at for at, _ in transport.sent)
        assert (second_s - first_s, third_s - second_s) == pytest.approx((0.02, 0.02))
        assert transport.last_audio_s == second_s
        assert transport.stats().packets_sent == 3
        await transport.close()

    run_virtual(scene())


def test_messages_of_every_kind_are_kept_with_their_time() -> None:
    async def scene() -> None:
        passed: list[object] = []
        transport = FakeTransport(RATE_HZ, np.zeros(1, np.int16), passed.append)
        await transport.connect()
        await asyncio.sleep(3)
        transport.send_text(json.dumps({"type": "log", "data": 1}))
        transport.send_text("[1]")
        [(at_s, message), (_, other)] = transport.messages
        assert at_s == pytest.approx(3)
        assert message == {"type": "log", "data": 1}
        assert other == [1]
        assert passed == [message, other]
        await transport.close()

    run_virtual(scene())


async def test_the_first_end_gives_the_reason_to_all_who_wait() -> None:
    transport = FakeTransport(RATE_HZ, np.zeros(1, np.int16))
    waiting = asyncio.get_running_loop().create_task(transport.wait_closed())
    given_up = asyncio.get_running_loop().create_task(transport.wait_closed())
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    transport.hang_up("enough")
    await transport.close()
    await transport.close()
    assert await waiting == "enough"
    assert await transport.wait_closed() == "enough"


async def test_a_transport_that_is_closed_by_the_session_has_that_reason() -> None:
    transport = FakeTransport(RATE_HZ, np.zeros(1, np.int16))
    await transport.close()
    assert await transport.wait_closed() == "closed by the server"


async def test_the_client_has_no_camera() -> None:
    transport = FakeTransport(RATE_HZ, np.zeros(1, np.int16))
    with pytest.raises(ConnectionLost):
        await transport.receive_video_frame()
