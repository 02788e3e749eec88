"""RealtimeHandler: a session's dialogue with a service that speaks the OpenAI Realtime protocol.

The service detects the turns and answers them; what happens there is up to `_realtime`. Runs on the
event loop, except where a method states otherwise.
"""

from __future__ import annotations

import copy
import importlib.util
import json
from typing import TYPE_CHECKING, Any, Final, cast

from gradio_webrtc._realtime.dialogue import Dialogue, ServiceOptions
from gradio_webrtc._realtime.keys import check_key
from gradio_webrtc._realtime.line import check_url
from gradio_webrtc._realtime.protocol import PCM, format_of
from gradio_webrtc._realtime.tools import make_tools
from gradio_webrtc._workers.user_code import never_blocks
from gradio_webrtc.types import WebRTCData

from .stream_handler import AsyncStreamHandler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import Self

    from gradio_webrtc._realtime.line import OpenLine
    from gradio_webrtc.types import AudioFrame, EmitType, SessionHandle


MISSING: Final = """RealtimeHandler needs a package that is not installed. Install it with

    pip install "gradio_webrtc[websocket]"
"""


class RealtimeHandler(AsyncStreamHandler):
    """Connects the user to a service that speaks the OpenAI Realtime protocol over a WebSocket.

    OpenAI, Azure, other vendors and open servers speak it, and so does ``/v1/realtime`` of a
    `Stream`. The user's audio goes to the service, which detects turns and answers; when the user
    speaks over an answer it stops at once, and the service gets the length that was played. Events
    are those of the general release of the protocol; those of the beta before it are read, too.

    What was spoken comes as `AdditionalOutputs` with one value: the messages so far, as
    ``gr.Chatbot`` shows them, ``[{"role": "user" | "assistant", "content": text}, ...]``, the last
    100. An answer's words appear as it is played, and end where it was interrupted. The user's are
    among them if the service transcribes them, which most do only when ``session`` asks for it.

    A connection that is lost is made again, up to five times in a row; the service then gets the
    messages so far. If it stays away the session ends, with a sentence for the user.

    The component may have a text field (``variant="textbox"``): what the user writes is answered
    like what they speak.

    Args:
        url: The address, such as ``"wss://host/v1/realtime?model=name"``.
        api_key: Sent as ``Authorization: Bearer``; or a function, sync or async, that returns it,
            called for each connection; ``None`` for none.
        session: Fields of the service's ``session.update`` that are to differ from its defaults,
            such as ``{"instructions": "Be brief."}``.
        tools: Python functions that the model may call, sync or async. Their signatures,
            annotations and docstrings describe them to it. What one returns goes back as text, or
            as JSON. The words of a `WebRTCError` that one raises go to the model; of other
            exceptions it gets the kind alone, and the log has the rest.
        headers: Headers of the request for a connection, such as ``{"api-key": key}`` for Azure.
        input_sample_rate: The rate of the audio that the service gets, in Hz; by default that of
            ``session["audio"]["input"]["format"]``, which may also be G.711, or 24,000.

    Attributes:
        url: As given.

    Raises:
        ImportError: The package ``websockets`` is missing; the text has the command.
        TypeError: An argument of the wrong kind, or a tool that JSON cannot describe.
        ValueError: No address of a WebSocket, no possible key, or two tools of one name.

    Example:
        >>> def weather(city: str) -> str:
        ...     '''Returns the weather in a city.'''
        ...     return f"It is sunny in {city}."
        >>> handler = RealtimeHandler(
        ...     "wss://voice.example/v1/realtime?model=any",
        ...     api_key=lambda: "secret",
        ...     session={"instructions": "Be brief."},
        ...     tools=[weather],
        ... )
    """

    def __init__(
        self,
        url: str,
        api_key: str | Callable[[], str | Awaitable[str]] | None = None,
        *,
        session: Mapping[str, Any] | None = None,
        tools: Sequence[Callable[..., Any]] = (),
        headers: Mapping[str, str] | None = None,
        input_sample_rate: int | None = None,
    ) -> None:
        terms = _read_terms(session)
        inbound, outbound = format_of(terms, "input") or PCM, format_of(terms, "output") or PCM
        if input_sample_rate is not None:
            inbound = inbound._replace(rate_hz=input_sample_rate)
        super().__init__(
            output_sample_rate=outbound.rate_hz,
            input_sample_rate=inbound.rate_hz,
        )
        self.input_frame_size = inbound.rate_hz // 50
        self.url = check_url(url)
        if api_key is not None and not callable(api_key):
            check_key(api_key)
        self._rtc_options = ServiceOptions(
            url,
            api_key,
            _read_headers(headers),
            terms,
            make_tools(tools),
            inbound,
            outbound,
            _find_opener(),
        )

    def _rtc_forget_session(self) -> None:
        super()._rtc_forget_session()
        self._rtc_dialogue: Dialogue | None = None
        self._rtc_text = ""

    # Life of a session

    @never_blocks
    def copy(self) -> Self:
        """Returns a handler with the same attributes for one session, and no state of any session.

        Attributes of a subclass are shared with the template unless it overrides this.
        """
        clone = copy.copy(self)
        clone._rtc_forget_session()  # noqa: SLF001 - it is one of us
        return clone

    def bind(self, session: SessionHandle) -> None:
        """Ties this copy to its session; once, on the event loop, before `start_up`."""
        super().bind(session)
        own = type(self).on_event is not RealtimeHandler.on_event
        self._rtc_dialogue = Dialogue(
            session, self._rtc_options, type(self).__name__, self.on_event if own else None
        )

    async def start_up(self) -> None:
        """Connects to the service, and returns at once; one of a subclass awaits this one."""
        self._rtc_bound_dialogue.begin()

    async def release(self) -> None:
        """Leaves the service, and ends the tools that run."""
        await super().release()
        if self._rtc_dialogue is not None:
            await self._rtc_dialogue.close()

    # Media

    async def receive(self, frame: AudioFrame) -> None:
        """Sends the user's audio to the service."""
        self._rtc_bound_dialogue.link.send_audio(frame[1], self._rtc_options.inbound.kind)

    async def wait_until_ready(self) -> None:
        """Returns when the service has sent something to play or to show."""
        await self._rtc_bound_dialogue.wait_until_ready()

    async def emit(self) -> EmitType:
        """Returns the next audio or words of the service; ``None`` if there are none now."""
        return self._rtc_bound_dialogue.next_item()

    # From any thread

    def set_args(self, args: list[Any]) -> None:
        """Takes the client's input values and its written text; from any thread."""
        super().set_args(args)
        head = self.latest_args[0]
        if isinstance(head, WebRTCData):
            self._rtc_text = head.textbox or self._rtc_text

    def trigger_response(self) -> None:
        """Has the service answer now: the text that the user wrote, or what was spoken so far.

        From any thread. The answer under way ends.
        """
        self._rtc_on_loop(self._rtc_ask)

    def stop_reply(self) -> None:
        """Ends the answer under way, as the user's words over it do; from any thread."""
        if self._rtc_session is not None:
            self._rtc_on_loop(self._rtc_bound_dialogue.stop_reply)

    def send_event(self, event: Mapping[str, Any]) -> None:
        """Sends an event of the protocol to the service, for what this handler does not do.

        From any thread. While there is no connection it is dropped.

        Args:
            event: The event with its ``type``.

        Raises:
            RuntimeError: The handler is in no session.
            TypeError: JSON cannot carry a value in it.
        """
        json.dumps(event)
        self._rtc_on_loop(self._rtc_bound_dialogue.link.send, dict(event))

    # For overriding

    async def on_event(self, event: dict[str, Any]) -> None:
        """Is called with each event of the service, before the handler acts on it; override it.

        It does nothing here. The next event is read when it returns, and an exception is reported.

        Args:
            event: The event, its ``type`` under the name of the general release.
        """

    @property
    def _rtc_bound_dialogue(self) -> Dialogue:
        if self._rtc_dialogue is None:
            raise RuntimeError(f"{type(self).__name__} is in no session; a stream binds its copies")
        return self._rtc_dialogue

    def _rtc_ask(self) -> None:
        text, self._rtc_text = self._rtc_text, ""
        self._rtc_bound_dialogue.ask(text)


