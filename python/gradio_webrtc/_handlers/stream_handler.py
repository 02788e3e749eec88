"""The classes that users subclass to receive a client's media and to send their own.

A handler given to a stream is a template: every session runs on its own ``copy()``, which `bind`
ties to its `SessionHandle`. Nothing here depends on sessions and networks beyond that protocol.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc._workers.user_code import guard, never_blocks
from gradio_webrtc._workers.waiting import note_wait
from gradio_webrtc._workers.workers import Done
from gradio_webrtc.errors import ConnectionLost
from gradio_webrtc.types import WebRTCData

from .input_settings import InputSetting, check_frame_size, check_layout, check_rate
from .notices import Channel, as_message
from .resampling import FrameResampler
from .signatures import report_mistakes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from gradio_webrtc._turns.detector import InboundDetection
    from gradio_webrtc.types import (
        AudioFrame,
        DataChannel,
        EmitType,
        Layout,
        SessionHandle,
        VideoEmitType,
        VideoFrame,
    )

T = TypeVar("T")

INPUT_PLACEHOLDER: Final = "__webrtc_value__"
"""The item that stands for the component's own value at the head of ``latest_args``; programs of
users compare with it."""

INPUT_FRAME_SAMPLES: Final = 960
"""Samples per channel in a block for ``receive``, whatever the rate: what gradio_webrtc 0.0.31 and
fastrtc delivered, and what their users' code counts on."""

INPUTS_TIMEOUT_S: Final = 60.0
"""Seconds that a client may take to send its input values. A handler that has given up gets no
values that arrive later, so this is more than any client takes that is still there."""

RELEASE_TASKS_S: Final = 1.0
"""Seconds that the end of a session waits for coroutines of the user's that were cancelled."""


@asynccontextmanager
async def inputs_within(limit_s: float) -> AsyncIterator[None]:
    """Limits the time in which its block waits for the client's input values.

    Args:
        limit_s: The limit, in seconds.

    Raises:
        TimeoutError: It has passed.
    """
    try:
        async with asyncio.timeout(limit_s):
            yield
    except TimeoutError:
        raise TimeoutError(
            f"the client did not send its input values within {limit_s:g} s"
        ) from None


NOTHING_TO_AWAIT: Final = Done(None)
"""The result of our own ``start_up`` and ``shutdown``: subclasses call them with ``await`` and
without, as they did with the sync and async handlers of gradio_webrtc 0.0.31 and fastrtc."""


