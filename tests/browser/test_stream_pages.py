"""The page of a `Stream`, for every mode and modality: everything is there, at any width."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from support.programs import Programs, running

from gradio_webrtc._ui.stream_page import PAIRS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.browser import CallPage, Chromium

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def pages() -> Iterator[Programs]:
    with running(Path(__file__).with_name("stream_pages.py")) as program:
        yield program


@pytest.mark.parametrize(("modality", "mode"), sorted(PAIRS))
def test_every_page_shows_its_parts(
    pages: Programs, beeping: Chromium, artifacts: Path, modality: str, mode: str
) -> None:
    call = beeping.open(f"{pages.url()}/{modality}/{mode}/", scheme="dark")
    name = "Start Stream" if mode == "receive" else "Start"
    for size in (DESKTOP, PHONE):
        call.page.set_viewport_size({"width": size["width"], "height": size["height"]})
        expect(call.page.get_by_role("heading", name=f"{modality} {mode}")).to_be_visible()
        expect(call.page.get_by_text("A line below the title.")).to_be_visible()
        for label in ("number input for Volume", "Transcript"):
            call.page.get_by_label(label).click(trial=True)
        check_button(call, name)
        file = artifacts / f"stream-{modality}-{mode}-{size['width']}.png"
        call.page.screenshot(path=file, full_page=True)
    assert call.problems == []


def test_a_conversation_leaves_room_for_the_button(
    pages: Programs, beeping: Chromium, artifacts: Path
) -> None:
    call = beeping.open(f"{pages.url()}/chat/")
    for size in (DESKTOP, PHONE):
        call.page.set_viewport_size({"width": size["width"], "height": size["height"]})
        expect(call.page.get_by_label("chatbot conversation")).to_be_visible()
        expect(call.page.get_by_role("button", name="Start")).to_be_in_viewport(ratio=1)
        check_button(call, "Start")
        call.page.screenshot(path=artifacts / f"stream-chat-{size['width']}.png")
    assert call.problems == []


def check_button(call: CallPage, name: str) -> None:
    """The button is covered by nothing, and no part is wider than the page."""
    call.page.get_by_role("button", name=name, exact=True).click(trial=True)
    assert call.page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
