"""The tree of exceptions is the one that is drawn, and a client has words for every refusal."""

from __future__ import annotations

import gc
import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gradio_webrtc import AsyncStreamHandler, errors
from gradio_webrtc._audio import (
    AudioFifo,
    InboundAudio,
    PauseDetector,
    Resampler,
    SileroVad,
)
from gradio_webrtc.errors import (
    AudioError,
    HandlerError,
    InvalidOffer,
    SignalingError,
    UnsupportedTrack,
    WebRTCError,
)
from gradio_webrtc.testing import simulate

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from gradio_webrtc.types import EmitType

CALL = Path(__file__).parents[2] / "frontend" / "call"

NODE = re.compile(
    r"^ {4}(?P<branch>(?:│ {3}|├── |└── | {4})*)(?P<name>[A-Z]\w+)(?: {2,}(?P<note>.+))?$"
)
"""A line of the drawing: four characters for each level, the name, and a note."""

CLASSES: dict[str, type[Exception]] = {
    name: member
    for name, member in vars(errors).items()
    if inspect.isclass(member)
    and issubclass(member, Exception)
    and member.__module__ == errors.__name__
}

REFUSALS = sorted(
    (member for member in CLASSES.values() if issubclass(member, SignalingError)),
    key=lambda each: each.__name__,
)

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "HandlerUnavailable": ("no model",),
    "TooManySessions": (2,),
    "TurnDiscarded": (3,),
    "UnsupportedTrack": ("video", "audio"),
}
"""Arguments of the classes that cannot do without."""

SHOWN_BY_TEXT = {
    "connection_already_exists",
    "invalid_candidate_format",
    "invalid_offer",
    "invalid_request",
    "request_refused",
    "server_error",
}
"""Codes that the front end has no text for: it shows that of the exception."""


class Node:
    """A line of the drawing."""

    def __init__(self, name: str, parent: str | None, note: str) -> None:
        self.name, self.parent, self.note = name, parent, note


def drawn() -> list[Node]:
    """Returns the nodes of the drawing in the module's docstring, in order."""
    path: list[str] = []
    nodes = []
    for line in (errors.__doc__ or "").splitlines():
        if match := NODE.match(line):
            depth = len(match["branch"]) // 4
            del path[depth:]
            nodes.append(Node(match["name"], path[-1] if path else None, match["note"] or ""))
            path.append(match["name"])
    return nodes


def construct(name: str) -> Exception:
    return CLASSES[name](*ARGUMENTS.get(name, ()))


def test_every_exception_is_drawn_once_and_no_other() -> None:
    names = [node.name for node in drawn() if node.name not in ("Exception", "ValueError")]
    assert sorted(names) == sorted(CLASSES)


def test_every_exception_is_drawn_under_its_parent() -> None:
    parents = {node.name: node.parent for node in drawn() if node.parent is not None}
    assert parents == {
        name: member.__bases__[0].__name__
        for name, member in CLASSES.items()
        if member is not WebRTCError
    }


def test_the_drawing_names_every_second_parent() -> None:
    for node in drawn():
        if node.name in CLASSES:
            _, *others = CLASSES[node.name].__bases__
            assert [f"also a {other.__name__}" in node.note for other in others] == [True] * len(
                others
            ), node.name
            assert ("also a" in node.note) is bool(others), node.name


def test_the_drawing_names_the_code_of_every_refusal() -> None:
    notes = {node.name: node.note for node in drawn()}
    for refusal in REFUSALS:
        if refusal is not UnsupportedTrack:
            assert notes[refusal.__name__] == refusal.code
    assert UnsupportedTrack.code == InvalidOffer.code
    assert notes["UnsupportedTrack"].startswith("the same code")


def test_no_two_refusals_define_the_same_code() -> None:
    codes = [refusal.code for refusal in REFUSALS if "code" in vars(refusal)]
    assert len(set(codes)) == len(codes) == len(REFUSALS) - 1
    assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)


@pytest.mark.parametrize("code", [refusal.code for refusal in REFUSALS])
def test_the_front_end_has_words_for_every_code(code: str) -> None:
    problems, messages = ((CALL / name).read_text() for name in ("problems.ts", "messages.ts"))
    is_named = f'"{code}"' in problems or f'"{code}"' in messages
    assert is_named is (code not in SHOWN_BY_TEXT)
    assert 'return { code: "refused", message };' in problems, "the way of all others"


@pytest.mark.parametrize("name", sorted(SHOWN_BY_TEXT))
def test_a_code_that_is_shown_by_its_text_is_one_of_ours(name: str) -> None:
    assert name in {refusal.code for refusal in REFUSALS}


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_constructing_an_error_only_constructs(name: str) -> None:
    elsewhere: list[str] = []

    def watch(frame: FrameType, event: str, _arg: object) -> None:
        # What the interpreter and this function call in C, `super` and `Exception`, is no matter.
        files = {errors.__file__, __file__}
        if event == "call" and frame.f_code.co_filename not in files:
            elsewhere.append(frame.f_code.co_qualname)

    before = sys.getprofile()
    # Hypothesis has callbacks for collections of garbage, which may come at any time.
    gc.disable()
    sys.setprofile(watch)
    try:
        error = construct(name)
    finally:
        sys.setprofile(before)
        gc.enable()
    assert elsewhere == []
    assert isinstance(error, CLASSES[name])
    assert error.__cause__ is None


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_an_error_made_of_arguments_has_a_text(name: str) -> None:
    assert str(construct(name))


def test_an_unsupported_track_is_refused_in_the_words_that_clients_look_for() -> None:
    text = "Unsupported track kind 'video' for modality 'audio'"
    assert str(UnsupportedTrack("video", "audio")) == text


REFUSED_BY_THE_CORE: list[Callable[[], object]] = [
    lambda: Resampler(1, 16_000),
    lambda: Resampler(-1, 16_000),
    lambda: AudioFifo(0),
    lambda: InboundAudio(1, 1, 16_000),
    lambda: PauseDetector(1),
    lambda: SileroVad(1),
    lambda: Resampler(8_000, 16_000).process(np.zeros((3, 3, 3), np.int16)),
]


@pytest.mark.parametrize("use", REFUSED_BY_THE_CORE)
def test_the_core_raises_the_class_of_python(use: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="expected") as raised:
        use()
    assert type(raised.value) is AudioError
    assert isinstance(raised.value, WebRTCError)


class Emitting(AsyncStreamHandler):
    """Emits one item, and then nothing."""

    def __init__(self, item: Any = None, error: Exception | None = None) -> None:
        super().__init__()
        self.item, self.error = item, error

    def copy(self) -> Emitting:
        return Emitting(self.item, self.error)

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> EmitType:
        item, self.item = self.item, None
        error, self.error = self.error, None
        if error is not None:
            raise error
        return item  # type: ignore[no-any-return]


def reported(handler: Emitting) -> list[BaseException]:
    simulation = simulate(handler, (48_000, np.zeros(4_800, np.int16)), tail_s=0.1)
    return [event.data["error"] for event in simulation.events if event.name == "error"]


def test_an_item_that_the_core_refuses_is_the_cause_of_a_handler_error() -> None:
    (error,) = reported(Emitting((24_000, np.zeros((3, 3, 3), np.int16))))
    assert isinstance(error, HandlerError)
    assert isinstance(error.__cause__, AudioError)


def test_an_exception_of_the_handlers_own_is_reported_as_it_is() -> None:
    own = ZeroDivisionError("mine")
    assert reported(Emitting(error=own)) == [own]
