"""Packets of inbound video, from the network to whole frames in order.

A frame waits for its missing packets, which are requested until they come: nearly every frame needs
the one before, and a decoder that goes on without shows wrong ones. A key frame ends the waiting,
and is requested when that takes long. Runs on the event loop, with the time as an argument, and
does nothing by itself: whoever has it keeps its deadline. Imports neither aiortc nor sessions.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from .frame_sizes import NAL_IDR, NAL_SEQUENCE, NAL_START
from .packet_requests import PacketRequests

if TYPE_CHECKING:
    from collections.abc import Iterator

CAPACITY: Final = 512
"""Packets that may wait behind a missing one: two seconds at full HD, 0.6 MB."""

MAX_FRAME_PACKETS: Final = 1_024
"""Of one frame: four times full HD in coarse bits. A frame without end would grow for ever."""

MAX_UNITS: Final = 32
"""Of a packet of H.264 that are looked at: it has one, or some parameter sets before it."""

SILENCE_S: Final = 2.0
"""Without any packet, after which nothing is requested: the camera is off, or the client gone."""

KEY_WAIT_S: Final = 0.25
KEY_WAIT_ROUND_TRIPS: Final = 3.5
"""The longer of these two is how long a frame waits before a key frame is requested, and again
after that: by then a packet has been requested six times and more. A key frame is as large as ten
other frames, and loses packets as well."""

MAX_KEY_STARTS: Final = 4
"""Beginnings of key frames that are kept while a packet is missing."""

SEQUENCES: Final = 1 << 16

NO_KINDS: Final[frozenset[int]] = frozenset()

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
    """A packet, its payload without the codec's descriptor, and the kinds of units in it."""

    packet: VideoPacket
    data: bytes
    kinds: frozenset[int]


