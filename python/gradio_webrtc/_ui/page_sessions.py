"""Which call a page is in: the only place where an event of a page finds a session.

Runs on the event loop, inside Gradio's functions.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

from gradio.context import LocalContext

from gradio_webrtc._session.client_address import page_of
from gradio_webrtc.types import WebRTCData

from .claim import PageValue

if TYPE_CHECKING:
    from gradio_webrtc._session.session import Session


def session_of(component: Any, value: object) -> Session | None:
    """Returns the call that the page of the running event is in.

    Args:
        component: The WebRTC component.
        value: What its ``preprocess`` made of what the page sent.

    Returns:
        A session whose secret the page knows and whose offer it made; ``None`` in every other case.
    """
    page = page_of(LocalContext.request.get(None))
    held = value.webrtc_id if isinstance(value, WebRTCData) else value
    session = held.session_for(page) if isinstance(held, PageValue) else None
    if session is not None:
        remember_page(component, page)
    return session


def remember_page(component: Any, page: str | None) -> None:
    """Has the component of the running page's Gradio session know whose it is.

    Gradio tells ``preprocess`` nothing of the page that sent a value, but asks, where a Gradio
    session has a component of its own under an id, that one.

    Args:
        component: The WebRTC component.
        page: The Gradio session.
    """
    config: Any = LocalContext.blocks_config.get(None)
    known = None if config is None else config.blocks.get(component._id)  # noqa: SLF001 - no public name
    if page is None or not isinstance(known, type(component)) or known.page_session == page:
        return
    own = copy.copy(cast("Any", known))
    own.belong_to(page)
    config.blocks[component._id] = own  # noqa: SLF001 - as above
