"""Each mode over a real connection: what comes back, when, and how it ends. Audio only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.client import Client
from support.serving import SessionServer
from support.signals import chirp, pieces_found, pitch_hz, tone

from gradio_webrtc import AdditionalOutputs, AsyncStreamHandler, ReplyOnPause, WebRTCError
from gradio_webrtc._ui.streaming import make_template

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from numpy.typing import NDArray

    from gradio_webrtc.types import Mode

LOUD = 200


def serve(fn: Any, mode: Mode, **service: Any) -> SessionServer:
    manager = SessionServer()
    manager.serve(make_template(fn, mode, "audio").copy, mode=mode, **service)
    return manager


async def finish(client: Client, manager: SessionServer) -> None:
    await client.hang_up()
    await manager.wait_idle()


# Receive


async def test_a_generator_is_played_in_full_from_the_click_to_its_quiet_end() -> None:
    sent = chirp(2.0)
    steps: list[int] = []

    def generation(num_steps: int) -> Iterator[tuple[int, NDArray[np.int16]]]:
        steps.append(num_steps)
        for piece in np.split(sent, num_steps):
            yield (48_000, piece.reshape(1, -1))

    manager = serve(generation, "receive")
    client = Client(manager, inputs=[5], mode="receive")
    await client.call()
    await client.ended.wait()
    await client.closed.wait()
    await finish(client, manager)
    assert steps == [5]
    assert [(m["type"], m["data"]) for m in client.messages] == [
        ("send_input", []),
        ("end_stream", ""),
    ], "one end, without a word, and no error"
    assert client.audible_seconds() == pytest.approx(2.0, abs=0.02)
    places = pieces_found(client.received_audio(), sent)
    assert places == sorted(places)
    assert min(places) >= 0


async def test_nothing_is_asked_of_the_generator_before_the_inputs_have_come() -> None:
    order: list[str] = []

    def generation(word: str) -> Iterator[tuple[int, NDArray[np.int16]]]:
        order.append(word)
        yield (24_000, tone(0.2, 500, 24_000))

    manager = serve(generation, "receive")
    client = Client(manager, mode="receive")
    client.on_send_input = lambda: order.append("send_input")
    await client.call()
    await client.until(lambda: bool(order))
    client.send_inputs("hello")
    await client.until(lambda: client.loud_seconds() > 0)
    client.send_inputs("a second click of the same call")
    await client.ended.wait()
    await finish(client, manager)
    assert order == ["send_input", "hello"]


async def test_the_generator_is_never_far_ahead_of_the_client() -> None:
    received_s: list[float] = []

    def generation() -> Iterator[tuple[int, NDArray[np.int16]]]:
        for _ in range(15):
            received_s.append(client.loud_seconds())
            yield (24_000, tone(0.2, 500, 24_000))

    manager = serve(generation, "receive")
    client = Client(manager, mode="receive")
    await client.call()
    await client.ended.wait()
    await finish(client, manager)
    ahead_s = [0.2 * index - received for index, received in enumerate(received_s)]
    # A second waits in the queue, a chunk for room in it, some frames in the jitter buffer.
    assert max(ahead_s) <= 1.0 + 0.2 + 0.3
    assert client.audible_seconds() == pytest.approx(3.0, abs=0.02)


async def test_another_click_starts_again_at_once() -> None:
    started: list[str] = []

    def generation(word: str) -> Iterator[tuple[int, NDArray[np.int16]]]:
        started.append(word)
        for _ in range(100):
            yield (24_000, tone(0.1, 500, 24_000))

    manager = serve(generation, "receive", concurrency_limit=1)
    first = Client(manager, inputs=["first"], mode="receive")
    second = Client(manager, inputs=["second"], mode="receive")
    await first.call()
    await first.until(lambda: first.loud_seconds() > 0.2)
    session = manager.find(first.webrtc_id, first.secret)
    await first.hang_up()
    await session.transport.wait_closed()
    answer = await second.call()
    await second.until(lambda: second.loud_seconds() > 0.2)
    await finish(second, manager)
    assert answer["type"] == "answer"
    assert started == ["first", "second"]


async def test_an_async_generator_cleans_up_when_the_client_leaves() -> None:
    cleaned = asyncio.Event()

    async def generation() -> AsyncIterator[tuple[int, NDArray[np.int16]]]:
        try:
            while True:
                yield (24_000, tone(0.1, 500, 24_000))
        finally:
            cleaned.set()

    manager = serve(generation, "receive")
    client = Client(manager, mode="receive")
    await client.call()
    await client.until(lambda: client.loud_seconds() > 0.2)
    await finish(client, manager)
    assert cleaned.is_set()


@pytest.mark.parametrize(
    ("error", "text"),
    [(WebRTCError("no such song"), "no such song"), (KeyError("secret"), "Something went wrong")],
)
async def test_an_error_is_reported_and_ends_the_stream(error: Exception, text: str) -> None:
    def generation() -> Iterator[tuple[int, NDArray[np.int16]]]:
        yield (24_000, tone(0.2, 500, 24_000))
        raise error

    manager = serve(generation, "receive")
    client = Client(manager, mode="receive")
    await client.call()
    await client.ended.wait()
    await finish(client, manager)
    kinds = [message["type"] for message in client.messages]
    assert kinds == ["send_input", "error", "end_stream"]
    assert str(client.messages[1]["data"]).startswith(text)
    assert "secret" not in str(client.messages)


async def test_nothing_now_is_no_end() -> None:
    def generation() -> Iterator[tuple[int, NDArray[np.int16]] | None]:
        yield None
        yield (24_000, tone(0.2, 500, 24_000))
        yield None

    manager = serve(generation, "receive")
    client = Client(manager, mode="receive")
    await client.call()
    await client.ended.wait()
    await finish(client, manager)
    assert client.audible_seconds() == pytest.approx(0.2, abs=0.02)


def planar(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    return np.stack([left, right])


def packed(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    return np.stack([left, right], axis=1).reshape(1, -1)


@pytest.mark.parametrize(
    ("rate_hz", "convert", "layout"),
    [
        (44_100, planar, ()),
        (24_000, planar, ("stereo",)),
        (16_000, packed, ("stereo",)),
        (48_000, lambda *channels: planar(*channels).astype(np.float32) / 32768, ()),
        (22_050, lambda *channels: packed(*channels).astype(np.float64) / 32768, ("stereo",)),
        (8_000, lambda *channels: planar(*channels).astype(np.int32) << 16, ()),
    ],
)
async def test_each_channel_carries_its_own_tone(
    rate_hz: int, convert: Callable[..., NDArray[Any]], layout: tuple[str, ...]
) -> None:
    channels = [tone(1.0, hz, rate_hz) for hz in (500, 800)]

    def generation() -> Iterator[object]:
        yield (rate_hz, convert(*channels), *layout)

    manager = serve(generation, "receive")
    client = Client(manager, mode="receive")
    await client.call()
    await client.ended.wait()
    await finish(client, manager)
    left = np.concatenate([samples for _, samples in client.audio_frames])
    right = np.concatenate(client.right)
    assert client.audible_seconds() == pytest.approx(1.0, abs=0.02)
    assert pitch_hz(left, 48_000) == pytest.approx(500, abs=5)
    assert pitch_hz(right, 48_000) == pytest.approx(800, abs=5)


class Announces(AsyncStreamHandler):
    """A handler in mode "receive": it is asked when the inputs are there."""

    async def receive(self, frame: Any) -> None:
        raise AssertionError(f"no audio is received in this mode, but {frame!r} came")

    async def emit(self) -> Any:
        if self.latest_args[-1] == "done":
            await asyncio.Event().wait()
        self.latest_args.append("done")
        return (24_000, tone(0.3, self.latest_args[1], 24_000))

    def copy(self) -> Announces:
        return Announces()


async def test_a_handler_may_speak_in_mode_receive() -> None:
    manager = serve(Announces(), "receive")
    client = Client(manager, inputs=[700], mode="receive")
    await client.call()
    await client.until(lambda: client.loud_seconds() >= 0.28)
    await finish(client, manager)
    loud = np.concatenate(
        [samples for _, samples in client.audio_frames if np.abs(samples).max() > LOUD]
    )
    assert pitch_hz(loud, 48_000) == pytest.approx(700, abs=15)


# Send


class Counts(AsyncStreamHandler):
    """Gives three outputs, each with audio that reaches nobody, as soon as it is asked."""

    def __init__(self, all_emitted: asyncio.Event) -> None:
        super().__init__()
        self.all_emitted = all_emitted
        self.emitted = 0

    async def receive(self, frame: Any) -> None:
        pass

    async def emit(self) -> Any:
        if self.emitted == 3:
            self.all_emitted.set()
            await asyncio.Event().wait()
        self.emitted += 1
        return ((24_000, tone(5.0, 500, 24_000)), AdditionalOutputs(self.emitted, "more"))

    def copy(self) -> Counts:
        return Counts(self.all_emitted)


class ClientWithoutChannel(Client):
    """Its one channel needs no opening (RFC 8832 section 1), so the server is notified of none."""

    channel_options = {"negotiated": True, "id": 1000}  # noqa: RUF012


async def test_outputs_from_before_the_channel_opens_reach_the_page_in_order() -> None:
    emitted = asyncio.Event()
    manager = serve(Counts(emitted), "send")
    manager.has_outputs = True
    client = ClientWithoutChannel(manager, mode="send")
    await client.call()
    await emitted.wait()
    client.open_channel()
    await client.until(lambda: len(client.outputs) == 3)
    directions = [transceiver.currentDirection for transceiver in client.pc.getTransceivers()]
    await finish(client, manager)
    assert client.outputs == [(1, "more"), (2, "more"), (3, "more")]
    assert directions == ["sendonly"]
    assert client.audio_frames == []


async def test_a_turn_in_mode_send_gives_outputs_and_no_audio() -> None:
    def transcribe(audio: Any, state: list[str]) -> Iterator[object]:
        yield (audio[0], tone(1.0, 500, audio[0]))
        yield AdditionalOutputs([*state, "a turn"])

    manager = serve(ReplyOnPause(transcribe), "send")
    manager.has_outputs = True
    client = Client(manager, inputs=[["before"]], mode="send")
    await client.call()
    handler = manager.find(client.webrtc_id, client.secret).handler
    assert isinstance(handler, ReplyOnPause)
    handler.trigger_response()
    await client.until(lambda: len(client.outputs) == 1)
    await finish(client, manager)
    assert client.outputs == [(["before", "a turn"],)]
    assert client.audio_frames == []
