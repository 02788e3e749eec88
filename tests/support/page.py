"""A Gradio page without a browser: component values, events and server functions over HTTP."""

from __future__ import annotations

import asyncio
import json
import ssl
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
from gradio.routes import App

from .client import Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import gradio as gr
    from numpy.typing import NDArray

WAIT_S = 60.0
"""The time that one answer of the server may take on a machine that is busy with other tests."""

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts no certificate, and is not asked: httpx would read a list of them for each page, 60 ms."""

LOUD = 200
"""A sample value that no silence has, not even behind a codec."""


class GradioPage:
    """The state of a page in a browser, and the requests that it makes.

    Attributes:
        config: The server's description of the page.
        values: The value of each component, by its id.
    """

    def __init__(self, client: httpx.AsyncClient, config: dict[str, Any]) -> None:
        self.config = config
        self.values: dict[int, Any] = {
            each["id"]: each["props"].get("value") for each in config["components"]
        }
        self._client = client
        self._session_hash = uuid.uuid4().hex[:11]

    def component(self, kind: str, label: str | None = None) -> int:
        """The id of the only component of this kind, or of the one with this label or value."""
        found = [
            each["id"]
            for each in self.config["components"]
            if each["type"] == kind
            and label in (None, each["props"].get("label"), each["props"].get("value"))
        ]
        assert len(found) == 1, f"{len(found)} components of kind {kind!r} and label {label!r}"
        return int(found[0])

    def props(self, component: int) -> dict[str, Any]:
        """The properties of a component, as the server describes it."""
        (found,) = (each for each in self.config["components"] if each["id"] == component)
        return dict(found["props"])

    async def call_server(self, component: int, function: str, data: object) -> Any:
        """Calls a server function of a component."""
        body = {"data": data, "component_id": component, "fn_name": function}
        return await self._post("component_server/", body)

    async def call_server_raw(self, component: int, function: str, data: bytes) -> Any:
        """Calls a server function with bytes in place of JSON data."""
        rest = {"component_id": component, "fn_name": function, "session_hash": self._session_hash}
        body = json.dumps(rest).encode()[:-1] + b', "data": ' + data + b"}"
        headers = {"Content-Type": "application/json"}
        path = self._path("component_server/")
        answer = await self._client.post(path, content=body, headers=headers)
        return answer.raise_for_status().json()

    async def dispatch(self, component: int, event: str) -> None:
        """Reports an event of a component to the server, and takes in the answer."""
        for dependency in self.config["dependencies"]:
            if [component, event] in dependency["targets"]:
                await self._run(dependency, component)

    async def fetch(self, url: str) -> bytes:
        """The content of an address of the page's."""
        return (await self._client.get(url)).raise_for_status().content

    async def stay(self) -> None:
        """Holds the stream that a browser holds for as long as it shows the page."""
        path = self._path(f"heartbeat/{self._session_hash}")
        async with self._client.stream("GET", path) as stream:
            async for _ in stream.aiter_lines():
                pass

    async def _run(self, dependency: dict[str, Any], trigger: int) -> None:
        body = {
            "data": [self.values.get(each) for each in dependency["inputs"]],
            "fn_index": dependency["id"],
            "trigger_id": trigger,
        }
        if dependency["queue"]:
            answer = await self._run_in_queue(body)
        else:
            answer = await self._post("run/predict", body)
        for component, value in zip(dependency["outputs"], answer["data"], strict=True):
            self._take(component, value)
        for each in self.config["dependencies"]:
            if each["trigger_after"] == dependency["id"]:
                await self._run(each, trigger)

    def _take(self, component: int, value: Any) -> None:
        if isinstance(value, dict) and value.get("__type__") == "update":
            if "value" not in value:
                return
            value = value["value"]
        self.values[component] = value

    async def _run_in_queue(self, body: dict[str, Any]) -> dict[str, Any]:
        joined = await self._post("queue/join", body)
        query = {"session_hash": self._session_hash}
        async with self._client.stream("GET", self._path("queue/data"), params=query) as stream:
            async for line in stream.aiter_lines():
                message = json.loads(line.removeprefix("data: ")) if line else {}
                if message.get("event_id") != joined["event_id"]:
                    continue
                if message["msg"] == "process_completed":
                    assert message["success"], message
                    return dict(message["output"])
        raise AssertionError("the queue closed before the event was done")

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = await self._client.post(
            self._path(path), json={**body, "session_hash": self._session_hash}
        )
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def _path(self, path: str) -> str:
        return f"{self.config['root'].rstrip('/')}{self.config['api_prefix']}/{path}"


