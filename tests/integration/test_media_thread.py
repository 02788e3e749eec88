"""Sessions whose audio a thread of the core receives, and those where the event loop does."""

from __future__ import annotations

import asyncio
from queue import Queue
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support import coded_audio
from support.client import Client
from support.serving import SessionServer
from support.signals import chirp, pieces_found, speech_at_48k, tone
from support.udp_relay import RelayedServer, UdpRelay

from gradio_webrtc import AlgoOptions, AsyncStreamHandler, ReplyOnPause
from gradio_webrtc._session.buffers import OutboundAudioBuffer
from gradio_webrtc._session.inbound_pump import InboundPump
from gradio_webrtc._transport.webrtc.media_loop import SWITCH, MediaLoop
from gradio_webrtc.testing import Network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gradio_webrtc._handlers import StreamHandlerBase

Frame = tuple[int, "NDArray[np.int16]"]

REPLY_S = 3.0


class Echo(AsyncStreamHandler):
    def __init__(self) -> None:
        super().__init__(input_sample_rate=48_000, output_sample_rate=48_000)
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()

    def copy(self) -> Echo:
        return Echo()

    async def receive(self, frame: Frame) -> None:
        self.frames.put_nowait(frame)

    async def emit(self) -> Frame:
        return await self.frames.get()


class Assistant(AsyncStreamHandler):
    """Emits the replies of a service, in chunks of 24 kHz as they arrive."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=24_000, output_sample_rate=24_000)
        self.replies: asyncio.Queue[Frame] = asyncio.Queue()
        self.has_received = asyncio.Event()
        self.copies: list[Assistant] = []

    def copy(self) -> Assistant:
        self.copies.append(Assistant())
        return self.copies[-1]

    async def receive(self, _frame: Frame) -> None:
        self.has_received.set()
        await asyncio.sleep(0)

    async def emit(self) -> Frame:
        return await self.replies.get()

    def reply(self, audio: NDArray[np.int16]) -> None:
        for chunk in np.split(audio, audio.size // 4_800):
            self.replies.put_nowait((24_000, chunk.reshape(1, -1)))


class Spy:
    """Counts what sessions do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.attached = self.sending = self.blocks = self.pulled = 0
        attach, take = MediaLoop.attach, InboundPump._take  # noqa: SLF001  # what it watches
        attach_sender, pull = MediaLoop.attach_sender, OutboundAudioBuffer.pull

        def counted_attach(media: MediaLoop, *arguments: Any) -> Any:
            self.attached += 1
            return attach(media, *arguments)

        def counted_attach_sender(media: MediaLoop, *arguments: Any) -> Any:
            self.sending += 1
            return attach_sender(media, *arguments)

        def counted_pull(buffer: OutboundAudioBuffer, *, partial: bool = False) -> Any:
            self.pulled += 1
            return pull(buffer, partial=partial)

        def counted_take(pump: InboundPump, block: Any) -> float:
            self.blocks += 1
            return take(pump, block)

        monkeypatch.setattr(MediaLoop, "attach", counted_attach)
        monkeypatch.setattr(MediaLoop, "attach_sender", counted_attach_sender)
        monkeypatch.setattr(InboundPump, "_take", counted_take)
        monkeypatch.setattr(OutboundAudioBuffer, "pull", counted_pull)


def serve(handler: StreamHandlerBase) -> SessionServer:
    manager = SessionServer()
    manager.serve(handler.copy)
    return manager


@pytest.mark.parametrize("value", ["on", "off"])
async def test_an_echo_is_whole_with_the_thread_and_without(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, value)
    spy = Spy(monkeypatch)
    sent = chirp(2.0)
    manager = serve(Echo())
    client = Client(manager, np.concatenate([np.zeros(24_000, np.int16), sent]))
    await client.call()
    await client.until(lambda: client.loud_seconds() >= 1.9)
    # Reports of both ends come every second or so.
    await client.until(lambda: manager.all_stats()[0].transport.round_trip_time_s is not None)
    (session,) = manager.all_stats()
    assert session.transport.packets_sent >= 95
    assert session.transport.bytes_sent > 95 * 20
    await client.hang_up()
    await manager.wait_idle()
    assert spy.attached == spy.sending == (value == "on")
    assert (spy.pulled == 0) == (value == "on")
    places = pieces_found(client.received_audio(), sent)
    found = [place for place in places if place >= 0]
    assert len(found) >= 0.8 * len(places)
    assert found == sorted(found)


@pytest.mark.parametrize("value", ["on", "off"])
async def test_replies_come_whole_although_the_queue_was_cleared_while_emit_waited(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, value)
    template, sent = Assistant(), chirp(2.0)
    manager = serve(template)
    client = Client(manager)
    await client.call()
    (assistant,) = template.copies
    await assistant.has_received.wait()
    for turn in (1, 2):
        # All replies were taken, and ``emit`` waits.
        assistant.clear_queue()
        assistant.reply(chirp(2.0, 24_000))
        enough_s = 1.95 * turn
        await client.until(lambda: client.loud_seconds() >= enough_s)  # noqa: B023 - awaited here
    await client.hang_up()
    await manager.wait_idle()
    received = client.received_audio()
    for half in np.array_split(received, 2):
        places = pieces_found(half, sent)
        found = [place for place in places if place >= 0]
        assert len(found) >= 0.8 * len(places)
        assert found == sorted(found)


