"""Sessions of one component that its program ends in good order."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest
from support.client import Client
from support.serving import server_of
from support.signals import tone

from gradio_webrtc import ReplyOnPause, WebRTC
from gradio_webrtc._session.stopping import GRACE_S, GRACE_VARIABLE, grace_from_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.serving import SessionServer

pytestmark = pytest.mark.network

ENDING = {"type": "end_stream", "data": "The server is stopping.", "code": "server_stopping"}
REPLY_S = 1.5


class Prompt(ReplyOnPause):
    """Answers as soon as it receives anything, once."""

    def receive(self, frame: Any) -> None:
        del frame
        if not vars(self).get("has_answered"):
            self.has_answered = True
            self.trigger_response()


def answer(_audio: Any) -> Iterator[Any]:
    for _ in range(round(REPLY_S / 0.1)):
        yield (24_000, tone(0.1, 440, 24_000).reshape(1, -1))


def go_on(audio: Any) -> Iterator[Any]:
    while True:
        yield from answer(audio)


def be_silent(_audio: Any) -> None:
    """Answers nothing."""


def make_page(reply: Callable[..., Any]) -> tuple[WebRTC, SessionServer]:
    with gr.Blocks():
        webrtc = WebRTC(modality="audio")
        webrtc.stream(Prompt(reply), inputs=[webrtc], outputs=[webrtc], concurrency_limit=2)
    return webrtc, server_of(webrtc)


def endings(client: Client) -> list[dict[str, Any]]:
    return [each for each in client.messages if each["type"] == "end_stream"]


async def answered(manager: SessionServer) -> Client:
    """A client that receives the beginning of an answer."""
    client = Client(manager, tone(30.0, 440))
    await client.call()
    await client.until(lambda: client.loud_seconds() > 0)
    return client


async def test_a_reply_under_way_is_played_to_its_end() -> None:
    webrtc, manager = make_page(answer)
    client = await answered(manager)
    await webrtc.drain(grace_s=30.0)
    await client.ended.wait()
    assert client.loud_seconds() == pytest.approx(REPLY_S, abs=0.1)
    assert endings(client) == [ENDING]
    assert len(manager) == 0
    await client.hang_up()


async def test_a_reply_without_an_end_is_cut_when_the_grace_is_over() -> None:
    webrtc, manager = make_page(go_on)
    client = await answered(manager)
    await webrtc.drain(grace_s=0.2)
    await client.ended.wait()
    assert endings(client) == [ENDING]
    assert len(manager) == 0
    await client.hang_up()


async def test_newcomers_are_refused_here_and_nowhere_else() -> None:
    webrtc, manager = make_page(be_silent)
    await webrtc.drain()
    refusal = await Client(manager).call()
    assert refusal["meta"]["error"] == "server_stopping"
    _, other = make_page(be_silent)
    client = Client(other)
    await client.call()
    await client.hang_up()
    await other.wait_idle()


async def test_a_program_may_drain_from_a_thread_of_its_own() -> None:
    webrtc, manager = make_page(be_silent)
    client = Client(manager)
    await client.call()
    await asyncio.to_thread(lambda: asyncio.run(webrtc.drain()))
    await client.ended.wait()
    assert endings(client) == [ENDING]
    # The loop of the sessions, not that of the thread, is the one that takes no more.
    assert (await Client(manager).call())["meta"]["error"] == "server_stopping"
    await client.hang_up()


@pytest.mark.parametrize("grace_s", [-0.1, math.nan, math.inf, 60.1])
async def test_a_grace_time_that_is_none_ends_nothing(grace_s: float) -> None:
    webrtc, manager = make_page(be_silent)
    client = Client(manager)
    await client.call()
    with pytest.raises(ValueError, match="expected a grace time of 0 to 60 seconds, got"):
        await webrtc.drain(grace_s)
    assert not endings(client)
    await client.hang_up()
    await manager.wait_idle()


@pytest.mark.parametrize(
    ("value", "expected"), [("", GRACE_S), ("2.5", 2.5), ("0", 0), ("60", 60), ("1e9", GRACE_S)]
)
def test_the_environment_gives_the_grace_time_of_signals(
    value: str, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GRACE_VARIABLE, value)
    assert grace_from_environment() == expected


def test_what_is_no_grace_time_is_named_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(GRACE_VARIABLE, "soon")
    assert grace_from_environment() == GRACE_S
    assert "expected seconds from 0 to 60 in GRADIO_WEBRTC_GRACE_S, got 'soon'" in caplog.text
