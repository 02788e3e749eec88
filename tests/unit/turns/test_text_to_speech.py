"""Text to speech: one model with its real voice, and two that need the internet, stood in for."""

from __future__ import annotations

import asyncio
import http.server
import json
import sys
import threading
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gradio_webrtc._turns.text_to_speech import (
    CartesiaTTSModel,
    CartesiaTTSOptions,
    HibariTTSOptions,
    KokoroTTSModel,
    KokoroTTSOptions,
    TTSModel,
    get_tts_model,
    sentences_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

TWO = "It is five o'clock. Good night."


async def collect(model: Any, text: str) -> list[Any]:
    return [chunk async for chunk in model.stream_tts(text)]


def test_one_model_serves_all() -> None:
    model = get_tts_model("hibari")
    assert get_tts_model("hibari") is model
    assert isinstance(model, TTSModel)


def test_a_text_is_spoken_whole_or_by_sentences() -> None:
    model = get_tts_model("hibari")
    rate_hz, whole = model.tts(TWO)
    assert rate_hz == 24_000
    assert whole.dtype == np.float32
    assert 1.0 < whole.size / rate_hz < 6.0
    assert 0.1 < np.abs(whole).max() <= 1.0
    parts = list(model.stream_tts_sync(TWO))
    assert [rate for rate, _ in parts] == [24_000] * 2
    assert sum(samples.size for _, samples in parts) == whole.size
    later = asyncio.run(collect(model, TWO))
    assert [samples.size for _, samples in later] == [samples.size for _, samples in parts]


def test_speed_is_an_option() -> None:
    model = get_tts_model("hibari")
    _, slow = model.tts(TWO)
    _, fast = model.tts(TWO, HibariTTSOptions(speed=1.5))
    assert fast.size < 0.8 * slow.size


def test_nothing_to_speak() -> None:
    model = get_tts_model("hibari")
    assert list(model.stream_tts_sync("  \n ")) == []
    with pytest.raises(ValueError, match="expected text to speak, got ''"):
        model.tts("")


@pytest.mark.parametrize("text", [None, 5, b"Hello.", ["Hello."]])
def test_what_is_no_text_is_refused(text: Any) -> None:
    with pytest.raises(TypeError, match=f"expected text to speak, got {type(text).__name__}"):
        get_tts_model("hibari").tts(text)


def test_another_model_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Invalid model: piper\. The models are hibari, kokoro"):
        get_tts_model("piper")  # type: ignore[call-overload]  # the point of the test


def test_a_missing_package_is_named_with_the_command() -> None:
    with pytest.raises(ImportError, match="pip install kokoro-onnx"):
        get_tts_model()


async def test_a_stream_that_is_left_ends_where_it_is() -> None:
    stream = get_tts_model("hibari").stream_tts(TWO)
    assert (await anext(stream))[0] == 24_000
    await stream.aclose()


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("It costs 3.50 today.\nReally.", ["It costs 3.50 today.", "Really."]),
        ("\u4f60\u597d\u3002\u518d\u89c1\uff01", ["\u4f60\u597d\u3002", "\u518d\u89c1\uff01"]),
        ("", []),
    ],
)
def test_texts_are_split_into_sentences(text: str, sentences: list[str]) -> None:
    assert sentences_of(text) == sentences


# ------------------------------------------------------------------------------------ stand-ins


class Kokoro:
    """As kokoro-onnx has it: paths of two files, and one method that blocks."""

    def __init__(self, model_path: str, voices_path: str) -> None:
        self.paths = (model_path, voices_path)
        self.spoken: list[tuple[str, str, float, str]] = []

    def create(
        self, text: str, voice: str, speed: float, lang: str
    ) -> tuple[np.ndarray[Any, Any], int]:
        self.spoken.append((text, voice, speed, lang))
        return np.zeros(2400, np.float32), 24_000


def test_kokoro_speaks_with_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    package: Any = ModuleType("kokoro_onnx")
    package.__spec__ = sys.__spec__
    package.Kokoro = Kokoro
    monkeypatch.setitem(sys.modules, "kokoro_onnx", package)
    model = KokoroTTSModel("weights", "voices")
    parts = list(model.stream_tts_sync(TWO, KokoroTTSOptions(voice="bf_emma", speed=0.9)))
    assert [(rate, samples.shape) for rate, samples in parts] == [(24_000, (2400,))] * 2
    made: Any = model._model  # noqa: SLF001  # the stand-in
    assert made.paths == ("weights", "voices")
    assert [each[1:] for each in made.spoken] == [("bf_emma", 0.9, "en-us")] * 2


@contextmanager
def service(status: int, answer: bytes) -> Iterator[tuple[str, list[tuple[Any, Any]]]]:
    """A service on this machine that answers every request alike, and its requests."""
    requests: list[tuple[Any, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            requests.append((dict(self.headers.items()), json.loads(body)))
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_args: Any) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", requests
        finally:
            server.shutdown()
            thread.join()


def test_cartesia_gets_the_text_and_its_bytes_are_yielded() -> None:
    samples = np.arange(3000, dtype="<i2")
    with service(200, samples.tobytes()) as (url, requests):
        model = CartesiaTTSModel("key", url)
        rate_hz, spoken = model.tts("Hello.", CartesiaTTSOptions(sample_rate=16_000))
    assert rate_hz == 16_000
    assert spoken.dtype == np.int16
    assert np.array_equal(spoken, samples)
    ((headers, body),) = requests
    assert headers["X-API-Key"] == "key"
    assert body["transcript"] == "Hello."
    assert body["output_format"]["encoding"] == "pcm_s16le"


def test_the_key_has_fastrtcs_name_as_well() -> None:
    with service(200, b"\0\0") as (url, requests):
        get_tts_model("cartesia", cartesia_api_key="key", url=url).tts("Hello.")
        get_tts_model("cartesia", api_key="another", url=url).tts("Hello.")
    assert [headers["X-API-Key"] for headers, _ in requests] == ["key", "another"]


def test_a_refusal_of_the_service_is_quoted() -> None:
    with service(402, b"no credit") as (url, _):
        model = CartesiaTTSModel("key", url)
        with pytest.raises(RuntimeError, match="Cartesia answered 402: no credit"):
            model.tts("Hello.")
