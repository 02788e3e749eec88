"""Carries audio from the socket straight to `OpusReceiver`, past aiortc's queue and tasks.

On aiortc's way a datagram waits in a queue, wakes a task, is decrypted, parsed with all its
extensions, routed and dated: that takes longer than decoding it. Once a connection has its keys,
the core does all of this for the packets of its track of audio. Everything else that a connection
carries goes where it always went, reports among it.
"""

from __future__ import annotations

import functools
import logging
import time
from typing import TYPE_CHECKING, Any

from . import names, probe
from .dtls import HardenedDtls
from .opus_coding import opus_receiver_of
from .srtp_keys import inbound_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiortc import RTCPeerConnection, RTCRtpReceiver

    from gradio_webrtc._media import SecureReceiver
    from gradio_webrtc._transport.webrtc.media_loop import MediaLoop
    from gradio_webrtc._transport.webrtc.opus_receiver import OpusReceiver

    from .datagram_guard import DatagramGuard

logger = logging.getLogger(__name__)


class SecureStatistics:
    """Stands where aiortc counts the packets of a stream, which it does not see.

    Args:
        secured: Counts them.
        clock: Seconds, monotonic: that of ``secured``.

    Attributes:
        others: The packets that came on aiortc's way, before the keys or with them.
    """

    def __init__(
        self, secured: SecureReceiver, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.others = 0
        self._secured = secured
        self._clock = clock
        self._highest = 0

    @property
    def packets_received(self) -> int:
        """Those of all streams of the track."""
        return self.others + self._secured.stats()["packets_received"]

    @property
    def packets_lost(self) -> int:
        """Those of all streams of the track that never came."""
        return self._secured.stats()["packets_lost"]

    @property
    def jitter(self) -> int:
        """Of the current stream, in samples at 48 kHz."""
        return self._secured.stats()["jitter"]

    @property
    def fraction_lost(self) -> int:
        """The share that was lost since it was read last, in 1/256."""
        report = self._secured.report(self._clock())
        if report is None:
            return 0
        self._highest = report["highest_sequence_number"]
        return report["fraction_lost"]

    @property
    def max_seq(self) -> int:
        """The highest sequence number when `fraction_lost` was read, in 32 bits."""
        return self._highest

    def add(self, _packet: object) -> None:
        """Counts a packet that was on aiortc's way already when the keys came."""
        self.others += 1


class CurrentStream(dict[int, Any]):
    """Stands where aiortc has the statistics of a track's streams, and has the current one alone.

    Args:
        secured: Receives the streams.
        before: The statistics until now.
    """

    def __init__(self, secured: SecureReceiver, before: dict[int, Any]) -> None:
        super().__init__(before)
        self._secured = secured
        self._statistics = SecureStatistics(secured)

    def items(self) -> Any:
        """Returns the current stream, if there is one, with its statistics."""
        self._follow()
        return super().items()

    def values(self) -> Any:
        """Returns the statistics of the current stream, if there is one."""
        self._follow()
        return super().values()

    def _follow(self) -> None:
        ssrc = self._secured.ssrc
        if ssrc is None or (len(self) == 1 and self.get(ssrc) is self._statistics):
            return
        for each in super().values():
            if each is not self._statistics:
                self._statistics.others += each.packets_received
        self.clear()
        self[ssrc] = self._statistics


class RtpFastPath:
    """Stands where aioice puts the datagrams of a connection in its queue.

    Args:
        receiver: aiortc's, whose packets are taken.
        opus: Receives them.
        secured: Decrypts them.
        enqueue: Receives everything else: aioice's own way.

    Attributes:
        secured: Decrypts the packets.
    """

    def __init__(
        self,
        receiver: RTCRtpReceiver,
        opus: OpusReceiver,
        secured: SecureReceiver,
        enqueue: Callable[[bytes, int], None],
    ) -> None:
        self._receiver = vars(receiver)
        self._opus = opus
        self.secured = secured
        self._enqueue = enqueue

    @property
    def taken(self) -> int:
        """The number of packets that came this way."""
        return self.secured.stats()["packets_received"]

    def __call__(self, data: bytes, component: int) -> None:
        """Receives a datagram, on the event loop."""
        if not (self._receiver[names.ENABLED] and self._opus.add_datagram(self.secured, data)):
            self._enqueue(data, component)


def install_fast_path(
    pc: RTCPeerConnection, media: MediaLoop | None = None, guards: Sequence[DatagramGuard] = ()
) -> RtpFastPath | None:
    """Carries a connected connection's packets of audio past aiortc's tasks.

    Args:
        pc: The connection.
        media: The media plane that has its sockets: its thread receives the packets then, and what
            comes to the event loop is the exception, from a relay, or the first one of a source.
        guards: Of its sockets.

    Returns:
        The fast path; ``None`` where there is no audio in Opus, or more than one track of it, and
        where aiortc is not built as expected.
    """
    if not probe.has(names.FAST_PATH):
        return None
    receivers = [each.receiver for each in pc.getTransceivers() if each.kind == "audio"]
    opus = opus_receiver_of(receivers[0]) if len(receivers) == 1 else None
    if opus is None:
        return None
    receiver = receivers[0]
    dtls = receiver.transport
    if (keys := inbound_keys(dtls)) is None:
        return None
    secured = opus.secure(*keys)
    _count_in(receiver, secured)
    if isinstance(dtls, HardenedDtls):
        dtls.authentic.secured = secured
    connection: Any = getattr(dtls.transport, names.CONNECTION)
    path = RtpFastPath(receiver, opus, secured, connection.data_received)
    connection.data_received = path
    if media is not None:
        _attach(media, opus, secured, guards)
    return path


def _attach(
    media: MediaLoop,
    opus: OpusReceiver,
    secured: SecureReceiver,
    guards: Sequence[DatagramGuard],
) -> None:
    """Has the plane's thread receive, from every source that a guard admits."""
    attached = media.attach(secured, functools.partial(opus.deliver, secured))
    opus.attach(secured, attached)
    for guard in guards:
        guard.on_media = lambda protocol, source: attached.admit(protocol.transport, source)


def _count_in(receiver: RTCRtpReceiver, secured: SecureReceiver) -> None:
    """Has aiortc's reports and statistics read what is counted here from now on."""
    own = vars(receiver)
    own[names.REMOTE_STREAMS] = CurrentStream(secured, own[names.REMOTE_STREAMS])
