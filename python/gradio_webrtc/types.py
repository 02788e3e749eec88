"""The types that handlers, sessions and users' programs share.

Imports nothing of ours but the moments of a turn.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures
    from collections.abc import Coroutine

    from ._turn_timings import TurnTimings

Layout: TypeAlias = Literal["mono", "stereo"]
"""The number of channels, one or two. Stereo is planar ``(2, n)`` or packed ``(1, 2 * n)``, left
first."""

Mode: TypeAlias = Literal["send-receive", "send", "receive"]
"""The direction of the media, from the client's side."""

Modality: TypeAlias = Literal["audio", "video", "audio-video"]
"""The kinds of media of a session."""

Fallback: TypeAlias = Literal["auto", "never", "always"]
"""The use of the app's own origin for media, beside WebRTC: where that does not connect, never, or
in its place."""

FrameFormat: TypeAlias = Literal["bgr", "rgb"]
"""The order of the three colours of a video frame's pixels."""

AudioArray: TypeAlias = NDArray[np.int16] | NDArray[np.float32]
"""Samples: int16 full scale, or float32 from -1 to 1; ``(1, n)`` mono."""

AudioFrame: TypeAlias = tuple[int, NDArray[np.int16]]
"""The argument of ``receive``: rate in Hz, and int16 ``(1, n)`` mono or ``(1, 2 * n)`` packed
stereo."""

VideoFrame: TypeAlias = NDArray[np.uint8]
"""uint8 from 0 to 255, ``(height, width, 3)``; blue first, or red with ``frame_format="rgb"``."""


class AdditionalOutputs:
    """Values for the other components of a Gradio app, beside the audio and video of a handler.

    Yield or return it from a handler, alone or behind media as a pair;
    ``WebRTC.on_additional_outputs`` receives the values.

    Args:
        *args: One value for each output component.

    Attributes:
        args: The values, as a tuple.

    Example:
        >>> def reply(audio):
        ...     yield AdditionalOutputs("heard you")
        ...     yield audio, AdditionalOutputs("done")
    """

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __repr__(self) -> str:
        return f"AdditionalOutputs{self.args!r}"


class CloseStream:
    """Ends the session once the audio before it has been played.

    Yield or return it from a handler, alone or behind media as a pair.

    Args:
        msg: The reason, shown to the user.

    Attributes:
        msg: As passed.

    Example:
        >>> def reply(audio):
        ...     yield audio, CloseStream("Goodbye.")
    """

    def __init__(self, msg: str = "Stream closed") -> None:
        self.msg = msg

    def __repr__(self) -> str:
        return f"CloseStream({self.msg!r})"


@dataclass
class WebRTCData:
    """The input of a component with ``variant="textbox"``, in place of the audio alone.

    A function that answers turns gets it when it takes other inputs too, or with
    ``needs_args=True``.

    Attributes:
        webrtc_id: The id of the session; ``"__webrtc_value__"`` without one.
        textbox: The text that the user wrote and sent; empty for a turn that was spoken.
        audio: In a turn of `ReplyOnPause`, the user's utterance: rate in Hz and int16 ``(1, n)``,
            with ``n`` zero when nothing was said before the text was sent; else ``None``.

    Example:
        >>> def reply(data, history):
        ...     words = data.textbox or get_stt_model().stt(data.audio)
        ...     yield AdditionalOutputs([*history, words])
        >>> next(reply(WebRTCData("a session", textbox="Hello"), []))
        AdditionalOutputs(['Hello'],)
    """

    webrtc_id: str
    textbox: str = ""
    audio: AudioFrame | None = None


AudioPart: TypeAlias = tuple[int, AudioArray] | tuple[int, AudioArray, Layout]
"""Audio that a handler emits: rate in Hz, samples, and the layout where it is not mono."""

Extra: TypeAlias = AdditionalOutputs | CloseStream
"""The items that a handler emits beside media."""

AudioEmitType: TypeAlias = AudioPart | Extra | tuple[AudioPart, Extra] | None
"""The result of ``emit``: audio, one of the others, both as a pair, or ``None`` for nothing now."""

VideoEmitType: TypeAlias = VideoFrame | Extra | tuple[VideoFrame, Extra] | None
"""The result of ``video_emit``, likewise with a video frame."""

EmitType: TypeAlias = AudioEmitType
"""fastrtc's name of `AudioEmitType`."""


