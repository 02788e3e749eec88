"""The terms that a client of `/v1/realtime` asks for, and those that it gets."""

from __future__ import annotations

from typing import Any

import pytest

from gradio_webrtc._realtime.protocol import (
    PCM,
    AudioFormat,
    format_of,
    is_beta,
    turn_detection_of,
)
from gradio_webrtc._server.realtime_terms import EventRefused, SessionTerms

TERMS = SessionTerms("sess_1", "model")
NARROW = {"type": "audio/pcm", "rate": 16_000}
PHONE = AudioFormat("audio/pcmu", 8_000)


def audio(**directions: Any) -> dict[str, Any]:
    return {"type": "realtime", "audio": directions}


def test_what_a_handler_decides_for_itself_is_ignored() -> None:
    asked = {
        **audio(output={"voice": "marin", "speed": 1.2}, input={"transcription": {"model": "x"}}),
        "instructions": "Be brief.",
        "tools": [],
        "tool_choice": "auto",
        "temperature": 0.8,
        "max_output_tokens": 100,
        "output_modalities": ["audio"],
    }
    assert TERMS.updated(asked, has_audio=True) == TERMS


def test_formats_are_those_that_a_client_asks_for() -> None:
    asked = audio(input={"format": NARROW}, output={"format": {"type": "audio/pcmu"}})
    terms = TERMS.updated(asked, has_audio=False)
    assert (terms.inbound, terms.outbound) == (AudioFormat("audio/pcm", 16_000), PHONE)
    of_beta = {"modalities": ["audio", "text"], "output_audio_format": "g711_ulaw"}
    assert TERMS.updated(of_beta, has_audio=False).outbound == PHONE


def test_formats_do_not_change_once_there_was_audio() -> None:
    with pytest.raises(EventRefused, match="cannot change once there was audio"):
        TERMS.updated(audio(input={"format": NARROW}), has_audio=True)
    same = audio(input={"format": {"type": "audio/pcm", "rate": 24_000}})
    assert TERMS.updated(same, has_audio=True) == TERMS


@pytest.mark.parametrize("off", [audio(input={"turn_detection": None}), {"turn_detection": None}])
def test_a_client_may_end_turns_itself_where_the_handler_can_wait(off: dict[str, Any]) -> None:
    off_terms = TERMS.updated(off, has_audio=True)
    assert not off_terms.detects_turns
    on = audio(input={"turn_detection": {"type": "semantic_vad"}})
    assert off_terms.updated(on, has_audio=True).detects_turns
    assert not off_terms.updated(audio(), has_audio=True).detects_turns
    busy = SessionTerms("sess_1", "model", can_wait=False)
    with pytest.raises(EventRefused, match="detects turns itself") as raised:
        busy.updated(off, has_audio=False)
    assert raised.value.param == "session.audio.input.turn_detection"


@pytest.mark.parametrize(
    ("asked", "text", "param"),
    [
        ({"type": "transcription"}, "type realtime alone", "session.type"),
        ({"output_modalities": ["text"]}, "replies are audio", "session.output_modalities"),
        ({"modalities": ["text"]}, "replies are audio", "session.modalities"),
        ({"tools": [{"type": "function"}]}, "functions of the server", "session.tools"),
        (audio(input={"format": {"type": "opus"}}), "got", "session.audio.input.format"),
        ({"modalities": [["audio"]], "input_audio_format": 7}, "replies are audio", None),
        ({"input_audio_format": 7}, "expected audio/pcm", "session.audio.input.format"),
    ],
)
def test_what_cannot_be_met_is_refused_with_its_place(
    asked: dict[str, Any], text: str, param: str | None
) -> None:
    with pytest.raises(EventRefused, match=text) as raised:
        TERMS.updated(asked, has_audio=False)
    assert param in (None, raised.value.param)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"audio": 3}, "session.audio"),
        ({"audio": {"input": []}}, "session.audio.input"),
        ({"audio": {"output": "x"}}, "session.audio.output"),
        ({"audio": {"input": {"turn_detection": "off"}}}, "session.audio.input.turn_detection"),
        ({"turn_detection": False}, "session.turn_detection"),
        ({"tools": 7}, "session.tools"),
    ],
)
def test_terms_of_a_wrong_kind_are_refused(asked: dict[str, Any], param: str) -> None:
    with pytest.raises(EventRefused, match=r"expected an? (object|list)") as raised:
        TERMS.updated(asked, has_audio=False)
    assert raised.value.param == param


@pytest.mark.parametrize(
    "asked", [{"audio": None}, {"audio": {"input": None}}, {"tools": None}, {}]
)
def test_terms_that_are_not_there_change_nothing(asked: dict[str, Any]) -> None:
    assert TERMS.updated(asked, has_audio=False) == TERMS


@pytest.mark.parametrize("uses_beta", ["beta", ""])
def test_the_terms_are_sent_in_the_form_of_the_clients_release(uses_beta: str) -> None:
    terms = SessionTerms(
        "sess_1", "model", uses_beta=bool(uses_beta), can_interrupt=False, outbound=PHONE
    )
    sent = terms.as_session()
    assert is_beta(sent) == bool(uses_beta)
    assert (format_of(sent, "input"), format_of(sent, "output")) == (PCM, PHONE)
    detection = turn_detection_of(sent)
    assert detection is not None
    assert detection["interrupt_response"] is False
    assert (sent["id"], sent["model"]) == ("sess_1", "model")
    off = terms.updated({"turn_detection": None}, has_audio=False).as_session()
    assert turn_detection_of(off) is None
