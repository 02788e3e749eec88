"""A realtime voice service on this machine, written from the public description of the protocol.

The client streams 16-bit audio in JSON. The server alone decides when the user speaks: it reports
that at once, ends its answer, and answers again when the user pauses. Answers come as fast as the
network takes them: when they are played is the client's affair. Events have the names of the
general release, or of the beta.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import itertools
import json
import threading
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from gradio_webrtc import RealtimeHandler
from gradio_webrtc._realtime.line import ServiceLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from numpy.typing import NDArray

    Event = dict[str, Any]

RATE_HZ = 24_000
LOUD = 500
"""The level of a block of 20 ms that is speech: 36 dB below full scale."""

SPEECH_BLOCKS, PAUSE_BLOCKS = 5, 35
"""The number of blocks in a row that make speech, and a pause."""

PIECE_S = 0.1
LEVEL = 9_000

ANSWERS = ((700.0, 8.0), (1_100.0, 1.0))
"""Pitch in Hz and length in seconds of one answer after the other, round and round."""

BETA = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "conversation.item.added": "conversation.item.created",
}

GENERAL_TERMS: Event = {
    "type": "realtime",
    "audio": {"input": {"turn_detection": {"type": "server_vad"}}, "output": {}},
}
BETA_TERMS: Event = {"modalities": ["audio", "text"], "input_audio_format": "pcm16"}


@dataclass
class Script:
    """The behaviour of a service.

    Attributes:
        is_beta: Names and terms of the beta.
        answers: Pitch and length of one answer after the other.
        transcribes: The user's words are reported, as "Turn 1" and so on.
        calls: Tools that the first answer asks for, each a name and the text of its arguments.
        fails: The answers end with an error.
        is_deaf: Requests for an answer are in vain.
        words: "apart" for one every half a second of the audio, "first" for all before it, "whole"
            for one event behind it.
    """

    is_beta: bool = False
    answers: tuple[tuple[float, float], ...] = ANSWERS
    transcribes: bool = False
    calls: tuple[tuple[str, str], ...] = ()
    fails: bool = False
    is_deaf: bool = False
    words: str = "apart"


def tone(hz: float, length_s: float) -> NDArray[np.int16]:
    """The audio of an answer, int16 ``(n,)``."""
    times = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    return (LEVEL * np.sin(2 * np.pi * hz * times)).astype(np.int16)


class ServiceSide:
    """The service's side of one connection.

    Args:
        send: Sends one event.
        script: Its behaviour.

    Attributes:
        received: The client's events but its audio, in order.
        audio_bytes: The length of the client's audio.
        answers: The number of answers that were begun.
        script: As given; it may be exchanged.
    """

    def __init__(self, send: Callable[[str], Awaitable[None]], script: Script) -> None:
        self.received: list[Event] = []
        self.audio_bytes = 0
        self.answers = 0
        self._send_text = send
        self.script = script
        self._ids = itertools.count(1)
        self._waiting = np.zeros(0, np.int16)
        self._blocks = 0
        self._rate_hz = RATE_HZ
        self._loud_blocks = 0
        self._quiet_blocks = 0
        self._is_speaking = False
        self._turn_item = ""
        self._turns = 0
        self._answering: asyncio.Task[None] | None = None
        self._response_id = ""

    async def begin(self) -> None:
        """Sends the first event."""
        terms = BETA_TERMS if self.script.is_beta else GENERAL_TERMS
        await self.send("session.created", session=terms)

    async def end(self) -> None:
        """Ends the answer under way."""
        await self._stop_answering(reports=False)

    async def take(self, event: Event) -> None:
        """Acts on an event of the client."""
        if event["type"] == "input_audio_buffer.append":
            data = base64.b64decode(event["audio"])
            self.audio_bytes += len(data)
            await self._receive(np.frombuffer(data, np.int16))
            return
        self.received.append(event)
        match event["type"]:
            case "session.update":
                terms = event["session"].get("audio", {}).get("input", {}).get("format", {})
                self._rate_hz = terms.get("rate", RATE_HZ)
                await self.send("session.updated", session=event["session"])
            case "response.create" if not self.script.is_deaf:
                self._begin_answer()
            case "response.cancel":
                await self._stop_answering()
            case "conversation.item.truncate":
                kept = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
                await self.send("conversation.item.truncated", **kept)

    def events(self, kind: str) -> list[Event]:
        """The client's events of a type."""
        return [each for each in self.received if each["type"] == kind]

    async def send(self, kind: str, **values: Any) -> None:
        """Sends an event, under the name that it has in this service."""
        name = BETA.get(kind, kind) if self.script.is_beta else kind
        await self._send_text(json.dumps({"type": name, "event_id": self._new("event"), **values}))

    def _new(self, kind: str) -> str:
        return f"{kind}_{next(self._ids)}"

    async def _receive(self, samples: NDArray[np.int16]) -> None:
        self._waiting = np.concatenate([self._waiting, samples])
        size = self._rate_hz // 50
        while self._waiting.size >= size:
            block, self._waiting = self._waiting[:size], self._waiting[size:]
            self._blocks += 1
            is_loud = float(np.sqrt(np.mean(block.astype(np.float64) ** 2))) > LOUD
            self._loud_blocks = self._loud_blocks + 1 if is_loud else 0
            self._quiet_blocks = 0 if is_loud else self._quiet_blocks + 1
            await self._decide()

    async def _decide(self) -> None:
        if not self._is_speaking and self._loud_blocks == SPEECH_BLOCKS:
            self._is_speaking = True
            self._turn_item = self._new("item")
            start_ms = (self._blocks - SPEECH_BLOCKS) * 20
            await self.send(
                "input_audio_buffer.speech_started",
                audio_start_ms=start_ms,
                item_id=self._turn_item,
            )
            await self._stop_answering()
        elif self._is_speaking and self._quiet_blocks == PAUSE_BLOCKS:
            self._is_speaking = False
            await self._end_turn()

    async def _end_turn(self) -> None:
        self._turns += 1
        item_id = self._turn_item
        end_ms = self._blocks * 20
        await self.send("input_audio_buffer.speech_stopped", audio_end_ms=end_ms, item_id=item_id)
        await self.send("input_audio_buffer.committed", item_id=item_id)
        item = {"id": item_id, "type": "message", "role": "user", "content": []}
        await self.send("conversation.item.added", item=item)
        self._begin_answer()
        if self.script.transcribes:
            kind = "conversation.item.input_audio_transcription.completed"
            words = f"Turn {self._turns}"
            await self.send(kind, item_id=item_id, content_index=0, transcript=words)

    def _begin_answer(self) -> None:
        self._answering = asyncio.get_running_loop().create_task(self._answer())

    async def _stop_answering(self, *, reports: bool = True) -> None:
        if self._answering is None:
            return
        is_under_way = not self._answering.done()
        self._answering.cancel()
        await asyncio.gather(self._answering, return_exceptions=True)
        self._answering = None
        if is_under_way and reports and self._response_id:
            await self._finish("cancelled")

    async def _finish(self, status: str, **details: Any) -> None:
        response = {"id": self._response_id, "status": status, **details}
        await self.send("response.done", response=response)
        self._response_id = ""

    async def _answer(self) -> None:
        self._response_id = self._new("resp")
        response = {"id": self._response_id, "status": "in_progress"}
        await self.send("response.created", response=response)
        self.answers += 1
        if self.script.fails:
            error = {"type": "server_error", "code": "no_luck", "message": "secret internals"}
            await self._finish("failed", status_details={"type": "failed", "error": error})
        elif self.script.calls and self.answers == 1:
            await self._ask_for_tools()
            await self._finish("completed")
        else:
            await self._speak()
            await self._finish("completed")

    async def _ask_for_tools(self) -> None:
        for index, (name, arguments) in enumerate(self.script.calls):
            call_id = self._new("call")
            item = {"id": self._new("item"), "type": "function_call", "status": "completed"}
            item |= {"name": name, "call_id": call_id, "arguments": arguments}
            done = {"call_id": call_id, "name": name, "arguments": arguments}
            await self.send("response.function_call_arguments.done", **done)
            await self.send("response.output_item.done", output_index=index, item=item)

    async def _speak(self) -> None:
        hz, length_s = self.script.answers[(self.answers - 1) % len(self.script.answers)]
        item_id = self._new("item")
        item = {"id": item_id, "type": "message", "role": "assistant", "content": []}
        at = {"response_id": self._response_id, "item_id": item_id, "content_index": 0}
        await self.send("response.output_item.added", item=item)
        audio = tone(hz, length_s)
        size = round(PIECE_S * RATE_HZ)
        words = ["Answer ", "number ", f"{self.answers} "]
        delta = "response.output_audio_transcript.delta"
        while self.script.words == "first" and words:
            await self.send(delta, delta=words.pop(0), **at)
        whole = f"Answer number {self.answers}"
        done = {"transcript": whole, **at}
        if self.script.words == "first":
            await self.send("response.output_audio_transcript.done", **done)
        for begin in range(0, max(audio.size, size), size):
            if words and self.script.words == "apart" and begin % (5 * size) == 0:
                await self.send(delta, delta=words.pop(0), **at)
            piece = base64.b64encode(audio[begin : begin + size].tobytes()).decode()
            await self.send("response.output_audio.delta", delta=piece, **at)
        if self.script.words != "first":
            await self.send("response.output_audio_transcript.done", **done)
        await self.send("response.output_item.done", item={**item, "status": "completed"})


