"""A client that is neither a browser nor aiortc: GStreamer's webrtcbin holds an audio session."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.serving import SessionServer
from support.signals import pitch_hz

from gradio_webrtc import StreamHandler

if TYPE_CHECKING:
    from numpy.typing import NDArray

SYSTEM_PYTHON = "/usr/bin/python3"
"""The interpreter that the distribution's bindings of GStreamer belong to."""

CLIENT = Path(__file__).parents[1] / "support" / "gstreamer_client.py"
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


async def run_session(manager: SessionServer) -> list[dict[str, Any]]:
    """One session; every message that the client wrote, its audio last."""
    process = await asyncio.create_subprocess_exec(
        SYSTEM_PYTHON,
        str(CLIENT),
        str(SECONDS),
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
                for answer in await negotiate(manager, written[-1]["offer"]):
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
    written = await run_session(manager)
    await manager.close()
    messages = [json.loads(each["message"]) for each in written if "message" in each]
    assert {"type": "log", "data": "hello"} in messages
    audio = np.frombuffer(base64.b64decode(written[-1]["audio"]), np.int16)
    assert audio.size / RATE_HZ == pytest.approx(SECONDS, abs=0.2)
    last_second = audio[-RATE_HZ:]
    assert np.abs(last_second.astype(int)).max() > 3000
    assert pitch_hz(last_second, RATE_HZ) == pytest.approx(TONE_HZ, abs=8)
