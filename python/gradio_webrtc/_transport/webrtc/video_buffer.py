"""Packets of inbound video, from the network to whole frames in order.

A frame waits for its missing packets, which are requested until they come (RFC 4585 section 6.2.1):
nearly every frame needs the one before, and a decoder that goes on without shows wrong ones. A
key frame ends the waiting, and is requested when that takes long. Runs on the event loop, with the
time as an argument; nothing happens between packets, so that it needs no timer. Imports neither
aiortc nor sessions.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from .frame_sizes import NAL_IDR, NAL_SEQUENCE, NAL_START

if TYPE_CHECKING:
    from collections.abc import Iterator

CAPACITY: Final = 512
"""Packets that may wait behind a missing one: two seconds at full HD, 0.6 MB."""

MAX_MISSING: Final = 256
"""Packets that are requested, counted back from the newest: senders keep about as many."""

MAX_REQUESTS: Final = 10
"""For one packet: what does not come then is not there any more (libwebrtc,
modules/video_coding/nack_requester.cc)."""

ROUND_TRIP_S: Final = (0.015, 0.5)
"""Bounds of the time after which a request is repeated. Below the first a packet that is merely out
of order would be requested again."""

FIRST_ROUND_TRIP_S: Final = 0.1
"""Until a packet came that was requested."""

REPEAT_ROUND_TRIPS: Final = 0.5
"""Round trips between two requests for a packet. Half of one, since a request gets lost as well as
its answer: senders of browsers leave out what they have sent within a round trip, and ours within
half of one, so that a second request costs little where the first one came."""

SMOOTHING: Final = 0.25
"""Weight of a new round trip. Twice that of TCP (RFC 6298 section 2): there are few."""

KEY_WAIT_S: Final = 0.25
KEY_WAIT_ROUND_TRIPS: Final = 3.5
"""The longer of these two is how long a frame waits before a key frame is requested, and again
after that: by then a packet has been requested six times and more. A key frame is as large as ten
other frames, and loses packets as well."""

MAX_KEY_STARTS: Final = 4
"""Beginnings of key frames that are kept while a packet is missing."""

SEQUENCES: Final = 1 << 16

NAL_DELIMITER: Final = 9
"""``nal_unit_type`` of the mark before an access unit (H.264 table 7-1)."""

VP8_START: Final = 0x10
VP8_PARTITION: Final = 0x07
"""Bits of the payload descriptor: start of a partition, and which (RFC 7741 section 4.2)."""


class VideoPacket(Protocol):
    """An RTP packet, as far as it is needed.

    Attributes:
        payload_type: Of its codec.
        sequence_number: 16 bits.
        timestamp: Of its frame, 32 bits.
        marker: 1 for the last packet of a frame.
        payload: With the codec's descriptor in front.
    """

    payload_type: int
    sequence_number: int
    timestamp: int
    marker: int
    payload: bytes


class CodedFrame(NamedTuple):
    """A whole frame.

    Attributes:
        payload_type: Of its codec.
        timestamp: On the clock of 90 kHz, 32 bits.
        data: For the decoder.
    """

    payload_type: int
    timestamp: int
    data: bytes


class _Part(NamedTuple):
    """A packet, and its payload without the codec's descriptor."""

    packet: VideoPacket
    data: bytes


@dataclass(slots=True)
class _Request:
    """The requests for a missing packet."""

    detected_s: float
    sent_s: float = 0.0
    count: int = 0


