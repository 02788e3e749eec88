"""Replies that are held while the user speaks over them, over real connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.client import Client
from support.serving import SessionServer
from support.signals import chirp, pieces_found, speech_at_48k

from gradio_webrtc import ReplyOnPause
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
