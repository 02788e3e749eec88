"""Programs of fastrtc's that are called by telephone, or over a WebSocket, or both.

`test_fastrtc_demos.py` calls the same programs over WebRTC.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import fromstring

import httpx
import numpy as np
import pytest
import soxr
from support.fastrtc_programs import goodbye, kept_log, load, outside  # noqa: F401
from support.signals import pitch_hz
from support.socket_clients import PageSocket, SocketClient, Twilio
from support.uvicorn_server import serving
from support.vendors import VOICES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

pytestmark = [
    pytest.mark.network,
    # By the first program of a process that writes it.
    pytest.mark.filterwarnings("ignore:gr.Chatbot.type=:DeprecationWarning"),
]


def said(rate_hz: int) -> NDArray[np.int16]:
    """One word, behind a moment of silence."""
    return soxr.resample(goodbye(), 48_000, rate_hz)  # type: ignore[no-any-return]


def loud(client: SocketClient, rate_hz: int) -> NDArray[np.int16]:
    """The loud packets of what came back, one after the other."""
    packets = client.audio()[: client.samples // (rate_hz // 50) * (rate_hz // 50)]
    packets = packets.reshape(-1, rate_hz // 50)
    return packets.compress(np.abs(packets).max(axis=1) > 4_000, axis=0).reshape(-1)


def check_pitch(client: SocketClient, rate_hz: int, hz: float) -> None:
    assert pitch_hz(loud(client, rate_hz), rate_hz) == pytest.approx(hz, abs=15)


@asynccontextmanager
async def served(program: Any) -> AsyncIterator[str]:
    """Serves the app of a program; no session is left at the end."""
    async with serving(program.app) as host:
        yield host
        await program.stream.webrtc_component.signaling.sessions.wait_idle()
    assert program.stream.handlers == {}


@asynccontextmanager
async def telephone(host: str) -> AsyncIterator[Twilio]:
    """A telephone call, which the program's own webhook may connect."""
    twilio = Twilio(host)
    twiml = fromstring((await twilio.ring()).text)  # noqa: S314  # the program's own
    (stream,) = twiml.iter("Stream")
    # A program that names the host alone, as it is reached outside, is served here without TLS.
    await twilio.connect_stream(f"ws://{host}{urlsplit(stream.attrib['url']).path}")
    yield twilio
    await twilio.hang_up()
    await twilio.closed.wait()
    await twilio.leave()


async def test_qwen_phone_chat_by_telephone() -> None:
    program = load("qwen_phone_chat")
    async with served(program) as host, telephone(host) as twilio:
        twilio.microphone.say(said(8_000))
        await twilio.until(lambda: loud(twilio, 8_000).size > 2_400)
        check_pitch(twilio, 8_000, 700)
        assert [*program.stream.connections] == [twilio.stream_sid]


async def test_talk_to_claude_by_telephone_where_its_outputs_are_its_history() -> None:
    program = load("talk_to_claude")
    async with served(program) as host, telephone(host) as twilio:
        twilio.microphone.say(said(8_000))
        await twilio.until(lambda: loud(twilio, 8_000).size > 2_400)
        check_pitch(twilio, 8_000, VOICES["middle"])
        twilio.microphone.say(said(8_000))
        await twilio.until(lambda: len(program.llm.asked) == 2)
        roles = [each["role"] for each in program.llm.asked[1]]
        assert roles == ["user", "assistant", "user"]


class Page(PageSocket):
    """The page of a program that asks for inputs, and has its outputs on a route of its own.

    Args:
        host: Host and port of the server.
        client: Sends its other requests.

    Attributes:
        outputs: The outputs, as they come.
    """

    def __init__(self, host: str, client: httpx.AsyncClient) -> None:
        super().__init__(host)
        self.outputs: asyncio.Queue[Any] = asyncio.Queue()
        self._client = client

    def read(self) -> None:
        """Reads the outputs from now on."""
        self._run(self._read())

    def hear(self, message: dict[str, Any]) -> None:
        if message.get("type") == "send_input":
            self._run(self._post())

    async def _post(self) -> None:
        body = {"webrtc_id": self.websocket_id, "chatbot": [{"role": "user", "content": "Hi"}]}
        reply = await self._client.post("/input_hook", json=body)
        assert reply.json() == {"status": "ok"}

    async def _read(self) -> None:
        query = {"webrtc_id": self.websocket_id}
        async with self._client.stream("GET", "/outputs", params=query) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    self.outputs.put_nowait(json.loads(line.removeprefix("data: ")))


async def test_webrtc_vs_websocket_over_the_websocket() -> None:
    program = load("webrtc_vs_websocket")
    async with (
        served(program) as host,
        httpx.AsyncClient(base_url=f"http://{host}", timeout=60) as client,
    ):
        page = Page(host, client)
        await page.call()
        await page.send({"event": "ping"})
        await page.until(lambda: bool(page.events("pong")))
        page.read()
        page.microphone.say(said(24_000))
        page.speak()
        await page.until(lambda: loud(page, 24_000).size > 7_200)
        check_pitch(page, 24_000, VOICES["middle"])
        question, answer = await page.outputs.get(), await page.outputs.get()
        assert answer["content"] == f"You said: {question['content']}"
        assert program.llm.asked[0][0]["content"] == "Hi"
        assert page.typed("send_input") == [[]]
        assert page.typed("fetch_output") == [[]]
        await page.send({"event": "stop"})
        await page.closed.wait()
        await page.leave()
