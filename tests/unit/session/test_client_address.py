"""The client behind a request: by its address, or by its session where many share one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from gradio_webrtc._server.bounded import RouteRequest
from gradio_webrtc._session.client_address import Client, client_address, client_of


def request_of(
    host: str | None, forwarded: str = "", session: str | None = "one", **headers: str
) -> Any:
    """A request as Gradio has it."""
    if forwarded:
        headers["x-forwarded-for"] = forwarded
    client = None if host is None else SimpleNamespace(host=host, port=1234)
    return SimpleNamespace(client=client, headers=headers, session_hash=session)


def test_a_program_of_this_process_is_no_client() -> None:
    assert client_of(None) is None
    assert client_address(None) == ""


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("2a00:1450:4001:800::1", "2a00:1450:4001:800::/64"),
        ("2a00:1450:4001:800:ffff::2", "2a00:1450:4001:800::/64"),
    ],
)
def test_a_public_address_is_one_client_whatever_session_it_names(host: str, address: str) -> None:
    assert client_of(request_of(host, session="one")) == Client(address, "one")
    assert client_address(request_of(host, session="two")) == address


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "10.0.0.1", "172.17.0.1", "fe80::1%eth0"])
def test_an_address_that_proxies_have_is_shared_by_sessions(host: str) -> None:
    one, two = (client_of(request_of(host, session=session)) for session in ("one", "two"))
    assert one is not None
    assert two is not None
    assert one.is_shared
    assert one.address == two.address
    assert one.key != two.key


def test_a_proxy_that_is_not_trusted_counts_by_session() -> None:
    client = client_of(request_of("8.8.8.8", "9.9.9.9"))
    assert client == Client("8.8.8.8", "one", is_shared=True)
    assert client_of(request_of("8.8.8.8", forwarded="", forwarded_="")) == Client("8.8.8.8", "one")


def test_an_address_that_the_server_took_from_the_header_is_direct() -> None:
    """Uvicorn trusts proxies on its own machine, and replaces the address of the peer by theirs."""
    assert client_of(request_of("8.8.8.8", "8.8.8.8")) == Client("8.8.8.8", "one")


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("1.1.1.1, 8.8.8.8", "8.8.8.8"),  # the client's own invention comes first
        ("1.1.1.1, 8.8.8.8, 10.0.0.2", "8.8.8.8"),
        ("1.1.1.1, [2a00:1450:4001:800::1]:99", "2a00:1450:4001:800::/64"),
        ("8.8.8.8:4711", "8.8.8.8"),
        ("1.1.1.1, 192.168.1.7", "192.168.1.7"),
    ],
)
def test_a_trusted_proxy_is_believed_for_its_own_peer_alone(forwarded: str, address: str) -> None:
    client = client_of(request_of("10.0.0.1", forwarded), ["10.0.0.0/8"])
    assert client == Client(address, "one")


@pytest.mark.parametrize("forwarded", ["", "nonsense", "1.1.1.1, nonsense", ",,,", "\x00"])
def test_a_trusted_proxy_that_names_nobody_is_shared(forwarded: str) -> None:
    client = client_of(request_of("10.0.0.1", forwarded), ["10.0.0.1"])
    assert client == Client("10.0.0.1", "one", is_shared=True)


def test_what_a_client_sends_is_bounded() -> None:
    client = client_of(request_of("10.0.0.1", "10.0.0.9, " * 5000, "x" * 5000), ["10.0.0.0/8"])
    assert client is not None
    assert len(client.key) < 128


@pytest.mark.parametrize("host", [None, "testclient", ""])
def test_a_request_without_an_address_is_shared(host: str | None) -> None:
    assert client_of(request_of(host)) == Client("", "one", is_shared=True)


def test_a_proxy_may_add_a_line_of_its_own_behind_what_the_client_said() -> None:
    lines = [(b"x-forwarded-for", b"6.6.6.6, 7.7.7.7"), (b"x-forwarded-for", b"203.0.113.9")]
    request = Request(
        {"type": "http", "client": ("10.0.0.1", 1), "headers": lines, "method": "POST", "path": "/"}
    )
    client = client_of(request, ["10.0.0.0/8"])
    assert client is not None
    assert client.address == "203.0.113.9"


def posted_from(host: str | None, forwarded: str = "") -> Request:
    """A request to a route, which came without Gradio."""
    client = None if host is None else (host, 1234)
    lines = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    return RouteRequest({"type": "http", "client": client, "headers": lines, "method": "POST"})


@pytest.mark.parametrize("host", ["172.17.0.1", None])
def test_behind_gradio_only_its_sessions_distinguish(host: str | None) -> None:
    one = client_of(request_of(host, "9.9.9.9", session=None), alias="a")
    assert one == client_of(request_of(host, "8.8.8.8", session=None), alias="b")


@pytest.mark.parametrize("host", ["172.17.0.1", None])
def test_at_a_route_a_shared_address_counts_by_what_proxies_name(host: str | None) -> None:
    one, again, two = (
        client_of(posted_from(host, forwarded), alias=alias)
        for forwarded, alias in (("9.9.9.9", "a"), ("9.9.9.9", "b"), ("8.8.8.8, 10.0.0.1", "c"))
    )
    assert one is not None
    assert two is not None
    assert one == again
    assert one.is_shared
    assert one.key != two.key


@pytest.mark.parametrize("host", ["172.17.0.1", None])
def test_at_a_route_without_that_it_counts_by_the_id_that_is_proposed(host: str | None) -> None:
    one, two = (client_of(posted_from(host), alias=alias) for alias in ("a", "b"))
    assert one is not None
    assert two is not None
    assert one.key != two.key


def test_a_public_address_is_one_client_whatever_id_it_proposes() -> None:
    one, two = (client_of(posted_from("8.8.8.8"), alias=each) for each in ("a", "b"))
    assert one == two == Client("8.8.8.8")


@pytest.mark.parametrize("alias", [None, 3, ["a"], "a" * 100_000, "\ud800" * 200])
def test_an_id_of_any_kind_keeps_the_name_of_a_client_short(alias: object) -> None:
    for forwarded in ("", "9" * 60_000):
        client = client_of(posted_from("10.0.0.1", forwarded), alias=alias)
        assert client is not None
        assert len(client.key) < 200
