"""Video through a function and back: CPU, delay, frames a second, bit rate and PSNR."""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import uuid
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import clients
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import VideoFrame
from clients import Server
from figures import Figures

from support.frames import number_of, numbered  # isort: skip  # clients makes it importable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from support.udp_relay import UdpRelay

STACKS: Final = ("ours", "fastrtc", "aiortc")
SCENARIOS: Final = {"alone": 0, "beside two busy processes": 2}
"""The number of processes that spin on the server's core."""

WIDTH, HEIGHT, FPS = 640, 480, 30
CLOCK_HZ: Final = 90_000
FRAMES: Final = 120
"""Of the scene, which begins again after that: four seconds, and less than a number can have."""

LOOKS_S: Final = (5.0, 20.0)
"""The times at which the PSNR is taken, over one second around each."""

SETTLE_S: Final = 6.0
"""Before CPU, delay, frames and bits are counted, up to the end."""


class Sighting(NamedTuple):
    """One frame that came back.

    Attributes:
        at_s: Since the first frame was taken.
        delay_s: Since it was taken itself.
        psnr: Of its brightness, in dB; ``None`` where nobody measured it.
    """

    at_s: float
    delay_s: float
    psnr: float | None


def scene() -> list[VideoFrame]:
    """A pattern of waves and grain that moves before the camera, with a number on each frame."""
    rows, columns = np.mgrid[0:HEIGHT, 0 : 2 * WIDTH]
    waves = 128 + 60 * np.sin(columns / 17) + 40 * np.cos(rows / 11 + columns / 40)
    coloured = np.stack([waves, np.roll(waves, 50, 1), 255 - waves], 2)
    grain = np.random.default_rng(1).integers(-12, 12, coloured.shape)
    wide = np.clip(coloured + grain, 0, 255).astype(np.uint8)
    return [_framed(wide, number) for number in range(FRAMES)]


