"""Programs that speak first, by what they do in ``start_up``, over loopback."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from support.client import Client
from support.serving import SessionServer
from support.signals import tone

from gradio_webrtc import AsyncStreamHandler, ReplyOnPause

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE_HZ = 24_000


def greet(_audio: Any = None) -> Iterator[Any]:
    yield (RATE_HZ, tone(0.5, 440, RATE_HZ))


class Awaiting(AsyncStreamHandler):
    """Awaits ours, as the async handlers of fastrtc do."""

    has_started = False

    async def start_up(self) -> None:
        started = super().start_up()
        assert started is not None
        await started
        self.has_started = True

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> Any:
        if not self.has_started:
            await asyncio.Event().wait()
        self.has_started = False
        return next(greet())

    def copy(self) -> Awaiting:
        return Awaiting()


class Greeting(ReplyOnPause):
    def start_up(self) -> Any:
        self.generator = greet()
        self.event.set()

    def copy(self) -> Greeting:
        return type(self)(self.fn)


class GreetingLater(Greeting):
    async def start_up(self) -> None:
        await asyncio.sleep(0.1)
        super().start_up()


@pytest.mark.parametrize("make", [Awaiting, lambda: Greeting(greet), lambda: GreetingLater(greet)])
async def test_a_client_receives_what_a_start_up_has_set_in_motion(make: Any) -> None:
    manager = SessionServer()
    manager.serve(make().copy)
    client = Client(manager)
    await client.call()
    await client.until(lambda: client.loud_seconds() >= 0.48)
    await client.hang_up()
    await manager.close()
    assert client.loud_seconds() < 0.6, "it is played once"
