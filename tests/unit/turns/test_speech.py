"""ReplyOnPause with the detector it comes with, on real speech."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.conversing import conversing
from support.signals import labels, speech

from gradio_webrtc._audio import Resampler
from gradio_webrtc._handlers import ReplyOnPause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

SPOKEN = sorted(name for name in labels() if labels()[name].get("utterances"))
CALL_HZ = 48000
PAUSE_S = 0.512


def recording(name: str) -> NDArray[np.int16]:
    """The recording at the rate of a session, with two seconds of silence after it; ``(1, n)``."""
    rate_hz, samples = speech(name)
    resampler = Resampler(rate_hz, CALL_HZ)
    parts = [resampler.process(samples), resampler.flush(), np.zeros((1, 2 * CALL_HZ), np.int16)]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("name", SPOKEN)
async def test_speech_is_answered_soon_after_its_end_and_all_of_it_is_received(name: str) -> None:
    received: list[NDArray[np.int16]] = []

    async def answer(audio: tuple[int, NDArray[np.int16]]) -> AsyncIterator[Any]:
        assert audio[0] == CALL_HZ
        received.append(audio[1])
        yield audio

    samples = recording(name)
    async with conversing(ReplyOnPause(answer)) as talk:
        assert talk.handler.receive_is_light
        for start in range(0, samples.shape[1], 960):
            talk.handler.session_receive((CALL_HZ, samples[:, start : start + 960]))
            await talk.until_idle()
        pauses = [data for event, data in talk.session.events if event == "pause_detected"]
        assert "interrupted" not in talk.session.names
        assert talk.session.errors == []

    utterances = labels()[name]["utterances"]
    end_s, last = utterances[-1]["end_ms"] / 1000, pauses[-1]
    assert PAUSE_S - 0.1 < last["time_s"] - end_s < PAUSE_S + 0.25
    assert last["speech_end_s"] == pytest.approx(end_s, abs=0.2)
    assert pauses[0]["speech_start_s"] == pytest.approx(utterances[0]["start_ms"] / 1000, abs=0.2)
    labelled = [
        samples[0, round(each["start_ms"] * 48) : round(each["end_ms"] * 48)] for each in utterances
    ]
    assert power(received) > 0.99 * power(labelled)
    assert len(pauses) <= len(utterances)
    assert all(audio.size > PAUSE_S * CALL_HZ for audio in received)


def power(chunks: list[NDArray[np.int16]]) -> float:
    return float(sum(np.square(chunk, dtype=np.float64).sum() for chunk in chunks))
