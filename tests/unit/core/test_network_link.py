"""The compiled model of a bad network, as Python uses it; its laws are tested in Rust."""

from __future__ import annotations

from gradio_webrtc._media import NetworkLink
from gradio_webrtc.testing import Network


def passed(network: Network, packets: int = 200) -> list[tuple[float, bytes]]:
    """The packets that get through, each with its time; they are sent every 20 ms."""
    link = NetworkLink(network)
    came = []
    for number in range(packets):
        link.send(number * 0.02, number.to_bytes(2, "big"))
    while (deadline_s := link.deadline_s) is not None:
        packet = link.poll(deadline_s)
        assert packet is not None
        came.append((deadline_s, packet))
    return came


def test_a_packet_comes_at_the_deadline_and_not_before() -> None:
    link = NetworkLink(Network(delay_ms=50))
    assert link.deadline_s is None
    link.send(1.0, b"packet")
    assert link.poll(1.0499) is None
    assert link.deadline_s is not None
    assert link.poll(link.deadline_s) == b"packet"
    assert link.poll(2.0) is None


def test_the_seed_decides_which_packets_are_lost() -> None:
    first = passed(Network(loss=0.2, jitter_ms=30, delay_ms=60, seed=1))
    assert first == passed(Network(loss=0.2, jitter_ms=30, delay_ms=60, seed=1))
    assert first != passed(Network(loss=0.2, jitter_ms=30, delay_ms=60, seed=2))
    assert 120 < len(first) < 200


def test_milliseconds_and_kilobits_are_what_they_are_called() -> None:
    (first_s, _), (second_s, _) = passed(Network(kbit_per_s=1, queue_ms=10_000), packets=2)
    # Two bytes and 28 of headers.
    assert abs(first_s - 0.24) < 1e-6
    assert abs(second_s - 0.48) < 1e-6


def test_conditions_change_under_way() -> None:
    link = NetworkLink(Network())
    link.send(0.0, b"first")
    link.set_network(Network(blackouts=((0.0, 1.0),)))
    link.send(0.5, b"second")
    link.send(1.0, b"third")
    assert [link.poll(1.0), link.poll(1.0), link.poll(1.0)] == [b"first", b"third", None]
    stats = link.stats()
    assert (stats["sent"], stats["blacked_out"], stats["delivered"]) == (3, 1, 2)
    assert sum(stats.values()) == 6
