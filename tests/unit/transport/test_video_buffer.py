"""Packets of inbound video: put in order, requested where they are missing, made into frames."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING

import pytest
from support.hostile import counted

from gradio_webrtc._transport.webrtc.packet_requests import (
    FIRST_ROUND_TRIP_S,
    MAX_MISSING,
    MAX_REQUESTS,
    REPEAT_ROUND_TRIPS,
)
from gradio_webrtc._transport.webrtc.video_buffer import (
    CAPACITY,
    KEY_WAIT_S,
    MAX_FRAME_PACKETS,
    MAX_UNITS,
    SILENCE_S,
    VideoJitterBuffer,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

TYPE = 97
FRAME_S = 1 / 30
PACKETS = 3
"""Of each frame."""


@dataclass
class Packet:
    """A packet of VP8: one byte of descriptor, and data that show which packet it is."""

    sequence_number: int
    timestamp: int
    marker: int
    payload: bytes
    payload_type: int = TYPE

    @property
    def data(self) -> bytes:
        return self.payload[1:]


def packets_of(frame: int, *, key: bool = False, first: int = 0, base: int = 0) -> list[Packet]:
    """The packets of a frame: ``first`` is the frame that has the sequence number ``base``."""
    begin = base + (frame - first) * PACKETS
    return [
        Packet(
            (begin + nth) % 65_536,
            3000 * frame,
            int(nth == PACKETS - 1),
            # Start of the first partition; the lowest bit of the first byte is 0 for a key frame.
            bytes([0x10 if nth == 0 else 0, int(not key), frame, nth]),
        )
        for nth in range(PACKETS)
    ]


def stream(frames: int, base: int = 0, keys: Iterable[int] = (0,)) -> list[list[Packet]]:
    return [packets_of(frame, key=frame in set(keys), base=base) for frame in range(frames)]


class Path:
    """A buffer, and what came out of it.

    Attributes:
        shown: The numbers of the frames.
        requested: Every request, one after the other.
        keys: The times at which a key frame was requested.
    """

    def __init__(self) -> None:
        self.buffer = VideoJitterBuffer()
        self.now_s = 100.0
        self.shown: list[int] = []
        self.requested: list[int] = []
        self.keys: list[float] = []

    def send(self, *packets: Packet, codec: str = "VP8") -> None:
        for packet in packets:
            self.buffer.add(packet, packet.data, self.now_s, codec=codec)
            self.requested += self.buffer.take_requests(self.now_s)
            if self.buffer.needs_key_frame(self.now_s):
                self.keys.append(self.now_s)
            for frame in self.buffer.take_frames():
                assert frame.payload_type == TYPE
                assert len(frame.data) % 3 == 0
                self.shown.append(frame.timestamp // 3000)


@pytest.fixture
def path() -> Path:
    return Path()


def test_a_frame_is_whole_with_its_last_packet(path: Path) -> None:
    for number, packets in enumerate(stream(5)):
        path.send(*packets)
        assert path.shown == [*range(number + 1)]
    assert path.requested == []
    assert path.keys == []


def test_a_frame_without_a_mark_is_whole_with_the_first_packet_of_the_next(path: Path) -> None:
    for packets in stream(5):
        packets[-1].marker = 0
        path.send(*packets)
    assert path.shown == [0, 1, 2, 3]


def test_all_frames_that_waited_come_with_the_packet_that_was_missing(path: Path) -> None:
    frames = stream(6)
    late = frames[2].pop(1)
    path.send(*chain(*frames))
    assert path.shown == [0, 1]
    path.send(late)
    assert path.shown == [0, 1, 2, 3, 4, 5]
    assert path.requested == [late.sequence_number]


def test_a_packet_is_requested_at_once_and_again_after_each_half_of_a_round_trip(
    path: Path,
) -> None:
    frames = stream(90)
    missing = frames[2].pop(0).sequence_number
    requested_s = []
    for packets in frames:
        path.now_s += FRAME_S
        for packet in packets:
            before = len(path.requested)
            path.send(packet)
            requested_s += [path.now_s] * (len(path.requested) - before)
    assert path.requested == [missing] * MAX_REQUESTS
    intervals_s = [b - a for a, b in pairwise(requested_s)]
    least_s = REPEAT_ROUND_TRIPS * FIRST_ROUND_TRIP_S
    assert all(least_s <= each <= least_s + 2 * FRAME_S for each in intervals_s)


def test_the_round_trip_is_measured(path: Path) -> None:
    frames = stream(30)
    for number, packets in enumerate(frames):
        path.now_s += FRAME_S
        if number % 3 == 1:
            late = packets.pop(0)
            path.send(*packets)
            path.now_s += 0.02
            path.send(late)
        else:
            path.send(*packets)
    assert path.buffer.round_trip_s == pytest.approx(0.02, abs=0.001)
    assert path.shown == [*range(30)]


def test_a_key_frame_is_requested_after_a_while_and_ends_the_waiting(path: Path) -> None:
    frames = stream(40, keys=(0, 30))
    lost_s = path.now_s + 3 * FRAME_S
    del frames[2][1]
    for packets in frames:
        path.now_s += FRAME_S
        path.send(*packets)
    assert path.shown == [0, 1, *range(30, 40)]
    waits_s = [b - a for a, b in zip([lost_s, *path.keys], path.keys, strict=False)]
    assert all(KEY_WAIT_S <= each <= 2 * KEY_WAIT_S for each in waits_s)
    assert waits_s


def test_a_key_frame_with_a_missing_packet_ends_nothing_until_that_came(path: Path) -> None:
    frames = stream(12, keys=(0, 6))
    del frames[2][1]
    late = frames[6].pop(1)
    path.send(*chain(*frames))
    assert path.shown == [0, 1]
    path.send(late)
    assert path.shown == [0, 1, *range(6, 12)]


def test_nothing_is_shown_before_a_key_frame(path: Path) -> None:
    path.send(*chain(*stream(8, keys=(5,))))
    assert path.shown == [5, 6, 7]
    assert len(path.keys) == 1


def test_packets_of_all_orders_make_the_same_frames(path: Path) -> None:
    rng = random.Random(7)  # noqa: S311  # of a test
    packets = [*chain(*stream(100, base=65_500))]
    head, rest = packets[:1], packets[1:]
    rest.sort(key=lambda each: (each.sequence_number - 65_500) % 65_536 + rng.uniform(0, 12))
    path.send(*head, *rest)
    assert path.shown == [*range(100)]
    assert path.keys == []


def test_a_packet_that_came_twice_counts_once(path: Path) -> None:
    for packets in stream(10):
        path.send(*packets, *packets)
    assert path.shown == [*range(10)]


def test_requests_are_ascending_at_the_wrap(path: Path) -> None:
    frames = stream(4, base=65_532)
    path.send(*frames[0], *frames[3])
    assert path.requested == [0, 1, 2, 3, 4, 65_535]


def test_packets_without_data_make_no_frame(path: Path) -> None:
    frames = stream(3)
    path.send(*frames[0])
    path.send(Packet(3, 0, 0, b""), Packet(4, 0, 0, b""))
    path.send(*packets_of(1, first=1, base=5))
    assert path.shown == [0, 1]


def test_the_bounds_hold_whatever_is_missing(path: Path) -> None:
    path.send(*packets_of(0, key=True))
    with counted(files=("video_buffer.py",)) as steps:
        for number in range(2, 6 * CAPACITY, 2):
            packet = Packet(PACKETS + number, 3000 * number, 1, bytes([0x10, 1, 1, 1]))
            path.now_s += 0.001
            path.send(packet)
    own = vars(path.buffer)
    assert len(own["_waiting"]) <= CAPACITY
    assert len(vars(own["_requests"])["_missing"]) <= MAX_MISSING
    assert steps.count < 3 * CAPACITY * 20 * MAX_MISSING


def test_a_leap_takes_no_step_for_each_packet_and_needs_a_key_frame(path: Path) -> None:
    path.send(*chain(*stream(3)))
    with counted(files=("video_buffer.py",)) as steps:
        path.send(*packets_of(20, base=20_000, first=20))
    assert steps.count < 500
    assert path.requested == []
    assert len(path.keys) == 1
    path.send(*packets_of(21, key=True, base=20_000, first=20))
    assert path.shown == [0, 1, 2, 21]


def h264(frame: int, kinds: list[int], base: int) -> list[Packet]:
    """A frame of H.264, a unit in each packet."""
    return [
        Packet(
            base + nth,
            3000 * frame,
            int(nth == len(kinds) - 1),
            bytes([0, 0, 0, 0, 1, kind, 0, 0, 0, 0]),
        )
        for nth, kind in enumerate(kinds)
    ]


def test_a_key_frame_of_h264_ends_the_waiting_too(path: Path) -> None:
    key, other = [7, 8, 5], [1]
    packets = h264(0, key, 0) + h264(1, other, 3) + h264(3, other, 5) + h264(4, other, 6)
    path.send(*packets, codec="H264")
    assert path.shown == [0, 1]
    path.send(*h264(5, key, 7), *h264(6, other, 10), codec="H264")
    assert path.shown == [0, 1, 5, 6]
    assert path.requested == [4]


def test_frames_of_another_codec_need_no_key_frame_to_begin(path: Path) -> None:
    frames = stream(4, keys=())
    path.send(*chain(*frames), codec="AV1")
    assert path.shown == [0, 1, 2, 3]


def test_a_frame_without_end_is_given_up(path: Path) -> None:
    path.send(*packets_of(0, key=True))
    for number in range(2 * MAX_FRAME_PACKETS):
        path.send(Packet(PACKETS + number, 3000, 0, bytes([0x10 if number == 0 else 0, 1, 1, 1])))
        own = vars(path.buffer)
        assert len(own["_parts"]) <= MAX_FRAME_PACKETS
    assert path.keys


def test_what_seems_to_be_a_key_frame_is_looked_at_once(path: Path) -> None:
    path.send(*h264(0, [7, 8, 5], 0), codec="H264")
    # Behind a missing packet, a frame with a delimiter in front and no key frame in it.
    for packet in h264(2, [9, *[1] * 400], 4):
        path.send(packet, codec="H264")
    with counted(files=("video_buffer.py", "packet_requests.py")) as steps:
        for number in range(50):
            path.send(Packet(405 + number, 6000, 0, bytes([0, 0, 0, 0, 1, 1])), codec="H264")
    assert steps.count < 50 * 200
    assert path.shown == [0]


def test_the_units_of_a_packet_are_counted_up_to_a_bound(path: Path) -> None:
    path.send(*h264(0, [7, 8, 5], 0), codec="H264")
    many = bytes([0]) + b"\x00\x00\x01" * 700
    path.buffer.add(Packet(4, 6000, 1, many), many[1:], path.now_s, codec="H264")
    (part,) = vars(path.buffer)["_waiting"].values()
    assert len(part.kinds) <= MAX_UNITS


def test_the_rest_of_a_key_frame_of_h264_is_none(path: Path) -> None:
    path.send(*h264(0, [7, 8, 5], 0), codec="H264")
    # All but the last slice of a key frame are gone with a leap.
    path.send(*h264(9, [5], 5_000), *h264(10, [1], 5_001), codec="H264")
    assert path.shown == [0]
    assert path.keys
    # One that begins behind a frame is whole, also without its parameter sets.
    path.send(*h264(11, [5, 5], 5_002), codec="H264")
    assert path.shown == [0, 11]


def test_a_deadline_is_kept_while_nothing_comes(path: Path) -> None:
    frames = stream(3)
    del frames[1][1]
    path.send(*chain(*frames))
    assert path.shown == [0]
    buffer, begin_s = path.buffer, path.now_s
    requested, keys = 0, 0
    while (deadline_s := buffer.deadline_s(path.now_s)) is not None:
        path.now_s = max(path.now_s + 0.005, deadline_s)
        requested += len(buffer.take_requests(path.now_s))
        keys += buffer.needs_key_frame(path.now_s)
    assert requested == MAX_REQUESTS - 1
    assert keys
    assert path.now_s <= begin_s + SILENCE_S + 2 * KEY_WAIT_S


def test_there_is_no_deadline_while_nothing_is_missing(path: Path) -> None:
    path.send(*chain(*stream(3)))
    assert path.buffer.deadline_s(path.now_s) is None
