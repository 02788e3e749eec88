"""The request of a client for a link, read before it costs more than a look at it.

Functions without state, for the event loop.
"""

from __future__ import annotations

import functools
import importlib.util
import reprlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from gradio_webrtc._transport.pacing import SESSION_RATE_HZ
from gradio_webrtc.errors import InvalidOffer

from .audio import CODECS

if TYPE_CHECKING:
    from gradio_webrtc._config import SessionConfig

    from .audio import AudioCodec

DEFAULT_RATE_HZ: Final = 24_000
"""Of 16-bit samples: speech up to 12 kHz, for 384 kbit/s."""

MIN_RATE_HZ: Final = 8_000
FRAMES_PER_S: Final = 50
"""Rates have a whole number of samples in 20 ms."""

MOST_NAMES: Final = 16
"""Codecs that a client may list."""

JPEG: Final = "jpeg"


class LinkTerms(NamedTuple):
    """The media of one link.

    Attributes:
        codec: Of audio; ``None`` without audio.
        rate_hz: The rate of its samples.
        has_video: True if video frames go over it, as JPEG.
    """

    codec: AudioCodec | None
    rate_hz: int = SESSION_RATE_HZ
    has_video: bool = False

    def answer(self) -> dict[str, Any]:
        """Returns the answer to the client, but for the names of its session."""
        audio = None if self.codec is None else {"codec": self.codec, "rate": self.rate_hz}
        video = JPEG if self.has_video else None
        return {"type": "link", "audio": audio, "video": video, "websocket": serves_websockets()}


@functools.cache
def serves_websockets() -> bool:
    """True if this process has what uvicorn serves WebSockets with.

    Without it every one is refused, with a line in uvicorn's log and in the console of the browser.
    """
    return any(importlib.util.find_spec(each) for each in ("websockets", "wsproto"))


def read_link_request(body: Mapping[str, object], config: SessionConfig) -> LinkTerms:
    """Returns the media that a request and the terms of the session have in common.

    Raises:
        InvalidOffer: There are none, or links are not allowed.
    """
    if config.fallback == "never":
        raise InvalidOffer('this component takes WebRTC alone, by fallback="never"')
    terms = LinkTerms(None)
    if config.has_audio:
        terms = _read_audio(body.get("audio"))
    if config.has_video:
        if JPEG not in _names(body.get("video")):
            raise InvalidOffer(f'expected video: ["{JPEG}"] in a request for a link')
        terms = terms._replace(has_video=True)
    return terms


def _read_audio(asked: object) -> LinkTerms:
    given = asked if isinstance(asked, Mapping) else {}
    chosen = next((each for each in _names(given.get("codecs")) if each in CODECS), None)
    if chosen is None:
        raise InvalidOffer(
            'expected audio: {"codecs": ["opus", "pcm16"], "rate": 24000} in a request for a link'
        )
    if chosen == "opus":
        return LinkTerms("opus")
    rate_hz = given.get("rate", DEFAULT_RATE_HZ)
    is_number = isinstance(rate_hz, int) and not isinstance(rate_hz, bool)
    if not is_number or not MIN_RATE_HZ <= rate_hz <= SESSION_RATE_HZ or rate_hz % FRAMES_PER_S:
        raise InvalidOffer(
            f"expected a rate from {MIN_RATE_HZ} to {SESSION_RATE_HZ} Hz, a multiple of "
            f"{FRAMES_PER_S}; got {reprlib.repr(rate_hz)}"
        )
    return LinkTerms(cast("AudioCodec", chosen), rate_hz)


def _names(listed: object) -> list[str]:
    if not isinstance(listed, Sequence) or isinstance(listed, str) or len(listed) > MOST_NAMES:
        return []
    return [each for each in listed if isinstance(each, str)]
