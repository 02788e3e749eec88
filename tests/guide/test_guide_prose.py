"""Claims that the guide makes in words only; `README.md` names the tests of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.page import PageClient, open_page
from support.signals import speech_at_48k

from gradio_webrtc import AsyncStreamHandler, StreamHandler
from gradio_webrtc.testing import simulate

if TYPE_CHECKING:
    from support.programs import Programs


@pytest.mark.network
async def test_n19_n20_n21_audio_values_and_words_of_one_turn(pages: Programs) -> None:
    spoken = [np.zeros(48_000, np.int16), speech_at_48k("asterisk_hello_world_16k")]
    async with open_page(pages.url("prose.py")) as page:
        call, written = page.component("webrtc", "Call"), page.component("textbox", "Written")
        client = PageClient(page, call, np.concatenate(spoken))
        await client.call()
        await client.until(lambda: "error" in kinds(client) and len(client.pages) == 2)
        await client.until(lambda: client.loud_seconds() > 0 and client.is_quiet)
        await client.hang_up()
    # Those of `inputs` come first, then those of the output; one update for each.
    assert [values[written] for values in client.pages] == [
        "somebody: with the audio",
        "somebody: alone",
    ]
    assert client.audible_seconds() == pytest.approx(0.2, abs=0.02)
    messages = {message["type"]: message.get("message") for message in client.messages}
    assert messages["warning"] == "I did not catch that."
    assert messages["error"] == "The model is asleep."


@pytest.mark.network
async def test_n21_words_of_a_generator_in_mode_receive(pages: Programs) -> None:
    async with open_page(pages.url("prose.py")) as page:
        await page.dispatch(page.component("button", "Play"), "click")
        client = PageClient(page, page.component("webrtc", "Tape"))
        await client.call()
        await client.ended.wait()
        await client.hang_up()
    messages = {message["type"]: message.get("message") for message in client.messages}
    assert messages["warning"] == "The tape is worn."
    assert messages["error"] == "The tape is torn."


@pytest.mark.network
async def test_n22_echo_is_cancelled_unless_the_constraints_have_another_value(
    pages: Programs,
) -> None:
    async with open_page(pages.url("prose.py")) as page:
        usual = page.props(page.component("webrtc", "Call"))["track_constraints"]
        changed = page.props(page.component("webrtc", "Plain"))["track_constraints"]
    assert usual["echoCancellation"] is True
    assert changed == {"echoCancellation": False, "channelCount": 2}


def kinds(client: PageClient) -> list[str]:
    return [message["type"] for message in client.messages]


class Asking(StreamHandler):
    """Asks for the inputs from everywhere, twice in a row as well."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, list[Any]] = {}

    def ask(self, place: str) -> None:
        if place not in self.seen:
            self.wait_for_args_sync()
            self.wait_for_args_sync()
            self.seen[place] = list(self.latest_args)

    def start_up(self) -> None:
        self.ask("start_up")

    def receive(self, _frame: object) -> None:
        self.ask("receive")

    def emit(self) -> None:
        self.ask("emit")

    def copy(self) -> Asking:
        return Asking()


class AsyncAsking(AsyncStreamHandler):
    """The same with coroutines."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, list[Any]] = {}

    async def ask(self, place: str) -> None:
        if place not in self.seen:
            await self.wait_for_args()
            await self.wait_for_args()
            self.seen[place] = list(self.latest_args)

    async def start_up(self) -> None:
        await self.ask("start_up")

    async def receive(self, _frame: object) -> None:
        await self.ask("receive")

    async def emit(self) -> None:
        await self.ask("emit")

    def copy(self) -> AsyncAsking:
        return AsyncAsking()


@pytest.mark.parametrize("inputs", [(), ("a value", 7)], ids=["none", "two"])
@pytest.mark.parametrize("handler", [Asking(), AsyncAsking()], ids=["sync", "async"])
def test_n11_n12_inputs_are_had_from_everywhere(
    handler: Asking | AsyncAsking, inputs: tuple[Any, ...]
) -> None:
    call = simulate(handler, (48_000, np.zeros(4_800, np.int16)), inputs)
    assert isinstance(call.handler, (Asking, AsyncAsking))
    expected = ["__webrtc_value__", *inputs]
    assert call.handler.seen == dict.fromkeys(("start_up", "receive", "emit"), expected)
    assert [event for event in call.events if event.name == "error"] == []
