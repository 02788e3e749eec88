"""Each event loop has an object of its own, which ends with it."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from gradio_webrtc._workers.per_loop import PerLoop


class Thing:
    """Something that can be referred to weakly."""


def test_a_loop_gets_the_same_object_again_and_another_loop_another() -> None:
    things = PerLoop(Thing)

    async def twice() -> tuple[Thing, Thing]:
        return things.here(), things.here()

    with asyncio.Runner() as first, asyncio.Runner() as second:
        one, again = first.run(twice())
        other, _ = second.run(twice())
    assert one is again
    assert one is not other


def test_an_object_that_counts_as_false_is_made_once() -> None:
    made: list[int] = []

    def make() -> list[int]:
        made.append(1)
        return []

    things = PerLoop(make)

    async def twice() -> None:
        things.here()
        things.here()

    asyncio.run(twice())
    assert made == [1]


def test_the_object_is_freed_with_its_loop() -> None:
    things = PerLoop(Thing)

    async def refer() -> weakref.ref[Thing]:
        return weakref.ref(things.here())

    reference = asyncio.run(refer())
    gc.collect()
    assert reference() is None


def test_without_a_running_loop_there_is_none() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        PerLoop(Thing).here()