class StreamHandlerBase(ABC):
    """The base of all handlers, audio or video, sync or async; subclass `StreamHandler` or another.

    The arguments, and the error for a wrong one, are those of `StreamHandler`.

    Attributes:
        latest_args: The values of the stream's ``inputs`` as the client sent them last, behind the
            placeholder ``"__webrtc_value__"`` that stands for the component itself, or behind its
            `WebRTCData` when it has a text field.
        args_set: Set once the client has sent values; `reset` clears it.
        channel_set: Set once messages may be sent, from `bind` on: messages sent before the data
            channel opens are kept for it.
        input_sample_rate: As given. This one and the next two may be set at any time, for instance
            in `start_up`: frames that are made from then on follow, and no audio is lost. A value
            out of range raises `AudioError`.
        expected_layout: As given.
        input_frame_size: Samples per channel handed to ``receive`` at a time.
        phone_mode: True if the client has no inputs to wait for, as a telephone.
    """

    input_sample_rate = InputSetting[int](check_rate)
    expected_layout = InputSetting["Layout"](check_layout)
    input_frame_size = InputSetting[int](check_frame_size)

    _rtc_on_input_change: Callable[[], None] | None = None

    def __init__(
        self,
        expected_layout: Layout = "mono",
        output_sample_rate: int = 24000,
        output_frame_size: int | None = None,
        input_sample_rate: int = 48000,
        fps: int = 30,
    ) -> None:
        check_rate("output_sample_rate", output_sample_rate)
        self.expected_layout = expected_layout
        self.output_sample_rate = output_sample_rate
        self.output_frame_size = output_frame_size or output_sample_rate // 50
        self.input_sample_rate = input_sample_rate
        self.fps = fps
        self.input_frame_size = INPUT_FRAME_SAMPLES
        self.phone_mode = False
        self._rtc_forget_session()

    def _rtc_forget_session(self) -> None:
        """Gives the handler the state of one that has not been in a session."""
        self.latest_args: list[Any] = []
        self.args_set = asyncio.Event()
        self.channel_set = asyncio.Event()
        self._rtc_next_args = asyncio.Event()
        self._rtc_session: SessionHandle | None = None
        # Programs set, test and call this.
        self._clear_queue: Callable[[], None] | None = None
        self._channel: DataChannel | None = None
        self._resampler: FrameResampler | None = None
        self._rtc_loop_thread: int | None = None
        self._rtc_tasks = TaskScope()
        self._rtc_on_input_change = None

    # Life of a session

    def bind(self, session: SessionHandle) -> None:
        """Ties this copy to its session; once, on the event loop, before `start_up`."""
        report_mistakes(self, session)
        if self._rtc_session is not None:
            # Its copy() returned the handler itself: no state of the earlier session may remain.
            self._rtc_forget_session()
        self._rtc_session = session
        self._clear_queue = session.clear
        self._rtc_loop_thread = threading.get_ident()
        # A handler may override set_channel.
        with guard(session.report):
            self.set_channel(Channel(session))

    @property
    def session_receive(self) -> Callable[..., Any]:
        """The function that a session calls with each frame: ``receive``, unless one is better."""
        handler: Any = self
        receive: Callable[..., Any] = handler.receive
        return receive

    def session_input(self, on_change: Callable[[], None] | None) -> None:
        """Has ``on_change`` called when the form of frames is set; with the first audio.

        Args:
            on_change: Called in the thread that sets it. ``None`` behind the last audio.
        """
        self._rtc_on_input_change = on_change

    def _rtc_set_input(self, name: str, value: object) -> None:
        """Sets an `InputSetting`; in any thread."""
        vars(self)[name] = value
        if (on_change := self._rtc_on_input_change) is not None:
            on_change()

    def session_detection(self) -> InboundDetection | None:
        """Returns what a session passes received audio to in place of ``receive``, if anything.

        Called with the first audio, of a handler whose ``receive_is_light``.
        """
        return None

    @property
    def session_emit(self) -> Callable[..., Any]:
        """The function that a session calls for each item: ``emit``, unless one is better."""
        handler: Any = self
        emit: Callable[..., Any] = handler.emit
        return emit

    @never_blocks
    def start_up(self) -> Any:
        """Runs once when the session begins; override it, with ``def`` or ``async def``.

        It may run as long as the session, for instance to hold the connection to a service open and
        read from it; `receive` and `emit` are called meanwhile. A coroutine is cancelled when the
        session ends; a plain function has a thread of its own. An exception is reported, and the
        session goes on.

        Returns:
            Nothing that matters; it may be awaited, so that ``await super().start_up()`` works.
        """
        return NOTHING_TO_AWAIT

    async def wait_until_ready(self) -> None:  # noqa: B027 - most handlers are always ready
        """Returns when ``emit`` may have an item: here, at once."""

    def reset(self) -> None:
        """Makes the next turn ask the client for its inputs again."""
        self.args_set.clear()

    @never_blocks
    def shutdown(self) -> Any:
        """Runs once when the session has ended, however it ended; override it as `start_up`."""
        return NOTHING_TO_AWAIT

    async def release(self) -> None:
        """Frees what a ready-made handler holds for its session; awaited last, after `shutdown`.

        It is apart from ``shutdown`` so that a subclass may override that one without a thought.
        """
        await self._rtc_tasks.close(RELEASE_TASKS_S)

    @abstractmethod
    def copy(self) -> StreamHandlerBase:
        """Returns a new handler of the same kind for one session."""

    @property
    def receive_is_light(self) -> bool:
        """True if ``receive`` may run on the event loop itself, within microseconds."""
        return False

    @property
    def has_open_turn(self) -> bool | None:
        """True while the user has begun a turn, or what may become one; ``None`` without turns.

        Only audio ends it. Where none comes any more, the session passes silence.
        """
        return None

    @property
    def batch_allowance_s(self) -> float:
        """The inbound audio that may wait, in seconds, since no event could follow from it.

        Read after each frame of a handler whose ``receive_is_light``.
        """
        return 0.0

    # The client's input values

    def set_args(self, args: list[Any]) -> None:
        """Takes the client's input values; from any thread.

        Args:
            args: The values of the stream's inputs behind the component itself; may be empty. A
                `WebRTCData` at their head is the component's own.

        Raises:
            TypeError: ``args`` is not a list.
        """
        if not isinstance(args, list):
            raise TypeError("args must be a list")
        has_head = bool(args) and isinstance(args[0], WebRTCData)
        self.latest_args = [*args] if has_head else [INPUT_PLACEHOLDER, *args]
        self._rtc_on_loop(self._rtc_announce_args)

    def _rtc_announce_args(self) -> None:
        self.args_set.set()
        self._rtc_next_args.set()
        self._rtc_next_args = asyncio.Event()

    async def fetch_args(self) -> None:
        """Requests the client's input values without waiting for them."""
        self._rtc_bound_session.request_inputs()

    async def wait_for_args(self) -> None:
        """Fetches the client's latest input values into ``latest_args``; call on the event loop.

        In phone mode there are none to request, and this returns at once.

        Raises:
            TimeoutError: No answer within `INPUTS_TIMEOUT_S`.
        """
        if self.phone_mode:
            self.args_set.set()
            return
        received = self._rtc_next_args if self.args_set.is_set() else self.args_set
        await self.fetch_args()
        async with inputs_within(INPUTS_TIMEOUT_S):
            await received.wait()

    def wait_for_args_sync(self) -> None:
        """Like `wait_for_args`, for sync handlers; blocks the handler's own thread.

        Raises:
            ConnectionLost: The session ended meanwhile.
            RuntimeError: Called on the event loop, where it could never return.
            TimeoutError: No answer within `INPUTS_TIMEOUT_S`.
        """
        self._rtc_block_on(self.wait_for_args)

    # Messages

    @never_blocks
    def on_message(self, data: Any) -> Any:
        """Takes a message of the client; override it, with ``def`` or ``async def``.

        Messages come in the order in which the client sent them, and the next one when this has
        returned. A plain function has a thread of its own, as `receive`. An exception is reported,
        and the next message comes. While this takes its time 256 messages wait, or a million
        characters; beyond that the oldest are dropped. The text "handshake", which clients send
        when they connect, is no message. By default it does nothing.

        Args:
            data: The value of a message that is JSON, such as a dict, else the text itself.

        Returns:
            Nothing that matters; it may be awaited, so that ``await super().on_message(data)``
            works.
        """
        del data
        return NOTHING_TO_AWAIT

    def send(self, data: object) -> None:
        """Sends data of the program's own to the client, as JSON; from any thread, never blocks.

        The client receives exactly this value over the data channel. What is sent before the
        channel opens waits for it, up to 256 messages. Browsers take up to 256 KiB at once.

        Args:
            data: Any value that JSON can carry. A dict whose ``type`` is a kind of ours, such as
                "error", has the meaning that this message has in our own clients.

        Raises:
            TypeError: JSON cannot carry a value in it.
            ValueError: It contains itself, or a number that is none or infinite.
            RuntimeError: The handler is not in a session.
        """
        self._rtc_bound_session.send(data)

    async def send_message(self, message: str | Mapping[str, object]) -> None:
        """Sends a message to the client over the data channel; kept until the channel opens.

        Args:
            message: A JSON object, as a mapping or as text. Other text arrives as a log message.
        """
        self.send_message_sync(message)

    def send_message_sync(self, message: str | Mapping[str, object]) -> None:
        """Like `send_message`, from any thread; never blocks."""
        self._rtc_bound_session.send(as_message(message))

    def stop_reply(self) -> None:
        """Ends the reply under way, as the user's words over it do; from any thread.

        Here it drops the audio that is queued, and what a running ``emit`` still returns. A handler
        that makes its replies elsewhere overrides it. Outside a session it does nothing.
        """
        if self._rtc_session is not None:
            self._rtc_session.drop_reply()

    def clear_queue(self) -> None:
        """Drops the audio that is queued for the user, and nothing else; from any thread.

        No AdditionalOutputs, no CloseStream and no later item of ``emit`` is lost. Outside a
        session it does nothing, unless ``_clear_queue`` was set to a function.
        """
        if callable(self._clear_queue):
            self._clear_queue()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the session.

        Raises:
            RuntimeError: The handler is not in a session.
        """
        return self._rtc_bound_session.loop

    @property
    def channel(self) -> DataChannel | None:
        """The substitute for the data channel: has ``send(text)``. ``None`` outside a session."""
        return self._channel

    def set_channel(self, channel: DataChannel) -> None:
        """Takes the channel when the session begins, on the event loop; may be overridden."""
        self._channel = channel
        self.channel_set.set()

    def resample(self, frame: Any) -> list[Any]:
        """Converts audio to ``input_sample_rate`` and the handler's own layout.

        Frames for ``receive`` are converted already. This is for frames from elsewhere.

        Args:
            frame: An ``av.AudioFrame`` of one channel or two.

        Returns:
            Frames of int16, each with as many samples as ``frame``; none while they are incomplete.

        Raises:
            AudioError: It has more channels.
        """
        if self._resampler is None:
            self._resampler = FrameResampler(self.input_sample_rate, self.expected_layout)
        return self._resampler.resample(frame)

    @property
    def _rtc_bound_session(self) -> SessionHandle:
        if self._rtc_session is None:
            raise RuntimeError(f"{type(self).__name__} is in no session; a stream binds its copies")
        return self._rtc_session

    def _rtc_on_loop(self, callback: Callable[..., object], *args: object) -> None:
        """Runs ``callback`` on the session's loop: now if this is it, soon if not."""
        if self._rtc_session is None or threading.get_ident() == self._rtc_loop_thread:
            callback(*args)
        else:
            self._rtc_session.loop.call_soon_threadsafe(callback, *args)

    def _rtc_block_on(self, fn: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Returns the result of ``fn`` on the session's loop; blocks this thread, another one."""
        loop, outcome = self.loop, concurrent.futures.Future[T]()
        if threading.get_ident() == self._rtc_loop_thread:
            raise RuntimeError("this blocks: on the event loop, await its async twin instead")
        try:
            loop.call_soon_threadsafe(self._rtc_tasks.start_for_thread, fn, outcome)
            note_wait(loop, outcome)
            return outcome.result()
        except (concurrent.futures.CancelledError, RuntimeError):
            if not (loop.is_closed() or outcome.cancelled()):
                raise
            raise ConnectionLost("the session ended") from None


class StreamHandler(StreamHandlerBase):
    """Receives and sends audio with ordinary functions, each in a thread of the session's own.

    ``emit`` may block; returning ``None`` means nothing now, and it is called again 20 ms later.

    Args:
        expected_layout: ``"mono"`` or ``"stereo"``: the layout of what ``receive`` gets.
        output_sample_rate: The rate that the handler intends to send, 8,000 to 192,000 Hz. For the
            handler's own use: what ``emit`` returns has a rate of its own.
        output_frame_size: For the handler's own use, in samples; by default 20 ms of
            ``output_sample_rate``.
        input_sample_rate: The rate of what ``receive`` gets, 8,000 to 192,000 Hz.
        fps: The video frames a second that the handler intends to send, for its own use.

    Raises:
        AudioError: A rate out of range, or an unknown layout.

    Example:
        >>> from queue import SimpleQueue
        >>> class Echo(StreamHandler):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.frames = SimpleQueue()
        ...
        ...     def receive(self, frame):
        ...         self.frames.put(frame)
        ...
        ...     def emit(self):
        ...         return self.frames.get()
        ...
        ...     def copy(self):
        ...         return Echo()
    """

    @abstractmethod
    def receive(self, frame: AudioFrame) -> None:
        """Takes the next audio from the user.

        Args:
            frame: ``(input_sample_rate, int16)`` with ``input_frame_size`` samples per channel:
                ``(1, n)`` mono, ``(1, 2 * n)`` packed stereo.
        """

    @abstractmethod
    def emit(self) -> EmitType:
        """Returns the next item for the user, or ``None`` for nothing now.

        Returns:
            ``(rate, samples)`` or ``(rate, samples, layout)``, `AdditionalOutputs`, `CloseStream`,
            or audio and one of those two as a pair.
        """


class AsyncStreamHandler(StreamHandlerBase):
    """Receives and sends audio with coroutines, on the event loop, which they must not block.

    ``emit`` may wait; returning ``None`` means nothing now, and it is called again 20 ms later.

    Args:
        expected_layout: ``"mono"`` or ``"stereo"``: the layout of what ``receive`` gets.
        output_sample_rate: The rate that the handler intends to send, 8,000 to 192,000 Hz. For the
            handler's own use: what ``emit`` returns has a rate of its own.
        output_frame_size: For the handler's own use, in samples; by default 20 ms of
            ``output_sample_rate``.
        input_sample_rate: The rate of what ``receive`` gets, 8,000 to 192,000 Hz.
        fps: The video frames a second that the handler intends to send, for its own use.

    Raises:
        AudioError: A rate out of range, or an unknown layout.

    Example:
        >>> import asyncio
        >>> class Echo(AsyncStreamHandler):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.frames = asyncio.Queue()
        ...     async def receive(self, frame):
        ...         self.frames.put_nowait(frame)
        ...     async def emit(self):
        ...         return await self.frames.get()
        ...     def copy(self):
        ...         return Echo()
    """

    @abstractmethod
    async def receive(self, frame: AudioFrame) -> None:
        """Takes the next audio from the user. See `StreamHandler.receive`."""

    @abstractmethod
    async def emit(self) -> EmitType:
        """Returns the next item for the user, or ``None``. See `StreamHandler.emit`."""


class AudioVideoStreamHandler(StreamHandler):
    """A `StreamHandler` with video. Audio is optional: ignored and silent by default.

    The arguments are those of `StreamHandler`.

    Example:
        >>> from queue import Queue
        >>> class Mirror(AudioVideoStreamHandler):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.frames = Queue(maxsize=2)
        ...     def video_receive(self, frame):
        ...         self.frames.put(frame[:, ::-1])
        ...     def video_emit(self):
        ...         return self.frames.get()
        ...     def copy(self):
        ...         return Mirror()
    """

    def receive(self, frame: AudioFrame) -> None:
        """Ignores the user's audio; may be overridden."""

    def emit(self) -> EmitType:
        """Sends no audio; may be overridden."""
        return None

    @property
    def receive_is_light(self) -> bool:
        """True unless ``receive`` is overridden: ignoring audio takes no thread."""
        return type(self).receive is AudioVideoStreamHandler.receive

    async def wait_until_ready(self) -> None:
        """Returns at once, but never for a handler that sends no audio."""
        if type(self).emit is AudioVideoStreamHandler.emit:
            await asyncio.Event().wait()

    @abstractmethod
    def video_receive(self, frame: VideoFrame) -> None:
        """Takes the next video frame: uint8, ``(height, width, 3)``, blue first."""

    @abstractmethod
    def video_emit(self) -> VideoEmitType:
        """Returns the next video frame in the same form, or ``None`` for nothing now."""


class AsyncAudioVideoStreamHandler(AsyncStreamHandler):
    """An `AsyncStreamHandler` with video. Audio is optional: ignored and silent by default.

    The arguments are those of `AsyncStreamHandler`; for an example see `AudioVideoStreamHandler`.
    """

    async def receive(self, frame: AudioFrame) -> None:
        """Ignores the user's audio; may be overridden."""

    async def emit(self) -> EmitType:
        """Sends no audio; may be overridden."""
        return None

    async def wait_until_ready(self) -> None:
        """Returns at once, but never for a handler that sends no audio."""
        if type(self).emit is AsyncAudioVideoStreamHandler.emit:
            await asyncio.Event().wait()

    @abstractmethod
    async def video_receive(self, frame: VideoFrame) -> None:
        """Takes the next video frame: uint8, ``(height, width, 3)``, blue first."""

    @abstractmethod
    async def video_emit(self) -> VideoEmitType:
        """Returns the next video frame in the same form, or ``None`` for nothing now."""