def _framed(wide: NDArray[np.uint8], number: int) -> VideoFrame:
    # There and back again, so that the end joins the beginning.
    left = 3 * min(number, FRAMES - number)
    pixels = wide[:, left : left + WIDTH].copy()
    pixels[: HEIGHT // 4] = numbered(number, WIDTH, HEIGHT)[: HEIGHT // 4]
    return VideoFrame.from_ndarray(pixels, format="bgr24").reformat(format="yuv420p")


class Camera(MediaStreamTrack):
    """Takes the frames of a scene in real time.

    Args:
        frames: The scene.

    Attributes:
        taken_s: The time of each frame, by the loop's clock.
    """

    kind = "video"

    def __init__(self, frames: list[VideoFrame]) -> None:
        super().__init__()
        self.taken_s: list[float] = []
        self._frames = frames

    async def recv(self) -> VideoFrame:
        """Returns the next frame when it is due."""
        loop = asyncio.get_running_loop()
        number = len(self.taken_s)
        if number:
            await asyncio.sleep(self.taken_s[0] + number / FPS - loop.time())
        self.taken_s.append(loop.time())
        pixels = self._frames[number % FRAMES].to_ndarray()
        frame = VideoFrame.from_ndarray(pixels, format="yuv420p")
        frame.pts, frame.time_base = CLOCK_HZ // FPS * number, Fraction(1, CLOCK_HZ)
        return frame


class Viewer:
    """A client with a camera, that looks at what comes back.

    Args:
        frames: The scene.

    Attributes:
        looks: The frames that came back.
    """

    def __init__(self, frames: list[VideoFrame]) -> None:
        self.looks: list[Sighting] = []
        self._brightness = [frame.to_ndarray()[:HEIGHT].astype(np.int16) for frame in frames]
        self._camera = Camera(frames)
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._pc.addTrack(self._camera)
        channel = self._pc.createDataChannel("text")
        channel.on("open", lambda: channel.send("handshake"))
        self._pc.on("track", self._on_track)
        self._watching: asyncio.Task[None] | None = None

    async def call(self, server: Server, relay: UdpRelay | None = None) -> None:
        """Offers a session, through a relay if there is one, and returns when it is answered."""
        await self._pc.setLocalDescription(await self._pc.createOffer())
        sdp = self._pc.localDescription.sdp
        body = {
            "type": "offer",
            "sdp": sdp if relay is None else relay.rewrite_offer(sdp),
            "webrtc_id": str(uuid.uuid4()),
        }
        sdp = (await server.ask("offer", body=body))["sdp"]
        sdp = sdp if relay is None else relay.rewrite_answer(sdp)
        await self._pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    def is_looked_at(self, at_s: float) -> bool:
        """True for the times at which the PSNR is taken, in seconds after the first frame."""
        return any(abs(at_s - look_s) <= 1 / 2 for look_s in LOOKS_S)

    def now_s(self) -> float:
        """The time since the first frame was taken."""
        return asyncio.get_running_loop().time() - self._camera.taken_s[0]

    async def received_bytes(self) -> int:
        """The bytes of RTP that came so far, with their encryption."""
        report = await self._pc.getReceivers()[0].getStats()
        return sum(each.bytesReceived for each in report.values() if each.type == "transport")

    async def hang_up(self) -> None:
        """Leaves."""
        if self._watching is not None:
            self._watching.cancel()
        await self._pc.close()

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._watching = asyncio.get_running_loop().create_task(self._watch(track))

    async def _watch(self, track: MediaStreamTrack) -> None:
        loop = asyncio.get_running_loop()
        while True:
            frame: Any = await track.recv()
            now_s, taken = loop.time(), self._camera.taken_s
            shown = number_of(frame.to_ndarray(format="bgr24"))
            last = len(taken) - 1
            # The newest one with that number: nothing is four seconds late and of any use.
            number = last - (last - shown) % FRAMES
            if number < 0:
                continue
            at_s = now_s - taken[0]
            psnr = self._psnr(frame, number) if self.is_looked_at(at_s) else None
            self.looks.append(Sighting(at_s, now_s - taken[number], psnr))

    def _psnr(self, frame: VideoFrame, number: int) -> float:
        shown = frame.reformat(width=WIDTH, height=HEIGHT, format="yuv420p").to_ndarray()[:HEIGHT]
        error = self._brightness[number % FRAMES] - shown
        return float(10 * np.log10(255**2 / max(1e-3, np.mean(np.square(error, dtype=float)))))


async def measure(stack: str, frames: list[VideoFrame], busy: int) -> dict[str, float]:
    """One session of a stack: its figures by name."""
    server = await Server.start(stack, "video", "unwatched")
    viewer = Viewer(frames)
    await viewer.call(server)
    with_others = [_spin() for _ in range(busy)]
    try:
        await asyncio.sleep(SETTLE_S)
        await server.ask("measure")
        received, before = await viewer.received_bytes(), len(viewer.looks)
        await asyncio.sleep(max(LOOKS_S) + 1 - SETTLE_S)
        seen = await server.ask("measure")
        received = await viewer.received_bytes() - received
    finally:
        for process in with_others:
            process.kill()
            process.wait()
    looks = viewer.looks[before:]
    found = {
        "CPU": 1000 * seen["cpu_s"] / seen["seconds"],
        "frames a second": len(looks) / seen["seconds"],
        "bit rate": 8 * received / seen["seconds"] / 1000,
        **dict(_delays(looks)),
        **dict(_qualities(viewer.looks)),
    }
    await server.stop()
    await viewer.hang_up()
    return found


def _delays(looks: list[Sighting]) -> Iterator[tuple[str, float]]:
    delays = sorted(1000 * look.delay_s for look in looks)
    if delays:
        yield "delay, p50", statistics.median(delays)
        yield "delay, p95", delays[int(0.95 * len(delays))]


def _qualities(looks: list[Sighting]) -> Iterator[tuple[str, float]]:
    for look_s in LOOKS_S:
        near = [look.psnr for look in looks if look.psnr and abs(look.at_s - look_s) <= 1 / 2]
        if near:
            yield f"PSNR after {look_s:g} s", statistics.fmean(near)


def _spin() -> subprocess.Popen[bytes]:
    """A process that has always something to do, on the server's core."""
    code = f"import os; os.sched_setaffinity(0, {{{clients.SERVER_CORE}}})\nwhile True: pass"
    command = "while True: pass" if not hasattr(os, "sched_setaffinity") else code
    return subprocess.Popen([sys.executable, "-c", command])  # noqa: S603  # the line above


UNITS: Final = {
    "CPU": "ms per s",
    "delay, p50": "ms",
    "delay, p95": "ms",
    "frames a second": "frames",
    "bit rate": "kbit/s",
    "PSNR after 5 s": "dB",
    "PSNR after 20 s": "dB",
}
HIGHER: Final = ("frames a second", "bit rate", "PSNR after 5 s", "PSNR after 20 s")


async def main() -> None:
    """Measures the scenarios that were asked for, the stacks in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", choices=tuple(SCENARIOS), action="append")
    figures = Figures("video", "Video through a function", parser=parser)
    clients.pin()
    frames = scene()
    present = clients.installed(STACKS, figures)
    for scenario in figures.asked.scenario or SCENARIOS:
        for _ in range(figures.runs):
            found = {stack: await measure(stack, frames, SCENARIOS[scenario]) for stack in present}
            for name, unit in UNITS.items():
                values = {stack: each[name] for stack, each in found.items() if name in each}
                print(f"  {scenario}: {name}: {values}", flush=True)
                better = "higher" if name in HIGHER else "lower"
                figures.add(f"{scenario}: {name}", unit, values, better=better)  # type: ignore[arg-type]
    figures.close()


if __name__ == "__main__":
    asyncio.run(main())
