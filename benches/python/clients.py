"""Real clients over aiortc, cheap enough that one core of them keeps a server's core busy."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import struct
import sys
import uuid
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import av
import numpy as np
import peers
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.rtcrtpparameters import RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket
from report import ROOT

from support.signals import speech  # isort: skip  # report makes it importable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from figures import Figures
    from numpy.typing import NDArray

CALL_RATE_HZ: Final = 48_000
FRAME_SAMPLES: Final = 960
FRAME_S: Final = 0.02
TIME_BASE: Final = Fraction(1, CALL_RATE_HZ)
SERVER_CORE: Final = "0"
CLIENTS_CORE: Final = 1
BEFORE: Final = "before"
"""Another checkout of this package, built, which `BENCH_BEFORE` is the path of."""

SHOWN: Final = {
    "aiortc_our_opus": "aiortc, our Opus settings",
    "pipecat_mute": "pipecat, no output",
    BEFORE: "the other checkout",
}
"""What a stack is called in figures, if not by its own name."""

CONNECT_LIMIT_S: Final = 60.0
"""Other work on the machine may take the core away for long."""


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


class Player(NamedTuple):
    """Speech of a user, over and over, in real time.

    Attributes:
        packets: Opus, 20 ms each.
        begin: The first of them, so that not all users speak at once.
    """

    packets: list[bytes]
    begin: int = 0


class Quiet(MediaStreamTrack):
    """Stands for a microphone while the connection is made; `Client` sends the packets itself."""

    kind = "audio"

    async def recv(self) -> Any:
        """Never gives anything."""
        await asyncio.Event().wait()


class Client:
    """One client: aiortc makes and keeps the connection, the packets of audio go past it.

    aiortc takes longer over a packet that it sends than a server over one that it receives. Sixty
    clients would be the limit of their own core, so they encrypt and send RTP packets that were
    made before, with the headers that aiortc gives them, and count what comes without opening it.

    Attributes:
        received: The time of each packet of audio (the loop's), and its bytes on the wire.
        sent: The number of packets of audio sent.
    """

    def __init__(self, player: Player) -> None:
        self.webrtc_id = str(uuid.uuid4())
        self.received: list[tuple[float, int]] = []
        self.sent = 0
        self._player = player
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._pc.addTrack(Quiet())
        channel = self._pc.createDataChannel("text")
        channel.on("open", lambda: channel.send("handshake"))
        self._connected = asyncio.Event()
        self._pc.on("connectionstatechange", self._on_state)
        self._timer: asyncio.TimerHandle | None = None

    async def call(self, server: Server) -> None:
        """Returns when the connection stands and audio goes over it."""
        await self._pc.setLocalDescription(await self._pc.createOffer())
        answer = await server.ask(
            "offer",
            body={
                "type": "offer",
                "sdp": self._pc.localDescription.sdp,
                "webrtc_id": self.webrtc_id,
            },
        )
        await self._pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        async with asyncio.timeout(CONNECT_LIMIT_S):
            await self._connected.wait()
        self._speak()

    @property
    def is_lost(self) -> bool:
        """True if the connection was given up, since the server did not answer for long."""
        return bool(self._socket.is_closing())

    async def hang_up(self) -> None:
        """Leaves."""
        if self._timer is not None:
            self._timer.cancel()
        await self._pc.close()

    def _on_state(self) -> None:
        if self._pc.connectionState == "connected":
            self._connected.set()

    def _speak(self) -> None:
        """Takes the connection's keys and socket, and begins to send and to receive."""
        (transceiver,) = self._pc.getTransceivers()
        dtls: Any = transceiver.sender.transport
        pair = dtls.transport._connection._nominated[1]
        self._protect = dtls._tx_srtp.protect
        self._socket, self._address = pair.protocol.transport, pair.remote_addr
        self._header = _header(transceiver)
        # Each side chooses the pair it sends on by itself: the answer may come to another socket.
        for protocol in dtls.transport._connection._protocols:
            theirs = protocol.datagram_received
            protocol.datagram_received = functools.partial(self._receive, theirs)
        loop = asyncio.get_running_loop()
        self._origin_s = loop.time()
        self._tick()

    def _receive(self, theirs: Callable[[bytes, object], None], data: bytes, addr: object) -> None:
        if _is_audio(data):
            self.received.append((asyncio.get_running_loop().time(), len(data)))
        else:
            theirs(data, addr)

    def _tick(self) -> None:
        if self.is_lost:
            # The server was too busy to answer for long, and the connection is given up.
            return
        packets, begin = self._player
        struct.pack_into("!HL", self._header, 2, self.sent % 65_536, self.sent * FRAME_SAMPLES)
        payload = packets[(begin + self.sent) % len(packets)]
        self._socket.sendto(self._protect(bytes(self._header) + payload), self._address)
        self.sent += 1
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._origin_s + self.sent * FRAME_S, self._tick)


