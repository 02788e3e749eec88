"""Counts the Python calls of this package per packet, and fails when there are more than recorded.

A session with aiortc on the other end of the loopback address runs for some seconds. A profiler
counts every call of a function in this package, in all threads. A count does not depend on how
busy the machine is.

``python_calls.py`` compares, ``--record`` writes ``benches/python_calls.json``, ``--functions``
lists the functions by their number of calls.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
from collections import Counter
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import numpy as np
import report  # noqa: F401 - makes tests/support importable

from support.client import Client  # isort: skip
from support.serving import SessionServer  # isort: skip
from support.spliced import RATE_HZ, utterances  # isort: skip

import gradio_webrtc
from gradio_webrtc import AsyncStreamHandler, ReplyOnPause, StreamHandler
from gradio_webrtc._audio import Resampler

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from numpy.typing import NDArray

T = TypeVar("T")

PACKAGE: Final = str(Path(gradio_webrtc.__file__).parent)
RECORD: Final = Path(__file__).resolve().parents[1] / "python_calls.json"

TOLERANCE: Final = 1.0
"""Calls per packet. Packets that are decoded together, and timers, vary it by up to 0.7."""

WARM_S: Final = 1.0
"""The connection and the first packets, which are not counted."""

COUNTED_S: Final = 3.0

ROUNDS: Final = 3
"""The round with the fewest calls counts. What the code does for each packet is in every round;
what a busy machine adds, such as packets that wake a thread one by one, is not."""

CLIENT_HZ: Final = 48_000


class Echo(StreamHandler):
    """Emits what it receives, with a blocking queue between, as the guide's first handler does."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: SimpleQueue[Any] = SimpleQueue()

    def receive(self, frame: Any) -> None:
        """Queues the frame."""
        self.frames.put(frame)

    def emit(self) -> Any:
        """Waits for a frame."""
        return self.frames.get()

    def copy(self) -> Echo:
        """Returns another one."""
        return Echo()


class AsyncEcho(AsyncStreamHandler):
    """The same on the event loop, with an asyncio queue between."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: asyncio.Queue[Any] = asyncio.Queue()

    async def receive(self, frame: Any) -> None:
        """Queues the frame."""
        self.frames.put_nowait(frame)

    async def emit(self) -> Any:
        """Waits for a frame."""
        return await self.frames.get()

    def copy(self) -> AsyncEcho:
        """Returns another one."""
        return AsyncEcho()


def reply(_audio: object) -> Iterator[None]:
    """Answers nothing."""
    yield from ()


def speech() -> NDArray[np.int16]:
    """People talking, int16 ``(n,)`` at 48 kHz."""
    return Resampler(RATE_HZ, CLIENT_HZ).process(np.concatenate(utterances())).reshape(-1)


SCENARIOS: Final = {
    "silent": (lambda: ReplyOnPause(reply), lambda: np.zeros(0, np.int16)),
    "listening": (lambda: ReplyOnPause(reply), speech),
    "sync echo, both ways": (Echo, speech),
    "async echo, both ways": (AsyncEcho, speech),
}
"""The handler of a session, and what its client sends."""


class Calls:
    """Counts calls in all threads while it is on."""

    def __init__(self) -> None:
        self.own: Counter[str] = Counter()
        self.weakref = 0

    def note(self, frame: Any, event: str, _argument: object) -> None:
        """Counts one event of the profiler."""
        if event != "call":
            return
        code = frame.f_code
        if code.co_filename.startswith(PACKAGE):
            file = code.co_filename[len(PACKAGE) + 1 :]
            self.own[f"{file}:{code.co_qualname}"] += 1
        elif code.co_filename.endswith("weakref.py"):
            self.weakref += 1


class Counted(NamedTuple):
    """The calls per packet: by function, most of all first, and of ``weakref``."""

    own: dict[str, float]
    weakref: float


class Remote:
    """The server as a client on another event loop reaches it."""

    def __init__(self, server: SessionServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()

    async def handle_request(self, body: object) -> dict[str, Any]:
        """Passes a request to the server's event loop."""
        work = self._server.handle_request(body)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))


class RemoteClient:
    """A client in a thread of its own, whose event loop is not the server's: it is not counted."""

    def __init__(self, server: Remote, samples: NDArray[np.int16]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = server
        self._samples = samples

    async def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def call(self) -> None:
        """Connects."""
        await self._on_loop(self._call())

    async def _call(self) -> None:
        self._client = Client(self._server, self._samples)
        await self._client.call()

    @property
    def packets(self) -> int:
        """The number of packets that it has sent."""
        return self._client.microphone._frames

    async def hang_up(self) -> None:
        """Leaves, and ends the thread."""
        await self._on_loop(self._client.hang_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def count(scenario: str) -> Counted:
    """Returns the calls per packet of a session, in the round that has the fewest."""
    make, samples = SCENARIOS[scenario]
    server = SessionServer()
    server.serve(make().copy)
    client = RemoteClient(Remote(server), samples())
    calls = Calls()
    # Worker threads start with their first job: the profiler has to be there before.
    threading.setprofile(calls.note)
    try:
        await client.call()
        await asyncio.sleep(WARM_S)
        rounds = [await count_round(calls, client) for _ in range(ROUNDS)]
    finally:
        threading.setprofile(None)
    await client.hang_up()
    await server.wait_idle()
    return min(rounds, key=lambda counted: sum(counted.own.values()))


async def count_round(calls: Calls, client: RemoteClient) -> Counted:
    """Returns the calls per packet of the next `COUNTED_S` seconds."""
    calls.own.clear()
    calls.weakref = 0
    before = client.packets
    sys.setprofile(calls.note)
    await asyncio.sleep(COUNTED_S)
    sys.setprofile(None)
    packets = client.packets - before
    own = {name: number / packets for name, number in calls.own.most_common()}
    return Counted(own, calls.weakref / packets)


def compare(counts: dict[str, dict[str, float]]) -> int:
    """Prints the counts beside the recorded ones.

    Returns:
        The number of counts that grew, or that have no record to be held against.
    """
    recorded = json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {}
    grown, missing = 0, []
    for scenario, kinds in counts.items():
        for kind, now in kinds.items():
            before = recorded.get(scenario, {}).get(kind)
            if before is None:
                missing.append(f"{scenario}: {kind}")
            is_grown = before is not None and now > before + TOLERANCE
            grown += is_grown
            print(f"{scenario:22} {kind:8} {now:6.1f}  was {before}{'  GREW' if is_grown else ''}")
    if grown:
        print(f"by more than {TOLERANCE:g}: find the reason, or give one and record the counts")
    if missing:
        print(f"not in {RECORD.name}: {', '.join(missing)}; run make instructions-record")
    return grown + len(missing)


def main() -> int:
    """Returns 0 unless a count grew or has no record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--functions", action="store_true")
    options = parser.parse_args()
    counts = {}
    for scenario in SCENARIOS:
        counted = asyncio.run(count(scenario))
        own = round(sum(counted.own.values()), 1)
        counts[scenario] = {"own": own, "weakref": round(counted.weakref, 1)}
        if options.functions:
            for name, number in list(counted.own.items())[:40]:
                print(f"  {number:6.2f} {name}")
    if options.record:
        RECORD.write_text(json.dumps(counts, indent=1) + "\n", "utf-8")
    return min(compare(counts), 1)


if __name__ == "__main__":
    sys.exit(main())
