"""Smart Turn v3: a model that estimates from the audio whether a user has finished.

The extra ``smart-turn`` brings its runtime; the weights are those of an installed ``pipecat-ai``,
or a file. Nothing is downloaded. Blocks; any thread.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .speech_to_text import STT_RATE_HZ, to_stt_rate
from .turn_end import CERTAIN_AT, threshold_of

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

__all__ = ["SmartTurn"]

RATE_HZ: Final = STT_RATE_HZ
"""The rate of Whisper, whose encoder the model is, in Hz."""

WINDOW_SAMPLES: Final = 8 * RATE_HZ
"""The model looks at the last eight seconds; shorter audio has zeros before it."""

FRAME_SAMPLES: Final = 400
HOP_SAMPLES: Final = 160
MELS: Final = 80
FRAMES: Final = WINDOW_SAMPLES // HOP_SAMPLES
"""Whisper's spectrum: frames of 25 ms, every 10 ms, in 80 bands of the mel scale."""

EDGE_SAMPLES: Final = FRAME_SAMPLES // 2
"""The first frame is centred on the first sample, and the audio is mirrored before that."""

POWER_FLOOR: Final = 1e-10
DYNAMIC_RANGE: Final = 8.0
"""Whisper's: decimal powers below the loudest value of a spectrum that count, 80 dB."""

VARIANCE_FLOOR: Final = 1e-7
"""Added to the variance of the audio before it is divided by its root; of Whisper's extractor."""

LINEAR_HZ: Final = 1000.0
LINEAR_BANDS: Final = 15.0
BAND_STEP: Final = float(np.log(6.4)) / 27.0
"""Slaney's mel scale: 15 linear bands to 1,000 Hz, then 27 equal ratios to 6,400 Hz."""

IN_PIPECAT: Final = "audio/turn/smart_turn/data"
WEIGHTS: Final = "smart-turn-v3*-cpu.onnx"
"""The weights in the wheel of pipecat-ai: in 1.14.0 those of v3.2, 8.7 MB with int8 weights."""

NO_RUNTIME: Final = """SmartTurn needs onnxruntime, which is not installed. Install it with

    pip install "gradio_webrtc[smart-turn]"
"""

NO_WEIGHTS: Final = """SmartTurn found no weights. Install a package that has them with

    pip install pipecat-ai

or pass the path of a file: SmartTurn("smart-turn-v3.2-cpu.onnx")."""


