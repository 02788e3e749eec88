"""Text to speech, for users' own functions: three models behind one protocol.

The extra ``tts`` brings Hibari, whose English voice is in its wheel: nothing is downloaded. Kokoro
downloads its weights at first use, Cartesia is a service. Any other model does that meets
`TTSModel`. Blocks, except the async methods; any thread. Imports no handler and no session.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cache
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Generic,
    Literal,
    Protocol,
    TypeVar,
    overload,
    runtime_checkable,
)

import numpy as np

from gradio_webrtc._audio import aggregate_bytes_to_16bit

from .runner import close_sync

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator
    from typing import TypeAlias

    from numpy.typing import NDArray

    Speech: TypeAlias = tuple[int, NDArray[Any]]

__all__ = [
    "CartesiaTTSModel",
    "CartesiaTTSOptions",
    "HibariTTSModel",
    "HibariTTSOptions",
    "KokoroTTSModel",
    "KokoroTTSOptions",
    "TTSModel",
    "TTSOptions",
    "get_tts_model",
]

SENTENCE_END: Final = re.compile(r"(?<=[.!?\u2026])\s+|(?<=[\u3002\uff01\uff1f])|\n+")
"""Between two sentences, where Chinese and Japanese have no blank. A reply is audible once its
first sentence is spoken."""

MISSING: Final = """The text to speech model {model!r} needs a package that is not installed.
Install it with

    pip install {package}

