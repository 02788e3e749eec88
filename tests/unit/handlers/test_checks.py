"""Functions and handlers are compared with their stream when the page is built."""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest

from gradio_webrtc import ReplyOnPause, VideoStreamHandler, WebRTC
from gradio_webrtc._handlers import VideoFunction
from gradio_webrtc._handlers.checks import describe_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


PROGRESS = gr.Progress()
REQUEST = object()


def audio_alone(audio: Any) -> Iterator[Any]:
    yield audio


def audio_and_two(audio: Any, name: str, age: int) -> Iterator[Any]:
    yield audio, name, age


async def async_and_two(audio: Any, name: str, age: int) -> AsyncIterator[Any]:
    yield audio, name, age


def audio_and_any(audio: Any, *values: Any) -> Iterator[Any]:
    yield audio, values


def audio_and_default(audio: Any, name: str = "Ada") -> Iterator[Any]:
    yield audio, name


def nothing() -> Iterator[Any]:
    yield None


def id_in_the_middle(audio: Any, webrtc_id: str = "", phone: str = "") -> Iterator[Any]:
    yield audio, webrtc_id, phone


def id_named(audio: Any, phone: str = "", *, webrtc_id: str) -> Iterator[Any]:
    yield audio, webrtc_id, phone


def id_alone(audio: Any, webrtc_id: str) -> Iterator[Any]:
    yield audio, webrtc_id


def needs_a_name(audio: Any, *, voice: str) -> Iterator[Any]:
    yield audio, voice


def progress_behind(audio: Any, p: Any = PROGRESS) -> Iterator[Any]:
    yield audio, p


def progress_between(audio: Any, p: Any = PROGRESS, speed: int = 1) -> Iterator[Any]:
    yield audio, p, speed


def asks(audio: Any, request: gr.Request, phone: str = "") -> Iterator[Any]:
    yield audio, request, phone


def asks_alone(audio: Any, who: gr.Request) -> Iterator[Any]:
    yield audio, who


class Answers:
    def method(self, audio: Any, name: str) -> Iterator[Any]:
        yield audio, name

    def __call__(self, audio: Any, name: str) -> Iterator[Any]:
        yield audio, name


