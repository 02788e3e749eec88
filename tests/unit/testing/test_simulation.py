"""A session without a browser, a network or waiting."""

from __future__ import annotations

import asyncio
from queue import Queue
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.signals import correlation, pieces_found, speech, speech_at_48k, tone

from gradio_webrtc import AdditionalOutputs, AsyncStreamHandler, ReplyOnPause, StreamHandler
from gradio_webrtc.testing import simulate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray

    Frame = tuple[int, NDArray[np.int16]]

HELLO = speech("asterisk_hello_world_16k")


class BlockingEcho(StreamHandler):
    def __init__(self) -> None:
        super().__init__(input_sample_rate=24_000)
        self.queue: Queue[Frame] = Queue()

    def receive(self, frame: Frame) -> None:
        self.queue.put(frame)

    def emit(self) -> Frame:
        return self.queue.get()

    def copy(self) -> BlockingEcho:
        return BlockingEcho()


class LoopEcho(AsyncStreamHandler):
    def __init__(self) -> None:
        super().__init__(input_sample_rate=24_000)
        self.queue: asyncio.Queue[Frame] = asyncio.Queue()

    async def receive(self, frame: Frame) -> None:
        self.queue.put_nowait(frame)

    async def emit(self) -> Frame:
        return await self.queue.get()

    def copy(self) -> LoopEcho:
        return LoopEcho()


