"""The caller's packets of sound: put in order, decoded, and what is missing filled in."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

from av.error import FFmpegError

from gradio_webrtc._transport.buckets import TokenBucket
from gradio_webrtc._transport.pacing import CALL_RATE_HZ, FRAME_SAMPLES

from .opus import TIME_BASE, OpusDecoder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from aiortc.jitterbuffer import JitterBuffer, JitterFrame
    from aiortc.rtp import RtpPacket
    from av import AudioFrame

    AnyPacket: TypeAlias = "RtpPacket | RtpAudioPacket"

logger = logging.getLogger(__name__)

LOST_AFTER: Final = 3
"""How many later packets come before a missing one is given up: the reordering that TCP (RFC 5681
section 3.2) and QUIC (RFC 9002 section 6.1.1) allow for as well. 60 ms of sound."""

MAX_LATE: Final = 100
"""A packet further behind than this is no late one: its sender began anew."""

MAX_FILLED_SAMPLES: Final = 24_000
"""Half a second at 48 kHz. A sender with discontinuous transmission is heard of every 400 ms (RFC
7587 section 3.1.3), so a longer gap is a call that stood still, and its silence is over."""

MAX_TOGETHER: Final = 5
"""How many packets are decoded together at most, even if nobody needs them sooner: of 20 ms, these
hold up the event loop for a fraction of a millisecond."""

DECODED_RATE: Final = 1.5
"""How much faster than real time audio may come: packets whose time stamps are far apart have their
gaps filled, and ten bytes would cost half a second of it each."""

DECODED_AT_ONCE_S: Final = 1.0
"""The same at the begin of a call."""

DECODED_AFTER_PAUSE_S: Final = 10.0
"""The same after a while in which little came: what a network held back until a remote peer would
be given up comes all at once."""

SEQUENCES: Final = 1 << 16
TIMESTAMPS: Final = 1 << 32


class RtpAudioPacket(NamedTuple):
    """As much of an RTP packet as matters to sound."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes


class ReorderBuffer:
    """Gives packets in the order they were sent, and those that come in order at once.

    Whoever plays sound on a clock has to hold packets back, so that a late one is in time. Nothing
    here is played: packets wait only while one before them is missing.
    """

    def __init__(self) -> None:
        self._next: int | None = None
        self._held: dict[int, AnyPacket] = {}

    def put(self, packet: AnyPacket) -> Sequence[AnyPacket]:
        """The packets whose turn it is, now that this one is here.

        One that comes twice, or after it was given up, is dropped.
        """
        sequence = packet.sequence_number
        if sequence == self._next and not self._held:
            self._next = (sequence + 1) % SEQUENCES
            return (packet,)
        if self._next is None or MAX_LATE <= SEQUENCES - self._ahead(sequence) <= SEQUENCES // 2:
            self._held.clear()
            self._next = sequence
        if self._ahead(sequence) >= SEQUENCES // 2:
            return ()
        self._held[sequence] = packet
        if len(self._held) >= LOST_AFTER:
            self._next = min(self._held, key=self._ahead)
        return self._take()

    def _ahead(self, sequence: int) -> int:
        return (sequence - (self._next or 0)) % SEQUENCES

    def _take(self) -> list[AnyPacket]:
        taken = []
        while self._next in self._held:
            taken.append(self._held.pop(self._next))
            self._next = (self._next + 1) % SEQUENCES
        return taken


