"""C3, the guide's "Stream Handler": an echo whose ``emit`` blocks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.guide import build, guide
from support.page import PageClient, open_page
from support.signals import chirp, pieces_found, pitch_hz, tone

from gradio_webrtc._config import SessionConfig
from gradio_webrtc._session.session import Session
from gradio_webrtc.testing import FakeTransport

if TYPE_CHECKING:
    from support.guide import Guide

pytestmark = pytest.mark.network

USERS = 50


async def test_all_of_it_comes_back_until_the_time_limit(examples: Guide) -> None:
    sent = chirp(3.0)
    async with open_page(examples.url("C03")) as page:
        client = PageClient(page, microphone=np.concatenate([np.zeros(24_000, np.int16), sent]))
        await client.call()
        await client.ended.wait()
        await client.closed.wait()
        await client.hang_up()
    received = client.received_audio()
    assert client.messages[-1]["data"] == "The time limit of 15 seconds is reached."
    places = pieces_found(received, sent)
    found = [place for place in places if place >= 0]
    assert len(found) >= 0.8 * len(places), "a busy machine may put gaps into some pieces"
    assert found == sorted(found)


async def test_each_client_has_a_handler_that_nobody_elses_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gradio.Blocks.launch", lambda *_args, **_options: None)
    make_handler = build("C03")["EchoHandler"]().copy
    transports = [FakeTransport(48_000, tone(0.5, 400 + 40 * number)) for number in range(USERS)]
    # Less than half a second is looked at; fifty threads may take their time to begin.
    terms = SessionConfig(time_limit_s=5.0)
    # Each frame of each user is waited for inside a `queue.get` of its own.
    await asyncio.gather(
        *(
            Session(str(number), transport, make_handler(), terms).run()
            for number, transport in enumerate(transports)
        )
    )
    for number, transport in enumerate(transports):
        received = np.concatenate([samples for _, samples in transport.sent], axis=1)[0]
        assert pitch_hz(received[:19_200], 48_000) == pytest.approx(400 + 40 * number, abs=6)


def test_a_blocked_emit_does_not_keep_the_process_from_ending() -> None:
    with guide("C03") as echo:
        asyncio.run(_hold_a_call(echo.url("C03")))
    # The block fails when the process does not end on Ctrl-C.


async def _hold_a_call(url: str) -> None:
    async with open_page(url) as page:
        client = PageClient(page, microphone=tone(0.5, 440))
        await client.call()
        await client.until(lambda: client.loud_seconds() > 0)
        client.vanish()
