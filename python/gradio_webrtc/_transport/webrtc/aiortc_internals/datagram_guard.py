"""The guard in front of the sockets of a connection, from their first datagram.

Anybody who reaches a UDP port can send to it. A datagram that is not STUN, DTLS, RTP or RTCP, one
from another source than the remote peer, and one that fails its checks are dropped here, after a
look at their first bytes. The guard stands above aioice's parser of STUN and takes datagrams apart
by their first byte (RFC 7983): media never reach that parser, which would raise an exception for
each packet. What the parsers raise nevertheless is caught and counted: it never ends a session. All
of it runs on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Self

from aioice import stun
from aioice.ice import CandidatePair

from gradio_webrtc._transport.buckets import TokenBucket

from . import names, probe
from .authentic import AuthenticPackets
from .dtls import HardenedDtls
from .faults import contain_faults, note_fault
from .objects import transports_of
from .signed import is_signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiortc import RTCPeerConnection

    Address = tuple[str, int]

logger = logging.getLogger(__name__)

STUN_BYTES: Final = range(4)
DTLS_BYTES: Final = range(20, 64)
RTP_BYTES: Final = range(128, 192)
"""First bytes of datagrams, by protocol (RFC 7983 section 7). TURN channels and ZRTP, the others,
do not belong on these sockets."""

MIN_SIZE: Final = [0] * 256
"""The fewest bytes of a datagram, by its first byte; 0 for the protocols that are refused."""
for _first in STUN_BYTES:
    MIN_SIZE[_first] = 20  # its header, RFC 8489 section 5
for _first in DTLS_BYTES:
    MIN_SIZE[_first] = 13  # the header of a record, RFC 6347 section 4.1
for _first in RTP_BYTES:
    MIN_SIZE[_first] = 8  # the header of RTCP, RFC 3550 section 6.4; that of RTP has 12

MAX_SIZE: Final = 2048
"""More than any path carries in a packet, and less than a handshake's certificate in pieces."""

MAGIC_COOKIE: Final = b"\x21\x12\xa4\x42"
"""Of STUN (RFC 8489 section 5)."""

BINDING_REQUEST: Final = b"\x00\x01"
BINDING_RESPONSES: Final = (b"\x01\x01", b"\x01\x11")
"""Types of STUN messages: success and error (RFC 8489 section 5)."""

MAX_REMOTE_CANDIDATES: Final = 48
"""Those of the offer and of trickle are 32 at most; a network that changes adds a few."""

MAX_PEERS: Final = 16
"""Addresses that a remote peer is known to send from. A network that changes adds one."""

PACKETS_PER_S: Final = 3000.0
"""From one address: video of 20 Mbit/s has 2,100 packets a second of 1,200 bytes."""

BURST: Final = 3000.0

CHECKS_PER_S: Final = 50.0
"""Requests that are signed with this session's password; those of strangers do not count. ICE sends
one every 50 ms (RFC 8445 section 14.2) for each pair of a check list."""

CHECKS_BURST: Final = 200.0

MAX_UNASKED: Final = 100
"""Checks that are sent to addresses from which nothing authentic has come, since the offer names
them: as many as there are pairs that an agent may check (RFC 8445 section 6.1.2.5)."""

MAX_WAITING: Final = 1024
"""Datagrams that wait for aiortc: three seconds of video. The oldest go first."""

DATAGRAM_RECEIVED: Final = "datagram_received"
"""Of asyncio's datagram protocols: public, and patched on each socket."""

CONSENT_INTERVAL_S: Final = 5.0
CONSENT_LIMIT_S: Final = 30.0
"""RFC 7675 section 5.1."""


class GuardedProtocols(list[Any]):
    """The sockets of a connection of aioice, each of which is guarded when it is added.

    Args:
        guard: Checks their datagrams.
    """

    def __init__(self, guard: DatagramGuard) -> None:
        super().__init__()
        self._guard = guard

    def append(self, protocol: Any) -> None:
        """Adds a socket."""
        self._guard.watch(protocol)
        super().append(protocol)

    def __iadd__(self, protocols: Iterable[Any]) -> Self:  # type: ignore[misc]  # as lists do
        for protocol in protocols:
            self.append(protocol)
        return self


