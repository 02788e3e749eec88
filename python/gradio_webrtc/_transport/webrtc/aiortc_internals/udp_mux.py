"""One UDP socket for the sessions of many clients: each datagram reaches the session it is for.

A check of ICE names the session that it is for, and is signed with that session's password; an
answer has the number of a request of the session's (RFC 8489 section 5). All others are known by
the address that they come from, once a check has come from there. What nobody is waiting for is
dropped after a look into a table, so strangers reach no session. Runs on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from gradio_webrtc._workers.per_loop import PerLoop

from .signed import HEADER_BYTES, is_signed

if TYPE_CHECKING:
    from collections.abc import Callable

    Address = tuple[str, int]

logger = logging.getLogger(__name__)

LAST_OF_STUN: Final = 3
"""First bytes of STUN are 0 to 3 (RFC 7983 section 7)."""

MAGIC_COOKIE: Final = b"\x21\x12\xa4\x42"
REQUEST: Final = b"\x00\x01"
SUCCESS: Final = b"\x01\x01"
USERNAME: Final = 0x0006
"""Of STUN (RFC 8489 sections 5 and 14.3)."""

ATTRIBUTE: Final = struct.Struct("!HH")
"""The kind and the size of an attribute, in front of its value (RFC 8489 section 14)."""

MAX_ATTRIBUTES: Final = 16
"""Of a check, up to its user name. A browser's has nine, and its user name is the first."""

MAX_ADDRESSES: Final = 16
"""Addresses that datagrams come from to one session. A network that changes adds one. The oldest
goes first, and one that has not answered before one that has."""

MAX_REQUESTS: Final = 256
"""Requests of one session whose answers are awaited: more than the pairs that ICE checks at once.
The oldest go first."""

RECEIVE_BUFFER_BYTES: Final = 4 << 20
"""What may wait in the kernel, for all sessions together: 0.1 s of a hundred with video. Linux
gives as much of it as ``net.core.rmem_max`` allows."""


MAX_BATCH: Final = 32
"""Datagrams that are taken in one turn of the event loop. asyncio takes one, at twice the cost: a
flood of strangers' then pushes out what sessions receive, from half as many in a second on."""

MAX_SIZE: Final = 65_535
"""Of a datagram (RFC 768)."""


class NameTaken(Exception):
    """Two sessions have the same random name: one pair among ten million."""


class _Route(NamedTuple):
    """The session to which the datagrams of an address belong.

    Attributes:
        endpoint: The session's end.
        is_proven: True once an answer came from there, which shows that the session's peer receives
            there what is sent to it. Before that, the source of its check may be forged.
    """

    endpoint: MuxedTransport
    is_proven: bool


class _Question(NamedTuple):
    """A request that a session sent.

    Attributes:
        endpoint: The session's end.
        target: The address that it was sent to; ``None`` for a request that is no check, such as
            one to a STUN server.
    """

    endpoint: MuxedTransport
    target: Address | None


