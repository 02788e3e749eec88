"""The messages with which clients of routes set inputs: checked, and apart from all others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.repository import ROOT

from gradio_webrtc._session.client_inputs import SET_INPUTS, ClientInputs, InputsRefused

if TYPE_CHECKING:
    from collections.abc import Sequence


class Handler:
    """Notes what becomes of the messages."""

    def __init__(self) -> None:
        self.applied: list[Sequence[Any] | None] = []
        self.sent: list[Any] = []
        self.passed_on: list[str] = []
        self.inputs = ClientInputs(
            self.read, self.applied.append, self.sent.append, self.passed_on.append
        )

    def read(self, values: object) -> Sequence[Any] | None:
        if values == "wrong":
            raise InputsRefused("no list")
        assert values is None or isinstance(values, list)
        return values


def test_values_are_checked_and_applied() -> None:
    handler = Handler()
    handler.inputs.take('{"type": "set_inputs", "data": [1, "two"]}')
    handler.inputs.take('{"type": "set_inputs"}')
    assert handler.applied == [[1, "two"], None]
    assert handler.passed_on == handler.sent == []


def test_a_refusal_is_sent_to_the_client_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    handler = Handler()
    handler.inputs.take('{"type": "set_inputs", "data": "wrong"}')
    [message] = handler.sent
    assert (message["type"], message["message"]) == ("error", "no list")
    assert handler.applied == []
    assert [each for each in caplog.records if each.levelname != "DEBUG"] == []


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "hello"}',
        '{"type": "quote", "data": "set_inputs"}',
        '{"data": ["set_inputs"]}',
        '["set_inputs"]',
        '"set_inputs"',
        "set_inputs",
        '{"type": ["set_inputs"]}',
        '{"type": "set_inputs"',
        '{"type": "set_inputs", "data": [NaN]}',
        '{"type": "set_inputs", "data": ' + "[" * 3000,
    ],
)
def test_every_other_text_is_the_handlers(text: str) -> None:
    handler = Handler()
    handler.inputs.take(text)
    assert handler.passed_on == [text]
    assert handler.applied == handler.sent == []


def test_the_client_package_has_the_same_type() -> None:
    source = (ROOT / "frontend" / "client" / "call.ts").read_text("utf-8")
    assert f"const SET_INPUTS = {json.dumps(SET_INPUTS)};" in source
