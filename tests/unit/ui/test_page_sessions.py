"""An event finds the session of its own page, and the page gets a component of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.context import LocalContext

from gradio_webrtc import WebRTC
from gradio_webrtc._session.directory import Directory, Entry
from gradio_webrtc._ui.claim import PageValue
from gradio_webrtc._ui.page_sessions import remember_page, session_of
from gradio_webrtc.types import WebRTCData


class Session:
    """A session as far as a value refers to it."""


def run_as(page: str) -> None:
    """Makes the rest of a test an event of this Gradio session: each test has its own context."""
    request: Any = SimpleNamespace(session_hash=page)
    LocalContext.request.set(request)


def own_blocks() -> dict[int, Any]:
    """Returns the components that the Gradio session of the running event has for itself."""
    config: Any = SimpleNamespace(blocks={})
    LocalContext.blocks_config.set(config)
    blocks: dict[int, Any] = config.blocks
    return blocks


def component() -> WebRTC:
    with gr.Blocks():
        return WebRTC(modality="audio")


def value_of(page: str | None) -> tuple[PageValue, Any]:
    session: Any = Session()
    return PageValue("mine", Entry(Directory().claim("mine", page), session)), session


async def test_an_event_finds_the_session_of_its_page() -> None:
    run_as("first")
    value, session = value_of("first")
    assert session_of(component(), value) is session
    assert session_of(component(), WebRTCData(value, "text")) is session


@pytest.mark.parametrize("other", ["second", None])
async def test_the_session_of_another_page_is_not_found(other: str | None) -> None:
    run_as("first")
    value, _session = value_of(other)
    assert session_of(component(), value) is None


@pytest.mark.parametrize("value", [None, 7, "mine", {"webrtc_id": "mine"}, PageValue("mine")])
async def test_what_proves_nothing_finds_nothing(value: object) -> None:
    run_as("first")
    assert session_of(component(), value) is None


async def test_without_a_request_there_is_no_page() -> None:
    value, _session = value_of("first")
    assert session_of(component(), value) is None


async def test_a_page_gets_a_component_of_its_own() -> None:
    shared, blocks, page = component(), own_blocks(), "first"
    blocks[shared._id] = shared  # noqa: SLF001 - Gradio has no public name
    remember_page(shared, page)
    own = blocks[shared._id]  # noqa: SLF001
    assert (own.page_session, shared.page_session) == (page, None)
    assert own is not shared
    assert own.constructor_args["_page"] == page
    remember_page(shared, page)
    assert blocks[shared._id] is own, "once is enough"  # noqa: SLF001


async def test_an_event_that_finds_a_session_stores_its_page() -> None:
    shared, blocks = component(), own_blocks()
    blocks[shared._id] = shared  # noqa: SLF001
    run_as("first")
    value, _session = value_of("first")
    session_of(shared, value)
    assert blocks[shared._id].page_session == "first"  # noqa: SLF001


@pytest.mark.parametrize("page", [None, "first"])
async def test_what_is_not_the_component_is_left_alone(page: str | None) -> None:
    shared, blocks = component(), own_blocks()
    remember_page(shared, page)
    assert blocks == {}
    blocks[shared._id] = text = gr.Textbox()  # noqa: SLF001
    remember_page(shared, page)
    assert blocks[shared._id] is text  # noqa: SLF001
