"""The form of what a handler receives: its values, and who may set them when."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.conversing import RATE_HZ, ScriptedVad
from support.fake_session import FakeSession

from gradio_webrtc import ReplyOnPause, StreamHandler
from gradio_webrtc._handlers.input_settings import MAX_FRAME_SAMPLES, InputSetting
from gradio_webrtc.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Plain(StreamHandler):
    def receive(self, frame: Any) -> None: ...

    def emit(self) -> Any:
        return None

    def copy(self) -> Any:
        return copy.copy(self)


RATES = [0, -1, 7_999, 192_001, "x", 12_345.5, None]
SIZES = [0, -1, MAX_FRAME_SAMPLES + 1, "x", 320.5, None]
WRONG = [
    *(("input_sample_rate", rate_hz, "whole number from 8000 to 192000 Hz") for rate_hz in RATES),
    *(("expected_layout", layout, "'mono' or 'stereo'") for layout in ("quad", None, 2, ["mono"])),
    *(("input_frame_size", size, "whole number from 1 to 11520000 samples") for size in SIZES),
]


@pytest.mark.parametrize(("name", "value", "expected"), WRONG)
def test_a_value_out_of_range_is_refused_where_it_is_set(
    name: str, value: Any, expected: str
) -> None:
    handler = Plain()
    before = getattr(handler, name)
    with pytest.raises(AudioError, match=f"{name} is {'a ' if 'whole' in expected else ''}") as no:
        setattr(handler, name, value)
    assert expected in str(no.value)
    assert repr(value) in str(no.value)
    assert getattr(handler, name) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("input_sample_rate", rate_hz) for rate_hz in (8_000, 192_000, np.int64(16_000))),
        *(("input_frame_size", size) for size in (1, MAX_FRAME_SAMPLES)),
        ("expected_layout", "stereo"),
    ],
)
def test_a_value_in_range_is_that_of_the_handler_and_its_copies(name: str, value: Any) -> None:
    handler = Plain()
    setattr(handler, name, value)
    assert getattr(handler, name) == value
    assert vars(handler)[name] == value
    assert getattr(handler.copy(), name) == value
    assert isinstance(getattr(Plain, name), InputSetting)


def test_an_attribute_that_is_not_set_yet_is_none() -> None:
    class Early(Plain):
        def __init__(self) -> None:
            assert not hasattr(self, "input_sample_rate")
            with pytest.raises(AttributeError, match="Early has not set input_frame_size yet"):
                _ = self.input_frame_size
            self.input_frame_size = 160
            super().__init__(input_sample_rate=8_000)

    assert Early().input_sample_rate == 8_000


def test_a_session_follows_until_it_is_over() -> None:
    handler, changes = Plain(), list[int]()
    handler.session_input(lambda: changes.append(handler.input_sample_rate))
    handler.input_sample_rate = 16_000
    with pytest.raises(AudioError):
        handler.input_sample_rate = 0
    assert changes == [16_000]
    handler.session_input(None)
    handler.input_sample_rate = 8_000
    assert changes == [16_000]


def echo(audio: Any) -> Iterator[Any]:
    yield audio


class OwnReceive(ReplyOnPause):
    def receive(self, frame: Any) -> None:
        super().receive(frame)


def bound(handler: ReplyOnPause) -> Any:
    handler.bind(FakeSession())
    return handler


@pytest.mark.parametrize("options", [{}, {"vad": ScriptedVad}, {"expected_layout": "stereo"}])
async def test_turns_are_detected_in_audio_of_one_form(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    handler = bound(ReplyOnPause(echo, **options))
    handler.input_sample_rate, handler.input_frame_size = RATE_HZ, 320
    handler.session_input(lambda: None)
    before = dict(vars(handler))
    other = "mono" if handler.expected_layout == "stereo" else "stereo"
    for _ in range(3):
        handler.input_sample_rate = 24_000
        handler.input_frame_size, handler.expected_layout = 480, other
    # What it is already is no change.
    handler.input_sample_rate = RATE_HZ
    names = ("input_sample_rate", "input_frame_size", "expected_layout")
    assert [vars(handler)[name] for name in names] == [before[name] for name in names]
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 3
    assert "ReplyOnPause.input_sample_rate stays 16000, and does not become 24000" in warnings[0]
    assert "set it in __init__() or copy()" in warnings[0]
    handler.session_input(None)
    handler.input_sample_rate = 24_000
    assert handler.input_sample_rate == 24_000
    await handler.release()


async def test_a_receive_of_a_programs_own_gets_frames_in_any_form(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handler = bound(OwnReceive(echo, input_sample_rate=RATE_HZ))
    handler.session_input(lambda: None)
    twin = bound(ReplyOnPause(echo, input_sample_rate=RATE_HZ))
    handler.expected_layout, handler.input_frame_size = "stereo", 320
    handler.receive((RATE_HZ, np.zeros((1, 640), np.int16)))
    handler.expected_layout = "mono"
    handler.receive((RATE_HZ, np.zeros((1, 320), np.int16)))
    for _ in range(2):
        twin.receive((RATE_HZ, np.zeros((1, 320), np.int16)))
    assert handler.batch_allowance_s == twin.batch_allowance_s
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    for each in (handler, twin):
        await each.release()


async def test_a_layout_that_start_up_decides_counts_for_the_first_frame() -> None:
    handler = bound(ReplyOnPause(echo, input_sample_rate=RATE_HZ))
    handler.expected_layout = "stereo"
    handler.session_input(lambda: None)
    assert handler.session_detection() is None
    before_s = handler.batch_allowance_s
    handler.receive((RATE_HZ, np.zeros((1, 640), np.int16)))
    assert handler.batch_allowance_s == pytest.approx(before_s - 0.02)
    await handler.release()
