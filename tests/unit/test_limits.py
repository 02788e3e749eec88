"""Wrong limits raise an error that names the limit, where they are written."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gradio_webrtc import Limits, WebRTC


def test_the_defaults_are_safe() -> None:
    assert Limits() == Limits(
        idle_limit_s=30,
        offers_per_minute=60,
        unconnected_offers=3,
        blocked_threads=16,
        trusted_proxies=(),
        candidates=32,
        candidate_networks=(),
        message_bytes=65_536,
        messages_per_s=50,
        picture_pixels=8_294_400,
        pictures_per_s=120,
    )


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"idle_limit_s": 0}, ValueError, "idle_limit_s must be 0.1 or more, or None for no limit"),
        ({"idle_limit_s": 1e-300}, ValueError, "got 1e-300"),
        ({"idle_limit_s": math.nan}, ValueError, "idle_limit_s must be 0.1 or more"),
        ({"idle_limit_s": math.inf}, ValueError, "None for no limit"),
        ({"idle_limit_s": "30"}, TypeError, "a number of seconds or None; got '30'"),
        ({"offers_per_minute": 0}, ValueError, "offers_per_minute must be from 1 to"),
        ({"offers_per_minute": 1.5}, TypeError, "offers_per_minute must be a whole number"),
        ({"unconnected_offers": True}, TypeError, "unconnected_offers must be a whole number"),
        ({"blocked_threads": -1}, ValueError, "blocked_threads must be from 1 to"),
        ({"trusted_proxies": "10.0.0.1"}, TypeError, "trusted_proxies must be a list"),
        ({"trusted_proxies": [0]}, TypeError, "trusted_proxies must be written as text.*got 0"),
        ({"trusted_proxies": [b"1234"]}, TypeError, "trusted_proxies must be written as text"),
        ({"candidates": 0}, ValueError, "candidates must be from 1 to"),
        ({"candidate_networks": "10.0.0.0/8"}, TypeError, "candidate_networks must be a list"),
        ({"candidate_networks": ["lan"]}, ValueError, "candidate_networks must be addresses"),
        ({"message_bytes": 1000}, ValueError, "message_bytes must be from 1,024 to 1,000,000"),
        ({"messages_per_s": 1}, ValueError, "messages_per_s must be from 10 to"),
        ({"picture_pixels": 1e6}, TypeError, "picture_pixels must be a whole number"),
        ({"pictures_per_s": 0}, ValueError, "pictures_per_s must be from 1 to"),
        ({"trusted_proxies": ["proxy"]}, ValueError, "addresses or networks.*got 'proxy'"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    given: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        Limits(**given)


@pytest.mark.parametrize("networks", [(), ["10.0.0.1"], {"10.0.0.0/8", "fd00::/8"}, ("::1",)])
def test_networks_may_be_written_as_any_collection(networks: Any) -> None:
    assert Limits(trusted_proxies=networks).trusted_proxies == networks


def test_a_component_takes_limits_alone() -> None:
    with pytest.raises(TypeError, match=r"limits must be Limits\(...\)"):
        WebRTC(limits={"idle_limit_s": 30})  # type: ignore[arg-type]  # what the test is about
