"""The arguments of users' functions by their signatures, and the mistakes in handlers' methods."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest
from support.conversing import conversing, replying
from support.fake_session import FakeSession

from gradio_webrtc import AsyncStreamHandler, StreamHandler
from gradio_webrtc._handlers import AudioGenerator
from gradio_webrtc._handlers.notices import Context, current_context, holding
from gradio_webrtc._handlers.signatures import (
    Callee,
    advise_on_init,
    explain_misfit,
    max_positionals,
    mistakes_of,
    report_mistakes,
    requires_positional,
)
from gradio_webrtc.errors import HandlerError

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRESS = gr.Progress()
REQUEST = object()


def id_alone(audio: Any, webrtc_id: str) -> Iterator[Any]:
    yield audio, webrtc_id


@pytest.mark.parametrize(
    ("fn", "values", "expected"),
    [
        (lambda audio: (audio,), ("a",), ("a",)),
        (lambda audio, webrtc_id: (audio, webrtc_id), ("a",), ("a", "id")),
        (lambda audio, webrtc_id="", phone="": (audio, webrtc_id, phone), ("a",), ("a", "id", "")),
        (
            lambda audio, webrtc_id="", phone="": (audio, webrtc_id, phone),
            ("a", "b"),
            ("a", "id", "b"),
        ),
        (lambda audio, x=1, webrtc_id="": (audio, x, webrtc_id), ("a",), ("a", 1, "id")),
        (lambda audio, *, webrtc_id="": (audio, webrtc_id), ("a",), ("a", "id")),
        (lambda audio, *rest, webrtc_id: (audio, rest, webrtc_id), ("a", 1), ("a", (1,), "id")),
        (lambda webrtc_id, *rest: (webrtc_id, rest), ("a", 1), ("id", ("a", 1))),
        (lambda webrtc_id: webrtc_id, (), "id"),
        (lambda audio, webrtc_id, /: (audio, webrtc_id), ("a",), ("a", "id")),
        (
            functools.partial(lambda audio, webrtc_id: (audio, webrtc_id), webrtc_id="mine"),
            ("a",),
            ("a", "mine"),
        ),
        (lambda audio, **webrtc_id: (audio, webrtc_id), ("a",), ("a", {})),
    ],
)
def test_the_id_of_the_session_goes_where_it_is_asked_for(
    fn: Any, values: tuple[Any, ...], expected: Any
) -> None:
    called, args = Callee(fn, "id").bind(*values)
    assert called(*args) == expected


@pytest.mark.parametrize(
    ("fn", "values", "expected"),
    [
        (lambda a, p=PROGRESS: (a, p), ("a",), ("a", PROGRESS)),
        (lambda a, p=PROGRESS, b=1: (a, p, b), ("a",), ("a", PROGRESS, 1)),
        (lambda a, p=PROGRESS, b=1: (a, p, b), ("a", "b"), ("a", PROGRESS, "b")),
        (lambda a, b=1, *, p=PROGRESS: (a, b, p), ("a", "b"), ("a", "b", PROGRESS)),
        (lambda a, b=1, p=PROGRESS, /: (a, b, p), ("a",), ("a", 1, PROGRESS)),
        (
            lambda a, p=PROGRESS, webrtc_id="", b=1: (a, p, webrtc_id, b),
            ("a", "b"),
            ("a", PROGRESS, "id", "b"),
        ),
        (lambda a, p=PROGRESS, webrtc_id="": (a, p, webrtc_id), ("a",), ("a", PROGRESS, "id")),
    ],
)
def test_a_progress_keeps_its_place(fn: Any, values: tuple[Any, ...], expected: Any) -> None:
    called, args = Callee(fn, "id").bind(*values)
    assert called(*args) == expected


def annotated(annotation: Any) -> Any:
    def fn(audio: Any, who: Any = None, name: str = "") -> Any:
        return audio, who, name

    fn.__annotations__["who"] = annotation
    return fn


@pytest.mark.parametrize(
    "annotation",
    [
        *(gr.Request, gr.Request | None, "gr.Request", "gradio.Request | None"),
        *("Optional[Request]", "typing.Optional[gr.Request]", "None | gr.Request", "'gr.Request'"),
    ],
)
def test_the_request_of_the_session_goes_where_its_type_is_named(annotation: Any) -> None:
    with holding(current_context, Context("id", request=REQUEST)):
        called, args = Callee(annotated(annotation), "id").bind("audio", "Ada")
    assert called(*args) == ("audio", REQUEST, "Ada")


@pytest.mark.parametrize("annotation", [dict, "MyRequest", list[gr.Request], gr.Request | int])
def test_other_types_get_the_values_of_inputs(annotation: Any) -> None:
    called, args = Callee(annotated(annotation), "id").bind("audio", "Ada")
    assert called(*args) == ("audio", "Ada", "")


def test_a_request_that_the_user_gave_stands() -> None:
    fn = functools.partial(annotated(gr.Request), who="mine")
    called, args = Callee(fn, "id").bind("audio")
    assert called(*args) == ("audio", "mine", "")


def test_a_request_behind_the_inputs_is_named() -> None:
    def fn(audio: Any, name: str = "", *, request: gr.Request, webrtc_id: str) -> Any:
        return audio, name, request, webrtc_id

    with holding(current_context, Context("id", request=REQUEST)):
        called, args = Callee(fn, "id").bind("audio")
    assert called(*args) == ("audio", "", REQUEST, "id")


async def test_replies_and_the_start_up_function_get_the_request() -> None:
    got: list[Any] = []

    def greet(request: gr.Request, p: Any = PROGRESS) -> Iterator[Any]:
        got.append((request, p))
        yield from ()

    def answer(_audio: Any, p: Any = PROGRESS, phone: str = "", who: Any = None) -> Any:
        got.append((p, phone, who))

    answer.__annotations__["who"] = gr.Request
    with holding(current_context, Context("client", request=REQUEST)):
        async with conversing(replying(answer, startup_fn=greet), "+44") as talk:
            await talk.until_event("response_finished")
            talk.say()
            await talk.until_event("response_finished", 2)
            assert talk.session.errors == []
    assert got == [(REQUEST, PROGRESS), (PROGRESS, "+44", REQUEST)]


async def test_replies_and_the_start_up_function_get_the_id() -> None:
    got: list[Any] = []

    def greet(webrtc_id: str) -> Iterator[Any]:
        got.append(webrtc_id)
        yield from ()

    async def answer(_audio: Any, webrtc_id: str = "", phone: str = "") -> Any:
        got.append((webrtc_id, phone))

    async with conversing(replying(answer, startup_fn=greet), "+44") as talk:
        await talk.until_event("response_finished")
        talk.say()
        await talk.until_event("response_finished", 2)
        assert talk.session.errors == []
    assert got == [talk.session.webrtc_id, (talk.session.webrtc_id, "+44")]


async def test_a_function_of_one_value_and_the_id_asks_for_no_inputs() -> None:
    async with conversing(replying(id_alone)) as talk:
        talk.say()
        await talk.until_event("response_finished")
        assert talk.session.requests == 0
    assert talk.items[0][1] == talk.session.webrtc_id


async def test_a_generator_gets_the_id() -> None:
    def play(name: str, p: Any = PROGRESS, webrtc_id: str = "") -> Iterator[Any]:
        yield name, p, webrtc_id

    handler = AudioGenerator(play)
    session = FakeSession()
    handler.bind(session)
    handler.set_args(["Ada"])
    item: Any = await handler.emit()
    await handler.release()
    assert item == ("Ada", PROGRESS, session.webrtc_id)


@pytest.mark.parametrize(
    ("fn", "most"),
    [
        (lambda: None, 0),
        (lambda a, b=1: (a, b), 2),
        (lambda a, *rest: (a, rest), float("inf")),
        (lambda a, webrtc_id, p=PROGRESS: (a, webrtc_id, p), 1),
        (lambda a, *, b=1: (a, b), 1),
        (max, 0),
    ],
)
def test_a_function_takes_as_many_values_as_it_has_places(fn: Any, most: float) -> None:
    assert max_positionals(fn) == most


def test_a_value_is_required_where_there_is_no_default() -> None:
    assert requires_positional(lambda audio: audio)
    assert not requires_positional(lambda audio=None: audio)
    assert not requires_positional(lambda webrtc_id: webrtc_id)


def test_a_misfit_is_explained_unless_a_decorator_may_supply_the_rest() -> None:
    def two(audio: Any, database: Any) -> Any:
        return audio, database

    @functools.wraps(two)
    def supplied(audio: Any) -> Any:
        return two(audio, "database")

    assert "'database'" in str(explain_misfit(two, 1))
    assert explain_misfit(supplied, 1) is None
    assert explain_misfit(supplied, 0) is not None


class Correct(StreamHandler):
    """A handler without a mistake."""

    def receive(self, frame: Any) -> None: ...

    def emit(self) -> None: ...

    def copy(self) -> Any:
        return type(self)()


def test_a_handler_without_a_mistake_has_none() -> None:
    assert mistakes_of(Correct()) == []


def test_every_mistake_of_a_handler_is_named_with_its_remedy() -> None:
    class Wrong(AsyncStreamHandler):
        async def receive(self) -> None: ...  # type: ignore[override]

        async def emit(self) -> Any:
            yield None

        async def copy(self) -> Any: ...  # type: ignore[override]

        def start_up(self) -> Any:
            yield

    generator, start_up, copy, receive = mistakes_of(Wrong())
    assert "Wrong.emit is a generator function" in generator
    assert "Write return in place of yield" in generator
    assert "Wrong.start_up is a generator function: its body never runs" in start_up
    assert copy.endswith("Wrong.copy is async, and is called without await. Write def copy")
    assert receive.endswith("Write def receive(self, frame)")


async def test_mistakes_are_reported_to_the_session_and_do_not_end_it() -> None:
    class Wrong(Correct):
        def reset(self, speed: int) -> None: ...  # type: ignore[override]

        async def set_channel(self) -> None: ...  # type: ignore[override]

    session = FakeSession()
    report_mistakes(Wrong(), session)
    [error] = session.errors
    assert isinstance(error, HandlerError)
    assert "Wrong.set_channel is async" in str(error)


async def test_a_handler_that_was_never_initialised_cannot_be_used() -> None:
    class Forgetful(Correct):
        def __init__(self) -> None:
            pass

    assert advise_on_init(Correct()) == ""
    session = FakeSession()
    with pytest.raises(HandlerError, match=r"write super\(\).__init__\(\) as the first line"):
        report_mistakes(Forgetful(), session)
    assert session.errors == []
