"""Video through a function and back, behind a network that loses packets.

Each row is a call of its own, through a relay of UDP on this machine that loses packets of every
kind for `--seconds`, after `SETTLE_S` without. One row, once, of this package alone takes less than
half a minute::

    .venv/bin/python benches/python/video_network.py --runs 1 --stacks ours --loss 10

``--loss 5,10`` takes several losses, in percent, and ``--ways both,up,down`` the directions that
lose; ``--delay 25`` adds a path of 25 ms each way, and ``--seed`` chooses other packets.
"""

from __future__ import annotations

import argparse
import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import clients
import numpy as np
from clients import Server
from figures import Figures
from video import STACKS, Viewer, scene

from support.udp_relay import UdpRelay  # isort: skip  # clients makes it importable

from gradio_webrtc import Limits
from gradio_webrtc._transport.webrtc.aiortc_internals.objects import become
from gradio_webrtc._transport.webrtc.aiortc_internals.receiver import HardenedReceiver
from gradio_webrtc.testing import Network

if TYPE_CHECKING:
    from av import VideoFrame
    from video import Sighting

WAYS: Final = ("both", "up", "down")
"""Up is the way from the client to the server."""

MOST_FREEZE_MS: Final = {5: 300.0, 10: 600.0}
"""By the loss in percent: the longest time without a new frame."""

MOST_DELAY_MS: Final = 200.0
"""Above that before the loss, p50."""

SETTLE_S: Final = 5.0
"""Before the loss: clients estimate the bit rate that they can receive for three seconds."""

BEFORE_S: Final = 2.0
"""For which the delay is measured then."""

AFTER_S: Final = 2.0
"""After the loss, in which what is under way comes."""

LOOP_PERIOD_S: Final = 0.01
"""Between two looks at the client's event loop."""

HELD_UP_MS: Final = 80.0
"""From which on a call is made again: a server, or a client, that got no processor for so long has
a freeze of its own. Machines that are shared do it all the time."""

WHOLE_DB: Final = 18.0
"""PSNR of a frame from which on it counts as one. A frame of coarse bits has 22 dB and more,
one with a wrong reference loses it in a few frames."""


CLIENTS: Final = ("repeating", "aiortc")
"""The first requests what is missing until it comes, as browsers do (libwebrtc,
modules/video_coding/nack_requester.cc), by the buffer of this package, from all stacks alike."""


class Asked(NamedTuple):
    """The options of a measurement."""

    client: str
    seconds: float
    delay_ms: float
    seed: int
    tries: int


class Result(NamedTuple):
    """The frames that came back while packets were lost; times in ms.

    Attributes:
        freeze: The longest time without a new whole frame.
        before: The delay before the loss, p50.
        p50: The delay during the loss.
        p95: The same.
        fps: Frames a second that were whole.
        broken: Those that were not, in all.
        kbit_s: The bit rate that came to the client.
        held_up: The longest time for which the machine let the server or the client wait.
    """

    freeze: float
    before: float
    p50: float
    p95: float
    fps: float
    broken: float
    kbit_s: float = 0.0
    held_up: float = 0.0


