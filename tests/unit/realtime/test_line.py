"""The address of a service."""

from __future__ import annotations

from typing import Any

import pytest

from gradio_webrtc._realtime.line import check_url


@pytest.mark.parametrize(
    ("url", "error", "text"),
    [
        (None, TypeError, "url must be text"),
        (b"wss://a", TypeError, "url must be text"),
        ("https://host/v1/realtime?key=secret", ValueError, "got the scheme 'https'"),
        ("host/v1/realtime", ValueError, "got the scheme ''"),
        ("wss:///v1", ValueError, "and a host"),
    ],
)
def test_an_address_is_that_of_a_websocket(url: object, error: Any, text: str) -> None:
    with pytest.raises(error, match=text) as raised:
        check_url(url)
    assert "secret" not in str(raised.value)
    assert check_url("wss://host:1/v1?model=a") == "wss://host:1/v1?model=a"
