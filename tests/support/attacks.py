"""Attacks on a server, each as much as one attacker does in a moment."""

from __future__ import annotations

import asyncio
import random
import socket
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .datagrams import addresses, check, mutations
from .hostile_page import HOSTILE
from .offers import BROWSERS, make_sdp
from .page import PageClient
from .soak_calls import connect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .page import GradioPage

SILENCE: Final = np.zeros(48_000, np.int16)


async def send_garbage(page: GradioPage) -> None:
    """Sends datagrams of all kinds to the port of a session of the attacker's own."""
    client = await connect(page, "echo", SILENCE)
    made = random.Random(1)  # noqa: S311  # garbage
    datagrams = [
        b"",
        *(bytes([first]) * 40 for first in range(256)),
        *mutations(check("abcd:efgh", "x" * 22), 500),
        *(made.randbytes(made.randrange(1500)) for _ in range(500)),
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.settimeout(0)
        for _ in range(5):
            for target in addresses(client.pc.remoteDescription.sdp):
                for datagram in datagrams:
                    stranger.sendto(datagram, target)
            await asyncio.sleep(0.1)
    await client.hang_up()


async def _offer() -> dict[str, Any]:
    return {"type": "offer", "sdp": await make_sdp("audio")}


async def offer_and_never_connect(page: GradioPage) -> None:
    """Makes ten offers of which none becomes a session."""
    offer = await _offer()
    component = page.component("webrtc", "echo")
    for number in range(10):
        body = {**offer, "webrtc_id": f"{random.getrandbits(64)}-{number}"}  # an id
        await page.call_server(component, "offer", body)


def _of_many(sdp: str, line: str, count: int) -> str:
    """An offer with lines that are compared with each other."""
    codecs = "".join(f"a=rtpmap:{14 + each} opus/48000/2\r\n" for each in range(45))
    lines = "".join(line.replace("%d", str(each)) for each in range(count))
    return sdp.replace("a=rtcp-mux\r\n", f"a=rtcp-mux\r\n{codecs}{lines}", 1)


async def offer_nonsense(page: GradioPage) -> None:
    """Makes offers that cannot be answered, some of them large."""
    offer = await _offer()
    component = page.component("webrtc", "echo")
    for sdp in (
        offer["sdp"].replace("a=setup", "a=x"),
        offer["sdp"].replace("a=rtpmap", "a=rtpmop"),
        offer["sdp"] + "a=candidate:1 1 udp 1 192.0.2.1 5000 typ host\r\n" * 30,
        _of_many(BROWSERS["chromium-audio"], "a=rtcp-fb:* x%d\r\n", 2_500),
        _of_many(BROWSERS["chromium-audio"], "a=rtcp-fb:111 x%d\r\n", 250),
        "v=0\r\n" + "m=audio 9 RTP/AVP 0\r\n" * 2_000,
        "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\n" + "a=fmtp:96 a=b\r\n" * 3_000,
    ):
        body = {**offer, "sdp": sdp, "webrtc_id": f"{random.getrandbits(64)}"}  # an id
        await page.call_server(component, "offer", body)


async def write_without_end(page: GradioPage) -> None:
    """Sends text on the data channel as fast as it goes."""
    client = await connect(page, "echo", SILENCE)
    for _ in range(500):
        if client.channel.readyState == "open":
            client.channel.send("x" * 5_000)
        await asyncio.sleep(0.001)
    await client.hang_up()


async def ask_for_servers(page: GradioPage) -> None:
    """Asks for the configuration of a session, which may cost a request to somebody else."""
    for _ in range(50):
        await page.call_server(page.component("webrtc", "echo"), "turn", None)


async def guess_ids(page: GradioPage) -> None:
    """Tries requests with ids and secrets that were made up."""
    component = page.component("webrtc", "echo")
    for webrtc_id in ("__webrtc_value__", "", "a" * 10_000, "\ud800", None, 7, "a\nb"):
        for kind in ("close", "candidates", "ice-candidate"):
            body = {"type": kind, "webrtc_id": webrtc_id, "secret": "x", "candidate": None}
            try:
                await page.call_server(component, "offer", body)
            except (AssertionError, UnicodeError):
                continue


async def come_and_go(page: GradioPage) -> None:
    """Connects and hangs up at once."""
    client = PageClient(page, page.component("webrtc", "count"), SILENCE)
    await client.call()
    await client.hang_up()


ATTACKS: Final[dict[str, Callable[[GradioPage], Awaitable[None]]]] = {
    each.__name__: each
    for each in (
        send_garbage,
        offer_and_never_connect,
        offer_nonsense,
        write_without_end,
        ask_for_servers,
        guess_ids,
        come_and_go,
        *HOSTILE,
    )
}
