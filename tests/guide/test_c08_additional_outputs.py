"""C8, the guide's "Additional Outputs": the values that come beside audio reach the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.page import PageClient, open_page
from support.signals import speech_at_48k

if TYPE_CHECKING:
    from support.guide import Guide

pytestmark = pytest.mark.network


def texts(conversation: list[dict[str, Any]]) -> list[str]:
    """The text of each message; Gradio makes a list of parts of it on its way to the page."""
    parts = [
        [{"text": message["content"]}]
        if isinstance(message["content"], str)
        else message["content"]
        for message in conversation
    ]
    return ["".join(part["text"] for part in message) for message in parts]


async def test_each_turn_is_written_down_and_passed_to_the_next(examples: Guide) -> None:
    spoken = np.append(np.zeros(48_000, np.int16), speech_at_48k("asterisk_hello_world_16k"))
    before = len(examples.notes("C08.transcribe"))
    async with open_page(examples.url("C08")) as page:
        chatbot = page.component("chatbot", "transcript")
        client = PageClient(page, microphone=spoken)
        await client.call()
        await client.until(lambda: len(client.pages) == 1)
        # Spoken while a slow page still looks for the inputs, it would be more of the first turn.
        client.microphone.say(spoken)
        await client.until(lambda: len(client.pages) == 2)
        await client.hang_up()
        # One update for each turn, in order, with nothing lost and nothing blanked.
        (one,), both = (texts(values[chatbot]) for values in client.pages)
        assert both[0] == one
        assert both[1] != one
        # An event for which nothing waits leaves the page as it is.
        await page.dispatch(page.component("webrtc"), "state_change")
        assert texts(page.values[chatbot]) == both
    first, second = examples.notes("C08.transcribe")[before:]
    for turn in (first, second):
        assert turn["rate"] == 48_000
        assert turn["shape"][0] == 1
        assert turn["max_length"] == 256
    # In the order of `inputs`; the second turn sees what the first one wrote.
    assert first["transformers_convo"] == first["gradio_convo"] == []
    assert texts(second["transformers_convo"]) == texts(second["gradio_convo"]) == [one]
    # The page only sends.
    assert client.audio_frames == []
    kinds = [message["type"] for message in client.messages]
    assert kinds.count("fetch_output") == 2
    assert "error" not in kinds


async def test_nothing_comes_back_but_values(examples: Guide) -> None:
    async with open_page(examples.url("C08")) as page:
        component = page.component("webrtc")
        assert page.props(component)["mode"] == "send"
        assert page.props(component)["time_limit"] == 90
        client = PageClient(page)
        answer = await client.call()
        await client.hang_up()
    assert "a=recvonly" in answer["sdp"]
    assert "a=send" not in answer["sdp"]
