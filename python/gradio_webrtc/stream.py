"""fastrtc's module of `Stream`, which is not here yet, and the types that belong to it.

It exists for the annotations of older programs. Imports no Gradio and no session.
"""

from __future__ import annotations

import typing
from typing import Any, Literal, TypedDict

from pydantic import BaseModel

from ._advice import STREAM, names_elsewhere

__all__ = ["Body", "Stream", "UIArgs"]

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)


class Body(BaseModel):
    """A message of a client of fastrtc: an offer, or one of its ICE candidates.

    Attributes:
        sdp: The offer as SDP (RFC 8866); ``None`` with a candidate.
        candidate: A W3C RTCIceCandidateInit; ``None`` with an offer.
        type: "offer" or "ice-candidate".
        webrtc_id: The id of the session, which the client has chosen.
    """

    sdp: str | None = None
    candidate: dict[str, Any] | None = None
    type: str
    webrtc_id: str


class UIArgs(TypedDict, total=False):
    """The look of the page of a `Stream`.

    Attributes:
        title: The title of the page.
        subtitle: The line below the title.
        icon: Path or URL of the icon in the middle of an audio session.
        icon_button_color: CSS colour of the button.
        pulse_color: CSS colour of the pulse around the icon.
        icon_radius: Roundness of the icon, in percent.
        send_input_on: The event on which the inputs are sent to a session under way: "submit" of
            the page's button, or every "change".
        hide_title: Leaves title and subtitle out.
        full_screen: Lets the component fill the page.
    """

    title: str
    subtitle: str
    icon: str
    icon_button_color: str
    pulse_color: str
    icon_radius: int
    send_input_on: Literal["submit", "change"]
    hide_title: bool
    full_screen: bool


class Stream:
    """The name alone, for annotations.

    Raises:
        NotImplementedError: Always; its text names what to write instead.
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(f"Stream is not here yet: {STREAM}")
