"""A bad network between two peers on one machine: a relay of UDP that needs no rights.

Each peer's session description is rewritten on its way, so that the other one has no address but
the relay's::

    async with UdpRelay() as relay:
        answer = await server.handle_request(relay.rewrite_offer(offer))
        await pc.setRemoteDescription(relay.rewrite_answer(answer["sdp"]))
        relay.up.set_network(Network(loss=0.1))

Runs on the event loop.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from gradio_webrtc.testing import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from .serving import SessionServer

_CANDIDATE: Final = re.compile(
    r"a=candidate:(?P<head>\S+ 1 udp \d+) (?P<address>[0-9.]+) (?P<port>\d+) typ host.*",
    re.IGNORECASE,
)

NO_FAULT: Final = Network()

Address = tuple[str, int]


class Direction:
    """One direction of a relay.

    Attributes:
        carried: The packets of audio that were sent into it.
        lose_next: The packets of audio that are lost next, one for each; counts down.

    Args:
        deliver: Sends a packet on.
    """

    def __init__(self, network: Network, deliver: Callable[[bytes], None]) -> None:
        self.carried = 0
        self.lose_next = 0
        self._loop = asyncio.get_running_loop()
        self._origin_s = self._loop.time()
        self._link = network.open_link()
        self._deliver = deliver
        self._timer: asyncio.TimerHandle | None = None

    def set_network(self, network: Network) -> None:
        """Changes the conditions for what is sent from now on; its blackouts begin now."""
        now_s = self._loop.time() - self._origin_s
        self._link.set_network(network.later(now_s))

    def stats(self) -> dict[str, int]:
        """The counts of `NetworkLink.stats`."""
        return self._link.stats()

    def send(self, packet: bytes) -> None:
        """Sends a packet into it."""
        if is_audio(packet):
            self.carried += 1
            if self.lose_next:
                self.lose_next -= 1
                return
        self._link.send(self._loop.time() - self._origin_s, packet)
        self._pass_on()

    def close(self) -> None:
        """Loses what is under way."""
        if self._timer is not None:
            self._timer.cancel()

    def _pass_on(self) -> None:
        self.close()
        while (packet := self._link.poll(self._loop.time() - self._origin_s)) is not None:
            self._deliver(packet)
        if (deadline_s := self._link.deadline_s) is not None:
            self._timer = self._loop.call_at(self._origin_s + deadline_s, self._pass_on)


class _Peer(asyncio.DatagramProtocol):
    """The socket that stands for one peer, and the address of the other one behind it."""

    def __init__(self) -> None:
        self.address: Address | None = None
        self.on_packet: Callable[[bytes], None] = lambda _packet: None
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        # A peer with several addresses checks from all of them, and goes on from one.
        self.address = addr
        self.on_packet(data)

    def error_received(self, exc: Exception) -> None:
        """The peer is gone (ICMP); its packets are lost."""

    def deliver(self, packet: bytes) -> None:
        """Sends a packet to the peer, once its address is known."""
        if self.address is not None and not self.transport.is_closing():
            self.transport.sendto(packet, self.address)


class _Candidate(NamedTuple):
    """A host candidate over IPv4: where its peer can be reached."""

    head: str
    address: Address


class UdpRelay:
    """Carries the packets of one call between a client and a server.

    Attributes:
        up: From the client to the server.
        down: From the server to the client.

    Args:
        up: The network at first, such as its delay; without a fault if it is left out.
        down: The same for the other direction.
    """

    def __init__(self, up: Network = NO_FAULT, down: Network = NO_FAULT) -> None:
        self._client, self._server = _Peer(), _Peer()
        self.up = Direction(up, self._server.deliver)
        self.down = Direction(down, self._client.deliver)
        self._client.on_packet = self.up.send
        self._server.on_packet = self.down.send

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for peer in (self._client, self._server):

            def protocol(peer: _Peer = peer) -> _Peer:
                return peer

            await loop.create_datagram_endpoint(protocol, ("0.0.0.0", 0))  # noqa: S104  # a test's
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for direction in (self.up, self.down):
            direction.close()
        for peer in (self._client, self._server):
            peer.transport.close()

    def rewrite_offer(self, sdp: str) -> str:
        """The client's description, in which the relay stands for it."""
        return _rewrite(sdp, self._client, self._server)

    def rewrite_answer(self, sdp: str) -> str:
        """The server's description, in which the relay stands for it."""
        return _rewrite(sdp, self._server, self._client)


class RelayedServer:
    """A server behind a relay, for a `Client`."""

    def __init__(self, server: SessionServer, relay: UdpRelay) -> None:
        self._server = server
        self._relay = relay

    async def handle_request(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Passes an offer and its answer on, both with the relay's addresses."""
        offer = {**body, "sdp": self._relay.rewrite_offer(body["sdp"])}
        answer: dict[str, Any] = await self._server.handle_request(offer)
        return {**answer, "sdp": self._relay.rewrite_answer(str(answer["sdp"]))}


def is_audio(packet: bytes) -> bool:
    """True for RTP: neither RTCP (RFC 5761 section 4) nor STUN, nor DTLS (RFC 7983)."""
    return len(packet) > 1 and 127 < packet[0] < 192 and not 64 <= packet[1] & 0x7F <= 95


def _rewrite(sdp: str, own: _Peer, other: _Peer) -> str:
    """Replaces all candidates of ``own`` by one, the socket that ``other`` is to send to.

    The packets of ``own`` leave from ``other``'s side of the relay.
    """
    candidate = _first_candidate(sdp)
    own.address = candidate.address
    host, port = candidate.address[0], other.transport.get_extra_info("sockname")[1]
    line = f"a=candidate:{candidate.head} {host} {port} typ host"
    written: list[str] = []
    is_new_section = False
    for each in sdp.splitlines():
        is_new_section |= each.startswith("m=")
        if not each.startswith("a=candidate:"):
            written.append(each)
        elif is_new_section:
            written.append(line)
            is_new_section = False
    return "\r\n".join([*written, ""])


def _first_candidate(sdp: str) -> _Candidate:
    match = _CANDIDATE.search(sdp)
    if match is None:
        raise ValueError(f"expected a host candidate over IPv4, got {sdp}")
    return _Candidate(match["head"], (match["address"], int(match["port"])))