class SmartTurn:
    """Smart Turn v3, by way of ``onnxruntime``: a `TurnEndModel` for `ReplyOnPause`.

    One object serves all sessions, in their threads. Loading takes about 0.2 s, so make it once.

    Args:
        model: The path of the weights, an ONNX file; ``None`` for those of an installed
            ``pipecat-ai``, which is not imported.
        certain_at: The probability from which a turn is over, more than 0, to 1.

    Attributes:
        certain_at: As given; may be set at any time.

    Raises:
        ImportError: ``onnxruntime`` is missing, or there are no weights; the text has the command.
        FileNotFoundError: There is no such file.
        ValueError: The file is none of the model, or ``certain_at`` is out of range.
    """

    def __init__(
        self, model: str | os.PathLike[str] | None = None, *, certain_at: float = CERTAIN_AT
    ) -> None:
        self.certain_at = certain_at
        threshold_of(self)
        # First: an ImportError from inside the package must not look like its absence.
        if importlib.util.find_spec("onnxruntime") is None:
            raise ImportError(NO_RUNTIME)
        path = _installed_weights() if model is None else Path(model)
        if not path.is_file():
            raise FileNotFoundError(f"no weights of Smart Turn in {path}")
        self._session = _load(path)
        # The first run allocates; no turn should wait for that.
        self.probability(RATE_HZ, np.zeros((1, RATE_HZ), np.int16))

    def probability(
        self,
        rate_hz: int,
        samples: NDArray[Any],
        *,
        speech_s: float = 0.0,  # noqa: ARG002 - of the protocol; the model sees the audio
        silence_s: float = 0.0,  # noqa: ARG002
    ) -> float:
        """Returns the probability that the turn is over; see `TurnEndModel`.

        Blocks for 26 to 40 ms of CPU, in one thread. The net has weights of 8 bits: versions of
        onnxruntime differ by up to 0.1 where it is uncertain.

        Args:
            rate_hz: The rate of the samples, 8,000 to 192,000 Hz.
            samples: int16 or float, ``(n,)`` or ``(1, n)``, of which the last 8 s count.
            speech_s: Not used.
            silence_s: Not used.

        Raises:
            AudioError: A rate out of range.
            TypeError: The samples are neither int16 nor float.
        """
        # A little more than the window, for the resampler to begin with.
        last = samples.reshape(-1)[-(9 * rate_hz) :]
        inputs = {"input_features": log_mel(to_stt_rate((rate_hz, last)))[None]}
        return float(self._session.run(None, inputs)[0].reshape(-1)[0])


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the features of the model: Whisper's logarithmic spectrum of the last 8 s.

    Args:
        samples: float32 ``(n,)`` at 16 kHz, -1 to 1.

    Returns:
        float32 ``(80, 800)``: mel bands from 0 Hz up, in frames of 10 ms; the last is the latest.
    """
    samples = samples[-WINDOW_SAMPLES:]
    zeros = WINDOW_SAMPLES - samples.size
    # The zeros before the audio are part of the window whose mean and variance become 0 and 1.
    mean = samples.sum(dtype=np.float64) / WINDOW_SAMPLES
    power = float(np.square(samples, dtype=np.float64).sum()) / WINDOW_SAMPLES
    scale = 1 / np.sqrt(max(power - mean**2, 0.0) + VARIANCE_FLOOR)
    # Frames of nothing but those zeros are all alike: one is computed for them.
    alike = max(0, (zeros - EDGE_SAMPLES) // HOP_SAMPLES)
    kept_zeros = zeros - alike * HOP_SAMPLES
    window = np.zeros(kept_zeros + samples.size, np.float32)
    window[kept_zeros:] = samples
    window = ((window - mean) * scale).astype(np.float32)
    padded = np.pad(window, EDGE_SAMPLES, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME_SAMPLES)[::HOP_SAMPLES]
    bins = np.fft.rfft(frames[: FRAMES - alike] * _hann())
    mels = (np.square(bins.real) + np.square(bins.imag)) @ _mel_filters()
    levels = np.log10(np.maximum(mels, POWER_FLOOR))
    levels = np.maximum(levels, levels.max() - DYNAMIC_RANGE)
    features = np.empty((MELS, FRAMES), np.float32)
    features[:, alike:] = levels.T
    features[:, :alike] = levels[0][:, None]
    features += np.float32(4)
    features *= np.float32(1 / 4)
    return features


@cache
def _hann() -> NDArray[np.float32]:
    """The window of a frame, float32 ``(400,)``, as one period of a cosine."""
    phase = np.arange(FRAME_SAMPLES) * (2 * np.pi / FRAME_SAMPLES)
    window: NDArray[np.float32] = (0.5 - 0.5 * np.cos(phase)).astype(np.float32)
    return window


@cache
def _mel_filters() -> NDArray[np.float32]:
    """The weights of a frame's bins in the bands, float32 ``(201, 80)``: triangles of one area."""
    bins_hz = np.linspace(0, RATE_HZ / 2, FRAME_SAMPLES // 2 + 1)[:, None]
    corners_hz = _hz(np.linspace(0, _mel(RATE_HZ / 2), MELS + 2))
    low, middle, high = corners_hz[:-2], corners_hz[1:-1], corners_hz[2:]
    rising, falling = (bins_hz - low) / (middle - low), (high - bins_hz) / (high - middle)
    triangles = np.maximum(0, np.minimum(rising, falling)) * (2 / (high - low))
    return triangles.astype(np.float32)


def _mel(hz: float) -> float:
    """Returns a frequency above `LINEAR_HZ` on Slaney's mel scale."""
    return LINEAR_BANDS + float(np.log(hz / LINEAR_HZ)) / BAND_STEP


def _hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns frequencies of Slaney's mel scale in Hz."""
    linear = mels * (LINEAR_HZ / LINEAR_BANDS)
    return np.where(
        mels < LINEAR_BANDS, linear, LINEAR_HZ * np.exp((mels - LINEAR_BANDS) * BAND_STEP)
    )


def _installed_weights() -> Path:
    found = importlib.util.find_spec("pipecat")
    for folder in [] if found is None else found.submodule_search_locations or []:
        weights = sorted(Path(folder, IN_PIPECAT).glob(WEIGHTS))
        if weights:
            return weights[-1]
    raise ImportError(NO_WEIGHTS)


def _load(path: Path) -> Any:
    """Returns the model, which runs in the thread that calls it.

    Raises:
        ValueError: The file is none of Smart Turn v3.
    """
    import onnxruntime  # noqa: PLC0415 - an extra

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Errors alone: they are raised as well, and warnings are not for users of a model.
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise ValueError(f"{path} is no ONNX model: {error}") from error
    inputs = {each.name: each.shape[1:] for each in session.get_inputs()}
    if inputs != {"input_features": [MELS, FRAMES]}:
        raise ValueError(
            f"{path} is not Smart Turn v3: expected input_features of {MELS} by {FRAMES}, "
            f"got {inputs}"
        )
    return session
