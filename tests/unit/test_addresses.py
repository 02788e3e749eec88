"""`udp_ports` and `host_candidates`: what is read, what is refused, and what is offered."""

from __future__ import annotations

from typing import Any

import pytest

from gradio_webrtc._addresses import DEFAULT_ADDRESSES, ServerAddresses, read_addresses

PUBLIC, OTHER = "203.0.113.7", "203.0.113.8"
OWN, INSIDE = "10.0.0.5", "172.18.0.2"


@pytest.mark.parametrize(
    ("given", "ports"),
    [
        (None, ()),
        (50_000, range(50_000, 50_001)),
        ((50_000, 50_100), range(50_000, 50_101)),
        ([50_000, 50_000], range(50_000, 50_001)),
        (range(50_000, 50_100), range(50_000, 50_100)),
        ((1, 65_535), range(1, 65_536)),
    ],
)
def test_ports_are_one_or_the_first_and_the_last(given: Any, ports: Any) -> None:
    assert read_addresses(given, None).ports == ports


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (0, ValueError, "from 1 to 65535"),
        (65_536, ValueError, "from 1 to 65535"),
        ((0, 9), ValueError, "from 1 to 65535"),
        ((50_000, 70_000), ValueError, "from 1 to 65535"),
        ((50_100, 50_000), ValueError, "has none"),
        (range(0), ValueError, "has none"),
        (range(50_000, 50_100, 2), ValueError, "leaves some out"),
        ((50_000,), ValueError, "first and the last"),
        ((50_000, 50_001, 50_002), ValueError, "first and the last"),
        (True, TypeError, "first and the last"),
        ("50000", TypeError, "first and the last"),
        ("50000-50100", TypeError, "first and the last"),
        (50_000.0, TypeError, "first and the last"),
        ((50_000, "50100"), TypeError, "first and the last"),
    ],
)
def test_other_ports_are_refused(given: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        read_addresses(given, None)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (PUBLIC, TypeError, "must be a list"),
        (b"x", TypeError, "must be a list"),
        (7, TypeError, "must be a list"),
        ([7], TypeError, "must be a list"),
        ({OWN: None}, TypeError, "must be a list"),
        (["example.com"], ValueError, "no names or ports"),
        ([f"{PUBLIC}:50000"], ValueError, "no names or ports"),
        ({OWN: "example.com"}, ValueError, "no names or ports"),
        (["203.0.113.0/24"], ValueError, "no names or ports"),
        (["::"], ValueError, "no machine"),
        (["224.0.0.1"], ValueError, "no machine"),
        ({OWN: "2001:db8::1"}, ValueError, "IPv4 to IPv4"),
    ],
)
def test_what_is_no_address_is_refused(given: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        read_addresses(None, given)


def test_addresses_are_written_in_one_way() -> None:
    assert read_addresses(None, ["2001:DB8:0::7"]).public == ("2001:db8::7",)


def test_nothing_given_changes_nothing() -> None:
    assert read_addresses(None, None) == DEFAULT_ADDRESSES
    assert DEFAULT_ADDRESSES.is_default
    assert not read_addresses(50_000, None).is_default
    assert not read_addresses(None, [PUBLIC]).is_default
    assert not read_addresses(None, {OWN: PUBLIC}).is_default


def offered(given: Any, *own: str) -> list[list[str]]:
    addresses: ServerAddresses = read_addresses(None, given)
    return [addresses.offered_for(each, own) for each in own]


def test_a_list_stands_for_all_own_addresses_of_its_version() -> None:
    assert offered([PUBLIC], OWN, INSIDE, "fd00::2") == [[PUBLIC], [PUBLIC], ["fd00::2"]]
    assert offered([PUBLIC, OTHER], OWN) == [[PUBLIC, OTHER]]
    assert offered([PUBLIC, "2001:db8::7"], OWN, "fd00::2") == [[PUBLIC], ["2001:db8::7"]]


def test_an_own_address_in_a_list_stands_for_itself() -> None:
    assert offered([PUBLIC, OWN], OWN, INSIDE) == [[PUBLIC, OWN], [PUBLIC]]
    assert offered([OWN], OWN, INSIDE) == [[OWN], []]


def test_a_dict_changes_the_addresses_that_it_has() -> None:
    assert offered({OWN: PUBLIC}, OWN, INSIDE) == [[PUBLIC], [INSIDE]]
