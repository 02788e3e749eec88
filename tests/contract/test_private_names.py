"""Private names of the classes that users subclass, which no attribute of a program's takes.

A handler of a program has attributes and methods of its own, such as ``self._session`` for that of
a service, or ``self._tasks``. One that takes a name of ours breaks the session without a word, so
all of ours begin in a way that nobody else's do. Names of gradio_webrtc 0.0.31 and fastrtc stay.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.fake_session import FakeSession

from gradio_webrtc import (
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    RealtimeHandler,
    ReplyOnPause,
    ReplyOnStopWords,
    StreamHandler,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "_rtc_"

KNOWN = {"_channel", "_clear_queue", "_close_generator", "_needs_additional_inputs", "_resampler"}
"""Names of gradio_webrtc 0.0.31 and fastrtc, with the same meaning here: programs use them."""

OF_PYTHON = {"_abc_impl"}

HANDLERS = [
    StreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    AsyncAudioVideoStreamHandler,
    RealtimeHandler,
    ReplyOnPause,
    ReplyOnStopWords,
]

# fmt: off
USUAL = (
    "_answer", "_args", "_audio", "_buffer", "_call", "_client", "_config", "_connection",
    "_context", "_detector", "_event", "_frames", "_generator", "_greet", "_history", "_intake",
    "_interrupt", "_keep", "_lock", "_messages", "_missed", "_model", "_next", "_output",
    "_pending", "_queue", "_receiving", "_replies", "_reply_queue", "_run", "_running",
    "_session", "_silence", "_socket", "_soon", "_speech", "_state", "_stats", "_stream", "_take",
    "_task", "_tasks", "_text", "_thread", "_trigger", "_turns", "_vad", "_worker", "_ws",
)
# fmt: on
"""Names that programs have for things of their own."""


def ours(kind: type) -> list[type]:
    """The classes of the package that a class is made of."""
    return [each for each in kind.__mro__ if each.__module__.startswith("gradio_webrtc.")]


def private_names(kind: type) -> Iterator[str]:
    """Yields the private names that one class has, or sets on its objects."""
    yield from vars(kind)
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(kind)))):
        if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store):
            continue
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            yield node.attr


@pytest.mark.parametrize("kind", HANDLERS)
def test_private_names_are_nobody_elses(kind: type) -> None:
    found = {name for each in ours(kind) for name in private_names(each)}
    private = {name for name in found if name.startswith("_") and not name.endswith("__")}
    assert len(private) > len(KNOWN)
    assert {each for each in private if not each.startswith(PREFIX)} <= KNOWN | OF_PYTHON


def reply(_audio: object) -> Iterator[Any]:
    yield 24000, np.ones((1, 480), np.int16)


class WithNames(ReplyOnPause):
    """Has an attribute of its own under every usual name."""

    def __init__(self) -> None:
        super().__init__(reply)
        for name in USUAL:
            setattr(self, name, [name])

    def copy(self) -> WithNames:
        return WithNames()


async def test_a_program_may_have_attributes_of_any_usual_name() -> None:
    handler = WithNames().copy()
    handler.bind(FakeSession())
    assert [getattr(handler, name) for name in USUAL] == [[name] for name in USUAL]
    handler.trigger_response()
    await handler.wait_until_ready()
    assert await handler.session_emit() is not None
    await handler.release()
    assert [getattr(handler, name) for name in USUAL] == [[name] for name in USUAL]