def with_database(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def supply(audio: Any) -> Any:
        return fn(audio, "database", 1)

    return supply


def built(fn: Any, count: int, **settings: Any) -> list[str]:
    """The warnings when a page with so many inputs is built."""
    settings = {"mode": "send-receive", "modality": "audio"} | settings
    with gr.Blocks(), warnings.catch_warnings(record=True) as reported:
        warnings.simplefilter("always", UserWarning)
        webrtc, button = WebRTC(**settings), gr.Button()
        others = [gr.Textbox(label=f"Name {number}") for number in range(count)]
        receives = settings["mode"] == "receive"
        inputs = others if receives else [webrtc, *others]
        webrtc.stream(fn, inputs, [webrtc], trigger=button.click if receives else None)
    texts = [str(each.message) for each in reported if each.category is UserWarning]
    assert {each.filename for each in reported if each.category is UserWarning} <= {__file__}
    return texts


@pytest.mark.parametrize(
    ("fn", "count"),
    [
        (ReplyOnPause(audio_alone), 0),
        (ReplyOnPause(audio_and_two), 2),
        (ReplyOnPause(async_and_two), 2),
        (ReplyOnPause(audio_and_any), 0),
        (ReplyOnPause(audio_and_any), 3),
        (ReplyOnPause(audio_and_default), 0),
        (ReplyOnPause(audio_and_default), 1),
        (ReplyOnPause(Answers().method), 1),
        (ReplyOnPause(Answers()), 1),
        (ReplyOnPause(functools.partial(audio_and_two, age=1)), 1),
        (ReplyOnPause(functools.partial(audio_and_two, None)), 1),
        (ReplyOnPause(id_alone), 0),
        (ReplyOnPause(id_in_the_middle), 0),
        (ReplyOnPause(id_named), 1),
        (ReplyOnPause(with_database(audio_and_two)), 0),
        (ReplyOnPause(max), 0),
        (ReplyOnPause(progress_behind), 0),
        (ReplyOnPause(progress_between), 1),
        (ReplyOnPause(asks), 0),
        (ReplyOnPause(asks), 1),
        (ReplyOnPause(asks_alone), 0),
        (ReplyOnPause(audio_and_two, startup_fn=audio_alone, needs_args=True), 2),
    ],
)
async def test_a_function_that_fits_is_taken_without_a_word(fn: Any, count: int) -> None:
    if fn.startup_fn is not None:
        fn.startup_fn = audio_and_default
    assert built(fn, count) == []


@pytest.mark.parametrize(
    ("fn", "count", "settings", "texts"),
    [
        (
            ReplyOnPause(audio_and_two),
            1,
            {},
            ["audio_and_two(audio, name, age)", "the audio", "Textbox 'Name 0'", "'age'"],
        ),
        (ReplyOnPause(audio_and_two), 0, {}, ["the audio alone", "missing"]),
        (ReplyOnPause(audio_and_default), 2, {}, ["Textbox 'Name 1'", "too many"]),
        (ReplyOnPause(async_and_two), 1, {}, ["async_and_two(audio, name, age)"]),
        (ReplyOnPause(nothing), 0, {}, ["nothing()", "too many"]),
        (ReplyOnPause(audio_alone, needs_args=True), 1, {}, ["too many"]),
        (ReplyOnPause(Answers().method), 2, {}, ["Answers.method(audio, name)"]),
        (ReplyOnPause(Answers()), 2, {}, ["Answers(audio, name)"]),
        (ReplyOnPause(functools.partial(audio_and_two, age=1)), 3, {}, ["audio_and_two("]),
        (ReplyOnPause(id_in_the_middle), 2, {}, ["webrtc_id takes none of them"]),
        (ReplyOnPause(needs_a_name), 0, {}, ["'voice'"]),
        (ReplyOnPause(audio_alone, startup_fn=audio_and_two), 1, {}, ["values of Textbox"]),
        (ReplyOnPause(audio_alone, startup_fn=audio_and_two), 0, {}, ["with no values"]),
        (audio_alone, 1, {"modality": "video"}, ["audio_alone(audio)", "the video frame"]),
        (
            VideoStreamHandler(audio_and_two),
            1,
            {"modality": "video"},
            ["the video frame", "missing"],
        ),
        (audio_and_two, 1, {"modality": "video", "mode": "send"}, ["the video frame"]),
        (nothing, 1, {"mode": "receive"}, ["nothing()", "with the values of Textbox"]),
        (audio_alone, 2, {"mode": "receive", "modality": "video"}, ["the values of Textbox"]),
        (audio_alone, 0, {"mode": "receive"}, ["with no values"]),
    ],
)
async def test_a_function_that_cannot_be_called_is_refused_beside_what_there_is(
    fn: Any, count: int, settings: dict[str, Any], texts: list[str]
) -> None:
    with pytest.raises(TypeError, match="cannot be called with") as refused:
        built(fn, count, **settings)
    assert [text for text in texts if text not in str(refused.value)] == []


async def test_inputs_that_nobody_takes_are_one_warning() -> None:
    [reported] = built(ReplyOnPause(audio_alone), 2)
    assert "audio_alone(audio) takes the audio alone" in reported
    assert "Textbox 'Name 0', Textbox 'Name 1' are not used" in reported
    [reported] = built(ReplyOnPause(audio_alone, startup_fn=lambda name="Ada": iter([name])), 1)
    assert "takes the audio alone" in reported
    assert built(ReplyOnPause(audio_alone, startup_fn=lambda name: iter([name])), 1) == []


@pytest.mark.parametrize("fn", [progress_behind, asks_alone])
async def test_what_gradio_gives_by_itself_is_no_input(fn: Any) -> None:
    [reported] = built(ReplyOnPause(fn), 1)
    assert "takes the audio alone" in reported


@pytest.mark.parametrize("fn", [progress_between, asks])
@pytest.mark.parametrize(
    ("count", "settings"), [(2, {"mode": "receive"}), (1, {"modality": "video"})]
)
async def test_what_gradio_gives_is_counted_nowhere(fn: Any, count: int, settings: Any) -> None:
    assert built(fn, count, **settings) == []
    with pytest.raises(TypeError, match="too many"):
        built(fn, count + 1, **settings)


async def test_a_long_default_is_not_repeated() -> None:
    def fn(audio: Any, text: str = "x" * 1_000_000) -> Any:
        yield audio, text

    with pytest.raises(TypeError, match="too many") as refused:
        built(ReplyOnPause(fn), 3)
    assert len(str(refused.value)) < 600


async def test_a_subclass_may_read_the_values_by_itself() -> None:
    class Reader(ReplyOnPause):
        pass

    class Speaker(ReplyOnPause):
        def emit(self) -> None:
            return None

    assert built(Reader(audio_alone), 2) == []
    assert built(Speaker(nothing), 2) == []


async def test_an_id_among_the_inputs_is_warned_of() -> None:
    [reported] = built(ReplyOnPause(id_in_the_middle), 1)
    assert "webrtc_id gets the id of the session" in reported
    assert "Textbox 'Name 0'" in reported


def test_a_function_is_described_by_its_first_line() -> None:
    assert describe_call(functools.partial(audio_and_two, None)) == "audio_and_two(name, age)"
    assert describe_call(max).startswith("max")
    assert describe_call(VideoFunction.copy).startswith("VideoFunction.copy(self)")
