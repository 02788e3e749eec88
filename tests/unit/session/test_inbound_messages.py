"""The client's messages in a handler: in order, one at a time, and bounded."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

from support.transports import Line

from gradio_webrtc import AsyncStreamHandler, ReplyOnPause, StreamHandler
from gradio_webrtc._config import SessionConfig
from gradio_webrtc._session.inbound_messages import HANDSHAKE, MAX_WAITING, MAX_WAITING_CHARS
from gradio_webrtc._session.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from gradio_webrtc._handlers import StreamHandlerBase


class Notes(AsyncStreamHandler):
    """Keeps its messages, each once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Any] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.changed = asyncio.Event()
        self.running = 0

    async def on_message(self, data: Any) -> None:
        self.running += 1
        assert self.running == 1, "never two at once"
        self.changed.set()
        await self.may_go_on.wait()
        self.note(data)
        self.running -= 1

    def note(self, data: Any) -> None:
        self.got.append(data)
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> None:
        await asyncio.Event().wait()

    def copy(self) -> Notes:
        return type(self)()


class Held:
    """A session under way, and the texts that its client sends."""

    def __init__(self, handler: StreamHandlerBase) -> None:
        self.line = Line()
        self.session = Session("client", self.line, handler, SessionConfig())
        self._running = asyncio.get_running_loop().create_task(self.session.run())

    def write(self, *texts: str) -> None:
        for each in texts:
            self.line.on_message(each)

    async def end(self) -> None:
        self.session.end("over")
        await self._running


def errors_of(held: Held) -> list[str]:
    return [each["data"] for _, each in held.line.messages if each["type"] == "error"]


async def test_messages_come_decoded_and_in_order() -> None:
    held = Held(handler := Notes())
    held.write('{"type": "chat", "data": [1]}', "hello", "42", '"quoted"', "null", "", "{broken")
    await handler.until(lambda: len(handler.got) == 7)
    assert handler.got == [
        {"type": "chat", "data": [1]},
        "hello",
        42,
        "quoted",
        None,
        "",
        "{broken",
    ]
    await held.end()


async def test_what_no_reader_of_json_takes_is_text() -> None:
    held = Held(handler := Notes())
    deep = "[" * 50_000
    held.write("NaN", "[Infinity]", "9" * 5000, deep)
    await handler.until(lambda: len(handler.got) == 4)
    assert handler.got == ["NaN", "[Infinity]", "9" * 5000, deep]
    await held.end()


async def test_the_handshake_of_a_page_is_no_message() -> None:
    held = Held(handler := Notes())
    held.write(HANDSHAKE, "first", '"handshake"')
    await handler.until(lambda: len(handler.got) == 2)
    assert handler.got == ["first", "handshake"]
    await held.end()


async def test_a_message_before_the_connection_is_kept() -> None:
    handler = Notes()
    line = Line()
    session = Session("client", line, handler, SessionConfig())
    line.on_message("early")
    running = asyncio.get_running_loop().create_task(session.run())
    await handler.until(lambda: handler.got == ["early"])
    session.end("over")
    await running


async def test_a_slow_handler_misses_the_oldest_and_is_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    held = Held(handler := Notes())
    handler.may_go_on.clear()
    held.write("-1")
    await handler.until(lambda: handler.running == 1)
    held.write(*map(str, range(MAX_WAITING + 10)))
    assert held.session.stats().inbound_messages_dropped == 10
    handler.may_go_on.set()
    await handler.until(lambda: len(handler.got) == MAX_WAITING + 1)
    assert handler.got == [-1, *range(10, MAX_WAITING + 10)]
    (record,) = [each for each in caplog.records if "slower than its client" in each.getMessage()]
    assert "Notes" in record.getMessage()
    await held.end()
    assert held.session.stats().inbound_messages_dropped == 10


