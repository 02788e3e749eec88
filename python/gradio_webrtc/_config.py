"""The terms of a component's sessions, as one frozen value that transports and sessions share.

Plain data: the modules that enforce a term import it from here. Imports nothing but such terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._addresses import DEFAULT_ADDRESSES, ServerAddresses
from ._limits import DEFAULT_LIMITS, Limits
from ._video_terms import DEFAULT_VIDEO_TERMS, VideoTerms

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._turn_timings import TurnTimings
    from .types import Fallback, FrameFormat, Modality, Mode


@dataclass(frozen=True)
class SessionConfig:
    """The terms of one session; the same for all sessions of a component.

    Attributes:
        mode: The direction of the media, from the client's side.
        modality: The kinds of media.
        frame_format: The channel order of video frames in handlers.
        time_limit_s: Ends the session this many seconds after it connected, above 0; ``None`` for
            never.
        has_outputs: The client fetches AdditionalOutputs.
        allows_other_tracks: An offer with tracks of other kinds is answered, and they are declined;
            otherwise it is refused.
        fallback: The transport for clients that WebRTC does not reach; "never" refuses them.
        limits: Bounds of one client, apart from the number and the length of its sessions.
        addresses: The UDP ports and the addresses of the server's side.
        video: The bit rate and the codecs of video.
        on_turn: Called with each of the user's turns once it is complete; ``None`` for nobody.
        latency: The client is sent the moments of each turn.
        default_inputs: The values of the inputs for a client that has none of its own: none are
            requested from it, and it fetches no outputs. ``None`` for one that has.
    """

    mode: Mode = "send-receive"
    modality: Modality = "audio"
    frame_format: FrameFormat = "bgr"
    time_limit_s: float | None = None
    has_outputs: bool = False
    allows_other_tracks: bool = False
    fallback: Fallback = "auto"
    limits: Limits = DEFAULT_LIMITS
    addresses: ServerAddresses = DEFAULT_ADDRESSES
    video: VideoTerms = DEFAULT_VIDEO_TERMS
    on_turn: Callable[[TurnTimings], Any] | None = None
    latency: bool = False
    default_inputs: tuple[Any, ...] | None = None

    @property
    def client_sends(self) -> bool:
        """True if the client sends media."""
        return self.mode != "receive"

    @property
    def client_receives(self) -> bool:
        """True if the client plays or shows what the handler emits."""
        return self.mode != "send"

    @property
    def has_audio(self) -> bool:
        """True if there is audio, in one direction at least."""
        return self.modality != "video"

    @property
    def has_video(self) -> bool:
        """True if there is video, in one direction at least."""
        return self.modality != "audio"

    @property
    def track_kinds(self) -> list[str]:
        """The kinds of tracks of the modality: "audio", "video" or both."""
        return self.modality.split("-")


DEFAULT_CONFIG = SessionConfig()
"""The terms of a send-receive audio session without a time limit."""
