"""The events of the Realtime protocol, of any sender's making."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_webrtc._realtime import protocol
from gradio_webrtc._realtime.protocol import (
    LAWS,
    PCM,
    AudioFormat,
    append_audio,
    decode_audio,
    default_terms,
    encode_audio,
    format_of,
    is_beta,
    merged,
    message_item,
    name_of,
    number_of,
    object_of,
    read_event,
    read_format,
    text_of,
    turn_detection_of,
    write_event,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


def test_an_event_of_the_beta_has_its_name_of_the_general_release() -> None:
    for released, beta in protocol.BETA_NAMES.items():
        assert read_event(json.dumps({"type": beta})) == {"type": released}
        assert read_event(json.dumps({"type": released})) == {"type": released}


@pytest.mark.parametrize(
    "wire",
    [
        *("", "{", "[]", "1", "null", '"text"', "{}", '{"type": 1}', '{"type": null}'),
        *("[" * 100_000, b"\xff", '{"type": ' + "1" * 5000 + "}"),
    ],
)
def test_what_is_no_event_is_none(wire: str | bytes) -> None:
    assert read_event(wire) is None


@given(JSON)
def test_any_json_is_an_event_or_none(value: Any) -> None:
    event = read_event(json.dumps(value))
    assert event is None or isinstance(event["type"], str)


@given(st.dictionaries(st.sampled_from("abc"), JSON), st.sampled_from("abcd"))
def test_fields_have_the_kind_that_they_should_have(event: dict[str, Any], name: str) -> None:
    assert isinstance(text_of(event, name), str)
    assert len(name_of(event, name)) <= protocol.MAX_NAME_CHARS
    assert isinstance(object_of(event, name), dict)
    assert type(number_of(event, name)) is int
    assert number_of(event, name) >= 0


def test_a_number_is_one_that_can_be_calculated_with() -> None:
    assert number_of({"at": 10**400}, "at") / 1000 < 1e7
    assert number_of({"at": 3_600_000}, "at") == 3_600_000


def test_audio_is_the_same_there_and_back() -> None:
    samples = np.array([[0, 1, -1, 32767, -32768]], np.int16)
    assert np.array_equal(decode_audio(encode_audio(samples)), samples)
    event = read_event(append_audio(samples))
    assert event is not None
    assert event["type"] == "input_audio_buffer.append"
    assert base64.b64decode(event["audio"]) == samples.astype("<i2").tobytes()
    assert decode_audio("").shape == (1, 0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "got NoneType"),
        (b"AAAA", "got bytes"),
        ("AAA", "got what is none"),
        ("A A=", "got what is none"),
        ("äää=", "got what is none"),
        ("AAAAAA==", "got 4 bytes"),
        ("AAAA", "got 3 bytes"),
    ],
)
def test_what_is_no_audio_is_refused(text: object, reason: str) -> None:
    if text == "AAAAAA==":
        assert decode_audio(text).shape == (1, 2)
        return
    with pytest.raises(ValueError, match=reason):
        decode_audio(text)


def test_what_json_cannot_carry_is_refused_before_it_is_sent() -> None:
    assert write_event({"type": "a", "b": "ü"}) == '{"type":"a","b":"ü"}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_event({"type": float("nan")})
    with pytest.raises(TypeError):
        write_event({"type": b"bytes"})


def test_terms_are_merged_object_by_object() -> None:
    defaults = default_terms(AudioFormat("audio/pcm", 16_000), PCM, beta=False)
    given = {"audio": {"input": {"turn_detection": None}, "output": {"voice": "x"}}, "tools": []}
    assert merged(defaults, given) == {
        "type": "realtime",
        "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 16_000}, "turn_detection": None},
            "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "x"},
        },
        "tools": [],
    }
    assert "tools" not in defaults, "and are left as they are"


def test_the_form_of_terms_is_recognised() -> None:
    assert is_beta({"modalities": ["audio"], "turn_detection": {}})
    assert is_beta(default_terms(PCM, PCM, beta=True))
    assert not is_beta(default_terms(PCM, PCM, beta=False))
    assert not is_beta({})


FORMATS = [PCM, AudioFormat("audio/pcm", 16_000), *(AudioFormat(law, 8_000) for law in LAWS)]


@pytest.mark.parametrize("audio_format", FORMATS)
def test_formats_of_audio_are_read_in_the_form_of_either_release(
    audio_format: AudioFormat,
) -> None:
    terms = default_terms(audio_format, PCM, beta=False)
    assert (format_of(terms, "input"), format_of(terms, "output")) == (audio_format, PCM)
    if audio_format.rate_hz != 16_000:
        of_beta = default_terms(PCM, audio_format, beta=True)
        assert (format_of(of_beta, "input"), format_of(of_beta, "output")) == (PCM, audio_format)


def test_formats_that_we_do_not_have_are_none_and_named() -> None:
    others: list[Any] = ["24000", 22_222, [], -1, True, 10**30]
    for rate in others:
        value = {"type": "audio/pcm", "rate": rate}
        assert format_of({"audio": {"input": {"format": value}}}, "input") is None
        with pytest.raises(ValueError, match=r"expected audio/pcm at 8000, .* got"):
            read_format(value)
    narrow = {"type": "audio/pcmu", "rate": 16_000}
    kinds: list[Any] = [narrow, {"type": "opus"}, "mp3", 3, {"type": []}]
    # Equal to a rate, and none that a resampler takes.
    kinds += [{"type": "audio/pcm", "rate": 24_000.0}, {"type": "audio/pcma", "rate": 8_000.0}]
    for each in kinds:
        with pytest.raises(ValueError, match="expected audio/pcm"):
            read_format(each)
    assert format_of({"audio": 1}, "input") is None
    assert format_of({}, "output") is None


@pytest.mark.parametrize("kind", LAWS)
def test_g711_has_a_byte_for_each_sample(kind: str) -> None:
    samples = np.array([[0, 1000, -1000, 30_000]], np.int16)
    text = encode_audio(samples, kind)
    assert len(base64.b64decode(text)) == 4 * AudioFormat(kind, 8_000).bytes_per_sample == 4
    assert np.abs(decode_audio(text, kind) - samples).max() < 600
    assert decode_audio("AAAA", kind).shape == (1, 3)


def test_turn_detection_is_off_only_where_the_terms_say_so() -> None:
    of_general = {"audio": {"input": {"turn_detection": None}}}
    assert turn_detection_of(of_general) is None
    assert turn_detection_of({"modalities": [], "turn_detection": None}) is None
    assert turn_detection_of({}) == {}
    assert turn_detection_of({"audio": {"input": {"turn_detection": 7}}}) == {}
    on = {"type": "server_vad", "interrupt_response": False}
    assert turn_detection_of({"audio": {"input": {"turn_detection": on}}}) == on


def test_items_have_the_content_of_their_role_and_release() -> None:
    def kind(role: str, *, beta: bool) -> str:
        return str(message_item(role, "Hello", beta=beta)["content"][0]["type"])

    assert [kind("user", beta=False), kind("user", beta=True)] == ["input_text", "input_text"]
    assert [kind("assistant", beta=False), kind("assistant", beta=True)] == ["output_text", "text"]
    assert message_item("user", "Hello", item_id="item_1")["id"] == "item_1"
    assert "id" not in message_item("user", "Hello")
