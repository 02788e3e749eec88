"""The least speech that begins a turn, as the documentation of `AlgoOptions` states it."""

from __future__ import annotations

import numpy as np
from support.spliced import RATE_HZ, utterances

from gradio_webrtc import AlgoOptions, SileroVadOptions
from gradio_webrtc._turns.options import make_detector

SILENCE = np.zeros(RATE_HZ, np.int16)
WORDS = 12
"""Recorded onsets of speech, of several speakers, each cut to the length in question."""


def turns_begun(word_s: float, threshold_s: float) -> int:
    """The number of these words that begin a turn, of `WORDS` of them."""
    options = AlgoOptions(started_talking_threshold=threshold_s)
    turns = 0
    for utterance in utterances()[:WORDS]:
        detector = make_detector(RATE_HZ, options, SileroVadOptions())
        word = utterance[: round(word_s * RATE_HZ)]
        events = detector.process(np.concatenate([SILENCE, word, SILENCE]))
        turns += any(event.kind == "pause" for event in events)
    return turns


def test_a_word_of_350_ms_begins_a_turn_by_default() -> None:
    assert turns_begun(0.35, AlgoOptions().started_talking_threshold) == WORDS


def test_most_words_of_150_ms_are_missed_by_default_and_found_at_a_lower_threshold() -> None:
    assert turns_begun(0.15, 0.2) < WORDS / 2 < turns_begun(0.15, 0.1)
