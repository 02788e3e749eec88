"""Audio, real frames and delay of an echo behind a bad network.

Each row is a call of its own to a server that echoes, through a relay of UDP on this machine that
has the fault for `--seconds`, after `BEFORE_S` without and before `AFTER_S` without. One row, once,
of this package alone takes less than half a minute::

    .venv/bin/python benches/python/network.py --runs 1 --stacks ours --rows loss10

``--rows loss10,one-loss`` takes several, ``--list`` prints them, and ``--seconds 30`` has more
frames behind each number. Faults are those of the way to the server, except where a row has
"down"; ``--seed`` chooses others. The network's own delay is a part of all delays; "before" has it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import clients
import coded_call
import numpy as np
from clients import Server
from figures import OURS, Figures
from report import NETWORK_DELAYS

from support.udp_relay import UdpRelay  # isort: skip  # clients makes it importable

from gradio_webrtc.testing import Network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from coded_call import CodedClient, Echo

STACKS: Final = (OURS, "fastrtc", "aiortc")
SETTLE_S: Final = 1.0
BEFORE_S: Final = 1.5
NO_BACKLOG_MS: Final = 60.0
"""Above the delay of the path: a call that begins later has a backlog, which hides what a fault
adds. It is hung up, and another one is made."""

MOST_CALLS: Final = 3
"""For that; then the last one is measured as it is."""

HELD_UP_MS: Final = 30.0
"""From which on a call is made again: a server, or a client, that got no processor for so long adds
a delay of its own, which hides that of the fault. Machines that are shared do it all the time."""

RECOVERY_S: Final = 1.0
"""After a fault, until which the delay has to be back."""

AFTER_S: Final = 1.5
"""For which the delay is measured then."""

IN_TIME_S: Final = 0.5
"""Above the delay before the fault: a frame that comes later is not a real one any more."""

TRACED: Final = "one-loss"
"""The row whose delays are kept for the plot."""


NO_FAULT: Final[Mapping[str, Any]] = MappingProxyType({})


class Row(NamedTuple):
    """A fault, and what is required under it (see `docs/benchmarks.md`).

    Attributes:
        up: The faults from the client to the server.
        down: Those of the other direction.
        path: The conditions of both directions all the time, such as a delay.
        lose: Packets of audio that are lost, one after the other, at the beginning of the fault.
        seconds: The length of the fault, where it belongs to it.
        fec: The client sends a coarse copy of each frame in the next packet.
        by_packets: Delays are those of the packets, whatever is in them.
        audio: The least share of the time with audio, in percent.
        real: The least share of the frames that come, in percent.
        late_ms: The most that the delay may be above the one before, p95, during the fault.
        back_ms: The same after it.
    """

    up: Mapping[str, Any] = NO_FAULT
    down: Mapping[str, Any] = NO_FAULT
    path: Mapping[str, Any] = NO_FAULT
    lose: int = 0
    seconds: float | None = None
    fec: bool = False
    by_packets: bool = False
    audio: float | None = None
    real: float | None = None
    late_ms: float | None = None
    back_ms: float | None = 20.0


ROWS: Final = {
    "clean": Row(audio=99.0, real=99.0, late_ms=20.0),
    "far": Row(path={"delay_ms": 100}, audio=99.0, real=99.0, late_ms=20.0),
    "loss1": Row({"loss": 0.01}, audio=99.0, late_ms=160.0),
    "loss5": Row({"loss": 0.05}, audio=98.0, late_ms=160.0),
    "loss10": Row({"loss": 0.1}, audio=95.0, late_ms=160.0),
    "loss20": Row({"loss": 0.2}, audio=85.0, late_ms=160.0),
    "loss5-fec": Row({"loss": 0.05}, fec=True, audio=98.0, late_ms=160.0),
    "loss10-fec": Row({"loss": 0.1}, fec=True, audio=95.0, late_ms=160.0),
    "loss10-down": Row(down={"loss": 0.1}, audio=95.0, late_ms=160.0),
    "bursts5": Row({"burst_loss": 0.05, "burst_packets": 3}, audio=97.0, late_ms=160.0),
    "bursts10": Row({"burst_loss": 0.1, "burst_packets": 4}, audio=95.0, late_ms=160.0),
    "bursts20": Row({"burst_loss": 0.2, "burst_packets": 5}, audio=90.0, late_ms=160.0),
    "one-loss": Row(lose=1, seconds=1.0, audio=99.0, real=97.0, late_ms=160.0),
    "jitter50": Row(
        {"jitter_ms": 50}, path={"delay_ms": 100}, audio=97.0, real=95.0, late_ms=200.0
    ),
    "jitter50-free": Row(
        {"jitter_ms": 50, "keep_order": False},
        path={"delay_ms": 100},
        audio=97.0,
        real=95.0,
        late_ms=200.0,
    ),
    "jitter200": Row(
        {"jitter_ms": 200}, path={"delay_ms": 200}, audio=90.0, real=85.0, late_ms=500.0
    ),
    "jitter200-free": Row(
        {"jitter_ms": 200, "keep_order": False},
        path={"delay_ms": 200},
        audio=90.0,
        real=85.0,
        late_ms=500.0,
    ),
    "reorder25": Row({"reorder": 0.25}, path={"delay_ms": 50}, audio=99.0, real=99.0, late_ms=20.0),
    "duplicate10": Row({"duplicate": 0.1}, audio=99.0, real=99.0, late_ms=20.0),
    "corrupt2": Row({"corrupt": 0.02}, audio=99.0, real=97.0, late_ms=160.0),
    "cap48-down": Row(
        down={"kbit_per_s": 48, "queue_ms": 5_000}, by_packets=True, real=95.0, late_ms=500.0
    ),
    "cap24-down": Row(
        down={"kbit_per_s": 24, "queue_ms": 5_000}, by_packets=True, real=90.0, late_ms=500.0
    ),
    "blackout0.5": Row({"loss": 1.0}, {"loss": 1.0}, seconds=0.5),
    "blackout3": Row({"loss": 1.0}, {"loss": 1.0}, seconds=3.0),
    "blackout10": Row({"loss": 1.0}, {"loss": 1.0}, seconds=10.0),
}


class Result(NamedTuple):
    """What was measured of a row; shares in percent, times in ms.

    Attributes:
        audio: The share of the fault's time with audio.
        real: The share of the frames sent in it that came in time.
        before: The delay before the fault, p50.
        during_p50: The delay of the frames sent during it.
        during_p95: The same.
        after_p50: The delay from `RECOVERY_S` after it on.
        after_p95: The same.
        resumed: From the end of the fault until a frame came that was sent after it.
        repeated: Frames that were found again after later ones.
        begins: The delay of the first frames of a call, beyond that of the path.
        held_up: The longest time for which the machine let the server or the client wait.
    """

    audio: float
    real: float
    before: float
    during_p50: float
    during_p95: float
    after_p50: float
    after_p95: float
    resumed: float
    repeated: float
    begins: float = 0.0
    held_up: float = 0.0


class Asked(NamedTuple):
    """The options of a measurement."""

    seconds: float
    seed: int
    tries: int


class Measured(NamedTuple):
    """A call, evaluated.

    Attributes:
        result: The report on it.
        trace: Of each frame the time in seconds after the fault began, and the delay in ms.
    """

    result: Result
    trace: list[tuple[float, float]]


async def measure(stack: str, name: str, asked: Asked) -> Measured:
    """Makes calls with the row's fault until the machine held up neither side, or often enough.

    Returns:
        The call that was held up least.
    """
    server = await Server.start(stack, "echo")
    found: list[Measured] = []
    while len(found) < asked.tries:
        with clients.precedence(server):
            call = await _try(server, ROWS[name], asked)
        found.append(evaluate(call, by_packets=ROWS[name].by_packets))
        if found[-1].result.held_up <= HELD_UP_MS:
            break
        print(f"  held up for {found[-1].result.held_up:.0f} ms", flush=True)
    await server.stop()
    return min(found, key=lambda each: each.result.held_up)


class Call(NamedTuple):
    """A call that was made, not evaluated yet; times in seconds after frame 0 was sent."""

    client: CodedClient
    begin_s: float
    end_s: float
    begins_ms: float
    held_up_ms: float


async def _try(server: Server, row: Row, asked: Asked) -> Call:
    """Makes a call with the fault. One that begins with a backlog is made again."""
    begins_ms: list[float] = []
    seconds = row.seconds or asked.seconds
    while True:
        path = Network(**row.path, seed=asked.seed)
        # One for each call: what is left of a former call would mix with the next one.
        async with UdpRelay(path, path) as relay:
            client = await coded_call.call(server, relay, fec=row.fec)
            begins_ms.append(await _late_ms(client, row))
            if begins_ms[-1] <= NO_BACKLOG_MS or len(begins_ms) == MOST_CALLS:
                client.late_ms = 0.0
                await server.ask("measure")
                begin_s = await _expose(client, relay, row, seconds)
                seen = await server.ask("measure")
                await client.hang_up()
                held_up_ms = max(client.late_ms, seen["lag_most_ms"])
                return Call(client, begin_s, begin_s + seconds, begins_ms[0], held_up_ms)
            await client.hang_up()


def evaluate(call: Call, *, by_packets: bool = False) -> Measured:
    """Finds out what came back."""
    packets, origin_s = call.client.packets, call.client.begin_s
    echo = coded_call.evaluate(packets, origin_s)
    if by_packets:
        frames = coded_call.by_timestamp(packets, origin_s).frames
        echo = echo._replace(frames=frames, repeated=0)
    result = judge(echo, call.begin_s, call.end_s)
    trace = [
        (each.nth * coded_call.FRAME_S - call.begin_s, 1000 * each.delay_s) for each in echo.frames
    ]
    return Measured(result._replace(begins=call.begins_ms, held_up=call.held_up_ms), trace)


async def _late_ms(client: CodedClient, row: Row) -> float:
    """The median delay of a call's first frames beyond that of the path; returns when they came."""
    await asyncio.sleep(SETTLE_S + 2 * _path_s(row))
    # On the loop it would hold up the call by a tenth of a second.
    packets = client.packets.copy()
    echo = await asyncio.to_thread(coded_call.evaluate, packets, client.begin_s)
    return _percentile(echo.delays_ms(0.0, SETTLE_S), 50) - 2000 * _path_s(row)