def _read_terms(session: object) -> dict[str, Any]:
    """Returns a copy of the terms of a session.

    Raises:
        TypeError: They are no object, or JSON cannot carry them.
    """
    if session is None:
        return {}
    try:
        terms = json.loads(json.dumps(session))
    except (TypeError, ValueError) as error:
        raise TypeError(f"session must be a dict that JSON can carry: {error}") from None
    if not isinstance(terms, dict):
        raise TypeError(f"session must be a dict, got {type(session).__name__}")
    return terms


def _read_headers(headers: object) -> dict[str, str]:
    """Returns a copy of headers.

    Raises:
        TypeError: A name or a value is no text. No value is quoted.
        ValueError: One has characters that a header cannot have.
    """
    given = cast("Any", headers or {})
    try:
        pairs = dict(given)
    except (TypeError, ValueError):
        raise TypeError(f"headers must be a dict, got {type(headers).__name__}") from None
    for name, value in pairs.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"headers must have text for names and values; see {name!r:.100}")
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"the header {name!r:.100} must be printable ASCII")
    return pairs


def _find_opener() -> OpenLine:
    """Returns what opens connections to services.

    Raises:
        ImportError: ``websockets`` is missing.
    """
    if importlib.util.find_spec("websockets") is None:
        raise ImportError(MISSING)
    from gradio_webrtc._realtime.websocket import open_line  # noqa: PLC0415 - an extra

    return open_line
