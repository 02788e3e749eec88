"""The session of a page: the only place where an event of a page finds one.

Runs on the event loop, inside Gradio's functions. Imports no transport and no handler.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

from gradio.context import LocalContext

from gradio_webrtc._session.client_address import gradio_session_of
from gradio_webrtc.types import WebRTCData

from .claim import PageValue

if TYPE_CHECKING:
    from gradio_webrtc._session.session import Session


def session_of(component: Any, value: object) -> Session | None:
    """Returns the session of the page of the running event.

    Args:
        component: The WebRTC component.
        value: The result of its ``preprocess``.

    Returns:
        The session whose secret the page has and whose offer it made; ``None`` in every other case.
    """
    page = gradio_session_of(LocalContext.request.get(None))
    page_value = value.webrtc_id if isinstance(value, WebRTCData) else value
    session = page_value.session_for(page) if isinstance(page_value, PageValue) else None
    if session is not None:
        remember_page(component, page)
    return session


def remember_page(component: Any, page: str | None) -> None:
    """Gives the Gradio session of the running event a component of its own, with its name.

    Gradio passes nothing about the page to ``preprocess``. But where a Gradio session has a
    component of its own under an id, it calls the method of that one.

    Args:
        component: The WebRTC component.
        page: The Gradio session.
    """
    config: Any = LocalContext.blocks_config.get(None)
    current = None if config is None else config.blocks.get(component._id)  # noqa: SLF001 - no public name
    if page is None or not isinstance(current, type(component)) or current.page_session == page:
        return
    # A copy: the original belongs to all pages.
    own = copy.copy(cast("Any", current))
    own.belong_to(page)
    config.blocks[component._id] = own  # noqa: SLF001 - as above