async def test_long_messages_wait_up_to_a_number_of_characters() -> None:
    held = Held(handler := Notes())
    handler.may_go_on.clear()
    held.write("-1")
    await handler.until(lambda: handler.running == 1)
    part = MAX_WAITING_CHARS // 4
    held.write(*(f"{letter}" * part for letter in "abcdef"), "g" * (2 * MAX_WAITING_CHARS))
    handler.may_go_on.set()
    await handler.until(lambda: len(handler.got) == 2)
    assert handler.got[1] == "g" * (2 * MAX_WAITING_CHARS), "one is kept, however long"
    held.write("h" * part, "i" * part)
    await handler.until(lambda: len(handler.got) == 4)
    await held.end()


async def test_what_waits_for_a_handler_that_never_returns_is_bounded() -> None:
    held = Held(handler := Notes())
    handler.may_go_on.clear()
    held.write("-1")
    await handler.until(lambda: handler.running == 1)
    tracemalloc.start()
    for number in range(2000):
        held.write(f"{number}" * 10_000)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 3 * MAX_WAITING_CHARS
    await held.end()


async def test_an_error_is_reported_and_the_next_message_comes() -> None:
    class Fails(Notes):
        async def on_message(self, data: Any) -> None:
            self.note(data)
            if data == "bad":
                raise ValueError("the secret reason")

    held = Held(handler := Fails())
    held.write("bad", "good")
    await handler.until(lambda: len(handler.got) == 2)
    (error,) = errors_of(held)
    assert "secret" not in error
    assert not held.session.is_over
    await held.end()


async def test_a_generator_is_reported_as_one(caplog: pytest.LogCaptureFixture) -> None:
    class Yields(Notes):
        def on_message(self, data: Any) -> Any:
            self.changed.set()
            yield data

    held = Held(handler := Yields())
    held.write("one")
    while not errors_of(held):  # noqa: ASYNC110 - messages to the client set no event
        await asyncio.sleep(0.01)
    assert "without yield" in caplog.text
    await held.end()
    assert handler.got == []


async def test_a_plain_function_blocks_its_own_thread_alone() -> None:
    class Blocks(StreamHandler):
        def __init__(self) -> None:
            super().__init__()
            self.may_go_on = threading.Event()
            self.threads: list[int] = []
            self.got: list[Any] = []

        def on_message(self, data: Any) -> None:
            self.threads.append(threading.get_ident())
            assert self.may_go_on.wait(10)
            self.got.append(data)

        def receive(self, frame: Any) -> None: ...

        def emit(self) -> None:
            return None

        def copy(self) -> Blocks:
            return type(self)()

    held = Held(handler := Blocks())
    held.write("one", "two", "three")
    for _ in range(10):  # the loop goes on meanwhile
        await asyncio.sleep(0.005)
    assert handler.got == []
    handler.may_go_on.set()
    while len(handler.got) < 3:  # noqa: ASYNC110 - a thread sets no event of the loop
        await asyncio.sleep(0.005)
    assert handler.got == ["one", "two", "three"]
    assert len(set(handler.threads)) == 1
    assert handler.threads[0] != threading.get_ident()
    await held.end()


async def test_a_coroutine_that_never_awaits_leaves_the_loop_to_others() -> None:
    class Quick(Notes):
        async def on_message(self, data: Any) -> None:
            self.note(data)

    held = Held(handler := Quick())
    held.write(*map(str, range(MAX_WAITING)))
    await handler.until(lambda: bool(handler.got))
    assert len(handler.got) < MAX_WAITING
    await held.end()


async def test_nothing_is_kept_for_a_handler_that_takes_no_messages() -> None:
    line = Line()
    before = line.on_message
    Session("client", line, ReplyOnPause(lambda audio: audio), SessionConfig())
    assert line.on_message is before


async def test_a_subclass_may_call_ours() -> None:
    class Calls(Notes):
        async def on_message(self, data: Any) -> None:
            await super(Notes, self).on_message(data)
            self.note(data)

    held = Held(handler := Calls())
    held.write("one")
    await handler.until(lambda: bool(handler.got))
    await held.end()
