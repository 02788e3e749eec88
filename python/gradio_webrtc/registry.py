"""All callers of one component: who may come in, who is there, who has to go."""

from __future__ import annotations

import asyncio
import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .copying import HandlerMaker, refuse
from .errors import (
    HandlerError,
    HandlerUnavailable,
    InvalidOffer,
    RequestFailed,
    SessionExists,
    SessionUnknown,
    SignalingError,
    TooManySessions,
)
from .handlers import Line, in_call
from .handlers.base import INPUT_PLACEHOLDER
from .media import Terms
from .reporting import report_error
from .session import Session
from .transport import PeerTransport, TrackTerms, read_offer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from .handlers import StreamHandlerBase
    from .places import Places
    from .types import AdditionalOutputs, FrameFormat, Modality, Mode

logger = logging.getLogger(__name__)

MAX_ID_CHARS: Final = 128
"""A UUID has 36; what is much longer is no id."""


FETCH_TIMEOUT_S: Final = 10.0
"""How long `SessionRegistry.fetch_output` waits: as long as its predecessor did."""


class Service(NamedTuple):
    """What callers are connected to.

    Attributes:
        make_handler: Makes the handler of one call; runs once for each offer, as `HandlerMaker`
            says.
        concurrency_limit: How many calls at once; ``None`` for any number.
        time_limit_s: How long a call may last from the moment it connects.
        mode: Which way media go, from the page's side.
        modality: Which media there are.
        frame_format: The order of colours in the arrays that handlers see and give.
        allows_other_tracks: A page may bring tracks of kinds that the modality does not name; they
            are declined. Otherwise such an offer is refused.
        places: Places that are shared with other components, which then say how many calls at once.
    """

    make_handler: Callable[[], StreamHandlerBase]
    concurrency_limit: int | None = 1
    time_limit_s: float | None = None
    mode: Mode = "send-receive"
    modality: Modality = "audio"
    frame_format: FrameFormat = "bgr"
    allows_other_tracks: bool = False
    places: Places | None = None


