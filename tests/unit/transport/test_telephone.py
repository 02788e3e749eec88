"""Twilio's protocol, without Twilio: starts, audio, keys, and marks that show what was heard."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gradio_webrtc._config import SessionConfig
from gradio_webrtc._transport import (
    AudioBlock,
    BrokenMessage,
    TelephoneReader,
    TelephoneStart,
    TelephoneTransport,
    ordered,
    read_start,
)
from gradio_webrtc._transport.telephone import MAX_MARKS, Marks
from gradio_webrtc.errors import InvalidOffer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

START = TelephoneStart("MZ1", "CA1", "mulaw", {})


def started(**parts: object) -> dict[str, Any]:
    form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    start = {"streamSid": "MZ1", "callSid": "CA1", "mediaFormat": form, **parts}
    return {"event": "start", "streamSid": "MZ1", "start": start}


# ---------------------------------------------------------------------------------- starts


def test_the_beginning_of_a_call_is_read() -> None:
    given = {"ticket": "x", "number": 1, "list": []}
    assert read_start(started(customParameters=given)) == TelephoneStart(
        "MZ1", "CA1", "mulaw", {"ticket": "x"}
    )
    a_law = {"encoding": "audio/x-alaw"}
    assert read_start(started(mediaFormat=a_law, customParameters=None)).encoding == "alaw"
    assert read_start({"start": {"streamSid": "MZ2"}}) == TelephoneStart("MZ2", "", "mulaw", {})


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({}, '"start" with an object'),
        ({"start": "x"}, '"start" with an object'),
        ({"start": {}}, '"streamSid" and "callSid" as texts'),
        (started(callSid=1), '"streamSid" and "callSid" as texts'),
        (started(mediaFormat={"encoding": "audio/opus"}), "at 8000 Hz"),
        (started(mediaFormat={"encoding": ["x"]}), "at 8000 Hz"),
        (started(mediaFormat="x"), "at 8000 Hz"),
        (started(mediaFormat={"sampleRate": 16000}), "at 8000 Hz"),
        (started(mediaFormat={"channels": 2}), "at 8000 Hz, with one channel"),
    ],
)
def test_another_beginning_is_refused(message: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidOffer, match=words):
        read_start(message)


# ----------------------------------------------------------------------------------- marks


def test_marks_that_come_back_count_what_was_played() -> None:
    marks = Marks()
    marks.count(799)
    assert not marks.is_due
    marks.count(1)
    assert marks.is_due
    first = marks.make()
    assert not marks.is_due
    marks.count(1_600)
    second = marks.make()
    assert marks.heard_s == 0
    marks.confirm(first)
    assert marks.heard_s == pytest.approx(0.1)
    marks.confirm(second)
    assert marks.heard_s == pytest.approx(0.3)


@pytest.mark.parametrize("name", ["nobody's", "", None, 1, [], {}])
def test_a_mark_of_nobodys_counts_nothing(name: object) -> None:
    marks = Marks()
    marks.count(800)
    marks.make()
    marks.confirm(name)
    assert marks.heard_s == 0


def test_a_mark_that_comes_back_twice_counts_once() -> None:
    marks = Marks()
    marks.count(800)
    name = marks.make()
    for _ in range(3):
        marks.confirm(name)
    assert marks.heard_s == pytest.approx(0.1)


def test_a_mark_that_was_left_out_was_played_too() -> None:
    marks = Marks()
    names = []
    for _ in range(3):
        marks.count(800)
        names.append(marks.make())
    marks.confirm(names[1])
    assert marks.heard_s == pytest.approx(0.2)


def test_marks_that_come_back_since_the_audio_was_dropped_count_nothing() -> None:
    marks = Marks()
    marks.count(800)
    before = marks.make()
    marks.count(800)
    dropped = marks.make()
    marks.count(400)
    marks.confirm(before)
    marks.clear()
    marks.confirm(dropped)
    assert marks.heard_s == pytest.approx(0.1)
    marks.count(800)
    marks.confirm(marks.make())
    assert marks.heard_s == pytest.approx(0.2)


def test_a_client_that_confirms_nothing_costs_no_memory() -> None:
    marks = Marks()
    names = []
    for _ in range(MAX_MARKS + 10):
        marks.count(800)
        names.append(marks.make())
    marks.confirm(names[0])
    assert marks.heard_s == 0
    marks.confirm(names[-1])
    assert marks.heard_s == pytest.approx(0.1 * MAX_MARKS)


async def test_confirmation_is_waited_for() -> None:
    marks = Marks()
    await marks.until_confirmed()
    marks.count(800)
    name = marks.make()
    waiting = asyncio.ensure_future(marks.until_confirmed())  # noqa: TID251  # awaited below
    await asyncio.sleep(0)
    assert not waiting.done()
    marks.confirm(name)
    await waiting


# ------------------------------------------------------------------------------- both ways


class Source:
    """Frames of audio that are there at once, and then nothing."""

    def __init__(self, samples: NDArray[np.int16]) -> None:
        self._frames = [*samples.reshape(-1, 1, 960)]
        self.asleep = asyncio.Event()

    async def wait_ready(self) -> None:
        if not self._frames:
            self.asleep.set()
            await asyncio.Event().wait()

    def pull(self, *, partial: bool = False) -> NDArray[np.int16] | None:
        del partial
        return self._frames.pop(0) if self._frames else None

    def pull_early(self) -> NDArray[np.int16] | None:
        return self.pull()


class Line:
    """A telephone that has connected.

    Attributes:
        written: The objects that the session sent.
        blocks: The audio that it got.
        texts: The messages that it got.
        confirms: True to send marks back at once.
    """

    def __init__(self) -> None:
        self.written: list[Any] = []
        self.blocks: list[AudioBlock] = []
        self.texts: list[str] = []
        self.confirms = True
        self.transport = TelephoneTransport(START, SessionConfig())
        self.transport.on_message = self.texts.append
        self.transport._sink = self.blocks.append  # noqa: SLF001  # as `carry_audio` sets it
        self._reader = TelephoneReader(self.transport, START)

    def client_sends(self, message: object) -> None:
        """Reads a message of the client's."""
        self._reader.read(message if isinstance(message, str | bytes) else json.dumps(message))

    async def take(self, wire: Any) -> None:
        """Writes."""
        message = json.loads(wire)
        assert message["streamSid"] == "MZ1"
        self.written.append(message)
        if message["event"] == "mark" and self.confirms:
            self.client_sends(message)

    def events(self) -> list[str]:
        return [each["event"] for each in self.written]


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    made = Line()
    yield made
    await made.transport.close()


