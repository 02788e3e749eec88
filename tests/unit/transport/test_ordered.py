"""The transport over an ordered connection, beyond what every transport must do."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.clock import run_virtual
from support.transport_ends import PlainDialect

from gradio_webrtc._config import SessionConfig
from gradio_webrtc._limits import Limits
from gradio_webrtc._transport import AudioBlock, OrderedTransport
from gradio_webrtc._transport import ordered as module
from gradio_webrtc.errors import ConnectionLost, ConnectionTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gradio_webrtc._transport import Wire

SECOND = AudioBlock(48_000, 1, np.zeros((1, 48_000), np.int16))


def numbered_block(number: int, duration_s: float = 0.02) -> AudioBlock:
    return AudioBlock(8_000, 1, np.full((1, round(8_000 * duration_s)), number, np.int16))


@pytest.fixture
async def transport() -> AsyncIterator[OrderedTransport]:
    made = OrderedTransport(PlainDialect())
    yield made
    await made.close()


async def test_a_client_that_never_comes_is_a_timeout(
    transport: OrderedTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONNECT_TIMEOUT_S", 0.05)
    with pytest.raises(ConnectionTimeout, match="did not connect within"):
        await transport.connect()


async def test_an_end_before_the_client_came_is_a_lost_connection(
    transport: OrderedTransport,
) -> None:
    transport.hang_up()
    with pytest.raises(ConnectionLost, match="the client left"):
        await transport.connect()


async def test_audio_is_kept_until_it_is_taken_and_the_newest_second_counts(
    transport: OrderedTransport,
) -> None:
    for number in range(60):
        transport.deliver_audio(numbered_block(number))
    taken: list[int] = []

    def take(block: AudioBlock) -> float:
        taken.append(int(block.samples[0, 0]))
        return 0.0

    carrying = asyncio.ensure_future(transport.carry_audio(take))  # noqa: TID251  # awaited below
    await asyncio.sleep(0)
    transport.deliver_audio(numbered_block(60))
    assert taken == list(range(10, 61))
    assert transport.stats().packets_discarded == 10
    transport.hang_up()
    with pytest.raises(ConnectionLost):
        await carrying


async def test_packets_without_audio_are_neither_kept_nor_passed_on(
    transport: OrderedTransport,
) -> None:
    empty = AudioBlock(8_000, 1, np.zeros((1, 0), np.int16))
    taken: list[int] = []

    def take(block: AudioBlock) -> float:
        taken.append(block.samples.size)
        return 0.0

    for block in (empty, numbered_block(1), empty):
        transport.deliver_audio(block)
    carrying = asyncio.ensure_future(transport.carry_audio(take))  # noqa: TID251  # ended below
    await asyncio.sleep(0)
    transport.deliver_audio(empty)
    assert taken == [160]
    assert transport.stats().packets_received == 4
    transport.hang_up()
    with pytest.raises(ConnectionLost):
        await carrying


async def test_what_waits_is_not_counted_again_for_each_packet(
    transport: OrderedTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = 0

    def count(block: AudioBlock) -> int:
        nonlocal counted
        counted += 1
        return block.samples.size

    monkeypatch.setattr(module, "_samples_of", count)
    for _ in range(1000):
        transport.deliver_audio(AudioBlock(8_000, 1, np.zeros((1, 1), np.int16)))
    # A client may send thousands of packets of one sample before its session has begun.
    assert counted <= 5 * 1000


async def test_more_audio_than_time_passes_is_discarded() -> None:
    transport = OrderedTransport(PlainDialect())
    taken = 0

    def take(_block: AudioBlock) -> float:
        nonlocal taken
        taken += 1
        return 0.0

    carrying = asyncio.ensure_future(transport.carry_audio(take))  # noqa: TID251  # ended below
    await asyncio.sleep(0)
    for _ in range(30):
        transport.deliver_audio(SECOND)
    assert transport.stats().packets_discarded == 20
    # A burst is passed on over some time.
    while taken < 10:  # noqa: ASYNC110 - nothing wakes a test
        await asyncio.sleep(0.01)
    assert transport.stats().packets_discarded == 20
    await transport.close()
    with pytest.raises(ConnectionLost):
        await carrying


async def test_a_burst_waits_for_a_handler_that_is_behind(transport: OrderedTransport) -> None:
    taken: list[int] = []
    waiting_s = 10.0

    def take(block: AudioBlock) -> float:
        taken.append(int(block.samples[0, 0]))
        return -waiting_s

    carrying = asyncio.ensure_future(transport.carry_audio(take))  # noqa: TID251  # ended below
    await asyncio.sleep(0)
    for number in range(100):
        transport.deliver_audio(numbered_block(number))
    assert taken == [0]
    await asyncio.sleep(0.2)
    assert 2 <= len(taken) <= 20, "in real time"
    waiting_s = 0.0
    while len(taken) < 100:  # noqa: ASYNC110 - nothing wakes a test
        await asyncio.sleep(0.01)
    assert taken == list(range(100))
    assert transport.stats().packets_discarded == 0
    await transport.close()
    with pytest.raises(ConnectionLost):
        await carrying


async def test_messages_are_bounded_in_size_and_number() -> None:
    limits = Limits(message_bytes=1024, messages_per_s=10)
    large = OrderedTransport(PlainDialect(), SessionConfig(limits=limits))
    large.deliver_text("x" * 1025)
    assert "larger than 1024" in await large.wait_closed()
    many = OrderedTransport(PlainDialect(), SessionConfig(limits=limits))
    for _ in range(module.MIN_TEXT_BURST + 1):
        many.deliver_text("x")
    assert "more than 10 messages" in await many.wait_closed()


@pytest.mark.parametrize("fault", ["size", "number"])
async def test_a_client_that_has_to_go_is_sent_the_reason(fault: str) -> None:
    limits = Limits(message_bytes=1024, messages_per_s=10)
    transport = OrderedTransport(PlainDialect(), SessionConfig(limits=limits))
    written: list[Wire] = []

    async def write(wire: Wire) -> None:
        written.append(wire)

    taken: list[str] = []
    transport.on_message = taken.append
    transport.attach(write)
    await transport.connect()
    texts = {"size": ["x" * 1025], "number": ["x"] * (module.MIN_TEXT_BURST + 1)}
    for text in texts[fault]:
        transport.deliver_text(text)
    reason = await transport.wait_closed()
    del taken[:]
    transport.deliver_text("nothing is taken any more")
    transport.send_text(reason)
    await transport.close()
    assert written == [reason]
    assert taken == []
    assert await transport.wait_hung_up() == "closed by the server"


async def test_a_client_that_sends_no_media_is_given_up() -> None:
    transport = OrderedTransport(PlainDialect(), SessionConfig(limits=Limits(idle_limit_s=0.1)))
    transport.attach(_take_nothing)
    await transport.connect()
    assert "No audio or video came" in await transport.wait_closed()
    await transport.close()


def test_a_client_that_is_given_up_gets_the_reason_and_may_show_that_it_is_there() -> None:
    written: list[Wire] = []

    async def write(wire: Wire) -> None:
        written.append(wire)

    async def scene() -> None:
        transport = OrderedTransport(PlainDialect(), SessionConfig(limits=Limits(idle_limit_s=30)))
        transport.attach(write)
        await transport.connect()
        await asyncio.sleep(29)
        transport.note_alive()
        await asyncio.sleep(29)
        assert written == []
        assert "No audio or video came" in await transport.wait_closed()
        (ending,) = map(json.loads, written)
        assert (ending["type"], ending["data"]) == ("end_stream", await transport.wait_closed())
        await transport.close()

    run_virtual(scene())


async def test_a_writer_without_a_client_ends_the_connection(transport: OrderedTransport) -> None:
    async def fail(_wire: Wire) -> None:
        raise ConnectionLost("the line is dead")

    transport.attach(fail)
    transport.send_text("anything")
    assert await transport.wait_closed() == "the line is dead"


async def test_what_waits_is_written_before_the_end(transport: OrderedTransport) -> None:
    written: list[Wire] = []

    async def write(wire: Wire) -> None:
        await asyncio.sleep(0.01)
        written.append(wire)

    transport.attach(write)
    transport.send_text("one")
    transport.send_text("two")
    await transport.close()
    assert written == ["one", "two"]


async def test_a_client_that_takes_nothing_holds_up_no_end(
    transport: OrderedTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLUSH_TIMEOUT_S", 0.05)

    async def never(_wire: Wire) -> None:
        await asyncio.Event().wait()

    transport.attach(never)
    transport.send_text("one")
    await asyncio.sleep(0)
    await transport.close()
    assert await transport.wait_closed() == "closed by the server"


async def test_barge_in_reaches_the_client_before_the_next_audio(
    transport: OrderedTransport,
) -> None:
    written: list[Wire] = []
    may_write = asyncio.Event()

    async def write(wire: Wire) -> None:
        await may_write.wait()
        written.append(wire)

    transport.attach(write)
    transport.send_text("before")
    transport.clear_audio()
    may_write.set()
    transport.send_text("after")
    await transport.close()
    assert written == ["before", '{"type": "clear", "data": "clear"}', "after"]


async def test_audio_that_was_not_written_was_not_played(transport: OrderedTransport) -> None:
    for _ in range(3):
        transport._queue.put_audio("20 ms")  # noqa: SLF001 - as the pacer does
    assert transport.clear_audio() == pytest.approx(0.06)
    assert transport.clear_audio() == 0.0
    await transport.close()


async def test_a_dialect_sends_messages_of_its_own_in_their_order(
    transport: OrderedTransport,
) -> None:
    written: list[Wire] = []

    async def write(wire: Wire) -> None:
        written.append(wire)

    transport.put("first")
    transport.attach(write)
    transport.send_text("second")
    transport.put("third")
    await transport.close()
    transport.put("too late")
    assert written == ["first", "second", "third"]


async def test_audio_that_was_admitted_may_be_passed_on_later_and_at_once(
    transport: OrderedTransport,
) -> None:
    taken: list[int] = []

    def take(block: AudioBlock) -> float:
        taken.append(int(block.samples[0, 0]))
        return 0.0

    carrying = asyncio.ensure_future(transport.carry_audio(take))  # noqa: TID251  # awaited below
    await asyncio.sleep(0)
    blocks = [numbered_block(number, 1.0) for number in range(12)]
    admitted = [block for block in blocks if transport.admit_audio(1.0, 16_000)]
    assert len(admitted) == 10
    assert taken == []
    for block in admitted:
        transport.pass_on(block, at_once=True)
    assert taken == list(range(10))
    assert transport.stats().bytes_received == 12 * 16_000
    transport.hang_up()
    with pytest.raises(ConnectionLost):
        await carrying


async def test_a_mode_without_inbound_audio_takes_none() -> None:
    transport = OrderedTransport(PlainDialect(), SessionConfig(mode="receive"))
    transport.deliver_audio(SECOND)
    with pytest.raises(ConnectionLost, match="sends no audio"):
        await transport.carry_audio(lambda _block: 0.0)
    await transport.close()


async def _take_nothing(_wire: Wire) -> None: ...


async def test_a_client_that_comes_after_the_end_is_not_attached(
    transport: OrderedTransport,
) -> None:
    await transport.close()
    before = asyncio.all_tasks()
    transport.attach(_take_nothing)
    assert asyncio.all_tasks() == before