class DatagramGuard:
    """Guards one connection of aioice.

    Args:
        connection: The connection, before it has sockets.
        clock: Seconds, monotonic.
        authentic: Noted in for each packet of the connection that was decrypted; without it, all
            that comes from the remote peer's address counts as authentic.

    Attributes:
        refused: The number of datagrams that were dropped, by reason.
        passed: The number of those that were not.
        on_media: Called with the socket and the source of each datagram that passes, but STUN.
    """

    def __init__(
        self,
        connection: Any,
        clock: Callable[[], float] = time.monotonic,
        authentic: AuthenticPackets | None = None,
    ) -> None:
        self.refused: Counter[str] = Counter()
        self.passed = 0
        self.on_media: Callable[[Any, Address], None] | None = None
        self._connection = connection
        self._clock = clock
        self._peers: dict[Address, TokenBucket] = {}
        self._checks = TokenBucket(CHECKS_PER_S, CHECKS_BURST, clock)
        self._own_name = f"{connection.local_username}:".encode()
        self._own_password = connection.local_password.encode()
        self._trusts_sources = authentic is None
        self._authentic = authentic or AuthenticPackets(clock)
        self._known_sources: set[Address] = set()
        self._unasked = 0
        self._watched: list[Any] = []
        self._queue: asyncio.Queue[tuple[bytes, int] | None] = getattr(connection, names.QUEUE)
        setattr(connection, names.PROTOCOLS, GuardedProtocols(self))
        connection.data_received = self.enqueue
        connection.query_consent = self.query_consent

    @property
    def silent_s(self) -> float:
        """The time since the last authentic packet, in seconds."""
        return self._clock() - self._authentic.last_s

    def detach(self) -> None:
        """Leaves a closed connection, which refers to the guard as the guard does to it."""
        self.on_media = None
        for name in (names.DATA_RECEIVED, names.QUERY_CONSENT):
            vars(self._connection).pop(name, None)
        for protocol in self._watched:
            for name in (DATAGRAM_RECEIVED, names.SEND_STUN):
                vars(protocol).pop(name, None)
        setattr(self._connection, names.PROTOCOLS, [])
        self._watched.clear()

    def watch(self, protocol: Any) -> None:
        """Checks each datagram of a socket before aioice receives it."""
        self._watched.append(protocol)
        connection, peers, refused = self._connection, self._peers, self.refused

        def receive(data: bytes, address: tuple[Any, ...]) -> None:
            # Fifty times a second and more for each session: one call of ours, and the bucket's.
            try:
                least = MIN_SIZE[data[0]] if data else 0
                source = (address[0], address[1])
                if not least or not least <= len(data) <= MAX_SIZE:
                    refused["kind"] += 1
                elif data[0] in STUN_BYTES:
                    self._receive_stun(protocol, data, source)
                elif (bucket := peers.get(source) or self._admit(source)) and bucket.take():
                    self.passed += 1
                    if self.on_media is not None:
                        self.on_media(protocol, source)
                    if self._trusts_sources:
                        self._authentic.note()
                    connection.data_received(data, protocol.local_candidate.component)
                else:
                    refused["source" if bucket is None else "rate"] += 1
            except Exception as error:  # noqa: BLE001  # a stranger's datagram ends nothing
                self._note_fault(error)

        protocol.datagram_received = receive
        send: Callable[[stun.Message, Address], None] = protocol.send_stun

        def send_within_bounds(message: stun.Message, target: Address) -> None:
            if self._may_send(message, target):
                send(message, target)

        protocol.send_stun = send_within_bounds

    def _may_send(self, message: stun.Message, target: Address) -> bool:
        """False for a check too many to a stranger; requests to servers are our own."""
        is_check = "PRIORITY" in message.attributes and message.message_class == stun.Class.REQUEST
        if not is_check or target in self._known_sources:
            return True
        if self._unasked >= MAX_UNASKED:
            self.refused["checks"] += 1
            return False
        self._unasked += 1
        return True

    def enqueue(self, data: bytes, component: int) -> None:
        """Queues a datagram for aiortc; the oldest go first while aiortc does not keep up."""
        if not data or not MIN_SIZE[data[0]]:
            self.refused["kind"] += 1
            return
        if self._queue.qsize() >= MAX_WAITING:
            oldest = self._queue.get_nowait()
            if oldest is None:  # the mark of the end, behind which nothing counts
                self._queue.put_nowait(None)
                return
            self.refused["backlog"] += 1
        self._queue.put_nowait((data, component))

    async def query_consent(self) -> None:
        """Closes the connection when nothing authentic came for as long as RFC 7675 allows.

        aioice counts answers to its own requests alone. While the event loop is behind, those are
        given up before they are read, and healthy sessions would end.
        """
        connection = self._connection
        self._authentic.note()
        while self.silent_s <= CONSENT_LIMIT_S:
            await asyncio.sleep(CONSENT_INTERVAL_S * random.uniform(0.8, 1.2))  # noqa: S311  # section 5.1
            for pair in list(getattr(connection, names.NOMINATED).values()):
                await self._ask(pair)
        logger.info("consent to send to a remote peer has expired")
        # It would wait for this very task.
        setattr(connection, names.CONSENT_TASK, None)
        await connection.close()

    async def _ask(self, pair: CandidatePair) -> None:
        connection = self._connection
        try:
            await pair.protocol.request(
                connection.build_request(pair, nominate=False),
                pair.remote_addr,
                integrity_key=connection.remote_password.encode(),
                retransmissions=0,
            )
        except stun.TransactionError:
            return
        self._authentic.note()

    def _admit(self, source: Address) -> TokenBucket | None:
        """Returns the rate of a source of media, if a pair of candidates makes it the peer's."""
        states = (CandidatePair.State.IN_PROGRESS, CandidatePair.State.SUCCEEDED)
        pairs = getattr(self._connection, names.CHECK_LIST)
        if not any(pair.remote_addr == source and pair.state in states for pair in pairs):
            return None
        if len(self._peers) >= MAX_PEERS:
            del self._peers[next(iter(self._peers))]
        bucket = self._peers[source] = TokenBucket(PACKETS_PER_S, BURST, self._clock)
        return bucket

    def _receive_stun(self, protocol: Any, data: bytes, source: Address) -> None:
        kind, size = data[:2], int.from_bytes(data[2:4])
        if data[4:8] != MAGIC_COOKIE or size % 4 or size + MIN_SIZE[0] != len(data):
            self.refused["stun"] += 1
        elif kind in BINDING_RESPONSES:
            self._receive_response(protocol, data, source)
        elif kind == BINDING_REQUEST:
            self._receive_check(protocol, data, source)
        else:
            self.refused["stun"] += 1

    def _receive_response(self, protocol: Any, data: bytes, source: Address) -> None:
        transaction = protocol.transactions.get(data[8:20])
        message = None if transaction is None else self._parse(data)
        if transaction is None or message is None:
            self.refused["stun"] += 1
            return
        if self._is_signed_by_peer(message):
            self._authentic.note()
            if any(
                pair.remote_addr == source for pair in getattr(self._connection, names.CHECK_LIST)
            ):
                self._known_sources.add(source)
        transaction.response_received(message, source)

    def _is_signed_by_peer(self, message: stun.Message) -> bool:
        """False for the answer of a STUN or TURN server, which has no password of the peer's."""
        password: str | None = self._connection.remote_password
        return password is not None and message.check_message_integrity(password.encode())

    def _receive_check(self, protocol: Any, data: bytes, source: Address) -> None:
        """Receives a connectivity check of the remote peer.

        A check of anybody else gets no answer: that would go to whatever source it names. Nor does
        it count against the rate, since anybody who forges a source could shut the peer out.
        """
        if self._own_name not in data or not is_signed(data, self._own_password):
            self.refused["stun"] += 1
            return
        if not self._checks.take():
            self.refused["rate"] += 1
            return
        message = self._parse(data)
        if message is None or not self._is_authentic(message):
            self.refused["stun"] += 1
            return
        if self._is_beyond_candidates(source):
            self.refused["candidates"] += 1
            return
        self._authentic.note()
        # As many as there can be candidates, see `_is_beyond_candidates`.
        self._known_sources.add(source)
        self._connection.request_received(message, source, protocol)

    def _parse(self, data: bytes) -> stun.Message | None:
        try:
            return stun.parse_message(data)
        except Exception as error:  # noqa: BLE001  # which one, depends on the bytes
            self._note_fault(error)
            return None

    def _is_authentic(self, message: stun.Message) -> bool:
        connection, attributes = self._connection, message.attributes
        own_name, _, remote_name = str(attributes.get("USERNAME", "")).partition(":")
        return (
            own_name == connection.local_username
            and connection.remote_username in (None, remote_name)
            and "PRIORITY" in attributes
            and message.check_message_integrity(self._own_password)
        )

    def _is_beyond_candidates(self, source: Address) -> bool:
        candidates = getattr(self._connection, names.REMOTE_CANDIDATES)
        if len(candidates) < MAX_REMOTE_CANDIDATES:
            return False
        known = ((getattr(each, names.NETWORK_HOST), each.port) for each in candidates)
        return source not in known

    def _note_fault(self, error: Exception) -> None:
        self.refused["fault"] += 1
        note_fault(error)


def guard_sockets(pc: RTCPeerConnection) -> list[DatagramGuard]:
    """Guards all sockets that a connection is going to have.

    Call it when the offer is set, before the answer is: sockets are made for that.

    Returns:
        The guards, one for each transport; none where aioice is not built as expected.
    """
    guards = []
    for dtls in transports_of(pc):
        contain_faults(dtls)
        if probe.has(names.GUARD):
            authentic = dtls.authentic if isinstance(dtls, HardenedDtls) else None
            connection = getattr(dtls.transport, names.CONNECTION)
            guards.append(DatagramGuard(connection, authentic=authentic))
    return guards