class Watcher(Viewer):
    """A viewer that looks at every frame.

    Args:
        frames: The scene.
        client: One of `CLIENTS`.

    Attributes:
        late_ms: The longest time for which the client's event loop waited beyond what it had to.
    """

    def __init__(self, frames: list[VideoFrame], client: str) -> None:
        super().__init__(frames)
        self.late_ms = 0.0
        if client == "repeating":
            (transceiver,) = self._pc.getTransceivers()
            receiver = become(transceiver.receiver, HardenedReceiver)
            if receiver is None:
                raise RuntimeError("expected a receiver of aiortc")
            receiver.harden(Limits())

    async def watch_loop(self) -> None:
        """Notes how late a timer comes, a hundred times a second, until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + LOOP_PERIOD_S
            await asyncio.sleep(LOOP_PERIOD_S)
            self.late_ms = max(self.late_ms, 1000 * (loop.time() - due_s))

    def is_looked_at(self, at_s: float) -> bool:
        """True at all times."""
        return at_s >= 0


async def measure(
    stack: str, frames: list[VideoFrame], loss: int, way: str, asked: Asked
) -> Result:
    """Makes calls of a stack until the machine held up neither side, or often enough.

    Returns:
        The call that was held up least.
    """
    path = Network(delay_ms=asked.delay_ms, seed=asked.seed)
    lossy = Network(delay_ms=asked.delay_ms, loss=loss / 100, seed=asked.seed)
    up, down = (path if way == other else lossy for other in ("down", "up"))
    server = await Server.start(stack, "video")
    found: list[Result] = []
    while len(found) < asked.tries:
        with clients.precedence(server):
            viewer = Watcher(frames, asked.client)
            found.append(await _call(server, viewer, (up, down, path), asked))
        if found[-1].held_up <= HELD_UP_MS:
            break
        print(f"  held up for {found[-1].held_up:.0f} ms", flush=True)
    await server.stop()
    return min(found, key=lambda each: each.held_up)


async def _call(
    server: Server, viewer: Watcher, networks: tuple[Network, Network, Network], asked: Asked
) -> Result:
    """One call through networks: up and down during the loss, and the path before and after it."""
    up, down, path = networks
    async with UdpRelay(path, path) as relay:
        watching = asyncio.get_running_loop().create_task(viewer.watch_loop())
        await viewer.call(server, relay)
        await asyncio.sleep(SETTLE_S)
        await server.ask("measure")
        viewer.late_ms = 0.0
        begin_s, received = viewer.now_s(), await viewer.received_bytes()
        relay.up.set_network(up)
        relay.down.set_network(down)
        await asyncio.sleep(asked.seconds)
        end_s, received = viewer.now_s(), await viewer.received_bytes() - received
        held_up_ms = max(viewer.late_ms, (await server.ask("measure"))["lag_most_ms"])
        relay.up.set_network(path)
        relay.down.set_network(path)
        await asyncio.sleep(AFTER_S)
        watched_s = viewer.now_s()
        watching.cancel()
        await viewer.hang_up()
    result = judge(viewer.looks, begin_s, end_s, watched_s)
    return result._replace(kbit_s=8 * received / asked.seconds / 1000, held_up=held_up_ms)


def judge(looks: list[Sighting], begin_s: float, end_s: float, watched_s: float) -> Result:
    """Evaluates a call; times in seconds after the first frame was taken."""
    whole = [look for look in looks if look.psnr is not None and look.psnr >= WHOLE_DB]
    times_s = [0.0, *(look.at_s for look in whole), watched_s]
    gaps_s = [b - a for a, b in pairwise(times_s) if b > begin_s and a < end_s]
    before = [look.delay_s for look in whole if begin_s - BEFORE_S <= look.at_s < begin_s]
    during = [look.delay_s for look in whole if begin_s <= look.at_s < end_s]
    return Result(
        1000 * max(gaps_s),
        1000 * _percentile(before, 50),
        1000 * _percentile(during, 50),
        1000 * _percentile(during, 95),
        len(during) / (end_s - begin_s),
        float(sum(begin_s <= look.at_s < end_s for look in looks) - len(during)),
    )


def _percentile(values: list[float], percent: float) -> float:
    """NaN where nothing came."""
    return float(np.percentile(values, percent)) if values else float("nan")


def add(figures: Figures, name: str, loss: int, found: dict[str, Result]) -> None:
    """A row's figures of one run."""
    freezes = {stack: each.freeze for stack, each in found.items()}
    freeze_target = {"most": MOST_FREEZE_MS[loss]} if loss in MOST_FREEZE_MS else None
    figures.add(f"{name}: longest freeze", "ms", freezes, target=freeze_target)
    for percent in (50, 95):
        field = f"p{percent}"
        values = {stack: getattr(each, field) - each.before for stack, each in found.items()}
        delays = {stack: value for stack, value in values.items() if not np.isnan(value)}
        delay_target = {"most": MOST_DELAY_MS} if percent == 50 else None  # noqa: PLR2004
        figures.add(f"{name}: delay above that before, {field}", "ms", delays, target=delay_target)
    rates: dict[str, dict[str, Any]] = {"frames a second": {}, "bit rate": {}}
    for stack, each in found.items():
        rates["frames a second"][stack], rates["bit rate"][stack] = each.fps, each.kbit_s
    figures.add(f"{name}: frames a second", "frames", rates["frames a second"], better="higher")
    figures.add(f"{name}: bit rate", "kbit/s", rates["bit rate"], better="higher")


def main() -> None:
    """Measures the losses that were asked for, the stacks in turn."""
    figures = Figures("video_network", "Video through a lossy network", parser=_parser())
    asked = figures.asked
    stacks = clients.installed(asked.stacks.split(","), figures)
    clients.pin()
    frames = scene()
    print(HEAD, flush=True)
    for run in range(figures.runs):
        options = Asked(asked.client, asked.seconds, asked.delay, asked.seed + run, asked.tries)
        for loss in map(int, asked.loss.split(",")):
            for way in asked.ways.split(","):
                found = {}
                for stack in stacks:
                    found[stack] = asyncio.run(measure(stack, frames, loss, way, options))
                    print(line(f"{loss} % {way}", stack, found[stack]), flush=True)
                add(figures, f"loss {loss} %, {way}", loss, found)
    figures.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loss", default="5,10", help="in percent (%(default)s)")
    parser.add_argument("--ways", default=",".join(WAYS), help="%(default)s")
    parser.add_argument("--delay", type=float, default=0.0, help="of one way, in ms (%(default)s)")
    parser.add_argument("--stacks", default=",".join(STACKS), help="%(default)s")
    parser.add_argument("--client", choices=CLIENTS, default=CLIENTS[0], help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=15.0, help="of loss (%(default)s)")
    parser.add_argument(
        "--tries", type=int, default=3, help="until the machine holds nobody up (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the network (%(default)s)")
    return parser


HEAD: Final = (
    "loss         stack     freeze ms  delay ms: before  during p50    p95"
    "  frames/s  broken  kbit/s  held up"
)


def line(name: str, stack: str, found: Result) -> str:
    """A row in one line of text, below `HEAD`."""
    return (
        f"{name:12} {stack:8} {found.freeze:10.0f} {found.before:17.0f} {found.p50:11.0f}"
        f" {found.p95:6.0f} {found.fps:9.1f} {found.broken:7.0f} {found.kbit_s:7.0f}"
        f" {found.held_up:8.0f}"
    )


if __name__ == "__main__":
    main()
