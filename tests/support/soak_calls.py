"""Sessions of every kind that the soak's users make, each from the first request to the last."""

from __future__ import annotations

import asyncio
import random
import socket
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import soxr
from support.datagrams import addresses
from support.page import PageClient
from support.signals import speech

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from numpy.typing import NDArray
    from support.page import GradioPage

ANSWER_LIMIT_S: Final = 30.0
"""The time that a session may take until its user has received what they came for."""

DATAGRAMS: Final = 500
MESSAGES: Final = 300


class Refused(Exception):
    """The server refused a session."""


def say_hello() -> NDArray[np.int16]:
    """Speech with a second of silence before and after it, int16 ``(n,)`` at 48 kHz."""
    rate_hz, samples = speech("asterisk_hello_world_16k")
    spoken = soxr.resample(samples, rate_hz, 48_000)
    silence = np.zeros(48_000, np.int16)
    return np.concatenate([silence, spoken.astype(np.int16), silence])


HELLO: Final = say_hello()


async def connect(page: GradioPage, label: str, speech: NDArray[np.int16] = HELLO) -> PageClient:
    """Calls a component of the page.

    Raises:
        Refused: The server refused.
    """
    client = PageClient(page, page.component("webrtc", label), speech)
    answer = await client.call()
    if answer.get("status") == "failed":
        raise Refused(str(answer))
    return client


async def talk(page: GradioPage) -> None:
    """Speaks, is answered, and hangs up."""
    client = await connect(page, "talk")
    await client.until(lambda: client.loud_seconds() > 0.5)
    await client.hang_up()


async def interrupt(page: GradioPage) -> None:
    """Speaks again while the answer is played."""
    client = await connect(page, "talk")
    await client.until(lambda: client.loud_seconds() > 0.3)
    client.microphone.say(HELLO[48_000:])
    await client.until(lambda: client.loud_seconds() > 1.5)
    await client.hang_up()


async def count(page: GradioPage) -> None:
    """Takes outputs on the page."""
    client = await connect(page, "count")
    await client.until(lambda: len(client.pages) >= 3)
    await client.hang_up()


async def write(page: GradioPage) -> None:
    """Sends text, and is answered with audio."""
    client = await connect(page, "write", np.zeros(48_000, np.int16))
    component = page.component("webrtc", "write")
    page.values[component] = {**page.values[component], "textbox": "hello"}
    await page.dispatch(component, "submit")
    await client.until(lambda: client.loud_seconds() > 0.05)
    await client.hang_up()


async def look(page: GradioPage) -> None:
    """Sends a camera's frames, and receives them mirrored."""
    client = await connect(page, "video")
    await client.until(lambda: len(client.video_frames) >= 10)
    await client.hang_up()


async def listen(page: GradioPage) -> None:
    """Receives the audio of a generator."""
    client = await connect(page, "receive")
    await client.until(lambda: client.loud_seconds() > 0.5)
    await client.hang_up()


async def leave_by_request(page: GradioPage) -> None:
    """Leaves as a page does when it is closed."""
    client = await connect(page, "count")
    await client.request({"type": "close", **_credentials(client)})
    await client.closed.wait()
    await client.hang_up()


async def vanish(page: GradioPage) -> None:
    """Goes without a word while the server speaks."""
    client = await connect(page, "talk")
    await client.until(lambda: client.loud_seconds() > 0.1)
    client.vanish()
    await client.hang_up()


async def never_connect(page: GradioPage) -> None:
    """Makes an offer, and never sends anything again."""
    client = PageClient(page, page.component("webrtc", "echo"), HELLO)
    await client.request(await client.offer())
    await client.hang_up()


async def offer_nonsense(page: GradioPage) -> None:
    """Makes offers that nobody can answer."""
    client = PageClient(page, page.component("webrtc", "echo"), HELLO)
    offer = await client.offer()
    for old, new in (("a=setup", "a=x"), ("m=audio", "m=sculpture"), ("v=0", "v=1")):
        answer = await client.request({**offer, "sdp": offer["sdp"].replace(old, new)})
        assert answer["status"] == "failed", answer
    await client.hang_up()


async def flood_the_channel(page: GradioPage) -> None:
    """Sends more text than any page does; the server may end the session over it."""
    client = await connect(page, "echo")
    await client.until(lambda: len(client.audio_frames) > 10)
    for _ in range(MESSAGES):
        if client.channel.readyState == "open":
            client.channel.send("x" * 2_000)
    await asyncio.sleep(1.0)
    await client.hang_up()


async def flood_the_port(page: GradioPage) -> None:
    """Has a stranger send garbage to the port of a session, which goes on."""
    client = await connect(page, "echo")
    await client.until(lambda: len(client.audio_frames) > 10)
    made = random.Random(1)  # noqa: S311  # garbage
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for host, port in addresses(client.pc.remoteDescription.sdp):
            for number in range(DATAGRAMS):
                stranger.sendto(made.randbytes(number % 200), (host, port))
    received = len(client.audio_frames)
    await client.until(lambda: len(client.audio_frames) > received + 25)
    await client.hang_up()


def _credentials(client: PageClient) -> dict[str, Any]:
    return {"webrtc_id": client.webrtc_id, "secret": client.secret}


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
