"""Speech to text, for `ReplyOnStopWords` and for users' own functions.

The extra ``stopword`` brings Moonshine tiny, whose weights for English are in its wheel: nothing
is downloaded. Any other model will do that has `STTModel.stt`. Blocks; any thread.
"""

from __future__ import annotations

import importlib.util
import threading
import warnings
from functools import cache
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    Protocol,
    TypeAlias,
    overload,
    runtime_checkable,
)

import numpy as np

from gradio_webrtc._audio import Resampler, audio_to_float32

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Recording: TypeAlias = tuple[int, NDArray[Any]]
    Chunks: TypeAlias = Sequence[dict[str, int]]

__all__ = [
    "STT_RATE_HZ",
    "MoonshineSTT",
    "STTModel",
    "get_stt_model",
    "stt",
    "stt_for_chunks",
    "to_stt_rate",
]

STT_RATE_HZ: Final = 16_000
"""The rate that Moonshine was trained at, as were Whisper and most others, in Hz."""

WEIGHTS: Final = "assets/tiny-en"
"""In moonshine-voice 0.1.0. Later wheels have the tokenizer alone."""

MISSING: Final = """Speech to text needs a package that is not installed. Install it with

    pip install "gradio_webrtc[stopword]"

or pass a model of your own: any object with stt((rate, samples)) -> str."""

OPTIONS: Final = {"vad_threshold": 0.0}
"""The model's own voice detector is off: whoever calls it has found the speech already, and with it
on, short recordings gain a word such as "You" or "2"."""


@runtime_checkable
class STTModel(Protocol):
    """Turns speech into text.

    Example:
        >>> class MyRecogniser:
        ...     def stt(self, audio):
        ...         rate_hz, samples = audio
        ...         return "computer, turn on the light"
        >>> handler = ReplyOnStopWords(lambda audio: audio, ["computer"], stt_model=MyRecogniser())
    """

    def stt(self, audio: Recording) -> str:
        """Returns the words in a recording; may be called from several threads.

        Args:
            audio: Rate in Hz and samples: `ReplyOnStopWords` passes 16,000 and float32 ``(n,)``;
                a user's own function may pass whatever it was called with.
        """


class MoonshineSTT:
    """Moonshine tiny, English, by way of the package ``moonshine-voice``.

    One object serves all threads of a process, one at a time. Loading takes about 0.3 s.

    Raises:
        ImportError: ``moonshine-voice`` is missing, or has no weights; the text has the command.

    Example:
        >>> MoonshineSTT().stt((16000, np.zeros(16000, np.int16)))
        ''
    """

    def __init__(self) -> None:
        # First: an ImportError from inside the package must not look like its absence.
        found = importlib.util.find_spec("moonshine_voice")
        if found is None or found.origin is None:
            raise ImportError(MISSING)
        weights = Path(found.origin).parent / WEIGHTS
        if not weights.is_dir():
            raise ImportError(MISSING)
        from moonshine_voice import ModelArch, Transcriber  # noqa: PLC0415 - an extra

        self._transcriber = Transcriber(str(weights), ModelArch.TINY, options=OPTIONS)
        self._one_at_a_time = threading.Lock()

    def stt(self, audio: Recording) -> str:
        """Returns the words in a recording; ``""`` for silence. Noise may result in a short word.

        Blocks for some 50 ms of CPU a second of audio; from any thread.

        Args:
            audio: Rate in Hz, 8,000 to 192,000, and int16 or float samples, ``(n,)`` or
                ``(1, n)``.

        Raises:
            TypeError: The samples are neither int16 nor float.
        """
        samples = to_stt_rate(audio)
        if not samples.any():
            return ""
        with self._one_at_a_time:
            transcript = self._transcriber.transcribe_without_streaming(
                samples.tolist(), STT_RATE_HZ
            )
        return " ".join(line.text.strip() for line in transcript.lines).strip()


