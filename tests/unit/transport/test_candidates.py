"""Addresses of a remote peer that are sent to, and those that never are."""

from __future__ import annotations

import pytest
from aioice import ice

from gradio_webrtc import Limits
from gradio_webrtc._transport.webrtc.candidates import (
    MAX_NAMES,
    CandidateGate,
    parse_candidate,
    take_candidates,
)
from gradio_webrtc.errors import InvalidOffer

OWN = ["10.1.2.3/16", "203.0.113.5/24", "fd12:3456::7/64", "2001:4860::1/64"]
"""A server with an address in a private network, and others that are not."""


def is_let_through(
    host: str,
    *,
    port: int = 50_000,
    protocol: str = "udp",
    own: list[str] = OWN,
    networks: tuple[str, ...] = (),
) -> bool:
    gate = CandidateGate(Limits(candidate_networks=networks), own)
    line = f"candidate:1 1 {protocol} 2122260223 {host} {port} typ host"
    result = gate.lets_through(parse_candidate(line))
    assert gate.refused.total() == (not result)
    return result


@pytest.mark.parametrize(
    "host",
    [
        "8.8.8.8",
        "2606:4700::1111",
        "10.1.200.9",
        "fd12:3456::99",
        "0f6a3d3e-52a6-4d4b-9a5e-5d4a3c2b1a00.local",
    ],
)
def test_addresses_of_the_internet_and_of_the_own_network_are_checked(host: str) -> None:
    assert is_let_through(host)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "0.0.0.0",  # noqa: S104  # nobody binds to it here
        "0.1.2.3",
        "::",
        "169.254.169.254",
        "169.254.1.1",
        "fe80::1",
        "100.100.100.200",
        "168.63.129.16",
        "fd00:ec2::254",
        "192.0.0.192",
        "224.0.0.251",
        "239.1.1.1",
        "ff02::1",
        "255.255.255.255",
        "240.0.0.1",
        "10.2.0.1",
        "10.200.0.1",
        "fd12:3457::1",
        "fd99::1",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        "::ffff:a9fe:a9fe",
        "metadata.google.internal",
        "localhost",
        "a.b.local",
        "127.1",
        "0x7f000001",
        "2130706433",
        "10.1.2.3.local",
        "",
    ],
)
def test_addresses_of_nobody_of_the_machine_and_of_foreign_networks_are_not(host: str) -> None:
    if not host:
        host = "x"
    assert not is_let_through(host)


@pytest.mark.parametrize("port", [0, 1, 53, 80, 1023, 65_536, -1])
def test_ports_of_services_are_not(port: int) -> None:
    assert not is_let_through("8.8.8.8", port=port)


def test_only_udp_is() -> None:
    assert not is_let_through("8.8.8.8", protocol="tcp")
    assert is_let_through("8.8.8.8", protocol="UDP")


def test_networks_that_are_listed_are_allowed_too() -> None:
    assert is_let_through("192.168.1.1", networks=("10.0.0.0/8", "192.168.0.0/16"))
    assert not is_let_through("192.168.1.1", networks=("192.168.2.0/24",))
    assert is_let_through("127.0.0.1", networks=("127.0.0.1",))
    assert is_let_through("fe80::1", networks=("fe80::/10",))
    assert is_let_through("169.254.1.1", networks=("169.254.0.0/16",))


@pytest.mark.parametrize(
    "host", ["224.0.0.1", "100.100.100.200", "169.254.169.254", "::ffff:10.0.0.1", "0.0.0.1"]
)
def test_those_of_nobody_are_not_even_where_everything_is_listed(host: str) -> None:
    assert not is_let_through(host, networks=("0.0.0.0/0", "::/0"))


def test_a_machine_that_has_only_itself_talks_to_itself() -> None:
    assert is_let_through("127.0.0.1", own=["127.0.0.1"])
    assert is_let_through("127.0.0.1", own=[])


def test_a_server_of_the_internet_has_no_private_network() -> None:
    assert not is_let_through("10.0.0.1", own=["8.8.4.4"])


def test_a_network_that_is_neither_is_the_own_as_far_as_its_neighbours() -> None:
    assert is_let_through("192.0.2.77", own=["192.0.2.1/24"])
    assert not is_let_through("198.51.100.7", own=["192.0.2.1/24"])


def test_a_tunnel_to_everywhere_makes_no_network_ones_own() -> None:
    assert not is_let_through("10.0.0.1", own=["10.9.9.9/0"])


def test_those_of_an_offer_and_of_trickle_count_together_and_twice_is_once() -> None:
    gate = CandidateGate(own=OWN)
    lines = [f"candidate:1 1 udp 1 8.8.8.8 {2000 + n} typ host" for n in range(32)]
    assert all(gate.lets_through(parse_candidate(line)) for line in lines)
    assert not any(gate.lets_through(parse_candidate(line)) for line in lines)
    assert gate.refused == {"twice": 32}
    assert not gate.lets_through(parse_candidate("candidate:1 1 udp 1 8.8.4.4 2000 typ host"))
    assert gate.refused["number"] == 1


def test_names_are_asked_for_a_few_times() -> None:
    gate = CandidateGate(own=OWN)
    lines = [f"candidate:1 1 udp 1 name-{n}.local 50000 typ host" for n in range(MAX_NAMES + 3)]
    assert sum(gate.lets_through(parse_candidate(line)) for line in lines) == MAX_NAMES


SDP = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\nm=audio 9 X 0\r\na=mid:0\r\nm=video 9 X 1\r\n"
LINE = "a=candidate:1 1 udp 1 8.8.8.8 2000 typ host"


def test_candidates_are_taken_out_of_an_offer_with_their_sections() -> None:
    found = take_candidates(f"{SDP}{LINE}\r\na=end-of-candidates\r\na=mid:1\r\n", 2)
    assert found.lines == [(1, LINE.removeprefix("a="))]
    assert found.sdp == f"{SDP}a=mid:1\r\n"
    assert take_candidates(SDP.replace("\r\n", "\n"), 0).sdp == SDP.replace("\r\n", "\n")


@pytest.mark.parametrize(
    "end", ["\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
)
def test_no_other_character_ends_a_line(end: str) -> None:
    with pytest.raises(InvalidOffer, match="RFC 8866"):
        take_candidates(f"{SDP}a=x{end}{LINE}\r\n", 32)


def test_too_many_are_refused() -> None:
    lines = "".join(LINE.replace("2000", str(2000 + n)) + "\r\n" for n in range(33))
    with pytest.raises(InvalidOffer, match="at most 32 candidates, got 33"):
        take_candidates(SDP + lines, 32)


def test_a_server_that_offers_itself_alone_has_the_networks_of_its_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    addresses = ice.get_host_addresses(use_ipv4=True, use_ipv6=False)
    monkeypatch.setattr(ice, "get_host_addresses", lambda **_: ["127.0.0.1"])
    gate = CandidateGate()
    for address in [*addresses, "127.0.0.1"]:
        line = f"candidate:1 1 udp 1 {address} 50000 typ host"
        assert gate.lets_through(parse_candidate(line))
