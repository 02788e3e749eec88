"""The way to a service: first events, queues, and the next connection where one is lost."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.clock import run_virtual
from support.realtime_service import MemoryLine, MemoryService, Script

from gradio_webrtc._realtime import link as module
from gradio_webrtc._realtime import outgoing
from gradio_webrtc._realtime.line import ServiceLost, ServiceRefused
from gradio_webrtc._realtime.link import Address, Link, ServiceGone
from gradio_webrtc._realtime.outgoing import Outgoing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from gradio_webrtc._realtime.protocol import Event

FRAME = np.zeros((1, 480), np.int16)


class Notes:
    """A client that notes what it is called with."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.greetings: list[tuple[Mapping[str, Any], bool]] = []
        self.tries: list[int] = []
        self.took = asyncio.Event()

    async def find_address(self) -> Address:
        return Address("ws://service.example", {"number": str(len(self.tries))})

    def greet(self, terms: Mapping[str, Any], *, is_again: bool) -> list[Event]:
        self.greetings.append((terms, is_again))
        return [{"type": "session.update", "session": {"type": "realtime"}}]

    async def take_event(self, event: Event) -> None:
        self.events.append(event)
        self.took.set()

    def note_lost(self, tries: int) -> None:
        self.tries.append(tries)

    def kinds(self) -> list[str]:
        return [each["type"] for each in self.events]


@asynccontextmanager
async def linked(service: MemoryService) -> AsyncIterator[tuple[Link, Notes, asyncio.Task[None]]]:
    notes = Notes()
    link = Link(service.open, notes)
    running = asyncio.get_running_loop().create_task(link.run())
    try:
        yield link, notes, running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_terms_are_sent_once_the_service_has_sent_its_own() -> None:
    service = MemoryService(Script(is_beta=True))
    async with linked(service) as (link, notes, _):
        assert not link.is_open
        await settle()
        assert link.is_open
        assert notes.greetings[0][0]["modalities"] == ["audio", "text"]
        assert [each["type"] for each in service.last.received] == ["session.update"]
        assert notes.kinds() == ["session.updated"]
    assert not link.is_open


async def test_events_and_audio_keep_their_order_and_go_out_at_once() -> None:
    service = MemoryService()
    async with linked(service) as (link, _, _running):
        link.send({"type": "input_audio_buffer.clear"})
        link.send_audio(FRAME)
        await settle()
        link.send_audio(FRAME)
        link.send({"type": "input_audio_buffer.commit"})
        await settle()
        kinds = [each["type"] for each in service.last.received]
        # An event from before the connection belonged to none; audio waits for one.
        assert kinds == ["session.update", "input_audio_buffer.commit"]
        assert service.last.audio_bytes == 2 * FRAME.nbytes


def test_a_lost_connection_is_made_again_after_waits_that_grow() -> None:
    async def scene() -> None:
        service = MemoryService(failures=[ServiceLost("no way")] * 3)
        loop = asyncio.get_running_loop()
        async with linked(service) as (_, notes, _running):
            await notes.took.wait()
            assert notes.tries == [1, 2, 3]
            # Of 0.5, 1 and 2 seconds half at least.
            assert 1.75 <= loop.time() <= 3.5
            service.lines[-1].fail()
            await asyncio.sleep(20)
            assert [again for _, again in notes.greetings] == [False, True]
            assert notes.tries == [1, 2, 3, 4]
            assert [request[1]["number"] for request in service.requests] == list("01234")

    run_virtual(scene())


def test_a_service_that_stays_away_is_gone_in_the_end() -> None:
    async def scene() -> None:
        service = MemoryService(failures=[ServiceLost("no way")] * 100)
        async with linked(service) as (_, notes, running):
            with pytest.raises(ServiceGone, match="no way") as raised:
                await running
            assert not raised.value.is_refusal
            assert len(service.requests) == module.MAX_TRIES == len(notes.tries) + 1

    run_virtual(scene())


def test_tries_are_counted_from_the_start_once_a_connection_has_lasted() -> None:
    async def scene() -> None:
        service = MemoryService()
        async with linked(service) as (_, notes, _running):
            for _ in range(2 * module.MAX_TRIES):
                await asyncio.sleep(module.STEADY_S + 11)
                service.lines[-1].fail()
            await asyncio.sleep(1)
            assert notes.tries == [1] * 2 * module.MAX_TRIES

    run_virtual(scene())


async def test_a_refusal_is_final() -> None:
    service = MemoryService(failures=[ServiceRefused("status 401")])
    async with linked(service) as (_, notes, running):
        with pytest.raises(ServiceGone, match="401") as raised:
            await running
        assert raised.value.is_refusal
        assert notes.tries == []


def test_a_service_that_never_begins_counts_as_lost() -> None:
    async def scene() -> None:
        service = MemoryService(is_silent=True)
        async with linked(service) as (_, notes, running):
            with pytest.raises(ServiceGone, match=r"no session\.created within 10 s"):
                await running
            assert notes.greetings == []

    run_virtual(scene())


