"""Sockets of the media plane, as event loops use them."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pylibsrtp import Policy, Session

from gradio_webrtc._media import AudioEncoder, AudioReceiver, SecureReceiver
from gradio_webrtc._transport.webrtc.media_loop import SWITCH, MediaLoop, media_loop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradio_webrtc._transport.webrtc.media_loop import MediaTransport
    from gradio_webrtc._transport.webrtc.opus_receiver import Delivery

OPUS = 111
KEY, SALT = bytes(range(16)), bytes(range(16, 30))
HERE = "127.0.0.1"
BUFFER_BYTES = 1 << 18


class Notes:
    """A protocol that notes everything."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()
        self.closed: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.errors: list[Exception] = []
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set_result(exc)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self.received.put_nowait((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)


@pytest.fixture(autouse=True)
def _thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "on")


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    """A socket on the other side."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind((HERE, 0))
        yield made


def opened() -> tuple[MediaLoop, Notes, MediaTransport]:
    media = media_loop()
    assert media is not None
    notes = Notes()
    return media, notes, media.open(notes, HERE, 0, BUFFER_BYTES)


def threads() -> int:
    """The media threads of this process."""
    found = 0
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has ended meanwhile
            found += (task / "comm").read_text().startswith("gradio-webrtc-m")
    return found


def settle(expected: int) -> int:
    """The same, once there are so many: a thread that has ended is listed for a moment more."""
    for _ in range(500):
        if threads() == expected:
            break
        time.sleep(0.01)
    return threads()


async def test_datagrams_go_both_ways(stranger: socket.socket) -> None:
    _media, notes, transport = opened()
    assert notes.transport is transport
    ours = transport.get_extra_info("sockname")
    assert ours[0] == HERE
    assert transport.get_extra_info("socket", "none") == "none"
    stranger.sendto(b"\x00" * 20, ours)
    assert await notes.received.get() == (b"\x00" * 20, stranger.getsockname())
    transport.sendto(b"hello", stranger.getsockname())
    assert stranger.recv(100) == b"hello"
    transport.close()
    assert await notes.closed is None


async def test_a_closed_socket_sends_and_receives_nothing(stranger: socket.socket) -> None:
    _media, notes, transport = opened()
    ours = transport.get_extra_info("sockname")
    stranger.sendto(b"\x00" * 20, ours)
    transport.abort()
    transport.close()
    assert transport.is_closing()
    transport.sendto(b"hello", stranger.getsockname())
    await notes.closed
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free_again:
        free_again.bind(ours)
    assert notes.received.empty()


async def test_an_error_of_sending_is_the_protocols() -> None:
    _media, notes, transport = opened()
    transport.sendto(b"hello", ("no address", 5))
    transport.sendto(bytes(70_000), (HERE, 5))
    assert [type(each) for each in notes.errors] == [OSError, OSError]
    transport.close()
    await notes.closed


async def test_a_port_that_is_taken_is_refused_and_leaves_nothing(stranger: socket.socket) -> None:
    before = settle(0)
    media = media_loop()
    assert media is not None
    with pytest.raises(OSError, match="in use") as refused:
        media.open(Notes(), HERE, stranger.getsockname()[1], BUFFER_BYTES)
    # By its number another port is tried: see `OwnSockets`.
    assert refused.value.errno == errno.EADDRINUSE
    assert settle(before) == before


async def test_the_thread_runs_while_there_is_a_socket() -> None:
    before = settle(0)
    _media, _first_notes, first = opened()
    _media, _second_notes, second = opened()
    assert settle(before + 1) == before + 1
    first.close()
    assert settle(before + 1) == before + 1
    second.close()
    assert settle(before) == before


async def test_loops_share_one_thread() -> None:
    before = settle(0)
    _media, _notes, transport = opened()

    async def elsewhere() -> int:
        _media, _notes, other = opened()
        found = settle(before + 1)
        other.close()
        return found

    # The other loop's own thread is one of Python's.
    assert await asyncio.to_thread(lambda: asyncio.run(elsewhere())) == before + 1
    transport.close()


def left_open() -> tuple[tuple[str, int], MediaTransport, weakref.ref[Any]]:
    """A session whose event loop was closed, and nothing else: its address and its loop, too."""

    async def session() -> tuple[tuple[str, int], MediaTransport, weakref.ref[Any]]:
        media, _notes, transport = opened()
        secured = SecureReceiver(AudioReceiver(), "SRTP_AES128_CM_SHA1_80", KEY, SALT, [OPUS])
        loop = asyncio.get_running_loop()

        def deliver(_audio: Delivery) -> None:
            loop.time()

        attached = media.attach(secured, deliver)
        attached.admit(transport, (HERE, 5))
        return transport.get_extra_info("sockname"), transport, weakref.ref(loop)

    with asyncio.Runner() as runner:
        return runner.run(session())


def descriptors() -> int:
    """The open file descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_another_loop_ends_what_a_closed_one_has_left() -> None:
    gc.collect()
    before = settle(0)
    _media, notes, alone = opened()
    expected = descriptors()
    alone.close()
    await notes.closed
    del alone, notes
    # Threads that have ended hold nothing: one that still runs may hold what it has returned.
    with ThreadPoolExecutor(1) as pool:
        address, transport, loop = pool.submit(left_open).result()
        pool.submit(left_open).result()
    _media, notes, ours = opened()
    assert transport.is_closing()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free_again:
        free_again.bind(address)
    transport.close()
    assert settle(before + 1) == before + 1
    del transport
    gc.collect()
    assert loop() is None
    assert descriptors() == expected
    ours.close()
    await notes.closed
    assert settle(before) == before


