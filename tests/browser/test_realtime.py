"""A program for a realtime service, from end to end: Chromium, the page, and a service of its own.

It is interrupted in the middle of its first answer, and gives its second one whole.
"""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Playwright
from support.browser import RATE_HZ, Chromium, chromium
from support.programs import running
from support.realtime_service import ANSWERS
from support.speech import Samples, speak, write_microphone
from talk_speech import Voice

pytestmark = pytest.mark.browser

BLOCK = RATE_HZ // 50


def pitches(recording: Samples) -> list[float]:
    """The pitch of each loud block of 20 ms, in Hz, from the times that it crosses zero."""
    blocks = recording[: recording.size // BLOCK * BLOCK].reshape(-1, BLOCK)
    loud = blocks[np.abs(blocks).max(axis=1) > 0.05]
    crossings = np.count_nonzero(np.diff(np.signbit(loud).astype(np.int8), axis=1), axis=1)
    return [float(each) for each in crossings / 2 / 0.02]


def seconds_near(found: list[float], hz: float) -> float:
    """The time for which the pitch was within a tenth of this one, in seconds."""
    return 0.02 * sum(abs(each - hz) < hz / 10 for each in found)


def test_the_service_answers_is_interrupted_and_answers_again(
    playwright: Playwright, voice: Voice, tmp_path: Path, artifacts: Path
) -> None:
    lines = [
        speak(voice, "What is the weather like today?", at_s=8.0),
        speak(voice, "No, tell me about tomorrow.", at_s=14.0),
    ]
    microphone = write_microphone(tmp_path / "turns.wav", lines)
    page_file = Path(__file__).with_name("realtime.py")
    with running(page_file) as program, chromium(playwright, microphone) as browser:
        recording = _hold_a_call(browser, program.url(), artifacts)
        program.wait_for(lambda: len(program.notes("session over")) == 1)
        assert "WARNING" not in program.output, program.output
    (first_hz, first_s), (second_hz, second_s) = ANSWERS
    found = pitches(recording)
    assert 0.5 < seconds_near(found, first_hz) < first_s - 1.0
    # The codec takes a block at either end, and the last one may be cut.
    assert seconds_near(found, second_hz) == pytest.approx(second_s, abs=0.1)
    # Nothing of the first answer comes behind the second, but that the codec's block at either end
    # of a tone may have any pitch.
    first_of_second = min(n for n, hz in enumerate(found) if abs(hz - second_hz) < second_hz / 10)
    assert seconds_near(found[first_of_second:], first_hz) <= 2 * 0.02


def _hold_a_call(browser: Chromium, url: str, artifacts: Path) -> Samples:
    call = browser.open(url)
    call.press()
    call.wait_for_state("open")
    call.wait_for_message("Answer number 1")
    call.wait_for_audio()
    call.wait_for_message("Answer number 2")
    # Its words may be there before its audio, while it is quiet behind the first one still.
    second_hz, _ = ANSWERS[1]
    recording = call.recording()
    while not seconds_near(pitches(recording), second_hz):
        call.wait_for_audio(after_s=recording.size / RATE_HZ)
        recording = call.recording()
    call.wait_for_quiet(1.0)
    call.page.screenshot(path=artifacts / "realtime.png")
    recording = call.recording()
    written = call.conversation.inner_text()
    call.press()
    call.wait_for_state("idle")
    assert call.problems == []
    assert written.index("Answer number 1") < written.index("Answer number 2")
    assert written.count("(listening)") == 2
    return recording
