"""The media plane of this process, as one event loop uses it: sockets, and the audio of sessions.

The core's thread reads the sockets, decrypts, orders and decodes; what it has for Python waits in a
mailbox, whose doorbell wakes the event loop once for all of it. The thread runs while there is a
socket. Runs on the event loop. Imports neither aiortc nor aioice.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from gradio_webrtc._workers.per_loop import PerLoop

if sys.platform != "win32":
    from gradio_webrtc._media import MediaMailbox, MediaPlane

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradio_webrtc._audio import OutboundAudio
    from gradio_webrtc._media import MediaEndpoint, MediaSocket, SecureReceiver, SecureSender

    from .opus_receiver import Delivery

    SendNote = bytes | tuple[float | None] | None
    DeliverAudio = Callable[[Delivery], None]
    DeliverNote = Callable[[SendNote], None]

logger = logging.getLogger(__name__)

SWITCH: Final = "GRADIO_WEBRTC_MEDIA_THREAD"
"""The environment variable that keeps audio on the event loop, with the value "off"."""


MAX_BATCH: Final = 64
"""Datagrams that are taken in one turn of the event loop, behind the audio. A flood leaves the
turns between them to the sessions."""


class DatagramReceiver(Protocol):
    """As much of asyncio's datagram protocols as matters here."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the socket."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Notes that the socket is closed."""

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Receives a datagram."""

    def error_received(self, exc: Exception) -> None:
        """Notes that a datagram could not be sent."""


class _ProcessPlane:
    """The plane of this process, for the event loops that have sockets in it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plane: MediaPlane | None = None
        self._users: list[MediaLoop] = []
        self._process = 0

    def acquire(self, user: MediaLoop) -> MediaPlane:
        """Returns the plane, and starts its thread for the first loop.

        What loops have left that were closed before their sessions is closed now: nothing runs on
        them any more that could do it.
        """
        with self._lock:
            if self._process != os.getpid():
                # Forked off: the thread is the other process's.
                self._plane, self._users, self._process = None, [], os.getpid()
            if self._plane is None:
                self._plane = MediaPlane(time.monotonic())
            plane = self._plane
            abandoned = [each for each in self._users if each.is_abandoned]
            self._users = [each for each in self._users if each not in abandoned] + [user]
        for each in abandoned:
            each.end()
        return plane

    def release(self, user: MediaLoop) -> None:
        """Ends the thread, after the last loop."""
        with self._lock:
            if user in self._users:
                self._users.remove(user)
            if not self._users and self._plane is not None:
                self._plane.close()
                self._plane = None


_process = _ProcessPlane()