@pytest.mark.parametrize(
    ("kind", "requests"), [("invalid_request_error", 1), ("server_error", module.MAX_TRIES)]
)
def test_an_error_in_place_of_a_beginning_is_final_where_it_is_ours(
    kind: str, requests: int
) -> None:
    async def scene() -> None:
        service = MemoryService(is_silent=True)
        async with linked(service) as (_, _notes, running):
            while not running.done():
                for line in service.lines:
                    error = {"type": kind, "message": "no such model"}
                    line.put({"type": "error", "error": error})
                await asyncio.sleep(0.01)
            with pytest.raises(ServiceGone, match="no such model") as raised:
                await running
            assert raised.value.is_refusal == (requests == 1)
            assert len(service.requests) == requests

    run_virtual(scene())


async def test_what_is_no_event_is_skipped_and_too_much_of_it_is_another_protocol(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.0)
    service = MemoryService()
    async with linked(service) as (_, notes, _running):
        await settle()
        for _ in range(module.MAX_UNREADABLE):
            service.lines[-1].put("garbage")
        service.lines[-1].put({"type": "anything"})
        for _ in range(module.MAX_UNREADABLE):
            await settle()
        assert notes.kinds()[-1] == "anything"
        assert notes.tries == []
        service.lines[-1].put("[]")
        await settle()
        assert notes.tries == [1]


def test_a_service_that_owes_an_answer_and_is_silent_counts_as_lost() -> None:
    async def scene() -> None:
        service = MemoryService()
        async with linked(service) as (link, notes, _running):
            await asyncio.sleep(1)
            # Nothing is owed: it may be silent for hours.
            await asyncio.sleep(7200)
            link.expect_answer()
            await asyncio.sleep(module.ANSWER_TIMEOUT_S - 1)
            # That it was heard is no answer.
            service.lines[-1].put({"type": "input_audio_buffer.committed"})
            await asyncio.sleep(module.ANSWER_TIMEOUT_S - 1)
            link.note_answer()
            await asyncio.sleep(7200)
            assert notes.tries == []
            link.expect_answer()
            service.lines[-1].put({"type": "input_audio_buffer.committed"})
            await asyncio.sleep(module.ANSWER_TIMEOUT_S - 1)
            assert notes.tries == []
            await asyncio.sleep(2)
            assert notes.tries == [1]

    run_virtual(scene())


def test_a_request_among_the_first_events_owes_an_answer_as_well() -> None:
    class Asking(Notes):
        def greet(self, terms: Mapping[str, Any], *, is_again: bool) -> list[Event]:
            return [*super().greet(terms, is_again=is_again), {"type": "response.create"}]

    async def scene() -> None:
        notes = Asking()
        line = MemoryLine(Script())

        async def ignore(text: str) -> None:
            del text

        line.send = ignore  # type: ignore[method-assign]

        @asynccontextmanager
        async def open_line(_url: str, _headers: Mapping[str, str]) -> AsyncIterator[MemoryLine]:
            await line.service.begin()
            yield line

        running = asyncio.get_running_loop().create_task(Link(open_line, notes).run())
        await asyncio.sleep(module.ANSWER_TIMEOUT_S - 1)
        assert notes.tries == []
        await asyncio.sleep(2)
        assert notes.tries == [1]
        running.cancel()

    run_virtual(scene())


async def test_a_service_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.0)
    service = MemoryService()
    async with linked(service) as (link, notes, _running):
        await settle()
        line: Any = service.lines[-1]

        async def never(_text: str) -> None:
            await asyncio.Event().wait()

        line.send = never
        # Two are with the line by then: the one that it took before, and the one that it keeps.
        for _ in range(outgoing.MAX_OTHER_EVENTS + 3):
            link.send({"type": "input_audio_buffer.clear"})
            await asyncio.sleep(0)
        await settle()
        assert notes.tries == [1]


async def test_an_event_that_takes_its_time_holds_up_the_next() -> None:
    service = MemoryService()
    async with linked(service) as (_, notes, _running):
        await settle()
        may_go_on = asyncio.Event()
        taken: list[str] = []

        async def take(event: Event) -> None:
            taken.append(event["type"])
            await may_go_on.wait()

        client: Any = notes
        client.take_event = take
        service.lines[-1].put({"type": "first"})
        service.lines[-1].put({"type": "second"})
        await settle()
        assert taken == ["first"]
        may_go_on.set()
        await settle()
        assert taken == ["first", "second"]


async def test_of_audio_that_waits_the_newest_counts() -> None:
    queue = Outgoing()
    for number in range(outgoing.MAX_AUDIO_EVENTS + 3):
        queue.put_audio(str(number))
    assert queue.dropped_audio == 3
    queue.put("other")
    assert len(queue) == outgoing.MAX_AUDIO_EVENTS + 1
    queue.keep_audio()
    taken = [await queue.take() for _ in range(len(queue))]
    assert taken == [str(number) for number in range(3, outgoing.MAX_AUDIO_EVENTS + 3)]


async def test_other_events_are_bounded_in_number_and_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = Outgoing()
    assert all(queue.put("x") for _ in range(outgoing.MAX_OTHER_EVENTS))
    assert not queue.put("x")
    assert await queue.take() == "x"
    assert queue.put("x")
    monkeypatch.setattr(outgoing, "MAX_OTHER_CHARS", outgoing.MAX_OTHER_EVENTS)
    assert await queue.take() == "x"
    assert not queue.put("xx")


def test_the_waits_of_many_sessions_differ() -> None:
    async def scene() -> None:
        waits = {Link(MemoryService().open, Notes())._wait_s(3) for _ in range(20)}  # noqa: SLF001
        assert len(waits) > 10
        assert all(1.0 <= each <= 2.0 for each in waits)

    run_virtual(scene())
