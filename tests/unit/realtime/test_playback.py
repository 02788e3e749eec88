"""The queue of what a service has sent and the user has not heard."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_webrtc._realtime import playback as module
from gradio_webrtc._realtime.playback import Audio, Cut, Mark, Playback, Text

RATE_HZ = 24_000


def seconds(length_s: float, item_id: str = "item", index: int = 0) -> Audio:
    return Audio(item_id, index, np.ones((1, round(length_s * RATE_HZ)), np.int16))


def take_all(playback: Playback, position_s: float = 0.0) -> list[Any]:
    """Takes everything, one piece behind the other on the timeline."""
    taken = []
    while (entry := playback.take(position_s)) is not None:
        taken.append(entry)
        if isinstance(entry, Audio):
            position_s += entry.samples.size / RATE_HZ
    return taken


async def test_everything_comes_out_in_order_and_long_audio_in_pieces() -> None:
    playback = Playback(RATE_HZ)
    playback.put_text("item", "Good ")
    playback.put_text("item", "morning")
    playback.put_audio(seconds(0.25))
    playback.put_mark("end")
    assert playback.waiting_s == pytest.approx(0.25)
    words, *pieces, end = take_all(playback)
    assert words == Text("item", "Good morning")
    assert [each.samples.size for each in pieces] == [2400, 2400, 1200]
    assert end == Mark("end")
    assert playback.waiting_s == 0.0
    assert playback.take(0.0) is None


async def test_an_interruption_gives_the_length_that_was_played() -> None:
    playback = Playback(RATE_HZ)
    playback.put_audio(seconds(0.1, "first"))
    playback.put_audio(seconds(0.1, "second"))
    playback.put_audio(seconds(5.0, "third"))
    playback.put_audio(seconds(1.0, "fourth"))
    take_all(playback, 10.0)
    # Of the timeline 10.15 s were played: the first, and half of the second.
    assert playback.is_playing(10.15)
    cuts = playback.interrupt(10.15)
    assert cuts == [Cut("second", 0, 50), Cut("third", 0, 0), Cut("fourth", 0, 0)]
    assert not playback.is_playing(10.15)
    assert playback.interrupt(20.0) == []


async def test_an_item_of_which_more_is_to_come_is_cut_where_it_is() -> None:
    playback = Playback(RATE_HZ)
    playback.put_audio(seconds(0.2, "first"))
    playback.put_audio(seconds(0.1, "second"))
    take_all(playback)
    assert not playback.is_playing(0.3)
    assert playback.interrupt(0.3, "second") == [Cut("second", 0, 100)]
    assert playback.interrupt(0.3, "second") == []


async def test_audio_that_was_not_handed_on_is_cut_at_its_beginning_or_where_it_is() -> None:
    playback = Playback(RATE_HZ)
    playback.put_audio(seconds(0.3, "first", 2))
    playback.put_audio(seconds(0.3, "second"))
    playback.put_mark("end")
    assert isinstance(playback.take(0.0), Audio)
    # Behind the clock of the session, which counts only what it has.
    assert playback.interrupt(7.0) == [Cut("first", 2, 100), Cut("second", 0, 0)]
    assert len(playback) == 0
    assert playback.waiting_s == 0.0


async def test_what_was_played_to_its_end_is_no_interruption() -> None:
    playback = Playback(RATE_HZ)
    for _ in range(7):
        playback.put_audio(seconds(0.0333))
    end_s = 3.3 + sum(each.samples.size for each in take_all(playback, 3.3)) / RATE_HZ
    # Sums of seconds are never exact.
    assert not playback.is_playing(end_s - 1e-9)
    assert playback.interrupt(end_s - 1e-9) == []


@given(
    lengths=st.lists(st.integers(1, 20_000), min_size=1, max_size=8),
    taken=st.integers(0, 40),
    played=st.floats(0.0, 10.0),
)
def test_a_cut_never_lies_behind_the_audio_that_came(
    lengths: list[int], taken: int, played: float
) -> None:
    async def scene() -> None:
        playback = Playback(RATE_HZ)
        received: dict[str, int] = {}
        for number, length in enumerate(lengths):
            item_id = f"item {number // 2}"
            received[item_id] = received.get(item_id, 0) + length
            playback.put_audio(Audio(item_id, 0, np.zeros((1, length), np.int16)))
        position_s = 0.0
        for _ in range(taken):
            entry = playback.take(position_s)
            position_s += entry.samples.size / RATE_HZ if isinstance(entry, Audio) else 0.0
        cuts = playback.interrupt(played)
        for cut in cuts:
            assert 0 <= cut.played_ms / 1000 <= received[cut.item_id] / RATE_HZ
            assert cut.played_ms / 1000 <= max(played, 0.0)
        heard_s = sum(cut.played_ms / 1000 for cut in cuts)
        assert heard_s <= min(played, position_s) + 1e-9

    asyncio.run(scene())


async def test_a_full_queue_has_no_room_until_it_is_emptied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING_S", 1.0)
    playback = Playback(RATE_HZ)
    assert playback.has_room
    playback.put_audio(seconds(1.0))
    assert not playback.has_room
    assert playback.received_ms("item", 0) == 1000
    assert playback.received_ms("item", 1) == playback.received_ms("other", 0) == 0
    playback.take(0.0)
    assert playback.has_room


@pytest.mark.parametrize("bound", ["MAX_ENTRIES", "MAX_CHARS"])
async def test_words_and_pieces_are_bounded_as_well(
    bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, bound, 5)
    monkeypatch.setattr(module, "MAX_MERGED_CHARS", 1)
    playback = Playback(RATE_HZ)
    for _ in range(5):
        assert playback.has_room
        playback.put_text("item", "a")
    assert not playback.has_room
    assert len(take_all(playback)) == 5
    assert playback.has_room


async def test_an_interruption_makes_room_and_leaves_nothing_to_wait_for() -> None:
    playback = Playback(RATE_HZ)
    playback.put_audio(seconds(module.MAX_WAITING_S))
    playback.interrupt(0.0)
    assert playback.has_room
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await playback.wait_ready()


async def test_the_places_of_few_items_are_kept() -> None:
    playback = Playback(RATE_HZ)
    for number in range(module.MAX_SPANS + 5):
        playback.put_audio(seconds(0.01, str(number)))
    cuts = playback.interrupt(0.0)
    assert [cut.item_id for cut in cuts] == [str(n) for n in range(5, module.MAX_SPANS + 5)]


async def test_the_rate_changes_only_where_there_is_no_audio() -> None:
    playback = Playback(RATE_HZ)
    playback.set_rate(16_000)
    assert playback.rate_hz == 16_000
    playback.put_audio(seconds(0.1))
    playback.set_rate(8_000)
    assert playback.rate_hz == 16_000


async def test_nothing_is_queued_for_nothing() -> None:
    playback = Playback(RATE_HZ)
    playback.put_text("item", "")
    playback.put_audio(seconds(0.0))
    assert len(playback) == 0
