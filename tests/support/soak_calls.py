"""Calls of every kind that the soak's users make, each from the first request to the last."""

from __future__ import annotations

import asyncio
import random
import socket
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import soxr
from support.datagrams import addresses
from support.page import PageCaller
from support.signals import speech

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from numpy.typing import NDArray
    from support.page import GradioPage

ANSWER_LIMIT_S: Final = 30.0
"""The time that a call may take until its user has heard or seen what they came for."""

DATAGRAMS: Final = 500
MESSAGES: Final = 300


class Refused(Exception):
    """The server refused a call."""


def say_hello() -> NDArray[np.int16]:
    """Speech with a second of silence before and after it, int16 ``(n,)`` at 48 kHz."""
    rate_hz, samples = speech("asterisk_hello_world_16k")
    spoken = soxr.resample(samples, rate_hz, 48_000)
    silence = np.zeros(48_000, np.int16)
    return np.concatenate([silence, spoken.astype(np.int16), silence])


HELLO: Final = say_hello()


async def connect(page: GradioPage, label: str, said: NDArray[np.int16] = HELLO) -> PageCaller:
    """Calls a component of the page.

    Raises:
        Refused: The server refused.
    """
    caller = PageCaller(page, page.component("webrtc", label), said)
    answer = await caller.call()
    if answer.get("status") == "failed":
        raise Refused(str(answer))
    return caller


async def talk(page: GradioPage) -> None:
    """Says something, is answered, and hangs up."""
    caller = await connect(page, "talk")
    await caller.until(lambda: caller.loud_seconds() > 0.5)
    await caller.hang_up()


async def interrupt(page: GradioPage) -> None:
    """Speaks again while the answer is heard."""
    caller = await connect(page, "talk")
    await caller.until(lambda: caller.loud_seconds() > 0.3)
    caller.microphone.say(HELLO[48_000:])
    await caller.until(lambda: caller.loud_seconds() > 1.5)
    await caller.hang_up()


async def count(page: GradioPage) -> None:
    """Takes outputs on the page."""
    caller = await connect(page, "count")
    await caller.until(lambda: len(caller.pages) >= 3)
    await caller.hang_up()


async def write(page: GradioPage) -> None:
    """Sends text, and is answered with audio."""
    caller = await connect(page, "write", np.zeros(48_000, np.int16))
    component = page.component("webrtc", "write")
    page.values[component] = {**page.values[component], "textbox": "hello"}
    await page.dispatch(component, "submit")
    await caller.until(lambda: caller.loud_seconds() > 0.05)
    await caller.hang_up()


async def look(page: GradioPage) -> None:
    """Shows a camera's pictures, and sees them mirrored."""
    caller = await connect(page, "video")
    await caller.until(lambda: len(caller.seen) >= 10)
    await caller.hang_up()


async def listen(page: GradioPage) -> None:
    """Hears what a generator has to say."""
    caller = await connect(page, "receive")
    await caller.until(lambda: caller.loud_seconds() > 0.5)
    await caller.hang_up()


async def leave_by_request(page: GradioPage) -> None:
    """Leaves as a page does that is closed."""
    caller = await connect(page, "count")
    await caller.request({"type": "close", **_credentials(caller)})
    await caller.closed.wait()
    await caller.hang_up()


async def vanish(page: GradioPage) -> None:
    """Goes without a word while the server speaks."""
    caller = await connect(page, "talk")
    await caller.until(lambda: caller.loud_seconds() > 0.1)
    caller.vanish()
    await caller.hang_up()


async def never_connect(page: GradioPage) -> None:
    """Makes an offer, and is not heard of again."""
    caller = PageCaller(page, page.component("webrtc", "echo"), HELLO)
    await caller.request(await caller.offer())
    await caller.hang_up()


async def offer_nonsense(page: GradioPage) -> None:
    """Makes offers that nobody can answer."""
    caller = PageCaller(page, page.component("webrtc", "echo"), HELLO)
    offer = await caller.offer()
    for old, new in (("a=setup", "a=x"), ("m=audio", "m=sculpture"), ("v=0", "v=1")):
        answer = await caller.request({**offer, "sdp": offer["sdp"].replace(old, new)})
        assert answer["status"] == "failed", answer
    await caller.hang_up()


async def flood_the_channel(page: GradioPage) -> None:
    """Sends more text than any page does; the server may end the call over it."""
    caller = await connect(page, "echo")
    await caller.until(lambda: len(caller.heard) > 10)
    for _ in range(MESSAGES):
        if caller.channel.readyState == "open":
            caller.channel.send("x" * 2_000)
    await asyncio.sleep(1.0)
    await caller.hang_up()


async def flood_the_port(page: GradioPage) -> None:
    """Has a stranger send garbage to the port of a call, which goes on."""
    caller = await connect(page, "echo")
    await caller.until(lambda: len(caller.heard) > 10)
    made = random.Random(1)  # noqa: S311  # garbage
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for host, port in addresses(caller.pc.remoteDescription.sdp):
            for number in range(DATAGRAMS):
                stranger.sendto(made.randbytes(number % 200), (host, port))
    heard = len(caller.heard)
    await caller.until(lambda: len(caller.heard) > heard + 25)
    await caller.hang_up()


def _credentials(caller: PageCaller) -> dict[str, Any]:
    return {"webrtc_id": caller.webrtc_id, "secret": caller.secret}


KINDS: Final[tuple[Callable[[GradioPage], Awaitable[None]], ...]] = (
    talk,
    interrupt,
    count,
    write,
    look,
    listen,
    leave_by_request,
    vanish,
    never_connect,
    offer_nonsense,
    flood_the_channel,
    flood_the_port,
)
