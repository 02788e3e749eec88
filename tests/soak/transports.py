"""A call over each transport, with the same handler: whether all of the audio comes back.

    python tests/soak/transports.py --seconds 60

A server in a process of its own echoes numbered pieces of audio, to the client of one transport
after the other. Each transport shows barge-in, both limits, and what becomes of a client that
vanishes; at the end the server stops below one session of each. Exits with 1 and the reason when
more than a hundredth of the audio is missing, or anything else is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import httpx
from support.numbered_audio import PIECE_S, places_of
from support.processes import read_line, running
from support.transport_clients import CLIENTS, INTERRUPTED, RESUMED

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Awaitable, Callable

    from support.transport_clients import TransportClient

PROGRAM: Final = Path(__file__).with_name("transports_program.py")

ENOUGH: Final = 0.99
"""The share of the pieces that must come back."""

TAIL_S: Final = 1.5
"""The silence behind the last piece, which must come back too: the way takes less."""

PATIENCE_S: Final = 60.0
"""For each step, beyond the audio that it has."""

TRIES: Final = 10
TRY_EVERY_S: Final = 2.0
"""A server whose event loop is behind, on a machine that others use too, refuses new sessions."""

CUT_OFF: Final = 0.5
"""Less than this of an answer that is interrupted a twentieth after its beginning may come."""


class Echoed(NamedTuple):
    """What came back of one call.

    Attributes:
        sent: The number of pieces that were sent.
        places: The place of each in what came; -1 for one that is missing.
        later: The time by which the last took longer to come back than the first, as a share of the
            length of the call.
        cpu: The processor time of the server, as a share of the length of the call.
    """

    sent: int
    places: list[int]
    later: float
    cpu: float

    @property
    def came(self) -> list[int]:
        """The places of those that came."""
        return [each for each in self.places if each >= 0]

    @property
    def share(self) -> float:
        """The share of them that came."""
        return len(self.came) / self.sent

    @property
    def is_whole(self) -> bool:
        """True if nearly all came: half a second may be removed while a delay is worked off.

        One is there at the beginning, and another on a machine that others use too.
        """
        return self.sent - len(self.came) <= max(5, (1 - ENOUGH) * self.sent)

    @property
    def is_in_order(self) -> bool:
        """True if each came behind the one before it."""
        return self.came == sorted(set(self.came))


def cpu_s(process: Process) -> float:
    """The processor time that a process has taken, in seconds."""
    stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


async def echo(client: TransportClient, server: Process, count: int) -> Echoed:
    """Sends so many pieces to a client that is connected, and collects what comes back."""
    loop = asyncio.get_running_loop()
    looks: list[tuple[float, int]] = []
    before_s, begin_s = cpu_s(server), loop.time()

    def is_over() -> bool:
        looks.append((loop.time(), client.received()))
        return looks[-1][1] - looks[0][1] >= (count * PIECE_S + TAIL_S) * client.rate_hz

    client.say(range(count))
    await client.until(is_over)
    cpu = (cpu_s(server) - before_s) / (loop.time() - begin_s)
    places = places_of(client.audio(), range(count), client.rate_hz)
    return Echoed(count, places, lateness(places, looks) / (count * PIECE_S), cpu)


def lateness(places: list[int], looks: list[tuple[float, int]]) -> float:
    """The time by which the last piece came later than the first, against what it should, in s."""
    found = [number for number, place in enumerate(places) if place >= 0]
    if not found:
        return 0.0
    first, last = (
        next(time_s for time_s, samples in looks if samples > places[number])
        for number in (found[0], found[-1])
    )
    return last - first - PIECE_S * (found[-1] - found[0])


async def join(client: TransportClient) -> str:
    """Connects; returns the code of the refusal, which is no longer that the server is busy."""
    code = await client.join()
    for _ in range(TRIES):
        if code != "server_busy":
            break
        await asyncio.sleep(TRY_EVERY_S)
        code = await client.join()
    return code


class Trial:
    """The tests of one transport.

    Args:
        name: Its name.
        url: The server's address.
        server: The server's process.
    """

    def __init__(self, name: str, url: str, server: Process) -> None:
        self.name = name
        self.faults: list[str] = []
        self._url = url
        self._server = server

    async def carries_all(self, seconds: float) -> Echoed | None:
        """A whole call, beside which another client is refused."""
        echoed: Echoed | None = None
        client = self._client("echo")
        try:
            async with asyncio.timeout(seconds + PATIENCE_S):
                await self._join(client)
                await self.refuses_the_next()
                echoed = await echo(client, self._server, round(seconds / PIECE_S))
        except (TimeoutError, ConnectionRefusedError) as error:
            self.faults.append(f"the audio did not come back: {error}")
        finally:
            await client.leave()
        if echoed is not None:
            self._expect(echoed.is_whole, f"{echoed.share:.1%} of the pieces came back")
            self._expect(echoed.is_in_order, "pieces came back in another order")
        return echoed

    async def refuses_the_next(self) -> None:
        """A client beside the one that has the only place."""
        other = self._client("echo")
        code = await join(other)
        await other.leave()
        self._expect(code == "concurrency_limit_reached", f"another client got {code!r}")

    async def is_interrupted(self) -> None:
        """A user who speaks over an answer: what was not played of it is dropped."""
        client = self._client("talk")
        try:
            await self._join(client)
            await client.until(lambda: client.received() >= client.rate_hz)
            client.say(range(3))
            # More would be the whole answer, uninterrupted.
            most = len(INTERRUPTED) * PIECE_S * client.rate_hz

            def is_done() -> bool:
                latest = client.audio()[-client.rate_hz :]
                (place,) = places_of(latest, RESUMED[-1:], client.rate_hz)
                return place >= 0 or client.received() > most

            await client.until(is_done)
            audio = client.audio()
        finally:
            await client.leave()
        resumed = places_of(audio, RESUMED, client.rate_hz)
        stale = [each for each in places_of(audio, INTERRUPTED, client.rate_hz) if each >= 0]
        self._expect(min(resumed) >= 0, "audio behind an interruption is missing")
        self._expect(max(stale) < resumed[0], "audio from before an interruption came behind it")
        share = len(stale) / len(INTERRUPTED)
        self._expect(share < CUT_OFF, f"{share:.0%} of an interrupted answer was played")

    async def ends_in_time(self) -> None:
        """A session that reaches its time limit."""
        client = self._client("short")
        try:
            await self._join(client)
            await client.ended()
        finally:
            await client.leave()
        await self._is_free("short")

    async def frees_the_place_of_one_that_vanished(self) -> None:
        """A client that goes without a goodbye; another gets its place."""
        gone, next_one = self._client("echo"), self._client("echo")
        try:
            await self._join(gone)
            await gone.until(lambda: gone.received() > 0)
            await gone.vanish()
            await self._is_free("echo")
            await self._join(next_one)
        finally:
            await next_one.leave()
            await gone.leave()
        await self._is_free("echo")

    async def run(self, seconds: float) -> Echoed | None:
        """Runs all of these."""
        echoed = await self.carries_all(seconds)
        await self._is_free("echo")
        for step in (
            self.is_interrupted,
            self.ends_in_time,
            self.frees_the_place_of_one_that_vanished,
        ):
            await self._within(step)
        return echoed

    async def _within(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await step()
        except (TimeoutError, OSError, AssertionError) as error:
            self.faults.append(f"{step.__name__}: {type(error).__name__} {error}")

    async def _join(self, client: TransportClient) -> None:
        if code := await join(client):
            raise ConnectionRefusedError(code)

    def _client(self, stream: str) -> TransportClient:
        return CLIENTS[self.name](f"{self._url}/{stream}")

    async def _is_free(self, stream: str) -> None:
        async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
            left = (await http.get(f"{self._url}/idle/{stream}")).raise_for_status().json()
        self._expect(left == 0, f"{left} handlers left of {stream}")

    def _expect(self, is_right: bool, otherwise: str) -> None:  # noqa: FBT001  # the condition
        if not is_right:
            self.faults.append(otherwise)


async def stop(url: str, server: Process, names: list[str]) -> list[str]:
    """Stops the server below a session of each transport; returns what is wrong."""
    faults = []
    clients = {name: CLIENTS[name](f"{url}/many") for name in names}
    for name, client in clients.items():
        if code := await join(client):
            return [f"{name}: refused with {code}"]
        await client.until(lambda client=client: client.received() > 0)  # type: ignore[misc]
    server.send_signal(signal.SIGTERM)
    for name, client in clients.items():
        try:
            async with asyncio.timeout(PATIENCE_S):
                await client.ended()
        except TimeoutError:
            faults.append(f"{name}: the client saw no end when the server stopped")
    async with asyncio.timeout(PATIENCE_S):
        # Nothing, of a server that ended otherwise.
        shut_down = int(await read_line(server) or 0)
        status = await server.wait()
    for client in clients.values():
        await client.leave()
    if status != 0:
        faults.append(f"the server ended with status {status}")
    # Of each transport: the long call, the one interrupted, the short one, the one that vanished
    # and its successor, and the last.
    if shut_down != 6 * len(names):
        faults.append(f"{shut_down} handlers were shut down, expected {6 * len(names)}")
    return faults


def row(name: str, echoed: Echoed | None, webrtc_cpu: float) -> str:
    """A row of the table."""
    if echoed is None:
        return f"| {name} | - | - | - | - | - |"
    order = "yes" if echoed.is_in_order else "no"
    cpu = f"{echoed.cpu / webrtc_cpu:.2f}" if webrtc_cpu else "-"
    came = f"{len(echoed.came)} of {echoed.sent}"
    return f"| {name} | {came} | {echoed.share:.1%} | {order} | {echoed.later:+.2%} | {cpu} |"


async def main(seconds: float, names: list[str]) -> list[str]:
    """Runs a server and all of its clients, prints the table and returns what is wrong."""
    faults: list[str] = []
    print("| transport | pieces back | share | in order | later at the end | CPU, WebRTC = 1 |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    async with running(str(PROGRAM)) as server:
        url = await read_line(server)
        webrtc_cpu = 0.0
        for name in names:
            trial = Trial(name, url, server)
            echoed = await trial.run(seconds)
            webrtc_cpu = webrtc_cpu or (echoed.cpu if echoed and name == "webrtc" else 0.0)
            print(row(name, echoed, webrtc_cpu), flush=True)
            faults += [f"{name}: {fault}" for fault in trial.faults]
        faults += await stop(url, server, names)
    return faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("names", nargs="*", choices=[*CLIENTS, []])
    asked = parser.parse_args()
    found = asyncio.run(main(asked.seconds, asked.names or list(CLIENTS)))
    for each in found:
        print(f"FAULT {each}")
    sys.exit(bool(found))
