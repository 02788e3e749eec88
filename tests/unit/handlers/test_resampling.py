"""Older handlers resample by themselves, and use the channel of the session."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from av import AudioFrame
from support.fake_session import FakeSession
from support.signals import tone

from gradio_webrtc import ReplyOnPause, StreamHandler
from gradio_webrtc.errors import AudioError


def handler(**settings: Any) -> ReplyOnPause:
    return ReplyOnPause(lambda audio: audio, **settings)


def frames_of(samples: Any, audio_format: str, layout: str = "mono") -> list[AudioFrame]:
    """Twenty frames of 20 ms at 48 kHz, of a tone in every channel."""
    made = []
    for start in range(0, 20 * 960, 960):
        part = samples[start : start + 960]
        channels = 2 if layout == "stereo" else 1
        rows = np.stack([part] * channels)
        array = rows if audio_format.endswith("p") else rows.T.reshape(1, -1)
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(array), audio_format, layout)
        frame.sample_rate = 48_000
        made.append(frame)
    return made


TONE = tone(0.4, 440, 48_000)


@pytest.mark.parametrize(
    ("audio_format", "samples"),
    [
        ("s16", TONE),
        ("s16p", TONE),
        ("flt", TONE.astype(np.float32) / 32768),
        ("fltp", TONE.astype(np.float32) / 32768),
        ("dbl", TONE / 32768),
        ("s32", TONE.astype(np.int32) << 16),
        ("u8", ((TONE >> 8) + 128).astype(np.uint8)),
    ],
)
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_frames_come_out_at_the_handlers_rate(audio_format: str, samples: Any, layout: str) -> None:
    converts = handler(input_sample_rate=16_000)
    came = [
        out
        for frame in frames_of(samples, audio_format, layout)
        for out in converts.resample(frame)
    ]
    assert {(out.sample_rate, out.samples, out.layout.name) for out in came} == {
        (16_000, 960, "mono")
    }
    assert [out.pts for out in came] == [960 * number for number in range(len(came))]
    received = np.concatenate([out.to_ndarray() for out in came], axis=1)[0]
    assert received.dtype == np.int16
    # A third of the samples, less what the resampler holds back.
    assert 5 * 960 <= received.size <= 7 * 960
    assert np.abs(received[480:]).max() == pytest.approx(np.abs(TONE).max(), rel=0.05)


def test_a_stereo_handler_gets_stereo() -> None:
    converts = handler(expected_layout="stereo")
    [out] = converts.resample(frames_of(TONE, "s16", "stereo")[0])
    assert out.layout.name == "stereo"
    assert out.samples == 960


def test_more_channels_than_two_are_refused() -> None:
    frame = AudioFrame.from_ndarray(np.zeros((1, 6 * 960), np.int16), "s16", "5.1")
    frame.sample_rate = 48_000
    with pytest.raises(AudioError, match="channels"):
        handler().resample(frame)


class NotesChannel(StreamHandler):
    def __init__(self) -> None:
        super().__init__()
        self.channels: list[Any] = []

    def receive(self, frame: Any) -> None:
        pass

    def emit(self) -> None:
        return None

    def copy(self) -> NotesChannel:
        return NotesChannel()

    def set_channel(self, channel: Any) -> None:
        super().set_channel(channel)
        self.channels.append(channel)


async def test_a_subclass_gets_its_channel() -> None:
    notes, session = NotesChannel(), FakeSession()
    assert notes.channel is None
    notes.bind(session)
    assert notes.channels == [notes.channel]
    assert notes.channel_set.is_set()
    notes.channels[0].send('{"type": "log", "data": "hello"}')
    assert session.messages == [{"type": "log", "data": "hello"}]


async def test_a_channel_that_is_refused_is_reported() -> None:
    class Refuses(NotesChannel):
        def set_channel(self, channel: Any) -> None:
            raise LookupError(channel)

    session = FakeSession()
    Refuses().bind(session)
    [error] = session.errors
    assert isinstance(error, LookupError)
