"""Any JSON, and any text, over a WebSocket: refused or taken, and no other exception."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from support.fake_websocket import FakeWebSocket

from gradio_webrtc._config import SessionConfig
from gradio_webrtc._server.newcomers import receive_start
from gradio_webrtc._session.origins import Site
from gradio_webrtc._transport import (
    BrokenMessage,
    MediaDialect,
    MediaReader,
    OrderedTransport,
    TelephoneReader,
    TelephoneStart,
    TelephoneTransport,
    read_encoding,
    read_start,
)
from gradio_webrtc.errors import InvalidOffer

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
EVENTS = ("connected", "start", "media", "mark", "dtmf", "stop", "ping")
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "payload": st.binary(max_size=9).map(lambda data: data.hex()) | JSON,
        "track": st.sampled_from(["inbound", "outbound"]) | JSON,
        "name": JSON,
        "digit": st.sampled_from("0#A") | JSON,
        "streamSid": JSON,
        "callSid": JSON,
        "mediaFormat": st.dictionaries(st.sampled_from(["encoding", "sampleRate"]), JSON) | JSON,
        "customParameters": JSON,
    },
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "event": st.sampled_from(EVENTS) | JSON,
        **dict.fromkeys(EVENTS, PARTS | JSON),
        "streamSid": st.just("MZ1") | JSON,
        "websocket_id": JSON,
        "encoding": st.sampled_from(["mulaw", "pcm16"]) | JSON,
    },
)
TEXTS = MESSAGES.map(json.dumps) | JSON.map(json.dumps) | st.text() | st.binary(max_size=20)


@given(message=TEXTS)
@example(message="[" * 10_000)
@example(message='{"event": "media", "media": {"payload": "\\ud800"}}')
def test_a_session_takes_any_message(message: str | bytes) -> None:
    async def read() -> None:
        socket = OrderedTransport(MediaDialect("pcm16"))
        start = TelephoneStart("MZ1", "", "mulaw", {})
        telephone = TelephoneTransport(start, SessionConfig())
        readers = (
            MediaReader(socket, "pcm16", lambda: 24_000),
            TelephoneReader(telephone, start),
        )
        for reader in readers:
            try:
                reader.read(message)
            except BrokenMessage as error:
                assert "expected" in str(error)  # noqa: PT017  # not raised for every message
        await socket.close()
        await telephone.close()

    asyncio.run(read())


@given(first=TEXTS)
def test_any_first_message_is_a_start_or_is_refused(first: str | bytes) -> None:
    async def receive() -> None:
        websocket: Any = FakeWebSocket()
        websocket.client_sends(first)
        websocket.client_sends({"event": "stop"})
        try:
            start = await receive_start(websocket, Site(), ())
        except InvalidOffer:
            return
        for read in (read_encoding, read_start):
            try:
                read(start)
            except InvalidOffer as error:
                assert "expected" in str(error)  # noqa: PT017  # not raised for every start

    asyncio.run(receive())
