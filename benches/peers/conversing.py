"""The handlers' replies, the same for every stack."""

from __future__ import annotations

import asyncio
import functools
from queue import Queue

import numpy as np

REPLY_RATE_HZ = 24_000
CHUNK_S = 0.2
CHUNKS = 15


def _tone():
    seconds = np.arange(round(CHUNK_S * REPLY_RATE_HZ)) / REPLY_RATE_HZ
    return (8_000 * np.sin(2 * np.pi * 440 * seconds)).astype(np.int16).reshape(1, -1)


TONE = _tone()


def answer(_audio):
    """Three seconds of audio, as a voice would come: in chunks of 0.2 s."""
    for _ in range(CHUNKS):
        yield (REPLY_RATE_HZ, TONE)


def answer_briefly(_audio):
    """A fifth of a second of audio."""
    yield (REPLY_RATE_HZ, TONE)


def stay_silent(_audio):
    """Answers with nothing."""
    yield from ()


def make_video_function(meter):
    """A function on video that gives back each frame, and counts them."""

    def show(image):
        meter.received += 1
        return image

    return show


def make_echo(stream_handler):
    """The echo of the user's guide, whose ``emit`` blocks in a queue, of a package's own base."""

    class Echo(stream_handler):
        def __init__(self) -> None:
            super().__init__(input_sample_rate=48_000, output_sample_rate=48_000)
            self.queue = Queue()

        def receive(self, frame) -> None:
            self.queue.put(frame)

        def emit(self):
            return self.queue.get()

        def copy(self):
            return Echo()

    return Echo


def make_async_echo(async_stream_handler):
    """The same of a package's own asynchronous base."""

    class AsyncEcho(async_stream_handler):
        def __init__(self) -> None:
            super().__init__(input_sample_rate=48_000, output_sample_rate=48_000)
            self.queue = asyncio.Queue()

        async def receive(self, frame) -> None:
            self.queue.put_nowait(frame)

        async def emit(self):
            return await self.queue.get()

        async def start_up(self) -> None:
            pass

        def copy(self):
            return AsyncEcho()

    return AsyncEcho


def make_handler(
    scenario, stream_handler, reply_on_pause, meter, async_stream_handler=None, *, counts_turns=True
):
    """The handler of a scenario, and a count of what it is given and asked.

    Args:
        scenario: "listening", "conversation", "reply", "echo" or "echo_async".
        stream_handler: The package's base class.
        reply_on_pause: The package's class.
        meter: Counts frames received and calls of ``emit``.
        async_stream_handler: The package's base class of "echo_async".
        counts_turns: False where the handler of turns is given no frames unless a program replaces
            its ``receive``, as a count of the calls does.
    """
    if scenario == "echo_async":
        echo = make_async_echo(async_stream_handler)
        echo.receive = _counting_async(echo.receive, meter)
        return echo()
    echo = make_echo(stream_handler)
    for handler in (echo, reply_on_pause) if counts_turns else (echo,):
        count(handler, "receive", meter, "received")
    count(echo, "emit", meter, "emits")
    if scenario == "echo":
        return echo()
    functions = {"conversation": answer, "reply": answer_briefly, "listening": stay_silent}
    return reply_on_pause(functions[scenario])


def _counting_async(receive, meter):
    @functools.wraps(receive)
    async def counting(*args):
        meter.received += 1
        await receive(*args)

    return counting


def count(handler, method, meter, counter) -> None:
    """Counts the calls of a class's method."""
    wrapped = getattr(handler, method)

    @functools.wraps(wrapped)
    def counting(*args):
        setattr(meter, counter, getattr(meter, counter) + 1)
        return wrapped(*args)

    setattr(handler, method, counting)
