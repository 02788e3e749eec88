"""The modules of a program are left out of garbage collections while there are sessions."""

from __future__ import annotations

import atexit
import gc
import weakref
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from gradio_webrtc._session.lag import LagMeter
from gradio_webrtc._workers.garbage import MANY_OBJECTS, hasten_exit, shorten_pauses

if TYPE_CHECKING:
    from collections.abc import Iterator


class Ring:
    """Refers to itself, so that the collector alone frees it."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture
def frozen() -> Iterator[int]:
    """The number of objects left out, with all that other tests have made."""
    gc.collect()
    gc.freeze()
    yield gc.get_freeze_count()
    gc.unfreeze()


async def test_what_is_loaded_is_left_out_when_the_first_of_some_sessions_begins(
    frozen: int,
) -> None:
    meter = LagMeter()
    model = [[number] for number in range(2 * MANY_OBJECTS)]
    garbage = weakref.ref(Ring())
    meter.hold()
    assert gc.get_freeze_count() > frozen + len(model)
    assert garbage() is None, "what is garbage already is freed first"
    more = [[number] for number in range(2 * MANY_OBJECTS)]
    meter.hold()
    assert len(gc.get_objects()) > len(more), "in the middle of calls nothing is done"
    meter.release()
    meter.release()


def test_little_is_not_worth_a_collection(frozen: int) -> None:
    shorten_pauses()
    assert gc.get_freeze_count() <= frozen, "those that are freed by then are counted no more"


def test_a_program_that_does_without_the_collector_is_left_alone(frozen: int) -> None:
    model = [[number] for number in range(2 * MANY_OBJECTS)]
    gc.disable()
    try:
        shorten_pauses()
    finally:
        gc.enable()
    assert gc.get_freeze_count() <= frozen, "those that are freed by then are counted no more"
    assert model


def test_the_exit_is_hastened_once_however_often_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hooks: Counter[object] = Counter()
    monkeypatch.setattr(atexit, "register", lambda hook: hooks.update([hook]))
    monkeypatch.setattr(atexit, "unregister", lambda hook: hooks.pop(hook, None))
    hasten_exit()
    hasten_exit()
    assert hooks == {gc.freeze: 1}