@runtime_checkable
class VoiceActivityDetector(Protocol):
    """Estimates the probability of speech for windows of fixed length.

    One session uses a detector at a time, on its event loop, so a window has to take much less
    time than it lasts. ``sample_rate`` and ``window_samples`` may be plain attributes.

    Example:
        >>> class Loudness:
        ...     sample_rate = 16000
        ...     window_samples = 512
        ...
        ...     def probability(self, window):
        ...         return float(min(10 * abs(window).mean(), 1.0))
        ...
        ...     def reset(self):
        ...         pass
        >>> handler = ReplyOnPause(lambda audio: audio, vad=Loudness)
    """

    @property
    def sample_rate(self) -> int:
        """The sample rate of the windows, in Hz."""

    @property
    def window_samples(self) -> int:
        """The length of a window, in samples, 1 or more."""

    def probability(self, window: NDArray[np.float32]) -> float:
        """Returns the probability of speech in the next window.

        Args:
            window: float32 from -1 to 1, ``(window_samples,)``; it follows the one before it
                without a gap.

        Returns:
            0 for no speech, to 1.
        """

    def reset(self) -> None:
        """Discards all windows so far; the next one begins a new stream."""


@runtime_checkable
class TurnEndModel(Protocol):
    """Estimates the probability that a user who has fallen silent has finished.

    ``turn_end`` of `ReplyOnPause`. It is called at the beginning of a pause, once at a time in a
    session: in a thread of the session, or on the event loop if ``probability`` is async. A model
    that sessions share is called from several threads at once.

    An attribute ``certain_at``, more than 0, to 1, is the probability from which the turn is over;
    without one that is 0.5.

    Example:
        >>> class LongSentences:
        ...     certain_at = 0.8
        ...
        ...     def probability(self, rate_hz, samples, *, speech_s, silence_s):
        ...         return min(speech_s / 5, 1.0)
        >>> handler = ReplyOnPause(lambda audio: audio, turn_end=LongSentences())
    """

    def probability(
        self, rate_hz: int, samples: NDArray[np.int16], *, speech_s: float, silence_s: float
    ) -> float | Coroutine[Any, Any, float]:
        """Returns the probability that the turn is over.

        However long it takes, the pause ends the turn meanwhile as it would without a model.

        Args:
            rate_hz: The rate of the samples, in Hz: ``input_sample_rate`` of the handler.
            samples: The audio of the turn so far, int16 ``(1, n)``: 0.3 s before its speech, as far
                as there were, the speech, and the silence since. An array of its own.
            speech_s: The seconds from the beginning of the speech to its end.
            silence_s: The seconds of silence since then, about 0.2.

        Returns:
            0 for a user who is about to go on, to 1.
        """


class AudioChunk(TypedDict):
    """A part of a recording, in samples from its beginning, as `SileroVADModel` returns it.

    Attributes:
        start: The index of its first sample, 0 or more.
        end: The index of the sample behind its last.
    """

    start: int
    end: int


@dataclass(frozen=True)
class TransportStats:
    """The counters of one transport, since its session began: a field of `SessionStats`.

    The names are those of W3C webrtc-stats.

    Attributes:
        packets_received: Inbound media packets (``packetsReceived``).
        bytes_received: Their payloads, in bytes (``bytesReceived``).
        packets_lost: Inbound packets that never came (``packetsLost``).
        packets_discarded: Inbound packets that came and were not decoded (``packetsDiscarded``):
            too late, too many for the time that passed, or broken.
        jitter_s: Their interarrival jitter, in seconds (``jitter``).
        concealed_samples: Samples per channel of 48 kHz that were filled in for missing packets
            (``concealedSamples``).
        frames_decoded: Inbound video frames that were decoded (``framesDecoded``).
        frames_dropped: Those of them that nobody took before the next one came
            (``framesDropped``).
        frames_refused: Inbound video frames that were not decoded: larger than the limit, broken,
            or too many for the time that passed.
        packets_sent: Outbound media packets (``packetsSent``).
        bytes_sent: Their payloads, in bytes (``bytesSent``).
        round_trip_time_s: As of the last RTCP report, in seconds (``roundTripTime``); ``None``
            before the first.
        messages_dropped: Messages that newer ones replaced before the data channel opened.
        heard_s: Outbound audio that the client has confirmed as played, in seconds, as telephones
            do; ``None`` where the client confirms nothing.
    """

    packets_received: int = 0
    bytes_received: int = 0
    packets_lost: int = 0
    packets_discarded: int = 0
    jitter_s: float = 0.0
    concealed_samples: int = 0
    frames_decoded: int = 0
    frames_dropped: int = 0
    frames_refused: int = 0
    packets_sent: int = 0
    bytes_sent: int = 0
    round_trip_time_s: float | None = None
    messages_dropped: int = 0
    heard_s: float | None = None