async def test_a_mistake_of_one_session_does_not_reach_another(
    stranger: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    _media, broken, first = opened()
    _media, notes, second = opened()

    def fail(_data: bytes, _address: object) -> None:
        raise RuntimeError("a mistake")

    broken.datagram_received = fail  # type: ignore[assignment, method-assign]
    stranger.sendto(b"\x00" * 20, first.get_extra_info("sockname"))
    stranger.sendto(b"\x01" * 20, second.get_extra_info("sockname"))
    assert (await notes.received.get())[0] == b"\x01" * 20
    first.close()
    second.close()
    assert "a mistake" in caplog.text


async def test_media_of_an_admitted_source_are_received_by_the_thread(
    stranger: socket.socket,
) -> None:
    media, notes, transport = opened()
    blocks: asyncio.Queue[Delivery] = asyncio.Queue()
    secured = SecureReceiver(AudioReceiver(), "SRTP_AES128_CM_SHA1_80", KEY, SALT, [OPUS])
    attached = media.attach(secured, blocks.put_nowait)
    sender = Session(Policy(key=KEY + SALT, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
    packets = [sender.protect(_packet(number)) for number in range(4)]
    ours = transport.get_extra_info("sockname")
    stranger.sendto(packets[0], ours)
    assert (await notes.received.get())[0] == packets[0]
    attached.admit(transport, stranger.getsockname())
    for each in packets[1:]:
        stranger.sendto(each, ours)
    received = 0
    while received < 3 * 960:
        block = await blocks.get()
        assert isinstance(block, tuple)
        rate_hz, channels, samples = block
        assert (rate_hz, channels, len(samples)) == (48_000, 1, 1)
        received += samples.size
    assert received == 3 * 960
    # Another codec, and reports, are for aiortc.
    stranger.sendto(b"\x80" + bytes([96]) + bytes(40), ours)
    stranger.sendto(b"\x80" + bytes([200]) + bytes(40), ours)
    assert [(await notes.received.get())[0][1] for _ in range(2)] == [96, 200]
    # Of no protocol, and short; the last one is STUN.
    for each in (b"", b"\xff" * 20, b"\x16", bytes(20)):
        stranger.sendto(each, ours)
    assert (await notes.received.get())[0] == bytes(20)
    counts = transport.socket.stats()
    assert (counts["received"], counts["media"], counts["refused"]) == (10, 3, 3)
    attached.close()
    attached.close()
    stranger.sendto(sender.protect(_packet(4)), ours)
    await notes.received.get()
    assert blocks.empty()
    transport.close()


async def test_a_blocked_loop_loses_nothing(stranger: socket.socket) -> None:
    media, _notes, transport = opened()
    received: list[int] = []
    has_all = asyncio.Event()
    secured = SecureReceiver(AudioReceiver(), "SRTP_AES128_CM_SHA1_80", KEY, SALT, [OPUS])

    def deliver(delivery: Delivery) -> None:
        assert isinstance(delivery, tuple)
        received.append(delivery[2].size)
        if sum(received) >= 50 * 960:
            has_all.set()

    attached = media.attach(secured, deliver)
    attached.admit(transport, stranger.getsockname())
    sender = Session(Policy(key=KEY + SALT, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
    for number in range(50):
        stranger.sendto(sender.protect(_packet(number)), transport.get_extra_info("sockname"))
        # The loop, which this is, does nothing else meanwhile.
        time.sleep(0.005)  # noqa: ASYNC251
    assert received == []
    await has_all.wait()
    assert sum(received) == 50 * 960
    attached.close()
    transport.close()


async def test_what_the_loop_received_itself_comes_by_the_thread() -> None:
    media, _notes, transport = opened()
    blocks: asyncio.Queue[Delivery] = asyncio.Queue()
    secured = SecureReceiver(AudioReceiver(), "SRTP_AES128_CM_SHA1_80", KEY, SALT, [OPUS])
    assert secured.decode_for(22_050, "mono") == 24_000
    attached = media.attach(secured, blocks.put_nowait)
    sender = Session(Policy(key=KEY + SALT, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
    assert secured.receive_datagram(1.0, sender.protect(_packet(0)))
    attached.wake()
    block = await blocks.get()
    assert isinstance(block, tuple)
    assert (*block[:2], block[2].shape) == (24_000, 1, (1, 480))
    attached.close()
    transport.close()


async def test_audio_without_a_socket_is_refused() -> None:
    secured = SecureReceiver(AudioReceiver(), "SRTP_AES128_CM_SHA1_80", KEY, SALT, [OPUS])
    with pytest.raises(RuntimeError, match="with a socket of the plane"):
        MediaLoop().attach(secured, lambda _audio: None)


async def test_the_switch_keeps_media_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "off")
    assert media_loop() is None
    monkeypatch.setenv(SWITCH, "on")
    assert media_loop() is not None


def _packet(number: int) -> bytes:
    payload = AudioEncoder(1).encode(np.zeros((1, 960), np.int16))
    header = bytes([0x80, OPUS]) + number.to_bytes(2) + (960 * number).to_bytes(4)
    return header + (7).to_bytes(4) + payload
