"""Inbound packets of Opus: put in order, decoded, and the missing ones concealed.

Runs on the event loop, for every packet: what happens fifty times a second for each session stands
in few functions here. Imports nothing of aiortc.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from av.error import FFmpegError

from gradio_webrtc._transport.buckets import TokenBucket
from gradio_webrtc._transport.opus import OpusDecoder
from gradio_webrtc._transport.pacing import FRAME_SAMPLES, SESSION_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from gradio_webrtc._transport.base import AudioBlock, AudioSink

logger = logging.getLogger(__name__)

LOST_AFTER: Final = 3
"""Later packets that come before a missing one is given up: the reordering that TCP (RFC 5681
section 3.2) and QUIC (RFC 9002 section 6.1.1) allow for as well. 60 ms of audio."""

MAX_LATE: Final = 100
"""A packet further behind than this is not late: its sender began again."""

MAX_FILLED_SAMPLES: Final = 24_000
"""Half a second at 48 kHz. A sender with discontinuous transmission sends every 400 ms at least
(RFC 7587 section 3.1.3), so a longer gap is a session that stood still, and its silence is over."""

MAX_TOGETHER: Final = 5
"""Packets that are decoded together at most, even if nobody needs them sooner: with 20 ms each,
they hold up the event loop for a fraction of a millisecond."""

DECODED_RATE: Final = 1.5
"""Audio that may come, in seconds a second: packets whose time stamps are far apart have their gaps
filled, and ten bytes would cost half a second of it each."""

DECODED_AT_ONCE_S: Final = 1.0
"""Audio that may come at once, when a session begins."""

DECODED_AFTER_PAUSE_S: Final = 10.0
"""Audio that may come at once after a while in which little came: what a network held back until a
remote peer would be given up comes all at once."""

SEQUENCES: Final = 1 << 16
TIMESTAMPS: Final = 1 << 32


class OpusPacket(Protocol):
    """As much of an RTP packet as matters here: `RtpAudioPacket`, and aiortc's own."""

    @property
    def sequence_number(self) -> int:
        """16 bits."""

    @property
    def timestamp(self) -> int:
        """32 bits, at 48 kHz."""

    @property
    def ssrc(self) -> int:
        """The stream."""

    @property
    def payload(self) -> bytes:
        """One packet of Opus."""


class RtpAudioPacket(NamedTuple):
    """As much of an RTP packet as matters to audio."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes


class ReorderBuffer:
    """Returns packets in the order they were sent, and those that come in order at once.

    A buffer in front of a loudspeaker has to hold packets back, so that a late one is in time.
    Nothing is played here: packets wait only while one before them is missing.

    Attributes:
        next_number: The sequence number of the next packet; ``None`` before the first.
        held: The packets that wait, by sequence number.
        dropped: The number of packets that came too late, or twice.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self.next_number: int | None = None
        self.held: dict[int, OpusPacket] = {}

    def put(self, packet: OpusPacket) -> Sequence[OpusPacket]:
        """Returns the packets whose turn it is, now that this one is here.

        One that comes twice, or after it was given up, is dropped.
        """
        sequence = packet.sequence_number
        behind = SEQUENCES - self._ahead(sequence)
        if self.next_number is None or MAX_LATE <= behind <= SEQUENCES // 2:
            self.held.clear()
            self.next_number = sequence
        if self._ahead(sequence) >= SEQUENCES // 2 or sequence in self.held:
            self.dropped += 1
            return ()
        self.held[sequence] = packet
        if len(self.held) >= LOST_AFTER:
            self.next_number = min(self.held, key=self._ahead)
        return self._take()

    def _ahead(self, sequence: int) -> int:
        return (sequence - (self.next_number or 0)) % SEQUENCES

    def _take(self) -> list[OpusPacket]:
        taken = []
        while self.next_number in self.held:
            taken.append(self.held.pop(self.next_number))
            self.next_number = (self.next_number + 1) % SEQUENCES
        return taken


