"""Audio in a scale that cannot be meant: one warning, while it is played."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from gradio_webrtc import ReplyOnPause
from gradio_webrtc._mistakes import ScaleWatch
from gradio_webrtc.testing import simulate

LOUD = np.full((1, 480), 12_000, np.float32)


def speak_int16_as_floats() -> object:
    for _ in range(3):
        yield (24000, LOUD)


def test_floats_in_the_scale_of_int16_are_one_warning_and_are_still_played(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handler = ReplyOnPause(lambda _audio: None, startup_fn=speak_int16_as_floats)
    with caplog.at_level(logging.WARNING, "gradio_webrtc"):
        simulation = simulate(handler, (16000, np.zeros(16000, np.int16)))
    [warning] = caplog.messages
    assert "by 32768" in warning
    assert "12000" in warning
    assert np.abs(simulation.audio[1]).max() > 30_000


@pytest.mark.parametrize(
    "samples",
    [
        np.ones((1, 480), np.float32),
        np.full((1, 480), 2.0),
        np.full((1, 480), 12_000, np.int16),
        np.full((1, 480), np.nan),
        np.full((1, 480), np.inf),
        np.zeros((1, 0)),
        "text",
    ],
)
def test_other_chunks_are_no_reason_to_warn(
    samples: object, caplog: pytest.LogCaptureFixture
) -> None:
    ScaleWatch("speak").look(samples)
    assert caplog.messages == []


@pytest.mark.parametrize("shape", [(480_000,), (1, 480_000), (480_000, 2), (2, 480_000)])
def test_a_long_chunk_is_looked_at_from_end_to_end(
    shape: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    samples = np.zeros(shape, np.float32)
    samples[tuple(slice(size // 2, None) if size > 2 else slice(None) for size in shape)] = 900.0
    ScaleWatch("module.speak").look(samples)
    [warning] = caplog.messages
    assert warning.startswith("module.speak gives float samples up to 900")