class MediaTransport(asyncio.DatagramTransport):
    """A socket of the plane, as asyncio's transports are.

    Args:
        media: The event loop's share.
        protocol: Receives what is no media of an admitted source.
        socket: The socket.
        loop: The event loop.

    Attributes:
        socket: As given; closed once the transport is.
        protocol: As given.
    """

    def __init__(
        self,
        media: MediaLoop,
        protocol: DatagramReceiver,
        socket: MediaSocket,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__()
        self.socket = socket
        self.protocol = protocol
        self._loop = loop
        self._media: MediaLoop | None = media

    def sendto(self, data: bytes, addr: Any = None) -> None:  # type: ignore[override]
        """Sends a datagram; drops it while the kernel has no room."""
        if self._media is None:
            return
        try:
            self.socket.send(data, addr[0], addr[1])
        except OSError as error:
            self.protocol.error_received(error)

    def close(self) -> None:
        """Closes the socket, and reports the end to the protocol, soon, as transports do."""
        if self._media is None:
            return
        media, self._media = self._media, None
        self.socket.close()
        media.forget_socket(self.socket)
        if not self._loop.is_closed():
            self._loop.call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        """Does the same: nothing waits to be sent."""
        self.close()

    def is_closing(self) -> bool:
        """True once it is closed."""
        return self._media is None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Returns the socket's own address under the name of asyncio."""
        return self.socket.address if name == "sockname" else default


class _Share(NamedTuple):
    """What an event loop has of the plane while it has sockets in it.

    Attributes:
        plane: The plane.
        mailbox: The loop's own.
        doorbell: A file descriptor, readable while the mailbox is not empty.
        loop: The loop.
    """

    loop: asyncio.AbstractEventLoop
    plane: MediaPlane
    mailbox: MediaMailbox
    doorbell: int


class MediaLoop:
    """The share of one event loop in the plane, with the doorbell that wakes it."""

    def __init__(self) -> None:
        self._share: _Share | None = None
        self._transports: dict[int, MediaTransport] = {}
        self._endpoints: dict[int, DeliverAudio | DeliverNote] = {}
        self._numbers = itertools.count()

    @property
    def is_abandoned(self) -> bool:
        """True if sockets are open, and the loop is closed."""
        return self._share is not None and self._share.loop.is_closed()

    def end(self) -> None:
        """Closes everything of a loop that is closed."""
        self._endpoints.clear()
        for transport in list(self._transports.values()):
            transport.close()

    def open(
        self, protocol: DatagramReceiver, host: str, port: int, receive_buffer_bytes: int
    ) -> MediaTransport:
        """Opens a UDP socket for a protocol.

        Args:
            protocol: Receives its datagrams.
            host: An address of this machine.
            port: 0 for any.
            receive_buffer_bytes: The bytes that may wait in the kernel, as far as it allows.

        Raises:
            OSError: The address cannot be bound, or nothing more can be opened.
        """
        share = self._share = self._share or self._begin()
        try:
            socket = share.plane.bind(host, port, receive_buffer_bytes, share.mailbox)
        except BaseException:
            self._end_if_unused()
            raise
        transport = MediaTransport(self, protocol, socket, share.loop)
        self._transports[socket.number] = transport
        protocol.connection_made(transport)
        return transport

    def attach(self, receiver: SecureReceiver, deliver: DeliverAudio) -> AttachedReceiver:
        """Has the thread receive a session's audio.

        Args:
            receiver: Of the session.
            deliver: Called on the event loop with audio, or with what was detected in it; or with
                ``None`` when the core has failed. See `OpusReceiver.deliver`.
        """
        share, number = self._number(deliver)
        endpoint = share.plane.attach(receiver, share.mailbox, number)
        return AttachedReceiver(self, endpoint, number)

    def attach_sender(
        self,
        sender: SecureSender,
        queue: OutboundAudio,
        deliver: DeliverNote,
    ) -> AttachedSender:
        """Has the thread send a session's audio.

        Args:
            sender: Of the session.
            queue: Its audio.
            deliver: Called on the event loop with a packet that is to be sent; or with a tuple of
                the delay of a reply or ``None``, when what was requested has happened, see
                `MediaPlane.attach_sender`; with ``None`` when the core has failed, and sends no
                more.
        """
        share, number = self._number(deliver)
        endpoint = share.plane.attach_sender(sender, queue, share.mailbox, number)
        return AttachedSender(self, endpoint, number, sender)

    def forget_socket(self, socket: MediaSocket) -> None:
        """Drops what still waits of a socket that is closed."""
        self._transports.pop(socket.number, None)
        self._end_if_unused()

    def forget_endpoint(self, number: int) -> None:
        """Drops what still waits of an endpoint that is closed."""
        self._endpoints.pop(number, None)

    def _number(self, deliver: DeliverAudio | DeliverNote) -> tuple[_Share, int]:
        if self._share is None:
            raise RuntimeError("expected a session with a socket of the plane, found no socket")
        number = next(self._numbers)
        self._endpoints[number] = deliver
        return self._share, number

    def _begin(self) -> _Share:
        plane = _process.acquire(self)
        try:
            mailbox = MediaMailbox()
            doorbell = mailbox.open_doorbell()
        except BaseException:
            _process.release(self)
            raise
        loop = asyncio.get_running_loop()
        loop.add_reader(doorbell, self._take)
        return _Share(loop, plane, mailbox, doorbell)

    def _end_if_unused(self) -> None:
        if self._transports or self._share is None:
            return
        if not self._share.loop.is_closed():
            self._share.loop.remove_reader(self._share.doorbell)
        os.close(self._share.doorbell)
        # Garbage may hold it for long.
        self._share.mailbox.close()
        self._share = None
        _process.release(self)

    def _take(self) -> None:
        """Runs when the doorbell has rung."""
        if self._share is None:
            return
        datagrams, deliveries = self._share.mailbox.take(MAX_BATCH)
        for number, delivery in deliveries:
            deliver = self._endpoints.get(number)
            if deliver is not None:
                _guarded(deliver, delivery)
        for number, data, source in datagrams:
            transport = self._transports.get(number)
            if transport is not None:
                _guarded(transport.protocol.datagram_received, data, source)


class _Attached:
    """What the thread calls for a session.

    Args:
        media: The event loop's share.
        endpoint: Of the plane.
        number: The endpoint's, in the mailbox.
    """

    def __init__(self, media: MediaLoop, endpoint: MediaEndpoint, number: int) -> None:
        self._media = media
        self._endpoint = endpoint
        self._number = number

    def wake(self) -> None:
        """Has the thread see what was changed elsewhere."""
        self._endpoint.wake()

    def close(self) -> None:
        """Ends it: nothing is delivered from now on; safe to call twice."""
        self._endpoint.close()
        self._media.forget_endpoint(self._number)


class AttachedReceiver(_Attached):
    """A session's audio, received by the thread."""

    def admit(self, transport: object, source: tuple[str, int]) -> None:
        """Makes media that come from a source to a socket of the plane the session's."""
        if isinstance(transport, MediaTransport) and not transport.is_closing():
            self._endpoint.admit(transport.socket, *source)


class AttachedSender(_Attached):
    """A session's audio, sent by the thread.

    Args:
        media: The event loop's share.
        endpoint: Of the plane.
        number: The endpoint's, in the mailbox.
        sender: Of the session.
    """

    def __init__(
        self, media: MediaLoop, endpoint: MediaEndpoint, number: int, sender: SecureSender
    ) -> None:
        super().__init__(media, endpoint, number)
        self._sender = sender

    def send_from(self, transport: object, target: tuple[str, int]) -> None:
        """Sends from a socket of the plane; packets for another one come to the event loop."""
        if isinstance(transport, MediaTransport) and not transport.is_closing():
            self._sender.send_from(transport.socket, *target)
        else:
            self._sender.send_by_loop()


_loops = PerLoop(MediaLoop)


def media_loop() -> MediaLoop | None:
    """Returns the running event loop's share in the plane.

    ``None`` where media stay on the event loop: on Windows, whose loops have no readers, and where
    the environment variable `SWITCH` is "off".
    """
    if sys.platform == "win32" or os.environ.get(SWITCH) == "off":
        return None
    return _loops.here()


def _guarded(call: Callable[..., None], *args: object) -> None:
    """Calls a session, whose mistake must not reach the others of the batch."""
    try:
        call(*args)
    except Exception:
        logger.exception("a datagram or a block of audio was dropped")