class OpusReceiver:
    """Receives the packets of one track, and delivers their audio without gaps.

    Attributes:
        payload_types: Those that are Opus.
        sink: Receives the decoded blocks; ``None`` puts them in the track's queue. Returns how much
            of the coming audio may wait, in seconds: see `AudioSink`.
        ssrc: Of the stream that was received last; ``None`` before the first packet.
        refused: The number of packets that were dropped, since more audio came than time passed.
        received_bytes: The payloads of all packets, in bytes.
        concealed_samples: The samples per channel that were filled in for missing packets.

    Args:
        payload_types: Those that are Opus.
        queue: Receives blocks while there is no sink, and the exception of a sink, which is not
            called again then.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        payload_types: Collection[int | None],
        queue: Callable[[AudioBlock | Exception], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.payload_types = frozenset(payload_types)
        self.sink: AudioSink | None = None
        self.ssrc: int | None = None
        self.refused = 0
        self.received_bytes = 0
        self.concealed_samples = 0
        self._broken = 0
        self._dropped = 0
        self._queue = queue
        self._order = ReorderBuffer()
        self._decoder = OpusDecoder()
        self._waiting: list[OpusPacket] = []
        self._packet_samples = 0
        self._batch_allowance_samples = 0
        self._next_timestamp = 0
        self._has_failed = False
        self._budget = TokenBucket(
            DECODED_RATE * SESSION_RATE_HZ,
            DECODED_AFTER_PAUSE_S * SESSION_RATE_HZ,
            clock,
            initial=DECODED_AT_ONCE_S * SESSION_RATE_HZ,
        )

    @property
    def discarded(self) -> int:
        """The number of packets that came and were not decoded: late, repeated, broken, refused."""
        return self.refused + self._broken + self._dropped + self._order.dropped

    def add(self, packet: OpusPacket) -> None:
        """Receives a packet, on the event loop.

        Packets wait while the sink can do without them, and are decoded together then: a process
        that sleeps between packets finds its caches cold at each.
        """
        if packet.ssrc != self.ssrc:
            self._begin_stream(packet)
        self.received_bytes += len(packet.payload)
        order, waiting = self._order, self._waiting
        number = packet.sequence_number
        if number == order.next_number and not order.held:
            # Nearly every packet: without a call.
            order.next_number = (number + 1) % SEQUENCES
            waiting.append(packet)
        else:
            waiting += order.put(packet)
        if not waiting:
            return
        # As if the last packet were as long as those before. They are counted, too: a remote peer
        # may stamp them all alike.
        before = (waiting[-1].timestamp - self._next_timestamp) % TIMESTAMPS
        is_early = before + self._packet_samples < self._batch_allowance_samples
        if is_early and len(waiting) < MAX_TOGETHER:
            return
        self._waiting = []
        for each in waiting:
            self._decode(each)

    def _begin_stream(self, packet: OpusPacket) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            self._decode(each)
        self.ssrc = packet.ssrc
        self._dropped += self._order.dropped
        self._order = ReorderBuffer()
        self._decoder = OpusDecoder()
        self._next_timestamp = packet.timestamp

    def _decode(self, packet: OpusPacket) -> None:
        """Delivers a packet's audio, after something for what is missing before it.

        Lost and never sent are the same here: time passed, and there is no audio of it.
        """
        missing = (packet.timestamp - self._next_timestamp) % TIMESTAMPS
        to_fill = missing if missing <= MAX_FILLED_SAMPLES else 0
        if not self._budget.take(to_fill + (self._packet_samples or FRAME_SAMPLES)):
            self.refused += 1
            return
        blocks = self._conceal(to_fill) if to_fill else []
        self._next_timestamp = packet.timestamp
        try:
            decoded = self._decoder.decode(packet.payload)
        except FFmpegError as error:
            self._report(error)
        else:
            blocks += decoded
            self._packet_samples = 0
            for block in decoded:
                self._packet_samples += block.samples.size // block.channels
            self._next_timestamp = (packet.timestamp + self._packet_samples) % TIMESTAMPS
        for block in blocks:
            allowance_s = 0.0
            if (sink := self.sink) is None:
                self._queue(block)
            else:
                try:
                    allowance_s = sink(block)
                except Exception as error:  # noqa: BLE001 - raised by the reader of the queue
                    self.sink = None
                    self._queue(error)
            self._batch_allowance_samples = round(SESSION_RATE_HZ * allowance_s)

    def _conceal(self, samples: int) -> list[AudioBlock]:
        """Returns something for as many missing samples, in whole packets; nothing if it cannot."""
        blocks: list[AudioBlock] = []
        try:
            while samples > 0 and (concealed := self._decoder.conceal()):
                blocks += concealed
                filled = sum(block.samples.size // block.channels for block in concealed)
                self.concealed_samples += filled
                samples -= filled
        except FFmpegError as error:
            self._report(error)
        return blocks

    def _report(self, error: FFmpegError) -> None:
        self._broken += 1
        # As many as a remote peer likes to send: one line is enough.
        if not self._has_failed:
            logger.warning("cannot decode a packet of opus: %s", error)
        self._has_failed = True
