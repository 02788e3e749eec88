"""The Python interface of the compiled audio classes: dtypes, shapes, errors, threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import numpy as np
import pytest
from support.tones import pitch_hz, tone

from gradio_webrtc._audio import AudioFifo, InboundAudio, OutboundAudio, Pcm16Assembler, Resampler
from gradio_webrtc.errors import AudioError

RATES_HZ = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000]
LEFT, RIGHT = np.arange(1, 8, dtype=np.int16), np.arange(-1, -8, -1, dtype=np.int16)


# ----------------------------------------------------------------------------------- inbound


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_a_handler_gets_frames_of_its_own_format(rate_hz: int, layout: Any) -> None:
    inbound = InboundAudio(48_000, 2, rate_hz, layout=layout, frame_samples=480)
    received = (np.stack([tone(48_000, 1), tone(48_000, 1, 1_000) / 4], axis=1) * 32768).astype(
        np.int16
    )
    got = [
        frame
        for start in range(0, 96_000, 1_920)
        for frame in inbound.process(received.reshape(1, -1)[:, start : start + 1_920])
    ]
    while (frame := inbound.flush()) is not None:
        got.append(frame)
    channels = 2 if layout == "stereo" else 1
    assert {(frame.dtype.str, frame.shape) for frame in got} == {("<i2", (1, 480 * channels))}
    together = np.concatenate(got, axis=1).reshape(-1, channels).T
    assert together.shape[1] >= rate_hz
    assert pitch_hz(together[0], rate_hz) == pytest.approx(440, abs=3)
    if layout == "stereo":
        assert pitch_hz(together[1], rate_hz) == pytest.approx(1_000, abs=3)


def test_inbound_frames_do_not_depend_on_views_or_cuts() -> None:
    received = (tone(48_000, 0.2) * 32768).astype(np.int16)
    whole = InboundAudio(48_000, 1, 16_000).process(received)
    inbound = InboundAudio(48_000, 1, 16_000)
    pieces = [inbound.process(part.repeat(2)[::2]) for part in np.array_split(received, 7)]
    assert np.array_equal(np.concatenate(whole), np.concatenate(list(chain(*pieces))))


def test_inbound_audio_that_waits_is_kept_where_a_format_changes() -> None:
    inbound = InboundAudio(48_000, 1, 48_000, layout="stereo", frame_samples=4)
    assert inbound.process(np.array([1, 2, 3], np.int16)) == []
    with pytest.raises(AudioError, match="got 3"):
        inbound.change_to(48_000, 3, 48_000, layout="stereo", frame_samples=4)
    inbound.change_to(48_000, 2, 48_000, layout="stereo", frame_samples=5)
    [frame] = inbound.process(np.array([4, 5, 6, 7], np.int16))
    assert frame.tolist() == [[1, 1, 2, 2, 3, 3, 4, 5, 6, 7]]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(960, np.float32), "an int16 array of shape .*, got float32 of shape"),
        (np.zeros((2, 960), np.int16), r"shape \(n,\) or \(1, n\), got int16 of shape \(2, 960\)"),
        ([1, 2], "got <class 'list'>"),
        (np.zeros(961, np.int16), "a multiple of 2 interleaved samples, got 961"),
    ],
)
def test_inbound_refuses_an_array_that_is_no_inbound_audio(samples: Any, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        InboundAudio(48_000, 2, 48_000).process(samples)


def test_inbound_reset_discards_the_rest() -> None:
    inbound = InboundAudio(48_000, 1, 24_000)
    assert inbound.process(np.ones(100, np.int16)) == []
    inbound.reset()
    assert inbound.flush() is None


# ------------------------------------------------------------- resampler, framing, assembling


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_the_resampler_returns_the_dtype_of_its_input(channels: int, dtype: type[Any]) -> None:
    resampler = Resampler(48_000, 16_000, channels=channels)
    scale = 32768 if dtype is np.int16 else 1
    audio = np.stack([tone(48_000, 1) * scale] * channels).astype(dtype)
    parts = [resampler.process(part) for part in np.array_split(audio, 13, axis=1)]
    assert all((part.dtype, part.shape[0]) == (dtype, channels) for part in parts)
    out = np.concatenate([*parts, resampler.flush()], axis=1)
    delay = round(resampler.delay_s * 16_000)
    assert out.shape == (channels, 16_000 + delay)
    middle = out[:, delay + 1_000 : -1_000]
    assert np.allclose(
        middle, tone(16_000, 1)[1_000 : 1_000 + middle.shape[1]] * scale, atol=2e-4 * scale
    )


def test_the_resampler_saturates_and_replaces_non_finite_samples_by_silence() -> None:
    resampler = Resampler(48_000, 48_000)
    odd = np.array([np.nan, 2.0, -2.0, np.inf, 0.25], np.float32)
    assert resampler.process(odd).tolist() == [[0.0, 1.0, -1.0, 0.0, 0.25]]


def test_the_resampler_resets_and_delays_less_for_a_detector() -> None:
    resampler = Resampler(48_000, 16_000, quality="low_latency")
    assert 0 < resampler.delay_s < Resampler(48_000, 16_000).delay_s
    audio = tone(48_000, 0.1).astype(np.float32)
    first = resampler.process(audio)
    resampler.reset()
    assert np.array_equal(resampler.process(audio), first)


def test_the_resampler_refuses_invalid_arguments_and_arrays() -> None:
    wrong: list[dict[str, Any]] = [{"channels": 0}, {"quality": "best"}]
    for arguments in wrong:
        with pytest.raises(AudioError, match="expected"):
            Resampler(48_000, 16_000, **arguments)
    with pytest.raises(AudioError, match="8000 to 192000 Hz, got 1 Hz"):
        Resampler(48_000, 1)
    with pytest.raises(AudioError, match="int16 or float32"):
        Resampler(48_000, 16_000).process(np.zeros(4))  # type: ignore[arg-type]
    with pytest.raises(AudioError, match=r"shape \(2, n\)"):
        Resampler(48_000, 16_000, channels=2).process(np.zeros(4, np.int16))


def test_the_fifo_cuts_every_channel_alike() -> None:
    fifo = AudioFifo(4, channels=2)
    fifo.write(np.stack([LEFT, RIGHT]))
    frame = fifo.read()
    assert frame is not None
    assert frame.tolist() == [LEFT[:4].tolist(), RIGHT[:4].tolist()]
    assert (fifo.read(), fifo.buffered_samples) == (None, 3)
    rest = fifo.flush()
    assert rest is not None
    assert rest.tolist() == [[*LEFT[4:].tolist(), 0], [*RIGHT[4:].tolist(), 0]]
    assert fifo.flush() is None


def test_the_fifo_takes_flat_mono_and_refuses_other_shapes() -> None:
    fifo = AudioFifo(2)
    fifo.write(LEFT[:2])
    frame = fifo.read()
    assert frame is not None
    assert frame.tolist() == [[1, 2]]
    with pytest.raises(AudioError, match="got int16 of shape"):
        fifo.write(np.stack([LEFT, RIGHT]))
    with pytest.raises(AudioError, match="frame_samples of 1 to a minute's, got 0"):
        AudioFifo(0)
    with pytest.raises(AudioError, match="1 to 32 channels, got 0"):
        AudioFifo(1, 0)


def test_the_assembler_carries_the_odd_byte_across_kinds_of_chunks() -> None:
    assembler = Pcm16Assembler()
    data = LEFT.tobytes()
    chunks: list[Any] = [
        data[:3],
        bytearray(data[3:4]),
        b"",
        memoryview(data)[4:9],
        memoryview(data)[9::1],
    ]
    out = [assembler.push(chunk) for chunk in chunks]
    assert np.concatenate(out, axis=1).tolist() == [LEFT.tolist()]
    assert {(part.dtype.str, part.shape[0]) for part in out} == {("<i2", 1)}
    assembler.push(b"x")
    assert assembler.has_pending_byte
    assembler.reset()
    assert not assembler.has_pending_byte
    with pytest.raises(AudioError, match="got <class 'str'>"):
        assembler.push("text")


# ----------------------------------------------------------------------------------- threads


def test_threads_that_share_an_object_take_turns() -> None:
    fifo, outbound = AudioFifo(160), OutboundAudio(max_buffered_s=60.0)
    chunk = np.full(160, 7, np.int16)

    def use(_: int) -> int:
        fifo.write(chunk)
        outbound.push(48_000, chunk)
        return 0 if fifo.read() is None else 1

    with ThreadPoolExecutor(8) as pool:
        read = sum(pool.map(use, range(2_000)))
    while (frame := fifo.read()) is not None:
        read += 1
        assert frame.tolist() == [chunk.tolist()]
    assert read == 2_000
    assert outbound.clear() == 2_000 * 160


def test_long_resampling_in_many_threads_gives_the_result_of_one_thread() -> None:
    audio = tone(48_000, 2).astype(np.float32)
    alone = Resampler(48_000, 16_000).process(audio)
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda _: Resampler(48_000, 16_000).process(audio), range(8))
        assert all(np.array_equal(result, alone) for result in results)
