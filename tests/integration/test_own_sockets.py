"""`udp_ports` and `host_candidates`, over real connections on this machine."""

from __future__ import annotations

import asyncio
import random
import re
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from aioice import ice
from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy
from numpy.typing import NDArray
from support.client import Client
from support.datagrams import check
from support.serving import SessionServer
from support.signals import chirp, pieces_found
from support.turn_server import TurnServer, turn_server

from gradio_webrtc import AsyncStreamHandler, Limits
from gradio_webrtc._addresses import read_addresses
from gradio_webrtc._transport.webrtc import peer
from gradio_webrtc._transport.webrtc.aiortc_internals import (
    names,
    own_sockets,
    probe,
    udp_mux,
)
from gradio_webrtc._transport.webrtc.quiet_log import QuietLog

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradio_webrtc.types import EmitType

pytestmark = pytest.mark.network

PUBLIC = "203.0.113.7"
MANY = Limits(unconnected_offers=20, offers_per_minute=600)

Frame = tuple[int, NDArray[np.int16]]


class Echo(AsyncStreamHandler):
    """Gives back what it receives, and keeps it."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=48_000, output_sample_rate=48_000)
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()
        self.received: list[NDArray[np.int16]] = []

    async def receive(self, frame: Frame) -> None:
        self.received.append(frame[1].reshape(-1))
        self.frames.put_nowait(frame)

    async def emit(self) -> EmitType:
        return await self.frames.get()

    def copy(self) -> Echo:
        return Echo()


def serving(
    udp_ports: Any = None, host_candidates: Any = None, ice_servers: Sequence[Any] = ()
) -> SessionServer:
    server = SessionServer(ice_servers)
    addresses = read_addresses(udp_ports, host_candidates)
    server.serve(Echo, addresses=addresses, concurrency_limit=20, limits=MANY)
    return server


def own_addresses() -> list[str]:
    return list(ice.get_host_addresses(use_ipv4=True, use_ipv6=True)) or ["127.0.0.1"]


def taken(stack: ExitStack, port: int) -> None:
    """Takes a port on all addresses of this machine, as another program would."""
    for host in own_addresses():
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        stack.enter_context(socket.socket(family, socket.SOCK_DGRAM)).bind((host, port))


@pytest.fixture
def first_port() -> int:
    """The first of three ports in a row that are free; the kernel gives them to nobody else."""
    while True:
        port = random.randrange(20_000, 30_000)  # noqa: S311  # no secret
        with ExitStack() as stack:
            try:
                for each in range(port, port + 3):
                    taken(stack, each)
            except OSError:
                continue
        return port


def candidates_of(sdp: object) -> set[tuple[str, int, str]]:
    """The address, the port and the type of each candidate."""
    found = re.findall(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ (\w+)", str(sdp), re.MULTILINE)
    return {(host, int(port), kind) for host, port, kind in found}


def ports_of(answer: dict[str, Any]) -> set[int]:
    return {port for _, port, kind in candidates_of(answer["sdp"]) if kind == "host"}


def open_sockets() -> dict[Any, udp_mux.UdpMux]:
    return udp_mux._muxes.here().sockets  # noqa: SLF001  # what is open here


class Arrived(NamedTuple):
    """The part of a client's audio that has arrived.

    Attributes:
        pieces: The number of pieces of a tenth of a second, in order.
        lost: The number of packets that are missing.
    """

    pieces: int
    lost: int


def speaker(server: SessionServer, sent: NDArray[np.int16], **options: Any) -> Client:
    """A client with this audio, after half a second of silence."""
    return Client(server, np.concatenate([np.zeros(24_000, np.int16), sent]), **options)


async def hear_all(server: SessionServer, client: Client, sent: NDArray[np.int16]) -> Arrived:
    """Waits for all of it and its echo; then, what came to the server, and what has been lost."""
    handler: Any = server.handlers()[client.webrtc_id]
    end_s = 0.5 + sent.size / 48_000 + 0.1
    await client.until(
        lambda: (
            sum(map(len, handler.received)) >= 48_000 * end_s
            and client.loud_seconds() >= end_s - 0.7
        )
    )
    found = pieces_found(np.concatenate(handler.received), sent)
    places = [place for place in found if place >= 0]
    assert places == sorted(places)
    stats = server.stats(client.webrtc_id)
    assert stats is not None
    return Arrived(len(places), stats.transport.packets_lost)


# ------------------------------------------------------------------------------ one port for all


async def test_eight_sessions_at_once_share_one_port_and_lose_nothing(first_port: int) -> None:
    server = serving(first_port)
    sent = chirp(1.0)
    clients = [speaker(server, sent) for _ in range(8)]
    answers = await asyncio.gather(*(client.call() for client in clients))
    arrived = await asyncio.gather(*(hear_all(server, client, sent) for client in clients))
    shared = list(open_sockets().values())
    await asyncio.gather(*(client.hang_up() for client in clients))
    await server.wait_idle()
    assert {port for answer in answers for port in ports_of(answer)} == {first_port}
    assert len(shared) == len(own_addresses())
    assert arrived == [Arrived(pieces=10, lost=0)] * 8
    assert open_sockets() == {}


async def test_the_next_session_opens_the_port_that_the_last_one_closes(first_port: int) -> None:
    server = serving(first_port)
    for _ in range(3):
        client = Client(server)
        answer = await client.call()
        assert ports_of(answer) == {first_port}
        ended = asyncio.get_running_loop().create_task(server.wait_idle())
        await client.hang_up()
        await ended


async def test_a_socket_that_closes_is_waited_for(first_port: int) -> None:
    host = own_addresses()[0]

    class Session(asyncio.DatagramProtocol):
        transport: Any = None

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

    for number in range(3):
        session = Session()
        await udp_mux.share_socket(session, host, first_port, f"name{number}", "p" * 22)
        session.transport.close()
    assert [each.is_open for each in open_sockets().values()] == [False]
    await asyncio.gather(*(each.closed for each in open_sockets().values()))
    assert open_sockets() == {}


async def test_strangers_at_the_shared_port_disturb_nobody(first_port: int) -> None:
    server = serving(first_port)
    sent = chirp(2.0)
    client = speaker(server, sent)
    answer = await client.call()
    name = re.search(r"a=ice-ufrag:(\S+)", str(answer["sdp"]))
    assert name is not None
    garbage = [
        bytes([first]) + random.Random(first).randbytes(99)  # noqa: S311  # garbage
        for first in range(256)
    ]
    garbage += [check(f"{name[1]}:x", "p" * 22), check("none:x", "p" * 22), b"", b"\x16" * 1_400]
    before = sum(each.refused for each in open_sockets().values())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        host, *_ = (each for each, *_ in open_sockets() if ":" not in each)
        while client.loud_seconds() < 1.9:
            for datagram in garbage:
                stranger.sendto(datagram, (host, first_port))
            await asyncio.sleep(0.02)
    refused = sum(each.refused for each in open_sockets().values()) - before
    routes = [len(each._routes) for each in open_sockets().values()]  # noqa: SLF001
    arrived = await hear_all(server, client, sent)
    await client.hang_up()
    await server.wait_idle()
    assert refused > 5 * len(garbage)
    assert max(routes) <= 2, "no address of a stranger is kept"
    assert arrived == Arrived(pieces=20, lost=0)


# --------------------------------------------------------------------------- a port for each


async def test_a_range_of_two_ports_has_room_for_two_sessions(
    first_port: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = QuietLog(own_sockets.logger, "refused")
    monkeypatch.setattr(own_sockets, "_refusals", refusals)
    server = serving((first_port, first_port + 1))
    clients = [Client(server) for _ in range(5)]
    ports = [*ports_of(await clients[0].call()), *ports_of(await clients[1].call())]
    refusal = await clients[2].call()
    await asyncio.gather(*(each.hang_up() for each in clients[:2]))
    await server.wait_idle()
    ports += [*ports_of(await clients[3].call()), *ports_of(await clients[4].call())]
    await asyncio.gather(*(each.hang_up() for each in clients[3:]))
    await server.wait_idle()
    assert refusal["meta"]["error"] == "server_busy"
    assert "no UDP port of the server is free" in refusal["meta"]["message"]
    assert f"each session takes one of {first_port} to {first_port + 1}" in caplog.text
    assert sorted(ports) == [first_port, first_port, first_port + 1, first_port + 1]


@pytest.mark.parametrize("count", [1, 2])
async def test_ports_of_another_program_are_left_to_it(first_port: int, count: int) -> None:
    server = serving(range(first_port, first_port + count))
    with ExitStack() as stack:
        for port in range(first_port, first_port + count):
            taken(stack, port)
        refusal = await Client(server).call()
    assert refusal["meta"]["error"] == "server_busy"
    client = Client(server)
    answer = await client.call()
    assert ports_of(answer) <= set(range(first_port, first_port + count))
    await client.hang_up()
    await server.wait_idle()


async def test_a_port_that_is_taken_on_one_address_is_used_on_none(first_port: int) -> None:
    server = serving((first_port, first_port + 1))
    host = own_addresses()[-1]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    client = Client(server)
    with socket.socket(family, socket.SOCK_DGRAM) as other:
        other.bind((host, first_port))
        assert ports_of(await client.call()) == {first_port + 1}
        await client.hang_up()
        await server.wait_idle()
    with ExitStack() as stack:
        taken(stack, first_port)  # nothing of the attempt is left there


# ------------------------------------------------------------------------- what is offered


async def test_public_addresses_are_offered_and_no_own_ones(first_port: int) -> None:
    server = serving(first_port, [PUBLIC, "2001:db8::7"])
    client = Client(server)
    offer = await client.offer()
    answer = await server.handle_request(offer)
    await client.hang_up()
    await server.handle_request({**answer, "type": "close"})
    await server.wait_idle()
    versions = {":" in each for each in own_addresses()}
    expected = {"2001:db8::7" if is_six else PUBLIC for is_six in versions}
    assert {host for host, *_ in candidates_of(answer["sdp"])} == expected
    assert not any(host in answer["sdp"] for host in own_addresses())


async def test_candidates_that_follow_the_answer_are_the_offered_ones(
    first_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "GATHER_TIMEOUT_S", 0.1)
    silent = {"urls": "turn:127.0.0.1:9?transport=udp", "username": "x", "credential": "x"}
    server = serving(first_port, [PUBLIC], [silent, {"urls": "stun:127.0.0.1:9"}])
    client = Client(server)
    answer = await server.handle_request(await client.offer())
    names_of = {"webrtc_id": answer["webrtc_id"], "secret": answer["secret"]}
    follow = await server.handle_request({**names_of, "type": "candidates"})
    await client.hang_up()
    await server.handle_request({**names_of, "type": "close"})
    await server.wait_idle()
    lines = "\n".join(f"a={each['candidate']}" for each in follow["candidates"])
    assert (PUBLIC, first_port, "host") in candidates_of(lines)
    assert not any(host in lines for host in own_addresses() if ":" not in host)


async def test_a_public_address_may_stand_for_one_of_the_machine(first_port: int) -> None:
    own = next(each for each in own_addresses() if ":" not in each)
    others = {each for each in own_addresses() if each != own}
    server = serving((first_port, first_port + 1), {own: PUBLIC})
    client = Client(server)
    answer = await server.handle_request(await client.offer())
    await client.hang_up()
    await server.handle_request({**answer, "type": "close"})
    await server.wait_idle()
    assert {host for host, *_ in candidates_of(answer["sdp"])} == {PUBLIC, *others}


async def test_public_addresses_need_no_ports() -> None:
    server = serving(None, [PUBLIC, *own_addresses()])
    client = Client(server)
    answer = await client.call()
    await client.hang_up()
    await server.wait_idle()
    assert {host for host, *_ in candidates_of(answer["sdp"])} == {PUBLIC, *own_addresses()}


async def test_a_dict_without_any_own_address_is_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = serving(None, {"10.255.255.1": PUBLIC})
    client = Client(server)
    await client.call()
    await client.hang_up()
    await server.wait_idle()
    assert "host_candidates has none of this machine's addresses: it has" in caplog.text


# ----------------------------------------------------------------------------- STUN and TURN


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TurnServer]:
    with turn_server(tmp_path_factory.mktemp("turn")) as server:
        yield server


@pytest.mark.parametrize("count", [1, 2])
async def test_a_client_behind_a_relay_reaches_the_chosen_ports(
    relay: TurnServer, first_port: int, count: int
) -> None:
    server = serving(range(first_port, first_port + count))
    configuration = RTCConfiguration(
        iceServers=[RTCIceServer(**relay.ice_server("udp"))],
        iceTransportPolicy=RTCIceTransportPolicy.RELAY,
    )
    sent = chirp(1.0)
    client = speaker(server, sent, configuration=configuration)
    await client.call()
    arrived = await hear_all(server, client, sent)
    await client.hang_up()
    await server.wait_idle()
    assert arrived == Arrived(pieces=10, lost=0)


@pytest.mark.parametrize("count", [1, 2])
async def test_stun_and_turn_go_on_beside_chosen_ports(
    relay: TurnServer, first_port: int, count: int
) -> None:
    stun = {"urls": f"stun:127.0.0.1:{relay.port}"}
    ports = range(first_port, first_port + count)
    server = serving(ports, None, [stun, relay.ice_server("udp")])
    sent = chirp(1.0)
    client = speaker(server, sent)
    answer = await client.call()
    arrived = await hear_all(server, client, sent)
    await client.hang_up()
    await server.wait_idle()
    found = candidates_of(answer["sdp"])
    assert arrived == Arrived(pieces=10, lost=0)
    assert {kind for *_, kind in found} == {"host", "srflx", "relay"}
    assert {port for _, port, kind in found if kind != "relay"} <= set(ports)


# --------------------------------------------------------------------- an aioice of another kind


@pytest.mark.parametrize("name", names.ADDRESSES.names["aioice.ice"])
async def test_without_a_name_sessions_use_any_port(
    name: str, first_port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class OtherProbe:
        """The probe where one name is missing."""

        @staticmethod
        def has(aspect: names.Aspect) -> bool:
            return name not in aspect.names.get("aioice.ice", ()) and probe.has(aspect)

    monkeypatch.setattr(own_sockets, "probe", OtherProbe)
    server = serving(first_port, [PUBLIC])
    client = Client(server)
    answer = await client.call()
    await client.hang_up()
    await server.wait_idle()
    assert first_port not in ports_of(answer)
    assert PUBLIC not in answer["sdp"]
    assert not [each for each in caplog.records if each.levelname == "ERROR"]