@cache
def _moonshine() -> MoonshineSTT:
    model = MoonshineSTT()
    model.stt((STT_RATE_HZ, np.zeros(STT_RATE_HZ, np.float32)))
    return model


_loading = threading.Lock()


def get_stt_model(
    model: Literal["moonshine/tiny", "moonshine/base"] = "moonshine/tiny",
) -> MoonshineSTT:
    """Returns the process's one model, loaded and warm.

    Args:
        model: "moonshine/tiny"; "moonshine/base", which fastrtc downloads, has the same result
            with a warning.

    Raises:
        ImportError: The extra is missing; the text has the command that installs it.
        ValueError: There is no such model.

    Example:
        >>> def reply(audio):
        ...     yield AdditionalOutputs(get_stt_model().stt(audio))
        >>> next(reply((48000, np.zeros((1, 48000), np.int16))))
        AdditionalOutputs('',)
    """
    if model not in ("moonshine/tiny", "moonshine/base"):
        raise ValueError(f"Invalid model. Must be 'moonshine/tiny', got {model!r}")
    if model != "moonshine/tiny":
        warnings.warn(
            "moonshine/base is not available without a download: using moonshine/tiny",
            UserWarning,
            stacklevel=2,
        )
    with _loading:
        return _moonshine()


def stt(audio: Recording) -> str:
    """Returns the words in a recording, by the default model.

    Args:
        audio: See `MoonshineSTT.stt`.

    Raises:
        ImportError: The extra is missing; the text has the command that installs it.

    Example:
        >>> stt((16000, np.zeros(16000, np.int16)))
        ''
    """
    return get_stt_model().stt(audio)


@overload
def stt_for_chunks(audio: Recording, chunks: Chunks, /) -> str: ...
@overload
def stt_for_chunks(model: STTModel, audio: Recording, chunks: Chunks, /) -> str: ...
def stt_for_chunks(*arguments: Any) -> str:
    """Returns the words in some parts of a recording, transcribed one by one.

    Called as ``stt_for_chunks(audio, chunks)``, as in gradio_webrtc 0.0.31, or as
    ``stt_for_chunks(model, audio, chunks)``, as in fastrtc.

    Args:
        *arguments: ``model``: an `STTModel`, or the default one. ``audio``: rate in Hz, and samples
            ``(n,)`` or ``(1, n)``. ``chunks``: ``{"start": ..., "end": ...}`` in samples, as
            `SileroVADModel.vad` returns them.

    Raises:
        TypeError: Neither of the two forms.
        ImportError: The default model is needed and the extra is missing.

    Example:
        >>> audio = (16000, np.zeros(16000, np.int16))
        >>> seconds, chunks = get_silero_model().vad(audio)
        >>> stt_for_chunks(audio, chunks)
        ''
    """
    forms = {2: (None, *arguments), 3: arguments}
    if len(arguments) not in forms:
        raise TypeError(f"expected (audio, chunks) or (model, audio, chunks), got {arguments!r}")
    model, (rate_hz, samples), chunks = forms[len(arguments)]
    return _stt_for_chunks(model or get_stt_model(), (rate_hz, samples.reshape(-1)), chunks)


def _stt_for_chunks(model: STTModel, audio: Recording, chunks: Chunks) -> str:
    rate_hz, samples = audio
    parts = (samples[chunk["start"] : chunk["end"]] for chunk in chunks)
    return " ".join(text for part in parts if (text := model.stt((rate_hz, part))))


def to_stt_rate(audio: Recording) -> NDArray[np.float32]:
    """Returns a whole recording at 16 kHz: float32 ``(n,)``, from int16 or float at any rate.

    Raises:
        AudioError: A rate that the resampler does not take.
        TypeError: The samples are neither int16 nor float.
    """
    rate_hz, samples = audio[0], audio_to_float32(audio).reshape(-1)
    if rate_hz == STT_RATE_HZ:
        return samples
    resampler = Resampler(rate_hz, STT_RATE_HZ)
    return np.concatenate([resampler.process(samples), resampler.flush()], axis=1).reshape(-1)
