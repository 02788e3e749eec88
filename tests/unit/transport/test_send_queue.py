"""The queue towards one client: order, bounds, and barge-in."""

from __future__ import annotations

import asyncio

from gradio_webrtc._transport.send_queue import (
    MAX_AUDIO_PACKETS,
    MAX_TEXT_BYTES,
    MAX_TEXTS,
    SendQueue,
)


async def take_all(queue: SendQueue) -> list[str | bytes]:
    return [await queue.take() for _ in range(len(queue))]


async def test_messages_and_audio_keep_their_order() -> None:
    queue = SendQueue()
    queue.put_audio(b"1")
    assert queue.put_text("a")
    queue.put_audio(b"2")
    assert await take_all(queue) == [b"1", "a", b"2"]


async def test_of_more_than_a_second_of_audio_the_oldest_goes_and_no_text_does() -> None:
    queue = SendQueue()
    queue.put_text("first")
    for number in range(MAX_AUDIO_PACKETS + 3):
        queue.put_audio(b"%d" % number)
    assert await take_all(queue) == ["first", *(b"%d" % k for k in range(3, MAX_AUDIO_PACKETS + 3))]
    assert queue.dropped_audio == 3


async def test_too_many_texts_are_refused_until_some_are_taken() -> None:
    queue = SendQueue()
    assert all(queue.put_text("x") for _ in range(MAX_TEXTS))
    assert not queue.put_text("x")
    await queue.take()
    assert queue.put_text("x")


async def test_too_much_text_is_refused_until_some_is_taken() -> None:
    queue = SendQueue()
    assert queue.put_text("x" * MAX_TEXT_BYTES)
    assert not queue.put_text("x")
    await queue.take()
    assert queue.put_text("x")


async def test_clearing_drops_audio_alone() -> None:
    queue = SendQueue()
    queue.put_audio(b"1")
    queue.put_text("a")
    queue.put_audio(b"2")
    queue.clear_audio()
    queue.put_audio(b"3")
    assert await take_all(queue) == ["a", b"3"]


async def test_a_queue_is_empty_once_its_writer_comes_back_for_more() -> None:
    queue = SendQueue()
    queue.put_audio(b"1")
    waiting = asyncio.ensure_future(queue.wait_empty())  # noqa: TID251  # awaited below
    assert await queue.take() == b"1"
    await asyncio.sleep(0)
    assert not waiting.done(), "it may still be on its way"
    taking = asyncio.ensure_future(queue.take())  # noqa: TID251  # cancelled below
    await waiting
    taking.cancel()


async def test_audio_that_is_cleared_before_its_writer_wakes_is_no_fault() -> None:
    queue = SendQueue()
    taking = asyncio.ensure_future(queue.take())  # noqa: TID251  # awaited below
    await asyncio.sleep(0)
    queue.put_audio(b"1")
    queue.clear_audio()
    await asyncio.sleep(0)
    queue.put_text("a")
    assert await taking == "a"


async def test_clearing_the_last_audio_lets_a_writer_wait() -> None:
    queue = SendQueue()
    queue.put_audio(b"1")
    queue.clear_audio()
    taking = asyncio.ensure_future(queue.take())  # noqa: TID251  # awaited below
    await asyncio.sleep(0)
    assert not taking.done()
    queue.put_text("a")
    assert await taking == "a"
