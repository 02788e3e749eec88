"""Clients that send no more packets once the user has spoken: the reply comes all the same."""

from __future__ import annotations

from queue import Queue
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from av import Packet
from support.client import FRAME_SAMPLES, Client, Microphone
from support.serving import SessionServer
from support.signals import speech_at_48k, tone

from gradio_webrtc import ReplyOnPause
from gradio_webrtc._audio import MAX_STALL_S
from gradio_webrtc._media import AudioEncoder
from gradio_webrtc._transport.webrtc.media_loop import SWITCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

Frame = tuple[int, "NDArray[np.int16]"]

HELLO: Final = speech_at_48k("asterisk_hello_world_16k")
SPOKEN_S: Final = 0.98
"""Seconds of `HELLO`, in the middle of a word."""


class Answers:
    """Stores the audio of turns, and answers each with a tone."""

    def __init__(self) -> None:
        self.turns: Queue[Frame] = Queue()

    def __call__(self, audio: Frame) -> Iterator[Frame]:
        self.turns.put(audio)
        yield 48_000, tone(0.5, 440).reshape(1, -1)


class InThread(ReplyOnPause):
    """Gets each frame from the session, in a thread."""

    def receive(self, frame: Frame) -> None:
        super().receive(frame)


def in_stereo(answers: Answers) -> ReplyOnPause:
    """A handler that gets each frame on the event loop."""
    return ReplyOnPause(answers, expected_layout="stereo")


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (ReplyOnPause, "on"),
        (in_stereo, "on"),
        (InThread, "on"),
        (ReplyOnPause, "off"),
        (in_stereo, "off"),
    ],
)
async def test_a_turn_whose_client_stops_sending_is_answered(
    make: Callable[[Any], ReplyOnPause], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, value)
    answers = Answers()
    manager = SessionServer()
    manager.serve(make(answers).copy)
    said = HELLO[: round(SPOKEN_S * 48_000)]
    client = Client(manager, np.append(np.zeros(48_000, np.int16), said))
    await client.call()
    await client.microphone.finished.wait()
    (sender,) = client.pc.getSenders()
    sender.replaceTrack(None)
    await client.until(lambda: client.loud_seconds() > 0.45)
    rate_hz, audio = answers.turns.get_nowait()
    # All of it, also the packets that waited to be decoded.
    loud = np.flatnonzero(np.abs(audio.reshape(-1)) > 300)
    assert (loud[-1] - loud[0]) / rate_hz > SPOKEN_S - 0.35
    # What is said later is of a turn of its own.
    client.microphone.say(HELLO)
    sender.replaceTrack(client.microphone)
    await client.until(lambda: client.loud_seconds() > 0.95)
    rate_hz, audio = answers.turns.get_nowait()
    assert audio.size / rate_hz < HELLO.size / 48_000 + 1.0
    assert answers.turns.empty()
    await client.hang_up()
    await manager.wait_idle()


class PausingMicrophone(Microphone):
    """Sends nothing during some of its frames; timestamps go on, sequence numbers do not.

    Args:
        samples: The audio that it plays, int16 ``(n,)``.
        pause: Numbers of the first of these frames, and of the first one behind them.
    """

    def __init__(self, samples: NDArray[np.int16], pause: tuple[int, int]) -> None:
        super().__init__(samples)
        self._pause = pause
        self._encoder = AudioEncoder(1)

    async def recv(self) -> Any:
        first, behind = self._pause
        if self._frames == first:
            self._frames = behind
        frame = await super().recv()
        # aiortc's encoder counts samples: the timestamps of its packets have no gaps.
        samples: Any = frame.to_ndarray()
        packet: Any = Packet(self._encoder.encode(samples))
        packet.pts, packet.time_base = frame.pts, frame.time_base
        return packet


@pytest.mark.parametrize("make", [ReplyOnPause, InThread])
@pytest.mark.parametrize("value", ["on", "off"])
async def test_a_pause_in_which_nothing_is_sent_ends_a_turn(
    make: Callable[[Any], ReplyOnPause], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, value)
    answers = Answers()
    manager = SessionServer()
    manager.serve(make(answers).copy)
    before = np.append(np.zeros(48_000, np.int16), HELLO[: round(SPOKEN_S * 48_000)])
    pause = np.zeros(round(0.75 * MAX_STALL_S * 48_000), np.int16)
    first = before.size // FRAME_SAMPLES
    behind = (before.size + pause.size) // FRAME_SAMPLES
    client = Client(manager)
    client.microphone = PausingMicrophone(np.concatenate([before, pause, HELLO]), (first, behind))
    await client.call()
    await client.until(lambda: answers.turns.qsize() == 2)
    for _ in range(2):
        rate_hz, audio = answers.turns.get_nowait()
        assert audio.size / rate_hz < HELLO.size / 48_000 + 1.0
    await client.hang_up()
    await manager.wait_idle()
