"""Replies that are held while the user speaks over them, over real connections."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.client import Client
from support.clock import run_virtual
from support.serving import SessionServer
from support.signals import chirp, pieces_found, speech_at_48k

from gradio_webrtc import ReplyOnPause
from gradio_webrtc._config import SessionConfig
from gradio_webrtc._session.buffers import REWIND_S, OutboundAudioBuffer
from gradio_webrtc._transport.payloads import decode_payload
from gradio_webrtc._transport.telephone import TelephoneReader, TelephoneStart, TelephoneTransport
from gradio_webrtc._transport.webrtc.media_loop import SWITCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

REPLY_S = 3.0
REWOUND_S = 0.2
WORD_S = 0.42


def kinds(client: Client) -> list[str]:
    names = [each.get("type") for each in client.messages if isinstance(each, dict)]
    return [name for name in names if name in ("hold", "resume")]


@pytest.mark.parametrize("value", ["on", "off"])
async def test_a_reply_goes_on_with_nothing_lost_with_the_thread_and_without(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, value)
    reply = chirp(REPLY_S)

    def answer(_audio: Any) -> Iterator[tuple[int, NDArray[np.int16]]]:
        for part in np.array_split(reply, 15):
            yield 48_000, part.reshape(1, -1)

    question = speech_at_48k("cards_003_16k")
    manager = SessionServer()
    handler = ReplyOnPause(
        answer,
        output_sample_rate=48_000,
        resume=True,
        is_interruption=lambda _audio: False,
        echo_guard=False,
    )
    manager.serve(handler.copy)
    client = Client(manager, np.concatenate([np.zeros(24_000, np.int16), question]))
    await client.call()
    await client.until(lambda: client.loud_seconds() > 0.8)
    client.microphone.say(question[: round(WORD_S * 48_000)])
    await client.until(lambda: kinds(client) == ["hold", "resume"])
    await client.until(lambda: client.loud_seconds() > REPLY_S + 0.8 * REWOUND_S)
    (session,) = manager.all_stats()
    assert session.interruptions == 0
    assert session.events["reply_resumed"] == 1
    await client.hang_up()
    await manager.wait_idle()
    places = pieces_found(client.received_audio(), reply)
    found = [place for place in places if place >= 0]
    # One of them is in two parts, before and behind the hold.
    assert len(found) >= len(places) - 2
    assert found == sorted(found)


STEPS = 24
"""Levels of a reply to a telephone, 0.1 s each."""

STEP = 1_000


class Telephone:
    """A telephone that plays what comes, 20 ms every 20 ms, and confirms marks as Twilio does.

    Attributes:
        played: The level of each 20 ms that it has played.
    """

    def __init__(self) -> None:
        start = TelephoneStart("MZ1", "", "mulaw", {})
        self.transport = TelephoneTransport(start, SessionConfig())
        self.played: list[int] = []
        self._reader = TelephoneReader(self.transport, start)
        self._waiting: deque[dict[str, Any]] = deque()

    async def take(self, wire: Any) -> None:
        message = json.loads(wire)
        if message["event"] != "clear":
            self._waiting.append(message)
            return
        marks = [each for each in self._waiting if each["event"] == "mark"]
        self._waiting.clear()
        for mark in marks:
            self._reader.read(json.dumps(mark))

    async def play(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            while self._waiting and self._waiting[0]["event"] == "mark":
                self._reader.read(json.dumps(self._waiting.popleft()))
            if self._waiting:
                samples = decode_payload(self._waiting.popleft()["media"]["payload"], "mulaw")
                level = round(float(np.median(samples)) / STEP)
                # The tail of the resampler is silence.
                self.played += [level] if level else []


@pytest.mark.parametrize("held_at_s", [0.5, 1.13, 2.0])
def test_a_telephone_goes_on_a_little_before_what_it_has_played(held_at_s: float) -> None:
    async def talk() -> tuple[list[int], int]:
        phone = Telephone()
        buffer = OutboundAudioBuffer(phone.transport.clear_audio, 1.0)
        buffer.allow_holds()
        phone.transport.play_audio(buffer)
        phone.transport.attach(phone.take)
        await phone.transport.connect()
        playing = asyncio.get_running_loop().create_task(phone.play())
        levels = np.repeat(np.arange(1, STEPS + 1) * STEP, 4_800).astype(np.int16)
        writing = asyncio.get_running_loop().create_task(buffer.write(48_000, levels))
        await asyncio.sleep(held_at_s)
        buffer.hold()
        await asyncio.sleep(0.1)
        before = len(phone.played)
        await asyncio.sleep(1.0)
        assert len(phone.played) == before
        buffer.release()
        await writing
        buffer.end_reply()
        await asyncio.sleep(2.0)
        playing.cancel()
        await phone.transport.close()
        return phone.played, before

    played, before = run_virtual(talk())
    # Faded in, and the beginning of a resampler's.
    del played[before]
    steps = np.diff(played)
    assert before * 0.02 == pytest.approx(held_at_s, abs=0.15)
    (back,) = np.flatnonzero(steps < 0)
    assert back + 1 == before
    # 0.2 s, and less than two marks that had not come back.
    assert REWIND_S - 0.11 <= -0.1 * steps[back] <= REWIND_S + 0.31
    assert steps.max() <= 1
    assert played[-1] == STEPS
    assert all(played.count(level) >= 4 for level in range(1, STEPS + 1))
