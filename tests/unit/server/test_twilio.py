"""Signatures and addresses of Twilio's requests, and the TwiML of the answers."""

from __future__ import annotations

from collections import OrderedDict
from types import SimpleNamespace
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from starlette.datastructures import Headers

from gradio_webrtc._server import twilio as module
from gradio_webrtc._server.twilio import (
    TwilioAccount,
    busy_twiml,
    connect_twiml,
    public_path,
    route_path,
    signed_urls,
    socket_url,
)
from gradio_webrtc._session.origins import Site, public_address

URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FIELDS = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+12349013030"),
    ("Digits", "1234"),
    ("From", "+12349013030"),
    ("To", "+18005551212"),
]
SIGNATURE = "0/KCTR6DLpKmkAf8muzZqo1nDgQ="
"""The example of Twilio's own description of its signatures, for the token "12345"."""


def request(
    path: str = "/telephone/incoming",
    *,
    kind: str = "http",
    scheme: str = "http",
    root_path: str = "",
    query: bytes = b"",
    client: str = "203.0.113.5",
    **headers: str,
) -> Any:
    """A request as Starlette has it; headers are written with underscores."""
    fields = {"host": "voice.example", **headers}
    return SimpleNamespace(
        headers=Headers({name.replace("_", "-"): value for name, value in fields.items()}),
        scope={
            "type": kind,
            "scheme": scheme,
            "path": path,
            "root_path": root_path,
            "query_string": query,
            "client": (client, 1),
            "server": ("198.51.100.7", 443),
        },
    )


def test_the_signature_of_the_description_is_genuine() -> None:
    account = TwilioAccount("12345")
    assert account.has_signed(SIGNATURE, [URL], FIELDS)
    assert account.has_signed(SIGNATURE, ["https://other.example/", URL], reversed(FIELDS))
    assert account.has_signed(SIGNATURE, [URL], [*FIELDS, FIELDS[0]]), "each value once"


@pytest.mark.parametrize(
    ("signature", "url", "fields"),
    [
        (None, URL, FIELDS),
        ("", URL, FIELDS),
        ("ÿ\ud800", URL, FIELDS),
        (SIGNATURE.lower(), URL, FIELDS),
        (SIGNATURE, URL.replace("https", "http"), FIELDS),
        (SIGNATURE, URL, FIELDS[1:]),
        (SIGNATURE, URL, [*FIELDS, ("x", "\ud800")]),
    ],
)
def test_any_other_is_not(signature: str | None, url: str, fields: list[tuple[str, str]]) -> None:
    assert not TwilioAccount("12345").has_signed(signature, [url], fields)
    assert not TwilioAccount("other").has_signed(SIGNATURE, [URL], FIELDS)


def test_a_token_is_not_shown_and_not_empty() -> None:
    assert "12345" not in repr(TwilioAccount("12345"))
    with pytest.raises(ValueError, match="twilio_auth_token is empty"):
        TwilioAccount("")


def test_a_ticket_counts_once_for_its_call_alone() -> None:
    account = TwilioAccount("12345")
    ticket = account.issue_ticket("CA1")
    assert not account.redeem_ticket(ticket, "CA2")
    assert account.redeem_ticket(ticket, "CA1")
    assert not account.redeem_ticket(ticket, "CA1")
    issued = TwilioAccount("12345").issue_ticket("CA1")
    assert account.redeem_ticket(issued, "CA1"), "another process may have issued it"
    assert not TwilioAccount("other").redeem_ticket(account.issue_ticket("CA1"), "CA1")


def test_a_ticket_counts_once_for_all_streams_of_an_account() -> None:
    one, other = TwilioAccount("12345"), TwilioAccount("12345")
    ticket = one.issue_ticket("CA1")
    assert other.redeem_ticket(ticket, "CA1")
    assert not one.redeem_ticket(ticket, "CA1")


def test_a_ticket_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    account = TwilioAccount("12345")
    ticket = account.issue_ticket("CA1")
    later_s = module._now_s() + module.TICKET_S + 2  # noqa: SLF001  # the clock itself
    monkeypatch.setattr(module, "_now_s", lambda: later_s)
    assert not account.redeem_ticket(ticket, "CA1")


@pytest.mark.parametrize(
    "ticket", ["", ".", "..", "1.2.3", "99999999999.a.b", "ÿ.\ud800.x", "x" * 9_999]
)
def test_what_is_no_ticket_is_refused(ticket: str) -> None:
    assert not TwilioAccount("12345").redeem_ticket(ticket, "CA1")


