"""A client without headphones: what its speaker plays comes back through its microphone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.client import FRAME_SAMPLES, RATE_HZ, Client, Microphone
from support.serving import SessionServer
from support.signals import speech_at_48k

from gradio_webrtc import ReplyOnPause
from gradio_webrtc.testing import Echo
from gradio_webrtc.testing.echo import EchoPath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av import AudioFrame
    from numpy.typing import NDArray

REPLY = "asterisk_vm_newuser_16k"


class NearSpeaker(Microphone):
    """A microphone that also receives what a speaker plays."""

    def __init__(self, samples: NDArray[np.int16], echo: Echo) -> None:
        super().__init__(samples)
        self._path = EchoPath(echo, FRAME_SAMPLES)

    def receive(self, samples: NDArray[np.int16]) -> None:
        """Takes what the speaker plays from now on, int16 ``(n,)``."""
        if self._origin_s is not None:
            now_s = asyncio.get_running_loop().time() - self._origin_s
            self._path.play(now_s, samples.reshape(1, -1))

    async def recv(self) -> AudioFrame:
        frame = await super().recv()
        block = self._path.add_to(frame.to_ndarray().astype(np.int16, copy=False))
        frame.planes[0].update(block.tobytes())
        return frame


class Speakerphone(Client):
    """A client whose microphone is near its speaker."""

    def __init__(self, manager: SessionServer, samples: NDArray[np.int16], echo: Echo) -> None:
        super().__init__(manager)
        self.microphone = self.near = NearSpeaker(samples, echo)
        self._played = 0

    def _on_track(self, track: Any) -> None:
        super()._on_track(track)
        self._tasks.add(asyncio.get_running_loop().create_task(self._play()))

    async def _play(self) -> None:
        while True:
            await self.until(lambda: len(self.audio_frames) > self._played)
            self.near.receive(self.audio_frames[self._played][1])
            self._played += 1


async def converse(
    echo: Echo, *, echo_guard: bool, over: tuple[float, NDArray[np.int16]] | None = None
) -> dict[str, int]:
    """A question, and its reply of 10 s, over which somebody may speak at a time in seconds."""
    reply = np.tile(speech_at_48k(REPLY), 3)[: 10 * RATE_HZ]
    answered = 0

    def fn(_audio: Any) -> Iterator[tuple[int, NDArray[np.int16]]]:
        nonlocal answered
        answered += 1
        audio = reply if answered == 1 else reply[:0]
        for begin in range(0, audio.size, RATE_HZ // 5):
            yield RATE_HZ, audio[begin : begin + RATE_HZ // 5]

    question = speech_at_48k("cards_003_16k")
    manager = SessionServer()
    manager.serve(ReplyOnPause(fn, echo_guard=echo_guard).copy)
    at_s, voice = over or (0.0, question[:0])
    spoken = np.zeros(max(question.size, round(at_s * RATE_HZ) + voice.size), np.int16)
    spoken[: question.size] = question
    spoken[round(at_s * RATE_HZ) :][: voice.size] += voice
    client = Speakerphone(manager, spoken, echo)
    await client.call()
    session = manager.find(client.webrtc_id, client.secret)

    def is_over() -> bool:
        return not {"interrupted", "response_finished"}.isdisjoint(session.stats().events)

    await client.until(is_over)
    # What its generator was ahead, and the way there and back.
    await asyncio.sleep(2.0)
    events = dict(session.stats().events)
    await client.hang_up()
    await manager.wait_idle()
    return events


@pytest.mark.parametrize("gain_db", [-15, -20, -35])
async def test_an_echo_does_not_interrupt_its_reply(gain_db: float) -> None:
    events = await converse(Echo(gain_db=gain_db, delay_ms=120), echo_guard=True)
    assert "interrupted" not in events
    assert events["pause_detected"] == 1
    assert events["echo_ignored"] > 0


async def test_without_the_guard_it_does() -> None:
    events = await converse(Echo(gain_db=-20, delay_ms=120), echo_guard=False)
    assert events["interrupted"] > 0


async def test_a_user_who_speaks_over_a_reply_and_its_echo_interrupts_it() -> None:
    over = (6.0, speech_at_48k("goforward_16k"))
    events = await converse(Echo(gain_db=-20, delay_ms=120), echo_guard=True, over=over)
    assert events["interrupted"] == 1
