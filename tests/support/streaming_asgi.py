"""A transport for httpx to an app of this process, whose answers may go on for ever.

`httpx.ASGITransport` gives an answer once its body is complete, which the events of a page never
are.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from .posting import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, MutableMapping

WAIT_S = 60.0
"""The time that one answer may take on a machine that is busy with other tests."""


class StreamingASGITransport(httpx.AsyncBaseTransport):
    """Sends requests to an app, and gives each answer as soon as its head is there."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request; the rest of the answer is read from its stream."""
        exchange = _Exchange(await request.aread())
        url = request.url
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.split(b"?")[0],
            "query_string": url.query,
            "server": (url.host, url.port),
            "client": ("127.0.0.1", 1),
            "root_path": "",
        }
        exchange.run(self._app(scope, exchange.receive, exchange.send))
        head = await exchange.head()
        return httpx.Response(head["status"], headers=head["headers"], stream=exchange)


class _Exchange(httpx.AsyncByteStream):
    """One request and its answer, as the app and as the client see them."""

    def __init__(self, body: bytes) -> None:
        self._requests: list[dict[str, Any]] = [{"type": "http.request", "body": body}]
        self._answers: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._has_left = asyncio.Event()
        self._task: asyncio.Future[None] | None = None

    def run(self, answering: Any) -> None:
        """Runs the app; what it raises is raised again where its answer is read."""
        self._task = asyncio.get_running_loop().create_task(answering)
        self._task.add_done_callback(lambda _: self._answers.put_nowait({"type": "end"}))

    async def receive(self) -> dict[str, Any]:
        """What the app gets: the body, and that the client has left once it has."""
        if self._requests:
            return self._requests.pop()
        await self._has_left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """What the app gives."""
        self._answers.put_nowait(message)

    async def head(self) -> MutableMapping[str, Any]:
        """The status and the headers."""
        message = await self._answers.get()
        if message["type"] != "http.response.start":
            await self.aclose()
        return message

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The parts of the body."""
        while (message := await self._answers.get())["type"] == "http.response.body":
            yield message.get("body", b"")
            if not message.get("more_body"):
                return

    async def aclose(self) -> None:
        """Leaves, and waits until the app is done."""
        self._has_left.set()
        if self._task is not None:
            await self._task


@asynccontextmanager
async def opened(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A browser in front of an app, which has started as under a server."""
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=StreamingASGITransport(app),
            base_url=HOST,
            timeout=WAIT_S,
            follow_redirects=True,
        ) as browser,
    ):
        yield browser
