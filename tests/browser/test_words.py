"""The notices of a handler are shown as Gradio shows its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.browser import Chromium, Component
from support.programs import running

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running(Path(__file__).with_name("words.py")) as program:
        yield program.url()


def test_words_are_toasts_of_their_kinds_and_lengths(beeping: Chromium, url: str) -> None:
    call = beeping.open(f"{url}?user=ann")
    call.page.get_by_role("button", name="Play").click()
    toasts = call.page.locator(".toast-body")
    toasts.nth(3).wait_for()
    # What comes from Gradio itself has the same headings: it shows no titles, whatever they are.
    shown = {
        each.locator(".toast-title").inner_text().strip(): (
            each.get_by_test_id("toast-text").inner_text(),
            each.locator(".timer").count() == 1,
        )
        for each in toasts.all()
    }
    assert shown == {
        "Info": ("Working.", True),
        "Warning": ("Too loud, ann.", False),
        "Success": ("Uploaded.", False),
        "Error": ("No voice.", False),
    }
    assert call.problems == []


def test_a_handler_that_cannot_be_made_is_reported_to_the_user(beeping: Chromium, url: str) -> None:
    call = beeping.open(url)
    part = Component(call, "broken")
    part.press()
    part.wait_for_state("failed")
    text = call.page.locator("#broken").inner_text()
    assert "The call could not begin" in text
    assert "see the server's log (error " in text
    assert "hunter2" not in call.page.content()
    assert call.problems == []
