"""C1, the guide's "Reply on Pause": whoever pauses is answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.page import PageClient, open_page
from support.signals import correlation, labels, speech_at_48k

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from support.guide import Guide

pytestmark = pytest.mark.network

RECORDING = "austen_0880_16k"
PAUSE_S = 0.5
"""The silence that ends a turn; see `AlgoOptions`."""

LABEL_S = 0.05
"""The largest error of the label of a recording."""


def silence(seconds: float) -> NDArray[np.int16]:
    return np.zeros(round(48_000 * seconds), np.int16)


async def test_each_utterance_is_received_whole_and_answered_once(examples: Guide) -> None:
    utterance = speech_at_48k(RECORDING)
    before = len(examples.notes("C01"))
    async with open_page(examples.url("C01")) as page:
        spoken = [silence(1), utterance, silence(3), utterance]
        client = PageClient(page, microphone=np.concatenate(spoken))
        await client.call()
        # The last of the chunks has begun: whatever is quiet from here on is behind it.
        await client.until(lambda: client.audible_seconds() > 0.55 and client.is_quiet)
        await client.hang_up()
    turns = examples.notes("C01")[before:]
    assert len(turns) == 2
    for turn in turns:
        check_turn(*turn["audio"])
    assert client.audible_seconds() == pytest.approx(0.6, abs=0.02 + 0.01 * client.gaps())
    # That there is no gap when time stands still meanwhile is shown by the tests of `simulate`.
    assert client.tone_hz() == pytest.approx(440, abs=5 * (1 + client.gaps()))
    # The function has one parameter: nothing is asked of the page.
    assert "send_input" not in [message["type"] for message in client.messages]
    assert "error" not in [message["type"] for message in client.messages]


def check_turn(rate_hz: int, audio: NDArray[Any]) -> None:
    """The whole utterance, its onset included, and little more."""
    assert rate_hz == 48_000
    assert audio.dtype == np.int16
    assert audio.ndim == 2
    assert audio.shape[0] == 1
    (label,) = labels()[RECORDING]["utterances"]
    begin, end = (label[key] * 48 for key in ("start_ms", "end_ms"))
    spoken = speech_at_48k(RECORDING)[begin:end]
    similarity, at = correlation(audio, spoken)
    assert similarity > 0.7, "a codec for speech keeps the spectrum rather than the wave form"
    # The first half second and the last stand where the whole does, so nothing is cut off or out.
    assert correlation(audio[:, : at + 24_000], spoken[:24_000])[1] == pytest.approx(at, abs=240)
    assert correlation(audio, spoken[-24_000:])[1] - at == pytest.approx(
        spoken.size - 24_000, abs=240
    )
    assert audio.size - (at + spoken.size) <= round((PAUSE_S + 0.1 + LABEL_S) * 48_000)


async def test_one_conversation_at_a_time(examples: Guide) -> None:
    async with open_page(examples.url("C01")) as page, open_page(examples.url("C01")) as other_page:
        client, other = PageClient(page), PageClient(other_page)
        await client.call()
        refusal = await other.call()
        assert refusal["meta"]["error"] == "concurrency_limit_reached"
        assert refusal["meta"]["limit"] == 1
        await client.hang_up()
        # The place is free once the server has noticed.
        again = PageClient(other_page)
        while (await again.call()).get("status") == "failed":
            await asyncio.sleep(0.05)
            again = PageClient(other_page)
        await asyncio.gather(again.hang_up(), other.hang_up())


async def test_the_page_shows_the_time_limit(examples: Guide) -> None:
    async with open_page(examples.url("C01")) as page:
        assert page.props(page.component("webrtc"))["time_limit"] == 60
