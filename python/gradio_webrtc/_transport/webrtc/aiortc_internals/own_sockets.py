"""The sockets of a session on ports that the program has chosen, and the addresses it offers.

aioice binds each socket to any free port, and offers the address that the socket has. Here both are
those of `ServerAddresses`: one port for all sessions (`udp_mux`), or one of several for each. Runs
on the event loop, when the answer gathers its candidates.
"""

from __future__ import annotations

import asyncio
import copy
import errno
import logging
import random
import socket
from typing import TYPE_CHECKING, Any, Final

from aioice import Candidate, ice

from gradio_webrtc._transport.webrtc.quiet_log import QuietLog
from gradio_webrtc.errors import ServerBusy

from . import names, probe
from .objects import transports_of
from .udp_mux import NameTaken, share_socket

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiortc import RTCDtlsTransport, RTCPeerConnection

    from gradio_webrtc._addresses import ServerAddresses
    from gradio_webrtc._transport.webrtc.media_loop import MediaLoop

logger = logging.getLogger(__name__)

RECEIVE_BUFFER_BYTES: Final = 256 << 10
"""What may wait in the kernel for one session, as with aioice's own sockets."""

NO_PORT: Final = "no UDP port of the server is free for another call: try again in a moment"

_refusals = QuietLog(logger, "a session is refused, since no UDP port of udp_ports is free")
_strangers = QuietLog(logger, "host_candidates has none of this machine's addresses")


