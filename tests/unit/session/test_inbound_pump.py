"""Audio on its way to a handler: slow ones, turns of all kinds, and formats that change."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pytest
from support.clock import run_virtual
from support.conversing import Dialogue, conversing
from support.signals import chirp, speech_at_48k, tone
from support.transports import BareLine

from gradio_webrtc import AlgoOptions, AsyncStreamHandler, ReplyOnPause
from gradio_webrtc._session.inbound_pump import InboundPump
from gradio_webrtc._transport import AudioBlock
from gradio_webrtc._workers.workers import Worker
from gradio_webrtc.errors import AudioError
from gradio_webrtc.testing import Network, simulate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from numpy.typing import NDArray

    from gradio_webrtc._audio import InboundTurns
    from gradio_webrtc._transport import AudioSink, Detected
    from gradio_webrtc._turns.detector import TurnEvent
    from gradio_webrtc.types import EmitType, SessionHandle

Frame = tuple[int, "NDArray[np.int16]"]

FRAME_S = 0.02
TAKES_S = 0.1
STEP = 50


class Slow(AsyncStreamHandler):
    """Takes five times as long for a frame as the frame lasts; notes when it got which."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=48_000)
        self.got: list[tuple[float, int]] = []

    async def receive(self, frame: Frame) -> None:
        self.got.append((asyncio.get_running_loop().time(), int(frame[1][0, 0]) // STEP))
        await asyncio.sleep(TAKES_S)

    async def emit(self) -> EmitType:
        await asyncio.Event().wait()
        return None

    def copy(self) -> Slow:
        return Slow()


def test_a_receive_slower_than_real_time_misses_the_oldest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    frames = 300
    said = np.repeat(STEP * np.arange(1, frames + 1, dtype=np.int16), 960)
    simulation = simulate(Slow(), (48_000, said))
    assert isinstance(simulation.handler, Slow)
    got = [(at_s, number) for at_s, number in simulation.handler.got if number > 0]
    assert all(earlier < later for (_, earlier), (_, later) in pairwise(got))
    assert len(got) < frames / 4
    # The first is the first; from then on nothing is older than a second, and one call of receive.
    begin_s = got[0][0] - FRAME_S
    assert got[0][1] == 1
    ages_s = [at_s - begin_s - number * FRAME_S for at_s, number in got]
    assert max(ages_s) < 1.0 + TAKES_S + FRAME_S
    reported = [
        record for record in caplog.records if "slower than real time" in record.getMessage()
    ]
    assert len(reported) == 1
    assert "Slow" in reported[0].getMessage()


class Decided(Slow):
    """Decides in ``start_up`` what it receives, as handlers that ask a service first do."""

    def __init__(self) -> None:
        super().__init__()
        self.formats: set[tuple[int, tuple[int, ...]]] = set()

    async def start_up(self) -> None:
        self.input_sample_rate = 16_000
        self.input_frame_size = 320
        self.expected_layout = "stereo"

    async def receive(self, frame: Frame) -> None:
        self.formats.add((frame[0], frame[1].shape))

    def copy(self) -> Decided:
        return Decided()


def test_what_start_up_decides_counts_for_the_first_frame() -> None:
    for network in (None, Network()):
        session = simulate(Decided(), (48_000, tone(0.5, 440)), network=network)
        assert isinstance(session.handler, Decided)
        assert session.handler.formats == {(16_000, (1, 640))}


class ByFrames(ReplyOnPause):
    """Gets each frame from the session, on its loop."""

    def bind(self, session: SessionHandle) -> None:
        super().bind(session)
        self.receive = super().receive  # type: ignore[method-assign]


def answer(_audio: Frame) -> Iterator[Frame]:
    yield (24_000, tone(0.4, 500, 24_000).reshape(1, -1))


def people() -> NDArray[np.int16]:
    """Three utterances, of which the second follows closely; int16 ``(n,)`` at 48 kHz."""
    silence = np.zeros(3 * 48_000, np.int16)
    names = ("austen_0880_16k", "asterisk_hello_world_16k", "goforward_16k")
    first, second, third = (speech_at_48k(name) for name in names)
    return np.concatenate([first, silence[:30_000], second, silence, third, silence])


OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "defaults": {},
    "16 kHz": {"input_sample_rate": 16_000},
    "no barge-in": {"can_interrupt": False, "input_sample_rate": 24_000},
    "short turns": {"algo_options": AlgoOptions(max_continuous_speech_s=1.0)},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_turns_are_the_same_whether_frames_come_by_receive_or_not(options: Any) -> None:
    at_once, by_frames = (
        simulate(make(answer, **options), (48_000, people())) for make in (ReplyOnPause, ByFrames)
    )
    assert [tuple(event[:2]) for event in at_once.events] == [
        tuple(event[:2]) for event in by_frames.events
    ]
    assert len(at_once.turns) == len(by_frames.turns) > 1
    for one, other in zip(at_once.turns, by_frames.turns, strict=True):
        assert (one.speech_start_s, one.speech_end_s, one.pause_s) == (
            other.speech_start_s,
            other.speech_end_s,
            other.pause_s,
        )
        assert np.array_equal(one.audio[1], other.audio[1])


class Line(BareLine):
    """A transport that hands over what a test gives it."""

    def __init__(self) -> None:
        self.turns: InboundTurns | None = None

    def feed_turns(self, turns: InboundTurns, on_detected: Callable[[Detected], None]) -> None:
        self.offered, self.on_detected = turns, on_detected


class FeedingLine(Line):
    """A transport that detects turns by itself, from the second block on."""

    async def carry_audio(self, sink: AudioSink) -> None:
        def feed(block: AudioBlock) -> float:
            if self.turns is None:
                allowance_s = sink(block)
                self.turns = self.offered
                return allowance_s
            events, allowance_s = self.turns.process(*block)
            while events:
                self.on_detected(events)
                events, allowance_s = self.turns.proceed()
            return allowance_s

        await super().carry_audio(feed)


async def events_in_blocks(
    handler: ReplyOnPause, block_samples: int, make_line: Callable[[], Line] = Line
) -> tuple[list[tuple[str, object]], list[BaseException]]:
    """The events of a session whose audio comes in such blocks, and its errors."""
    line = make_line()
    async with pumping(handler, line, Worker("nobody")) as talk:
        said = people()
        for start in range(0, said.size, block_samples):
            block = said[start : start + block_samples].reshape(1, -1)
            line.sink(AudioBlock(48_000, 1, block))
            await talk.until_idle()
        events = [(name, data.get("time_s")) for name, data in talk.session.events]
        return events, list(talk.session.errors)


@pytest.mark.parametrize("can_interrupt", [True, False])
async def test_a_reply_counts_for_the_frame_behind_the_pause(*, can_interrupt: bool) -> None:
    # A second at once: the reply begins in the middle of a block.
    at_once, by_frames = [
        await events_in_blocks(make(answer, can_interrupt=can_interrupt), 48_000)
        for make in (ReplyOnPause, ByFrames)
    ]
    assert at_once == by_frames
    assert at_once[1] == []
    assert "pause_detected" in dict(at_once[0])


@pytest.mark.parametrize("can_interrupt", [True, False])
async def test_turns_are_the_same_where_the_transport_detects_them(*, can_interrupt: bool) -> None:
    by_transport, by_sink = [
        await events_in_blocks(ReplyOnPause(answer, can_interrupt=can_interrupt), 960, make_line)
        for make_line in (FeedingLine, Line)
    ]
    assert by_transport == by_sink
    assert by_transport[1] == []
    assert "pause_detected" in dict(by_transport[0])


async def test_an_error_of_a_transports_detection_is_reported() -> None:
    line = Line()
    async with pumping(ReplyOnPause(answer), line, Worker("nobody")) as talk:
        line.sink(AudioBlock(48_000, 1, np.zeros((1, 960), np.int16)))
        line.on_detected(MemoryError("no memory for a turn"))
        assert [type(error) for error in talk.session.errors] == [MemoryError]


class Failing(ReplyOnPause):
    def _rtc_on_turn_event(self, event: TurnEvent) -> None:
        if event.name == "started_talking":
            raise ValueError("not now")
        super()._rtc_on_turn_event(event)


async def test_an_event_that_fails_is_reported_and_the_rest_goes_on() -> None:
    events, errors = await events_in_blocks(Failing(answer), 48_000)
    assert {str(error) for error in errors} == {"not now"}
    assert "pause_detected" in dict(events)


async def test_a_block_that_is_no_audio_is_reported() -> None:
    line = Line()
    async with pumping(ReplyOnPause(answer), line, Worker("nobody")) as talk:
        assert line.sink(AudioBlock(48_000, 2, np.zeros((1, 3), np.int16))) == 0.0
        assert line.sink(AudioBlock(48_000, 2, np.zeros((1, 1920), np.int16))) > 0.0
        assert [type(error) for error in talk.session.errors] == [AudioError]


class Wide(AsyncStreamHandler):
    """Receives two channels in frames of 60 ms, which are longer than blocks."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=48_000, expected_layout="stereo")
        self.input_frame_size = 2_880
        self.got: asyncio.Queue[Frame] = asyncio.Queue()

    async def receive(self, frame: Frame) -> None:
        self.got.put_nowait(frame)

    async def emit(self) -> EmitType:
        await asyncio.Event().wait()
        return None

    def copy(self) -> Wide:
        return Wide()


@contextlib.asynccontextmanager
async def pumping(handler: Any, line: Line, worker: Worker) -> AsyncIterator[Dialogue]:
    """Runs the inbound pump of a session whose audio a test gives to the line's sink."""
    async with conversing(handler) as talk:
        pump = InboundPump(cast("Any", line), talk.handler, cast("Any", talk.session), worker)
        loop = asyncio.get_running_loop()
        running = [loop.create_task(pump.run()), loop.create_task(pump.deliver())]
        await asyncio.sleep(0)
        yield talk
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def test_a_sender_that_changes_its_format_loses_nothing() -> None:
    line = Line()
    async with pumping(Wide(), line, Worker("nobody")) as talk:
        mono, stereo = np.full((1, 960), 5, np.int16), np.full((1, 1920), 6, np.int16)
        for block in (AudioBlock(48_000, 1, mono), AudioBlock(48_000, 2, stereo)) * 3:
            line.sink(block)
        for _ in range(7):
            # Half the rate: as long as two blocks before.
            line.sink(AudioBlock(24_000, 2, stereo))
        async with asyncio.timeout(10.0):
            got = [await talk.handler.got.get() for _ in range(6)]
        assert {(rate, frame.shape) for rate, frame in got} == {(48_000, (1, 5_760))}
        assert [frame[0, ::1_920].tolist() for _, frame in got[:2]] == [[5, 6, 5], [6, 5, 6]]
        assert np.abs(got[-1][1] - 6).max() <= 1


class Open(AsyncStreamHandler):
    """Notes its frames; may be held back."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=48_000)
        self.got: list[Frame] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.moved = asyncio.Event()

    async def receive(self, frame: Frame) -> None:
        await self.may_go_on.wait()
        self.got.append(frame)
        self.moved.set()

    async def emit(self) -> EmitType:
        await asyncio.Event().wait()
        return None

    async def until(self, frames: int) -> None:
        async with asyncio.timeout(10.0):
            while len(self.got) < frames:
                self.moved.clear()
                await self.moved.wait()

    def copy(self) -> Open:
        return type(self)()


class OpenInThread(Open):
    def receive(self, frame: Frame) -> None:  # type: ignore[override]
        future = asyncio.run_coroutine_threadsafe(super().receive(frame), self.loop)
        future.result()


class PreferringLine(Line):
    """Notes what blocks are preferred in."""

    def __init__(self) -> None:
        super().__init__()
        self.preferred: list[object] = []

    def prefer_audio(self, *form: object) -> None:
        self.preferred.append(form)


def blocks(samples: NDArray[np.int16]) -> Iterator[AudioBlock]:
    for start in range(0, samples.size, 960):
        yield AudioBlock(48_000, 1, samples[start : start + 960].reshape(1, -1))


@pytest.mark.parametrize("make", [Open, OpenInThread])
async def test_frames_follow_the_handler_and_those_that_wait_keep_their_rate(
    make: type[Open],
) -> None:
    line, worker = PreferringLine(), Worker("receive")
    async with pumping(make(), line, worker) as talk:
        handler = cast("Open", talk.handler)
        said = chirp(2.0)
        handler.may_go_on.clear()
        for block in blocks(said[:24_000]):
            line.sink(block)
        handler.input_sample_rate, handler.input_frame_size = 16_000, 320
        for block in blocks(said[24_000:48_000]):
            line.sink(block)
        handler.may_go_on.set()
        await handler.until(49)
        handler.expected_layout = "stereo"
        for block in blocks(said[48_000:]):
            line.sink(block)
        await handler.until(98)
    forms = [(rate, frame.shape) for rate, frame in handler.got]
    assert forms[:25] == [(48_000, (1, 960))] * 25
    assert set(forms[25:49]) == {(16_000, (1, 320))}
    # A frame may be completed by the change, of which the channels are copies.
    assert set(forms[50:]) == {(16_000, (1, 640))}
    assert line.preferred == [(48_000, "mono"), (16_000, "mono"), (16_000, "stereo")]
    got = np.concatenate([frame.reshape(-1) for _, frame in handler.got[25:49]])
    expected = chirp(2.0, 16_000)[8_000:][: got.size]
    assert np.abs(got[:-320] - expected[:-320]).max() < 1_000
    worker.close()


async def test_longer_frames_drop_none_of_those_that_wait() -> None:
    line = Line()
    async with pumping(Open(), line, Worker("nobody")) as talk:
        handler = cast("Open", talk.handler)
        handler.may_go_on.clear()
        for number in range(1, AT_ONCE + 1):
            line.sink(AudioBlock(48_000, 1, np.full((1, 960), number, np.int16)))
        # Ten frames of this would be more than may wait.
        handler.input_frame_size = 48_000
        for _ in range(100):
            line.sink(AudioBlock(48_000, 1, np.full((1, 960), AT_ONCE, np.int16)))
        handler.may_go_on.set()
        await handler.until(AT_ONCE + 1)
        assert [int(frame[0, 0]) for _, frame in handler.got[:AT_ONCE]] == [*range(1, AT_ONCE + 1)]
        assert {frame.size for _, frame in handler.got[AT_ONCE:]} == {48_000}


async def test_a_session_that_is_over_follows_its_handler_no_more() -> None:
    line = Line()
    async with pumping(Open(), line, Worker("nobody")) as talk:
        handler = cast("Open", talk.handler)
        line.sink(AudioBlock(48_000, 1, np.zeros((1, 960), np.int16)))
        assert handler._rtc_on_input_change is not None  # noqa: SLF001 - what would keep the pump
    assert handler._rtc_on_input_change is None  # noqa: SLF001 - as above


@pytest.mark.parametrize("make_line", [FeedingLine, Line])
async def test_a_rate_set_while_turns_are_detected_changes_none_of_them(
    make_line: type[Line], caplog: pytest.LogCaptureFixture
) -> None:
    line = make_line()
    async with pumping(ReplyOnPause(answer), line, Worker("nobody")) as talk:
        for number, block in enumerate(blocks(people())):
            line.sink(block)
            await talk.until_idle()
            if number % 50 == 1:
                talk.handler.input_sample_rate = 16_000
        assert talk.session.errors == []
        turns = [data["audio"] for name, data in talk.session.events if "audio" in data]
        assert len(turns) > 1
        assert {cast("Frame", audio)[0] for audio in turns} == {48_000}
        assert talk.handler.input_sample_rate == 48_000
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith("ReplyOnPause.input_sample_rate stays 48000")


WRONG: Final = [
    *(("input_sample_rate", rate) for rate in (0, -1, "x", 12_345.5)),
    *(("expected_layout", layout) for layout in ("quad", 2)),
    *(("input_frame_size", size) for size in (0, -1, "x", 12_345.5)),
]


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_reported_once_and_the_former_stays(
    name: str,
    value: Any,
    is_async: bool,  # noqa: FBT001
) -> None:
    class Wrong(Decided):
        async def start_up(self) -> None:
            setattr(self, name, value)

        def copy(self) -> Wrong:
            return type(self)()

    class WrongInThread(Wrong):
        def start_up(self) -> None:  # type: ignore[override]
            setattr(self, name, value)

    session = simulate((Wrong if is_async else WrongInThread)(), (48_000, tone(0.5, 440)))
    (error,) = [event.data["error"] for event in session.events if event.name == "error"]
    assert isinstance(error, AudioError)
    assert str(error).startswith(f"{name} is ")
    assert cast("Decided", session.handler).formats == {(48_000, (1, 960))}
    assert session.end_reason == "the recording is over"


class Attentive(AsyncStreamHandler):
    """Takes no time for a frame; notes the frames by their first samples."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=48_000)
        self.got: list[int] = []
        self.has_all = threading.Event()

    async def receive(self, frame: Frame) -> None:
        self.note(frame)

    def note(self, frame: Frame) -> None:
        self.got.append(int(frame[1][0, 0]))
        if self.got[-1] == AT_ONCE:
            self.has_all.set()

    async def emit(self) -> EmitType:
        await asyncio.Event().wait()
        return None

    def copy(self) -> Attentive:
        return type(self)()


class AttentiveInThread(Attentive):
    def receive(self, frame: Frame) -> None:  # type: ignore[override]
        self.note(frame)


AT_ONCE: Final = 200
"""Frames that come in one turn of the event loop: four seconds, for which it stood still."""


@pytest.mark.parametrize("make", [Attentive, AttentiveInThread])
async def test_what_comes_at_once_is_received_whole(make: type[Attentive]) -> None:
    line, worker = Line(), Worker("receive")
    async with pumping(make(), line, worker) as talk:
        handler = cast("Attentive", talk.handler)
        for number in range(1, AT_ONCE + 1):
            line.sink(AudioBlock(48_000, 1, np.full((1, 960), number, np.int16)))
        assert await asyncio.to_thread(handler.has_all.wait, 60.0)
        assert handler.got == list(range(1, AT_ONCE + 1))
    worker.close()


def test_each_frame_is_noted_with_its_time_and_length_before_it_is_received() -> None:
    noted: list[tuple[float, float]] = []

    async def receive() -> None:
        line = Line()
        async with conversing(Attentive()) as talk:
            transport, session = cast("Any", line), cast("Any", talk.session)
            worker = Worker("nobody")
            pump = InboundPump(
                transport, talk.handler, session, worker, lambda *each: noted.append(each)
            )
            loop = asyncio.get_running_loop()
            running, begin_s = loop.create_task(pump.run()), loop.time()
            for wait_s in (0.02, 0.045, 0.5):
                await asyncio.sleep(wait_s)
                line.sink(AudioBlock(48_000, 1, np.zeros((1, 960), np.int16)))
            running.cancel()
            noted[:] = [(at_s - begin_s, seconds) for at_s, seconds in noted]

    run_virtual(receive())
    expected = [(0.02, 0.02), (0.065, 0.02), (0.565, 0.02)]
    assert [item for each in noted for item in each] == pytest.approx(
        [item for each in expected for item in each]
    )
