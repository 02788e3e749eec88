"""A subclass with an ``emit`` of its own, which asks ours or does all of it by itself."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.blocks import CHUNK, Model, Recorder, block
from support.conversing import LOUDNESS, RATE_HZ, Endless, conversing

from gradio_webrtc._handlers import AppState, ReplyOnPause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import numpy as np
    from numpy.typing import NDArray


def answering(fn: Any, **options: Any) -> ReplyOnPause:
    return ReplyOnPause(fn, model=Model(), input_sample_rate=RATE_HZ, **options)


class Wrapping(ReplyOnPause):
    """Overrides emit to look at what ours gives."""

    threads: set[int]

    def emit(self) -> Any:
        item = super().emit()
        if item is not None:
            self.threads.add(threading.get_ident())
        return item


@pytest.mark.parametrize("is_async", [False, True])
async def test_an_overridden_emit_may_ask_ours_from_its_own_thread(is_async: bool) -> None:  # noqa: FBT001
    async def answer(audio: Any) -> AsyncIterator[Any]:
        for item in Recorder()(audio):
            yield item

    handler = Wrapping(answer if is_async else Recorder(), model=Model(), input_sample_rate=RATE_HZ)
    handler.threads = set()
    async with conversing(handler) as talk:
        while not talk.handler._rtc_asks_us:  # noqa: SLF001, ASYNC110 - a session asks at once
            await asyncio.sleep(0)
        for turn in (1, 2):
            talk.feed(block(0.9))
            talk.feed(block(0.0))
            await talk.until_event("response_finished", turn)
        await talk.until_said(2)
    assert handler.threads
    assert threading.get_ident() not in handler.threads


class Standalone(ReplyOnPause):
    """Overrides emit altogether, as a turn detector for fastrtc does."""

    def emit(self) -> Any:
        if not self.event.is_set():
            return None
        if not self.generator:
            if self._needs_additional_inputs and not self.args_set.is_set():
                self.wait_for_args_sync()
            stream = self.state.stream
            assert stream is not None
            self.latest_args[0] = stream.size
            self.generator = self.fn(*self.latest_args)
            self.state = self.state.new()
        self.state.responding = True
        try:
            return next(self.generator)
        except StopIteration:
            self.reset()
            return None


async def test_an_emit_of_ones_own_answers_from_event_and_state() -> None:
    got: list[tuple[Any, ...]] = []

    def answer(size: int, text: str) -> Iterator[Any]:
        got.append((size, text))
        yield CHUNK

    handler = Standalone(answer, model=Model(), input_sample_rate=RATE_HZ)
    async with conversing(handler, "text") as talk:
        for turn in (1, 2):
            talk.feed(block(0.9))
            talk.feed(block(0.0))
            await talk.until_said(turn)
            await talk.until_idle()
        assert talk.session.errors == []
        assert talk.session.requests == 2
    assert got == [(19200, "text"), (19200, "text")]


async def test_an_emit_of_ones_own_is_interrupted_when_the_turn_is_over() -> None:
    closed: list[bool] = []

    def endless(_size: int) -> Iterator[Any]:
        try:
            while True:
                yield CHUNK
        finally:
            closed.append(True)

    class Simple(Standalone):
        def emit(self) -> Any:
            self.latest_args = self.latest_args or [None]
            return super().emit()

    handler = Simple(endless, model=Model(), input_sample_rate=RATE_HZ)
    async with conversing(handler) as talk:
        talk.feed(block(0.9))
        talk.feed(block(0.0))
        await talk.until_said(3)
        talk.feed(block(0.9))
        assert "interrupted" not in talk.session.names
        talk.feed(block(0.0))
        assert "interrupted" in talk.session.names
        assert talk.session.interruptions == 1
        await talk.until_said(len(talk.items) + 3)
        assert closed == [True]


class Slow(Wrapping):
    """An emit that holds what it has got of ours until it may go on."""

    may_go_on: threading.Event
    own_item: Any = None

    def emit(self) -> Any:
        if self.own_item is not None:
            item, self.own_item = self.own_item, None
        else:
            item = super().emit()
        if item is not None:
            self.may_go_on.wait()
        return item


@pytest.mark.parametrize("is_own", [False, True])
async def test_an_interruption_drops_what_an_emit_has_of_ours_and_not_its_own(is_own: bool) -> None:  # noqa: FBT001
    fn = Endless()
    handler = Slow(fn.sync, model=Model(), input_sample_rate=RATE_HZ)
    handler.threads = set()
    handler.may_go_on = threading.Event()
    handler.may_go_on.set()
    async with conversing(handler) as talk:
        talk.feed(block(0.9))
        talk.feed(block(0.0))
        await talk.until_said(2)
        handler.may_go_on.clear()
        talk.handler.own_item = CHUNK if is_own else None
        said = len(talk.items)
        try:
            # Whatever was on its way is given, and the next one is held.
            while talk.handler._rtc_has_emitted is is_own:  # noqa: SLF001, ASYNC110 - no event
                await asyncio.sleep(0)
            before = (talk.session.interruptions, talk.session.clears)
            talk.feed(block(0.9))
            after = (talk.session.interruptions, talk.session.clears)
        finally:
            handler.may_go_on.set()
        assert said <= len(talk.items)
        dropped = (before[0] + (not is_own), before[1] + is_own)
        assert after == dropped


async def test_an_emit_may_look_at_the_turn_before_it_asks_ours() -> None:
    looked: list[tuple[int, bool]] = []

    class Looking(ReplyOnPause):
        def emit(self) -> Any:
            if not self.event.is_set():
                return None
            if not self.generator:
                stream = self.state.stream
                assert stream is not None
                looked.append((stream.size, self.state.pause_detected))
                self.state.stream = stream // 2
            return super().emit()

    fn = Recorder()
    async with conversing(Looking(fn, model=Model(), input_sample_rate=RATE_HZ)) as talk:
        for turn in (1, 2):
            talk.feed(block(0.9))
            talk.feed(block(0.0))
            await talk.until_event("response_finished", turn)
            await talk.until_idle()
    assert looked == [(19200, True), (19200, True)]
    assert [audio.max() for audio in fn.received] == [round(0.9 * LOUDNESS) // 2] * 2


async def test_a_process_audio_that_resamples_sets_the_rate_in_its_state() -> None:
    class Halving(ReplyOnPause):
        def process_audio(self, audio: tuple[int, NDArray[np.int16]], state: AppState) -> None:
            super().process_audio((audio[0] // 2, audio[1][:, ::2]), state)

    got: list[tuple[int, tuple[int, ...]]] = []

    def answer(audio: tuple[int, NDArray[np.int16]]) -> Iterator[Any]:
        got.append((audio[0], audio[1].shape))
        yield CHUNK

    async with conversing(Halving(answer, model=Model(), input_sample_rate=RATE_HZ)) as talk:
        talk.feed(block(0.9))
        talk.feed(block(0.0))
        await talk.until_event("response_finished")
    assert got == [(RATE_HZ // 2, (1, 9600))]


async def test_speech_that_begins_while_an_emit_of_ones_own_ends_is_not_lost() -> None:
    sizes: list[int] = []
    gate = threading.Event()

    def answer(size: int) -> Iterator[Any]:
        sizes.append(size)
        yield CHUNK
        if len(sizes) == 1:
            gate.wait()

    class Simple(Standalone):
        def emit(self) -> Any:
            self.latest_args = self.latest_args or [None]
            return super().emit()

    handler = Simple(answer, model=Model(), input_sample_rate=RATE_HZ)
    async with conversing(handler) as talk:
        talk.feed(block(0.9))
        talk.feed(block(0.0))
        await talk.until_said(1)
        talk.feed(block(0.9))
        gate.set()
        await talk.until_idle()
        talk.feed(block(0.9))
        talk.feed(block(0.0))
        await talk.until_said(2)
    assert sizes == [19200, 28800]


class ClosesAtOnce(ReplyOnPause):
    """Takes one item of each answer and closes the rest, as subclasses for fastrtc do."""

    async def emit(self) -> Any:  # type: ignore[override]
        if not self.event.is_set():
            return None
        self.generator = self.fn(self.state.stream)
        item = await self.async_iterate(self.generator)
        self._close_generator()
        self.generator = None
        self.reset()
        return item


@pytest.mark.parametrize("ends", ["by itself", "with an error", "with the session"])
async def test_an_async_answer_that_an_emit_of_ones_own_closes_has_an_owner(ends: str) -> None:
    ended: list[str] = []

    async def answer(_audio: object) -> AsyncIterator[Any]:
        try:
            yield CHUNK
        finally:
            try:
                await asyncio.sleep(3600 if ends == "with the session" else 0)
            finally:
                ended.append(ends)
            if ends == "with an error":
                raise LookupError("no file")

    async with conversing(ClosesAtOnce(answer, model=Model(), input_sample_rate=RATE_HZ)) as talk:
        talk.feed(block(0.9))
        talk.feed(block(0.0))
        await talk.until_said(1)
        await asyncio.sleep(0.05)
        errors = ["no file"] if ends == "with an error" else []
        assert [str(each) for each in talk.session.errors] == errors
        assert bool(ended) is (ends != "with the session")
    assert ended == [ends]
