"""A connected client sends over the data channel's own protocol what no page would send."""

from __future__ import annotations

import asyncio
import gc
import struct
from typing import Any

import pytest
from aiortc.rtcsctptransport import ForwardTsnChunk
from support.hostile import attacked, counted
from support.wire import TSNS, data_chunk

from gradio_webrtc import Limits

pytestmark = pytest.mark.network

OURS = ("aiortc_internals/",)


@pytest.mark.parametrize(
    "gaps",
    [
        pytest.param([(1, 65535)] * 270, id="overlapping"),
        pytest.param([(i, 65535 - i) for i in range(1, 271)], id="nested"),
        pytest.param([(1000 * i, 1000 * i + 999) for i in range(1, 65)], id="never-sent"),
        pytest.param([(9, 3), (2, 65535)], id="backwards"),
    ],
)
async def test_an_acknowledgement_of_what_was_never_sent_costs_no_more_than_another(
    gaps: list[tuple[int, int]],
) -> None:
    async with attacked() as (hostile, _):
        with counted() as honest:
            await hostile.send_chunk(hostile.acknowledgement([]))
            await hostile.settle()
        with counted(limit=10 * honest.count) as bomb:
            await hostile.send_chunk(hostile.acknowledgement(gaps))
            await hostile.settle()
        assert bomb.count < bomb.limit


@pytest.mark.parametrize("kind", [4, 5, 6, 9, 130, 1, 2])
async def test_a_parameter_of_no_length_is_no_loop_without_end(kind: int) -> None:
    body = (bytes(16) if kind in {1, 2} else b"") + struct.pack("!HH", 1, 0)
    async with attacked() as (hostile, _):
        with counted(limit=50_000) as steps:
            await hostile.send_chunk(struct.pack("!BBH", kind, 0, 4 + len(body)) + body)
            await hostile.settle()
        assert steps.count < 50_000
        assert hostile.server.sctp.state == "connected"


async def test_chunks_out_of_order_wait_within_the_window_and_cost_the_same_each() -> None:
    async with attacked() as (hostile, _):
        server = hostile.server.sctp
        begin = server._last_received_tsn + 3
        hostile.is_deaf = True
        with counted(files=OURS) as few:
            for number in range(20):
                await hostile.send_chunk(data_chunk(begin + 2 * number, 0, b"x" * 100))
            await hostile.settle()
        with counted(files=OURS) as many:
            for number in range(20, 400):
                await hostile.send_chunk(data_chunk(begin + 2 * number, 0, b"x" * 100))
            await hostile.settle()
        assert many.count < 1.5 * 19 * few.count
        assert len(server._sack_misordered) <= 256


async def test_what_a_sender_gives_up_costs_no_more_than_what_it_sends() -> None:
    async with attacked() as (hostile, _):
        server = hostile.server.sctp
        begin = hostile.next_tsn
        hostile.is_deaf = True
        with counted(files=OURS) as sending:
            for number in range(200):
                await hostile.send_chunk(data_chunk(begin + 2 + 2 * number, 3, b"{}"))
            await hostile.settle()
        with counted(limit=20 * sending.count, files=OURS) as giving_up:
            for ahead in (1, 5, 1 << 20, (1 << 31) - 1, 1 << 31, 399, 399, 0):
                chunk = ForwardTsnChunk()
                chunk.cumulative_tsn = (begin + ahead) % TSNS
                chunk.streams = [(stream, 65_535) for stream in range(300)]
                await hostile.send_chunk(chunk)
            await hostile.settle()
        assert giving_up.count < giving_up.limit
        assert not server._ahead
        assert not server._sack_misordered


@pytest.mark.parametrize("size", [1, 1000])
async def test_a_message_without_an_end_ends_the_session(size: int) -> None:
    async with attacked() as (hostile, _):
        tsn = hostile.server.sctp._last_received_tsn + 1
        for number in range(1100):
            if hostile.ended.is_set():
                break
            await hostile.send_chunk(data_chunk(tsn + number, 2 if number == 0 else 0, b"x" * size))
            if number % 50 == 0:
                await hostile.settle()
        assert "larger than" in await hostile.reason()


async def test_more_than_fifty_messages_a_second_end_the_session() -> None:
    async with attacked() as (hostile, _):
        for _ in range(250):
            hostile.channel.send("{}")
        assert "messages a second" in await hostile.reason()


async def test_the_limits_of_messages_are_those_that_were_given() -> None:
    async with attacked(limits=Limits(message_bytes=2000)) as (hostile, _):
        assert "a=max-message-size:2000" in hostile.pc.remoteDescription.sdp
        tsn = hostile.server.sctp._last_received_tsn + 1
        for number in range(3):
            await hostile.send_chunk(data_chunk(tsn + number, 2 if number == 0 else 0, b"x" * 1000))
        assert "larger than 2000 bytes" in await hostile.reason()
    async with attacked(limits=Limits(message_bytes=200_000, messages_per_s=200)) as (hostile, _):
        taken: asyncio.Queue[str] = asyncio.Queue()
        hostile.transport.on_message = taken.put_nowait
        for text in ["x" * 190_000, *["{}"] * 250]:
            hostile.channel.send(text)
        sizes = [len(await taken.get()) for _ in range(251)]
        assert sizes == [190_000] + [2] * 250


async def test_a_third_data_channel_ends_the_session() -> None:
    async with attacked() as (hostile, _):
        for number in range(3):
            hostile.pc.createDataChannel(f"more-{number}")
        assert "data channels" in await hostile.reason()


async def test_data_that_is_no_text_is_let_go() -> None:
    async with attacked() as (hostile, _):
        tsn = hostile.server.sctp._last_received_tsn + 1
        await hostile.send_chunk(data_chunk(tsn, 3, b"\xff\xfe"))
        hostile.channel.send(b"\x00" * 1000)
        await hostile.settle()
        assert hostile.server.sctp.state == "connected"


async def test_a_page_that_acknowledges_nothing_lets_no_queue_grow_without_end() -> None:
    async with attacked() as (hostile, bystander):
        transport, sctp = hostile.transport, hostile.server.sctp
        theirs: Any = hostile.pc.sctp

        async def drop(_chunk: object) -> None:
            theirs._sack_needed = False

        theirs._receive_chunk = drop
        for _ in range(40):
            for _ in range(250):
                transport.send_text("x" * 100)
            await bystander.share(1)
        assert await transport.wait_closed() == "the client takes no messages"
        assert sctp.unacknowledged < 8300


async def test_what_is_sent_while_a_session_ends_is_lost_without_a_word() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, each: complaints.append(each))
    async with attacked() as (hostile, bystander):
        transport, dtls = hostile.transport, hostile.server.sctp.transport
        dtls._ssl.shutdown()
        transport.send_text("the goodbye is on its way")
        await hostile.settle()
        await dtls.stop()
        transport.send_text("all is over")
        assert "rules" not in await transport.wait_closed()
        await bystander.share(5)
    gc.collect()
    assert complaints == []
