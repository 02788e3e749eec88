"""The exam of the `Transport` protocol: the same behaviour from every implementation.

A new transport is an entry of `support.transport_ends.IMPLEMENTATIONS`. Tests of what only a real
network has, such as a connection that takes too long, name the implementations that have it.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.frames import number_of, numbered
from support.signals import chirp, pieces_found, tone
from support.transport_ends import (
    IMPLEMENTATIONS,
    SILENCE,
    WITHOUT_TEXT,
    Ends,
    LoopbackEnds,
    message,
)

from gradio_webrtc import AsyncStreamHandler
from gradio_webrtc._config import SessionConfig
from gradio_webrtc._session.session import Session
from gradio_webrtc._transport import PixelConverter, TimedFrame
from gradio_webrtc._transport.webrtc import peer
from gradio_webrtc.errors import ConnectionLost, ConnectionTimeout
from gradio_webrtc.types import TransportStats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from numpy.typing import NDArray

    from gradio_webrtc._transport import AudioBlock

    Make = Callable[..., Any]

FRAME_SAMPLES = 960

NETWORK = dict.fromkeys(
    ("link-http", "link-websocket", "telephone", "webrtc", "websocket"), pytest.mark.network
)
WITH_VIDEO = [
    pytest.param(name, marks=pytest.mark.network)
    for name in ("link-http", "link-websocket", "webrtc")
]
ALL = [pytest.param(name, marks=NETWORK.get(name, ())) for name in IMPLEMENTATIONS]
WITH_TEXT = [each for each in ALL if each.values[0] not in WITHOUT_TEXT]


class Frames:
    """A source of audio: what an array holds, in frames of 20 ms, and then nothing.

    Attributes:
        times: The time at which each frame was pulled, in seconds of the event loop.
        asleep: Set when the transport waits for more, since there is none.
    """

    def __init__(self, samples: NDArray[np.int16]) -> None:
        self.times: list[float] = []
        self.asleep = asyncio.Event()
        self._frames = samples.reshape(-1, 1, FRAME_SAMPLES)

    async def wait_ready(self) -> None:
        if len(self.times) == len(self._frames):
            self.asleep.set()
            await asyncio.Event().wait()

    def pull(self, *, partial: bool = False) -> NDArray[np.int16] | None:
        del partial
        if len(self.times) == len(self._frames):
            return None
        frame: NDArray[np.int16] = self._frames[len(self.times)]
        self.times.append(asyncio.get_running_loop().time())
        return frame

    def pull_early(self) -> NDArray[np.int16] | None:
        return self.pull()


class NumberedFrames:
    """A source of video without an end: numbered frames, 30 a second."""

    def __init__(self) -> None:
        self._pixels = PixelConverter()
        self._count = 0

    async def next_frame(self) -> TimedFrame:
        self._count += 1
        await asyncio.sleep(1 / 30)
        return TimedFrame(3_000 * self._count, self._pixels.to_planar(numbered(self._count)))

    def limit_fps(self, fps: float) -> None:
        """Sends all there are."""


@pytest.fixture(params=ALL)
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Makes an implementation; whatever was made is closed, and the remote end leaves."""
    made: list[Ends] = []

    def make_ends(config: SessionConfig | None = None, audio: NDArray[np.int16] = SILENCE) -> Ends:
        ends: Ends = IMPLEMENTATIONS[request.param](config or SessionConfig(), audio)
        made.append(ends)
        return ends

    yield make_ends
    for ends in made:
        await ends.transport.close()
        await ends.leave()


async def watch(ends: Ends) -> None:
    """Receives video until it ends."""
    while True:
        await ends.transport.receive_video_frame()


async def connect(ends: Ends) -> None:
    await asyncio.gather(ends.join(), ends.transport.connect())


# ----------------------------------------------------------------------------- life of a session