class SessionRegistry:
    """Answers offers, keeps the sessions that come of them, and looks them up.

    All of it runs on the event loop. Every session is removed when its call is over, whichever
    way it ended, and its slot is free at once.

    Args:
        ice_servers: STUN and TURN servers for the server's own side.
    """

    def __init__(self, ice_servers: Sequence[Mapping[str, Any]] = ()) -> None:
        self.service: Service | None = None
        self.has_outputs = False
        self._ice_servers = ice_servers
        self._sessions: dict[str, Session | None] = {}
        self._tasks: set[asyncio.Task[str]] = set()
        self._maker: HandlerMaker | None = None

    def __len__(self) -> int:
        return len(self._sessions)

    async def handle(self, body: object, request: Any = None) -> dict[str, Any]:
        """Answers one signalling request of a page.

        Args:
            body: ``type`` "offer" with ``sdp`` and ``webrtc_id``; or "ice-candidate" with
                ``candidate``, "candidates" or "close", all with ``webrtc_id`` and ``secret``.
            request: What `get_current_context` is to give as the request of an offer.

        Returns:
            The answer with its ``secret``, ``{"status": "success"}``, or
            ``{"status": "failed", "meta": {"error", "message"}}`` with ``limit`` where it applies.
        """
        try:
            return await self._handle(body, request)
        except SignalingError as error:
            return _refusal(error)
        except Exception as error:  # noqa: BLE001  # a page gets an answer, whatever went wrong
            told = report_error(error, "the answer to a page's request", "the page is refused")
            return _refusal(RequestFailed("" if told is None else told.text))

    async def _handle(self, body: object, request: Any) -> dict[str, Any]:
        if not isinstance(body, dict):
            raise InvalidOffer(f"expected a JSON object, got {type(body).__name__}")
        match body.get("type"):
            case "ice-candidate":
                session = self.find(body.get("webrtc_id"), body.get("secret"))
                await _peer_of(session).add_candidate(body.get("candidate"))
                return {"status": "success"}
            case "candidates":
                session = self.find(body.get("webrtc_id"), body.get("secret"))
                return {"candidates": await _peer_of(session).candidates()}
            case "close":
                self.find(body.get("webrtc_id"), body.get("secret")).end("the caller left")
                return {"status": "success"}
            case _:
                return await self._answer(body, request)

    def find(self, webrtc_id: object, secret: object) -> Session:
        """The session with this id, for somebody who knows its secret.

        Raises:
            SessionUnknown: There is none, or the secret is another.
        """
        session = self._sessions.get(webrtc_id) if isinstance(webrtc_id, str) else None
        if session is None or not session.knows(secret):
            raise SessionUnknown("no call with this id and this secret is under way")
        return session

    def get(self, webrtc_id: str) -> Session | None:
        """The session with this id, for our own server's code, or ``None``."""
        return self._sessions.get(webrtc_id)

    def end(self, webrtc_id: str, reason: str) -> bool:
        """Ends a call, from any thread.

        Args:
            webrtc_id: The id of the call.
            reason: What the page shows; may be empty.

        Returns:
            Whether there was such a call.
        """
        session = self.get(webrtc_id)
        if session is None or session.is_over:
            return False
        try:
            session.call.loop.call_soon_threadsafe(session.end, reason)
        except RuntimeError:  # the event loop is closed, and the call with it
            return False
        return True

    def output_setter(self, webrtc_id: str) -> Callable[[AdditionalOutputs], None]:
        """A function that sends values to the page of a call; without that call it does nothing."""

        def set_outputs(outputs: AdditionalOutputs) -> None:
            if (session := self.get(webrtc_id)) is not None:
                session.give_outputs(outputs)

        return set_outputs

    async def output_stream(self, webrtc_id: str) -> AsyncGenerator[AdditionalOutputs]:
        """The AdditionalOutputs of a call as they come, until it ends; none without that call.

        Each goes to one reader: this one, another, or the page.
        """
        session = self.get(webrtc_id)
        while session is not None and (outputs := await session.outputs.next()) is not None:
            yield outputs

    async def fetch_output(self, webrtc_id: str) -> AdditionalOutputs:
        """The oldest AdditionalOutputs of a call that nobody fetched, once there are any.

        Raises:
            SessionUnknown: There is no such call, or it ended.
            TimeoutError: There were none for `FETCH_TIMEOUT_S`.
        """
        async with asyncio.timeout(FETCH_TIMEOUT_S):
            async for outputs in self.output_stream(webrtc_id):
                return outputs
        raise SessionUnknown("no call with this id is under way")

    def count_callers(self) -> int:
        """How many calls are being made or held; from any thread.

        One that is over and being freed takes nobody's place: a page that starts anew at once, as
        a click in mode "receive" makes it, is not refused.
        """
        sessions = list(self._sessions.values())
        return sum(session is None or not session.is_over for session in sessions)

    async def wait_idle(self) -> None:
        """Returns once no call is under way and everything of theirs is freed."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Ends all calls and returns when everything of theirs is freed."""
        for session in self._sessions.values():
            if session is not None:
                session.end("The server is shutting down.")
        await self.wait_idle()

    async def _answer(self, body: Mapping[str, object], request: Any) -> dict[str, Any]:
        webrtc_id, service = self._admit(body.get("webrtc_id"))
        line = Line(webrtc_id)
        try:
            # What cannot be answered is to cost no handler.
            read_offer(body, _track_terms(service))
            with in_call(line, request):
                session, answer = await self._open(line, service, body)
                self._sessions[webrtc_id] = session
                task = asyncio.get_running_loop().create_task(session.run())
        except BaseException:
            del self._sessions[webrtc_id]
            raise
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._forget(webrtc_id, done))
        return {**answer, "webrtc_id": webrtc_id, "secret": session.secret}

    async def _open(
        self, line: Line, service: Service, body: Mapping[str, object]
    ) -> tuple[Session, dict[str, Any]]:
        """A session and our answer; what the user's code takes part in comes first."""
        if self._maker is None or self._maker.make != service.make_handler:
            self._maker = HandlerMaker(service.make_handler)
        handler = await self._maker.make_for(line.webrtc_id)
        if any(each is not None and each.handler is handler for each in self._sessions.values()):
            copy = f"copy() of {type(handler).__name__}"
            error = HandlerError(f"{copy} returned a handler that serves another call")
            raise refuse(error, f"{copy}, asked for {line.webrtc_id}")
        transport = PeerTransport(self._ice_servers, _track_terms(service))
        try:
            session = self._introduce(line, service, transport, handler)
            return session, await transport.answer(body)
        except BaseException:
            await transport.close()
            raise

    def _introduce(
        self,
        line: Line,
        service: Service,
        transport: PeerTransport,
        handler: StreamHandlerBase,
    ) -> Session:
        terms = Terms(
            service.mode,
            service.modality,
            self.has_outputs,
            service.time_limit_s,
            service.frame_format,
        )
        try:
            session = Session(line.webrtc_id, transport, handler, terms)
            line.connect(session.call)
        except Exception as error:  # noqa: BLE001  # the handler may be of any shape
            kind = type(handler).__name__
            raise refuse(error, f"{kind} at the begin of {line.webrtc_id}") from None
        return session

    def _admit(self, webrtc_id: object) -> tuple[str, Service]:
        """Takes a slot, before anything is built for the caller."""
        if not isinstance(webrtc_id, str) or not 0 < len(webrtc_id) <= MAX_ID_CHARS:
            raise InvalidOffer(f"expected a webrtc_id of 1 to {MAX_ID_CHARS} characters")
        # What stands for no call must be none, and what is logged must be one line.
        if webrtc_id == INPUT_PLACEHOLDER or not webrtc_id.isprintable():
            raise InvalidOffer("expected a webrtc_id of printable characters, such as a UUID")
        if self.service is None:
            error = HandlerError("this component has no stream event: call .stream(...) on it")
            raise refuse(error, "a page that calls")
        if webrtc_id in self._sessions:
            raise SessionExists("a call with this id is under way")
        with nullcontext() if self.service.places is None else self.service.places.lock:
            self._take_place(webrtc_id, self.service)
        return webrtc_id, self.service

    def _take_place(self, webrtc_id: str, service: Service) -> None:
        limit, taken = service.concurrency_limit, self.count_callers()
        if service.places is not None:
            limit, taken = service.places.limit_for(self), service.places.count_taken()
        if limit is not None and taken >= limit:
            raise TooManySessions(limit)
        self._sessions[webrtc_id] = None

    def _forget(self, webrtc_id: str, task: asyncio.Task[str]) -> None:
        self._tasks.discard(task)
        self._sessions.pop(webrtc_id, None)
        if not task.cancelled() and task.exception() is not None:
            logger.error("the call %s failed", webrtc_id, exc_info=task.exception())


def _track_terms(service: Service) -> TrackTerms:
    return TrackTerms(
        service.modality,
        are_taken=service.mode != "receive",
        allows_others=service.allows_other_tracks,
    )


def _peer_of(session: Session) -> PeerTransport:
    if not isinstance(session.transport, PeerTransport):
        raise SessionUnknown("this call does not come over WebRTC")
    return session.transport


def _refusal(error: SignalingError) -> dict[str, Any]:
    meta: dict[str, Any] = {"error": error.code, "message": str(error)}
    if isinstance(error, TooManySessions):
        meta["limit"] = error.limit
    if isinstance(error, HandlerUnavailable) and error.title is not None:
        meta["title"] = error.title
    return {"status": "failed", "meta": meta}