class MuxedTransport(asyncio.DatagramTransport):
    """One session's end of a shared socket, as asyncio's transports are.

    Args:
        mux: The shared socket.
        protocol: Receives the session's datagrams.
        name: The session's own user name in ICE.
        password: The one that checks of it are signed with.

    Attributes:
        protocol, name, password: As given.
        addresses: The addresses that datagrams come from, the one that answered last at the end.
        questions: The numbers of the requests that were sent, the newest at the end.
    """

    def __init__(self, mux: UdpMux, protocol: Any, name: bytes, password: bytes) -> None:
        super().__init__()
        self.protocol = protocol
        self.name = name
        self.password = password
        self.addresses: OrderedDict[Address, None] = OrderedDict()
        self.questions: deque[bytes] = deque()
        self._mux: UdpMux | None = mux

    def sendto(self, data: bytes, addr: Any = None) -> None:  # type: ignore[override]
        """Sends a datagram; drops it while too many wait in the socket."""
        mux = self._mux
        if mux is None or mux.is_full:
            return
        if data[:2] == REQUEST:
            mux.note_question(self, data, addr)
        mux.transport.sendto(data, addr)

    def close(self) -> None:
        """Leaves the socket to the others; the last one closes it."""
        self.lose(None)

    def abort(self) -> None:
        """Does the same: nothing waits to be sent."""
        self.lose(None)

    def lose(self, error: Exception | None) -> None:
        """Reports the end to the protocol, soon, as transports do."""
        if self._mux is None:
            return
        self._mux.remove(self)
        asyncio.get_running_loop().call_soon(self.protocol.connection_lost, error)
        # aioice's checks outlive their connection until the next garbage collection.
        self._mux = None

    def is_closing(self) -> bool:
        """True once it is closed."""
        return self._mux is None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Returns what the shared socket has under this name, such as its own address."""
        return default if self._mux is None else self._mux.transport.get_extra_info(name, default)


class UdpMux(asyncio.DatagramProtocol):
    """A shared socket, and the sessions that it has datagrams for.

    Args:
        on_closed: Called when the socket is closed.
        receive: Takes the next datagram from the socket, ``recvfrom`` of one that does not block;
            ``None`` where asyncio alone may.

    Attributes:
        transport: The socket, once it is open.
        is_full: True while as much waits to be sent as asyncio lets wait, 64 KiB by default. What
            is sent then is dropped, as a full network does.
        refused: The number of datagrams that were for no session.
        closed: Done when the socket is closed.
    """

    transport: asyncio.DatagramTransport

    def __init__(
        self,
        on_closed: Callable[[], object],
        receive: Callable[[int], tuple[bytes, Any]] | None = None,
    ) -> None:
        self.is_full = False
        self.refused = 0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_open = False
        self._on_closed = on_closed
        self._receive = receive
        self._endpoints: dict[bytes, MuxedTransport] = {}
        self._routes: dict[Address, _Route] = {}
        self._questions: dict[bytes, _Question] = {}

    @property
    def is_open(self) -> bool:
        """True if sessions may be added."""
        return self._is_open and not self.transport.is_closing()

    def add(self, protocol: Any, name: str, password: str) -> None:
        """Connects a session's protocol with the socket.

        Raises:
            NameTaken: Another session has this name.
        """
        if name.encode() in self._endpoints:
            raise NameTaken
        endpoint = MuxedTransport(self, protocol, name.encode(), password.encode())
        self._endpoints[endpoint.name] = endpoint
        protocol.connection_made(endpoint)

    def remove(self, endpoint: MuxedTransport) -> None:
        """Removes a session, and closes the socket when it was the last one."""
        del self._endpoints[endpoint.name]
        for address in endpoint.addresses:
            del self._routes[address]
        for number in endpoint.questions:
            del self._questions[number]
        endpoint.addresses.clear()
        endpoint.questions.clear()
        if not self._endpoints:
            self._is_open = False
            self.transport.close()

    def note_question(self, endpoint: MuxedTransport, data: bytes, target: Address) -> None:
        """Notes that a session awaits an answer."""
        number = data[8:20]
        if number in self._questions:  # sent again
            return
        if len(endpoint.questions) >= MAX_REQUESTS:
            del self._questions[endpoint.questions.popleft()]
        # A check has attributes, and a question to a STUN server has none.
        is_check = len(data) > HEADER_BYTES
        self._questions[number] = _Question(endpoint, target if is_check else None)
        endpoint.questions.append(number)

    # asyncio's protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the socket."""
        self.transport = cast("asyncio.DatagramTransport", transport)
        self._is_open = True
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        """Reports the end of the socket to all of its sessions."""
        self._is_open = False
        for endpoint in list(self._endpoints.values()):
            endpoint.lose(exc)
        self._on_closed()
        self.closed.set_result(None)

    def pause_writing(self) -> None:
        """Begins to drop what is sent."""
        self.is_full = True

    def resume_writing(self) -> None:
        """Sends again."""
        self.is_full = False

    def error_received(self, exc: Exception) -> None:
        """Goes on: an address that cannot be reached concerns one session, and ICE notices."""
        logger.debug("a shared UDP socket: %s", exc)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Passes a datagram on to its session, and those that have come behind it."""
        self._pass_on(data, addr)
        if self._receive is None:
            return
        for _ in range(MAX_BATCH - 1):
            try:
                data, addr = self._receive(MAX_SIZE)
            except OSError:  # none is left, or asyncio meets the error in its next turn
                return
            self._pass_on(data, addr)

    def _pass_on(self, data: bytes, addr: tuple[Any, ...]) -> None:
        # Fifty times a second and more for each session: one look into a table.
        if data and data[0] > LAST_OF_STUN:
            route = self._routes.get(addr[:2])
            endpoint = None if route is None else route.endpoint
        else:
            endpoint = self._receiver_of(data, (addr[0], addr[1]))
        if endpoint is None:
            self.refused += 1
        else:
            endpoint.protocol.datagram_received(data, addr)

    def _receiver_of(self, data: bytes, source: Address) -> MuxedTransport | None:
        """Returns the session that a message of STUN is for."""
        size = len(data) - HEADER_BYTES
        if size < 0 or data[4:8] != MAGIC_COOKIE or data[2:4] != size.to_bytes(2) or size % 4:
            return None
        if data[:2] != REQUEST:
            question = self._questions.get(data[8:20])
            if question is None:
                return None
            if data[:2] == SUCCESS and question.target == source:
                self._prove(source, question.endpoint)
            return question.endpoint
        endpoint = self._endpoints.get(_own_name_in(data))
        if endpoint is None or not is_signed(data, endpoint.password):
            return None
        # The source of a datagram can be forged: it takes an address from nobody.
        if source not in self._routes:
            self._route(source, _Route(endpoint, is_proven=False))
        return endpoint

    def _prove(self, source: Address, endpoint: MuxedTransport) -> None:
        """Gives an address to the session whose check was answered from there.

        The answer has a random number that was sent to that address alone, so the peer is there
        now, whoever was before.
        """
        route = self._routes.get(source)
        if route is not None and route.endpoint is endpoint and route.is_proven:
            endpoint.addresses.move_to_end(source)
            return
        if route is not None:
            del route.endpoint.addresses[source]
        self._route(source, _Route(endpoint, is_proven=True))

    def _route(self, source: Address, route: _Route) -> None:
        addresses = route.endpoint.addresses
        if len(addresses) >= MAX_ADDRESSES:
            unproven = (each for each in addresses if not self._routes[each].is_proven)
            oldest = next(unproven, next(iter(addresses)))
            del addresses[oldest], self._routes[oldest]
        self._routes[source] = route
        addresses[source] = None


def _own_name_in(data: bytes) -> bytes:
    """Returns the first part of a check's user name, which is that of its receiver; or ``b""``."""
    position, last = HEADER_BYTES, len(data) - ATTRIBUTE.size
    for _ in range(MAX_ATTRIBUTES):
        if position > last:
            break
        kind, size = ATTRIBUTE.unpack_from(data, position)
        position += ATTRIBUTE.size
        if kind == USERNAME:
            return data[position : position + size].partition(b":")[0]
        position += size + -size % 4
    return b""


