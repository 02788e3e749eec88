"""The answering side of a connection before and without one: answers, waiting texts, its end."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from support.offers import BROWSERS, make_sdp

from gradio_webrtc import Limits
from gradio_webrtc._config import SessionConfig
from gradio_webrtc._transport import PeerTransport, read_offer
from gradio_webrtc._transport.base import JITTER_BUFFER_S
from gradio_webrtc._transport.webrtc import peer as peer_module
from gradio_webrtc._transport.webrtc.peer import MAX_WAITING_TEXTS
from gradio_webrtc.errors import ConnectionLost, ConnectionTimeout, InvalidCandidate, InvalidOffer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONFIG = SessionConfig(limits=Limits(candidate_networks=("192.0.2.0/24",)))


@pytest.fixture
async def transport() -> AsyncIterator[PeerTransport]:
    made = PeerTransport([], CONFIG)
    yield made
    await made.close()


async def answer(transport: PeerTransport, sdp: str) -> dict[str, Any]:
    return await transport.answer(read_offer({"type": "offer", "sdp": sdp}, CONFIG))


class Channel:
    """A data channel that has just opened, and the texts that were sent on it."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.receive: Any = None

    def on(self, name: str, listener: Any) -> None:
        assert name == "message"
        self.receive = listener

    def send(self, text: str) -> None:
        self.sent.append(text)


async def test_an_answer_is_one_that_the_remote_peer_can_apply(transport: PeerTransport) -> None:
    client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    client.createDataChannel("text")
    client.addTransceiver("audio")
    await client.setLocalDescription(await client.createOffer())
    given = await answer(transport, client.localDescription.sdp)
    assert given["type"] == "answer"
    assert "a=candidate" in given["sdp"]
    await client.setRemoteDescription(RTCSessionDescription(given["sdp"], "answer"))
    assert client.signalingState == "stable"
    await client.close()


async def test_our_candidates_are_those_of_the_answer(transport: PeerTransport) -> None:
    assert await transport.candidates() == []
    given = await answer(transport, BROWSERS["chromium-audio"])
    candidates = await transport.candidates()
    assert candidates
    for each in candidates:
        assert f"a={each['candidate']}" in given["sdp"]
        assert f"a=mid:{each['sdpMid']}\r\n" in given["sdp"]


async def test_an_offer_of_unknown_codecs_is_refused_with_a_reason(
    transport: PeerTransport,
) -> None:
    sdp = (await make_sdp("audio")).replace("opus/48000/2", "x/48000/2")
    for known in ("PCMU/8000", "PCMA/8000", "G722/8000"):
        sdp = sdp.replace(known, "y/8000")
    with pytest.raises(InvalidOffer, match="none of its codecs is known"):
        await answer(transport, sdp)


async def test_candidates_that_may_not_be_checked_are_left_out(transport: PeerTransport) -> None:
    added: list[str] = []
    await answer(transport, BROWSERS["chromium-audio"])

    async def note(candidate: Any) -> None:
        added.append(candidate.ip)

    vars(transport)["_pc"].addIceCandidate = note
    for address in ("192.0.2.7", "198.51.100.7"):
        line = f"candidate:1 1 udp 1 {address} 5000 typ host"
        await transport.add_candidate({"candidate": line, "sdpMid": "0"})
    await transport.add_candidate(None)
    await transport.add_candidate({"candidate": ""})
    assert added == ["192.0.2.7"]
    with pytest.raises(InvalidCandidate):
        await transport.add_candidate({"candidate": "candidate:1"})


async def test_the_newest_texts_wait_for_the_channel_and_go_in_order(
    transport: PeerTransport,
) -> None:
    for number in range(MAX_WAITING_TEXTS + 10):
        transport.send_text(str(number))
    channel: Any = Channel()
    transport._on_channel(channel)  # noqa: SLF001 - as aiortc calls it
    assert channel.sent == [str(number) for number in range(10, MAX_WAITING_TEXTS + 10)]


async def test_a_text_that_the_client_cannot_take_is_left_out_and_named(
    transport: PeerTransport, caplog: pytest.LogCaptureFixture
) -> None:
    class Small(Channel):
        def send(self, text: str) -> None:
            if len(text) > 3:
                raise ValueError(f"Cannot send message of {len(text)} bytes")
            super().send(text)

    for text in ("one", "three", "two"):
        transport.send_text(text)
    channel: Any = Small()
    transport._on_channel(channel)  # noqa: SLF001 - as aiortc calls it
    assert channel.sent == ["one", "two"]
    assert "not sent: Cannot send message of 5 bytes" in caplog.text