LEFT = tone(0.5, 440, 24_000)
STEREO = np.stack([LEFT, LEFT // 2], axis=1)


@pytest.mark.parametrize(
    ("samples", "channels"),
    [
        (LEFT, 1),
        (LEFT[:, np.newaxis], 1),
        (LEFT.tolist(), 1),
        (STEREO, 2),
        (STEREO / 32768, 2),
        (STEREO.T, 2),
        (STEREO.tolist(), 2),
    ],
)
def test_audio_in_rows_columns_and_lists_is_received_whole(samples: object, channels: int) -> None:
    def start() -> Iterator[object]:
        yield (24_000, samples)

    handler = ReplyOnPause(lambda _audio: None, startup_fn=start)
    rate_hz, received = simulate(handler, (16_000, np.zeros(16_000, np.int16))).audio
    assert received.shape[0] == channels
    for number, row in enumerate(received):
        loud_s = (np.abs(row.astype(int)) > 100).sum() / rate_hz
        assert loud_s == pytest.approx(0.5, abs=0.05)
        expected = np.abs(LEFT).max() / (number + 1)
        assert np.abs(row).max() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("handler", [BlockingEcho(), LoopEcho()])
def test_an_echo_is_received_whole_and_in_order(
    handler: StreamHandler | AsyncStreamHandler,
) -> None:
    said = np.tile(tone(0.05, 300, 48_000), 1)
    said = np.concatenate([tone(0.2, hz, 48_000) for hz in range(300, 1500, 100)])
    received = simulate(handler, (48_000, said)).audio[1][0]
    places = pieces_found(received, said)
    assert -1 not in places
    assert places == sorted(places)


def test_a_slow_async_reply_comes_when_it_was_due() -> None:
    async def reply(_audio: Frame) -> AsyncIterator[Frame]:
        await asyncio.sleep(3.0)
        yield (24_000, tone(0.5, 500, 24_000).reshape(1, -1))

    result = simulate(reply, HELLO)
    (turn,) = result.turns
    assert turn.reply_start_s == pytest.approx(turn.pause_s + 3.0, abs=0.021)


def test_inputs_and_outputs_go_through_the_page() -> None:
    def reply(_audio: Frame, name: str, count: int) -> Iterator[AdditionalOutputs]:
        for number in range(count):
            yield AdditionalOutputs(f"{name} {number}")

    result = simulate(ReplyOnPause(reply), HELLO, inputs=("output", 3))
    assert [output.args for output in result.outputs] == [
        ("output 0",),
        ("output 1",),
        ("output 2",),
    ]


def test_a_failing_turn_is_reported_and_the_next_one_works() -> None:
    calls = []

    def reply(audio: Frame) -> Iterator[Frame]:
        calls.append(audio)
        if len(calls) == 1:
            raise ValueError("the secret reason")
        yield (24_000, tone(0.2, 500, 24_000).reshape(1, -1))

    rate_hz, hello = HELLO
    twice = np.concatenate([hello, np.zeros(rate_hz * 2, np.int16), hello])
    result = simulate(ReplyOnPause(reply), (rate_hz, twice))
    errors = [message for _, message in result.messages if message["type"] == "error"]
    assert len(result.turns) == 2
    assert result.turns[1].reply_start_s is not None
    assert len(errors) == 1
    assert "secret" not in str(errors)


def test_speaking_over_the_reply_ends_it_when_speech_is_confirmed() -> None:
    def reply(_audio: Frame) -> Iterator[Frame]:
        for _ in range(100):
            yield (24_000, tone(0.1, 500, 24_000).reshape(1, -1))

    rate_hz, hello = HELLO
    _, sentence = speech("austen_0880_16k")
    silence = np.zeros(rate_hz * 3, np.int16)
    result = simulate(ReplyOnPause(reply), (rate_hz, np.concatenate([hello, silence, sentence])))
    (interrupted,) = (event for event in result.events if event.name == "interrupted")
    onset_s = (hello.size + silence.size) / rate_hz + 0.268
    assert onset_s < interrupted.time_s < onset_s + 0.5
    begin = round((interrupted.time_s + 0.1) * 48_000)
    end = round(result.turns[1].pause_s * 48_000)
    assert np.abs(result.audio[1][0, begin:end]).max() < 100
    rate, audio = result.turns[1].audio
    assert rate == 48_000
    assert correlation(audio[0, ::3], sentence[5_000:30_000])[0] > 0.9


def test_a_reply_that_may_not_be_interrupted_goes_on() -> None:
    def reply(_audio: Frame) -> Iterator[Frame]:
        for _ in range(60):
            yield (24_000, tone(0.1, 500, 24_000).reshape(1, -1))

    rate_hz, hello = HELLO
    audio = np.concatenate([hello, np.zeros(rate_hz * 2, np.int16), hello])
    result = simulate(ReplyOnPause(reply, can_interrupt=False), (rate_hz, audio))
    assert len(result.turns) == 1
    assert (np.abs(result.audio[1]) > 100).sum() > 5.5 * 48_000 * 0.9


def test_the_time_limit_holds_on_the_virtual_clock() -> None:
    result = simulate(BlockingEcho(), (48_000, tone(100.0, 440)), time_limit_s=7.0)
    assert result.duration_s == pytest.approx(7.0, abs=0.1)
    assert result.end_reason == "The time limit of 7 seconds is reached."


@pytest.mark.parametrize(
    "audio",
    [
        (16_000, np.zeros((2, 100), np.int16)),
        (16_000, np.zeros(100, np.float32)),
        (11_025, np.zeros(100, np.int16)),
    ],
)
def test_audio_that_cannot_be_played_is_refused(audio: tuple[int, NDArray[np.int16]]) -> None:
    with pytest.raises(ValueError, match="expected"):
        simulate(BlockingEcho(), audio)


class Chat(StreamHandler):
    """Answers each message in a thread of the session, and notes where the session stood."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[object] = []

    def receive(self, frame: Frame) -> None: ...

    def emit(self) -> None:
        return None

    def on_message(self, data: object) -> None:
        self.got.append(data)
        self.send({"type": "answer", "data": data})
        self.send(len(self.got))

    def copy(self) -> Chat:
        return Chat()


def test_a_client_sends_messages_and_receives_data() -> None:
    sent = [(0.5, {"type": "chat", "data": "hello"}), (5.0, [1]), (0.0, "first")]
    result = simulate(Chat(), (16_000, np.zeros(16_000, np.int16)), messages=sent)
    assert isinstance(result.handler, Chat)
    assert result.handler.got == ["first", {"type": "chat", "data": "hello"}, [1]]
    answers = [
        (time_s, message["data"])
        for time_s, message in result.messages
        if isinstance(message, dict) and message["type"] == "answer"
    ]
    assert [data for _, data in answers] == result.handler.got
    assert [time_s for time_s, _ in answers] == pytest.approx([0.0, 0.5, 5.0])
    assert [message for _, message in result.messages if isinstance(message, int)] == [1, 2, 3]


def test_a_session_without_media_lasts_until_the_last_message() -> None:
    silence = (16_000, np.zeros(320, np.int16))
    result = simulate(Chat(), silence, messages=[(9.0, "late")], tail_s=0.5)
    assert result.duration_s == pytest.approx(9.5, abs=0.05)


@pytest.mark.parametrize("time_s", [-0.1, float("nan"), float("inf")])
def test_a_message_at_no_time_is_an_error(time_s: float) -> None:
    with pytest.raises(ValueError, match="the time of a message"):
        simulate(Chat(), (16_000, np.zeros(320, np.int16)), messages=[(time_s, "never")])


def test_a_message_that_json_cannot_carry_is_an_error() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        simulate(Chat(), (16_000, np.zeros(320, np.int16)), messages=[(0.0, {1, 2})])


def test_an_emit_of_a_programs_own_may_wait_for_an_answer_that_sleeps() -> None:
    class Emitting(ReplyOnPause):
        def emit(self) -> Any:
            return super().emit()

    async def answer(_audio: object) -> AsyncIterator[Any]:
        await asyncio.sleep(0.3)
        yield 24_000, np.full((1, 24_000), 1_000, np.int16)

    simulation = simulate(Emitting(answer), (48_000, speech_at_48k("cards_003_16k")))
    (turn,) = simulation.turns
    assert turn.reply_start_s == pytest.approx(turn.pause_s + 0.3, abs=0.05)