async def test_a_transport_connects_and_reports_when_the_remote_peer_leaves(make: Make) -> None:
    ends = make()
    await connect(ends)
    waiting = [asyncio.ensure_future(ends.transport.wait_closed()) for _ in range(2)]  # noqa: TID251  # awaited below
    await asyncio.sleep(0)
    assert not any(each.done() for each in waiting)
    await ends.leave()
    reasons = await asyncio.gather(*waiting)
    assert reasons[0]
    assert reasons == [reasons[0]] * 2
    assert await ends.transport.wait_closed() == reasons[0], "later, too"


async def test_closing_gives_a_reason_and_may_be_repeated(make: Make) -> None:
    ends = make()
    await connect(ends)
    await asyncio.gather(ends.transport.close(), ends.transport.close())
    await ends.transport.close()
    assert await ends.transport.wait_closed() == "closed by the server"


async def test_closing_keeps_the_reason_of_the_end(make: Make) -> None:
    ends = make()
    await connect(ends)
    await ends.leave()
    reason = await ends.transport.wait_closed()
    await ends.transport.close()
    assert await ends.transport.wait_closed() == reason


async def test_closing_frees_every_task(make: Make) -> None:
    before = asyncio.all_tasks()
    ends = make()
    ends.transport.play_audio(Frames(tone(1.0, 440)))
    await connect(ends)
    await ends.transport.close()
    await ends.leave()
    # A task that was cancelled ends in the next turn of the event loop.
    left = asyncio.all_tasks() - before
    if left:
        await asyncio.wait(left, timeout=5)
    assert asyncio.all_tasks() - before == set()


async def test_a_transport_that_never_connected_can_be_closed(make: Make) -> None:
    ends = make()
    await ends.transport.close()
    assert await ends.transport.wait_closed()


# ------------------------------------------------------------------------------------ audio