class OwnSockets:
    """Gathers the candidates of one connection of aioice, in place of its own method.

    Args:
        connection: The connection, before it has sockets.
        addresses: The ports to bind, and the addresses to offer.
        media: The media plane that has the sockets; ``None`` for the event loop's own.
    """

    def __init__(
        self, connection: Any, addresses: ServerAddresses, media: MediaLoop | None = None
    ) -> None:
        self._connection = connection
        self._addresses = addresses
        self._media = media
        self._gather_any = getattr(connection, names.GATHER)

    async def gather(
        self,
        component: int,
        addresses: list[str],
        timeout: int = 5,  # noqa: ASYNC109  # aioice's
    ) -> list[Candidate]:
        """Returns the candidates of the session; `aioice.Connection` calls it once.

        Raises:
            ServerBusy: Every port is taken.
        """
        if not self._addresses.ports and self._media is None:
            return self._as_offered(await self._gather_any(component, addresses, timeout))
        protocols = await self._open(component, addresses)
        held = getattr(self._connection, names.PROTOCOLS)
        for each in protocols:
            held.append(each)
        # Without addresses of its own it asks the TURN server alone, over any port.
        relayed, *reflexive = await asyncio.gather(
            self._gather_any(component, [], timeout),
            *(self._ask_stun(each, timeout) for each in protocols),
        )
        own = self._as_offered([each.local_candidate for each in protocols])
        return [*own, *(each for each in reflexive if each is not None), *relayed]

    async def _open(self, component: int, addresses: Sequence[str]) -> list[Any]:
        """Opens a socket on each address, all on one port.

        Raises:
            ServerBusy: Every port is taken.
        """
        reason = "this machine has no address"
        if not self._addresses.ports:
            return await self._open_anywhere(component, addresses)
        for port in _from_anywhere(self._addresses.ports):
            try:
                opened = await self._open_on(port, addresses)
            except OSError as error:
                reason = str(error)
                continue
            except NameTaken:
                raise ServerBusy from None
            for each in opened:
                each.local_candidate = _host_candidate(each, component)
            return opened
        _refusals.warn(f"{self._describe_ports()}; {reason}")
        raise ServerBusy(NO_PORT)

    async def _open_anywhere(self, component: int, addresses: Sequence[str]) -> list[Any]:
        """Opens a socket on each address that can be bound, on any port; none may be there."""
        try:
            opened = await self._open_on(0, addresses)
        except OSError as error:
            logger.debug("no socket for a session: %s", error)
            return []
        for each in opened:
            each.local_candidate = _host_candidate(each, component)
        return opened

    async def _open_on(self, port: int, addresses: Sequence[str]) -> list[Any]:
        """Opens a socket on each address that can be bound.

        Raises:
            OSError: On one of them the port is taken, or none can be bound.
        """
        opened: list[Any] = []
        failure = OSError(errno.EADDRNOTAVAIL, "no address can be bound")
        try:
            for host in addresses:
                try:
                    opened.append(await self._bind(host, port))
                except OSError as error:
                    if error.errno == errno.EADDRINUSE:
                        raise
                    logger.debug("no socket on %s, port %d: %s", host, port, error)
                    failure = error
        except BaseException:
            for each in opened:
                each.transport.abort()
            raise
        if not opened:
            raise failure
        return opened

    async def _bind(self, host: str, port: int) -> Any:
        connection = self._connection
        if len(self._addresses.ports) == 1:
            protocol = ice.StunProtocol(connection)
            name, password = connection.local_username, connection.local_password
            await share_socket(protocol, host, port, name, password)
            return protocol
        if self._media is not None:
            protocol = ice.StunProtocol(connection)
            self._media.open(protocol, host, port, RECEIVE_BUFFER_BYTES)
            return protocol
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: ice.StunProtocol(connection), local_addr=(host, port)
        )
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        return protocol

    async def _ask_stun(self, protocol: Any, timeout_s: float) -> Candidate | None:
        """Returns the address that a STUN server sees; as aioice does, for IPv4 alone."""
        server = getattr(self._connection, names.STUN_SERVER)
        if server is None or ":" in protocol.local_candidate.host:
            return None
        ask = getattr(ice, names.REFLEXIVE_CANDIDATE)
        try:
            async with asyncio.timeout(timeout_s):
                candidate: Candidate | None = (await ask(protocol, server))[0]
        except Exception as error:  # noqa: BLE001  # a name, a socket, an answer of a stranger
            logger.debug("a STUN server gave no address: %s", type(error).__name__)
            return None
        return candidate

    def _describe_ports(self) -> str:
        ports = self._addresses.ports
        if len(ports) == 1:
            return f"all sessions share port {ports[0]}, which is taken"
        return (
            f"each session takes one of {ports[0]} to {ports[-1]}, give more, or one for all "
            f"sessions: udp_ports={ports[0]}"
        )

    def _as_offered(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Returns the candidates with the addresses that are offered for those of the machine."""
        addresses = self._addresses
        own = {each.host for each in candidates if each.type == "host"}
        if addresses.public_of and own.isdisjoint(dict(addresses.public_of)):
            _strangers.warn(f"it has {', '.join(sorted(own)) or 'none'}")
        offered: dict[tuple[str, int, str], Candidate] = {}
        for each in candidates:
            is_own = each.type == "host"
            for host in addresses.offered_for(each.host, own) if is_own else [each.host]:
                # Where two sockets are seen as one from outside, the first stands for both.
                offered.setdefault((host, each.port, each.type), _with_host(each, host))
        return list(offered.values())


def use_addresses(
    pc: RTCPeerConnection, addresses: ServerAddresses, media: MediaLoop | None = None
) -> bool:
    """Lets a connection bind the chosen ports, and offer the chosen addresses.

    Call it when the offer is set, before the answer is: sockets are made for that. Does nothing
    where aioice is not built as expected.

    Args:
        pc: The connection.
        addresses: The ports, and the addresses.
        media: The media plane that has the sockets. One port of all sessions stays with the event
            loop, which distinguishes the sessions.

    Returns:
        True if the sockets will be those of the media plane.
    """
    if (addresses.is_default and media is None) or not probe.has(names.ADDRESSES):
        return False
    for dtls in transports_of(pc):
        connection = getattr(dtls.transport, names.CONNECTION)
        setattr(connection, names.GATHER, OwnSockets(connection, addresses, media).gather)
    return media is not None and len(addresses.ports) != 1


def leave_addresses(dtls: RTCDtlsTransport) -> None:
    """Leaves a closed connection, which refers to `OwnSockets` as that does to it."""
    connection = getattr(dtls.transport, names.CONNECTION, None)
    if connection is not None:
        vars(connection).pop(names.GATHER, None)


def _from_anywhere(ports: Sequence[int]) -> Iterator[int]:
    """Yields each port once; from another one each time, so that a port rests between sessions."""
    begin = random.randrange(len(ports))  # noqa: S311  # no secret
    yield from ports[begin:]
    yield from ports[:begin]


def _host_candidate(protocol: Any, component: int) -> Candidate:
    """Returns the candidate of a socket, as aioice makes it."""
    host, port = protocol.transport.get_extra_info("sockname")[:2]
    return Candidate(
        foundation=getattr(ice, names.FOUNDATION)("host", "udp", host),
        component=component,
        transport="udp",
        priority=getattr(ice, names.PRIORITY)(component, "host"),
        host=host,
        port=port,
        type="host",
    )


def _with_host(candidate: Candidate, host: str) -> Candidate:
    """Returns a candidate with another address; it has the same base, and so the foundation."""
    if candidate.host == host:
        return candidate
    changed = copy.copy(candidate)
    changed.host = host
    return changed
