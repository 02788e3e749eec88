"""Turns that are open when a client sends no more audio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pytest
from support.conversing import RATE_HZ, ScriptedVad, audio_at, conversing
from support.signals import speech_at_48k
from support.transports import BareLine

from gradio_webrtc import AlgoOptions, ReplyOnPause, ReplyOnStopWords
from gradio_webrtc._audio import MAX_STALL_S
from gradio_webrtc._session.inbound_pump import InboundPump
from gradio_webrtc._transport import AudioBlock
from gradio_webrtc._workers.workers import Worker
from gradio_webrtc.testing import Network, Simulation, simulate
from gradio_webrtc.testing.clock import VirtualClockLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gradio_webrtc._session.stalls import StallTimer
    from gradio_webrtc.types import SessionHandle

Frame = tuple[int, "NDArray[np.int16]"]

HELLO: Final = speech_at_48k("asterisk_hello_world_16k")
FORWARD: Final = speech_at_48k("goforward_16k")
HELLO_S: Final = HELLO.size / 48_000
SILENCE: Final = np.zeros(8 * 48_000, np.int16)

TOGETHER_S: Final = 0.14
"""The audio that may wait for more of it, at most: seven packets."""

LAST_WORD_S: Final = 0.9
"""Seconds in `HELLO` from which on it is the end of a word alone that is still to come."""


def answer(_audio: Frame) -> Iterator[Frame]:
    yield (24_000, np.full((1, 2_400), 8_000, np.int16))


class ByFrames(ReplyOnPause):
    """Gets each frame from the session, on its loop."""

    def bind(self, session: SessionHandle) -> None:
        super().bind(session)
        self.receive = super().receive  # type: ignore[method-assign]


class InThread(ReplyOnPause):
    """Gets each frame from the session, in a thread."""

    def receive(self, frame: Frame) -> None:
        super().receive(frame)


class Level:
    """Finds speech in windows, or in blocks, that are loud."""

    sample_rate, window_samples = 48_000, 1_536

    def probability(self, window: NDArray[np.float32]) -> float:
        return float(np.abs(window).max() > 0.02)

    def reset(self) -> None:
        """Has no state."""


class Blocks:
    def vad(self, audio: Frame, _options: object) -> tuple[float, list[Any]]:
        rate_hz, samples = audio
        loud = np.abs(samples.reshape(-1)[: samples.size // 480 * 480]).reshape(-1, 480).max(axis=1)
        return float(np.count_nonzero(loud > 600)) * 480 / rate_hz, []

    def warmup(self) -> None: ...


HANDLERS: Final[dict[str, Callable[[], ReplyOnPause]]] = {
    "the core": lambda: ReplyOnPause(answer),
    "the core at 16 kHz": lambda: ReplyOnPause(answer, input_sample_rate=16_000),
    "no barge-in": lambda: ReplyOnPause(answer, can_interrupt=False),
    "inputs": lambda: ReplyOnPause(lambda _audio, _name: answer(_audio), needs_args=True),
    "stereo": lambda: ReplyOnPause(answer, expected_layout="stereo"),
    "frames": lambda: ByFrames(answer),
    "frames in a thread": lambda: InThread(answer),
    "a detector of the user's": lambda: ReplyOnPause(answer, vad=Level),
    "blocks": lambda: ReplyOnPause(answer, model=Blocks()),
    "a long pause": lambda: ReplyOnPause(
        answer, algo_options=AlgoOptions(audio_chunk_duration=3.1)
    ),
}


def held(
    handler: ReplyOnPause, said: NDArray[np.int16], *absences: tuple[float, float]
) -> Simulation:
    """A session whose client sends nothing in these times."""
    return simulate(handler, (48_000, said), ["en"], network=Network(blackouts=absences))


@pytest.mark.parametrize("make", HANDLERS.values(), ids=HANDLERS)
def test_a_turn_that_is_open_when_the_audio_ends_is_over_soon(
    make: Callable[[], ReplyOnPause],
) -> None:
    handler = make()
    simulation = held(handler, np.append(HELLO, SILENCE), (LAST_WORD_S, 60.0))
    (turn,) = simulation.turns
    stalls = np.ceil(max(handler.algo_options.pause_s, MAX_STALL_S) / MAX_STALL_S)
    late_s = turn.pause_s - LAST_WORD_S - stalls * MAX_STALL_S
    assert -TOGETHER_S - 0.02 <= late_s <= 0.02
    assert turn.reply_start_s is not None
    # All of it, also the packets that had waited: up to the last one, and silence.
    rate_hz, audio = turn.audio
    loud = np.flatnonzero(np.abs(audio[0]) > 300)
    assert (loud[-1] - loud[0]) / rate_hz > LAST_WORD_S - 0.3
    assert [event.name for event in simulation.events].count("pause_detected") == 1


@pytest.mark.parametrize("make", HANDLERS.values(), ids=HANDLERS)
def test_audio_that_comes_afterwards_is_of_the_next_turn(make: Callable[[], ReplyOnPause]) -> None:
    back_s = 9.0
    later = np.zeros(round(back_s * 48_000), np.int16)
    later[: HELLO.size] = HELLO
    said = np.concatenate([later, FORWARD, SILENCE])
    simulation = held(make(), said, (LAST_WORD_S, back_s))
    first, second = simulation.turns
    assert first.pause_s < back_s < second.pause_s
    rate_hz, audio = second.audio
    assert audio.size / rate_hz > FORWARD.size / 48_000 - 0.5


def test_a_stall_that_is_shorter_ends_no_turn() -> None:
    # The network loses what is said meanwhile.
    simulation = held(ReplyOnPause(answer), np.tile(HELLO, 3), (1.1, 1.1 + MAX_STALL_S - 0.2))
    assert [turn.pause_s > 1.1 + MAX_STALL_S for turn in simulation.turns] == [True]


def test_speech_that_may_become_a_turn_is_looked_at() -> None:
    # It begins no turn before the packets that wait.
    word = HELLO[round(0.3 * 48_000) : round(0.62 * 48_000)]
    said = np.concatenate([SILENCE[:48_000], word, SILENCE])
    simulation = held(ReplyOnPause(answer), said, (1.0 + word.size / 48_000, 60.0))
    (turn,) = simulation.turns
    assert turn.pause_s == pytest.approx(1.32 + MAX_STALL_S, abs=TOGETHER_S + 0.02)


class Transcriber:
    def stt(self, audio: tuple[int, NDArray[Any]]) -> str:
        return "computer" if np.abs(audio[1]).max() > 0.05 else ""


def test_a_turn_behind_a_word_is_over_soon() -> None:
    handler = ReplyOnStopWords(answer, ["computer"], stt_model=Transcriber())
    end_s = FORWARD.size / 48_000 - 0.3
    (turn,) = held(handler, np.append(FORWARD, SILENCE), (end_s, 60.0)).turns
    assert turn.pause_s == pytest.approx(end_s + MAX_STALL_S, abs=TOGETHER_S + 0.02)


def test_a_word_is_looked_for_in_speech_that_was_not_over() -> None:
    handler = ReplyOnStopWords(answer, ["computer"], stt_model=Transcriber())
    simulation = held(handler, np.append(HELLO, SILENCE), (LAST_WORD_S, 60.0))
    words = [event.time_s for event in simulation.events if event.name == "stopword"]
    assert words == pytest.approx([LAST_WORD_S + MAX_STALL_S], abs=TOGETHER_S + 0.02)


class Line(BareLine):
    """A transport that passes what a test gives it, and holds the rest back.

    Attributes:
        held: Blocks that wait.
        is_detecting: True where turns are detected by the transport.
    """

    def __init__(self) -> None:
        self.held: list[AudioBlock] = []
        self.is_detecting = False
        self.flushes = 0

    def flush_audio(self) -> bool:
        self.flushes += 1
        if not self.is_detecting:
            for block in self.held:
                self.sink(block)
            self.held.clear()
        return not self.is_detecting


def block(probability: float, windows: float = 10.0) -> AudioBlock:
    return AudioBlock(RATE_HZ, 1, audio_at(probability, windows))


class Held:
    """A pump, its transport and its timer."""

    def __init__(self, line: Line, pump: InboundPump, talk: Any) -> None:
        self.line, self.pump, self.talk = line, pump, talk

    @property
    def timer(self) -> StallTimer:
        return cast("StallTimer", vars(self.pump)["_stall"])


def on_virtual_clock(test: Callable[[Held], Any]) -> None:
    """Runs a test in a session whose windows are written down beforehand."""

    async def run() -> None:
        line = Line()
        handler = ReplyOnPause(answer, vad=ScriptedVad, input_sample_rate=RATE_HZ)
        async with conversing(handler) as talk:
            pump = InboundPump(
                cast("Any", line), talk.handler, cast("Any", talk.session), Worker("receive")
            )
            loop = asyncio.get_running_loop()
            running = [loop.create_task(pump.run()), loop.create_task(pump.deliver())]
            await asyncio.sleep(0)
            await test(Held(line, pump, talk))
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            assert not Held(line, pump, talk).timer.is_running
            assert talk.session.errors == []

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(run())


def test_what_waits_in_the_transport_comes_first() -> None:
    async def test(held: Held) -> None:
        held.line.sink(block(0.9))
        held.line.held.append(block(0.8))
        await asyncio.sleep(MAX_STALL_S + 0.1)
        audio = (await held.talk.until_event("pause_detected"))["audio"][1]
        assert np.unique(audio).size == 3

    on_virtual_clock(test)


def test_a_transport_that_detects_turns_ends_them_itself() -> None:
    async def test(held: Held) -> None:
        held.line.is_detecting = True
        held.line.sink(block(0.9))
        await asyncio.sleep(5 * MAX_STALL_S)
        assert held.line.flushes == 1
        assert "pause_detected" not in held.talk.session.names
        assert not held.timer.is_running

    on_virtual_clock(test)


def test_the_timer_ends_where_no_turn_is_open() -> None:
    async def test(held: Held) -> None:
        held.line.sink(block(0.0))
        await asyncio.sleep(5 * MAX_STALL_S)
        assert held.line.flushes == 1
        assert not held.timer.is_running

    on_virtual_clock(test)


def test_audio_keeps_the_timer_from_ending_anything() -> None:
    async def test(held: Held) -> None:
        for _ in range(20):
            held.line.sink(block(0.9))
            await asyncio.sleep(MAX_STALL_S - 0.1)
        assert held.line.flushes == 0
        assert "pause_detected" not in held.talk.session.names

    on_virtual_clock(test)


def test_silent_sessions_have_no_timer_where_the_core_detects() -> None:
    running: list[bool] = []

    class Watching(ReplyOnPause):
        pass

    original = InboundPump._detect  # noqa: SLF001 - what it watches

    def detect(pump: InboundPump, *arguments: Any) -> float:
        result = original(pump, *arguments)
        running.append(cast("StallTimer", vars(pump)["_stall"]).is_running)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InboundPump, "_detect", detect)
        simulate(Watching(answer), (48_000, np.concatenate([SILENCE, HELLO, SILENCE])))
    assert running[: round(7.9 * 50)].count(True) == 0
    assert any(running)
    assert not running[-1]
