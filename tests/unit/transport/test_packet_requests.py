"""When missing packets of video are requested, and what their answers show of the path."""

from __future__ import annotations

import heapq
import random

import pytest

from gradio_webrtc._transport.webrtc.packet_requests import (
    FIRST_ROUND_TRIP_S,
    MAX_DISORDER_S,
    MAX_MISSING,
    MAX_REQUESTS,
    REPEAT_ROUND_TRIPS,
    PacketRequests,
)

INTERVAL_S = REPEAT_ROUND_TRIPS * FIRST_ROUND_TRIP_S


@pytest.fixture
def requests() -> PacketRequests:
    return PacketRequests()


def answer(requests: PacketRequests, place: int, at_s: float, took_s: float) -> None:
    """Loses a packet, requests it until its answer comes, and takes that."""
    requests.note_gap(place - 1, place + 1, at_s)
    assert requests.take(at_s) == [place]
    now_s = at_s
    while (due_s := requests.deadline_s(now_s)) is not None and due_s < at_s + took_s:
        now_s = due_s
        assert requests.take(now_s) == [place]
    requests.note_late(place, at_s + took_s, is_repair=True)


def test_a_packet_is_requested_at_once_and_again_at_the_deadline(
    requests: PacketRequests,
) -> None:
    assert requests.deadline_s(5.0) is None
    requests.note_gap(10, 13, 5.0)
    assert requests.deadline_s(5.0) == 5.0
    assert requests.take(5.0) == [11, 12]
    assert requests.take(5.0) == []
    for count in range(1, MAX_REQUESTS):
        due_s = requests.deadline_s(5.0)
        assert due_s is not None
        assert due_s == pytest.approx(5.0 + count * INTERVAL_S)
        assert requests.take(due_s + 1e-9) == [11, 12]
    assert requests.deadline_s(9.0) is None
    assert requests.detected_s(11) == 5.0


def test_what_has_come_or_is_given_up_is_not_requested(requests: PacketRequests) -> None:
    requests.note_gap(0, 6, 1.0)
    requests.note_late(2, 1.0, is_repair=False)
    requests.drop_before(4)
    assert requests.take(1.0) == [4, 5]
    assert requests.detected_s(2) is None
    requests.clear()
    assert requests.deadline_s(1.0) is None


def test_the_number_of_them_is_bounded(requests: PacketRequests) -> None:
    requests.note_gap(0, 1_000, 1.0)
    requests.note_gap(1_000, 1_002, 1.0)
    assert len(requests.take(1.0)) <= MAX_MISSING


@pytest.mark.parametrize("round_trip_s", [0.02, 0.15, 0.4])
def test_the_round_trip_is_measured_however_often_a_packet_was_requested(
    requests: PacketRequests, round_trip_s: float
) -> None:
    for number in range(40):
        answer(requests, 2 * number, 10.0 + number, round_trip_s)
    assert requests.round_trip_s == pytest.approx(round_trip_s, abs=0.002)


def test_a_path_that_has_become_longer_is_measured(requests: PacketRequests) -> None:
    for number in range(20):
        answer(requests, 2 * number, 10.0 + number, 0.02)
    for number in range(20, 40):
        answer(requests, 2 * number, 10.0 + number, 0.3)
    assert requests.round_trip_s == pytest.approx(0.3, abs=0.01)


def test_packets_out_of_order_are_awaited_and_show_no_round_trip(
    requests: PacketRequests,
) -> None:
    answer(requests, 0, 1.0, 0.2)
    before_s = requests.round_trip_s
    requests.note_gap(10, 12, 2.0)
    requests.take(2.0)
    requests.note_late(11, 2.03, is_repair=False)
    assert requests.round_trip_s == before_s
    # The next one has as much time, before it is requested.
    requests.note_gap(12, 14, 2.03)
    assert requests.take(2.05) == []
    assert requests.deadline_s(2.05) == pytest.approx(2.06, abs=0.001)
    assert requests.take(2.07) == [13]
    # And less after a while in which all was in order.
    requests.note_gap(14, 16, 12.0)
    assert requests.take(12.001) == [13, 15]


def test_no_packet_is_awaited_for_long(requests: PacketRequests) -> None:
    answer(requests, 0, 1.0, 0.2)
    requests.note_gap(10, 12, 2.0)
    requests.take(2.0)
    requests.note_late(11, 7.0, is_repair=False)
    requests.note_gap(12, 14, 7.0)
    assert requests.deadline_s(7.0) == pytest.approx(7.0 + MAX_DISORDER_S)


def test_a_stream_without_retransmissions_is_measured_by_what_comes_late(
    requests: PacketRequests,
) -> None:
    requests.note_gap(0, 2, 1.0)
    requests.take(1.0)
    requests.note_late(1, 1.08, is_repair=False)
    assert requests.round_trip_s == pytest.approx(0.08)


@pytest.mark.parametrize("round_trip_s", [0.2, 0.4])
def test_few_packets_are_given_up_on_a_long_path(round_trip_s: float) -> None:
    """A sender answers once in a round trip, as browsers do; a tenth gets lost each way."""
    requests, rng = PacketRequests(), random.Random(3)  # noqa: S311  # of a test
    answered_s: dict[int, float] = {}
    events: list[tuple[float, int, bool]] = []
    newest, given_up = 0, 0
    for number in range(1, 6_000):
        now_s = number / 100
        if rng.random() > 0.1:
            heapq.heappush(events, (now_s + round_trip_s / 2, number, False))
        while events and events[0][0] <= now_s:
            at_s, place, is_repair = heapq.heappop(events)
            if place > newest:
                requests.note_gap(newest, place, at_s)
                newest = place
            else:
                requests.note_late(place, at_s, is_repair=is_repair)
            for lost in requests.take(at_s):
                sent_s = at_s + round_trip_s / 2
                if rng.random() > 0.1 and sent_s >= answered_s.get(lost, -9.0) + round_trip_s:
                    answered_s[lost] = sent_s
                    if rng.random() > 0.1:
                        heapq.heappush(events, (sent_s + round_trip_s / 2, lost, True))
        # So late that a key frame would be requested.
        due = requests.detected_s(newest - 350)
        given_up += due is not None
    assert requests.round_trip_s > 0.8 * round_trip_s
    assert given_up == 0
