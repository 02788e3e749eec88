"""fastrtc's protocol over a WebSocket, without one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gradio_webrtc._config import SessionConfig
from gradio_webrtc._limits import Limits
from gradio_webrtc._transport import (
    AudioBlock,
    BrokenMessage,
    MediaDialect,
    MediaReader,
    OrderedTransport,
    PacedFrame,
    read_encoding,
)
from gradio_webrtc._transport.payloads import decode_payload, encode_payload
from gradio_webrtc.errors import AudioError, InvalidOffer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Line:
    """A client that has connected, and the session's end of it.

    Attributes:
        blocks: The audio that the session got.
        texts: The messages that it got.
        written: The objects that it sent.
        rate_hz: The rate of the handler.
    """

    def __init__(self, config: SessionConfig) -> None:
        self.blocks: list[AudioBlock] = []
        self.texts: list[str] = []
        self.written: list[Any] = []
        self.rate_hz = 16_000
        self.transport = OrderedTransport(MediaDialect("mulaw"), config)
        self.transport.on_message = self.texts.append
        self.transport._sink = self.blocks.append  # noqa: SLF001  # as `carry_audio` sets it
        self._reader = MediaReader(self.transport, "mulaw", lambda: self.rate_hz)

    def client_sends(self, message: object) -> None:
        """Reads a message of the client's."""
        self._reader.read(message if isinstance(message, str | bytes) else json.dumps(message))

    async def take(self, wire: Any) -> None:
        """Writes."""
        self.written.append(json.loads(wire))


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    made = Line(SessionConfig(limits=Limits(message_bytes=1024)))
    yield made
    await made.transport.close()


def media(payload: object) -> dict[str, Any]:
    return {"event": "media", "media": {"payload": payload}}


@pytest.mark.parametrize("encoding", ["mulaw", "alaw", "pcm16"])
def test_the_encoding_is_that_of_the_start(encoding: str) -> None:
    assert read_encoding({"encoding": encoding}) == encoding
    assert read_encoding({}) == "mulaw"


@pytest.mark.parametrize("encoding", ["opus", "", None, 1, ["mulaw"], {}])
def test_another_encoding_is_refused(encoding: object) -> None:
    with pytest.raises(InvalidOffer, match="one of the encodings mulaw, alaw, pcm16"):
        read_encoding({"encoding": encoding})


async def test_audio_has_the_rate_of_the_handler_now(line: Line) -> None:
    line.client_sends(media(encode_payload(b"\x80\x00")))
    line.rate_hz = 24_000
    line.client_sends(media(encode_payload(b"\x80")))
    first, second = line.blocks
    assert (first.rate_hz, first.channels) == (16_000, 1)
    assert first.samples.tolist() == [[32_124, -32_124]]
    assert (second.rate_hz, second.samples.shape) == (24_000, (1, 1))
    assert line.transport.stats().bytes_received == 3


async def test_a_ping_is_answered_and_a_stop_ends(line: Line) -> None:
    line.transport.attach(line.take)
    line.client_sends({"event": "ping"})
    await line.transport.close()
    assert line.written == [{"event": "pong"}]
    other = Line(SessionConfig())
    other.client_sends({"event": "stop"})
    assert await other.transport.wait_closed() == "the client left"


async def test_any_other_text_is_a_message(line: Line) -> None:
    texts = [
        "hello",
        '{"type": "x"}',
        '{"event": "mine", "data": 1}',
        "[1]",
        '{"event": ["media"]}',
    ]
    for text in texts:
        line.client_sends(text)
    assert line.texts == texts
    line.client_sends("x" * 1025)
    assert "larger than 1024" in await line.transport.wait_closed()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (media(None), "in Base64, got NoneType"),
        (media("!"), "in Base64"),
        ({"event": "media"}, "in Base64"),
        ({"event": "media", "media": "AAAA"}, "in Base64"),
        ({"event": "start", "websocket_id": "two"}, 'one "start"'),
        (b'{"event": "ping"}', "expected text, got bytes"),
    ],
)
async def test_a_broken_message_names_what_was_expected(
    line: Line, message: object, words: str
) -> None:
    with pytest.raises(BrokenMessage, match=words):
        line.client_sends(message)


def test_frames_messages_and_barge_in_are_written() -> None:
    dialect = MediaDialect("pcm16")
    frame = PacedFrame(0, np.full((1, 960), 7, np.int16), is_audio=True)
    assert dialect.write_audio(frame) is None, "there is no rate yet"
    dialect.set_rate(48_000)
    written = json.loads(str(dialect.write_audio(frame)))
    assert written["event"] == "media"
    assert decode_payload(written["media"]["payload"], "pcm16").tolist() == [[7] * 960]
    quiet = frame._replace(is_audio=False)
    assert dialect.write_audio(quiet) is None
    assert dialect.write_audio(quiet) is not None, "the end of the audio"
    assert dialect.write_audio(quiet) is None
    assert dialect.write_text('{"type":"log"}') == '{"type":"log"}'
    assert json.loads(str(dialect.write_clear())) == {"event": "clear"}
    with pytest.raises(AudioError):
        dialect.set_rate(1)