class OpusReceiver:
    """Stands where aiortc's receiver of sound has its jitter buffer, and decodes Opus itself.

    That one holds five packets back in any case, and at the first that is lost stands still for 16.
    Packets of other codecs still go there, and from there to aiortc's decoder thread.

    Attributes:
        payload_types: Those that are Opus.
        deliver: Takes the decoded frames; may be replaced.
        ssrc: Of the stream that was heard last; ``None`` before the first packet.
        refused: The number of packets that were dropped, since more audio came than time passed.

    Args:
        payload_types: Those that are Opus.
        theirs: The jitter buffer of the receiver.
        deliver: Takes the decoded frames, on the event loop, with gapless ``pts`` at 48 kHz unless
            the sender was silent for long. Returns how much of the sound to come may wait, in
            seconds, or nothing: see `AudioSink`.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        payload_types: Collection[int | None],
        theirs: JitterBuffer,
        deliver: Callable[[AudioFrame], float | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.payload_types = frozenset(payload_types)
        self._theirs = theirs
        self.deliver = deliver
        self.ssrc: int | None = None
        self._order = ReorderBuffer()
        self._decoder = OpusDecoder()
        self._waiting: list[AnyPacket] = []
        self._packet_samples = 0
        self._batch_allowance_samples = 0
        self._next_timestamp = 0
        self._pts = 0
        self._has_failed = False
        self.refused = 0
        self._budget = TokenBucket(
            DECODED_RATE * CALL_RATE_HZ,
            DECODED_AFTER_PAUSE_S * CALL_RATE_HZ,
            clock,
            initial=DECODED_AT_ONCE_S * CALL_RATE_HZ,
        )

    def add(self, packet: AnyPacket) -> tuple[bool, JitterFrame | None]:
        """Takes a packet, on the event loop, as aiortc's jitter buffer does.

        Returns:
            That no picture is asked for, and what aiortc is left to decode: nothing of Opus.
        """
        if packet.payload_type not in self.payload_types:
            return self._theirs.add(cast("RtpPacket", packet))
        if packet.ssrc != self.ssrc:
            self._hear_waiting()
            self.ssrc = packet.ssrc
            self._order = ReorderBuffer()
            self._decoder = OpusDecoder()
            self._next_timestamp = packet.timestamp
        self._waiting += self._order.put(packet)
        if self._waiting and self._are_awaited():
            self._hear_waiting()
        return False, None

    def _are_awaited(self) -> bool:
        """Whether no more may wait than is here, if the last packet is as long as those before."""
        # Counted, too: a caller may stamp them all alike.
        if len(self._waiting) >= MAX_TOGETHER:
            return True
        before = (self._waiting[-1].timestamp - self._next_timestamp) % TIMESTAMPS
        return before + self._packet_samples >= self._batch_allowance_samples

    def _hear_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for packet in waiting:
            try:
                self._hear(packet)
            except FFmpegError as error:
                self._report(error)

    def _hear(self, packet: AnyPacket) -> None:
        """Delivers a packet's sound, after something for what is missing before it.

        Lost and never sent are the same here: time passed, and there is no sound of it.
        """
        missing = (packet.timestamp - self._next_timestamp) % TIMESTAMPS
        filled_samples = missing if missing <= MAX_FILLED_SAMPLES else 0
        if not self._budget.take(filled_samples + (self._packet_samples or FRAME_SAMPLES)):
            self.refused += 1
            return
        if missing <= MAX_FILLED_SAMPLES:
            while missing > 0 and (filled := self._give(self._decoder.conceal())):
                missing -= filled
        elif missing < TIMESTAMPS // 2:
            self._pts += missing
        self._next_timestamp = packet.timestamp
        self._packet_samples = self._give(self._decoder.decode(packet.payload))

    def _give(self, frames: list[AudioFrame]) -> int:
        """How many samples that was."""
        given = 0
        for frame in frames:
            frame.pts, frame.time_base = self._pts, TIME_BASE
            self._pts += frame.samples
            given += frame.samples
            self._batch_allowance_samples = round(CALL_RATE_HZ * (self.deliver(frame) or 0))
        self._next_timestamp = (self._next_timestamp + given) % TIMESTAMPS
        return given

    def _report(self, error: FFmpegError) -> None:
        # As many as a caller likes to send: one line is enough.
        if not self._has_failed:
            logger.warning("cannot decode a packet of opus: %s", error)
        self._has_failed = True
