"""Servers that are asked to stop during sessions: clients get the reason, and the process ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aioice import ice
from support.forked import start
from support.page import PageClient, open_page
from support.repository import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from support.client import Client
    from support.forked import Forked

pytestmark = pytest.mark.network

PROGRAM = ROOT / "tests" / "support" / "stopping_program.py"
ADDRESS = re.compile(r"[Rr]unning on .*?(http://[\w.]+:\d+)")
LIMIT_S = 100.0
"""The time that anything may take on a machine that is busy with other tests."""


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice, "get_host_addresses", lambda **_: ["127.0.0.1"])


class Server:
    """A process that serves one page, and what it writes."""

    def __init__(self, process: Forked | subprocess.Popen[bytes]) -> None:
        self.lines: list[str] = []
        self._process = process
        self._news = asyncio.Condition()
        self._follower = asyncio.get_running_loop().create_task(self._follow())

    async def url(self, number: int = 0) -> str:
        """The address of the page; of the one that came later, with a number."""
        await self.until(lambda: len(self._addresses()) > number)
        return self._addresses()[number]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns once the condition holds; looked at with each line that is written."""
        async with self._news, asyncio.timeout(LIMIT_S):
            await self._news.wait_for(condition)

    def send(self, number: int) -> None:
        """Sends a signal."""
        self._process.send_signal(number)

    def press_enter(self) -> None:
        """Sends a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    async def wait(self) -> int:
        """The exit status, once the process is gone."""
        status = await asyncio.to_thread(self._process.wait, LIMIT_S)
        await self._follower
        return status

    async def kill(self) -> None:
        """Ends the process whatever it does."""
        if self._process.returncode is None:
            self._process.kill()
        await self.wait()

    def _addresses(self) -> list[str]:
        return [found[1] for line in self.lines if (found := ADDRESS.search(line))]

    async def _follow(self) -> None:
        assert self._process.stdout is not None
        while line := await asyncio.to_thread(self._process.stdout.readline):
            async with self._news:
                self.lines.append(line.decode())
                self._news.notify_all()


def started(kind: str, handler: str, **variables: str) -> Forked | subprocess.Popen[bytes]:
    """A process of `support.stopping_program`."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONUNBUFFERED": "1",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        **variables,
    }
    if kind != "module":
        return start([str(PROGRAM), kind, handler], environment)
    return subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "support.stopping_program:app", "--port", "0"],
        env=environment | {"HANDLER": handler},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@asynccontextmanager
async def serving(kind: str, handler: str, **variables: str) -> AsyncIterator[Server]:
    """The same, until the block ends."""
    with await asyncio.to_thread(started, kind, handler, **variables) as process:
        server = Server(process)
        try:
            yield server
        finally:
            await server.kill()


@asynccontextmanager
async def calling(url: str, *labels: str) -> AsyncIterator[list[PageClient]]:
    """Clients on one page, which stays open as in a browser."""
    async with open_page(url) as page:
        staying = asyncio.get_running_loop().create_task(page.stay())
        clients = [PageClient(page, page.component("webrtc", each)) for each in labels]
        try:
            for client in clients:
                await client.call()
            yield clients
        finally:
            for client in clients:
                await client.hang_up()
            staying.cancel()
            await asyncio.gather(staying, return_exceptions=True)


async def until_refused(client: PageClient) -> dict[str, Any]:
    """Offers calls until one is refused; returns the reason."""
    offer = await client.offer()
    component = client.page.component("webrtc", "first")
    while True:
        body = {**offer, "webrtc_id": uuid.uuid4().hex}
        answer = await client.page.call_server(component, "offer", body)
        if answer.get("status") == "failed":
            return dict(answer["meta"])


def ending(client: Client) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = (each for each in client.messages if each["type"] == "end_stream")
    return found


STOPPED = {"type": "end_stream", "data": "The server is stopping.", "code": "server_stopping"}
STATUS = {
    ("launch", signal.SIGTERM): -signal.SIGTERM,
    ("launch", signal.SIGINT): 0,
    ("mounted", signal.SIGTERM): -signal.SIGTERM,
    ("mounted", signal.SIGINT): 0,
    ("module", signal.SIGTERM): -signal.SIGTERM,
    ("module", signal.SIGINT): 0,
}
"""The exit status of each server and signal, as without sessions."""


@pytest.mark.parametrize(("kind", "number"), STATUS)
async def test_a_client_gets_the_reason_and_newcomers_are_refused(
    kind: str, number: signal.Signals
) -> None:
    async with serving(kind, "Talks") as server:
        async with calling(await server.url(), "first", "second") as clients:
            late = PageClient(clients[0].page, clients[0].page.component("webrtc", "first"))
            server.send(number)
            refusal = await until_refused(late)
            await asyncio.gather(*(each.ended.wait() for each in clients))
            status = await server.wait()
            await late.hang_up()
        assert refusal["error"] == "server_stopping"
        assert [ending(each) for each in clients] == [STOPPED, STOPPED]
        assert status == STATUS[kind, number], server.lines


