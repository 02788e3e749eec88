"""The user guide's programs, unchanged, in a real page."""

from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Playwright
from support.browser import RATE_HZ, chromium
from support.speech import speak, transcribe, utterances, write_microphone
from talk_replies import normalise
from talk_speech import Ears, Voice

pytestmark = pytest.mark.browser


def test_reply_on_pause_plays_what_it_yields(
    c01_url: str, playwright: Playwright, voice: Voice, tmp_path: Path
) -> None:
    # Speech before the call stands is lost, so it is repeated.
    lines = [speak(voice, "The weather is nice today.", at_s) for at_s in (1.0, 10.0, 20.0, 30.0)]
    microphone = write_microphone(tmp_path / "turn.wav", lines)
    with chromium(playwright, microphone) as browser:
        call = browser.open(c01_url)
        call.press()
        call.wait_for_state("open")
        call.wait_for_quiet(1.0)
        (tone,) = utterances(call.recording())
        call.press()
        call.wait_for_state("idle")
        assert call.problems == []

    loud = np.flatnonzero(np.abs(tone) > 0.02)
    # All of it; the page's jitter buffer may stretch a steady tone while it fills.
    assert 0.28 <= (loud[-1] - loud[0]) / RATE_HZ < 0.45
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone))))
    assert spectrum.argmax() * RATE_HZ / len(tone) == pytest.approx(440, abs=5)
    assert np.sqrt(np.mean(tone[loud[0] : loud[-1]] ** 2)) == pytest.approx(
        8000 / 32768 / np.sqrt(2), rel=0.1
    )


def test_stream_handler_gives_back_what_it_receives(
    c03_url: str, playwright: Playwright, ears: Ears, voice: Voice, tmp_path: Path
) -> None:
    line = speak(voice, "The weather is nice today.", at_s=5.0)
    microphone = write_microphone(tmp_path / "echo.wav", [line])
    with chromium(playwright, microphone) as browser:
        call = browser.open(c03_url)
        call.press()
        call.wait_for_state("open")
        call.wait_for_quiet(1.5)
        received = normalise(transcribe(ears, call.recording()))
        call.press()
        call.wait_for_state("idle")
        assert call.problems == []
    # The transcription of the line itself differs between processors, and in that of a line with a
    # stutter, as a busy machine may put there, so may one word.
    sent = normalise(transcribe(ears, line.samples))
    assert len(sent.split()) == 5
    assert SequenceMatcher(None, sent.split(), received.split()).ratio() >= 0.8
