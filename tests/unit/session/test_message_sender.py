"""Messages for the page: their order, and what may wait."""

from __future__ import annotations

import asyncio
import json

from gradio_webrtc._session.message_sender import NEWS_DELAY_S, Outbox


def make() -> tuple[Outbox, list[object]]:
    sent: list[object] = []
    return Outbox(lambda text: sent.append(json.loads(text)["type"])), sent


async def test_a_message_goes_at_once() -> None:
    outbox, sent = make()
    outbox.send({"type": "error"})
    assert sent == ["error"]


async def test_news_lets_sound_go_first_and_comes_in_order_by_itself() -> None:
    outbox, sent = make()
    outbox.send_soon({"type": "first"})
    outbox.send_soon({"type": "second"})
    await asyncio.sleep(0)
    assert sent == []
    await asyncio.sleep(2 * NEWS_DELAY_S)
    assert sent == ["first", "second"]


async def test_news_goes_before_the_message_after_it_and_only_once() -> None:
    outbox, sent = make()
    outbox.send_soon({"type": "news"})
    outbox.send({"type": "error"})
    assert sent == ["news", "error"]
    await asyncio.sleep(2 * NEWS_DELAY_S)
    outbox.send_soon({"type": "more"})
    outbox.flush()
    assert sent == ["news", "error", "more"]
