"""Whoever reaches the UDP port of a session and is not in it: nothing of theirs does any harm."""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest
from support.client import Client
from support.datagrams import addresses, check, mutations
from support.hostile import Hostile, serve_echo
from support.serving import SessionServer
from support.signals import tone

from gradio_webrtc import AsyncStreamHandler
from gradio_webrtc._transport.webrtc import peer
from gradio_webrtc._transport.webrtc.aiortc_internals import datagram_guard as guards
from gradio_webrtc._transport.webrtc.media_loop import MediaTransport

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradio_webrtc._transport.webrtc.aiortc_internals.datagram_guard import DatagramGuard
    from gradio_webrtc.types import Modality

Address = tuple[str, int]


class Echo(AsyncStreamHandler):
    """Gives back what it receives."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=48_000, output_sample_rate=48_000)
        self.frames: asyncio.Queue[Any] = asyncio.Queue()

    async def receive(self, frame: Any) -> None:
        self.frames.put_nowait(frame)

    async def emit(self) -> Any:
        return await self.frames.get()

    def copy(self) -> Echo:
        return Echo()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[DatagramGuard]:
    """Every guard that is made during a test."""
    found: list[DatagramGuard] = []
    init = guards.DatagramGuard.__init__

    def remember(self: DatagramGuard, *args: Any, **options: Any) -> None:
        init(self, *args, **options)
        found.append(self)

    monkeypatch.setattr(guards.DatagramGuard, "__init__", remember)
    return found


def counted(guard: DatagramGuard, kind: str) -> int:
    """The datagrams of a kind that the media thread has counted on the guard's sockets."""
    transports = [each.transport for each in guard._watched]  # noqa: SLF001  # its sockets
    return sum(each.socket.stats()[kind] for each in transports if isinstance(each, MediaTransport))


def refused(guard: DatagramGuard) -> int:
    """The datagrams that were dropped, by the guard or by the thread in front of it."""
    return guard.refused.total() + counted(guard, "refused")


def passed(guard: DatagramGuard) -> int:
    """Those that were not, but STUN."""
    return guard.passed + counted(guard, "media")