class VideoJitterBuffer:
    """Puts packets in order, requests those that are missing, and makes frames of them.

    After each `add`, and when its `deadline_s` has come, take what there is of `take_frames`,
    `take_requests` and `needs_key_frame`.
    """

    def __init__(self) -> None:
        self._requests = PacketRequests()
        self._newest: int | None = None
        self._next = 0
        self._came_s = 0.0
        # True if the packet before the next one ended a frame; the same of the frame that is made.
        self._is_boundary = self._is_from_boundary = False
        # True until a key frame comes; then, if others came and were left out.
        self._is_broken = True
        self._is_undecodable = False
        self._key_requested_s: float | None = None
        self._key_is_due = False
        self._parts: list[_Part] = []
        self._waiting: dict[int, _Part] = {}
        # By timestamp: where a key frame seems to begin, ``None`` if it is none.
        self._key_starts: OrderedDict[int, int | None] = OrderedDict()
        self._frames: list[CodedFrame] = []

    def add(
        self,
        packet: VideoPacket,
        data: bytes,
        now_s: float,
        *,
        codec: str,
        is_repair: bool = False,
    ) -> None:
        """Takes a packet.

        Args:
            packet: New, late, repeated or sent again.
            data: Its payload without the codec's descriptor.
            now_s: The time, monotonic, in seconds.
            codec: ``"VP8"`` or ``"H264"``. Of others every frame is taken for a key frame.
            is_repair: It came as a retransmission (RFC 4588).
        """
        place = self._place_of(packet)
        if self._is_leap(place):
            self._restart(place)
        self._came_s = now_s
        self._note(place, now_s, is_repair=is_repair)
        if place < self._next or place in self._waiting:
            return
        part = _Part(packet, data, _kinds(data) if codec == "H264" else NO_KINDS)
        self._waiting[place] = part
        if place > self._next:
            self._note_key_start(place, part, codec)
            self._jump(place, codec)
        self._advance(codec)
        if len(self._waiting) > CAPACITY or len(self._parts) > MAX_FRAME_PACKETS:
            self._restart(self._latest + 1)
            self._is_undecodable = True

    def take_frames(self) -> list[CodedFrame]:
        """Returns the frames that have become whole, in order, once."""
        frames, self._frames = self._frames, []
        return frames

    def take_requests(self, now_s: float) -> list[int]:
        """Returns the sequence numbers to request now, ascending: new ones, and those once more."""
        return sorted(place % SEQUENCES for place in self._requests.take(now_s))

    def requests_are_due(self, now_s: float) -> bool:
        """True if `take_requests` would return some."""
        due_s = self._requests.deadline_s(now_s)
        return due_s is not None and now_s >= due_s

    def deadline_s(self, now_s: float) -> float | None:
        """Returns when to look at requests and key frames again, though no packet has come.

        ``None`` where nothing is missing, and where no packet has come for `SILENCE_S`.
        """
        if now_s - self._came_s >= SILENCE_S:
            return None
        due_s = [self._requests.deadline_s(now_s)]
        if self._waiting:
            requested_s, detected_s = self._key_requested_s, self._requests.detected_s(self._next)
            since_s = detected_s if requested_s is None else requested_s
            due_s.append(now_s if since_s is None else since_s + self._key_wait_s())
        return min((each for each in due_s if each is not None), default=None)

    def needs_key_frame(self, now_s: float) -> bool:
        """True, once, when a key frame is to be requested."""
        self._watch(now_s)
        is_due, self._key_is_due = self._key_is_due, False
        return is_due

    def is_late(self, sequence_number: int) -> bool:
        """True for a packet that comes after later ones."""
        if self._newest is None:
            return False
        return (sequence_number - self._newest) % SEQUENCES >= SEQUENCES // 2

    @property
    def round_trip_s(self) -> float:
        """The time from a request to its answer, in seconds; see `PacketRequests.round_trip_s`."""
        return self._requests.round_trip_s

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
        self._requests.clear()
        self._key_starts.clear()
        self._is_boundary = False

    def _note(self, place: int, now_s: float, *, is_repair: bool) -> None:
        """Notes which packets are missing, now that this one came."""
        if place <= self._latest:
            self._requests.note_late(place, now_s, is_repair=is_repair)
            return
        self._requests.note_gap(self._latest, place, now_s)
        self._newest = place

    def _note_key_start(self, place: int, part: _Part, codec: str) -> None:
        timestamp = part.packet.timestamp
        refused = timestamp in self._key_starts and self._key_starts[timestamp] is None
        if not refused and _begins_key_frame(part, codec):
            self._key_starts[timestamp] = place
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
            if not self._is_whole(start, parts):
                continue
            if _is_key_frame(parts, codec):
                self._skip_to(start)
                return
            # Once for all of its packets, of which there may be hundreds.
            self._key_starts[parts[0].packet.timestamp] = None

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
        self._requests.drop_before(start)
        self._parts.clear()
        self._next = start
        self._is_boundary = True

    def _advance(self, codec: str) -> None:
        """Makes frames of the packets that are next in order."""
        while (part := self._waiting.pop(self._next, None)) is not None:
            self._next += 1
            if self._parts and part.packet.timestamp != self._parts[0].packet.timestamp:
                self._complete(codec)
            if not self._parts:
                self._is_from_boundary, self._is_boundary = self._is_boundary, False
            self._parts.append(part)
            if part.packet.marker:
                self._complete(codec)

    def _complete(self, codec: str) -> None:
        parts, self._parts = self._parts, []
        self._is_boundary = True
        data = b"".join(part.data for part in parts)
        if not data:
            # Padding, which some senders send behind a frame.
            return
        if self._is_broken and not self._is_whole_key_frame(parts, codec):
            self._is_undecodable = True
            return
        self._is_broken = self._is_undecodable = False
        first = parts[0].packet
        self._frames.append(CodedFrame(first.payload_type, first.timestamp, data))

    def _is_whole_key_frame(self, parts: list[_Part], codec: str) -> bool:
        # Of H.264 each slice looks like the first one.
        begins = self._is_from_boundary or codec != "H264" or _begins_key_frame(parts[0], codec)
        return begins and _is_key_frame(parts, codec)

    def _key_wait_s(self) -> float:
        return max(KEY_WAIT_S, KEY_WAIT_ROUND_TRIPS * self.round_trip_s)

    def _watch(self, now_s: float) -> None:
        """Requests a key frame where nothing but one helps, or where it takes long to wait."""
        if not self._waiting and not self._is_undecodable:
            self._key_requested_s = None
            return
        wait_s, hole_s = self._key_wait_s(), self._requests.detected_s(self._next)
        is_over = self._is_undecodable or hole_s is None or now_s - hole_s >= wait_s
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
    return codec == "H264" and not part.kinds.isdisjoint((NAL_SEQUENCE, NAL_DELIMITER))


def _begins_vp8(part: _Part) -> bool:
    return part.packet.payload[0] & (VP8_START | VP8_PARTITION) == VP8_START


def _is_key_frame(parts: list[_Part], codec: str) -> bool:
    """True for packets, in order and with nothing missing between them, of a whole key frame."""
    if codec == "VP8":
        return _begins_key_frame(parts[0], codec)
    # A parameter set is as good: some encoders refresh a frame in strips, behind one.
    marks = (NAL_IDR, NAL_SEQUENCE)
    return codec != "H264" or not all(part.kinds.isdisjoint(marks) for part in parts)


def _kinds(data: bytes) -> frozenset[int]:
    """Returns the kinds of the units that begin in data of H.264 in the form of annex B."""
    ends = (start.end() for start in islice(NAL_START.finditer(data), MAX_UNITS))
    return frozenset(data[end] & 0x1F for end in ends if end < len(data))
