"""Two peers in one process, a real connection between them."""

from __future__ import annotations

import asyncio
import gc
import re
import threading
import time
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from support.client import Client
from support.serving import SessionServer
from support.signals import chirp, pieces_found, pitch_hz, speech, tone

from gradio_webrtc import (
    AdditionalOutputs,
    AsyncStreamHandler,
    CloseStream,
    ReplyOnPause,
    StreamHandler,
)
from gradio_webrtc._audio import Resampler
from gradio_webrtc._transport.webrtc import peer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradio_webrtc._handlers import StreamHandlerBase
    from gradio_webrtc.types import EmitType, Mode


Frame = tuple[int, NDArray[np.int16]]
OURS = ("emit-", "receive-", "audio-decoder")


class BlockingEcho(StreamHandler):
    """The user guide's echo, whose emit blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: Queue[Frame] = Queue()

    def receive(self, frame: Frame) -> None:
        self.queue.put(frame)

    def emit(self) -> Frame:
        return self.queue.get()

    def copy(self) -> BlockingEcho:
        return BlockingEcho()


def serve(handler: StreamHandlerBase, **service: object) -> SessionServer:
    manager = SessionServer()
    manager.serve(handler.copy, **service)
    return manager


async def test_an_echo_gives_back_everything_in_order_and_in_tune() -> None:
    sent = chirp(3.0)
    manager = serve(BlockingEcho())
    client = Client(manager, np.concatenate([np.zeros(24_000, np.int16), sent]))
    await client.call()
    await client.until(lambda: client.loud_seconds() >= 2.9)
    await client.hang_up()
    await manager.wait_idle()
    places = pieces_found(client.received_audio(), sent)
    found = [place for place in places if place >= 0]
    assert len(found) >= 0.8 * len(places), "a busy machine may put gaps into some pieces"
    assert found == sorted(found)


async def test_no_thread_waits_for_audio_that_is_decoded_without_one() -> None:
    manager = serve(BlockingEcho())
    client = Client(manager, tone(2.0, 440))
    await client.call()
    await client.until(lambda: client.loud_seconds() >= 0.5)
    decoders = [each for each in threading.enumerate() if "decoder" in each.name]
    await client.hang_up()
    await manager.wait_idle()
    assert len(decoders) == 1, "that of the client"


async def test_a_client_that_sends_another_codec_than_opus_is_received_as_well() -> None:
    manager = serve(BlockingEcho())
    client = Client(manager, tone(3.0, 440))
    request = manager.handle_request

    async def handle_request(body: dict[str, object]) -> dict[str, object]:
        answer = await request(body)
        # aiortc sends in the first one that was agreed on: here PCMU, which is 0.
        media = re.search(r"m=audio \d+ \S+ (.*)\r", str(answer["sdp"]))
        assert media is not None
        assert "0" in media[1].split()[1:]
        first = " ".join(["0", *(each for each in media[1].split() if each != "0")])
        return answer | {"sdp": str(answer["sdp"]).replace(media[1], first, 1)}

    vars(manager)["handle_request"] = handle_request
    await client.call()
    await client.until(lambda: client.loud_seconds() >= 2.5)
    await client.hang_up()
    await manager.wait_idle()
    loud = np.concatenate([s for _, s in client.audio_frames if np.abs(s).max() > 200])
    assert pitch_hz(loud[:48_000], 48_000) == pytest.approx(440, abs=5)


async def test_two_clients_receive_only_themselves() -> None:
    manager = serve(BlockingEcho(), concurrency_limit=2)
    low = Client(manager, tone(2.0, 440))
    high = Client(manager, tone(2.0, 1000))
    await asyncio.gather(low.call(), high.call())
    await low.until(lambda: low.loud_seconds() >= 1.5)
    await high.until(lambda: high.loud_seconds() >= 1.5)
    await asyncio.gather(low.hang_up(), high.hang_up())
    await manager.wait_idle()
    assert pitch_hz(low.received_audio()[:48_000], 48_000) == pytest.approx(440, abs=5)
    assert pitch_hz(high.received_audio()[:48_000], 48_000) == pytest.approx(1000, abs=5)


def _speech_at_48k(name: str) -> NDArray[np.int16]:
    rate_hz, samples = speech(name)
    resampler = Resampler(rate_hz, 48_000)
    return np.concatenate([resampler.process(samples), resampler.flush()], axis=None)


async def test_a_spoken_turn_is_answered() -> None:
    turns: list[Frame] = []

    def reply(audio: Frame) -> Iterator[object]:
        turns.append(audio)
        yield AdditionalOutputs("got your turn")
        for _ in range(5):
            yield (24_000, tone(0.1, 600, 24_000).reshape(1, -1))

    manager = serve(ReplyOnPause(reply))
    manager.has_outputs = True
    sent = _speech_at_48k("austen_0880_16k")
    client = Client(manager, sent)
    await client.call()
    await client.until(lambda: client.loud_seconds() >= 0.48)
    kinds = [message["type"] for message in client.messages]
    await client.hang_up()
    await manager.wait_idle()
    assert len(turns) == 1
    rate_hz, audio = turns[0]
    assert rate_hz == 48_000
    assert audio.dtype == np.int16
    assert audio.shape[0] == 1
    assert "fetch_output" in kinds
    loud = np.concatenate([s for _, s in client.audio_frames if np.abs(s).max() > 200])
    assert pitch_hz(loud, 48_000) == pytest.approx(600, abs=8)


async def test_speaking_over_a_reply_stops_it() -> None:
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()
    turns = []

    def reply(audio: Frame) -> Iterator[Frame]:
        turns.append(audio)
        try:
            for _ in range(600 if len(turns) == 1 else 1):
                yield (24_000, tone(0.1, 600, 24_000).reshape(1, -1))
        finally:
            loop.call_soon_threadsafe(closed.set)

    first = _speech_at_48k("goforward_16k")
    second = _speech_at_48k("austen_0880_16k")
    gap = np.zeros(48_000 * 3, np.int16)
    manager = serve(ReplyOnPause(reply))
    client = Client(manager, np.concatenate([first, gap, second]))
    await client.call()
    await closed.wait()
    await client.until(lambda: len(turns) == 2)
    await client.hang_up()
    await manager.wait_idle()
    assert client.loud_seconds() < 10
    places = pieces_found(turns[1][1].reshape(-1), second)
    found = sum(place >= 0 for place in places)
    assert found >= 0.3 * len(places), "what was spoken since the onset begins the next turn"


async def test_the_time_limit_is_reported_and_kept() -> None:
    manager = serve(BlockingEcho(), time_limit_s=0.5)
    client = Client(manager)
    await client.call()
    await client.ended.wait()
    await client.closed.wait()
    reasons = [m["data"] for m in client.messages if m["type"] == "end_stream"]
    await client.hang_up()
    await manager.wait_idle()
    assert reasons == ["The time limit of 0.5 seconds is reached."]


class SaysGoodbye(AsyncStreamHandler):
    """Emits half a second of audio, then closes the session."""

    def __init__(self) -> None:
        super().__init__()
        self.has_spoken = False

    async def receive(self, frame: Frame) -> None:
        pass

    async def emit(self) -> EmitType:
        if self.has_spoken:
            await asyncio.Event().wait()
        self.has_spoken = True
        return ((24_000, tone(0.5, 500, 24_000).reshape(1, -1)), CloseStream("goodbye"))

    def copy(self) -> SaysGoodbye:
        return SaysGoodbye()


async def test_close_stream_ends_the_session_after_the_last_word() -> None:
    manager = serve(SaysGoodbye())
    client = Client(manager)
    await client.call()
    await client.ended.wait()
    await client.closed.wait()
    await client.hang_up()
    await manager.wait_idle()
    assert [m["data"] for m in client.messages if m["type"] == "end_stream"] == ["goodbye"]
    assert client.loud_seconds() >= 0.4


async def test_one_client_over_the_limit_is_refused_and_the_slot_is_free_afterwards() -> None:
    manager = serve(BlockingEcho())
    first, second, third = Client(manager), Client(manager), Client(manager)
    await first.call()
    refusal = await second.call()
    await first.hang_up()
    await manager.wait_idle()
    await third.call()
    await asyncio.gather(second.hang_up(), third.hang_up())
    await manager.wait_idle()
    assert refusal["status"] == "failed"
    assert refusal["meta"]["error"] == "concurrency_limit_reached"
    assert refusal["meta"]["limit"] == 1


@pytest.mark.parametrize(
    "damage",
    [
        {"type": "answer"},
        {"sdp": None},
        {"sdp": "garbage"},
        {"sdp": "v=0\r\nm=audio"},
        {"sdp": "v=0\r\n" + "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\n" * 40},
        {"sdp": "v=0\r\n" + "x" * 70_000},
        {"webrtc_id": 7},
        {"webrtc_id": "x" * 1000},
    ],
)
async def test_a_malformed_offer_is_refused_and_takes_no_slot(damage: dict[str, object]) -> None:
    manager = serve(BlockingEcho())
    client = Client(manager)
    body = await client.offer()
    refusal = await manager.handle_request(body | damage)
    assert refusal["status"] == "failed"
    assert refusal["meta"]["error"] == "invalid_offer"
    assert len(manager) == 0
    await client.hang_up()


async def test_an_id_is_one_sessions() -> None:
    manager = serve(BlockingEcho(), concurrency_limit=2)
    client, double = Client(manager), Client(manager)
    double.webrtc_id = client.webrtc_id
    answer = await client.call()
    refusal = await double.call()
    assert refusal["meta"]["error"] == "connection_already_exists"
    assert "secret" not in refusal
    assert manager.find(client.webrtc_id, answer["secret"]).webrtc_id == client.webrtc_id
    await asyncio.gather(client.hang_up(), double.hang_up())
    await manager.wait_idle()


async def test_knowing_an_id_gives_nothing() -> None:
    manager = serve(BlockingEcho())
    client = Client(manager)
    await client.call()
    candidate = {"candidate": "candidate:1 1 udp 1 127.0.0.1 9 typ host", "sdpMid": "0"}
    for webrtc_id, secret in (
        (client.webrtc_id, None),
        (client.webrtc_id, "guess"),
        ("nobody", client.secret),
    ):
        body = {"webrtc_id": webrtc_id, "secret": secret, "candidate": candidate}
        added = await manager.handle_request({"type": "ice-candidate", **body})
        listed = await manager.handle_request({"type": "candidates", **body})
        assert added == listed
        assert added["meta"]["error"] == "unknown_connection"
    taken = await manager.handle_request(
        {
            "type": "ice-candidate",
            "webrtc_id": client.webrtc_id,
            "secret": client.secret,
            "candidate": candidate,
        }
    )
    await client.hang_up()
    await manager.wait_idle()
    assert taken == {"status": "success"}


@pytest.mark.parametrize("mode", ["send-receive", "receive"])
async def test_a_vanished_client_is_detected_and_everything_is_freed(
    monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    assert peer.VANISHED_S < 10, "the documented limit"
    # A client that only receives sends reports and checks of consent, every five seconds.
    monkeypatch.setattr(peer, "VANISHED_S", 0.8 if mode == "send-receive" else 6.0)
    shut_down = asyncio.Event()

    class Noted(BlockingEcho):
        def shutdown(self) -> None:
            loop.call_soon_threadsafe(shut_down.set)

        def copy(self) -> Noted:
            return Noted()

    loop = asyncio.get_running_loop()
    manager = serve(Noted(), mode=mode)
    client = Client(manager, mode=mode)
    await client.call()
    client.vanish()
    await shut_down.wait()
    await manager.wait_idle()
    assert len(manager) == 0
    await client.hang_up()


@pytest.mark.parametrize("seconds", [0.5, 3.0])
async def test_a_network_that_comes_back_finds_the_session(seconds: float) -> None:
    manager = serve(BlockingEcho())
    client = Client(manager, tone(30.0, 440))
    await client.call()
    await client.until(lambda: client.loud_seconds() > 0)
    await client.lose_network(seconds)
    assert len(manager) == 1
    before_s = client.loud_seconds()
    await client.until(lambda: client.loud_seconds() > before_s + 1.0)
    await client.hang_up()
    await manager.wait_idle()


async def test_a_server_that_slept_does_not_take_its_clients_for_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer, "VANISHED_S", 0.5)
    manager = serve(BlockingEcho())
    client = Client(manager, tone(30.0, 440))
    await client.call()
    await client.until(lambda: client.loud_seconds() > 0)
    # Nothing is read or sent for that long, as with a machine that sleeps.
    time.sleep(peer.VANISHED_S + 2 * peer.STALLED_S)  # noqa: ASYNC251 - that is the point
    before_s = client.loud_seconds()
    await client.until(lambda: client.loud_seconds() > before_s + 1.0 or client.ended.is_set())
    assert not client.ended.is_set()
    await client.hang_up()
    await manager.wait_idle()


async def test_an_offer_that_never_connects_frees_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "CONNECT_TIMEOUT_S", 0.3)
    manager = serve(BlockingEcho())
    client = Client(manager)
    answer = await manager.handle_request(await client.offer())
    assert answer["type"] == "answer"
    assert len(manager) == 1
    await manager.wait_idle()
    assert len(manager) == 0
    await client.hang_up()


async def test_a_client_that_gives_up_while_connecting_frees_the_slot_at_once() -> None:
    manager = serve(BlockingEcho())
    client = Client(manager)
    answer = await manager.handle_request(await client.offer())
    body = {"type": "close", "webrtc_id": client.webrtc_id}
    refused = await manager.handle_request(body | {"secret": "guess"})
    assert refused["meta"]["error"] == "unknown_connection"
    assert len(manager) == 1
    assert await manager.handle_request(body | {"secret": answer["secret"]}) == {
        "status": "success"
    }
    await manager.wait_idle()
    assert len(manager) == 0
    await client.hang_up()


def _census() -> tuple[int, int, int]:
    """The numbers of tasks, threads of ours and open files, sockets among them."""
    gc.collect()
    return (
        len(asyncio.all_tasks()),
        sum(thread.name.startswith(OURS) for thread in threading.enumerate()),
        len(list(Path("/proc/self/fd").iterdir())),
    )


async def test_a_hundred_sessions_leave_no_task_no_thread_and_no_socket() -> None:
    manager = serve(BlockingEcho(), concurrency_limit=10)
    await _call_and_hang_up(manager)
    before = _census()
    for _ in range(20):
        await asyncio.gather(*(_call_and_hang_up(manager) for _ in range(5)))
    await manager.wait_idle()
    # A thread that was asked to end, and a socket that was asked to close, do so a moment later.
    async with asyncio.timeout(60):
        while any(now > then for now, then in zip(_census(), before, strict=True)):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.05)


async def _call_and_hang_up(manager: SessionServer) -> None:
    client = Client(manager)
    await client.call()
    await client.until(lambda: len(client.audio_frames) > 0)
    await client.hang_up()
    await manager.wait_idle()
