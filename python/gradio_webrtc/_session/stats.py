"""The counters of a session, gathered from whoever keeps them, and the one way to read them.

Reading is safe in any thread: every counter is a number that one thread writes.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from gradio_webrtc._transport import TransportStats


@dataclass(frozen=True)
class SessionStats:
    """A snapshot of one session's counters, since the session began.

    Attributes:
        webrtc_id: The id of the session.
        duration_s: Seconds since the session connected; 0 before that.
        transport: The counters of packets and frames, under the names of the W3C.
        audio_frames_dropped: Inbound audio frames that ``receive`` was too slow for.
        audio_backlog_s: Inbound audio that waits for ``receive``, in seconds.
        emits: Calls of ``emit``.
        reply_delays_s: Seconds from each detected pause to the first frame of the reply to it, as
            it is passed to the transport; the latest 100.
        audio_buffered_s: Emitted audio that waits to be sent, in seconds.
        non_finite_samples: Emitted samples that were NaN or infinite and became silence.
        video_frames_replaced: Emitted video frames that a newer one replaced before they were sent.
        outputs_dropped: AdditionalOutputs lost because the client fetched them too slowly.
        outputs_replaced: AdditionalOutputs of video frames that newer ones replaced.
        interruptions: Replies that barge-in ended.
        events: The events of the conversation by name, such as ``pause_detected``, each with its
            number.
    """

    webrtc_id: str
    duration_s: float = 0.0
    transport: TransportStats = field(default_factory=TransportStats)
    audio_frames_dropped: int = 0
    audio_backlog_s: float = 0.0
    emits: int = 0
    reply_delays_s: tuple[float, ...] = ()
    audio_buffered_s: float = 0.0
    non_finite_samples: int = 0
    video_frames_replaced: int = 0
    outputs_dropped: int = 0
    outputs_replaced: int = 0
    interruptions: int = 0
    events: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Returns all counters in one flat dict, for logs, metrics and JSON."""
        counters = dataclasses.asdict(self)
        return {**counters.pop("transport"), **counters}