def send(datagrams: Iterable[bytes], targets: Iterable[Address]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for datagram in datagrams:
            for target in targets:
                stranger.sendto(datagram, target)


async def connected() -> tuple[SessionServer, Client, set[Address]]:
    manager = SessionServer()
    manager.serve(Echo().copy)
    client = Client(manager, tone(60.0, 440))
    answer = await client.call()
    await client.until(lambda: client.loud_seconds() > 0.2)
    return manager, client, addresses(str(answer["sdp"]))


async def goes_on(client: Client) -> None:
    """Returns once a second more was received; the session could not do that if it had ended."""
    before_s = client.loud_seconds()
    await client.until(lambda: client.loud_seconds() > before_s + 1.0 or client.closed.is_set())
    assert not client.closed.is_set()


KINDS = {
    "empty": [b""] * 3,
    "one byte": [bytes([first]) for first in range(256)],
    "20 bytes of each kind": [bytes([first]) * 20 for first in range(256)],
    "DTLS": [b"\x16\xfe\xfd" + bytes(10) + random.Random(1).randbytes(60)] * 20,  # noqa: S311
    "a DTLS alert": [struct.pack("!BHHHIHBB", 21, 0xFEFD, 0, 0, 1, 2, 1, 0)] * 20,
    "RTP": [struct.pack("!BBHII", 0x80, 96, number, 0, 7) + bytes(20) for number in range(99)],
    "RTCP": [struct.pack("!BBHI", 0x80, 200, 1, 7) + bytes(20)] * 20,
    "long": [bytes(60_000), b"\x80" * 9_000, b"\x16" * 9_000],
    "STUN of nobody": [check("abcd:efgh", "x" * 22)] * 20,
    "mutated STUN": list(mutations(check("abcd:efgh", "x" * 22), 500)),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_stranger_sends_ends_nothing_and_is_counted(
    kind: str, made: list[DatagramGuard], caplog: pytest.LogCaptureFixture
) -> None:
    manager, client, targets = await connected()
    assert targets
    before = passed(made[0]), refused(made[0])
    send(KINDS[kind], targets)
    await goes_on(client)
    assert refused(made[0]) - before[1] >= 0.9 * len(KINDS[kind]), "some may be lost"
    assert passed(made[0]) - before[0] < 1_000, "those of the call, and none of the stranger's"
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert sum(each.levelno >= logging.WARNING for each in caplog.records) <= 1
    await client.hang_up()
    await manager.wait_idle()


async def test_a_stranger_gets_no_answer() -> None:
    manager, client, targets = await connected()
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.settimeout(0)
        stranger.bind(("0.0.0.0", 0))  # noqa: S104  # whatever address the session is reached at
        for target in targets:
            for datagram in (check("abcd:efgh", "x" * 22), bytes(20), b"\x16" * 100):
                stranger.sendto(datagram, target)
        await goes_on(client)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await loop.sock_recv(stranger, 2048)
    await client.hang_up()
    await manager.wait_idle()


async def test_a_stranger_with_a_valid_user_name_shuts_nobody_out(
    made: list[DatagramGuard],
) -> None:
    manager, client, targets = await connected()
    ice: Any = client.pc.getSenders()[0].transport.transport._connection  # noqa: SLF001
    names = f"{ice.remote_username}:{ice.local_username}"
    dropped = made[0].refused["stun"]
    send([check(names, "x" * 22)] * 300, targets)
    (pair,) = ice._nominated.values()  # noqa: SLF001
    await pair.protocol.request(
        ice.build_request(pair, nominate=False),
        pair.remote_addr,
        integrity_key=ice.remote_password.encode(),
        retransmissions=0,
    )
    assert made[0].refused["stun"] >= dropped + 250, "some may be lost"
    assert made[0].refused["rate"] == 0
    await goes_on(client)
    await client.hang_up()
    await manager.wait_idle()


@pytest.mark.parametrize("modality", ["audio", "video"])
async def test_all_that_a_peer_encrypts_counts_as_a_sign_of_life(
    modality: Modality, made: list[DatagramGuard]
) -> None:
    manager = serve_echo(modality)
    client = Hostile(manager, tone(60.0, 440), modality=modality)
    await client.call()
    times = [made[0]._authentic.last_s]  # noqa: SLF001
    await client.settle()
    times.append(made[0]._authentic.last_s)  # noqa: SLF001
    begin = len(client.video_frames), len(client.audio_frames)
    await client.until(lambda: (len(client.video_frames), len(client.audio_frames)) > begin)
    times.append(made[0]._authentic.last_s)  # noqa: SLF001
    assert times == sorted(set(times))
    await client.hang_up()
    await manager.wait_idle()


async def test_a_forged_source_keeps_nobody_who_vanished(
    made: list[DatagramGuard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "VANISHED_S", 0.8)
    manager, client, _ = await connected()
    connection: Any = client.pc.getSenders()[0].transport.transport._connection  # noqa: SLF001
    (pair,) = connection._nominated.values()  # noqa: SLF001
    transport = pair.protocol.transport
    forge = functools.partial(type(transport).sendto, transport)
    client.vanish()
    before = believed = passed(made[0])
    while len(manager):
        forge(KINDS["RTP"][0], pair.remote_addr)
        await asyncio.sleep(0.02)
        believed = max(believed, passed(made[0]))
    assert believed > before, "where they came from was believed"
    await client.hang_up()


async def test_the_remote_peer_may_send_garbage_and_stays(made: list[DatagramGuard]) -> None:
    manager, client, _ = await connected()
    ice = client.pc.getSenders()[0].transport.transport
    for datagrams in KINDS.values():
        for datagram in datagrams:
            if len(datagram) < 2_000:
                await ice._send(datagram)  # noqa: SLF001  # no public way to send garbage
    await goes_on(client)
    assert refused(made[0]) > 0
    await client.hang_up()
    await manager.wait_idle()


async def test_a_fault_of_a_parser_costs_its_datagram_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    manager, client, _ = await connected()
    (session,) = manager._sessions.values()  # noqa: SLF001
    assert session is not None
    dtls = session.transport._pc.getTransceivers()[0].receiver.transport  # noqa: SLF001

    async def fail(_data: bytes) -> None:
        raise IndexError("index out of range\nINFO: all is well")

    monkeypatch.setattr(dtls, "_handle_rtcp_data", fail)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            await client.pc.getSenders()[0].transport._send_rtp(  # noqa: SLF001
                struct.pack("!BBHI", 0x80, 200, 6, 7) + bytes(20)
            )
        await goes_on(client)
    lines = [each.getMessage() for each in caplog.records]
    assert sum("IndexError" in line for line in lines) <= 1
    assert not any("\n" in line for line in lines)
    await client.hang_up()
    await manager.wait_idle()
