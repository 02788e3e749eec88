"""Sessions through a real TURN server, over UDP and over TCP."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy
from numpy.typing import NDArray
from support.client import Client
from support.documents import blocks, edited
from support.ffmpeg_publisher import make_certificate
from support.serving import SessionServer
from support.signals import chirp, pieces_found
from support.turn_server import TurnServer, configured_turn_server, free_port, turn_server

from gradio_webrtc import AsyncStreamHandler

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gradio_webrtc.types import EmitType

pytestmark = pytest.mark.network

Frame = tuple[int, NDArray[np.int16]]

HERE = """
listening-ip=127.0.0.1
relay-ip=127.0.0.1
allow-loopback-peers
log-file=stdout
pidfile={folder}/pid
userdb={folder}/users
"""
"""The options that a relay of the machine itself needs, for peers on the loopback address."""


class Echo(AsyncStreamHandler):
    """Gives back what it receives."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()

    async def receive(self, frame: Frame) -> None:
        self.frames.put_nowait(frame)

    async def emit(self) -> EmitType:
        return await self.frames.get()

    def copy(self) -> Echo:
        return Echo()


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TurnServer]:
    with turn_server(tmp_path_factory.mktemp("turn")) as server:
        yield server


def serve(*ice_servers: dict[str, Any]) -> SessionServer:
    manager = SessionServer(ice_servers)
    manager.serve(Echo)
    return manager


def relayed(ice_server: dict[str, Any]) -> RTCConfiguration:
    """A page behind a firewall: nothing but the relay leads out."""
    return RTCConfiguration(
        iceServers=[RTCIceServer(**ice_server)], iceTransportPolicy=RTCIceTransportPolicy.RELAY
    )


def candidate_types(sdp: object) -> set[str]:
    return set(re.findall(r"^a=candidate:.* typ (\w+)", str(sdp), re.MULTILINE))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_audio_goes_there_and_back_through_the_relay(
    relay: TurnServer, transport: str
) -> None:
    ice_server = relay.ice_server(transport)
    manager = serve(ice_server)
    sent = chirp(2.0)
    microphone = np.concatenate([np.zeros(24_000, np.int16), sent])
    client = Client(manager, microphone, configuration=relayed(ice_server))
    answer = await client.call()
    await client.until(lambda: client.loud_seconds() >= 1.9)
    offered = candidate_types(client.pc.localDescription.sdp)
    await client.hang_up()
    await manager.wait_idle()
    assert offered == {"relay"}, "there was no way around the relay"
    assert "relay" in candidate_types(answer["sdp"]), "our own side has an address there too"
    places = [place for place in pieces_found(client.received_audio(), sent) if place >= 0]
    assert len(places) >= 9
    assert places == sorted(places)


async def test_a_server_that_is_refused_by_its_relay_can_be_called_directly(
    relay: TurnServer,
) -> None:
    manager = serve(relay.ice_server("udp", "expired"))
    client = Client(manager)
    answer = await client.call()
    await client.hang_up()
    await manager.wait_idle()
    assert "relay" not in candidate_types(answer["sdp"])


async def test_our_addresses_follow_the_answer_when_the_relay_is_silent() -> None:
    silent = {"urls": "turn:127.0.0.1:9?transport=udp", "username": "x", "credential": "x"}
    manager = serve(silent)
    client = Client(manager)
    answer = await client.call()
    await client.hang_up()
    await manager.wait_idle()
    assert answer["candidates_follow"] is True
    assert candidate_types(answer["sdp"]) == set()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_the_relay_of_the_guide_takes_the_credentials_of_the_guide(
    transport: str, tmp_path: Path
) -> None:
    (configuration,) = blocks("ini")
    (program,) = (each for each in blocks("python") if "a-long-random-text" in each)
    port, files = free_port(), make_certificate(tmp_path)
    pieces = {
        "\nlistening-port=3478": f"\nlistening-port={port}",
        "tls-listening-port=5349": f"tls-listening-port={free_port()}",
        "/etc/ssl/turn.example.com.pem": files["cert_file"],
        "/etc/ssl/turn.example.com.key": files["key_file"],
    }
    here = HERE.format(folder=tmp_path)
    (tmp_path / "turnserver.conf").write_text(edited(configuration, pieces) + here, "utf-8")
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102 - ours
    (ice_server,) = names["turn_credentials"]()["iceServers"]
    ice_server["urls"] = f"turn:127.0.0.1:{port}?transport={transport}"
    with configured_turn_server(tmp_path / "turnserver.conf", port):
        manager = SessionServer([])
        manager.serve(Echo)
        client = Client(manager, chirp(2.0), configuration=relayed(ice_server))
        await client.call()
        await client.until(lambda: client.loud_seconds() >= 1)
        offered = candidate_types(client.pc.localDescription.sdp)
        await client.hang_up()
        await manager.wait_idle()
    assert offered == {"relay"}