def _path_s(row: Row) -> float:
    """The delay of one way."""
    return float(row.path.get("delay_ms", 0.0)) / 1000


async def _expose(client: CodedClient, relay: UdpRelay, row: Row, seconds: float) -> float:
    """Lets the fault come and go; returns its beginning, in seconds after frame 0 was sent."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(BEFORE_S)
    begin_s = loop.time() - client.begin_s
    relay.up.lose_next = row.lose
    relay.up.set_network(Network(**{**row.path, **row.up}))
    relay.down.set_network(Network(**{**row.path, **row.down}))
    await asyncio.sleep(seconds)
    relay.up.set_network(Network(**row.path))
    relay.down.set_network(Network(**row.path))
    await asyncio.sleep(RECOVERY_S + AFTER_S + IN_TIME_S)
    return begin_s


def judge(echo: Echo, begin_s: float, end_s: float) -> Result:
    """Evaluates a call with a fault in that time, in seconds after frame 0 was sent."""
    before_ms = _percentile(echo.delays_ms(begin_s - BEFORE_S, begin_s), 50)
    path_s = before_ms / 1000
    during = echo.delays_ms(begin_s, end_s)
    recovered_s = end_s + RECOVERY_S
    after = echo.delays_ms(recovered_s, recovered_s + AFTER_S)
    if np.isnan(path_s):
        # Nothing came at all.
        path_s = 0.0
    return Result(
        echo.audio_percent(begin_s + path_s, end_s + path_s),
        echo.real_percent(begin_s, end_s, path_s + IN_TIME_S),
        before_ms,
        _percentile(during, 50),
        _percentile(during, 95),
        _percentile(after, 50),
        _percentile(after, 95),
        1000 * echo.resumed_s(end_s),
        float(echo.repeated),
    )


def _percentile(values: Any, percent: float) -> float:
    """NaN where nothing came."""
    return float(np.percentile(values, percent)) if len(values) else float("nan")


def add(figures: Figures, name: str, found: dict[str, Result]) -> None:
    """A row's figures of one run."""
    row = ROWS[name]
    least = {"audio": row.audio, "real": row.real}
    for field, wanted in least.items():
        values = {stack: getattr(each, field) for stack, each in found.items()}
        target = None if wanted is None else {"least": wanted}
        figures.add(f"{name}: {field}", "%", values, better="higher", target=target)
    begins = {stack: each.begins for stack, each in found.items() if not np.isnan(each.begins)}
    most_begins = {"most": NO_BACKLOG_MS}
    figures.add(f"{name}: delay above that of the path, begin", "ms", begins, target=most_begins)
    most = {"during_p95": row.late_ms, "after_p95": row.back_ms}
    for field in ("during_p50", "during_p95", "after_p50", "after_p95"):
        above = {
            stack: getattr(each, field) - each.before
            for stack, each in found.items()
            if not np.isnan(getattr(each, field))
        }
        wanted = most.get(field)
        words = field.replace("_", ", ")
        target = None if wanted is None else {"most": wanted}
        figures.add(f"{name}: delay above that before, {words}", "ms", above, target=target)


