"""Web pages are let in by their origin, hosts by their names, proxies by their addresses."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from gradio_webrtc._session import origins
from gradio_webrtc._session.origins import (
    PublicAddress,
    Site,
    check_request,
    check_socket,
    public_address,
    read_origins,
)
from gradio_webrtc.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = ("127.0.0.1", 7860)
PUBLIC = ("198.51.100.7", 443)


@pytest.fixture(autouse=True)
def _first_warning() -> Iterator[None]:
    origins._warned_s.clear()  # noqa: SLF001 - the minute of another test
    yield
    origins._warned_s.clear()  # noqa: SLF001 - the minute of this test


def request(
    server: tuple[str, int] = PUBLIC,
    client: tuple[str, int] | None = ("203.0.113.5", 1),
    scheme: str = "http",
    **headers: str,
) -> Any:
    """A request as Starlette has it; headers are written with underscores."""
    fields = {"content-type": "application/json", "host": "example.com"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {"server": server, "client": client, "scheme": scheme}
    return SimpleNamespace(headers=fields, scope=scope)


def is_let_in(site: Site, **parts: Any) -> bool:
    try:
        check_request(request(**parts), site)
    except RequestRefused:
        return False
    return True


@pytest.mark.parametrize(
    ("parts", "is_in"),
    [
        # Programs send no Origin.
        ({}, True),
        ({"origin": "http://example.com"}, True),
        ({"origin": "http://example.com:80"}, True),
        ({"origin": "HTTP://EXAMPLE.com"}, True),
        ({"origin": "http://example.com", "host": "example.com:80"}, True),
        ({"origin": "http://example.com:8080"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "http://example.com.evil.example"}, False),
        ({"origin": "http://example.com@evil.example"}, False),
        ({"origin": "http://evil.example/?http://example.com"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({"origin": "ftp://example.com"}, False),
        ({"origin": "http://example.com:x"}, False),
        # A proxy that ends TLS, and the other way round.
        ({"origin": "https://example.com"}, True),
        ({"origin": "http://example.com", "scheme": "https", "host": "example.com:80"}, False),
        # The browser compares the origins itself.
        ({"origin": "https://x.example", "sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"origin": "http://example.com", "sec_fetch_site": "same-site"}, False),
        ({"origin": "http://example.com", "sec_fetch_site": "cross-site"}, False),
        ({"origin": "null", "sec_fetch_site": "same-origin"}, False),
        # Kinds of content that a page can post without a preflight.
        ({"content_type": "application/json; charset=utf-8"}, True),
        ({"content_type": "text/plain"}, False),
        ({"content_type": ""}, False),
        ({"content_type": "application/json-patch+json"}, False),
    ],
)
def test_a_page_has_the_origin_of_the_server(parts: dict[str, Any], *, is_in: bool) -> None:
    assert is_let_in(Site(), **parts) == is_in


@pytest.mark.parametrize(
    ("parts", "is_in"),
    [
        ({"host": "localhost:7860"}, True),
        ({"host": "app.localhost:7860"}, True),
        ({"host": "127.0.0.1:7860"}, True),
        ({"host": "[::1]:7860"}, True),
        ({"host": "192.168.1.5:7860", "origin": "http://192.168.1.5:7860"}, True),
        ({"host": "evil.example:7860"}, False),
        ({"host": "evil.example:7860", "origin": "http://evil.example:7860"}, False),
        ({"host": "evil.example:7860", "sec_fetch_site": "same-origin"}, False),
        ({"host": "127.0.0.1.evil.example"}, False),
        ({"host": "localhost.evil.example"}, False),
        ({"host": ""}, False),
        # A tunnel: a rebound name has no certificate for https.
        ({"host": "x.gradio.live", "origin": "https://x.gradio.live"}, True),
        ({"host": "x.gradio.live", "origin": "https://y.gradio.live"}, False),
    ],
)
def test_on_loopback_a_host_is_a_name_that_leads_here(
    parts: dict[str, Any], *, is_in: bool
) -> None:
    assert is_let_in(Site(), server=LOOPBACK, **parts) == is_in


def test_a_name_that_gradio_published_leads_here() -> None:
    parts: Any = {"server": LOOPBACK, "host": "share.example"}
    assert not is_let_in(Site(), **parts)
    assert is_let_in(Site(hosts=frozenset({"share.example"})), **parts)


def test_a_listed_page_may_call_from_anywhere() -> None:
    site = Site(allowed_origins=read_origins(["https://listed.example/"]))
    parts: Any = {"sec_fetch_site": "cross-site", "server": LOOPBACK, "host": "evil.example"}
    assert is_let_in(site, origin="https://listed.example", **parts)
    assert is_let_in(site, origin="https://listed.example:443", **parts)
    assert not is_let_in(site, origin="http://listed.example", **parts)


@pytest.mark.parametrize("proxies", [("203.0.113.5",), ("203.0.113.0/24",), ("10.0.0.0/8",)])
def test_the_host_that_a_proxy_forwards_counts_if_the_proxy_is_trusted(
    proxies: tuple[str, ...],
) -> None:
    parts: Any = {"host": "app:7860", "x_forwarded_host": "outside.example, app"}
    is_trusted = proxies != ("10.0.0.0/8",)
    site = Site(trusted_proxies=proxies)
    assert is_let_in(site, origin="http://outside.example", **parts) == is_trusted
    assert is_let_in(site, server=LOOPBACK, **parts) == is_trusted
    forwarded_as_https = {**parts, "x_forwarded_proto": "https"}
    assert not is_let_in(site, origin="http://outside.example", **forwarded_as_https)


def test_without_a_client_no_proxy_is_trusted() -> None:
    site = Site(trusted_proxies=("0.0.0.0/0",))
    parts: Any = {"origin": "http://outside.example", "x_forwarded_host": "outside.example"}
    assert is_let_in(site, **parts)
    assert not is_let_in(site, client=None, **parts)


def test_a_flood_of_refusals_is_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now_s[0])
    for _ in range(9):
        assert not is_let_in(Site(), origin="http://evil.example\x1b[2J")
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().isprintable()
    assert "allowed_origins=[...]" in record.getMessage()
    now_s[0] += 60
    assert not is_let_in(Site(), origin="http://evil.example")
    assert len(caplog.records) == 2


def test_the_reason_of_a_refusal_is_for_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RequestRefused, match=r"^this page may not call here$") as refused:
        check_request(request(origin="http://evil.example"), Site())
    assert refused.value.__cause__ is None
    assert "evil.example" in caplog.text


def test_the_log_repeats_no_long_text(caplog: pytest.LogCaptureFixture) -> None:
    assert not is_let_in(Site(), origin="http://" + "x" * 100_000)
    assert len(caplog.text) < 1_000


def test_origins_are_read_in_one_form() -> None:
    assert read_origins(None) == frozenset()
    same = ["https://EXAMPLE.com/", "https://example.com:443", "https://example.com"]
    assert len(read_origins(same)) == 1


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ("https://example.com", TypeError),
        ([7], TypeError),
        ([b"https://example.com"], TypeError),
        (["example.com"], ValueError),
        (["https://example.com/path"], ValueError),
        (["*"], ValueError),
    ],
)
def test_what_is_no_list_of_origins_is_refused(wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="allowed_origins must be"):
        read_origins(wrong)


@pytest.mark.parametrize(
    ("parts", "is_in"),
    [
        # Programs name no origin; browsers always do.
        ({}, True),
        ({"scheme": "ws", "server": LOOPBACK, "host": "tunnel.example"}, True),
        (
            {"scheme": "ws", "server": LOOPBACK, "host": "x.example", "sec_fetch_site": "none"},
            False,
        ),
        ({"scheme": "ws", "origin": "http://example.com"}, True),
        ({"scheme": "wss", "origin": "https://example.com"}, True),
        ({"scheme": "ws", "origin": "http://example.com:8080"}, False),
        ({"scheme": "wss", "origin": "http://example.com"}, False),
        ({"scheme": "ws", "origin": "http://evil.example"}, False),
        ({"scheme": "ws", "origin": "null"}, False),
        ({"scheme": "ws", "origin": "https://listed.example"}, True),
        ({"scheme": "ws", "sec_fetch_site": "cross-site", "origin": "http://evil.example"}, False),
        # A name that was led to this machine.
        (
            {"scheme": "ws", "server": LOOPBACK, "host": "x.example", "origin": "http://x.example"},
            False,
        ),
    ],
)
def test_a_websocket_is_let_in_by_its_origin(parts: dict[str, Any], *, is_in: bool) -> None:
    site = Site(frozenset({"https://listed.example:443"}))
    websocket = request(**parts)
    # There is no body, and no content type.
    del websocket.headers["content-type"]
    if is_in:
        check_socket(websocket, site)
    else:
        with pytest.raises(RequestRefused, match="may not call here"):
            check_socket(websocket, site)


FORWARDED: dict[str, Any] = {
    "x_forwarded_host": "Phone.Example:8443, inner",
    "x_forwarded_proto": "https",
    "x_forwarded_port": "9",
    "x_forwarded_prefix": "/lines/",
}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, ("http", "example.com", None, "")),
        ({"scheme": "https", "host": "Example.com:443"}, ("https", "example.com", None, "")),
        ({"scheme": "wss", "host": "[2001:db8::1]:80"}, ("https", "2001:db8::1", 80, "")),
        ({"scheme": "ws", "host": "example.com:8000"}, ("http", "example.com", 8000, "")),
        # Of a proxy that is not trusted.
        (FORWARDED, ("http", "example.com", None, "")),
        ({**FORWARDED, "client": ("10.0.0.5", 1)}, ("https", "phone.example", 8443, "/lines")),
        (
            {**FORWARDED, "x_forwarded_host": "phone.example", "client": ("10.0.0.5", 1)},
            ("https", "phone.example", 9, "/lines"),
        ),
        (
            {"x_forwarded_port": "0", "x_forwarded_prefix": "evil", "client": ("10.0.0.5", 1)},
            ("http", "example.com", None, ""),
        ),
        ({"x_forwarded_port": "443", "client": ("10.0.0.5", 1)}, ("http", "example.com", 443, "")),
        # uvicorn believes a proxy on this machine, and has replaced its address.
        ({**FORWARDED, "client": ("203.0.113.5", 0)}, ("https", "phone.example", 8443, "/lines")),
    ],
)
def test_the_public_address_is_the_one_that_trusted_proxies_state(
    parts: dict[str, Any], expected: tuple[str, str, int | None, str]
) -> None:
    site = Site(trusted_proxies=("10.0.0.0/8", "127.0.0.1"))
    assert public_address(request(**parts), site) == PublicAddress(*expected)


def test_an_address_that_uvicorn_replaced_is_trusted_only_where_this_machine_is() -> None:
    asked = request(client=("203.0.113.5", 0), **FORWARDED)
    assert public_address(asked, Site(trusted_proxies=("10.0.0.0/8",))).host == "example.com"