def test_only_the_latest_used_tickets_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_USED_TICKETS", 2)
    monkeypatch.setattr(TwilioAccount, "_used", OrderedDict())
    account = TwilioAccount("12345")
    for _ in range(5):
        assert account.redeem_ticket(account.issue_ticket("CA1"), "CA1")
    assert len(account._used) == 2  # noqa: SLF001  # no public count


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, "/telephone/incoming"),
        # As uvicorn with --root-path, or a mounted app.
        ({"path": "/app/telephone/incoming", "root_path": "/app"}, "/app/telephone/incoming"),
        # As FastAPI(root_path=...).
        ({"root_path": "/app"}, "/app/telephone/incoming"),
        ({"path": "/apple", "root_path": "/app"}, "/app/apple"),
        ({"client": "10.0.0.5", "x_forwarded_prefix": "/app/"}, "/app/telephone/incoming"),
        (
            {"client": "10.0.0.5", "x_forwarded_prefix": "/app", "root_path": "/app"},
            "/app/telephone/incoming",
        ),
        ({"x_forwarded_prefix": "/evil"}, "/telephone/incoming"),
        ({"path": "/ä b"}, "/%C3%A4%20b"),
    ],
)
def test_a_path_as_clients_outside_have_it(parts: dict[str, Any], expected: str) -> None:
    asked = request(**parts)
    site = Site(trusted_proxies=("10.0.0.0/8",))
    assert public_path(asked, public_address(asked, site)) == expected


def test_a_path_within_the_app() -> None:
    assert route_path(request("/app/x", root_path="/app")) == "/x"
    assert route_path(request("/apple", root_path="/app")) == "/apple"


def test_a_webhook_may_be_signed_for_either_scheme_and_with_the_port_or_without() -> None:
    urls = {*signed_urls(request(host="voice.example:8443", query=b"a=1"), Site())}
    path = "/telephone/incoming?a=1"
    assert urls == {
        f"{scheme}://voice.example{port}{path}"
        for scheme, own in (("https", ":443"), ("http", ":80"))
        for port in (":8443", "", own)
    }


@pytest.mark.parametrize(
    "parts",
    [
        {"host": "Voice.Example"},
        {"host": "Voice.Example:8443"},
        {"host": "inner", "x_forwarded_host": "Voice.Example", "client": "10.0.0.5"},
    ],
)
def test_a_webhook_may_be_signed_for_a_host_in_capitals_as_its_address_was_written(
    parts: dict[str, Any],
) -> None:
    urls = [*signed_urls(request(**parts), Site(trusted_proxies=("10.0.0.5",)))]
    assert "https://Voice.Example/telephone/incoming" in urls
    assert "https://voice.example/telephone/incoming" in urls


def test_a_websocket_may_be_signed_with_a_slash_at_its_end() -> None:
    urls = [*signed_urls(request("/telephone/handler", kind="websocket", scheme="ws"), Site())]
    assert urls[:2] == [
        "wss://voice.example/telephone/handler",
        "wss://voice.example/telephone/handler/",
    ]
    assert len(urls) == len({*urls}) == 8


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        # A proxy that ends TLS need not say so.
        ({}, "wss://voice.example/telephone/handler"),
        ({"host": "voice.example:8443"}, "wss://voice.example:8443/telephone/handler"),
        ({"scheme": "https"}, "wss://voice.example/telephone/handler"),
        ({"host": "127.0.0.1:8000"}, "ws://127.0.0.1:8000/telephone/handler"),
        ({"host": "localhost:8000"}, "ws://localhost:8000/telephone/handler"),
        ({"host": "[::1]:8000"}, "ws://[::1]:8000/telephone/handler"),
        ({"host": "127.0.0.1", "scheme": "https"}, "wss://127.0.0.1/telephone/handler"),
        ({"host": "8.8.8.8"}, "wss://8.8.8.8/telephone/handler"),
        (
            {
                "client": "10.0.0.5",
                "x_forwarded_host": "outside.example",
                "x_forwarded_proto": "https",
                "x_forwarded_port": "8443",
                "x_forwarded_prefix": "/app",
            },
            "wss://outside.example:8443/app/telephone/handler",
        ),
        ({"x_forwarded_host": "evil.example"}, "wss://voice.example/telephone/handler"),
    ],
)
def test_the_address_of_a_websocket(parts: dict[str, Any], expected: str) -> None:
    site = Site(trusted_proxies=("10.0.0.0/8",))
    assert socket_url(request(**parts), site, "/telephone/handler") == expected


def test_the_answer_connects_and_quotes_what_it_must() -> None:
    text = connect_twiml("wss://x.example/a?b&c", [("ticket", '"<1>"')], "Hi & <low>", "Bye")
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?><Response>')
    response = fromstring(text)  # noqa: S314  # our own
    assert [each.tag for each in response] == ["Say", "Connect", "Say"]
    assert [each.text for each in response.iter("Say")] == ["Hi & <low>", "Bye"]
    (stream,) = response.iter("Stream")
    assert stream.attrib == {"url": "wss://x.example/a?b&c"}
    assert stream[0].attrib == {"name": "ticket", "value": '"<1>"'}


def test_nothing_needs_to_be_read_aloud() -> None:
    response = fromstring(connect_twiml("wss://x.example/", [], None, None))  # noqa: S314  # our own
    assert [each.tag for each in response] == ["Connect"]


def test_a_busy_line() -> None:
    (reject,) = fromstring(busy_twiml())  # noqa: S314  # our own
    assert (reject.tag, reject.attrib) == ("Reject", {"reason": "busy"})
