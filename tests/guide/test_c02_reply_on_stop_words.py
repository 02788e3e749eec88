"""C2, the guide's "Reply On Stopwords": nothing is answered until the word "computer"."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soxr
from support.page import PageClient, open_page
from support.signals import correlation
from support.speech import speak
from talk_speech import Voice

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from support.guide import Guide

pytestmark = pytest.mark.network

ALIKE = 0.7
"""The least correlation of speech with itself behind a codec; other speech stays below."""


def say(voice: Voice, text: str) -> NDArray[np.int16]:
    """The words without the silence around them, int16 ``(n,)`` at 48 kHz."""
    spoken = (np.clip(speak(voice, text, at_s=0.5).samples, -1, 1) * 32767).astype(np.int16)
    loud = np.flatnonzero(np.abs(spoken.astype(int)) > 500)
    return spoken[loud[0] : loud[-1]]


def silence(seconds: float) -> NDArray[np.int16]:
    return np.zeros(round(48_000 * seconds), np.int16)


async def test_what_follows_the_word_is_answered_and_nothing_else(examples: Guide) -> None:
    voice = Voice()
    talk, word, request = (
        say(voice, text)
        for text in ("The weather is nice today.", "Computer.", "Please count to twenty.")
    )
    spoken = [silence(1), talk, silence(2), word, silence(0.3), request, silence(1)]
    before = len(examples.notes("C02.generate"))
    async with open_page(examples.url("C02")) as page:
        client = PageClient(page, microphone=np.concatenate(spoken))
        answer = await client.call()
        await client.until(lambda: "response_finished" in words(client))
        await client.hang_up()
    (turn,) = examples.notes("C02.generate")[before:]
    rate_hz, audio = turn["audio"]
    check_turn(rate_hz, audio, request, [talk, word])
    assert "hello" in str(turn["history"])
    assert turn["code"] == "print(1)"
    kinds = [message["type"] for message in client.messages]
    assert kinds.count("stopword") == 1
    assert "error" not in kinds
    # The page gets the event of the word before anything is made of the turn.
    at = [message.get("data") for message in client.messages].index("response_starting")
    assert kinds.index("stopword") < at
    # The page only sends: nothing is spoken, and no track is offered.
    assert client.audio_frames == []
    assert "a=send" not in answer["sdp"]


def check_turn(
    rate_hz: int, audio: NDArray[Any], request: NDArray[Any], others: list[NDArray[Any]]
) -> None:
    """The whole request at 16 kHz, and nothing from before it."""
    assert rate_hz == 16_000
    assert audio.dtype == np.int16
    assert audio.shape[0] == 1
    similarity, at = correlation(audio, soxr.resample(request, 48_000, 16_000))
    assert similarity > ALIKE
    assert at < 0.5 * 16_000, "little stands before it"
    for other in others:
        assert correlation(audio, soxr.resample(other, 48_000, 16_000))[0] < ALIKE


async def test_ten_may_wait_for_the_word_at_once(examples: Guide) -> None:
    async with open_page(examples.url("C02")) as page:
        clients = [PageClient(page) for _ in range(11)]
        answers = [await client.call() for client in clients]
        await asyncio.gather(*(client.hang_up() for client in clients))
    assert all("secret" in answer for answer in answers[:10])
    assert answers[10]["meta"]["error"] == "concurrency_limit_reached"
    assert answers[10]["meta"]["limit"] == 10


def words(client: PageClient) -> list[str]:
    return [message["data"] for message in client.messages if message["type"] == "log"]
