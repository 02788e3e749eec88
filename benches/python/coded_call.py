"""A call whose audio shows which 20 ms it is, through a bad network; and what came back of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import clients
import numpy as np
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtpPacket
from clients import Client, Player, Server

from support import coded_audio  # isort: skip  # clients makes it importable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiortc import MediaStreamTrack
    from numpy.typing import NDArray
    from support.udp_relay import UdpRelay

FRAME_S = coded_audio.FRAME_S

PLAYER_DELAY_S = 0.04
"""Of the player that the echo is judged by: less than any browser's. Without a delay each packet
that comes a millisecond late would tear a gap."""

LONGEST_CONCEALED = 6
"""Packets: a browser's player is silent after 120 ms, too."""

SEQUENCES = 1 << 16

NEIGHBOURS = 4
"""Frames before and after one, of which `WITNESSES` must have a delay within `ALIKE_FRAMES`."""

WITNESSES = 2
ALIKE_FRAMES = 2


class Packet(NamedTuple):
    """A packet of audio that came back; its time is the loop's."""

    at_s: float
    sequence: int
    payload: bytes
    timestamp: int


class RelayedServer:
    """A server behind a relay, for `Client.call`."""

    def __init__(self, server: Server, relay: UdpRelay) -> None:
        self._server = server
        self._relay = relay

    async def ask(self, op: str, *, body: dict[str, Any]) -> dict[str, Any]:
        """Sends the offer and returns the answer, both with the relay's addresses."""
        body = {**body, "sdp": self._relay.rewrite_offer(body["sdp"])}
        answer = await self._server.ask(op, body=body)
        return {**answer, "sdp": self._relay.rewrite_answer(answer["sdp"])}


class CodedClient(Client):
    """A client that sends numbered frames, and keeps the packets that come back.

    They go on to aiortc, too, which sends the receiver reports for them.

    Attributes:
        packets: Of audio, in the order they came.
        begin_s: The loop's time at which frame 0 was sent; frame ``k`` follows 20 ms * ``k`` later.
        late_ms: The most that a frame was sent too late: this process was held up.
    """

    def __init__(self, *, fec: bool = False) -> None:
        line = coded_audio.frames(coded_audio.PERIOD)
        super().__init__(Player(coded_audio.encode(line, fec=fec)))
        self.packets: list[Packet] = []
        self.late_ms = 0.0
        self._heard = asyncio.Event()
        self._drains: set[asyncio.Task[None]] = set()
        self._pc.on("track", self._drain)

    @property
    def begin_s(self) -> float:
        """See the class."""
        return self._origin_s

    async def wait_heard(self) -> None:
        """Returns when the first packet of audio is back."""
        await self._heard.wait()

    async def hang_up(self) -> None:
        """Leaves."""
        await super().hang_up()
        await asyncio.gather(*self._drains)

    def _speak(self) -> None:
        super()._speak()
        (transceiver,) = self._pc.getTransceivers()
        dtls: Any = transceiver.receiver.transport
        theirs = dtls._handle_rtp_data

        async def note(data: bytes, arrival_time_ms: int) -> None:
            packet = RtpPacket.parse(data)
            at_s = asyncio.get_running_loop().time()
            self.packets.append(
                Packet(at_s, packet.sequence_number, packet.payload, packet.timestamp)
            )
            self._heard.set()
            await theirs(data, arrival_time_ms=arrival_time_ms)

        dtls._handle_rtp_data = note

    def _tick(self) -> None:
        late_s = asyncio.get_running_loop().time() - self.begin_s - self.sent * FRAME_S
        self.late_ms = max(self.late_ms, 1000 * late_s)
        super()._tick()

    def _receive(self, theirs: Callable[[bytes, object], None], data: bytes, addr: object) -> None:
        theirs(data, addr)

    def _drain(self, track: MediaStreamTrack) -> None:
        async def drain() -> None:
            try:
                while True:
                    await track.recv()
            except MediaStreamError:
                return

        self._drains.add(asyncio.get_running_loop().create_task(drain()))


class Frame(NamedTuple):
    """A frame that was found in the echo.

    Attributes:
        nth: Of those that were sent, from 0.
        at_s: The time at which the packet with its beginning came, in seconds after frame 0 was
            sent.
    """

    nth: int
    at_s: float

    @property
    def delay_s(self) -> float:
        """From sending to coming back, in seconds."""
        return self.at_s - self.nth * FRAME_S


class Echo(NamedTuple):
    """What came back; times in seconds after frame 0 was sent.

    Attributes:
        frames: Those that were found, in the order they came, each once.
        played_s: The time at which a player would have played each 5 ms, ``(n,)``.
        is_loud: False where there was silence, ``(n,)``.
        repeated: The frames that were found again after later ones.
    """

    frames: list[Frame]
    played_s: NDArray[np.float64]
    is_loud: NDArray[np.bool_]
    repeated: int

    def delays_ms(self, begin_s: float, end_s: float) -> NDArray[np.float64]:
        """Of the frames sent in that time."""
        return np.array(
            [1000 * each.delay_s for each in self.frames if begin_s <= each.nth * FRAME_S < end_s]
        )

    def audio_percent(self, begin_s: float, end_s: float) -> float:
        """The share of that time that was not silent."""
        played = self.is_loud & (self.played_s >= begin_s) & (self.played_s < end_s)
        return min(100.0, 100.0 * int(played.sum()) * coded_audio.HOP_S / (end_s - begin_s))

    def real_percent(self, begin_s: float, end_s: float, most_delay_s: float) -> float:
        """The share of the frames sent in that time that came within that delay."""
        first, last = round(begin_s / FRAME_S), round(end_s / FRAME_S)
        came = [each for each in self.frames if first <= each.nth < last]
        return 100.0 * sum(each.delay_s <= most_delay_s for each in came) / (last - first)

    def resumed_s(self, since_s: float) -> float:
        """The time from then until a frame that was sent after then came; infinite for never."""
        later = [each.at_s for each in self.frames if each.nth * FRAME_S >= since_s]
        return min(later, default=np.inf) - since_s


