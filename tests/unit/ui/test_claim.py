"""The value of a session: text for user code, a session for the page that proved it."""

from __future__ import annotations

import copy
import gc
import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from gradio_webrtc._session.directory import Directory, Entry
from gradio_webrtc._ui.claim import PageValue, read_value

NOBODY = "__webrtc_value__"


class Session:
    """A session as far as a value refers to it."""

    def __init__(self, secret: str) -> None:
        self.secret = secret


class Sessions:
    """Two sessions, of two pages."""

    def __init__(self) -> None:
        self.directory = Directory()
        self.own = self._enter("mine", "first")
        self.other = self._enter("theirs", "second")

    def _enter(self, alias: str, page: str) -> Any:
        names = self.directory.claim(alias, page)
        session: Any = Session(f"secret of {alias}")
        self.directory.enter(names, session)
        return Entry(names, session)

    def read(self, payload: object, page: str | None = "first") -> PageValue:
        sessions: Any = SimpleNamespace(check=self.directory.check)
        return read_value(payload, sessions, page)


def credentials(entry: Entry, **more: object) -> dict[str, object]:
    return {"webrtc_id": entry.names.name, "secret": entry.session.secret, **more}


def test_the_page_of_a_session_gets_its_name_and_the_session() -> None:
    pair = Sessions()
    value = pair.read(credentials(pair.own, textbox="hello"))
    assert value == "mine"
    assert value.session_for("first") is pair.own.session
    for page in ("second", None, ""):
        assert value.session_for(page) is None


def test_another_page_with_the_secret_gets_neither() -> None:
    pair = Sessions()
    value = pair.read(credentials(pair.other))
    assert value == NOBODY
    assert value.session_for("first") is None


def test_a_value_that_gradio_reads_without_its_page_still_finds_the_session() -> None:
    pair = Sessions()
    value = pair.read(credentials(pair.own), page=None)
    assert value == NOBODY, "the name is for the page of the call alone"
    assert value.session_for("first") is pair.own.session


@pytest.mark.parametrize(
    "payload",
    [
        None,
        7,
        "mine",
        ["mine"],
        {},
        {"webrtc_id": "mine"},
        {"webrtc_id": "mine", "secret": "guess"},
        {"webrtc_id": "mine", "secret": "secret of theirs"},
        {"webrtc_id": ["mine"], "secret": {"secret": "of mine"}},
    ],
)
def test_whatever_proves_nothing_stands_for_no_session(payload: object) -> None:
    value = Sessions().read(payload)
    assert value == NOBODY
    assert value.session_for("first") is None


def test_a_value_keeps_no_session() -> None:
    session: Any = Session("secret")
    names = Directory().claim("mine", "first")
    value = PageValue("mine", Entry(names, session))
    assert value.session_for("first") is session
    del session
    gc.collect()
    assert value.session_for("first") is None


def through_a_pickle(value: PageValue) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own


@pytest.mark.parametrize("keep", [copy.copy, copy.deepcopy, through_a_pickle])
def test_a_copy_is_text_alone(keep: Any) -> None:
    pair = Sessions()
    kept = keep(pair.read(credentials(pair.own)))
    assert (kept, type(kept)) == ("mine", str)
