"""The route ``/v1/realtime``, for clients that speak the OpenAI Realtime protocol.

A session over it is one like any other: with its limits, its places, its counters and its end with
the server. Runs on the event loop.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fastapi import WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from gradio_webrtc._realtime.protocol import MAX_NAME_CHARS
from gradio_webrtc._session.origins import check_socket
from gradio_webrtc._session.reporting import report_error
from gradio_webrtc._session.session import ignore_event
from gradio_webrtc._transport import OrderedTransport
from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc.errors import (
    InvalidOffer,
    RequestFailed,
    RequestRefused,
    ServerBusy,
    ServerStopping,
    SignalingError,
    TooManyOffers,
    TooManySessions,
)
from gradio_webrtc.types import WebRTCData

from .realtime_client import RealtimeReader
from .realtime_dialect import RealtimeDialect
from .realtime_terms import SessionTerms
from .realtime_words import WordReader
from .sockets import carry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fastapi import APIRouter

    from gradio_webrtc._config import SessionConfig
    from gradio_webrtc._session.manager import SessionManager
    from gradio_webrtc._session.origins import Site
    from gradio_webrtc._session.session import Session

PATH: Final = "/v1/realtime"

SUBPROTOCOL: Final = "realtime"
"""The subprotocol that clients in browsers offer, and expect to be chosen."""

KEY_PREFIX: Final = "openai-insecure-api-key."
BETA_SUBPROTOCOL: Final = "openai-beta.realtime-v1"
"""Subprotocols that stand for the headers of the same meaning: browsers let pages set no others."""

MODEL: Final = "gradio_webrtc"
"""The name of the model for a client that asks for none."""

STATUS: Final[dict[type[SignalingError], int]] = {
    InvalidOffer: 400,
    RequestRefused: 403,
    TooManySessions: 429,
    TooManyOffers: 429,
    ServerBusy: 503,
    ServerStopping: 503,
}
"""The HTTP status of the answer to a client that gets no session; 500 for all others."""


class RealtimeSettings(NamedTuple):
    """The settings of the route of one stream.

    Attributes:
        keys: The keys that let a client in; empty to let everybody in.
        inputs: Returns the values of the inputs for a client, which has no page for them; behind a
            `WebRTCData` if ``takes_text``.
        takes_text: True if the handler's function gets a `WebRTCData` with the user's text.
    """

    keys: frozenset[bytes]
    inputs: Callable[[], Sequence[Any]]
    takes_text: bool


class RealtimeRoute:
    """Holds the sessions of clients that connect to ``/v1/realtime``.

    Args:
        sessions: Admits them.
        site: The addresses of the server, and the origins of pages that may call from elsewhere.
        settings: The settings of this route.
    """

    def __init__(self, sessions: SessionManager, site: Site, settings: RealtimeSettings) -> None:
        self._sessions = sessions
        self._site = site
        self._settings = settings

    def add_to(self, router: APIRouter) -> None:
        """Adds the route."""
        router.add_api_websocket_route(PATH, self.open, name="realtime")

    async def open(self, websocket: WebSocket) -> None:
        """Holds the session of one client, from its WebSocket to the end."""
        try:
            check_socket(websocket, self._site)
            if not is_let_in(websocket, self._settings.keys):
                await _deny(websocket, 401, "invalid_api_key", "the key is missing or wrong")
                return
            asked = RealtimeSocket(websocket, self._settings.inputs)
            names, session = await self._sessions.admit(asked, None, websocket, adapt=asked.adapt)
        except SignalingError as error:
            await _deny(websocket, STATUS.get(type(error), 500), error.code, str(error))
        except Exception as error:  # noqa: BLE001 - a client gets an answer, whatever went wrong
            shown = report_error(error, "the start of a session", "the client is refused")
            failure = RequestFailed("" if shown is None else shown.text)
            await _deny(websocket, 500, failure.code, str(failure))
        else:
            await self._hold(asked, session, names.session_id)

    async def _hold(self, asked: RealtimeSocket, session: Session, session_id: str) -> None:
        dialect, transport = asked.dialect, asked.transport
        dialect.terms = asked.terms_for(session, session_id)
        takes_text = self._settings.takes_text
        reader = RealtimeReader(session, transport, dialect, takes_text=takes_text)

        def note_event(time_s: float, name: str, data: Mapping[str, Any]) -> None:
            if name == "pause_detected":
                reader.note_turn()
            dialect.note_event(time_s, name, data)

        context, tasks = session.context, TaskScope()
        dialect.attach(transport, lambda: context.buffered_s)
        context.listen(note_event)
        # In the queue before anything that the session will send.
        dialect.send_session("session.created")
        tasks.start(_pass_outputs(session, dialect, asked.inputs))
        try:
            await carry(asked.websocket, transport, reader.read)
        finally:
            # It refers to the session, which is freed by itself once it is over.
            context.listen(ignore_event)
            await tasks.close()


class RealtimeSocket:
    """The transport factory of a client whose WebSocket is not accepted yet.

    See `TransportFactory`.

    Args:
        websocket: The client's.
        inputs: Returns the values of the inputs.

    Attributes:
        websocket: As given.
        inputs: The values of the inputs, once `adapt` was called.
        dialect: Writes what the session sends.
        transport: The connection, once `make` was called.
    """

    transport: OrderedTransport

    def __init__(self, websocket: WebSocket, inputs: Callable[[], Sequence[Any]]) -> None:
        self.websocket = websocket
        self.inputs: tuple[Any, ...] = ()
        self._read_inputs = inputs
        protocols = _subprotocols_of(websocket)
        beta = websocket.headers.get("openai-beta", "")
        model = websocket.query_params.get("model", "")[:MAX_NAME_CHARS]
        uses_beta = BETA_SUBPROTOCOL in protocols or "realtime=v1" in beta
        self._terms = SessionTerms("", model or MODEL, uses_beta=uses_beta)
        self._subprotocol = SUBPROTOCOL if SUBPROTOCOL in protocols else None
        self.dialect = RealtimeDialect(self._terms)

    def check(self, config: SessionConfig) -> None:
        """Raises unless the stream takes and gives audio."""
        check_config(config.mode, config.modality)

    def adapt(self, config: SessionConfig) -> SessionConfig:
        """Returns the terms of a client that has no inputs, and fetches no outputs itself."""
        self.inputs = tuple(self._read_inputs())
        return dataclasses.replace(config, default_inputs=self.inputs)

    def make(self, config: SessionConfig) -> OrderedTransport:
        """Returns the connection, not yet open."""
        self.transport = OrderedTransport(self.dialect, config)
        return self.transport

    async def answer(self) -> None:
        """Accepts the WebSocket."""
        try:
            await self.websocket.accept(self._subprotocol)
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            raise RequestFailed("the client left") from error

    def terms_for(self, session: Session, session_id: str) -> SessionTerms:
        """Returns the terms of a session, as its handler has them."""
        handler: Any = session.handler
        can_wait = handler.receive_is_light and hasattr(handler, "trigger_response")
        return dataclasses.replace(
            self._terms,
            session_id=f"sess_{session_id}",
            can_interrupt=getattr(handler, "can_interrupt", True),
            can_wait=can_wait,
        )


async def _pass_outputs(
    session: Session, dialect: RealtimeDialect, inputs: tuple[Any, ...]
) -> None:
    """Passes the words in the outputs of a handler on, until the session ends.

    As many values as there are inputs are those of the next turn, as on the telephone.
    """
    reader = WordReader()
    head = [each for each in inputs[:1] if isinstance(each, WebRTCData)]
    count = len(inputs) - len(head)
    while (outputs := await session.outputs.next()) is not None:
        if count and len(outputs.args) == count:
            session.set_inputs([*head, *outputs.args])
        for words in reader.read(outputs.args):
            dialect.note_words(words)


def check_config(mode: str, modality: str) -> None:
    """Raises `InvalidOffer` unless audio goes both ways."""
    if mode != "send-receive" or modality == "video":
        raise InvalidOffer(
            f"/v1/realtime is for audio both ways, and the stream has the mode {mode!r} and the "
            f"modality {modality!r}"
        )


def read_keys(keys: str | Iterable[str] | None) -> frozenset[bytes]:
    """Returns the digests of the keys that let a client in.

    Raises:
        TypeError: They are no texts.
        ValueError: One is empty.
    """
    if keys is None:
        return frozenset()
    each_key = [keys] if isinstance(keys, str) else list(keys)
    if not all(isinstance(key, str) for key in each_key):
        raise TypeError("realtime_key must be a text, or a list of texts")
    if not each_key or not all(key.strip() for key in each_key):
        raise ValueError("realtime_key must not be empty: None lets everybody in")
    return frozenset(map(_digest, each_key))


def is_let_in(websocket: WebSocket, keys: frozenset[bytes]) -> bool:
    """True if a client has one of the keys, or none is needed; in a time that reveals nothing."""
    if not keys:
        return True
    scheme, _, token = websocket.headers.get("authorization", "").partition(" ")
    offered = [
        token.strip() if scheme.lower() == "bearer" else "",
        websocket.headers.get("api-key", ""),
        *(
            each.removeprefix(KEY_PREFIX)
            for each in _subprotocols_of(websocket)
            if each.startswith(KEY_PREFIX)
        ),
    ]
    digests = [_digest(key) for key in offered if key]
    # All comparisons are made, whichever is right.
    return sum(hmac.compare_digest(one, other) for one in digests for other in keys) > 0


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="replace")).digest()


def _subprotocols_of(websocket: WebSocket) -> list[str]:
    offered: list[str] = list(websocket.scope.get("subprotocols") or [])
    return offered[:16]


async def _deny(websocket: WebSocket, status: int, code: str, message: str) -> None:
    """Answers the request for a WebSocket with an HTTP status, where the server can."""
    kind = "server_error" if status >= 500 else "invalid_request_error"  # noqa: PLR2004 - RFC 9110
    error = {"type": kind, "code": code, "message": message, "param": None}
    with suppress(WebSocketDisconnect, OSError):
        try:
            await websocket.send_denial_response(JSONResponse({"error": error}, status))
        except RuntimeError:
            # Some servers can answer with a status of their own alone, or it is accepted already.
            with suppress(RuntimeError):
                await websocket.close()
