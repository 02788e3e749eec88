"""Clients that are neither browsers nor aiortc: GStreamer's webrtcbin, and FFmpeg's WHIP muxer.

GStreamer's own elements of WHIP and WHEP are in no package of Debian 12, whose program whip-client
is linked with two versions of libsoup that refuse each other.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fastapi import FastAPI
from support.posting import browser
from support.serving import SessionServer
from support.signals import DATA, chirp, pieces_found, pitch_hz, speech_at_48k, tone
from support.whip import SDP, served

from gradio_webrtc import AdditionalOutputs, ReplyOnPause, StreamHandler
from gradio_webrtc.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from numpy.typing import NDArray

SYSTEM_PYTHON = "/usr/bin/python3"
"""The interpreter that the distribution's bindings of GStreamer belong to."""

CLIENT = Path(__file__).parents[1] / "support" / "gstreamer_client.py"
PUBLISHER = CLIENT.with_name("ffmpeg_publisher.py")
TOKEN = "a-token-of-the-test-alone"  # noqa: S105 - it opens nothing
TONE_HZ = 600
RATE_HZ = 48_000
SECONDS = 3.0


class Greeter(StreamHandler):
    """Sends hello as text, and gives back the latest of what it receives."""

    def __init__(self) -> None:
        super().__init__()
        self.last: tuple[int, NDArray[np.int16]] | None = None

    def start_up(self) -> None:
        self.send_message_sync({"type": "log", "data": "hello"})

    def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        self.last = frame

    def emit(self) -> tuple[int, NDArray[np.int16]] | None:
        frame, self.last = self.last, None
        return frame

    def copy(self) -> Greeter:
        return Greeter()


async def run_session(
    negotiate: Callable[[str], Awaitable[list[dict[str, Any]]]],
    *options: str,
    seconds: float = SECONDS,
) -> list[dict[str, Any]]:
    """One session; every message that the client wrote, its audio last."""
    process = await asyncio.create_subprocess_exec(
        SYSTEM_PYTHON,
        str(CLIENT),
        str(seconds),
        *options,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    written: list[dict[str, Any]] = []
    try:
        async for line in process.stdout:
            written.append(json.loads(line))
            if "offer" in written[-1]:
                for answer in await negotiate(written[-1]["offer"]):
                    process.stdin.write(json.dumps(answer).encode() + b"\n")
        return written
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def negotiate(manager: SessionServer, sdp: str) -> list[dict[str, Any]]:
    """The server's answer, in the client's form."""
    name = "gstreamer"
    answer: Any = await manager.handle_request({"type": "offer", "sdp": sdp, "webrtc_id": name})
    assert "sdp" in answer, answer
    lines: list[dict[str, Any]] = [{"answer": answer["sdp"]}]
    if answer.get("candidates_follow"):
        body = {"type": "candidates", "webrtc_id": name, "secret": answer["secret"]}
        later: Any = await manager.handle_request(body)
        lines += [
            {"candidate": each["candidate"], "line": each["sdpMLineIndex"]}
            for each in later["candidates"]
        ]
    return lines


async def test_gstreamer_holds_an_audio_session() -> None:
    manager = SessionServer()
    manager.serve(Greeter().copy)
    written = await run_session(partial(negotiate, manager))
    await manager.close()
    messages = [json.loads(each["message"]) for each in written if "message" in each]
    assert {"type": "log", "data": "hello"} in messages
    audio = np.frombuffer(base64.b64decode(written[-1]["audio"]), np.int16)
    assert audio.size / RATE_HZ == pytest.approx(SECONDS, abs=0.2)
    last_second = audio[-RATE_HZ:]
    assert np.abs(last_second.astype(int)).max() > 3000
    assert pitch_hz(last_second, RATE_HZ) == pytest.approx(TONE_HZ, abs=8)


async def test_gstreamer_plays_a_stream_over_whep_from_its_first_sample() -> None:
    sent = chirp(1.0)

    def play() -> Iterator[tuple[int, NDArray[np.int16]]]:
        yield RATE_HZ, sent.reshape(1, -1)
        yield RATE_HZ, tone(10.0, TONE_HZ).reshape(1, -1)

    app, stream = FastAPI(), Stream(play, modality="audio", mode="receive")
    stream.mount(app)
    async with browser(app) as http:
        locations: list[str] = []

        async def post(sdp: str) -> list[dict[str, Any]]:
            reply = await http.post("/whep", content=sdp, headers=SDP)
            assert reply.status_code == 201, reply.text
            locations.append(reply.headers["location"])
            return [{"answer": reply.text}]

        written = await run_session(post, "recvonly", seconds=1.5)
        assert (await http.delete(locations[0])).status_code == 200
        await stream.webrtc_component.signaling.sessions.wait_idle()
    audio = np.frombuffer(base64.b64decode(written[-1]["audio"]), np.int16)
    places = pieces_found(audio, sent)
    assert min(places) >= 0
    assert places == sorted(places)


async def test_ffmpeg_publishes_speech_over_whip(tmp_path: Path) -> None:
    def note(audio: tuple[int, NDArray[np.int16]]) -> Iterator[AdditionalOutputs]:
        yield AdditionalOutputs(audio[1].reshape(-1))

    app = FastAPI()
    stream = Stream(ReplyOnPause(note), modality="audio", mode="send", whip_token=TOKEN)
    stream.mount(app, "/talk")
    name = "asterisk_hello_world_16k"
    async with served(app) as url:
        file = str(DATA / f"{name}.flac")
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(PUBLISHER), f"{url}/talk/whip", file, TOKEN, str(tmp_path)
        )
        while not stream.handlers:  # noqa: ASYNC110 - the server reports no session
            await asyncio.sleep(0.05)
        (webrtc_id,) = stream.handlers
        turn = (await anext(stream.output_stream(webrtc_id))).args[0]
        assert await process.wait() == 0
        assert stream.handlers == {}, "it has deleted its session"
        await stream.webrtc_component.signaling.sessions.wait_idle()
    places = [each for each in pieces_found(turn, speech_at_48k(name)) if each >= 0]
    assert len(places) >= 8
    assert places == sorted(places)