class Line(NamedTuple):
    """Decoded audio, and when each `coded_audio.FRAME_SAMPLES` of it came and are played."""

    samples: NDArray[np.int16]
    came_s: NDArray[np.float64]
    played_s: NDArray[np.float64]


def decode(packets: list[Packet], begin_s: float) -> Line:
    """Decodes what came back as a plain player does: in order, missing packets concealed."""
    decoder = coded_audio.Decoder()
    parts: list[NDArray[np.int16]] = []
    came_s: list[float] = []
    played_s: list[float] = []
    expected: int | None = None
    for at_s, sequence, payload, _ in packets:
        missing = 0 if expected is None else (sequence - expected) % SEQUENCES
        if missing >= SEQUENCES // 2:
            continue
        expected = (sequence + 1) % SEQUENCES
        blocks = [decoder.conceal(payload) for _ in range(min(missing, LONGEST_CONCEALED))]
        audio = np.concatenate([*blocks, decoder.decode(payload)])
        parts.append(audio)
        for _ in range(audio.size // coded_audio.FRAME_SAMPLES):
            came_s.append(at_s - begin_s)
            after = played_s[-1] + FRAME_S if played_s else came_s[-1] + PLAYER_DELAY_S
            played_s.append(max(after, came_s[-1]))
    samples = np.concatenate(parts) if parts else np.zeros(0, np.int16)
    return Line(samples, np.array(came_s), np.array(played_s))


def evaluate(packets: list[Packet], begin_s: float) -> Echo:
    """Finds the frames in what came back.

    Args:
        packets: In the order they came; of 20 ms each, or a multiple.
        begin_s: The time at which frame 0 was sent, on the same clock.
    """
    line = decode(packets, begin_s)
    windows = coded_audio.read(line.samples)
    at = np.arange(windows.numbers.size) * round(coded_audio.HOP_S * coded_audio.RATE_HZ)
    packet, within = np.divmod(at, coded_audio.FRAME_SAMPLES)
    found = [
        (number, float(line.came_s[packet[window]]))
        for number, window in coded_audio.found(windows.numbers)
    ]
    frames: dict[int, Frame] = {}
    repeated, newest = 0, -1
    for frame in _certain(found):
        if frame.nth in frames:
            repeated += frame.nth < newest
            continue
        frames[frame.nth] = frame
        newest = max(newest, frame.nth)
    played_s = line.played_s[packet] + within / coded_audio.RATE_HZ
    return Echo(list(frames.values()), played_s, windows.is_loud, repeated)


def by_timestamp(packets: list[Packet], begin_s: float) -> Echo:
    """The frames by the timestamps of their packets, whatever is in them.

    At bit rates that a narrow path leaves, no code of 20 ms survives. Their delay is that of the
    path alone, and the first one has none.
    """
    decoder = coded_audio.Decoder()
    frames: list[Frame] = []
    first = packets[0]
    for packet in packets:
        since = (packet.timestamp - first.timestamp) % (1 << 32)
        sent_s = first.at_s - begin_s + since / coded_audio.RATE_HZ
        count = decoder.decode(packet.payload).size // coded_audio.FRAME_SAMPLES
        nth = round(sent_s / FRAME_S)
        frames += [Frame(nth + k, packet.at_s - begin_s) for k in range(count)]
    return Echo(frames, np.zeros(0), np.zeros(0, np.bool_), 0)


def _certain(found: list[tuple[int, float]]) -> Iterator[Frame]:
    """The frames, out of numbers and times, that have come as late as others around them.

    Where a lost packet was concealed, two frames are mixed into what may have any number.
    """
    period = coded_audio.PERIOD
    late = np.array([round(at_s / FRAME_S) - number for number, at_s in found])
    delay = 0
    for nth, (_, at_s) in enumerate(found):
        around = late[max(0, nth - NEIGHBOURS) : nth + NEIGHBOURS + 1] - late[nth]
        apart = np.abs((around + period // 2) % period - period // 2)
        if (apart <= ALIKE_FRAMES).sum() <= WITNESSES:
            continue
        # The period is the one nearest to the last delay; and nothing comes before it was sent: a
        # number that shows one is wrong, and no delay of a whole period more.
        found_delay = int(late[nth]) + period * round((delay - int(late[nth])) / period)
        if found_delay < -1:
            continue
        delay = found_delay
        index = round(at_s / FRAME_S) - delay
        if index >= 0:
            yield Frame(index, at_s)


async def call(server: Server, relay: UdpRelay, *, fec: bool = False) -> CodedClient:
    """Calls the server through the relay; returns when the first audio is back."""
    client = CodedClient(fec=fec)
    await client.call(RelayedServer(server, relay))  # type: ignore[arg-type]  # as much as it needs
    async with asyncio.timeout(clients.CONNECT_LIMIT_S):
        await client.wait_heard()
    return client
