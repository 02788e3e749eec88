"""Real callers over aiortc, cheap enough that one core of them keeps a server's core busy."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import av
import numpy as np
import peers
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from report import ROOT

from support.signals import speech  # isort: skip  # report makes it importable

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CALL_RATE_HZ: Final = 48_000
FRAME_SAMPLES: Final = 960
FRAME_S: Final = 0.02
TIME_BASE: Final = Fraction(1, CALL_RATE_HZ)
SERVER_CORE: Final = "0"
CALLERS_CORE: Final = 1


def encode(samples: NDArray[np.int16]) -> list[bytes]:
    """Opus packets of 20 ms, mono, from int16 ``(n,)`` at 48 kHz."""
    codec: Any = av.CodecContext.create("libopus", "w")
    codec.format, codec.layout, codec.sample_rate = "s16", "mono", CALL_RATE_HZ
    codec.bit_rate, codec.options = 32_000, {"application": "voip"}
    packets = []
    for begin in range(0, samples.size - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        block = samples[begin : begin + FRAME_SAMPLES].reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = CALL_RATE_HZ, begin, TIME_BASE
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets


def recording(name: str = "austen_0880_16k") -> NDArray[np.int16]:
    """Real speech at 48 kHz, int16 ``(n,)``."""
    rate_hz, samples = speech(name)
    return np.interp(
        np.arange(samples.size * CALL_RATE_HZ // rate_hz) * rate_hz / CALL_RATE_HZ,
        np.arange(samples.size),
        samples,
    ).astype(np.int16)


def seconds_of_silence(seconds: float) -> NDArray[np.int16]:
    """int16 zeros at 48 kHz."""
    return np.zeros(round(seconds * CALL_RATE_HZ), np.int16)


class Player(MediaStreamTrack):
    """Sends packets that were encoded before, over and over, in real time.

    Args:
        packets: 20 ms each.
        begin: Which comes first, so that callers do not all speak at once.
    """

    kind = "audio"

    def __init__(self, packets: list[bytes], begin: int = 0) -> None:
        super().__init__()
        self._packets = packets
        self._begin = begin
        self._origin_s: float | None = None
        self.sent = 0

    async def recv(self) -> Any:
        """The next packet at its time."""
        loop = asyncio.get_running_loop()
        if self._origin_s is None:
            self._origin_s = loop.time()
        await asyncio.sleep(self._origin_s + self.sent * FRAME_S - loop.time())
        packet = av.Packet(self._packets[(self._begin + self.sent) % len(self._packets)])
        packet.pts, packet.time_base = self.sent * FRAME_SAMPLES, TIME_BASE
        self.sent += 1
        return packet


class Ear:
    """Stands where aiortc's receiver would decode: notes when each packet came, and its size."""

    def __init__(self) -> None:
        self.arrivals: list[tuple[float, int]] = []

    async def __call__(self, packet: Any, arrival_time_ms: int) -> None:  # noqa: ARG002
        self.arrivals.append((asyncio.get_running_loop().time(), len(packet.payload)))


class Caller:
    """One caller.

    Attributes:
        arrivals: When each packet of sound came (the loop's time) and how many bytes it had.
    """

    def __init__(self, player: Player) -> None:
        self.webrtc_id = str(uuid.uuid4())
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._player = player
        self._pc.addTrack(player)
        channel = self._pc.createDataChannel("text")
        channel.on("open", lambda: channel.send("handshake"))
        self._ear = Ear()
        self.arrivals = self._ear.arrivals
        self._connected = asyncio.Event()
        self._pc.on("connectionstatechange", self._on_state)

    async def call(self, server: Server) -> None:
        """Returns when the connection stands."""
        await self._pc.setLocalDescription(await self._pc.createOffer())
        answer = await server.ask(
            "offer",
            body={
                "type": "offer",
                "sdp": self._pc.localDescription.sdp,
                "webrtc_id": self.webrtc_id,
            },
        )
        receiver: RTCRtpReceiver = self._pc.getReceivers()[0]
        # The caller's side is the load, not what is measured: it need not decode.
        receiver._handle_rtp_packet = self._ear
        await self._pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        async with asyncio.timeout(20):
            await self._connected.wait()

    async def hang_up(self) -> None:
        """Leaves."""
        await self._pc.close()

    def _on_state(self) -> None:
        if self._pc.connectionState == "connected":
            self._connected.set()


class Server:
    """A process of `call_server.py`; ask it one thing at a time.

    Args:
        process: Its process.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    @classmethod
    async def start(cls, stack: str, scenario: str, core: str = SERVER_CORE) -> Server:
        """Starts a stack's server and returns when it is ready for calls."""
        process = await asyncio.create_subprocess_exec(
            str(interpreter(stack)),
            str(peers.SCRIPTS / "call_server.py"),
            stack,
            scenario,
            core,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**peers.environment(), "PYTHONPATH": _python_path(stack)},
            limit=1 << 20,
        )
        server = cls(process)
        await server._read()
        return server

    async def ask(self, op: str, **arguments: object) -> dict[str, Any]:
        """What the server says to that."""
        async with self._turn:
            if self._process.stdin is None:
                raise RuntimeError("the server has no standard input")
            self._process.stdin.write((json.dumps({"op": op, **arguments}) + "\n").encode())
            return await self._read()

    async def stop(self) -> None:
        """Ends the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

    async def _read(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise RuntimeError("the server has no standard output")
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server ended with {await self._process.wait()}")
        result: dict[str, Any] = json.loads(line)
        return result


def interpreter(stack: str) -> Path | str:
    """What runs a stack's server."""
    own = {"fastrtc": peers.FASTRTC, "gradio_webrtc": peers.GRADIO_WEBRTC}
    return own[stack].python if stack in own else sys.executable


def missing(stack: str) -> str | None:
    """A line for the reader when a stack is not installed."""
    own = {"fastrtc": peers.FASTRTC, "gradio_webrtc": peers.GRADIO_WEBRTC}
    return peers.absent(own[stack], peers.SILERO_OLD) if stack in own else None


def pin() -> None:
    """Keeps this process on the callers' core, where there is more than one."""
    if (os.cpu_count() or 1) > 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CALLERS_CORE})


def _python_path(stack: str) -> str:
    return str(ROOT / "python") if stack in ("ours", "aiortc") else ""