or use any object with stream_tts_sync(text) that yields (rate, samples)."""

CARTESIA_URL: Final = "https://api.cartesia.ai/tts/bytes"

CARTESIA_TIMEOUT_S: Final = 30.0
"""The longest wait for the next bytes of the service, in seconds."""


class TTSOptions:
    """The settings of a model. Each has a subclass with its fields, such as `HibariTTSOptions`."""


@dataclass
class HibariTTSOptions(TTSOptions):
    """The settings of Hibari.

    Attributes:
        speed: Above 1 speaks faster.

    Example:
        >>> model = get_tts_model("hibari")
        >>> rate_hz, samples = model.tts("Hello.", HibariTTSOptions(speed=1.2))
    """

    speed: float = 1.0


@dataclass
class KokoroTTSOptions(TTSOptions):
    """The settings of Kokoro, passed as `HibariTTSOptions` are.

    Attributes:
        voice: A voice of Kokoro's, such as "af_heart".
        speed: Above 1 speaks faster.
        lang: The language, such as "en-us".
    """

    voice: str = "af_heart"
    speed: float = 1.0
    lang: str = "en-us"


@dataclass
class CartesiaTTSOptions(TTSOptions):
    """The settings of Cartesia, passed as `HibariTTSOptions` are.

    Attributes:
        voice: The id of a voice.
        language: Its language, such as "en".
        emotion: Emotions, as Cartesia names them.
        cartesia_version: The version of their interface.
        model: The model's id.
        sample_rate: In Hz.
    """

    voice: str = "71a7ad14-091c-4e8e-a314-022ece01c121"
    language: str = "en"
    emotion: list[str] = field(default_factory=list)
    cartesia_version: str = "2024-06-10"
    model: str = "sonic-2"
    sample_rate: int = 22_050


T = TypeVar("T", bound=TTSOptions)
T_contra = TypeVar("T_contra", bound=TTSOptions, contravariant=True)


@runtime_checkable
class TTSModel(Protocol[T_contra]):
    """Turns text into speech, as the models of `get_tts_model` do: whole, or in chunks.

    A handler may yield the results as they are.
    """

    def tts(self, text: str, options: T_contra | None = None) -> tuple[int, NDArray[Any]]:
        """Returns the whole text as audio; blocks.

        Args:
            text: The text to be spoken.
            options: The settings; by default the model's own.

        Returns:
            Rate in Hz, and float32 from -1 to 1 or int16, ``(n,)`` or ``(1, n)``.
        """

    def stream_tts(
        self, text: str, options: T_contra | None = None
    ) -> AsyncGenerator[tuple[int, NDArray[Any]], None]:
        """Yields the text as chunks of audio, on the event loop. See `tts`."""

    def stream_tts_sync(
        self, text: str, options: T_contra | None = None
    ) -> Generator[tuple[int, NDArray[Any]], None, None]:
        """Yields the text as chunks of audio; blocks. See `tts`."""


class SentenceModel(ABC, Generic[T]):
    """A model that speaks one sentence after the other. Meets `TTSModel`.

    One object serves all threads of a process.
    """

    def __init__(self, options: T) -> None:
        self._options = options

    @abstractmethod
    def speak(self, sentence: str, options: T) -> Iterator[Speech]:
        """Yields the audio of one sentence, ``(n,)``; blocks."""

    def tts(self, text: str, options: T | None = None) -> Speech:
        """Returns the whole text as audio; blocks. See `TTSModel.tts`.

        Raises:
            ValueError: There is nothing to speak.
            TypeError: It is no text.
        """
        parts = list(self.stream_tts_sync(text, options))
        if not parts:
            raise ValueError(f"expected text to speak, got {text!r}")
        return parts[0][0], np.concatenate([samples for _, samples in parts])

    def stream_tts_sync(self, text: str, options: T | None = None) -> Generator[Speech, None, None]:
        """Yields chunks of audio; blocks. See `TTSModel.tts`."""
        for sentence in sentences_of(text):
            yield from self.speak(sentence, options or self._options)

    async def stream_tts(self, text: str, options: T | None = None) -> AsyncGenerator[Speech, None]:
        """Yields chunks of audio, which a thread makes. See `TTSModel.tts`."""
        chunks = self.stream_tts_sync(text, options)
        try:
            while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
                yield chunk
        finally:
            close_sync(chunks)


class HibariTTSModel(SentenceModel[HibariTTSOptions]):
    """Hibari, `get_tts_model` makes one: a small English voice at 24 kHz, in its wheel.

    Raises:
        ImportError: ``hibari-tts`` is missing; the text has the command.
    """

    def __init__(self) -> None:
        super().__init__(HibariTTSOptions())
        _require("hibari", "hibari", '"gradio_webrtc[tts]"')
        from hibari import Hibari  # noqa: PLC0415 - behind an extra

        self._lock = threading.Lock()
        self._model = Hibari(threads=1)
        # The first sentence takes twenty times as long as those that follow.
        self._model("Ready.")

    def speak(self, sentence: str, options: HibariTTSOptions) -> Iterator[Speech]:
        """Yields one sentence: 24,000 and float32 ``(n,)``."""
        with self._lock:
            samples = self._model(sentence, speed=options.speed)
        yield int(self._model.sample_rate), np.asarray(samples, np.float32).reshape(-1)


class KokoroTTSModel(SentenceModel[KokoroTTSOptions]):
    """Kokoro by way of ``kokoro-onnx``, as `get_tts_model` makes it; downloads 300 MB of weights.

    Args:
        model_path: The weights; by default they come from the Hugging Face hub.
        voices_path: The voices, likewise.

    Raises:
        ImportError: ``kokoro-onnx`` is missing; the text has the command.
    """

    def __init__(self, model_path: str | None = None, voices_path: str | None = None) -> None:
        super().__init__(KokoroTTSOptions())
        _require("kokoro", "kokoro_onnx", "kokoro-onnx")
        from kokoro_onnx import Kokoro  # noqa: PLC0415 - the user installs it

        self._lock = threading.Lock()
        self._model = Kokoro(
            model_path or _download("kokoro-v1.0.onnx"), voices_path or _download("voices-v1.0.bin")
        )

    def speak(self, sentence: str, options: KokoroTTSOptions) -> Iterator[Speech]:
        """Yields one sentence: the rate and float32 ``(n,)``."""
        with self._lock:
            samples, rate_hz = self._model.create(
                sentence, voice=options.voice, speed=options.speed, lang=options.lang
            )
        yield int(rate_hz), np.asarray(samples, np.float32).reshape(-1)


class CartesiaTTSModel(SentenceModel[CartesiaTTSOptions]):
    """Cartesia, a service, as `get_tts_model` makes it; audio is yielded as it arrives.

    Args:
        api_key: The key of an account.
        url: The address of the service's interface for text to speech.
    """

    def __init__(self, api_key: str, url: str = CARTESIA_URL) -> None:
        super().__init__(CartesiaTTSOptions())
        self._api_key = api_key
        self._url = url

    def speak(self, sentence: str, options: CartesiaTTSOptions) -> Iterator[Speech]:
        """Yields parts of one sentence: the rate of the options and int16 ``(n,)``.

        Raises:
            RuntimeError: The service refused the request; the text has its answer.
            httpx.HTTPError: It could not be reached.
        """
        import httpx  # noqa: PLC0415 - 60 ms that few programs need

        voice: dict[str, Any] = {"mode": "id", "id": options.voice}
        if options.emotion:
            voice["__experimental_controls"] = {"emotion": options.emotion}
        body = {
            "model_id": options.model,
            "transcript": sentence,
            "voice": voice,
            "language": options.language,
            "output_format": {
                "container": "raw",
                "encoding": "pcm_s16le",
                "sample_rate": options.sample_rate,
            },
        }
        headers = {"X-API-Key": self._api_key, "Cartesia-Version": options.cartesia_version}
        with httpx.stream(
            "POST", self._url, json=body, headers=headers, timeout=CARTESIA_TIMEOUT_S
        ) as answer:
            if answer.is_error:
                answer.read()
                raise RuntimeError(f"Cartesia answered {answer.status_code}: {answer.text[:500]}")
            for chunk in aggregate_bytes_to_16bit(answer.iter_bytes()):
                yield options.sample_rate, np.frombuffer(chunk, "<i2").astype(np.int16)


@overload
def get_tts_model(model: Literal["kokoro"] = ..., **kwargs: Any) -> KokoroTTSModel: ...
@overload
def get_tts_model(model: Literal["hibari"]) -> HibariTTSModel: ...
@overload
def get_tts_model(model: Literal["cartesia"], **kwargs: Any) -> CartesiaTTSModel: ...
def get_tts_model(
    model: Literal["hibari", "kokoro", "cartesia"] = "kokoro", **kwargs: Any
) -> TTSModel[Any]:
    """Returns a text to speech model; the same one for the same arguments.

    Args:
        model: "hibari" (the extra ``tts``, no download), "kokoro" (the package ``kokoro-onnx``,
            downloads its weights) or "cartesia" (a service).
        **kwargs: Arguments of the model's class: for "cartesia" the ``api_key``, also under
            fastrtc's name ``cartesia_api_key``.

    Raises:
        ValueError: There is no such model.
        ImportError: Its package is missing; the text has the command.

    Example:
        >>> model = get_tts_model("hibari")
        >>> rate_hz, samples = model.tts("Hello.")
        >>> rate_hz
        24000
    """
    if model not in MODELS:
        raise ValueError(f"Invalid model: {model}. The models are {', '.join(MODELS)}")
    if model == "cartesia" and "cartesia_api_key" in kwargs:
        kwargs["api_key"] = kwargs.pop("cartesia_api_key")
    with _loading:
        loaded: TTSModel[Any] = _load(model, **kwargs)
    return loaded


def sentences_of(text: str) -> list[str]:
    """Returns the sentences of a text, in their order.

    Raises:
        TypeError: It is no text: a language model may answer with none.
    """
    if not isinstance(text, str):
        raise TypeError(f"expected text to speak, got {type(text).__name__}")
    return [part.strip() for part in SENTENCE_END.split(text) if part.strip()]


MODELS: Final = {
    "hibari": HibariTTSModel,
    "kokoro": KokoroTTSModel,
    "cartesia": CartesiaTTSModel,
}

_loading = threading.Lock()


@cache
def _load(model: str, **kwargs: Any) -> Any:
    return MODELS[model](**kwargs)


def _require(model: str, module: str, package: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise ImportError(MISSING.format(model=model, package=package))


def _download(file: str) -> str:
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 - a second that few programs need

    return str(hf_hub_download("fastrtc/kokoro-onnx", file))