@pytest.mark.parametrize(
    ("kind", "number", "handler"),
    [
        ("launch", signal.SIGTERM, "BlocksReceive"),
        ("launch", signal.SIGINT, "Blocks"),
        ("mounted", signal.SIGTERM, "BlocksAround"),
        ("mounted", signal.SIGINT, "Ignores"),
    ],
)
async def test_code_that_never_returns_does_not_keep_the_process(
    kind: str, number: signal.Signals, handler: str
) -> None:
    async with serving(kind, handler) as server:
        async with calling(await server.url(), "first") as (client,):
            await server.until(lambda: "blocked\n" in server.lines)
            server.send(number)
            await client.ended.wait()
            status = await server.wait()
        assert ending(client) == STOPPED
        assert status == STATUS[kind, number], server.lines


@pytest.mark.parametrize(
    ("kind", "number", "status"),
    [
        ("launch", signal.SIGINT, 1),
        ("mounted", signal.SIGTERM, -signal.SIGTERM),
    ],
)
async def test_a_blocked_event_loop_does_not_keep_the_process(
    kind: str, number: signal.Signals, status: int
) -> None:
    async with serving(kind, "BlocksLoop") as server, open_page(await server.url()) as page:
        client = PageClient(page, page.component("webrtc", "first"))
        call = asyncio.get_running_loop().create_task(client.call())
        await server.until(lambda: "blocked\n" in server.lines)
        server.send(number)
        assert await server.wait() == status, server.lines
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await client.hang_up()


@pytest.mark.parametrize(("kind", "number"), [key for key in STATUS if key[0] != "module"])
async def test_the_second_signal_leaves_no_grace(kind: str, number: signal.Signals) -> None:
    # A grace time that nobody would wait for.
    async with serving(kind, "Talks", GRADIO_WEBRTC_GRACE_S="60") as server:
        async with calling(await server.url(), "first") as (client,):
            # Without a reply under way there is nothing that the grace is for.
            await client.until(lambda: client.loud_seconds() > 0)
            late = PageClient(client.page, client.page.component("webrtc", "first"))
            server.send(number)
            await until_refused(late)
            server.send(number)
            await client.ended.wait()
            status = await server.wait()
            await late.hang_up()
        assert ending(client) == STOPPED
        assert status == STATUS[kind, number], server.lines


async def test_a_program_keeps_its_own_handler() -> None:
    async with serving("own handler", "Idle") as server:
        async with calling(await server.url(), "first") as (client,):
            server.send(signal.SIGTERM)
            await client.ended.wait()
            assert await server.wait() == 7, server.lines
        assert ending(client) == STOPPED


async def test_close_ends_sessions_and_a_later_launch_takes_new_ones() -> None:
    async with serving("close", "Idle") as server:
        async with calling(await server.url(), "first", "second") as clients:
            server.press_enter()
            await asyncio.gather(*(each.ended.wait() for each in clients))
            assert [ending(each) for each in clients] == [STOPPED, STOPPED]
        async with calling(await server.url(1), "first") as (client,):
            server.press_enter()
            await client.ended.wait()
        assert await server.wait() == 0, server.lines


async def test_a_program_that_exits_sends_its_clients_the_reason() -> None:
    async with serving("exit", "Idle") as server:
        async with calling(await server.url(), "first") as (client,):
            server.press_enter()
            await client.ended.wait()
            assert await server.wait() == 3, server.lines
        assert ending(client) == STOPPED


async def test_a_child_that_was_forked_ends_no_session() -> None:
    async with (
        serving("fork", "Idle") as server,
        calling(await server.url(), "first") as (client,),
    ):
        server.press_enter()
        await server.until(lambda: any("its status" in line for line in server.lines))
        assert "its status 0\n" in server.lines
        assert not any("event loop" in line for line in server.lines)
        assert not client.ended.is_set()
        server.press_enter()
        await client.ended.wait()
        assert await server.wait() == 3, server.lines


async def test_a_handler_of_an_event_loop_is_called_once_for_a_signal() -> None:
    async with serving("asyncio", "Talks") as server:
        async with calling(await server.url(), "first") as (client,):
            server.send(signal.SIGTERM)
            await client.ended.wait()
            assert await server.wait() == 0, server.lines
        assert ending(client) == STOPPED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_page_without_a_session_keeps_no_server(number: signal.Signals) -> None:
    async with serving("mounted", "Idle") as server, open_page(await server.url()) as page:
        staying = asyncio.get_running_loop().create_task(page.stay())
        client = PageClient(page, page.component("webrtc", "first"))
        await client.call()
        await client.hang_up()
        server.send(number)
        assert await server.wait() == STATUS["mounted", number], server.lines
        await asyncio.gather(staying, return_exceptions=True)
