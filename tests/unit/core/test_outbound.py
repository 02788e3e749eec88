"""The Python interface of `OutboundAudio`: chunks of any kind become outbound frames."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.tones import pitch_hz, tone

from gradio_webrtc._audio import ECHO_SCORE, OutboundAudio
from gradio_webrtc.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


def frames(outbound: OutboundAudio) -> Iterator[NDArray[np.int16]]:
    """Pulls every full frame."""
    while (frame := outbound.pull()) is not None:
        yield frame


def ended(outbound: OutboundAudio) -> NDArray[np.int16]:
    """Ends the stream; returns all its samples, `(channels, n)`."""
    outbound.end()
    together = np.concatenate([frame.ravel() for frame in frames(outbound)])
    return together.reshape(-1, outbound.channels).T


@pytest.mark.parametrize(
    "samples",
    [
        np.array([0.5, -0.5, 2.0, -2.0]),
        np.array([0.5, -0.5, 2.0, -2.0], np.float32),
        np.array([0.5, -0.5, 2.0, -2.0], np.float16),
        [0.5, -0.5, 2.0, -2.0],
        np.array([16384, -16384, 32767, -32768], np.int16),
        np.array([16384, -16384, 32767, -32768], ">i2"),
        np.array([16384, -16384, 90_000, -90_000]),
        [16384, -16384, 90_000, -90_000],
        np.array([1 << 30, -(1 << 30), (1 << 31) - 1, -(1 << 31)], np.int32),
    ],
    ids=["f64", "f32", "f16", "floats", "i16", "big-endian", "i64", "ints", "i32"],
)
def test_every_dtype_gives_the_same_audio(samples: Any) -> None:
    outbound = OutboundAudio()
    assert outbound.push(48_000, samples) == 4
    frame = outbound.pull(partial=True)
    assert frame is not None
    assert (frame.dtype.str, frame.shape) == ("<i2", (1, 960))
    assert frame[0, :5].tolist() == [16384, -16384, 32767, -32768, 0]


def test_eight_bits_have_full_range() -> None:
    outbound = OutboundAudio()
    outbound.push(48_000, np.array([0, 128, 192], np.uint8))
    outbound.push(48_000, np.array([-128, 64], np.int8))
    assert ended(outbound)[0, :5].tolist() == [-32768, 0, 16384, -32768, 16384]


def test_non_finite_samples_become_silence_and_are_counted() -> None:
    outbound = OutboundAudio()
    outbound.push(48_000, np.array([[np.nan, 0.5, np.inf], [0.5, -np.inf, 0.5]], np.float32))
    assert outbound.non_finite == 3
    assert ended(outbound)[:, :3].tolist() == [[0, 16384, 0], [16384, 0, 16384]]


LEFT, RIGHT = np.arange(1, 8, dtype=np.int16), np.arange(-1, -8, -1, dtype=np.int16)
PACKED = np.stack([LEFT, RIGHT], axis=1).ravel()


@pytest.mark.parametrize(
    ("samples", "layout"),
    [
        (np.stack([LEFT, RIGHT]), None),
        (np.stack([LEFT, RIGHT]), "stereo"),
        (np.asfortranarray(np.stack([LEFT, RIGHT])), None),
        (np.stack([LEFT, RIGHT], axis=1), None),
        (np.stack([LEFT, RIGHT]).T, None),
        (PACKED, "stereo"),
        (PACKED[np.newaxis], "stereo"),
        (PACKED[:, np.newaxis], "stereo"),
        (np.stack([LEFT, RIGHT]).repeat(3, axis=1)[:, ::3], None),
        (np.stack([PACKED, PACKED], axis=1)[:, :1], "stereo"),
    ],
    ids=[
        "rows",
        "rows, with a layout",
        "rows, Fortran order",
        "columns",
        "columns, transposed",
        "packed, flat",
        "packed row",
        "packed column",
        "strided rows",
        "strided packed column",
    ],
)
@pytest.mark.parametrize("offset", [0, 3, 7])
def test_every_layout_of_stereo_gives_the_same_frames(
    samples: Any, layout: Any, offset: int
) -> None:
    assert OutboundAudio.samples_per_channel(samples, layout) == 7
    outbound = OutboundAudio()
    assert outbound.push(48_000, samples, layout=layout, offset=offset) == 7 - offset
    if offset < 7:
        assert outbound.channels == 2
        stereo = ended(outbound)
        assert stereo[0, : 7 - offset].tolist() == LEFT[offset:].tolist()
        assert stereo[1, : 7 - offset].tolist() == RIGHT[offset:].tolist()


@pytest.mark.parametrize(
    "samples",
    [LEFT, LEFT[np.newaxis], LEFT[:, np.newaxis], LEFT.repeat(2)[::2], LEFT[::-1][::-1]],
    ids=["flat", "row", "column", "strided", "reversed twice"],
)
def test_every_layout_of_mono_gives_the_same_frames(samples: Any) -> None:
    outbound = OutboundAudio()
    assert outbound.push(48_000, samples, layout="mono", offset=2) == 5
    assert ended(outbound)[0, :5].tolist() == LEFT[2:].tolist()
    assert outbound.channels == 1


def test_an_array_that_is_not_aligned_is_copied() -> None:
    unaligned = np.frombuffer(b"\0" + LEFT.tobytes(), np.int16, offset=1)
    assert not unaligned.flags.aligned
    outbound = OutboundAudio()
    assert outbound.push(48_000, unaligned) == 7
    assert ended(outbound)[0, :7].tolist() == LEFT.tolist()


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((2, 2, 2)), "got float64 of shape (2, 2, 2)"),
        (np.zeros((3, 9)), "got float64 of shape (3, 9)"),
        (np.float64(0.5), "got float64 of shape ()"),
        (np.zeros(3, np.complex64), "got complex64 of shape (3,)"),
        (np.zeros(3, np.uint16), "got uint16 of shape (3,)"),
        (np.array(["a"]), "got <U1 of shape (1,)"),
        (np.array([object()]), "got object of shape (1,)"),
        (None, "got <class 'NoneType'>"),
        ("text", "got <class 'str'>"),
        ([[0.1], [0.1, 0.2]], "got <class 'list'>"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_chunk_that_is_no_audio_is_refused_and_changes_nothing(
    samples: Any, message: str
) -> None:
    outbound = OutboundAudio()
    outbound.push(24_000, tone(24_000, 0.1))
    before = (outbound.buffered_s, outbound.channels)
    with pytest.raises(AudioError) as refused:
        outbound.push(24_000, samples)
    assert message in str(refused.value)
    with pytest.raises(AudioError):
        OutboundAudio.samples_per_channel(samples)
    assert (outbound.buffered_s, outbound.channels) == before


def test_a_layout_that_does_not_fit_is_refused() -> None:
    outbound = OutboundAudio()
    with pytest.raises(AudioError, match="an even number of stereo samples"):
        outbound.push(48_000, LEFT, layout="stereo")
    with pytest.raises(AudioError, match="pass layout='stereo'"):
        outbound.push(48_000, np.zeros((2, 9)), layout="mono")
    with pytest.raises(AudioError, match="'mono' or 'stereo'"):
        outbound.push(48_000, LEFT, layout="quad")  # type: ignore[arg-type]
    assert outbound.pull(partial=True) is None


@pytest.mark.parametrize("rate_hz", [-1, 0, 7_999, 192_001, 10**15])
def test_a_rate_out_of_range_is_refused(rate_hz: int) -> None:
    outbound = OutboundAudio()
    with pytest.raises(AudioError, match="8000 to 192000 Hz, got"):
        outbound.push(rate_hz, LEFT)
    with pytest.raises(AudioError, match="an offset up to 7, got 8"):
        outbound.push(48_000, LEFT, offset=8)
    assert outbound.pull(partial=True) is None


def test_a_full_buffer_makes_the_producer_come_back() -> None:
    outbound = OutboundAudio(max_buffered_s=0.1)
    samples = np.arange(9_600, dtype=np.int16)
    assert outbound.push(48_000, samples) == 4_800
    assert outbound.push(48_000, samples, offset=4_800) == 0
    taken, out = 4_800, []
    while taken < len(samples):
        frame = outbound.pull()
        assert frame is not None
        out.append(frame)
        taken += outbound.push(48_000, samples, offset=taken)
        assert outbound.buffered_s <= 0.1
    out.extend(frames(outbound))
    assert np.concatenate(out, axis=1)[0].tolist() == samples.tolist()


def test_end_pads_the_last_frame_and_the_next_chunk_starts_a_stream() -> None:
    outbound = OutboundAudio()
    outbound.push(48_000, np.full(1_000, 5, np.int16))
    assert (outbound.has_frame, outbound.buffered_s) == (True, 1_000 / 48_000)
    outbound.end()
    assert outbound.buffered_s == 0.04
    outbound.push(48_000, np.full(960, 6, np.int16))
    out = np.concatenate(list(frames(outbound)), axis=1)[0]
    assert [int(out[at]) for at in (0, 999, 1_000, 1_919, 1_920)] == [5, 5, 0, 0, 6]


def test_clear_drops_every_waiting_sample() -> None:
    outbound = OutboundAudio()
    outbound.push(48_000, np.ones((2, 1_500), np.int16))
    assert outbound.clear() == 1_500
    assert (outbound.has_frame, outbound.buffered_s, outbound.channels) == (False, 0.0, 2)
    assert outbound.pull(partial=True) is None


def test_rate_dtype_and_layout_may_change_in_mid_stream() -> None:
    outbound = OutboundAudio(max_buffered_s=10.0)
    chunks: list[tuple[int, Any]] = [
        (24_000, tone(24_000, 0.5).astype(np.float32)),
        (16_000, (tone(16_000, 0.5) * 32768).astype(np.int16)),
        (44_100, np.stack([tone(44_100, 0.5)] * 2)),
        (8_000, tone(8_000, 0.5).tolist()),
        (48_000, (tone(48_000, 0.5) * 2**31).astype(np.int32)),
    ]
    for rate_hz, samples in chunks:
        assert outbound.push(rate_hz, samples) == OutboundAudio.samples_per_channel(samples)
    both = ended(outbound)
    assert both.shape[0] == 2
    assert both.shape[1] == pytest.approx(5 * 24_000, abs=960)
    edges = [*range(0, 120_000, 24_000), 120_000]
    for start, stop in pairwise(edges):
        middle = both[:, start + 2_000 : stop - 2_000]
        for channel in middle:
            assert pitch_hz(channel, 48_000) == pytest.approx(440, abs=3)
            assert np.abs(channel).max() == pytest.approx(16_384, rel=0.01)


@pytest.mark.parametrize("settings", [{"call_rate_hz": 44_110}, {"max_buffered_s": 0.01}])
def test_a_setting_out_of_range_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(AudioError, match="expected"):
        OutboundAudio(**settings)


def test_what_was_pulled_is_found_again_in_what_is_received() -> None:
    rng = np.random.default_rng(1)
    # In the band of speech, as speech is.
    played = np.repeat((rng.normal(size=8_000) * 5_000).astype(np.int16), 6)
    outbound = OutboundAudio()
    outbound.push(48_000, played)
    echo = (played[-36_000:-12_000] // 50).reshape(1, -1)
    assert outbound.echo_score(48_000, echo) == 0.0
    assert sum(1 for _ in frames(outbound)) == 50
    other = (rng.normal(size=(1, 24_000)) * 500).astype(np.int16)
    assert outbound.echo_score(48_000, other) < ECHO_SCORE / 2
    assert outbound.echo_score(48_000, echo) > 0.6
    assert outbound.echo_score(48_000, echo[0]) > 0.6
    assert outbound.echo_score(48_000, echo[:, :9_000]) == 0.0
    with pytest.raises(AudioError):
        outbound.echo_score(48_000, echo.astype(np.float32))
    with pytest.raises(AudioError):
        outbound.echo_score(100, echo)