@dataclass(frozen=True)
class SessionStats:
    """A snapshot of one session's counters, since the session began.

    Attributes:
        webrtc_id: The id of the session.
        duration_s: Seconds since the session connected; 0 before that.
        transport: The counters of packets and frames, under the names of the W3C.
        audio_frames_dropped: Inbound audio frames that ``receive`` was too slow for.
        audio_backlog_s: Inbound audio that waits for ``receive``, in seconds.
        emits: Calls of ``emit``.
        reply_delays_s: Seconds from each detected pause to the first frame of the reply to it, as
            it is passed to the transport; the latest 100.
        audio_buffered_s: Emitted audio that waits to be sent, in seconds.
        audio_played_s: Emitted audio that was sent to be played, in seconds; what barge-in dropped
            is not part of it.
        removed_samples_for_acceleration: Samples per channel of 48 kHz that were removed from audio
            emitted in real time, to take back a delay (``removedSamplesForAcceleration``).
        inserted_samples_for_deceleration: Samples per channel of 48 kHz that filled holes in such
            audio (``insertedSamplesForDeceleration``).
        non_finite_samples: Emitted samples that were NaN or infinite and became silence.
        video_frames_replaced: Emitted video frames that a newer one replaced before they were sent.
        outputs_dropped: AdditionalOutputs lost because the client fetched them too slowly.
        outputs_replaced: AdditionalOutputs of video frames that newer ones replaced.
        inbound_messages_dropped: Messages of the client that ``on_message`` was too slow for.
        interruptions: Replies that barge-in ended.
        events: The events of the conversation by name, such as ``pause_detected``, each with its
            number.
        turns: The moments of the user's turns that were answered, or ended without; the latest 100.

    Example:
        >>> stats = SessionStats("a session", duration_s=60.0, interruptions=2)
        >>> stats.transport.packets_lost
        0
        >>> stats.as_dict()["interruptions"]
        2
    """

    webrtc_id: str
    duration_s: float = 0.0
    transport: TransportStats = field(default_factory=TransportStats)
    audio_frames_dropped: int = 0
    audio_backlog_s: float = 0.0
    emits: int = 0
    reply_delays_s: tuple[float, ...] = ()
    audio_buffered_s: float = 0.0
    audio_played_s: float = 0.0
    removed_samples_for_acceleration: int = 0
    inserted_samples_for_deceleration: int = 0
    non_finite_samples: int = 0
    video_frames_replaced: int = 0
    outputs_dropped: int = 0
    outputs_replaced: int = 0
    inbound_messages_dropped: int = 0
    interruptions: int = 0
    events: dict[str, int] = field(default_factory=dict)
    turns: tuple[TurnTimings, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Returns all counters in one flat dict, for logs, metrics and JSON.

        Of the ``turns`` it has the latest, if there is one, its names behind ``last_turn_``.
        """
        counters = asdict(replace(self, turns=()))
        del counters["turns"]
        last = self.turns[-1].as_dict() if self.turns else {}
        turn = {f"last_turn_{name}": value for name, value in last.items()}
        return {**counters.pop("transport"), **counters, **turn}


class DataChannel(Protocol):
    """The data channel of a session, or its substitute: ``channel`` of a `StreamHandler`."""

    def send(self, message: str) -> None:
        """Sends a JSON object as text; other text arrives as a log message. Any thread."""


@runtime_checkable
class SessionControl(Protocol):
    """A session as a program controls it: ``get_current_context().session``.

    Every method may be called from any thread, at any time.

    Attributes:
        webrtc_id: The id of the session.

    Example:
        >>> from gradio_webrtc import get_current_context
        >>> def look_up(audio):
        ...     session = get_current_context().session
        ...     session.say((24000, np.zeros(24000, np.int16)))  # "One moment, please."
        ...     yield 24000, np.zeros(24000, np.int16)  # what was found, behind it
        >>> handler = ReplyOnPause(look_up)
    """

    webrtc_id: str

    def say(
        self, audio: object, when: Literal["now", "silence"] = "now"
    ) -> concurrent.futures.Future[float]:
        """Plays audio to the user that is no answer, such as a reminder or "one moment, please".

        A reply under way stops for it and goes on behind it, with nothing lost. The user interrupts
        it as any reply. It is recorded as ``response_starting`` and ``response_finished`` or
        ``interrupted``, with ``turn=0`` and ``announcement=True``. Of a handler that plays a live
        source, what comes meanwhile is dropped.

        Args:
            audio: An item that a handler may emit, such as ``(rate, array)``; or a generator of
                such, sync or async, or any other iterator, stepped only when its moment has come.
            when: ``"now"``: at once, behind those that were there before. ``"silence"``: once
                nobody speaks, no answer is due, and nothing is played.

        Returns:
            A future of the seconds that the user has heard, at its end; 0 where it was dropped
            before. In async code write ``await asyncio.wrap_future(...)``; waiting for its
            ``result()`` on the event loop would never end.

        Raises:
            HandlerError: It is no audio; 16 announcements wait already; the session has no audio
                for its user, or is over.
            ValueError: ``when`` is something else.
        """

    def interrupt(self) -> None:
        """Ends the reply under way, as the user's words over it do, and all announcements.

        Also where ``can_interrupt`` is False.
        """


class SessionHandle(Protocol):
    """The session of a handler, as the methods of `StreamHandler` use it.

    Every method may be called from any thread.

    Attributes:
        webrtc_id: The id of the session.
    """

    webrtc_id: str

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that runs the session."""

    @property
    def played_s(self) -> float:
        """The emitted audio that was passed on to be played, since the session began; in seconds.

        Network and jitter buffer of the client play it some 0.1 s later. Audio that `clear` or
        `drop_reply` dropped is not part of it, nor are announcements.
        """

    @property
    def buffered_s(self) -> float:
        """The emitted audio that waits to be passed on, in seconds; 1 at most."""

    @property
    def is_playing(self) -> bool:
        """True while emitted audio, or an announcement, waits to be passed on."""

    @property
    def playout_delay_s(self) -> float:
        """The time from a packet to the moment at which the client has played it, in seconds."""

    def note_moment(self, turn: int, moment: Literal["function_start_s", "first_item_s"]) -> None:
        """Notes a moment of `TurnTimings` in the answer to a turn; call on the event loop.

        Args:
            turn: The number of the turn, also of one that may not be over; 0 for none.
            moment: The moment, which is now.
        """

    def echo_score(self, rate_hz: int, received: NDArray[np.int16]) -> float:
        """Returns how much received audio resembles the reply that is played, or was until now.

        It takes about a millisecond; on the event loop.

        Args:
            rate_hz: The rate of the audio, in Hz.
            received: int16 ``(1, n)`` up to now, of which the last 0.5 s count.

        Returns:
            The highest normalised correlation with what was sent in the last 1.6 s, 0 to 1: from
            0.35 on it is an echo. 0 where nothing is played, and with less than 0.2 s of audio.
        """

    def send(self, message: object) -> None:
        """Sends a JSON message to the client, as it is now.

        Messages from before the data channel opens are kept until then, up to a bound.

        Raises:
            TypeError: JSON cannot carry a value in it.
            ValueError: It contains itself, or a number that is none or infinite.
        """

    def request_inputs(self) -> None:
        """Requests the latest input values of the client; they arrive as ``handler.set_args``."""

    def clear(self) -> None:
        """Drops queued outbound audio, and nothing else.

        Outputs stay queued, and audio that is emitted later is played.
        """

    def drop_reply(self) -> None:
        """Ends the reply for a barge-in.

        Drops queued outbound audio, and the result of an ``emit`` that is running.
        """

    def heard_s(self, turn: int) -> float:
        """Returns what the user has heard of the reply to a turn so far, in seconds.

        Args:
            turn: The number of the turn; 0 for the last reply to none.
        """

    @property
    def unheard(self) -> int | None:
        """The turn whose reply is complete, and was not heard to its end; ``None`` for none."""

    def allow_holds(self) -> None:
        """Has what `hold_reply` needs kept from now on, some 0.2 s of what was passed on."""

    def hold_reply(self) -> None:
        """Silences the reply at once, here and at the client, and keeps all of it.

        What waits is not passed on until `resume_reply`; `clear` and `interrupt` drop it as ever.
        """

    def resume_reply(self) -> None:
        """Plays on a reply that is held, from 0.2 s before what the client has played."""

    def end_reply(self) -> None:
        """Ends the reply: its last partial frame is padded with silence and sent."""

    def event(self, name: str, **data: object) -> None:
        """Notes an event of the conversation.

        Args:
            name: The event's name, such as ``pause_detected``.
            **data: Its data, by name.
        """

    def report(self, error: BaseException) -> None:
        """Reports an error of user code: once to the log, and to the user without internals."""
