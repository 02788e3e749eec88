"""A machine without a network can still reach itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioice import ice

from gradio_webrtc._transport.webrtc.aiortc_internals.host_addresses import (
    offer_loopback_when_alone,
)

if TYPE_CHECKING:
    import pytest


async def test_loopback_is_offered_when_there_is_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ice, "get_host_addresses", lambda **_: [])
    offer_loopback_when_alone()
    assert ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == ["127.0.0.1"]
    assert ice.get_host_addresses(use_ipv4=False, use_ipv6=True) == ["::1"]


async def test_a_machine_with_a_network_offers_what_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice, "get_host_addresses", lambda **_: ["192.0.2.7"])
    offer_loopback_when_alone()
    offer_loopback_when_alone()
    assert ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == ["192.0.2.7"]