async def test_audio_of_the_user_is_taken(line: Line) -> None:
    line.client_sends({"event": "media", "media": {"track": "inbound", "payload": "gAA="}})
    line.client_sends({"event": "media", "media": {"track": "outbound", "payload": "gAA="}})
    (block,) = line.blocks
    assert (block.rate_hz, block.channels) == (8_000, 1)
    assert block.samples.tolist() == [[32_124, -32_124]]


async def test_keys_are_messages(line: Line) -> None:
    pressed: list[object] = ["5", "#", "D", "55", "", "x", None, 5, []]
    for digit in pressed:
        line.client_sends({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": digit}})
    line.client_sends({"event": "dtmf"})
    assert [json.loads(each) for each in line.texts] == [
        {"type": "dtmf", "digit": digit} for digit in "5#D"
    ]


async def test_what_the_description_does_not_have_is_ignored(line: Line) -> None:
    for message in ({"event": "new"}, {"event": ["media"]}, {}, {"event": "mark", "mark": 1}):
        line.client_sends(message)
    assert line.texts == []
    assert line.blocks == []


@pytest.mark.parametrize(
    "message",
    ["", "[]", b"\xff", {"event": "media"}, {"event": "media", "media": {"payload": "!"}}],
)
async def test_a_broken_message_names_what_was_expected(line: Line, message: object) -> None:
    with pytest.raises(BrokenMessage, match="expected"):
        line.client_sends(message)


async def test_the_user_hangs_up(line: Line) -> None:
    line.client_sends({"event": "stop", "stop": {"callSid": "CA1"}})
    assert await line.transport.wait_closed() == "the user hung up"


async def send_unconfirmed(line: Line, frames: int) -> None:
    """Has so many frames of 20 ms sent, to a client that confirms none by itself."""
    line.confirms = False
    source = Source(np.full(frames * 960, 8_000, np.int16))
    line.transport.play_audio(source)
    line.transport.attach(line.take)
    await line.transport.connect()
    await source.asleep.wait()


async def test_audio_is_sent_with_marks_that_show_what_was_played(line: Line) -> None:
    source = Source(np.full(12 * 960, 8_000, np.int16))
    line.transport.play_audio(source)
    assert line.transport.stats().heard_s is None
    line.transport.attach(line.take)
    await line.transport.connect()
    await source.asleep.wait()
    # A mark behind each five packets, and one behind the last; that one has the tail.
    assert line.events() == [*(["media"] * 5 + ["mark"]) * 2, *["media"] * 3, "mark"]
    payloads = [each["media"]["payload"] for each in line.written if each["event"] == "media"]
    assert {len(base64.b64decode(each)) for each in payloads} == {160}
    assert line.transport.stats().heard_s == pytest.approx(13 * 0.02)


async def test_barge_in_gives_up_what_was_not_confirmed(line: Line) -> None:
    await send_unconfirmed(line, 6)
    line.transport.clear_audio()
    await line.transport.close()
    assert line.events()[-1] == "clear"
    for each in list(line.written):
        if each["event"] == "mark":
            line.client_sends(each)
    assert line.transport.stats().heard_s == 0


@pytest.mark.parametrize(("marks", "unplayed_s"), [(3, 0.0), (2, 0.06), (1, 0.16), (0, 0.0)])
async def test_what_was_sent_and_not_confirmed_was_not_played_if_the_client_confirms(
    line: Line, marks: int, unplayed_s: float
) -> None:
    await send_unconfirmed(line, 12)
    for each in [each for each in line.written if each["event"] == "mark"][:marks]:
        line.client_sends(each)
    assert line.transport.clear_audio() == pytest.approx(unplayed_s)
    await asyncio.sleep(0)
    assert line.transport.clear_audio() == 0.0


async def test_no_message_is_sent_to_a_telephone(line: Line) -> None:
    line.transport.attach(line.take)
    line.transport.send_text('{"type":"log"}')
    await line.transport.close()
    assert line.written == []


async def test_the_end_waits_until_the_last_word_was_played(line: Line) -> None:
    await send_unconfirmed(line, 5)
    closing = asyncio.ensure_future(line.transport.close())  # noqa: TID251  # awaited below
    await asyncio.sleep(0.05)
    assert not closing.done()
    for each in list(line.written):
        if each["event"] == "mark":
            line.client_sends(each)
    await closing
    assert line.transport.stats().heard_s == pytest.approx(0.12)


async def test_a_client_that_confirms_nothing_holds_up_no_end(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordered, "FLUSH_TIMEOUT_S", 0.05)
    await send_unconfirmed(line, 5)
    await line.transport.close()
    assert await line.transport.wait_closed() == "closed by the server"
