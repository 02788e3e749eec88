"""Clients that post to the routes of a `Stream`, as the pages of fastrtc's programs do."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx

from .client import Client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

HOST = "http://127.0.0.1:7860"


def browser(app: FastAPI, address: str = "127.0.0.1", **options: Any) -> httpx.AsyncClient:
    """One browser, with its own cookies, in front of an app of this process.

    Args:
        app: The app.
        address: The address that its requests come from.
        options: Those of httpx.
    """
    transport = httpx.ASGITransport(app=app, client=(address, 1234))
    return httpx.AsyncClient(transport=transport, base_url=HOST, **options)


class Posting:
    """As much of a server as a `Client` needs, behind a route.

    Args:
        browser: Sends the requests, with its cookies.
        path: The route.
        sends_secret: False for a page that was written for fastrtc, which has no secret.
    """

    def __init__(
        self, browser: httpx.AsyncClient, path: str = "/webrtc/offer", *, sends_secret: bool = False
    ) -> None:
        self._browser = browser
        self._path = path
        self._sends_secret = sends_secret

    async def handle_request(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if not self._sends_secret:
            body = {name: value for name, value in body.items() if name != "secret"}
        reply = await self._browser.post(self._path, json=body)
        answer: dict[str, Any] = reply.raise_for_status().json()
        return answer


class PostingClient(Client):
    """A client that leaves outputs to the program, which has routes of its own for them."""

    def _fetch_output(self) -> None: ...


def client_of(posting: Any, *args: Any, **options: Any) -> Client:
    """Returns a client that calls over a route, and has not called yet."""
    return PostingClient(posting, *args, **options)


class DemoClient(PostingClient):
    """A page as fastrtc's demos have one: it posts its inputs when asked, and reads outputs.

    Args:
        browser: Sends the requests.
        microphone: The audio that it sends, int16 ``(n,)`` at 48 kHz; then silence.
        hook: The route for inputs; ``None`` for a page without any.
        options: Those of `Client`.

    Attributes:
        fields: The values that it posts there, besides its id; may be changed at any time.
        events: The data of each event of the route that it reads.
        replies: The status of each answer to its inputs.
        browser: As given.
    """

    def __init__(
        self,
        browser: httpx.AsyncClient,
        microphone: Any = None,
        *,
        hook: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(Posting(browser), microphone, **options)  # type: ignore[arg-type]  # the part that a client calls
        self.fields: dict[str, Any] = {}
        self.events: list[str] = []
        self.replies: list[int] = []
        self.browser = browser
        self._hook = hook

    def send_inputs(self, *inputs: Any) -> None:
        """Posts the fields, in the background."""
        assert not inputs, "set the fields instead"
        if self._hook is not None:
            self._soon(self._post_inputs(self._hook))

    async def _post_inputs(self, hook: str) -> None:
        body = {"webrtc_id": self.webrtc_id, **self.fields}
        reply = await self.browser.post(hook, json=body)
        self.replies.append(reply.status_code)
        self._news.set()

    def read(self, route: str) -> None:
        """Reads the events of a route, in the background."""
        self._soon(self._read(route))

    async def _read(self, route: str) -> None:
        query = {"webrtc_id": self.webrtc_id}
        async with self.browser.stream("GET", route, params=query) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    self.events.append(line.removeprefix("data: "))
                    self._news.set()

    def messages_read(self) -> list[Any]:
        """The events that are JSON."""
        return [json.loads(each) for each in self.events]

    def _soon(self, doing: Any) -> None:
        self._tasks.add(asyncio.get_running_loop().create_task(doing))
