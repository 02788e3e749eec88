"""Messages for the page: their order, and what may wait."""

from __future__ import annotations

import asyncio
import json

from gradio_webrtc._session.messages import BATCH_DELAY_S, MessageSender


def make() -> tuple[MessageSender, list[object]]:
    sent: list[object] = []
    return MessageSender(lambda text: sent.append(json.loads(text)["type"])), sent


async def test_a_message_goes_at_once() -> None:
    sender, sent = make()
    sender.send({"type": "error"})
    assert sent == ["error"]


async def test_news_lets_sound_go_first_and_comes_in_order_by_itself() -> None:
    sender, sent = make()
    sender.send_soon({"type": "first"})
    sender.send_soon({"type": "second"})
    await asyncio.sleep(0)
    assert sent == []
    await asyncio.sleep(2 * BATCH_DELAY_S)
    assert sent == ["first", "second"]


async def test_news_goes_before_the_message_after_it_and_only_once() -> None:
    sender, sent = make()
    sender.send_soon({"type": "news"})
    sender.send({"type": "error"})
    assert sent == ["news", "error"]
    await asyncio.sleep(2 * BATCH_DELAY_S)
    sender.send_soon({"type": "more"})
    sender.flush()
    assert sent == ["news", "error", "more"]
