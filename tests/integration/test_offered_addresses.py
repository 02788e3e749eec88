"""A server asked to send to addresses of a stranger's choice sends next to nothing."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from aioice import ice
from support.client import Client
from support.serving import SessionServer
from support.signals import tone

from gradio_webrtc import ReplyOnPause
from gradio_webrtc._transport.webrtc import peer
from gradio_webrtc._transport.webrtc.aiortc_internals import datagram_guard as guards

if TYPE_CHECKING:
    import pytest

OFFERED = 32


def serving() -> SessionServer:
    manager = SessionServer()
    manager.serve(ReplyOnPause(lambda audio: audio).copy)
    return manager


async def offer_with(lines: list[str]) -> dict[str, Any]:
    client = Client(serving())
    offer = await client.offer()
    await client.pc.close()
    rest = [line for line in offer["sdp"].splitlines() if not line.startswith("a=candidate")]
    rest = [line for line in rest if line != "a=end-of-candidates"]
    # In the first section, whose transport all of them use.
    second = [index for index, line in enumerate(rest) if line.startswith("m=")][1]
    return {**offer, "sdp": "\r\n".join([*rest[:second], *lines, *rest[second:], ""])}


class Listeners(asyncio.DatagramProtocol):
    """Counts what comes to any of its sockets."""

    def __init__(self) -> None:
        self.came = 0

    def datagram_received(self, data: bytes, addr: Any) -> None:  # noqa: ARG002
        self.came += 1


async def test_addresses_that_nobody_answers_from_get_a_bounded_number_of_packets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer, "CONNECT_TIMEOUT_S", 4.0)
    listeners, loop, manager = Listeners(), asyncio.get_running_loop(), serving()
    host = ice.get_host_addresses(use_ipv4=True, use_ipv6=False)[0]
    with ExitStack() as stack:
        lines = []
        for _ in range(OFFERED):
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.bind((host, 0))
            transport, _ = await loop.create_datagram_endpoint(lambda: listeners, sock=sock)
            stack.callback(transport.close)
            lines.append(f"a=candidate:1 1 udp 1 {host} {sock.getsockname()[1]} typ host")
        answer = await manager.handle_request(await offer_with(lines))
        assert "sdp" in answer
        await manager.wait_idle()
    assert OFFERED < listeners.came <= guards.MAX_UNASKED


async def test_an_unknown_host_name_delays_no_answer_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = asyncio.Event()

    async def never(_connection: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(ice, "get_or_create_mdns_protocol", never)
    manager = serving()
    offer = await offer_with(["a=candidate:1 1 udp 1 some-name.local 50000 typ host"])
    answer = await manager.handle_request(offer)
    assert "sdp" in answer
    await asked.wait()
    body = {"type": "close", "webrtc_id": offer["webrtc_id"], "secret": answer["secret"]}
    await manager.handle_request(body)
    await manager.wait_idle()
    assert not any("_resolve" in repr(task) for task in asyncio.all_tasks())


async def test_who_offers_no_address_that_may_be_checked_connects_nevertheless() -> None:
    manager = serving()
    client = Client(manager, tone(1.0, 440))
    offer = client.offer

    async def with_a_name_alone() -> dict[str, Any]:
        body = await offer()
        lines = [line for line in body["sdp"].splitlines() if not line.startswith("a=candidate")]
        name = "a=candidate:1 1 udp 1 some-name.local 50000 typ host"
        return {**body, "sdp": "\r\n".join([*lines, name, ""])}

    client.offer = with_a_name_alone  # type: ignore[method-assign]
    await client.call()
    assert client.pc.connectionState == "connected"
    await client.hang_up()
    await manager.wait_idle()