class _Muxes:
    """The shared sockets of one event loop.

    Attributes:
        sockets: Those that are open, open or close just now, by their addresses.
        turn: Held by the task that opens one.
    """

    def __init__(self) -> None:
        self.sockets: dict[Address, UdpMux] = {}
        self.turn = asyncio.Lock()

    async def open(self, address: Address) -> UdpMux:
        """Opens the socket of an address."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        # Other kinds of loops have a read under way.
        receive = sock.recvfrom if isinstance(loop, asyncio.SelectorEventLoop) else None

        def make() -> UdpMux:
            mux = self.sockets[address] = UdpMux(lambda: self.sockets.pop(address), receive)
            return mux

        try:
            sock.setblocking(False)  # noqa: FBT003  # as in the standard library
            sock.bind(address)
            _, mux = await loop.create_datagram_endpoint(make, sock=sock)
        except OSError:
            sock.close()
            raise
        return mux


_muxes = PerLoop(_Muxes)


async def share_socket(protocol: Any, host: str, port: int, name: str, password: str) -> None:
    """Connects a session's protocol with the socket of an address, which others may use already.

    Args:
        protocol: Receives the session's datagrams.
        host: An address of this machine.
        port: A port, not 0.
        name: The session's own user name in ICE.
        password: The one that checks of it are signed with.

    Raises:
        OSError: The address cannot be bound; with ``EADDRINUSE`` when another program has it, or
            another event loop.
        NameTaken: Another session has this name.
    """
    muxes, address = _muxes.here(), (host, port)
    async with muxes.turn:
        mux = muxes.sockets.get(address)
        if mux is not None and not mux.is_open:
            await mux.closed
            mux = None
        if mux is None:
            mux = await muxes.open(address)
        mux.add(protocol, name, password)