def _header(transceiver: Any) -> bytearray:
    """The RTP header that aiortc would write, with its extensions."""
    extensions = HeaderExtensionsMap()
    extensions.configure(RTCRtpParameters(headerExtensions=list(transceiver._headerExtensions)))
    packet = RtpPacket(payload_type=transceiver._codecs[0].payloadType, sequence_number=0)
    packet.ssrc = transceiver.sender._ssrc
    packet.extensions.mid = transceiver.mid
    return bytearray(packet.serialize(extensions))


def _is_audio(data: bytes) -> bool:
    """RTP, neither RTCP (RFC 5761 section 4) nor STUN, nor DTLS (RFC 7983)."""
    return 127 < data[0] < 192 and not 64 <= data[1] & 0x7F <= 95  # noqa: PLR2004  # as in the RFCs


class Server:
    """A process of `call_server.py`; ask it one thing at a time.

    Args:
        process: Its process.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    @classmethod
    async def start(cls, stack: str, scenario: str, *options: str) -> Server:
        """Starts a stack's server and returns when it is ready for sessions.

        Args:
            stack: Its name.
            scenario: The one that its handlers play.
            options: Those of `call_server.py`.
        """
        process = await asyncio.create_subprocess_exec(
            str(interpreter(stack)),
            str(_root(stack) / "benches" / "peers" / "call_server.py"),
            "ours" if stack == BEFORE else stack,
            scenario,
            SERVER_CORE,
            *options,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**peers.environment(), "PYTHONPATH": _python_path(stack)},
            limit=1 << 20,
        )
        server = cls(process)
        await server._read()
        return server

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    async def ask(self, op: str, **arguments: object) -> dict[str, Any]:
        """Sends a request to the server; returns its answer."""
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


OWN: Final = {
    "fastrtc": (peers.FASTRTC, peers.SILERO_OLD),
    "gradio_webrtc": (peers.GRADIO_WEBRTC, peers.SILERO_OLD),
    "pipecat": (peers.PIPECAT,),
    "pipecat_mute": (peers.PIPECAT,),
}
"""The stacks with an environment of their own, which comes first, and what else they need."""


def shown(values: dict[str, float]) -> dict[str, float]:
    """The values of stacks, by the names that figures show."""
    return {SHOWN.get(stack, stack): value for stack, value in values.items()}


def interpreter(stack: str) -> Path | str:
    """The interpreter that runs a stack's server."""
    environment = OWN.get(stack)
    return environment[0].python if environment else sys.executable


def missing(stack: str) -> str | None:
    """A line for the reader when a stack is not installed."""
    return peers.absent(*OWN[stack]) if stack in OWN else None


def installed(stacks: Iterable[str], figures: Figures) -> list[str]:
    """Those of the stacks that can be measured; notes the others."""
    lines = {stack: missing(stack) for stack in stacks}
    for stack, line in lines.items():
        if line is not None:
            figures.note(f"{SHOWN.get(stack, stack)}: {line}")
    return [stack for stack, line in lines.items() if line is None]


def pin() -> None:
    """Keeps this process on the clients' core, where there is more than one."""
    if (os.cpu_count() or 1) > 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CLIENTS_CORE})


@contextmanager
def precedence(*servers: Server) -> Iterator[bool]:
    """Has this process and the servers run before all others, where it may: gives True then.

    Delays of milliseconds are measured, and one process that compiles something holds up the others
    by a tenth of a second.
    """
    has_it = False
    try:
        first = os.sched_param(os.sched_get_priority_min(os.SCHED_RR))
        for pid in (0, *(server.pid for server in servers)):
            os.sched_setscheduler(pid, os.SCHED_RR, first)
        has_it = True
    except (AttributeError, OSError):
        pass
    try:
        yield has_it
    finally:
        if has_it:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _root(stack: str) -> Path:
    return Path(os.environ["BENCH_BEFORE"]) if stack == BEFORE else ROOT


def _python_path(stack: str) -> str:
    own = stack.startswith(("ours", "aiortc", BEFORE))
    return str(_root(stack) / "python") if own else ""
