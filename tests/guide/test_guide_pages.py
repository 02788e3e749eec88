"""The guide's programs where the page matters: in Chromium, as somebody uses them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.browser import RATE_HZ, WAIT_MS, CallPage, Chromium, Component, chromium
from support.signals import speech_at_48k
from support.speech import Line, speak, write_microphone
from talk_speech import Voice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Playwright
    from support.guide import Guide
    from support.programs import Programs

pytestmark = pytest.mark.browser

COLOUR_BELOW = """() => {
    const video = document.querySelector("video[aria-label]:not(.mirrored)");
    if (!video?.videoWidth) return null;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const paint = canvas.getContext("2d");
    paint.drawImage(video, 0, 0);
    return [...paint.getImageData(4, canvas.height - 8, 1, 1).data.slice(0, 3)];
}"""
"""The colour of the received video near its lower left corner: red, green, blue."""


KEEP_WISHES = """
window.__wishes = [];
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = (wish) => { window.__wishes.push(wish); return ask(wish); };
"""
"""Keeps the constraints that the page asks of the microphone in `__wishes`."""


TRIES = 6
"""The number of times a user repeats the same: speech before a session stands is lost."""


def say_hello(folder: Path) -> Path:
    """A microphone into which somebody speaks "hello world", more than once."""
    spoken = speech_at_48k("asterisk_hello_world_16k").astype(np.float32) / np.float32(32768)
    lines = [Line(1.0 + 5 * number, spoken) for number in range(TRIES)]
    return write_microphone(folder / "spoken.wav", lines)


@pytest.fixture
def open_call(browser: Chromium) -> Iterator[Chromium]:
    yield browser
    browser.close_pages()


def wait_for_colour(call: CallPage, condition: str) -> None:
    """Returns when the received video has a colour for which the JavaScript function holds."""
    call.page.wait_for_function(
        f"() => {{ const seen = ({COLOUR_BELOW})(); return seen && ({condition})(seen); }}",
        timeout=WAIT_MS,
    )


def test_c02_the_page_shows_that_the_word_was_detected(
    examples: Guide, playwright: Playwright, tmp_path: Path
) -> None:
    voice = Voice()
    spoken = [speak(voice, "Computer.", at_s=1.5), speak(voice, "Count to twenty.", at_s=4.0)]
    lines = [replace(line, at_s=line.at_s + 7 * n) for n in range(TRIES) for line in spoken]
    before = len(examples.notes("C02.generate"))
    with chromium(playwright, write_microphone(tmp_path / "spoken.wav", lines)) as browser:
        call = browser.open(examples.url("C02"))
        call.press()
        call.page.get_by_text("Heard you").first.wait_for(timeout=WAIT_MS)
        examples.programs.wait_for(lambda: len(examples.notes("C02.generate")) > before)
        call.press()
        call.wait_for_state("idle")
        assert call.received_s == 0
        assert call.problems == []
    turn = examples.notes("C02.generate")[before]
    assert turn["code"] == "print(1)"


def test_c04_a_key_brings_the_call_which_goes_through_the_relay(
    examples: Guide, open_call: Chromium
) -> None:
    call = open_call.open(examples.url("C04"), is_shown=False)
    call.page.route("https://www.gstatic.com/**", lambda route: route.fulfill(body=b""))
    key = call.page.get_by_label("API Key")
    key.fill("a talkative key")
    assert not call.page.get_by_test_id("webrtc-button").is_visible()
    key.press("Enter")
    call.press()
    call.wait_for_state("open")
    call.wait_for_audio()
    assert not key.is_visible()
    call.press()
    call.wait_for_state("idle")
    # The icon is somewhere else, as the guide has it; nothing but the icon is.
    assert [p for p in call.problems if "gemini_favicon" not in p] == []
    assert examples.notes("C04.client")[-1]["api_key"] == "a talkative key"


def test_c05_each_click_plays_the_file(examples: Guide, open_call: Chromium) -> None:
    call = open_call.open(examples.url("C05"))
    call.page.get_by_label("Number of Steps").first.fill("1")
    begins = []
    for number in (1, 2):
        begins.append(round(call.received_s * RATE_HZ))
        call.page.get_by_role("button", name="Generate").click()
        call.page.wait_for_function(
            "n => __received.states.filter((state) => state === 'ended').length === n",
            arg=number,
            timeout=WAIT_MS,
        )
        call.wait_for_audio(after_s=begins[-1] / RATE_HZ)
    for samples in np.split(call.recording(), begins)[1:]:
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
        assert spectrum.argmax() * RATE_HZ / samples.size == pytest.approx(441, abs=3)
    assert call.problems == []


def test_c06_the_answer_is_shown_and_the_slider_counts(
    examples: Guide, open_call: Chromium
) -> None:
    call = open_call.open(examples.url("C06"))
    call.press()
    call.wait_for_state("open")
    # Chromium's camera shows green; the function inverts it.
    wait_for_colour(call, "([r, g, b]) => r > g + 30 && b > g + 30")
    call.page.get_by_label("Confidence Threshold").first.fill("0.5")
    examples.programs.wait_for(lambda: examples.notes("C06.call")[-1]["conf_threshold"] == 0.5)
    call.wait_for_state("ended")
    assert call.problems == []


def test_c07_a_click_starts_the_film_and_another_starts_it_again(
    examples: Guide, open_call: Chromium
) -> None:
    call = open_call.open(examples.url("C07"))
    for _ in range(2):
        opened = len(examples.notes("C07.open"))
        call.page.get_by_role("button", name="Start").click()
        examples.programs.wait_for(lambda before=opened: len(examples.notes("C07.open")) > before)  # type: ignore[misc]
        call.wait_for_state("open")
        wait_for_colour(call, "([r, g, b]) => Math.abs(r - g) < 20")
    assert call.problems == []


def test_c08_the_answer_is_read_in_the_page(
    examples: Guide, playwright: Playwright, tmp_path: Path
) -> None:
    with chromium(playwright, say_hello(tmp_path)) as browser:
        call = browser.open(examples.url("C08"))
        call.press()
        call.wait_for_state("open")
        call.wait_for_message("answer")
        assert call.received_s == 0
        assert call.problems == []


def test_n21_n22_words_are_shown_and_echo_is_cancelled(
    pages: Programs, playwright: Playwright, tmp_path: Path
) -> None:
    with chromium(playwright, say_hello(tmp_path)) as browser:
        call = browser.open(pages.url("prose.py"), script=KEEP_WISHES)
        talk, plain = Component(call, "talk"), Component(call, "plain")
        talk.press()
        for text in ("I did not catch that.", "The model is asleep."):
            call.page.get_by_text(text).first.wait_for(timeout=WAIT_MS)
        talk.press()
        talk.wait_for_state("idle")
        plain.press()
        plain.wait_for_state("open")
        usual, changed = call.page.evaluate("__wishes")
        assert usual["audio"]["echoCancellation"] is True
        assert changed["audio"]["echoCancellation"] is False
        assert call.problems == []
