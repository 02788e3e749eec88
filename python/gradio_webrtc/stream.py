"""fastrtc's module of `Stream`, which is not here yet, and the types that belong to it."""

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
        sdp: The offer, in the words of RFC 8866.
        candidate: A W3C RTCIceCandidateInit.
        type: "offer", or "ice-candidate".
        webrtc_id: The id of the call, of the client's own choice.
    """

    sdp: str | None = None
    candidate: dict[str, Any] | None = None
    type: str
    webrtc_id: str


class UIArgs(TypedDict, total=False):
    """The look of the page of a `Stream`.

    Attributes:
        title: Of the page.
        subtitle: Below the title.
        icon: Path or URL of the image in the middle of an audio call.
        icon_button_color: CSS colour of the button.
        pulse_color: CSS colour of the pulse around the icon.
        icon_radius: Roundness of the icon, in percent.
        send_input_on: When the inputs reach a call under way.
        hide_title: Leaves title and subtitle out.
        full_screen: Whether the component fills the page.
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
        NotImplementedError: Whenever one is made; the text has the alternative.
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(f"Stream is not here yet: {STREAM}")
