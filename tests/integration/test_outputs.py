"""Values for the page from outside a handler, and read by others than the page."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from support.client import Client
from support.serving import SessionServer

from gradio_webrtc import AdditionalOutputs, AsyncStreamHandler
from gradio_webrtc._session import manager as manager_module
from gradio_webrtc.errors import SessionUnknown


class Gives(AsyncStreamHandler):
    """Gives what is put into its template's queue."""

    def __init__(self, items: asyncio.Queue[Any]) -> None:
        super().__init__()
        self.items = items

    async def receive(self, frame: Any) -> None:
        pass

    async def emit(self) -> Any:
        return await self.items.get()

    def copy(self) -> Gives:
        return Gives(self.items)


async def call(*, has_outputs: bool) -> tuple[SessionServer, Client, asyncio.Queue[Any]]:
    items: asyncio.Queue[Any] = asyncio.Queue()
    manager = SessionServer()
    manager.serve(Gives(items).copy)
    manager.has_outputs = has_outputs
    client = Client(manager)
    await client.call()
    return manager, client, items


async def finish(manager: SessionServer, client: Client) -> None:
    await client.hang_up()
    await manager.wait_idle()


async def test_values_from_another_thread_reach_the_page() -> None:
    manager, client, items = await call(has_outputs=True)
    set_outputs = manager.output_setter(client.webrtc_id)
    items.put_nowait(AdditionalOutputs("from the handler"))
    await client.until(lambda: len(client.outputs) == 1)
    thread = threading.Thread(target=set_outputs, args=(AdditionalOutputs("from outside"),))
    thread.start()
    await client.until(lambda: len(client.outputs) == 2)
    thread.join()
    await finish(manager, client)
    set_outputs(AdditionalOutputs("too late"))
    assert client.outputs == [("from the handler",), ("from outside",)]


async def test_a_stream_of_values_goes_on_to_the_end_of_the_session() -> None:
    manager, client, items = await call(has_outputs=False)
    for value in range(3):
        items.put_nowait(AdditionalOutputs(value))
    stream = manager.output_stream(client.webrtc_id)
    read = [(await anext(stream)).args for _ in range(3)]
    reading = asyncio.get_running_loop().create_task(anext(stream, None))
    await finish(manager, client)
    assert await reading is None
    assert read == [(0,), (1,), (2,)]


async def test_one_value_is_fetched_or_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    manager, client, items = await call(has_outputs=False)
    fetching = asyncio.get_running_loop().create_task(manager.fetch_output(client.webrtc_id))
    items.put_nowait(AdditionalOutputs("first"))
    assert (await fetching).args == ("first",)
    monkeypatch.setattr(manager_module, "FETCH_TIMEOUT_S", 0.05)
    with pytest.raises(TimeoutError):
        await manager.fetch_output(client.webrtc_id)
    await finish(manager, client)
    with pytest.raises(SessionUnknown):
        await manager.fetch_output(client.webrtc_id)
