"""Common uses of Gradio's components, with ours, in a real page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from support.browser import CallPage, Chromium, Component

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.programs import Programs

pytestmark = pytest.mark.browser


@pytest.fixture
def places(pages: Programs, browser: Chromium) -> Iterator[CallPage]:
    call = browser.open(pages.url("places.py"))
    yield call
    assert call.problems == []
    browser.close_pages()


@pytest.fixture
def one_call(browser: Chromium) -> Iterator[Chromium]:
    yield browser
    browser.close_pages()


def check_call(call: CallPage) -> None:
    """The page's only component calls, and the echo comes back."""
    call.press()
    call.wait_for_state("open")
    call.wait_for_audio()
    assert call.problems == []


def test_inside_a_tab_that_is_opened_later(places: CallPage) -> None:
    places.page.get_by_role("tab", name="Second").click()
    Component(places, "tab").hold_a_session()


def test_inside_a_row_that_is_shown_later(places: CallPage) -> None:
    places.page.get_by_role("button", name="Show the row").click()
    Component(places, "row").hold_a_session()


def test_rendered_and_rendered_again(places: CallPage) -> None:
    slider = places.page.get_by_label("Rendered").first
    slider.fill("1")
    Component(places, "rendered-0").hold_a_session()
    slider.fill("2")
    Component(places, "rendered-1").hold_a_session()
    Component(places, "rendered-0").hold_a_session()


def test_two_components_call_at_the_same_time(places: CallPage) -> None:
    one, two = Component(places, "one"), Component(places, "two")
    for each in (one, two):
        each.press()
        each.wait_for_state("open")
    # Neither took the other's place.
    one.wait_for_state("open")
    for each in (one, two):
        each.press()
        each.wait_for_state("idle")


def test_each_component_counts_its_own_clients(pages: Programs, one_call: Chromium) -> None:
    url = pages.url("places.py")
    first, second = one_call.open(url), one_call.open(url)
    for name in ("one", "two"):
        Component(first, name).press()
        Component(first, name).wait_for_state("open")
    Component(second, "one").press()
    Component(second, "one").wait_for_state("failed")
    Component(second, "two").press()
    Component(second, "two").wait_for_state("open")


def test_behind_a_login(pages: Programs, one_call: Chromium) -> None:
    url = pages.url("behind_a_login.py")
    # Nobody else can so much as ask for a session.
    answer = httpx.post(f"{url}/gradio_api/component_server/", json={"fn_name": "offer"})
    assert answer.status_code == 401
    check_call(one_call.open(url, login=("somebody", "a-password")))


def test_rendered_on_the_server(pages: Programs, one_call: Chromium) -> None:
    call = one_call.open(pages.url("rendered_on_the_server.py"))
    check_call(call)
    # Without Node.js, Gradio would have left it to the browser without a word.
    assert "with SSR" in pages.output


def test_mounted_below_a_path(pages: Programs, one_call: Chromium) -> None:
    check_call(one_call.open(pages.url("mounted.py")))