async def test_texts_for_a_client_without_a_channel_are_dropped_and_not_waited_for(
    transport: PeerTransport,
) -> None:
    transport.send_text("before the offer")
    client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    client.addTransceiver("audio")
    await client.setLocalDescription(await client.createOffer())
    await answer(transport, client.localDescription.sdp)
    for number in range(MAX_WAITING_TEXTS + 10):
        transport.send_text(str(number))
    assert not vars(transport)["_waiting"]
    assert transport.stats().messages_dropped == 0
    await client.close()


async def test_an_answer_may_wait_for_all_candidates(
    transport: PeerTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    gather = vars(transport)["_pc"].setLocalDescription

    async def gather_slowly(description: Any) -> None:
        await asyncio.sleep(0.05)
        await gather(description)

    monkeypatch.setattr(vars(transport)["_pc"], "setLocalDescription", gather_slowly)
    offer = read_offer({"type": "offer", "sdp": BROWSERS["chromium-audio"]}, CONFIG)
    given = await transport.answer(offer, gather_s=10.0)
    assert "candidates_follow" not in given
    assert "a=candidate" in str(given["sdp"])


async def test_texts_come_by_the_first_channel_alone(transport: PeerTransport) -> None:
    received: list[str] = []
    transport.on_message = received.append
    first, second = Channel(), Channel()
    for each in (first, second):
        transport._on_channel(each)  # type: ignore[arg-type]  # noqa: SLF001 - as aiortc calls it
    first.receive("{}")
    assert received == ["{}"]
    assert second.receive is None


async def test_a_page_reports_its_jitter_buffer_and_no_handler_gets_that(
    transport: PeerTransport,
) -> None:
    received: list[str] = []
    transport.on_message = received.append
    channel = Channel()
    transport._on_channel(channel)  # type: ignore[arg-type]  # noqa: SLF001 - as aiortc calls it
    assert transport.playout_delay_s() == JITTER_BUFFER_S

    def report(delay: object, count: object) -> float:
        data = {"kind": "audio", "jitterBufferDelay": delay, "jitterBufferEmittedCount": count}
        message = {"type": "inbound_stats", "data": data}
        channel.receive(json.dumps(message, separators=(",", ":")))
        return transport.playout_delay_s()

    assert report(2_400, 48_000) == pytest.approx(0.05)
    assert report(2_400 + 9_600, 96_000) == pytest.approx(0.2)
    hostile: list[tuple[object, object]] = [
        (1e300, 97_000),
        (-1, 1e6),
        (1, 2),
        (1, 0),
        ("1", "2"),
        (None, None),
        ([], {}),
    ]
    for delay, count in hostile:
        assert report(delay, count) == pytest.approx(0.2)
    for text in ("", '"data":1}', '"data":{"jitterBufferDelay":NaN}}', '"data":[]}'):
        channel.receive(f'{{"type":"inbound_stats",{text}')
    assert transport.playout_delay_s() == pytest.approx(0.2)
    assert received == []


async def test_a_peer_that_never_comes_is_not_waited_for(
    transport: PeerTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_module, "CONNECT_TIMEOUT_S", 0.0)
    await answer(transport, BROWSERS["chromium-audio"])
    with pytest.raises(ConnectionTimeout, match="did not connect within 0 s"):
        await transport.connect()


async def test_the_end_before_the_connection_ends_the_wait_for_it_with_the_reason() -> None:
    transport = PeerTransport([], CONFIG)
    await answer(transport, BROWSERS["chromium-audio"])
    connecting = asyncio.get_running_loop().create_task(transport.connect())
    await asyncio.sleep(0)
    await transport.close()
    with pytest.raises(ConnectionLost, match="closed by the server"):
        await connecting
    assert await transport.wait_closed() == "closed by the server"


async def test_a_closed_transport_keeps_its_counters_and_closes_again() -> None:
    transport = PeerTransport([], CONFIG)
    await answer(transport, BROWSERS["chromium-audio"])
    await asyncio.gather(transport.close(), transport.close())
    assert transport.stats() is transport.stats()
    assert transport.stats().packets_received == 0
