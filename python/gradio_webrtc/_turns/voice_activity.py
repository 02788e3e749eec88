"""Speech in finished recordings, detected by Silero.

`ReplyOnPause` itself works on audio as it arrives and needs none of this. It is for code that was
written for the models of gradio_webrtc 0.0.31 and fastrtc: an overridden ``determine_pause``,
transcription in chunks. Blocks; any thread.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, runtime_checkable

import numpy as np

from gradio_webrtc._audio import Resampler, SileroVad, audio_to_float32

from .options import SileroVadOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

ModelOptions: TypeAlias = Any
"""The options of a `PauseDetectionModel`: anything it takes."""

Chunk: TypeAlias = dict[str, int]
"""``{"start": ..., "end": ...}`` in samples of the recording."""

HYSTERESIS: Final = 0.15
"""The fall of the probability below the threshold that ends a chunk: as in Silero's own
``get_speech_timestamps`` (silero-vad 6.2, parameter ``neg_threshold``)."""


@runtime_checkable
class PauseDetectionModel(Protocol):
    """The protocol of fastrtc for detectors of your own, which get one block after the other.

    For less delay, implement `VoiceActivityDetector` instead, which gets every window.

    Example:
        >>> class Loudness:
        ...     def vad(self, audio, options):
        ...         rate_hz, samples = audio
        ...         seconds = float((abs(samples) > 1000).sum() / rate_hz)
        ...         return seconds, [{"start": 0, "end": samples.size}]
        ...
        ...     def warmup(self):
        ...         pass
        >>> handler = ReplyOnPause(lambda audio: audio, model=Loudness())
    """

    def vad(
        self, audio: tuple[int, NDArray[Any]], options: ModelOptions
    ) -> tuple[float, list[Chunk]]:
        """Measures the speech in a recording.

        Args:
            audio: Rate in Hz, and samples ``(n,)``.
            options: The handler's ``model_options``.

        Returns:
            Seconds of speech, and its chunks in samples.
        """

    def warmup(self) -> None:
        """Prepares the model, so that the first call is not the slow one."""


class SileroVADModel:
    """The built-in Silero as a `PauseDetectionModel`. Safe to share among threads.

    Example:
        >>> SileroVADModel().vad((16000, np.zeros(16000, np.int16)))  # seconds, chunks
        (0.0, [])
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nets: dict[int, SileroVad] = {}

    def warmup(self) -> None:
        """Loads the weights of the 16 kHz net."""
        with self._lock:
            self._net(16000)

    def vad(
        self, audio: tuple[int, NDArray[Any]], options: SileroVadOptions | None = None
    ) -> tuple[float, list[Chunk]]:
        """Measures the speech in a recording. Blocks; keeps no state between calls.

        Args:
            audio: Rate in Hz, and int16 or float samples, ``(n,)`` or ``(1, n)``.
            options: See `SileroVadOptions`.

        Returns:
            Seconds of speech without the pad, and the padded chunks in samples, in order, which
            do not overlap.

        Raises:
            TypeError: The samples are neither int16 nor float.
        """
        options = options or SileroVadOptions()
        rate_hz, samples = audio[0], audio_to_float32(audio[1]).reshape(-1)
        net_hz = 8000 if rate_hz == 8000 else 16000  # noqa: PLR2004 - the two nets there are
        probabilities = self._probabilities(rate_hz, samples, net_hz)
        window_s = self._nets[net_hz].window_samples / net_hz
        speech = _find_speech(probabilities, window_s, options)
        spoken_s = float(sum(end - start for start, end in speech))
        return spoken_s, _pad(speech, samples.size, rate_hz, options.speech_pad_ms / 1000)

    def _net(self, net_hz: int) -> SileroVad:
        if net_hz not in self._nets:
            self._nets[net_hz] = SileroVad(net_hz)
        return self._nets[net_hz]

    def _probabilities(
        self, rate_hz: int, samples: NDArray[np.float32], net_hz: int
    ) -> list[float]:
        if rate_hz != net_hz:
            resampler = Resampler(rate_hz, net_hz, quality="low_latency")
            parts = (resampler.process(samples), resampler.flush())
            samples = np.concatenate([part.reshape(-1) for part in parts])
        with self._lock:
            net = self._net(net_hz)
            net.reset()
            length = net.window_samples
            padded = np.pad(samples, (0, -samples.size % length)).astype(np.float32)
            return [net.probability(window) for window in padded.reshape(-1, length)]


@lru_cache(maxsize=1)
def get_silero_model() -> SileroVADModel:
    """Returns the process's one `SileroVADModel`, loaded.

    Example:
        >>> seconds, chunks = get_silero_model().vad((16000, np.zeros(16000, np.int16)))
    """
    model = SileroVADModel()
    model.warmup()
    return model


def _find_speech(
    probabilities: list[float], window_s: float, options: SileroVadOptions
) -> list[tuple[float, float]]:
    """Returns start and end of each stretch of speech, in seconds, before padding."""
    found: list[tuple[float, float]] = []
    start = last = None
    release = max(options.threshold - HYSTERESIS, 0.01)
    min_silence_s = options.min_silence_duration_ms / 1000
    for index, probability in enumerate(probabilities):
        now, end = index * window_s, (index + 1) * window_s
        goes_on = last == now and probability >= release
        is_speech = goes_on or probability >= options.threshold
        if is_speech:
            start, last = now if start is None else start, end
        if start is None or last is None:
            continue
        is_over = not is_speech and end - last >= min_silence_s
        if is_over or end - start >= options.max_speech_duration_s:
            found.append((start, last))
            start = last = None
    if start is not None and last is not None:
        found.append((start, last))
    shortest = options.min_speech_duration_ms / 1000
    return [(start, end) for start, end in found if end - start >= shortest]


def _pad(speech: list[tuple[float, float]], size: int, rate_hz: int, pad_s: float) -> list[Chunk]:
    """Returns the stretches in samples, wider by the pad where neighbours and the ends allow."""
    starts = [max(start - pad_s, 0.0) for start, _ in speech]
    ends = [end + pad_s for _, end in speech]
    for index in range(1, len(speech)):
        if ends[index - 1] > starts[index]:
            middle = (speech[index - 1][1] + speech[index][0]) / 2
            ends[index - 1] = starts[index] = middle
    return [
        {"start": round(start * rate_hz), "end": min(round(end * rate_hz), size)}
        for start, end in zip(starts, ends, strict=True)
    ]
