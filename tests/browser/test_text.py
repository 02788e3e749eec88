"""The text field beside the microphone: what is written there is answered like speech."""

from pathlib import Path

import pytest
from playwright.sync_api import Playwright
from support.browser import chromium
from support.programs import running
from support.speech import speak, write_microphone
from talk_speech import Voice

pytestmark = pytest.mark.browser


def test_what_is_written_and_what_is_said_are_turns(
    playwright: Playwright, voice: Voice, tmp_path: Path, artifacts: Path
) -> None:
    microphone = write_microphone(
        tmp_path / "turn.wav", [speak(voice, "The weather is nice today.", at_s=8.0)]
    )
    page_file = Path(__file__).with_name("written.py")
    with running(page_file) as program, chromium(playwright, microphone) as browser:
        call = browser.open(program.url())
        call.press()
        call.wait_for_state("open")
        field = call.page.get_by_test_id("webrtc").get_by_role("textbox")
        field.fill("Hello")
        field.press("Enter")
        call.wait_for_message("You wrote: Hello.")
        call.wait_for_message("You spoke.")
        field.fill("Goodbye")
        field.press("Enter")
        call.wait_for_message("You wrote: Goodbye.")
        call.page.screenshot(path=artifacts / "text-field.png")
        written = call.conversation.inner_text()
        call.press()
        call.wait_for_state("idle")
        assert call.problems == []
    assert written.index("Hello") < written.index("You spoke.") < written.index("Goodbye")