@asynccontextmanager
async def open_page(url: str, *, login: tuple[str, str] | None = None) -> AsyncIterator[GradioPage]:
    """Opens the page at `url`, after logging in if it asks for that."""
    async with httpx.AsyncClient(
        base_url=url, timeout=WAIT_S, follow_redirects=True, verify=NO_TLS
    ) as client:
        if login is not None:
            username, password = login
            form = {"username": username, "password": password}
            (await client.post(f"{url}/login", data=form)).raise_for_status()
        answer = await client.get(f"{url}/config")
        yield GradioPage(client, answer.raise_for_status().json())


@asynccontextmanager
async def serve_page(demo: gr.Blocks) -> AsyncIterator[GradioPage]:
    """The page of a program in this process, without a port. Its events are not to be queued."""
    app = App.create_app(demo)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://testserver", timeout=WAIT_S
    ) as client:
        answer = await client.get("/config")
        yield GradioPage(client, answer.raise_for_status().json())


class PageClient(Client):
    """A client whose signalling, inputs and outputs go through a Gradio page.

    Args:
        page: The page that it calls from.
        component: The id of the `WebRTC` component; by default the page's only one.
        microphone: The audio that it sends, int16 ``(n,)`` at 48 kHz; then silence.
        options: Those of `Client`.

    Attributes:
        pages: The values of the components after each of the outputs.
    """

    def __init__(
        self,
        page: GradioPage,
        component: int | None = None,
        microphone: Any = None,
        **options: Any,
    ) -> None:
        self._page = page
        self._component = page.component("webrtc") if component is None else component
        props = page.props(self._component)
        options |= {name: props[name] for name in ("mode", "modality") if name in props}
        self.pages: list[dict[int, Any]] = []
        super().__init__(_Signalling(self), microphone, **options)  # type: ignore[arg-type]  # the part that a client calls

    @property
    def page(self) -> GradioPage:
        """The page that it calls from."""
        return self._page

    @property
    def is_quiet(self) -> bool:
        """True if the last 0.1 s that it received were silence."""
        return all(abs(samples).max() < LOUD for _, samples in self.audio_frames[-5:])

    def gaps(self) -> int:
        """The number of silent gaps between two loud stretches, as a late, busy server leaves them.

        At each of these a codec may make a loud piece of 5 ms of silence, or the other way round.
        """
        _, is_loud = self._pieces()
        return max(0, int((np.diff(is_loud.astype(int), prepend=0) == 1).sum()) - 1)

    def tone_hz(self) -> float:
        """The pitch of a tone, from the number of times it crosses zero where it is loud.

        A silent gap between two loud stretches takes or adds a crossing, which is half a period.
        """
        pieces, is_loud = self._pieces()
        # A piece at an edge may be noise in part, which crosses zero all the time.
        before, after = np.append(False, is_loud[:-1]), np.append(is_loud[1:], False)
        whole: NDArray[np.int16] = pieces[is_loud & before & after].reshape(-1)
        crossings = int(np.diff(np.signbit(whole)).sum())
        return crossings / 2 / (whole.size / 48_000)

    def _pieces(self) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """The received audio in pieces of 5 ms, ``(n, 240)``, and a mask of the loud ones."""
        pieces = np.concatenate([samples for _, samples in self.audio_frames]).reshape(-1, 240)
        return pieces, np.abs(pieces.astype(np.int32)).max(axis=1) > 8192

    def send_inputs(self, *inputs: Any) -> None:
        """Lets the page dispatch ``tick``; it sends the values that its components have then."""
        assert not inputs, "set the page's values instead"
        self._soon("tick")

    async def request(self, body: dict[str, Any]) -> dict[str, Any]:
        """Calls the server function ``offer``, and keeps what came with its answer."""
        answer: dict[str, Any] = await self._page.call_server(self._component, "offer", body)
        if "secret" in answer:
            self._page.values[self._component] = {
                "webrtc_id": self.webrtc_id or answer["webrtc_id"],
                "secret": answer["secret"],
            }
        return answer

    def _fetch_output(self) -> None:
        self._soon("state_change")

    def _soon(self, event: str) -> None:
        task = asyncio.get_running_loop().create_task(self._dispatch(event))
        self._tasks.add(task)

    async def _dispatch(self, event: str) -> None:
        await self._page.dispatch(self._component, event)
        if event == "state_change":
            self.pages.append(dict(self._page.values))
        self._news.set()


class _Signalling:
    """The part of a `SessionServer` that a `Client` calls, for a client on a page."""

    def __init__(self, client: PageClient) -> None:
        self._client = client

    async def handle_request(self, body: dict[str, Any]) -> dict[str, Any]:
        return await self._client.request(body)
