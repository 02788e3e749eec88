"""The thread that owns the sockets of sessions, compiled from Rust. Not on Windows.

Threads, errors and the GIL are as in `gradio_webrtc._core`.
"""

from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from . import OutboundAudio
from .media import SecureReceiver, SecureSender
from .turns import PauseEvent

__all__ = ["MediaEndpoint", "MediaMailbox", "MediaPlane", "MediaSocket"]

_Address: TypeAlias = tuple[str, int]
_Audio: TypeAlias = tuple[int, int, NDArray[np.int16]]
_Detected: TypeAlias = list[tuple[PauseEvent, int]]

@final
class MediaMailbox:
    """What a plane has for one event loop, with a doorbell that wakes it. Not on Windows.

    Raises:
        OSError: The process has no more file descriptors.
    """

    def __new__(cls) -> MediaMailbox: ...
    def open_doorbell(self) -> int:
        """Returns a file descriptor that is readable while the mailbox is not empty.

        It is to be closed with `os.close`, and nothing is to be read from it.

        Raises:
            OSError: The process has no more file descriptors.
        """

    def close(self) -> None:
        """Drops what waits, and what comes later, and frees its descriptors; safe to call twice.

        The one of `open_doorbell` stays open.
        """

    def take(
        self, most_datagrams: int
    ) -> tuple[
        list[tuple[int, bytes, _Address]],
        list[tuple[int, _Audio | _Detected | Exception | bytes | tuple[float | None] | None]],
    ]:
        """Returns what waits: datagrams, and deliveries; each in the order in which it came.

        All deliveries, and so many datagrams at most; the doorbell goes on while others are left.
        A datagram comes with the number of its socket and its source; of each socket 1,024 wait at
        most. A delivery comes with the number of its endpoint: the rate of audio, the number of its
        channels and the samples, of which five seconds wait at most, and newer audio is dropped; or
        what was detected, or the exception of the detector, from the ten seconds of audio behind
        the oldest that waits; or what `MediaPlane.attach_sender` names; ``None`` when the endpoint
        has failed, and receives and sends no more.
        """

@final
class MediaPlane:
    """One thread that reads the sockets of sessions, and receives their audio. Not on Windows.

    It needs no interpreter, and waits for none.

    Args:
        now_s: The time in seconds, of the clock whose times the receivers are given.

    Raises:
        OSError: The process has no more file descriptors or threads.
    """

    def __new__(cls, now_s: float) -> MediaPlane: ...
    def bind(
        self, host: str, port: int, receive_buffer_bytes: int, mailbox: MediaMailbox
    ) -> MediaSocket:
        """Opens a UDP socket, whose datagrams come to a mailbox.

        Args:
            host: An address of this machine.
            port: 0 for any.
            receive_buffer_bytes: The bytes that may wait in the kernel, as far as it allows.
            mailbox: Receives what is no media of an admitted source.

        Raises:
            OSError: The operating system's.
        """

    def attach(
        self, receiver: SecureReceiver, mailbox: MediaMailbox, endpoint: int
    ) -> MediaEndpoint:
        """Has a receiver's audio delivered to a mailbox, under the number ``endpoint``."""

    def attach_sender(
        self,
        sender: SecureSender,
        queue: OutboundAudio,
        mailbox: MediaMailbox,
        endpoint: int,
    ) -> MediaEndpoint:
        """Has the thread send from a sender's queue, which wakes it from now on.

        Under the number ``endpoint`` the mailbox gets bytes, a packet that the event loop has to
        send; and a tuple, once there is room or the queue is empty, as asked for, and for the first
        frame of a reply: of its delay in seconds, or of ``None``.

        Raises:
            RuntimeError: The queue has another sender.
        """

    def close(self) -> None:
        """Closes all sockets, and waits for the end of the thread."""

@final
class MediaSocket:
    """A socket of a plane."""

    @property
    def number(self) -> int:
        """Of the socket, among those of its plane."""

    @property
    def address(self) -> _Address:
        """The address that it is bound to."""

    def stats(self) -> dict[str, int]:
        """Returns how many datagrams there were of each kind; all 0 once it is closed.

        ``received`` are ``media``, which a receiver took, ``mailed``, and ``refused``: of no
        protocol of WebRTC, too short, too long, or too many. ``sent`` left, and ``send_blocked``
        found no room in the kernel.
        """

    def send(self, datagram: Buffer, host: str, port: int) -> None:
        """Sends a datagram; drops it while the kernel has no room.

        Raises:
            OSError: The operating system's; ``host`` is no address.
        """

    def close(self) -> None:
        """Closes it; safe to call twice."""

@final
class MediaEndpoint:
    """A receiver that is attached to a plane."""

    def admit(self, socket: MediaSocket, host: str, port: int) -> None:
        """Makes media from this source to this socket the receiver's; of 16 the oldest goes.

        Raises:
            OSError: ``host`` is no address.
        """

    def wake(self) -> None:
        """Has the thread see what the receiver was given elsewhere."""

    def close(self) -> None:
        """Ends it: nothing is delivered that comes from now on. Safe to call twice."""
