"""No handler keeps the event loop for itself, whatever it gives and however fast."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gradio_webrtc import (
    AdditionalOutputs,
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    StreamHandler,
)
from gradio_webrtc._config import SessionConfig
from gradio_webrtc._session.rounds import MAX_ROUNDS_WITHOUT_MEDIA, Rounds
from gradio_webrtc._session.session import Session
from gradio_webrtc._ui.streaming import make_template
from gradio_webrtc.testing import FakeTransport
from gradio_webrtc.testing.clock import VirtualClockLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from gradio_webrtc._handlers import StreamHandlerBase
    from gradio_webrtc.types import EmitType

HELD_S = 4.0
PIECE = (24_000, np.full((1, 1_920), 9_000, np.int16))
OUTPUTS = AdditionalOutputs("x")
EMPTY = (24_000, np.zeros((1, 0), np.int16))
CRUMB = (24_000, np.ones((1, 1), np.int16))


def run_virtual(main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        return runner.run(main)


class Counting:
    """Gives the same for ever, without waiting; counts how often it is asked."""

    def __init__(self, item: Any) -> None:
        self.item = item
        self.asked = 0

    def next(self) -> Any:
        self.asked += 1
        return self.item


class Eager(AsyncStreamHandler):
    def __init__(self, source: Counting) -> None:
        super().__init__()
        self.source = source

    def copy(self) -> Eager:
        return Eager(self.source)

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> EmitType:
        return self.source.next()  # type: ignore[no-any-return]


class EagerInThread(StreamHandler):
    def __init__(self, source: Counting) -> None:
        super().__init__()
        self.source = source

    def copy(self) -> EagerInThread:
        return EagerInThread(self.source)

    def receive(self, frame: Any) -> None: ...

    def emit(self) -> EmitType:
        return self.source.next()  # type: ignore[no-any-return]


class EagerVideo(AsyncAudioVideoStreamHandler):
    def __init__(self, source: Counting) -> None:
        super().__init__()
        self.source = source

    def copy(self) -> EagerVideo:
        return EagerVideo(self.source)

    async def video_receive(self, frame: Any) -> None: ...

    async def video_emit(self) -> Any:
        return self.source.next()


async def _hold(
    handler: StreamHandlerBase, terms: SessionConfig, held_s: float = HELD_S
) -> FakeTransport:
    transport = FakeTransport(48_000, np.zeros(960, np.int16))
    session = Session("client", transport, handler, terms)
    running = asyncio.get_running_loop().create_task(session.run())
    session.set_inputs([])
    await asyncio.sleep(held_s)
    session.end("held")
    await running
    return transport


@pytest.mark.parametrize("item", [OUTPUTS, EMPTY, None, (EMPTY, OUTPUTS), CRUMB], ids=str)
@pytest.mark.parametrize("kind", [Eager, EagerInThread])
def test_an_emit_without_media_is_asked_50_times_a_second_at_most(kind: Any, item: Any) -> None:
    source = Counting(item)
    run_virtual(_hold(kind(source), SessionConfig()))
    assert source.asked <= MAX_ROUNDS_WITHOUT_MEDIA * (HELD_S + 1)
    assert source.asked >= MAX_ROUNDS_WITHOUT_MEDIA * (HELD_S - 1)


@pytest.mark.parametrize("kind", [Eager, EagerInThread])
def test_audio_that_nobody_plays_is_no_reason_to_ask_more_often(kind: Any) -> None:
    source = Counting(PIECE)
    run_virtual(_hold(kind(source), SessionConfig(mode="send")))
    assert source.asked <= MAX_ROUNDS_WITHOUT_MEDIA * (HELD_S + 1)


@pytest.mark.parametrize("item", [PIECE, (PIECE, OUTPUTS)], ids=["audio", "audio and outputs"])
def test_audio_is_held_back_by_its_own_length(item: Any) -> None:
    source = Counting(item)
    transport = run_virtual(_hold(Eager(source), SessionConfig(has_outputs=True)))
    assert len(transport.sent) == pytest.approx(50 * HELD_S, abs=5)
    assert source.asked == pytest.approx((HELD_S + 1) / 0.08, abs=5)


@pytest.mark.parametrize("item", [OUTPUTS, None], ids=str)
def test_frames_that_do_not_come_are_asked_for_no_more_often(item: Any) -> None:
    source = Counting(item)
    run_virtual(_hold(EagerVideo(source), SessionConfig(mode="receive", modality="audio-video")))
    assert source.asked <= MAX_ROUNDS_WITHOUT_MEDIA * (HELD_S + 1)


@pytest.mark.parametrize("modality", ["audio", "video"])
def test_a_generator_of_outputs_lets_the_loop_turn(modality: Any) -> None:
    source = Counting(OUTPUTS)

    async def endless() -> AsyncIterator[Any]:
        while True:
            yield source.next()

    template = make_template(endless, "receive", modality)
    run_virtual(_hold(template.copy(), SessionConfig(mode="receive", modality=modality)))
    assert source.asked <= MAX_ROUNDS_WITHOUT_MEDIA * (HELD_S + 1)


def test_an_emit_that_fails_each_time_is_asked_no_more_often() -> None:
    class Failing(Eager):
        async def emit(self) -> EmitType:
            self.source.next()
            raise ValueError

    source = Counting(None)
    run_virtual(_hold(Failing(source), SessionConfig()))
    assert source.asked <= MAX_ROUNDS_WITHOUT_MEDIA * (HELD_S + 1)


def test_a_handful_of_outputs_is_not_made_to_wait() -> None:
    async def scenario() -> float:
        rounds, loop = Rounds(), asyncio.get_running_loop()
        for _ in range(MAX_ROUNDS_WITHOUT_MEDIA):
            await rounds.end(has_media=False)
        return loop.time()

    assert run_virtual(scenario()) == 0


async def test_every_round_lets_the_loop_turn() -> None:
    rounds = Rounds()
    kinds: list[Callable[[], Coroutine[Any, Any, None]]] = [
        lambda: rounds.end(has_media=True),
        lambda: rounds.end(has_media=False),
    ]
    for kind in kinds:
        turned: list[bool] = []
        asyncio.get_running_loop().call_soon(turned.append, True)  # noqa: FBT003 - what is noted
        await kind()
        assert turned


async def test_a_receive_that_never_waits_lets_the_loop_turn_between_two_frames() -> None:
    turns: list[int] = []

    class Busy(Eager):
        frames = 0

        async def receive(self, _frame: Any) -> None:
            self.frames += 1
            turns.append(self.frames)
            asyncio.get_running_loop().call_soon(turns.append, 0)

    handler = Busy(Counting(None))
    transport = FakeTransport(48_000, np.zeros(960, np.int16))
    session = Session("client", transport, handler, SessionConfig())
    inbound = session._media.audio  # noqa: SLF001 - the frames that came while it was busy
    assert inbound is not None
    for _ in range(5):
        inbound._waiting.append((0.0, 0, (48_000, np.zeros((1, 960), np.int16))))  # noqa: SLF001 - as above
    delivering = asyncio.get_running_loop().create_task(inbound.deliver())
    while handler.frames < 5:  # noqa: ASYNC110 - it takes a turn of the loop each
        await asyncio.sleep(0)
    delivering.cancel()
    assert turns[:8] == [1, 0, 2, 0, 3, 0, 4, 0]
    session.end("never connected")
    await session.run()
