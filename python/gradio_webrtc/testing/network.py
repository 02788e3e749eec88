"""A bad network for a simulated session. Reads no clock."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gradio_webrtc._media import NetworkLink


@dataclass(frozen=True, kw_only=True)
class Network:
    """The faults of a network, in one direction; none by default.

    All of them are independent: a packet may be lost by one and would have been late by another.
    Shares are from 0 to 1. The same seed gives the same faults on every machine.

    Attributes:
        loss: The share of packets that are lost, each for itself.
        burst_loss: The share of packets that are lost in bursts (Gilbert's model);
            ``burst_packets / (burst_packets + 1)`` at most.
        burst_packets: The mean length of these bursts, in packets; 1 or more.
        delay_ms: The time that a packet is under way, in milliseconds; up to an hour.
        jitter_ms: The standard deviation of that time, in milliseconds. It is about normally
            distributed, and never below 0.
        keep_order: True if jitter lets no packet overtake another, as on most real paths: a late
            one holds up those behind it.
        reorder: The share of packets that skip the delay and overtake those before them.
        duplicate: The share of packets that come twice.
        corrupt: The share of packets in which one bit is wrong. Every receiver of WebRTC drops
            them, since their signature does not match (RFC 3711 section 3.3).
        kbit_per_s: The capacity of the narrowest place, in 1,000 bits a second, 28 bytes of headers
            for each packet included; ``None`` for no limit.
        queue_ms: The longest wait before that place, in milliseconds; a packet that would wait
            longer is lost.
        blackouts: Times in which everything is lost, each as ``(begin_s, end_s)``, in seconds of
            the session.
        seed: Decides about everything that happens by chance: 0 to 2 ** 64 - 1.

    Raises:
        ValueError: A value that no network can have.

    Example:
        >>> Network(loss=0.05, delay_ms=60, jitter_ms=20, seed=3).delay_ms
        60
        >>> Network(loss=5)
        Traceback (most recent call last):
        ValueError: expected loss from 0 to 1, got 5
    """

    loss: float = 0.0
    burst_loss: float = 0.0
    burst_packets: float = 1.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    keep_order: bool = True
    reorder: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    kbit_per_s: float | None = None
    queue_ms: float = 500.0
    blackouts: tuple[tuple[float, float], ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        # A link checks all of it, in the words that belong here.
        self.open_link()

    def open_link(self) -> NetworkLink:
        """Returns one direction of it, at time zero, without a packet under way."""
        return NetworkLink(self)

    def later(self, seconds: float) -> Network:
        """Returns the same network with its blackouts so many seconds later."""
        moved = tuple((begin_s + seconds, end_s + seconds) for begin_s, end_s in self.blackouts)
        return replace(self, blackouts=moved)
