"""Audio that may wait is processed together, and no event of it comes a packet later."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.conversing import conversing
from support.signals import speech_at_48k
from support.transports import BareLine

from gradio_webrtc import AlgoOptions, ReplyOnPause
from gradio_webrtc._audio import PauseDetector
from gradio_webrtc._handlers.reply_on_stopwords import QUICKEST_WORD_S
from gradio_webrtc._media import AudioEncoder
from gradio_webrtc._session.inbound_pump import InboundPump
from gradio_webrtc._transport.webrtc.opus_receiver import OpusReceiver, RtpAudioPacket
from gradio_webrtc._turns.detector import PauseTurnDetector
from gradio_webrtc._turns.stop_words import StopWordDetector
from gradio_webrtc._workers.workers import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gradio_webrtc._handlers import StreamHandlerBase
    from gradio_webrtc._transport import AudioBlock

OPUS = 96
SILENCE = np.zeros(48_000, np.int16)
SAID = np.concatenate(
    [
        *(SILENCE, speech_at_48k("austen_0880_16k"), SILENCE[:9_600]),
        *(speech_at_48k("asterisk_hello_world_16k"), SILENCE, SILENCE),
        *(speech_at_48k("goforward_16k"), SILENCE),
    ]
)
FRAMES = SAID[: SAID.size // 960 * 960].reshape(-1, 1, 960)


class Wire(BareLine):
    """The audio part of a transport, in packets of 20 ms.

    Args:
        hurries: Each packet is handed over when it arrives, whatever the batch allowance.

    Attributes:
        sent: The number of packets.
        together: The number of frames handed over after each packet that was not kept.
    """

    def __init__(self, *, hurries: bool) -> None:
        self.sent = 0
        self.together: list[int] = []
        self._hurries = hurries
        self._frames = 0
        self.sink = lambda _block: 0.0
        self._encoder = AudioEncoder(1)
        self._receiver = OpusReceiver([OPUS], _refuse, lambda: 0.02 * self.sent)
        self._receiver.sink = self._hand_over

    def send(self, frame: NDArray[np.int16]) -> None:
        payload = self._encoder.encode(frame)
        self._frames = 0
        self._receiver.add(RtpAudioPacket(OPUS, self.sent, 960 * self.sent, 1, payload))
        self.sent += 1
        if self._frames > 0:
            self.together.append(self._frames)

    def _hand_over(self, block: AudioBlock) -> float:
        self._frames += block.samples.size // 960
        batch_allowance_s = self.sink(block)
        return 0.0 if self._hurries else batch_allowance_s


def _refuse(item: object) -> None:
    raise AssertionError(f"expected nothing in the queue, got {item!r}")


async def run_session(
    handler: StreamHandlerBase, *, hurries: bool
) -> tuple[list[tuple[int, str, object]], Wire]:
    """Every event of a session, with how many packets had been sent then, and the wire."""
    wire = Wire(hurries=hurries)
    reported: list[tuple[int, str, object]] = []
    async with conversing(handler) as talk:
        transport: Any = wire
        pump = InboundPump(transport, talk.handler, talk.session, Worker("nobody"))  # type: ignore[arg-type]  # a session that notes
        carrying = asyncio.get_running_loop().create_task(pump.run())
        await asyncio.sleep(0)
        for frame in FRAMES:
            wire.send(frame)
            reported += [
                (wire.sent, name, data.get("time_s")) for name, data in talk.session.events
            ]
            talk.session.events.clear()
            await talk.until_idle()
        carrying.cancel()
        assert talk.session.errors == []
    return reported, wire


async def say_nothing(_audio: object) -> AsyncIterator[Any]:
    if False:
        yield None


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"input_sample_rate": 16_000},
        {"input_sample_rate": 44_100, "can_interrupt": False},
        {"algo_options": AlgoOptions(started_talking_threshold=0.05)},
        {"algo_options": AlgoOptions(started_talking_threshold=1.0)},
        {"algo_options": AlgoOptions(max_continuous_speech_s=1.0)},
    ],
    ids=["defaults", "16 kHz", "44.1 kHz", "quick", "slow", "short"],
)
async def test_no_event_comes_a_packet_later(options: dict[str, Any]) -> None:
    hurried, _ = await run_session(ReplyOnPause(say_nothing, **options), hurries=True)
    reported, _ = await run_session(ReplyOnPause(say_nothing, **options), hurries=False)
    assert reported == hurried
    assert {"started_talking", "pause_detected"} <= {name for _, name, _ in reported}


async def test_packets_come_together_until_they_may_begin_or_end_a_turn() -> None:
    reported, wire = await run_session(ReplyOnPause(say_nothing), hurries=False)
    arrived = np.cumsum(wire.together)
    assert arrived[-1] >= wire.sent - 7
    begun = next(sent for sent, name, _ in reported if name == "started_talking")
    over = next(sent for sent, name, _ in reported if name == "pause_detected")
    counts = np.array(wire.together)
    assert counts[arrived < 50][1:].min() >= 3, "the first second is silence"
    in_turn = counts[(arrived > begun) & (arrived <= over)]
    assert in_turn.max() >= 5
    assert in_turn[-5:].max() <= 2, "speech would cancel the end of the turn"
    assert counts.max() <= 7


def looks(*, hurries: bool) -> tuple[list[int], int]:
    """After how many frames a word was looked for, and how often frames were handed over."""
    due, times, waiting = list[int](), 0, list[NDArray[np.int16]]()
    quick = PauseDetector(48_000, started_talking_s=QUICKEST_WORD_S)
    turns = PauseTurnDetector(PauseDetector(48_000), 48_000)
    detector = StopWordDetector(quick, turns, 48_000, lambda: due.append(sent))
    for sent, frame in enumerate(FRAMES):
        waiting.append(frame)
        if hurries or (len(waiting) + 1) * 960 > detector.min_samples_until_event:
            for each in waiting:
                detector.process(each)
            times += 1
            waiting.clear()
        if sent % 10 == 0:
            detector.take_segment()
    return due, times


def test_a_word_is_looked_for_as_soon() -> None:
    (hurried, frames), (due, times) = looks(hurries=True), looks(hurries=False)
    assert due == hurried
    assert len(due) > 3
    assert times < 0.8 * frames


class Noting(ReplyOnPause):
    """Does something of its own with each frame."""

    def receive(self, frame: Any) -> None:
        super().receive(frame)


async def test_whoever_overrides_receive_is_given_everything_at_once() -> None:
    _, wire = await run_session(Noting(say_nothing), hurries=False)
    assert wire.together == [1] * wire.sent