class MemoryLine:
    """A connection within this process; see `gradio_webrtc._realtime.line.Line`.

    Attributes:
        service: The service's side.
        is_over: True once its client has left it.
    """

    def __init__(self, script: Script) -> None:
        self._events: asyncio.Queue[str | Exception] = asyncio.Queue()
        self.service = ServiceSide(self._events.put, script)
        self.is_over = False

    async def send(self, text: str) -> None:
        await self.service.take(json.loads(text))

    async def receive(self) -> str:
        event = await self._events.get()
        if isinstance(event, Exception):
            raise event
        return event

    def put(self, event: Event | str) -> None:
        """Sends an event, or any text, in the service's place."""
        self._events.put_nowait(event if isinstance(event, str) else json.dumps(event))

    def fail(self, error: Exception | None = None) -> None:
        """Ends the connection, behind what is on its way."""
        self._events.put_nowait(error or ServiceLost("the connection broke off"))


@dataclass
class MemoryService:
    """A service within this process, for handlers on any clock.

    Attributes:
        script: Its behaviour.
        failures: Raised by the next connections, one each.
        lines: The connections so far.
        requests: The address and the headers of each.
        is_silent: True to send no first event.
    """

    script: Script = field(default_factory=Script)
    failures: list[Exception] = field(default_factory=list)
    lines: list[MemoryLine] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    is_silent: bool = False

    @property
    def last(self) -> ServiceSide:
        """The service's side of the last connection."""
        return self.lines[-1].service

    @asynccontextmanager
    async def open(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[MemoryLine]:
        """Opens a connection; see `gradio_webrtc._realtime.line.OpenLine`."""
        self.requests.append((url, dict(headers)))
        if self.failures:
            raise self.failures.pop(0)
        line = MemoryLine(self.script)
        self.lines.append(line)
        if not self.is_silent:
            await line.service.begin()
        try:
            yield line
        finally:
            line.is_over = True
            await line.service.end()


def handler_of(
    service: MemoryService, kind: type[RealtimeHandler] = RealtimeHandler, **options: Any
) -> Any:
    """A template whose sessions connect to a service within this process."""
    handler: Any = kind("ws://service.example/v1/realtime", "key", **options)
    use_service(handler, service)
    return handler


def use_service(handler: Any, service: MemoryService, **others: Any) -> None:
    """Has a handler connect to a service within this process, with other options as well."""
    options = handler._rtc_options  # noqa: SLF001 - there is no public place for it
    handler._rtc_options = dataclasses.replace(  # noqa: SLF001 - as above
        options, open_line=service.open, **others
    )


async def hold(socket: ServerConnection, script: Script, sides: list[ServiceSide]) -> None:
    """Serves a client of a WebSocket until it leaves."""
    side = ServiceSide(socket.send, script)
    sides.append(side)
    with suppress(ConnectionClosed):
        await side.begin()
        try:
            async for text in socket:
                await side.take(json.loads(text))
        finally:
            await side.end()


@asynccontextmanager
async def serving(
    script: Script | None = None, **options: Any
) -> AsyncIterator[tuple[str, list[ServiceSide]]]:
    """Serves on the loopback address.

    Args:
        script: The behaviour.
        options: Those of ``websockets.asyncio.server.serve``.

    Yields:
        The address, ``ws://127.0.0.1:…``, and the sides of all connections so far.
    """
    sides: list[ServiceSide] = []

    async def serve_one(socket: ServerConnection) -> None:
        await hold(socket, script or Script(), sides)

    async with serve(serve_one, "127.0.0.1", 0, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/realtime", sides


def start_service() -> str:
    """Serves in a thread of this process until it ends, under the names of the beta.

    Returns:
        The address, ``ws://127.0.0.1:…``.
    """
    addresses: list[str] = []
    is_up = threading.Event()

    async def main() -> None:
        async with serving(Script(is_beta=True, words="first")) as (address, _):
            addresses.append(address)
            is_up.set()
            await asyncio.Event().wait()

    threading.Thread(target=asyncio.run, args=(main(),), daemon=True).start()
    is_up.wait()
    return addresses[0]
