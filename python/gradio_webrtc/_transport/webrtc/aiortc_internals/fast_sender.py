"""Has the thread of the media plane send a connection's audio, without a task for each packet.

Where the thread receives the audio, too, it exchanges the reports; what it does not understand in
those that come still goes to aiortc's sender. Elsewhere that one takes reports and sends its own,
whose numbers are the thread's. The numbering of encrypted reports must have one owner, as that of
encrypted audio: of each direction and kind, all packets are either aiortc's or the thread's.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING, Any, Final, cast

from aiortc.clock import current_ntp_time

from gradio_webrtc._media import SecureSender
from gradio_webrtc._transport.base import QueuedAudioSource
from gradio_webrtc._transport.webrtc.audio import AudioSender

from . import names, probe
from .opus_coding import AUDIO_LEVEL
from .receiver import HardenedReceiver
from .sender import HardenedSender
from .srtp_keys import outbound_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aioice.ice import CandidatePair
    from aiortc import RTCPeerConnection
    from aiortc.rtcrtpparameters import RTCRtpSendParameters
    from aiortc.rtp import RtcpReceiverInfo

    from gradio_webrtc._audio import OutboundAudio
    from gradio_webrtc._media import SecureReceiver
    from gradio_webrtc._transport.webrtc.media_loop import AttachedSender, MediaLoop, SendNote

    from .srtp_keys import SrtpKeys

logger = logging.getLogger(__name__)

MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
"""RFC 9143 section 14.3."""

COMPONENT: Final = 1
"""Of ICE: RTP, and all that is multiplexed with it (RFC 8445 section 13)."""


class NominatedPairs(dict[int, Any]):
    """Stands where a connection of aioice has its nominated pairs.

    Args:
        pairs: Those until now.
        on_change: Called with each pair that is nominated.
    """

    def __init__(
        self, pairs: dict[int, CandidatePair], on_change: Callable[[CandidatePair], None]
    ) -> None:
        super().__init__(pairs)
        self.on_change: Callable[[CandidatePair], None] = on_change

    def __setitem__(self, component: int, pair: CandidatePair) -> None:
        """Notes a pair: the remote peer may nominate another one at any time."""
        super().__setitem__(component, pair)
        self.on_change(pair)


class ThreadedSender:
    """Sends the queue of one source, in the place of aiortc's task; the source's `AudioPlayer`.

    Args:
        secured: The sender of the core.
        source: Has lent its queue.
        clock: Seconds, monotonic: that of the thread.

    Attributes:
        reports: True if the thread exchanges the reports, in aiortc's place.
    """

    reports = False

    def __init__(
        self,
        secured: SecureSender,
        source: QueuedAudioSource,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secured = secured
        self._source: QueuedAudioSource | None = source
        self._clock = clock
        self._attached: AttachedSender | None = None
        self._pairs: NominatedPairs | None = None

    @property
    def counts(self) -> tuple[int, int]:
        """The packets that were sent, and the bytes of their payloads."""
        stats = self._secured.stats()
        return stats["packets_sent"], stats["bytes_sent"]

    def begin(self, media: MediaLoop, queue: OutboundAudio, connection: object) -> None:
        """Sends from now on, by whichever pair a connection of aioice has nominated."""
        self._attached = media.attach_sender(self._secured, queue, self._take)
        pairs = NominatedPairs(getattr(connection, names.NOMINATED), self._follow)
        setattr(connection, names.NOMINATED, pairs)
        self._pairs = pairs
        if COMPONENT in pairs:
            self._follow(pairs[COMPONENT])

    @property
    def round_trip_s(self) -> float | None:
        """By the newest report that the thread has taken, in seconds."""
        return self._secured.round_trip_s

    def start_reports(self, secured: SecureReceiver, name: str) -> None:
        """Has the thread exchange the reports, those on what ``secured`` receives among them.

        Args:
            secured: Attached to the thread.
            name: The canonical name of our end (RFC 7022).
        """
        self._secured.start_reports(self._clock(), current_ntp_time(), secured, name)
        self.reports = True
        if self._attached is not None:
            self._attached.wake()

    def send_rtcp(self, packet: bytes) -> None:
        """Sends a report that the thread does not make itself."""
        self._secured.send_rtcp(packet)

    def close(self) -> None:
        """Ends it: nothing is sent from now on; safe to call twice."""
        if self._attached is not None:
            self._attached.close()
        if self._pairs is not None:
            self._pairs.on_change = lambda _pair: None
        self._attached, self._pairs, self._source = None, None, None

    def expect_reply(self) -> None:
        """Requests the time from now to the next frame; see `AudioPlayer`."""
        self._secured.expect_reply(self._clock())

    def notify_room(self) -> None:
        """Requests a note once the queue has room again; see `AudioPlayer`."""
        self._secured.notify_room()

    def notify_drained(self) -> None:
        """Requests a note when the queue becomes empty; see `AudioPlayer`."""
        self._secured.notify_drained()

    def report(self, block: RtcpReceiverInfo) -> None:
        """Takes a report of the remote peer on what is sent."""
        self._secured.report(
            self._clock(),
            current_ntp_time(),
            block.fraction_lost,
            block.highest_sequence,
            block.jitter,
            block.lsr,
            block.dlsr,
        )

    def resend(self, lost: Iterable[int]) -> None:
        """Sends lost packets again."""
        self._secured.nack(self._clock(), list(lost))

    def sender_info(self, ntp_time: int) -> tuple[int, int, int] | None:
        """Returns the numbers of a sender report; see `SecureSender.sender_info`."""
        return self._secured.sender_info(self._clock(), ntp_time)

    def _follow(self, pair: CandidatePair) -> None:
        if self._attached is not None:
            self._attached.send_from(pair.protocol.transport, pair.remote_addr)

    def _take(self, note: SendNote) -> None:
        if isinstance(note, bytes):
            pair = None if self._pairs is None else self._pairs.get(COMPONENT)
            if pair is not None:
                pair.protocol.transport.sendto(note, pair.remote_addr)
        elif note is None:
            logger.error("the core has failed: a session's audio is not sent any more")
        elif self._source is not None:
            self._source.note_sent(*note)


def install_fast_sender(
    pc: RTCPeerConnection, media: MediaLoop, secured: SecureReceiver | None = None
) -> ThreadedSender | None:
    """Has the thread send a connected connection's audio.

    Args:
        pc: The connection, before anything was sent.
        media: The media plane that has its sockets.
        secured: Receives the connection's audio in the thread; ``None`` where nothing does.

    Returns:
        The sender; ``None`` where no audio is sent in Opus from a queue, or by more than one track,
        where some was sent already, and where aiortc is not built as expected.
    """
    found = _find(pc) if probe.has(names.FAST_SENDER) else None
    if found is None or (keys := outbound_keys(found[0].transport)) is None:
        return None
    sender, track, parameters = found
    source = track.source
    if not isinstance(source, QueuedAudioSource):
        return None
    ssrc: int = vars(sender)[names.SENDER_SSRC]
    threaded = ThreadedSender(
        make_sender(source.queue, keys, ssrc, parameters, sender.red_type), source
    )
    if not source.lend(threaded):
        return None
    threaded.begin(media, source.queue, getattr(sender.transport.transport, names.CONNECTION))
    track.on_close = threaded.close
    sender.threaded = threaded
    receivers = [each.receiver for each in pc.getTransceivers() if each.sender is sender]
    if secured is not None and isinstance(receivers[0], HardenedReceiver):
        threaded.start_reports(secured, parameters.rtcp.cname or "")
        sender.end_reports()
        receivers[0].end_reports()
    return threaded


def _find(
    pc: RTCPeerConnection,
) -> tuple[HardenedSender, AudioSender, RTCRtpSendParameters] | None:
    """Returns the one sender of audio, if it sends Opus and has sent nothing, and its track."""
    senders = [each.sender for each in pc.getTransceivers() if each.kind == "audio"]
    if len(senders) != 1 or not isinstance(sender := senders[0], HardenedSender):
        return None
    track, own = sender.track, vars(sender)
    if not isinstance(track, AudioSender) or sender.parameters is None:
        return None
    begins = track.encodes and own[names.ENABLED] and not own[names.PACKET_COUNT]
    return (sender, track, sender.parameters) if begins else None


def make_sender(
    queue: OutboundAudio,
    keys: SrtpKeys,
    ssrc: int,
    parameters: RTCRtpSendParameters,
    red_type: int | None = None,
) -> SecureSender:
    """Returns the core's sender of a stream, as it was negotiated."""
    codec = parameters.codecs[0]
    ids = {each.uri: each.id for each in parameters.headerExtensions}
    return SecureSender(
        queue,
        *keys,
        ssrc=ssrc,
        payload_type=cast("int", codec.payloadType),
        # Below the half: a receiver that lost the first packets is never a round behind.
        sequence_number=secrets.randbits(15),
        timestamp=secrets.randbits(32),
        mid=parameters.muxId or None,
        mid_id=ids.get(MID) if parameters.muxId else None,
        audio_level_id=ids.get(AUDIO_LEVEL),
        has_nack=any(each.type == "nack" and not each.parameter for each in codec.rtcpFeedback),
        red_payload_type=red_type,
    )
