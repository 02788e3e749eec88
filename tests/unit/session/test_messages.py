"""Messages to the client: their order, and those that may wait."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gradio_webrtc._session.messages import BATCH_DELAY_S, MessageSender


def make() -> tuple[MessageSender, list[object]]:
    sent: list[object] = []
    return MessageSender(lambda text: sent.append(json.loads(text)["type"])), sent


async def test_a_message_goes_at_once() -> None:
    sender, sent = make()
    sender.send({"type": "error"})
    assert sent == ["error"]


async def test_a_status_lets_audio_go_first_and_comes_in_order_by_itself() -> None:
    sender, sent = make()
    sender.send_soon({"type": "first"})
    sender.send_soon({"type": "second"})
    await asyncio.sleep(0)
    assert sent == []
    await asyncio.sleep(2 * BATCH_DELAY_S)
    assert sent == ["first", "second"]


async def test_a_status_goes_before_the_message_after_it_and_only_once() -> None:
    sender, sent = make()
    sender.send_soon({"type": "status"})
    sender.send({"type": "error"})
    assert sent == ["status", "error"]
    await asyncio.sleep(2 * BATCH_DELAY_S)
    sender.send_soon({"type": "more"})
    sender.flush()
    assert sent == ["status", "error", "more"]


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes"])
async def test_a_value_that_json_cannot_carry_is_refused_and_later_ones_go(value: Any) -> None:
    sender, sent = make()
    sender.send_soon({"type": "status"})
    with pytest.raises(TypeError):
        sender.send({"type": "user", "data": value})
    sender.send({"type": "error"})
    assert sent == ["status", "error"]


async def test_behind_its_end_a_session_sends_nothing() -> None:
    sender, sent = make()
    sender.send_soon({"type": "status"})
    sender.flush()
    sender.close()
    sender.send({"type": "error"})
    sender.send_soon({"type": "status"})
    sender.flush()
    assert sent == ["status"]