async def test_inbound_audio_is_delivered_whole_and_in_order(make: Make) -> None:
    said = chirp(1.0)
    ends = make(audio=np.concatenate([SILENCE[:24_000], said]))
    blocks: list[AudioBlock] = []
    delivered = asyncio.Event()

    def take(block: AudioBlock) -> float:
        blocks.append(block)
        if sum(each.samples.size // each.channels for each in blocks) >= 2 * 48_000:
            delivered.set()
        return 0.0

    await connect(ends)
    carrying = asyncio.get_running_loop().create_task(ends.transport.carry_audio(take))
    await delivered.wait()
    carrying.cancel()
    await asyncio.gather(carrying, return_exceptions=True)
    for block in blocks:
        assert block.samples.dtype == np.int16
        assert block.samples.shape[0] == 1
        assert block.samples.size % block.channels == 0
        assert block.rate_hz == 48_000
    places = pieces_found(
        np.concatenate([block.samples[0, :: block.channels] for block in blocks]), said
    )
    assert min(places) >= 0
    assert places == sorted(places)


async def test_a_cancelled_delivery_is_over(make: Make) -> None:
    ends = make()
    came = asyncio.Event()
    blocks = 0

    def take(_block: AudioBlock) -> float:
        nonlocal blocks
        blocks += 1
        came.set()
        return 0.0

    await connect(ends)
    carrying = asyncio.get_running_loop().create_task(ends.transport.carry_audio(take))
    await came.wait()
    carrying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await carrying
    before = blocks
    await asyncio.sleep(0.1)  # five packets
    assert blocks == before


async def test_the_exception_of_a_sink_surfaces_and_ends_the_deliveries(make: Make) -> None:
    ends = make()
    calls = 0

    def fail(_block: AudioBlock) -> float:
        nonlocal calls
        calls += 1
        raise ZeroDivisionError

    await connect(ends)
    with pytest.raises(ZeroDivisionError):
        await ends.transport.carry_audio(fail)
    await asyncio.sleep(0.1)  # five packets
    assert calls == 1


async def test_outbound_audio_is_sent_in_real_time_and_in_order_and_rests_at_its_end(
    make: Make,
) -> None:
    said = chirp(1.0)
    ends, source = make(), Frames(said)
    ends.transport.play_audio(source)
    await connect(ends)
    await source.asleep.wait()
    intervals = np.diff(source.times)
    assert len(source.times) == 50
    # Each deadline is the one before plus 20 ms; a busy machine may be late, and catches up.
    assert -0.02 - ends.lead_s <= source.times[-1] - source.times[0] - 0.02 * 49 <= 0.3
    assert np.median(intervals) == pytest.approx(0.02, abs=0.008)
    # The last packets may be on their way, or in the jitter buffer at the other end.
    await ends.until(lambda: min(pieces_found(ends.audio(), said)[:8]) >= 0)
    places = pieces_found(ends.audio(), said)[:8]
    assert places == sorted(places)


# -------------------------------------------------------------------------------- counters


async def test_counters_begin_at_nothing_and_stay_after_the_end(make: Make) -> None:
    ends, source = make(audio=tone(5.0, 440)), Frames(chirp(1.0))
    assert ends.transport.stats() == TransportStats()
    ends.transport.play_audio(source)
    came = asyncio.Event()
    blocks: list[AudioBlock] = []

    def take(block: AudioBlock) -> float:
        blocks.append(block)
        if len(blocks) == 25:
            came.set()
        return 0.0

    await connect(ends)
    carrying = asyncio.get_running_loop().create_task(ends.transport.carry_audio(take))
    await came.wait()
    await source.asleep.wait()
    stats = await asyncio.to_thread(ends.transport.stats)
    carrying.cancel()
    await asyncio.gather(carrying, return_exceptions=True)
    if isinstance(ends, LoopbackEnds):
        # Silence follows the audio, until the other end's concealment has it.
        assert stats.packets_received >= 25
        assert stats.packets_sent >= 50
        assert stats.bytes_sent > stats.packets_sent
        assert stats.bytes_received > stats.packets_received
        assert stats.packets_lost == stats.packets_discarded == stats.concealed_samples == 0
    await ends.transport.close()
    ended = ends.transport.stats()
    assert ended.packets_sent >= stats.packets_sent
    assert ends.transport.stats() == ended


# ------------------------------------------------------------------------------------- text


@pytest.mark.parametrize("make", WITH_TEXT, indirect=True)
async def test_text_is_kept_until_the_remote_peer_can_receive_it(make: Make) -> None:
    ends = make()
    if isinstance(ends, LoopbackEnds):
        # There is no channel yet; a transport without one has nothing to wait for.
        ends.transport.send_text(message("first"))
    await connect(ends)
    if not isinstance(ends, LoopbackEnds):
        ends.transport.send_text(message("first"))
    ends.transport.send_text(message("second"))
    await ends.until(lambda: len(ends.texts()) >= 2)
    assert list(ends.texts()) == ["first", "second"]


@pytest.mark.parametrize("make", WITH_TEXT, indirect=True)
async def test_the_remote_peers_text_is_passed_on(make: Make) -> None:
    ends = make()
    texts: list[str] = []
    came = asyncio.Event()

    def take(text: str) -> None:
        texts.append(text)
        if "hello" in texts:
            came.set()

    ends.transport.on_message = take
    await connect(ends)
    ends.write("hello")
    ends.write("grüezi")
    await came.wait()
    assert texts[texts.index("hello") :][:2] in (["hello"], ["hello", "grüezi"])


class Answers(AsyncStreamHandler):
    """Sends back what its client sends, behind a number."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    async def start_up(self) -> None:
        self.send("ready")

    async def on_message(self, data: Any) -> None:
        self.count += 1
        self.send([self.count, data])

    async def receive(self, _frame: Any) -> None: ...

    async def emit(self) -> None:
        await asyncio.Event().wait()

    def copy(self) -> Answers:
        return Answers()


@pytest.mark.parametrize("make", WITH_TEXT, indirect=True)
async def test_a_handler_and_its_client_exchange_data(make: Make) -> None:
    ends = make()
    session = Session("client", ends.transport, Answers())
    running = asyncio.get_running_loop().create_task(session.run())
    await ends.join()
    await ends.until(lambda: "ready" in ends.messages())
    asked = [{"type": "chat", "data": "grüezi"}, "words", [1, None], 2.5, "x" * 30_000]
    for each in asked:
        ends.write(json.dumps(each))
    ends.write("no JSON")

    def answers() -> list[Any]:
        return [each for each in ends.messages() if isinstance(each, list)]

    await ends.until(lambda: len(answers()) == len(asked) + 1)
    assert answers() == [[number, each] for number, each in enumerate([*asked, "no JSON"], 1)]
    assert session.stats().inbound_messages_dropped == 0
    session.end("over")
    await running


async def test_text_after_the_end_is_dropped(make: Make) -> None:
    ends = make()
    await connect(ends)
    await ends.transport.close()
    ends.transport.send_text(message("too late"))


# ------------------------------------------------------------------------------------ video


async def test_without_video_receiving_a_frame_is_a_lost_connection(make: Make) -> None:
    ends = make()
    await connect(ends)
    with pytest.raises(ConnectionLost):
        await ends.transport.receive_video_frame()


# ------------------------------------------------------------- what only a network has


@pytest.fixture
async def webrtc() -> AsyncIterator[Make]:
    """Makes the transport over WebRTC."""
    made: list[LoopbackEnds] = []

    def make_ends(
        config: SessionConfig | None = None, audio: NDArray[np.int16] = SILENCE
    ) -> LoopbackEnds:
        made.append(LoopbackEnds(config or SessionConfig(), audio))
        return made[-1]

    yield make_ends
    for ends in made:
        await ends.transport.close()
        await ends.leave()


@pytest.mark.network
async def test_a_remote_peer_that_never_comes_is_a_timeout(
    webrtc: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "CONNECT_TIMEOUT_S", 0.2)
    ends = webrtc()
    with pytest.raises(ConnectionTimeout, match="did not connect"):
        await ends.transport.connect()


@pytest.mark.network
async def test_an_end_before_the_connection_is_a_lost_connection(webrtc: Make) -> None:
    ends = webrtc()
    connecting = asyncio.get_running_loop().create_task(ends.transport.connect())
    await asyncio.sleep(0)
    await ends.transport.close()
    with pytest.raises(ConnectionLost):
        await connecting


@pytest.mark.network
async def test_audio_ends_with_the_connection(webrtc: Make) -> None:
    ends = webrtc()
    await connect(ends)
    carrying = asyncio.get_running_loop().create_task(ends.transport.carry_audio(lambda _: 0.0))
    await asyncio.sleep(0)
    await ends.leave()
    with pytest.raises(ConnectionLost):
        await carrying


@pytest.mark.network
async def test_the_newest_texts_are_kept_up_to_a_bound(webrtc: Make) -> None:
    ends = webrtc()
    count = peer.MAX_WAITING_TEXTS + 10
    for number in range(count):
        ends.transport.send_text(message(f"{number}"))
    await connect(ends)
    await ends.until(lambda: len(ends.texts()) >= peer.MAX_WAITING_TEXTS)
    assert list(ends.texts()) == [f"{number}" for number in range(10, count)]
    assert ends.transport.stats().messages_dropped == 10


@pytest.mark.parametrize("make", WITH_VIDEO, indirect=True)
async def test_video_goes_both_ways_and_the_newest_frame_counts(make: Make) -> None:
    ends = make(SessionConfig(modality="video"))
    ends.transport.play_video(NumberedFrames())
    await connect(ends)
    pixels = PixelConverter()
    received: list[TimedFrame] = []
    while len(received) < 5:
        received.append(await ends.transport.receive_video_frame())
    numbers = [number_of(pixels.to_array(frame.frame)) for frame in received]
    assert numbers == sorted(set(numbers))
    assert [each.pts for each in received] == sorted({each.pts for each in received})
    await ends.until(lambda: len(ends.shown()) >= 5)
    stats = ends.transport.stats()
    assert stats.frames_decoded >= len(received)
    assert stats.frames_dropped <= stats.frames_decoded - len(received)
    assert stats.packets_received >= stats.frames_decoded
    assert stats.packets_sent >= 5
    shown = list(map(number_of, ends.shown()))
    assert shown == sorted(shown)
    with pytest.raises(ConnectionLost):
        await ends.transport.carry_audio(lambda _: 0.0)
    await ends.leave()
    with pytest.raises(ConnectionLost):
        await watch(ends)
