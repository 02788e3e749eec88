"""The two ends of a session in two networks, as programs that exchange their requests in lines.

``nat_ends.py server UDP_PORTS HOST_CANDIDATES CONNECT_TIMEOUT_S`` reads an offer, writes its
answer, and writes "ended" when the session is over. ``nat_ends.py client`` writes an offer, reads
the answer, and writes "heard" when it has received an echo of itself. The arguments are JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from support.client import Client
from support.serving import SessionServer
from support.signals import tone

from gradio_webrtc import AsyncStreamHandler, Limits
from gradio_webrtc._addresses import read_addresses
from gradio_webrtc._transport.webrtc import peer

CLIENTS = "198.51.100.0/24"
"""The network of the clients, whose addresses are for documents alone, and no machine's."""


class Echo(AsyncStreamHandler):
    """Gives back what it receives."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: asyncio.Queue[Any] = asyncio.Queue()

    async def receive(self, frame: Any) -> None:
        self.frames.put_nowait(frame)

    async def emit(self) -> Any:
        return await self.frames.get()

    def copy(self) -> Echo:
        return Echo()


class Lines:
    """As much of a server as a client needs, at the other end of standard input and output."""

    async def handle_request(self, body: dict[str, Any]) -> dict[str, Any]:
        write(json.dumps(body))
        answer: dict[str, Any] = json.loads(await read())
        return answer


def write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def read() -> str:
    return await asyncio.to_thread(sys.stdin.readline)


async def serve(udp_ports: Any, host_candidates: Any, connect_timeout_s: float) -> None:
    peer.CONNECT_TIMEOUT_S = connect_timeout_s  # type: ignore[misc]  # of this program alone
    server = SessionServer()
    addresses = read_addresses(udp_ports, host_candidates)
    server.serve(Echo, addresses=addresses, limits=Limits(candidate_networks=(CLIENTS,)))
    write(json.dumps(await server.handle_request(json.loads(await read()))))
    await server.wait_idle()
    write("ended")


async def call() -> None:
    client = Client(Lines(), tone(60.0, 440))  # type: ignore[arg-type]  # the part that it calls
    await client.call()
    await client.until(lambda: client.loud_seconds() > 0.5)
    write("heard")
    await client.hang_up()


if __name__ == "__main__":
    role, *arguments = sys.argv[1:]
    asyncio.run(serve(*map(json.loads, arguments)) if role == "server" else call())
