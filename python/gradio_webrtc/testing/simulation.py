"""A whole session on a virtual clock, through the same session code and core as a real one.

Runs in the thread that calls `simulate`, apart from the worker threads of the session.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from gradio_webrtc._config import SessionConfig
from gradio_webrtc._handlers import ReplyOnPause, StreamHandlerBase
from gradio_webrtc._messages import encode_message
from gradio_webrtc._session.session import Session
from gradio_webrtc._transport.pacing import FRAME_S, SESSION_RATE_HZ
from gradio_webrtc._turn_timings import TurnTimings
from gradio_webrtc._workers.watchdog import Expect
from gradio_webrtc._workers.workers import Worker
from gradio_webrtc.types import SessionStats

from .clock import PatientWorker, VirtualClockLoop
from .transport import FakeTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from gradio_webrtc._transport import AudioBlock

    from .echo import Echo
    from .network import Network


TAIL_S: Final = 2.0
"""Seconds of silence after the recording before a session may end: more than any pause that ends a
turn."""

QUIET_S: Final = 0.5
"""Seconds without audible audio from the handler after which the session is over."""


class SimulatedEvent(NamedTuple):
    """An event of a `Simulation`: its time in seconds of the session, its name and its data."""

    time_s: float
    name: str
    data: dict[str, Any]


class SimulatedOutput(NamedTuple):
    """AdditionalOutputs of a `Simulation`: the time in seconds of the session, and the values."""

    time_s: float
    args: tuple[Any, ...]


@dataclass(frozen=True)
class Turn:
    """One turn of the user in a `Simulation`, and the reply; times in seconds of the session.

    Attributes:
        speech_start_s: The time at which the detector found the beginning of the speech.
        speech_end_s: The time at which it found the end.
        pause_s: The time of the decision that the turn is over.
        audio: The utterance that the user's function got: rate in Hz and int16 ``(1, n)``.
        reply_start_s: The time at which the first frame of the reply was sent; ``None`` without
            a reply.
        timings: All moments between the last speech and the first audio of the reply.
    """

    speech_start_s: float
    speech_end_s: float
    pause_s: float
    audio: tuple[int, NDArray[np.int16]]
    reply_start_s: float | None
    timings: TurnTimings = field(default_factory=lambda: TurnTimings(0))


@dataclass
class Simulation:
    """The result of a simulated session.

    Attributes:
        turns: The turns of the user, in order.
        audio: The audio that was sent to the client, from the start of the session on: 48,000 Hz
            and int16 ``(channels, n)``.
        outputs: The AdditionalOutputs, in order.
        events: All events, in order.
        messages: The messages to the client, each behind its time in seconds of the session: dicts,
            and whatever else the handler sent with `StreamHandlerBase.send`.
        end_reason: The reason of the end, in words.
        duration_s: The duration on the session's own clock, in seconds.
        handler: This session's copy of the handler.
        stats: The session's counters, as of its end.

    Example:
        >>> def greet():
        ...     yield 24000, np.zeros((1, 24000), np.int16)
        ...     yield AdditionalOutputs("Hello")
        >>> handler = ReplyOnPause(lambda audio: audio, startup_fn=greet)
        >>> simulation = simulate(handler, (16000, np.zeros(16000, np.int16)))
        >>> [output.args for output in simulation.outputs]
        [('Hello',)]
    """

    turns: list[Turn] = field(default_factory=list)
    audio: tuple[int, NDArray[np.int16]] = (SESSION_RATE_HZ, np.zeros((1, 0), np.int16))
    outputs: list[SimulatedOutput] = field(default_factory=list)
    events: list[SimulatedEvent] = field(default_factory=list)
    messages: list[tuple[float, Any]] = field(default_factory=list)
    end_reason: str = ""
    duration_s: float = 0.0
    handler: StreamHandlerBase | None = None
    stats: SessionStats = field(default_factory=lambda: SessionStats("simulated"))


def simulate(  # noqa: PLR0913 - each has a name, and a default
    handler: StreamHandlerBase | Callable[..., Any],
    audio: tuple[int, NDArray[np.int16]],
    inputs: Sequence[Any] = (),
    *,
    messages: Iterable[tuple[float, Any]] = (),
    tail_s: float = TAIL_S,
    time_limit_s: float | None = None,
    max_duration_s: float = 3600.0,
    network: Network | None = None,
    echo: Echo | None = None,
) -> Simulation:
    """Plays a recording to a handler and returns what a client would have received.

    It runs through the same session code, core and pacing as a real session, on a clock that jumps
    over silence: minutes take moments. Code of the handler takes no time on that clock, except
    where it awaits ``asyncio.sleep``. Two runs give the same result; only an ``emit`` that blocks
    until something is received is raced against the clock, and gets 5 ms of real time for it.

    Args:
        handler: A handler, of which the session gets a copy; or a function for `ReplyOnPause`.
        audio: The user's audio: rate in Hz (a multiple of 50) and int16 ``(n,)`` or ``(1, n)``.
        inputs: The values of the other input components.
        messages: Messages that the client sends over the data channel, for the ``on_message`` of
            the handler: each as ``(time_s, data)``, in seconds of the session from 0 on, and any
            value that JSON can carry.
        tail_s: Seconds of silence after the recording before the session may end.
        time_limit_s: The time limit of the session, in seconds; ``None`` for no limit.
        max_duration_s: The seconds after which a session that goes on for ever is ended.
        network: The network that the client's audio goes through, as packets of Opus; messages and
            the handler's audio do not. ``None`` for no network and no codec.
        echo: The part of the handler's audio that the client's microphone receives, as without
            headphones and without echo cancellation. ``None`` for nothing.

    Returns:
        The turns, the audio, the outputs and all other results of the session.

    Raises:
        RuntimeError: Called from a running event loop.
        TypeError: JSON cannot carry a message.
        ValueError: The audio is not mono int16, or its rate is no multiple of 50; or the time of a
            message is none.

    Example:
        >>> import numpy as np
        >>> def reply(audio):
        ...     yield audio
        >>> simulate(reply, (16000, np.zeros(16000, np.int16))).turns
        []
        >>> from gradio_webrtc.testing import Network
        >>> lossy = Network(loss=0.05, delay_ms=60, jitter_ms=40)
        >>> speech = (16000, np.zeros(160000, np.int16))
        >>> simulate(reply, speech, network=lossy).stats.transport.packets_lost > 0
        True
    """
    rate_hz, samples = _check_audio(audio)
    template = handler if isinstance(handler, StreamHandlerBase) else ReplyOnPause(handler)
    client = _Client(rate_hz, samples, tuple(inputs), _encode(messages), network, echo)
    run = _Run(template.copy(), client, tail_s, max_duration_s)
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        return runner.run(run.hold(time_limit_s))


def _check_audio(audio: tuple[int, NDArray[np.int16]]) -> tuple[int, NDArray[np.int16]]:
    rate_hz, samples = audio
    samples = np.asarray(samples)
    if samples.dtype != np.int16 or samples.size != max(samples.shape, default=0):
        raise ValueError(
            f"expected mono int16 samples, (n,) or (1, n); got {samples.dtype} {samples.shape}"
        )
    if rate_hz % 50:
        raise ValueError(f"expected a sample rate that is a multiple of 50 Hz, got {rate_hz}")
    return int(rate_hz), samples.reshape(-1)


def _encode(messages: Iterable[tuple[float, Any]]) -> tuple[tuple[float, str], ...]:
    encoded = tuple((time_s, encode_message(data)) for time_s, data in messages)
    for time_s, _ in encoded:
        if not 0 <= time_s < math.inf:
            raise ValueError(f"expected the time of a message in seconds from 0 on, got {time_s}")
    return encoded


class _Client(NamedTuple):
    """What the client of a simulated session sends.

    Attributes:
        rate_hz: The sample rate of its audio, in Hz.
        samples: Its audio, int16 ``(n,)``.
        inputs: The values of its input components.
        messages: Its messages, each as text behind its time in seconds of the session.
        network: The network that its audio goes through.
        echo: The way from its speaker to its microphone.
    """

    rate_hz: int
    samples: NDArray[np.int16]
    inputs: tuple[Any, ...]
    messages: tuple[tuple[float, str], ...]
    network: Network | None
    echo: Echo | None


class _Run:
    """One session under way: the client's side of it, and the decision that it is over."""

    def __init__(
        self, handler: StreamHandlerBase, client: _Client, tail_s: float, max_duration_s: float
    ) -> None:
        self._handler = handler
        self._client = client
        self._last_message_s = max((time_s for time_s, _ in client.messages), default=0.0)
        self._tail_s = tail_s
        self._max_duration_s = max_duration_s
        self._open_replies = 0
        self._timings: dict[int, TurnTimings] = {}
        self._result = Simulation(handler=handler)

    async def hold(self, time_limit_s: float | None) -> Simulation:
        """Runs the session and collects the result."""
        self._transport = _WatchedTransport(self._client, self._on_message, self._on_block)
        self._session = Session(
            "simulated",
            self._transport,
            self._handler,
            SessionConfig(has_outputs=True, time_limit_s=time_limit_s),
            on_event=self._on_event,
            make_worker=self._make_worker,
        )
        self._session.context.turn_times.on_change = self._note_turn
        result = self._result
        result.end_reason = await self._session.run()
        result.stats = self._session.stats()
        result.duration_s = self._transport.now_s
        result.messages = self._transport.messages
        result.audio = (SESSION_RATE_HZ, _place(self._transport.sent, result.duration_s))
        result.turns = self._turns()
        return result

    def _make_worker(self, name: str, owner: str, expect: Expect) -> Worker:
        may_block = expect is not Expect.RETURN and not isinstance(self._handler, ReplyOnPause)
        is_endless = expect is Expect.NOTHING
        return (PatientWorker if may_block or is_endless else Worker)(name, owner, expect)

    def _on_event(self, time_s: float, name: str, data: dict[str, Any]) -> None:
        self._result.events.append(SimulatedEvent(time_s, name, data))
        if name == "pause_detected":
            self._open_replies += 1
        elif name in ("response_finished", "interrupted") and self._open_replies:
            # Neither a greeting nor an announcement answers a turn.
            self._open_replies -= data.get("turn") != 0

    def _note_turn(self, turn: TurnTimings) -> None:
        self._timings[turn.number] = turn

    def _on_message(self, message: Any) -> None:
        loop = asyncio.get_running_loop()
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "send_input":
            loop.call_soon(self._session.set_inputs, self._client.inputs)
        elif kind == "fetch_output":
            loop.call_soon(self._take_output)

    def _take_output(self) -> None:
        outputs = self._session.outputs.take()
        if outputs is not None:
            self._result.outputs.append(SimulatedOutput(self._transport.now_s, outputs.args))
            self._session.outputs.done()

    def _on_block(self) -> None:
        """Checks, 50 times a second of the session, if it is over."""
        now_s = self._transport.now_s
        has_finished = (
            now_s >= max(self._transport.duration_s, self._last_message_s) + self._tail_s
            and not self._open_replies
            and self._session.audio_buffer.buffered_s <= FRAME_S
            and not self._session.context.is_announcing
            and now_s >= self._transport.last_audio_s + QUIET_S
        )
        if has_finished or now_s >= self._max_duration_s:
            loop = asyncio.get_running_loop()
            if isinstance(loop, VirtualClockLoop):
                loop.stands_for_jobs = False
            self._transport.hang_up("the recording is over")

    def _turns(self) -> list[Turn]:
        pauses = [event for event in self._result.events if event.name == "pause_detected"]
        ends = [*(event.time_s for event in pauses[1:]), float("inf")][: len(pauses)]
        return [
            Turn(
                speech_start_s=event.data["speech_start_s"],
                speech_end_s=event.data["speech_end_s"],
                pause_s=event.time_s,
                audio=event.data["audio"],
                reply_start_s=self._first_audio(event.time_s, end_s),
                timings=self._timings.get(event.data.get("turn", 0), TurnTimings(0)),
            )
            for event, end_s in zip(pauses, ends, strict=True)
        ]

    def _first_audio(self, begin_s: float, end_s: float) -> float | None:
        return next((at for at, _ in self._transport.sent if begin_s <= at < end_s), None)