class VideoJitterBuffer:
    """Puts packets in order, requests those that are missing, and makes frames of them.

    After each `add` take what there is of `take_frames`, `take_requests` and `needs_key_frame`.
    """

    def __init__(self) -> None:
        self._round_trip_s: float | None = None
        self._newest: int | None = None
        self._next = 0
        # True until a key frame comes; then, if others came and were left out.
        self._is_broken = True
        self._is_undecodable = False
        self._key_requested_s: float | None = None
        self._key_is_due = False
        self._parts: list[_Part] = []
        self._waiting: dict[int, _Part] = {}
        self._missing: OrderedDict[int, _Request] = OrderedDict()
        self._key_starts: OrderedDict[int, int] = OrderedDict()
        self._frames: list[CodedFrame] = []

    def add(self, packet: VideoPacket, data: bytes, now_s: float, *, codec: str) -> None:
        """Takes a packet.

        Args:
            packet: New, late, repeated or sent again.
            data: Its payload without the codec's descriptor.
            now_s: The time, monotonic, in seconds.
            codec: ``"VP8"`` or ``"H264"``. Of others every frame is taken for a key frame.
        """
        place = self._place_of(packet)
        if self._is_leap(place):
            self._restart(place)
        self._note(place, now_s)
        if place < self._next or place in self._waiting:
            return
        part = _Part(packet, data)
        self._waiting[place] = part
        if place > self._next:
            self._note_key_start(place, part, codec)
            self._jump(place, codec)
        self._advance(codec)
        if len(self._waiting) > CAPACITY:
            self._restart(self._latest + 1)
        self._watch(now_s)

    def take_frames(self) -> list[CodedFrame]:
        """Returns the frames that have become whole, in order, once."""
        frames, self._frames = self._frames, []
        return frames

    def take_requests(self, now_s: float) -> list[int]:
        """Returns the sequence numbers to request now, ascending: new ones, and those once more."""
        interval_s = max(ROUND_TRIP_S[0], REPEAT_ROUND_TRIPS * self.round_trip_s)
        due = []
        for place, request in self._missing.items():
            if request.count < MAX_REQUESTS and (
                not request.count or now_s - request.sent_s >= interval_s
            ):
                request.sent_s = now_s
                request.count += 1
                due.append(place % SEQUENCES)
        return sorted(due)

    def needs_key_frame(self) -> bool:
        """True, once, when a key frame is to be requested."""
        is_due, self._key_is_due = self._key_is_due, False
        return is_due

    def is_late(self, sequence_number: int) -> bool:
        """True for a packet that comes after later ones."""
        if self._newest is None:
            return False
        return (sequence_number - self._newest) % SEQUENCES >= SEQUENCES // 2

    @property
    def round_trip_s(self) -> float:
        """The time from a request to its answer, in seconds, within `ROUND_TRIP_S`."""
        if self._round_trip_s is None:
            return FIRST_ROUND_TRIP_S
        low, high = ROUND_TRIP_S
        return min(high, max(low, self._round_trip_s))

    @property
    def _latest(self) -> int:
        return 0 if self._newest is None else self._newest

    def _place_of(self, packet: VideoPacket) -> int:
        """Returns the sequence number without its wrap, near the newest one."""
        if self._newest is None:
            # Room below for those that were sent before it.
            return packet.sequence_number + SEQUENCES
        distance = (packet.sequence_number - self._newest) % SEQUENCES
        return self._newest + distance - (SEQUENCES if distance >= SEQUENCES // 2 else 0)

    def _is_leap(self, place: int) -> bool:
        return self._newest is None or abs(place - self._newest) > CAPACITY

    def _restart(self, place: int) -> None:
        """Gives up all that waits; goes on here, with the first key frame."""
        self._newest, self._next = place - 1, place
        self._is_broken = True
        self._parts.clear()
        self._waiting.clear()
        self._missing.clear()
        self._key_starts.clear()

    def _note(self, place: int, now_s: float) -> None:
        """Notes which packets are missing, now that this one came."""
        if place <= self._latest:
            self._note_late(self._missing.pop(place, None), now_s)
            return
        for missing in range(max(self._latest + 1, place - MAX_MISSING), place):
            self._missing[missing] = _Request(now_s)
        self._newest = place
        while self._missing and next(iter(self._missing)) < place - MAX_MISSING:
            self._missing.popitem(last=False)

    def _note_late(self, request: _Request | None, now_s: float) -> None:
        # Of several requests any may be the one that was answered (RFC 6298 section 3).
        if request is None or request.count != 1:
            return
        took_s = now_s - request.sent_s
        before_s = took_s if self._round_trip_s is None else self._round_trip_s
        self._round_trip_s = before_s + SMOOTHING * (took_s - before_s)

    def _note_key_start(self, place: int, part: _Part, codec: str) -> None:
        if _begins_key_frame(part, codec):
            self._key_starts[part.packet.timestamp] = place
            while len(self._key_starts) > MAX_KEY_STARTS:
                self._key_starts.popitem(last=False)

    def _jump(self, place: int, codec: str) -> None:
        """Leaves out what is missing, if a key frame behind it is whole with this packet."""
        for each in (place, place - 1):
            part = self._waiting.get(each)
            start = None if part is None else self._key_starts.get(part.packet.timestamp)
            if start is None or start <= self._next:
                continue
            parts = list(self._packets_from(start))
            if self._is_whole(start, parts) and _is_key_frame(parts, codec):
                self._skip_to(start)
                return

    def _packets_from(self, place: int) -> Iterator[_Part]:
        """Yields the packets of one frame that came, up to the first one that is missing."""
        timestamp: int | None = None
        while (part := self._waiting.get(place)) is not None:
            if timestamp is not None and part.packet.timestamp != timestamp:
                return
            timestamp = part.packet.timestamp
            yield part
            if part.packet.marker:
                return
            place += 1

    def _is_whole(self, start: int, parts: list[_Part]) -> bool:
        return bool(parts[-1].packet.marker) or start + len(parts) in self._waiting

    def _skip_to(self, start: int) -> None:
        for place in [each for each in self._waiting if each < start]:
            del self._waiting[place]
        while self._missing and next(iter(self._missing)) < start:
            self._missing.popitem(last=False)
        self._parts.clear()
        self._next = start

    def _advance(self, codec: str) -> None:
        """Makes frames of the packets that are next in order."""
        while (part := self._waiting.pop(self._next, None)) is not None:
            self._next += 1
            if self._parts and part.packet.timestamp != self._parts[0].packet.timestamp:
                self._complete(codec)
            self._parts.append(part)
            if part.packet.marker:
                self._complete(codec)

    def _complete(self, codec: str) -> None:
        parts, self._parts = self._parts, []
        data = b"".join(part.data for part in parts)
        if not data:
            # Padding, which some senders send behind a frame.
            return
        if self._is_broken and not _is_key_frame(parts, codec):
            self._is_undecodable = True
            return
        self._is_broken = self._is_undecodable = False
        first = parts[0].packet
        self._frames.append(CodedFrame(first.payload_type, first.timestamp, data))

    def _watch(self, now_s: float) -> None:
        """Requests a key frame where nothing but one helps, or where it takes long to wait."""
        if not self._waiting and not self._is_undecodable:
            self._key_requested_s = None
            return
        wait_s = max(KEY_WAIT_S, KEY_WAIT_ROUND_TRIPS * self.round_trip_s)
        hole = self._missing.get(self._next)
        is_over = self._is_undecodable or hole is None or now_s - hole.detected_s >= wait_s
        requested_s = self._key_requested_s
        if is_over and (requested_s is None or now_s - requested_s >= wait_s):
            self._key_requested_s = now_s
            self._key_is_due = True


def _begins_key_frame(part: _Part, codec: str) -> bool:
    """True for the first packet of a frame that may be a key frame."""
    if not part.data:
        return False
    if codec == "VP8":
        return _begins_vp8(part) and not part.data[0] & 1
    return codec == "H264" and bool(_kinds(part.data) & {NAL_SEQUENCE, NAL_DELIMITER})


def _begins_vp8(part: _Part) -> bool:
    return part.packet.payload[0] & (VP8_START | VP8_PARTITION) == VP8_START


def _is_key_frame(parts: list[_Part], codec: str) -> bool:
    """True for packets, in order and with nothing missing between them, of a whole key frame."""
    if codec == "VP8":
        return _begins_key_frame(parts[0], codec)
    # A parameter set is as good: some encoders refresh a frame in strips, behind one.
    kinds = _kinds(b"".join(part.data for part in parts))
    return codec != "H264" or bool(kinds & {NAL_IDR, NAL_SEQUENCE})


def _kinds(data: bytes) -> set[int]:
    """Returns the kinds of the units that begin in data of H.264 in the form of annex B."""
    ends = (start.end() for start in NAL_START.finditer(data))
    return {data[end] & 0x1F for end in ends if end < len(data)}