def main() -> None:
    """Measures the rows that were asked for, the stacks in turn."""
    figures = Figures("network", "An echo through a bad network", parser=_parser())
    asked = figures.asked
    if asked.list:
        for name, row in ROWS.items():
            print(f"{name}: {row}")
        return
    stacks = clients.installed(asked.stacks.split(","), figures)
    clients.pin()
    with clients.precedence() as has_it:
        if not has_it:
            figures.note("without precedence over other processes: they are in the delays")
    traces: dict[str, list[tuple[float, float]]] = {}
    print(HEAD, flush=True)
    for run in range(figures.runs):
        for name in asked.rows.split(",") if asked.rows else ROWS:
            found = {}
            for stack in stacks:
                options = Asked(asked.seconds, asked.seed + run, asked.tries)
                found[stack], trace = asyncio.run(measure(stack, name, options))
                print(line(name, stack, found[stack]), flush=True)
                if name == TRACED:
                    traces[stack] = trace
            add(figures, name, found)
    figures.close()
    if traces:
        NETWORK_DELAYS.write_text(json.dumps(traces) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", help="names of rows, with commas between; all of them by default")
    parser.add_argument("--stacks", default=",".join(STACKS), help="%(default)s")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a fault (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the network (%(default)s)")
    parser.add_argument(
        "--tries", type=int, default=3, help="until the machine holds nobody up (%(default)s)"
    )
    parser.add_argument("--list", action="store_true", help="print the rows, and measure nothing")
    return parser


HEAD: Final = (
    "row            stack     audio %  real %   delay ms: begins before  during p50    p95"
    "  after p50    p95  resumed  repeated held up"
)


def line(name: str, stack: str, found: Result) -> str:
    """A row in one line of text, below `HEAD`."""
    return (
        f"{name:14} {stack:8} {found.audio:8.1f} {found.real:7.1f} {found.begins:18.0f}"
        f" {found.before:6.0f} {found.during_p50:11.0f} {found.during_p95:6.0f}"
        f" {found.after_p50:10.0f} {found.after_p95:6.0f} {found.resumed:8.0f}"
        f" {found.repeated:9.0f} {found.held_up:7.0f}"
    )


if __name__ == "__main__":
    main()