class _WatchedTransport(FakeTransport):
    """A fake transport that reports every audio block of the client, and sends messages."""

    def __init__(
        self, client: _Client, on_message: Callable[[Any], None], on_block: Callable[[], None]
    ) -> None:
        super().__init__(
            client.rate_hz,
            client.samples,
            on_message,
            network=client.network,
            echo=client.echo,
        )
        self._texts = client.messages
        self._on_block = on_block

    async def connect(self) -> None:
        """Connects at once; from now on each message comes at its time."""
        await super().connect()
        loop = asyncio.get_running_loop()
        for time_s, text in self._texts:
            loop.call_later(time_s, self.on_message, text)

    def _take_block(self) -> AudioBlock:
        self._on_block()
        return super()._take_block()


def _place(sent: Sequence[tuple[float, NDArray[np.int16]]], duration_s: float) -> NDArray[np.int16]:
    """Returns the frames at their times, int16 ``(channels, n)``, with silence between them."""
    frame_samples = round(FRAME_S * SESSION_RATE_HZ)
    channels = max((frame.size // frame_samples for _, frame in sent), default=1)
    audio = np.zeros((channels, round(duration_s * SESSION_RATE_HZ)), np.int16)
    for time_s, frame in sent:
        begin = round(time_s * SESSION_RATE_HZ)
        piece = audio[:, begin : begin + frame_samples]
        piece[:] = frame.reshape(-1, frame.size // frame_samples).T[:, : piece.shape[1]]
    return audio
