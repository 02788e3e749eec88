"""The resumable channel: each frame arrives once and in order, whatever happens on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_webrtc._transport.link.channel import (
    MAX_EARLY_BYTES,
    MAX_EARLY_FRAMES,
    MAX_KEPT_BYTES,
    MAX_KEPT_FRAMES,
    InboundChannel,
    OutboundChannel,
)
from gradio_webrtc._transport.link.frames import HEADER, Frame, FrameError, FrameKind

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

AUDIO, GAP, TEXT, VIDEO = FrameKind.AUDIO, FrameKind.GAP, FrameKind.TEXT, FrameKind.VIDEO


def text(number: int) -> Frame:
    return Frame(TEXT, number, b"%d" % number)


def read(wires: Sequence[bytes]) -> list[Frame]:
    """The frames that the server sent, in their own form."""
    headers = [HEADER.unpack_from(each) for each in wires]
    return [
        Frame(FrameKind(kind), number, each[HEADER.size :])
        for each, (_, kind, number) in zip(wires, headers, strict=True)
    ]


def take_all(channel: InboundChannel, frames: Sequence[Frame]) -> list[int]:
    return [each.number for frame in frames for each in channel.take(frame, 0.0)]


# ------------------------------------------------------------------------------- inbound


@given(st.permutations(range(1, 9)), st.lists(st.integers(1, 8), max_size=8))
def test_frames_come_out_once_and_in_order(order: list[int], again: list[int]) -> None:
    channel = InboundChannel()
    taken = take_all(channel, [text(each) for each in (*order, *again)])
    assert taken == list(range(1, 9))
    assert channel.received == 8


@given(st.lists(st.integers(1, 40), max_size=60))
def test_what_came_before_a_missing_frame_waits_for_it(numbers: list[int]) -> None:
    channel = InboundChannel()
    taken = take_all(channel, [text(each) for each in numbers])
    assert taken == list(range(1, channel.received + 1))
    assert channel.received + 1 not in numbers


def test_frames_without_numbers_wait_for_nothing() -> None:
    channel = InboundChannel()
    assert take_all(channel, [text(2), Frame(FrameKind.ACK, 0), text(1)]) == [0, 1, 2]


def test_a_number_far_ahead_breaks_the_rules() -> None:
    channel = InboundChannel()
    assert take_all(channel, [text(MAX_EARLY_FRAMES)]) == []
    with pytest.raises(FrameError, match="and 1 is missing"):
        take_all(channel, [text(MAX_EARLY_FRAMES + 1)])


def test_frames_that_wait_have_a_bound_in_bytes() -> None:
    channel = InboundChannel()
    half = bytes(MAX_EARLY_BYTES // 2)
    take_all(channel, [Frame(VIDEO, 2, half)])
    with pytest.raises(FrameError, match="is missing"):
        take_all(channel, [Frame(VIDEO, 3, half)])


def test_the_bound_counts_what_waits_and_not_what_came() -> None:
    channel = InboundChannel()
    half = bytes(MAX_EARLY_BYTES // 2)
    for number in range(1, 20, 2):
        frames = [Frame(VIDEO, number + 1, half), Frame(VIDEO, number, half)]
        assert take_all(channel, frames) == [number, number + 1]


def test_the_time_of_the_last_frame_in_order_counts() -> None:
    channel = InboundChannel()
    list(channel.take(text(1), 1.0))
    list(channel.take(text(3), 2.0))
    assert channel.received_s == 1.0
    list(channel.take(text(2), 3.0))
    assert channel.received_s == 3.0


# ------------------------------------------------------------------------------- outbound


def test_frames_are_numbered_and_kept_until_they_are_acknowledged() -> None:
    channel = OutboundChannel()
    wires = [channel.send(TEXT, b"%d" % number, 0.0) for number in range(1, 5)]
    assert [each.number for each in read(wires)] == [1, 2, 3, 4]
    assert channel.unacknowledged(0.0) == wires
    assert channel.acknowledge(2, 0.0)
    assert channel.unacknowledged(0.0) == wires[2:]
    assert channel.kept_bytes == sum(map(len, wires[2:]))


def test_an_acknowledgment_that_came_before_does_nothing() -> None:
    channel = OutboundChannel()
    channel.send(TEXT, b"", 0.0)
    assert channel.acknowledge(1, 0.0)
    assert not channel.acknowledge(1, 0.0)
    assert not channel.acknowledge(0, 0.0)
    assert channel.acknowledged == 1


def test_what_was_never_sent_cannot_be_acknowledged() -> None:
    with pytest.raises(FrameError, match="frame 1 was acknowledged, of 0"):
        OutboundChannel().acknowledge(1, 0.0)


def test_audio_and_video_on_their_way_are_counted() -> None:
    channel = OutboundChannel()
    for kind in (AUDIO, VIDEO, TEXT, AUDIO):
        channel.send(kind, b"x", 0.0)
    assert (channel.audio_frames, channel.video_frames) == (2, 1)
    channel.acknowledge(2, 0.0)
    assert (channel.audio_frames, channel.video_frames) == (1, 0)


def test_dropped_frames_leave_a_gap_with_their_number() -> None:
    channel = OutboundChannel()
    for kind in (AUDIO, TEXT, AUDIO):
        channel.send(kind, b"xyz", 0.0)
    channel.drop(AUDIO)
    frames = read(channel.unacknowledged(0.0))
    assert frames == [Frame(GAP, 1), Frame(TEXT, 2, b"xyz"), Frame(GAP, 3)]
    assert channel.audio_frames == 0
    assert channel.kept_bytes == 3 * HEADER.size + 3


def test_what_is_kept_has_a_bound_in_bytes_and_in_frames() -> None:
    channel = OutboundChannel()
    channel.send(TEXT, bytes(MAX_KEPT_BYTES // 2), 0.0)
    assert not channel.is_full
    channel.send(TEXT, bytes(MAX_KEPT_BYTES // 2), 0.0)
    assert channel.is_full
    channel.acknowledge(1, 0.0)
    assert not channel.is_full
    many = OutboundChannel()
    for _ in range(MAX_KEPT_FRAMES + 1):
        assert not many.is_full
        many.send(AUDIO, b"", 0.0)
        if many.audio_frames >= 100:
            many.drop(AUDIO)
    assert many.is_full, "gaps count, too"


def test_the_round_trip_leaves_out_the_time_that_the_client_kept_a_frame() -> None:
    channel = OutboundChannel()
    channel.send(TEXT, b"", 1.0)
    channel.send(TEXT, b"", 2.0)
    assert channel.round_trip_s is None
    channel.acknowledge(2, 2.5, 0.4)
    assert channel.round_trip_s == pytest.approx(0.1)


def test_an_acknowledgment_at_the_beginning_of_a_carrier_is_no_round_trip() -> None:
    channel = OutboundChannel()
    channel.send(TEXT, b"", 1.0)
    channel.acknowledge(1, 5.0)
    assert channel.round_trip_s is None


@given(st.randoms(use_true_random=False))
def test_nothing_is_lost_over_carriers_that_break_anywhere(chance: random.Random) -> None:
    sender, receiver = OutboundChannel(), InboundChannel()
    sent, taken = 0, []
    for _ in range(chance.randrange(1, 6)):
        on_the_way = sender.unacknowledged(0.0)
        for _ in range(chance.randrange(8)):
            sent += 1
            on_the_way.append(sender.send(TEXT, b"%d" % sent, 0.0))
        # The carrier breaks here: the rest never comes.
        on_the_way = on_the_way[: chance.randrange(len(on_the_way) + 1)]
        # Two POSTs may overtake each other, and one may come twice.
        if chance.random() < 0.5:
            middle = chance.randrange(len(on_the_way) + 1)
            on_the_way = on_the_way[middle:] + on_the_way[:middle]
        on_the_way += on_the_way[: chance.randrange(len(on_the_way) + 1)]
        for frame in read(on_the_way):
            taken += [each.payload for each in receiver.take(frame, 0.0)]
        if chance.random() < 0.5:
            sender.acknowledge(receiver.received, 0.0)
    for frame in read(sender.unacknowledged(0.0)):
        taken += [each.payload for each in receiver.take(frame, 0.0)]
    assert taken == [b"%d" % number for number in range(1, sent + 1)]
