"""The kernels of the core, across the boundary to Python, beside other packages."""

from __future__ import annotations

import functools
import importlib
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import converters
import numpy as np
import peers
import quality
from figures import Figures

from support.signals import DATA, speech  # isort: skip  # report makes it importable

from gradio_webrtc._audio import (
    SileroVad,
    aggregate_bytes_to_16bit,
    decode_g711,
    encode_g711,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

RATIOS: Final = (
    (48_000, 16_000),
    (24_000, 48_000),
    (44_100, 48_000),
    (8_000, 48_000),
    (48_000, 24_000),
    (16_000, 48_000),
    (48_000, 44_100),
    (11_025, 48_000),
    (8_000, 44_100),
    (44_101, 48_000),
)
"""The five of the plan, their way back, and three that are hard."""

RESAMPLED_FRAMES: Final = 1500
"""30 s: some converters work in blocks of many frames, and all of a block is to be paid."""

CHUNKS: Final = {"1 to 64 bytes": (1, 64), "1 to 4096 bytes": (1, 4096), "64 KiB": (65_536, 65_536)}


PASSES: Final = 5
"""Measurements of each of those that are compared, in one run and in turns: a processor whose clock
changes, or whose host needs it, takes as long for all of them."""


def cpu_us(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Microseconds of this thread's CPU for each of so many rounds, by name; medians."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(PASSES):
        for name, work in works.items():
            began = time.thread_time_ns()
            for _ in range(rounds):
                work()
            taken[name].append((time.thread_time_ns() - began) / rounds / 1000)
    return {name: statistics.median(each) for name, each in taken.items()}


# Silero


def recordings() -> list[NDArray[np.float32]]:
    """The tests' recordings of people speaking, from -1 to 1."""
    files = sorted(DATA.glob("*_16k.flac"))
    return [(speech(file.stem)[1] / 32768).astype(np.float32) for file in files]


class Onnx:
    """The same model in onnxruntime, on one thread."""

    def __init__(self) -> None:
        import onnxruntime  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(peers.SILERO_FILE), options, providers=["CPUExecutionProvider"]
        )
        self._rate = np.array(16_000)
        self.reset()

    def reset(self) -> None:
        """Discards its state."""
        self._state = np.zeros((2, 1, 128), np.float32)

    def probability(self, window: NDArray[np.float32]) -> float:
        """Of ``(1, 576)``: a window, and the 64 samples before it."""
        inputs = {"input": window, "state": self._state, "sr": self._rate}
        answer, self._state = self._session.run(None, inputs)
        return float(answer[0, 0])


def windows(samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
    """Each window for us, and for the model with its context."""
    count = samples.size // 512
    padded = np.pad(samples, (64, 0))
    context = [padded[None, nth * 512 : nth * 512 + 576].copy() for nth in range(count)]
    return samples[: count * 512].reshape(-1, 512), context


def cycle(function: Callable[[Any], object], arguments: Sequence[Any]) -> Callable[[], object]:
    """Work that calls the function with one argument after the other, over and over."""

    def endless() -> Iterator[object]:
        while True:
            yield from map(function, arguments)

    return endless().__next__


def silero(figures: Figures) -> None:
    """CPU of a window, and how far the answers lie apart."""
    if line := peers.absent(peers.KERNELS, peers.SILERO):
        figures.note(f"onnxruntime: {line}")
        return
    vad, onnx = SileroVad(), Onnx()
    worst, flips, total = 0.0, 0, 0
    for samples in recordings():
        vad.reset()
        onnx.reset()
        plain, with_context = windows(samples)
        got = np.array([vad.probability(window) for window in plain])
        expected = np.array([onnx.probability(window) for window in with_context])
        worst = max(worst, float(np.abs(got - expected).max()))
        flips += int(((got > 0.5) != (expected > 0.5)).sum())  # noqa: PLR2004
        total += got.size
    works = {
        "ours": cycle(vad.probability, plain),
        "onnxruntime": cycle(onnx.probability, with_context),
    }
    for _ in range(figures.runs):
        values = cpu_us(works, 1000)
        target = {"times": 5, "beside": "onnxruntime"}
        figures.add("one Silero window: CPU", "µs", values, target=target)
    name = f"Silero: largest difference from onnxruntime in {total} windows"
    figures.add(name, "", {"ours": worst}, target={"most": 4e-4})
    figures.add("Silero: decisions that differ", "", {"ours": flips}, target={"most": 0})


# Resampling


def frame_of(from_hz: int) -> NDArray[np.float32]:
    """20 ms of noise."""
    rng = np.random.default_rng(1)
    return (0.2 * rng.standard_normal(from_hz // 50)).astype(np.float32)


def resampling(figures: Figures) -> None:
    """CPU of 20 ms, and the quality, for each ratio."""
    makes, line = converters.available()
    if line:
        figures.note(f"soxr, samplerate: {line}")
    for from_hz, to_hz in RATIOS:
        name, frame = f"{from_hz} to {to_hz} Hz", frame_of(from_hz)
        works = {
            stack: functools.partial(make(from_hz, to_hz), frame) for stack, make in makes.items()
        }
        for _ in range(figures.runs):
            values = cpu_us(works, RESAMPLED_FRAMES)
            target = {"times": 1, "beside": "soxr"}
            figures.add(f"{name}: CPU of 20 ms", "µs", values, target=target)
        found = {stack: quality.measure(make, from_hz, to_hz) for stack, make in makes.items()}
        add_quality(figures, name, found, min(from_hz, to_hz))


def add_quality(
    figures: Figures, name: str, found: dict[str, quality.Quality], lower_hz: int
) -> None:
    """Six figures of one ratio, which are the same in each run."""

    def add(words: str, unit: str, field: str, better: Any = "lower", **target: float) -> None:
        values = {stack: getattr(each, field) for stack, each in found.items()}
        figures.add(f"{name}: {words}", unit, values, better=better, target=target)

    # 4.5 ms, or 72 samples of a rate below 16 kHz; measured to a hundredth.
    delay_ms = max(4.5, 1000 * 72 / lower_hz) + 0.01
    add("signal to noise", "dB", "snr", "higher", least=120)
    add("ripple", "dB", "ripple", most=0.001)
    add("images and aliases", "dB", "stop_band", most=-110)
    add("delay, least", "ms", "delay_min")
    add("delay, mean", "ms", "delay_mean")
    add("delay, most", "ms", "delay_max", most=delay_ms)


# 16-bit samples


def cut(least: int, most: int) -> list[bytes]:
    """A mebibyte, or four thousand chunks, of random lengths."""
    rng = np.random.default_rng(2)
    lengths = rng.integers(least, most + 1, max(16, min(4000, (1 << 21) // (least + most))))
    return [rng.bytes(length) for length in lengths]


def aggregation(figures: Figures) -> None:
    """CPU of a chunk; fastrtc's own code beside it, in its environment."""
    line = peers.absent(peers.FASTRTC)
    if line:
        figures.note(f"fastrtc's aggregation: {line}")
    for words, (least, most) in CHUNKS.items():
        chunks = cut(least, most)
        target = {"times": 1.5 if most == 64 else 1, "beside": "fastrtc"}  # noqa: PLR2004
        rounds = max(20_000 // len(chunks), 5)
        for _ in range(figures.runs):
            taken = cpu_us({"ours": lambda: _aggregated(chunks)}, rounds)  # noqa: B023 - now
            values = {stack: each / len(chunks) for stack, each in taken.items()}
            if not line:
                values["fastrtc"] = _their_aggregation(chunks, rounds)
            figures.add(f"16-bit aggregation, chunks of {words}: CPU", "µs", values, target=target)


def _aggregated(chunks: list[bytes]) -> None:
    for _ in aggregate_bytes_to_16bit(chunks):
        pass


def _their_aggregation(chunks: list[bytes], rounds: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chunks.npz"
        octets = np.frombuffer(b"".join(chunks), np.uint8)
        np.savez(file, octets=octets, lengths=[len(each) for each in chunks], rounds=rounds)
        script = "fastrtc_aggregation.py"
        return float(peers.run(peers.FASTRTC.python, script, str(file), str(PASSES)))


# G.711


def companding(figures: Figures) -> None:
    """CPU of 20 ms of a telephone, each way."""
    rng = np.random.default_rng(3)
    samples = rng.normal(0, 3000, 160).astype(np.int16)
    codes, pcm = encode_g711(samples), samples.tobytes()
    expand = decode_g711(bytes(range(256)))[0]
    compress = np.frombuffer(encode_g711(np.arange(-32768, 32768).astype(np.int16)), np.uint8)
    decoding: dict[str, Callable[[], object]] = {
        "ours": lambda: decode_g711(codes),
        "numpy": lambda: expand[np.frombuffer(codes, np.uint8)],
    }
    encoding: dict[str, Callable[[], object]] = {
        "ours": lambda: encode_g711(samples),
        "numpy": lambda: compress.take(samples.astype(np.int32) + 32768).tobytes(),
    }
    if audioop := the_audioop():
        decoding["audioop"] = lambda: audioop.ulaw2lin(codes, 2)
        encoding["audioop"] = lambda: audioop.lin2ulaw(pcm, 2)
    for _ in range(figures.runs):
        for words, works in (("decoded", decoding), ("encoded", encoding)):
            values = cpu_us(works, 20_000)
            target = {"times": 1, "beside": "numpy"}
            figures.add(f"mu-law, 20 ms {words}: CPU", "µs", values, target=target)


def the_audioop() -> Any:
    """Python's own module, which fastrtc uses; ``None`` from Python 3.13 on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return importlib.import_module("audioop")
        except ModuleNotFoundError:
            return None


def main() -> None:
    """Measures all of them."""
    figures = Figures("kernels", "The core's kernels, called from Python")
    silero(figures)
    resampling(figures)
    aggregation(figures)
    companding(figures)
    figures.close()


if __name__ == "__main__":
    main()