@pytest.mark.parametrize("can_interrupt", [True, False])
async def test_the_thread_detects_turns_and_wakes_the_loop_for_events_alone(
    *, can_interrupt: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, "on")
    spy = Spy(monkeypatch)
    turns: Queue[int] = Queue()

    def answer(audio: Frame) -> Iterator[Frame]:
        turns.put(audio[1].size)
        yield 48_000, tone(REPLY_S, 440).reshape(1, -1)

    said = speech_at_48k("synth_hibari_24k")[: 48_000 * 4]
    spoken = np.concatenate([np.zeros(24_000, np.int16), said])
    manager = serve(ReplyOnPause(answer, can_interrupt=can_interrupt, input_sample_rate=48_000))
    client = Client(manager, spoken)
    await client.call()
    await client.until(lambda: not turns.empty())
    (session,) = manager.all_stats()
    assert session.transport.packets_received > 100
    assert spy.attached == 1
    assert spy.blocks < 0.1 * session.transport.packets_received
    # Speech in the middle of the answer is a turn of its own, or is not detected at all.
    await client.until(lambda: client.loud_seconds() > 0.5)
    client.microphone.say(said)
    if can_interrupt:
        await client.until(lambda: turns.qsize() >= 2)
    else:
        await client.until(lambda: client.loud_seconds() > REPLY_S - 0.3)
        assert turns.qsize() == 1
    await client.hang_up()
    await manager.wait_idle()


@pytest.mark.parametrize("value", ["on", "off"])
async def test_a_model_ends_turns_whose_pause_never_would(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, value)
    turns: Queue[int] = Queue()

    class Certain:
        def probability(self, *_: Any, **__: Any) -> float:
            return 1.0

    def answer(audio: Frame) -> Iterator[Frame]:
        turns.put(audio[1].size)
        yield 48_000, tone(0.2, 440).reshape(1, -1)

    said = speech_at_48k("asterisk_hello_world_16k")
    endless = AlgoOptions(pause_s=60.0)
    manager = serve(ReplyOnPause(answer, algo_options=endless, turn_end=Certain()))
    client = Client(manager, np.concatenate([np.zeros(24_000, np.int16), said]))
    await client.call()
    await client.until(lambda: not turns.empty())
    ended = turns.get()
    assert 0.5 * said.size < ended < said.size + 48_000
    await client.until(lambda: client.loud_seconds() > 0.1)
    client.microphone.say(said)
    await client.until(lambda: not turns.empty())
    (session,) = manager.all_stats()
    assert session.events["turn_end_estimated"] >= 2
    assert session.events["pause_detected"] >= 2
    await client.hang_up()
    await manager.wait_idle()


@pytest.mark.parametrize("value", ["on", "off"])
async def test_a_sender_that_goes_on_with_an_earlier_stream_is_received_whole(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, value)
    sent = chirp(3.0)
    manager = serve(Echo())
    client = Client(manager, np.concatenate([np.zeros(24_000, np.int16), sent]))
    await client.call()
    (sender,) = client.pc.getSenders()
    first = vars(sender)["_ssrc"]
    for second_s, ssrc in [(1.0, first ^ 1), (2.0, first)]:
        await client.until(lambda: client.loud_seconds() >= second_s)  # noqa: B023 - awaited here
        vars(sender)["_ssrc"] = ssrc
    await client.until(lambda: client.loud_seconds() >= 2.6)
    (session,) = manager.all_stats()
    assert session.transport.packets_lost == 0
    await client.hang_up()
    await manager.wait_idle()
    places = pieces_found(client.received_audio(), sent)
    found = [place for place in places if place >= 0]
    assert len(found) >= 0.8 * len(places)
    assert found == sorted(found)


async def test_a_path_that_carries_little_gets_fewer_packets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SWITCH, "on")
    manager = SessionServer()
    manager.serve(Echo)
    # Beside the headers of 50 packets a second it has no room for speech, but a queue of seconds.
    narrow = Network(kbit_per_s=24, queue_ms=5_000)
    async with UdpRelay(down=narrow) as relay:
        server: Any = RelayedServer(manager, relay)
        client = Client(server, coded_audio.frames(600))
        await client.call()
        await client.until(lambda: relay.up.carried >= 400)
        sent, echoed = relay.up.carried, relay.down.carried
        await client.until(lambda: relay.up.carried >= sent + 150)
        sent, echoed = relay.up.carried - sent, relay.down.carried - echoed
        assert relay.down.stats()["lost"] == 0
        await client.hang_up()
        await manager.wait_idle()
    # Packets of three frames each.
    assert 0 < echoed <= 0.5 * sent
