"""A result that exists already can be awaited, stepped, or used as it is."""

from __future__ import annotations

import asyncio
import gc
import inspect
import warnings

import pytest

from gradio_webrtc._workers.workers import Done


async def test_it_is_awaited_at_once_and_again() -> None:
    done = Done(3)
    assert await done == 3
    assert await done == 3


async def test_it_goes_where_a_coroutine_goes() -> None:
    assert inspect.isawaitable(Done(1))
    assert await asyncio.get_running_loop().create_task(Done("answer")) == "answer"
    assert [*await asyncio.gather(Done(1), Done(2))] == [1, 2]
    assert await asyncio.wait_for(Done(4), timeout=1) == 4


@pytest.mark.parametrize("answer", [True, False, None, "text", ""])
def test_it_counts_as_true_like_its_answer(answer: object) -> None:
    assert bool(Done(answer)) is bool(answer)


def test_nobody_is_warned_of_one_that_was_not_awaited() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Done(1)
        gc.collect()
    assert caught == []


def test_it_shows_its_answer() -> None:
    assert repr(Done(3)) == "3, which may be awaited"


def test_its_first_step_is_its_last_and_it_catches_nothing() -> None:
    done = Done(3)
    with pytest.raises(StopIteration) as ended:
        done.send(None)  # type: ignore[arg-type]  # what a task sends first
    assert ended.value.value == 3
    with pytest.raises(ZeroDivisionError):
        done.throw(ZeroDivisionError())
    done.close()
