"""A server behind a NAT that forwards two UDP ports, as a container's or a cloud machine's does."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support.forked import start
from support.networks import Network, empty_network

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.network

PROGRAM = Path(__file__).parent.parent / "support" / "nat_ends.py"

OWN, PUBLIC = "10.0.0.5", "203.0.113.7"

RULES = f"""
table ip nat {{
    chain prerouting {{
        type nat hook prerouting priority dstnat
        ip daddr {PUBLIC} udp dport 50000-50001 dnat to {OWN}
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat
        oifname "outside" snat to {PUBLIC}
    }}
    chain forward {{
        type filter hook forward priority filter; policy drop
        ct state established,related accept
        ct status dnat accept
    }}
}}
"""
"""A router: packets to two ports are forwarded, with their answers, and no others pass."""

NEVER_S = 2.0
"""The time that a session has that is not to connect, in seconds."""


class Networks(NamedTuple):
    """Two networks, with a router between them."""

    outside: Network
    inside: Network


@pytest.fixture(scope="module")
def networks() -> Iterator[Networks]:
    with (
        empty_network() as router,
        empty_network(router) as outside,
        empty_network(router) as inside,
    ):
        router.link("outside", "198.51.100.1/24", outside, "198.51.100.9/24")
        router.link("inside", "10.0.0.1/24", inside, f"{OWN}/24")
        router.run("ip", "address", "add", f"{PUBLIC}/32", "dev", "outside")
        router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        router.run("nft", "-f", "-", text=RULES)
        outside.run("ip", "route", "add", "default", "via", "198.51.100.1")
        inside.run("ip", "route", "add", "default", "via", "10.0.0.1")
        yield Networks(outside, inside)


@contextmanager
def session(networks: Networks, *terms: Any, connect_timeout_s: float) -> Iterator[Any]:
    """Begins a session of a client outside with a server inside; yields both programs."""
    arguments = [json.dumps(each) for each in (*terms, connect_timeout_s)]
    server_command = [str(PROGRAM), "server", *arguments]
    with (
        start(server_command, os.environ, networks.inside.namespaces) as server,
        start([str(PROGRAM), "client"], os.environ, networks.outside.namespaces) as client,
    ):
        try:
            server.stdin.write(client.stdout.readline())
            client.stdin.write(server.stdout.readline())
            yield client, server
        finally:
            client.kill()
            server.kill()


@pytest.mark.parametrize(
    ("udp_ports", "host_candidates"), [(50_000, [PUBLIC]), ((50_000, 50_001), {OWN: PUBLIC})]
)
def test_a_session_connects_with_the_forwarded_ports_and_the_public_address(
    networks: Networks, udp_ports: Any, host_candidates: Any
) -> None:
    with session(networks, udp_ports, host_candidates, connect_timeout_s=60.0) as (client, _):
        assert client.stdout.readline() == b"heard\n"


@pytest.mark.parametrize(
    ("udp_ports", "host_candidates"), [(None, None), (50_000, None), (None, [PUBLIC])]
)
def test_a_session_connects_with_neither_alone(
    networks: Networks, udp_ports: Any, host_candidates: Any
) -> None:
    with session(networks, udp_ports, host_candidates, connect_timeout_s=NEVER_S) as (
        client,
        server,
    ):
        assert server.stdout.readline() == b"ended\n"
        client.kill()
        assert client.stdout.read() == b""
