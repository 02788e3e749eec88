"""Work on offers is spread over turns of the event loop, and bounded."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import pairwise

import pytest

from gradio_webrtc._workers.offer_queue import MOST_WAITING, OfferQueue, offer_queue
from gradio_webrtc.errors import ServerBusy


@pytest.mark.parametrize("fails", [False, True])
async def test_between_two_the_loop_has_a_turn(*, fails: bool) -> None:
    log: list[str] = []

    async def work(name: str) -> None:
        with suppress(ZeroDivisionError):
            async with offer_queue().passing():
                log.append(name)
                if fails:
                    raise ZeroDivisionError

    def turn() -> None:
        log.append("turn")
        asyncio.get_running_loop().call_soon(turn)

    asyncio.get_running_loop().call_soon(turn)
    await asyncio.gather(*(work(str(number)) for number in range(5)))
    places = [log.index(str(number)) for number in range(5)]
    assert places == sorted(places)
    assert all("turn" in log[a:b] for a, b in pairwise(places))


async def test_too_many_are_not_let_in_and_those_inside_go_on() -> None:
    gate, hold = OfferQueue(), asyncio.Event()

    async def stand() -> None:
        async with gate.passing():
            await hold.wait()

    async def enter() -> None:
        async with gate.entering():
            pass

    async with asyncio.TaskGroup() as group:
        group.create_task(stand())
        await asyncio.sleep(0)
        waiting = [group.create_task(enter()) for _ in range(MOST_WAITING)]
        group.create_task(stand())
        await asyncio.sleep(0)
        with pytest.raises(ServerBusy):
            await enter()
        waiting.pop().cancel()
        hold.set()
    await enter()


async def test_a_failure_lets_the_next_in() -> None:
    gate = OfferQueue()
    with pytest.raises(ZeroDivisionError):
        async with gate.entering():
            raise ZeroDivisionError
    async with gate.entering():
        pass
