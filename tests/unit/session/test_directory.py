"""The names of sessions: an alias is a convenience, the secret is the proof."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from gradio_webrtc._session import directory as directory_module
from gradio_webrtc._session.directory import Directory, SessionNames, is_id
from gradio_webrtc.errors import InvalidOffer, SessionExists, SessionUnknown

RESERVED = ["__webrtc_value__", "start_webrtc_stream"]


def entered(
    directory: Directory, alias: object = None, gradio_session: str | None = "first"
) -> tuple[SessionNames, Any]:
    names = directory.claim(alias, gradio_session)
    made: Any = SimpleNamespace(secret=f"secret of {names.session_id}", is_over=False)
    directory.enter(names, made)
    return names, made


@pytest.mark.parametrize("text", ["a", "x" * 128, "A-z_0", "0123"])
def test_an_id_is_a_short_word(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize(
    "text",
    ["", "x" * 129, "a b", "a\n", "ä", "a/b", None, 7, b"a", *RESERVED],
)
def test_anything_else_is_none(text: object) -> None:
    assert not is_id(text)
    if text is not None:
        with pytest.raises(InvalidOffer):
            Directory().claim(text, None)


def test_without_an_alias_the_server_names_a_session() -> None:
    directory = Directory()
    names, made = entered(directory)
    assert re.fullmatch("[0-9a-f]{32}", names.session_id)
    assert (names.name, names.alias) == (names.session_id, None)
    assert directory.get(names.session_id) is made


def test_an_alias_is_the_name_where_it_is_free() -> None:
    directory = Directory()
    names, made = entered(directory, "mine")
    assert names.name == "mine"
    assert directory.get("mine") is directory.get(names.session_id) is made


def test_two_sessions_of_one_client_have_two_aliases() -> None:
    directory = Directory()
    names, _ = entered(directory, "mine")
    with pytest.raises(SessionExists):
        directory.claim("mine", "first")
    directory.release(names)
    assert directory.claim("mine", "first").name == "mine"


def test_a_stranger_cannot_detect_that_an_alias_is_taken() -> None:
    directory = Directory()
    _, own = entered(directory, "mine")
    names, other = entered(directory, "mine", "second")
    assert (names.name, names.alias) == (names.session_id, "mine")
    assert directory.get("mine") is own
    assert directory.find("mine", other.secret, "second") is other


def test_an_alias_stays_with_its_client_after_the_session() -> None:
    directory = Directory()
    directory.release(entered(directory, "mine")[0])
    assert entered(directory, "mine", "second")[0].name != "mine"
    assert entered(directory, "mine", "first")[0].name == "mine"


def test_aliases_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory_module, "MAX_ALIASES", 2)
    directory = Directory()
    for alias in ("oldest", "older", "newest"):
        directory.release(entered(directory, alias)[0])
    assert entered(directory, "newest", "second")[0].name != "newest"
    assert entered(directory, "oldest", "second")[0].name == "oldest"


@pytest.mark.parametrize("by", ["session_id", "alias"])
def test_a_session_is_found_with_its_secret_by_its_client(by: str) -> None:
    directory = Directory()
    names, made = entered(directory, "mine")
    name = getattr(names, by)
    assert directory.find(name, made.secret, "first") is made
    assert directory.check(name, made.secret).session is made
    for other in ("second", None):
        with pytest.raises(SessionUnknown):
            directory.find(name, made.secret, other)


@pytest.mark.parametrize("secret", ["", None, 7, b"secret", "x" * 129, "\ud800", "another"])
def test_no_other_secret_finds_it(secret: object) -> None:
    directory = Directory()
    names, _ = entered(directory)
    with pytest.raises(SessionUnknown) as raised:
        directory.find(names.session_id, secret, "first")
    with pytest.raises(SessionUnknown) as of_nobody:
        directory.find("nobody", secret, "first")
    assert str(raised.value) == str(of_nobody.value), "the answer does not reveal which ids exist"


def test_a_secret_is_good_for_its_own_session_alone() -> None:
    directory = Directory()
    (first, _), (_, other) = entered(directory), entered(directory)
    for name in (first.session_id, None, ["x"]):
        with pytest.raises(SessionUnknown):
            directory.check(name, other.secret)


def test_a_session_that_is_released_is_unknown() -> None:
    directory = Directory()
    names, made = entered(directory, "mine")
    directory.release(names)
    directory.release(names)
    assert directory.get("mine") is directory.get(names.session_id) is None
    with pytest.raises(SessionUnknown):
        directory.check("mine", made.secret)


def test_a_claim_that_came_to_nothing_is_released() -> None:
    directory = Directory()
    directory.release(directory.claim("mine", "first"))
    assert directory.claim("mine", "first").name == "mine"


@pytest.mark.parametrize("name", [None, 7, ["mine"], {}])
def test_what_is_no_text_is_no_name(name: object) -> None:
    directory = Directory()
    entered(directory, "mine")
    assert directory.get(name) is None


def test_the_alias_of_a_session_that_is_over_is_free_before_that_is_freed() -> None:
    directory = Directory()
    names, made = entered(directory, "mine")
    with pytest.raises(SessionExists):
        directory.claim("mine", "first")
    made.is_over = True
    later_names, later = entered(directory, "mine")
    later_secret: str = later.secret
    assert directory.get("mine") is later
    assert directory.find("mine", made.secret, "first") is made, "until it is freed"
    directory.release(names)
    directory.release(names)
    assert directory.get("mine") is directory.get(later_names.session_id) is later
    assert directory.find("mine", later_secret, "first") is later
    for gone in (names.session_id, made.secret):
        assert directory.get(gone) is None
        with pytest.raises(SessionUnknown):
            directory.find("mine", gone, "first")
    directory.release(later_names)
    assert directory.get("mine") is None


def test_an_alias_that_was_claimed_in_vain_is_free_again() -> None:
    directory = Directory()
    names, made = entered(directory, "mine")
    made.is_over = True
    directory.release(directory.claim("mine", "first"))
    directory.release(names)
    _, later = entered(directory, "mine")
    assert directory.get("mine") is later
