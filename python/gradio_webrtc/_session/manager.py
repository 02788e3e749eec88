"""All callers of one component: who may come in, who is there, who has to go."""

from __future__ import annotations

import asyncio
import logging
import weakref
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gradio_webrtc._handlers import MessageRelay, in_session
from gradio_webrtc._limits import DEFAULT_LIMITS
from gradio_webrtc._transport import Offer, PeerTransport, TrackTerms, read_offer
from gradio_webrtc._workers.offer_queue import offer_queue
from gradio_webrtc._workers.workers import threads_blocked
from gradio_webrtc.errors import HandlerError, ServerBusy, ServerStopping, SessionUnknown

from .admission import Admissions, Room
from .client_address import client_of, page_of
from .copying import HandlerMaker, refuse
from .directory import Directory
from .lag import lag_meter
from .media import Terms
from .rtc_configuration import ConfigurationCache
from .session import STOPPING, Session
from .signaling import handle_request
from .signals import note_idle, note_offer
from .stopping import CLOSE_S, GRACE_S, check_grace, is_stopping, on_loop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from gradio_webrtc._handlers import StreamHandlerBase
    from gradio_webrtc._limits import Limits
    from gradio_webrtc.types import AdditionalOutputs, FrameFormat, Modality, Mode

    from .admission import Ticket
    from .directory import Entry, Naming
    from .places import Places

logger = logging.getLogger(__name__)

FETCH_TIMEOUT_S: Final = 10.0
"""How long `SessionManager.fetch_output` waits: as long as its predecessor did."""

GAVE_WAY: Final = "The call was not connected in time, and gave way to another."


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
        limits: What a client may do, beside the number of calls and their length.
    """

    make_handler: Callable[[], StreamHandlerBase]
    concurrency_limit: int | None = 1
    time_limit_s: float | None = None
    mode: Mode = "send-receive"
    modality: Modality = "audio"
    frame_format: FrameFormat = "bgr"
    allows_other_tracks: bool = False
    places: Places | None = None
    limits: Limits = DEFAULT_LIMITS


class SessionManager:
    """Answers offers, keeps the sessions that come of them, and looks them up.

    All of it runs on the event loop. Every session is removed when its call is over, whichever
    way it ended, and its slot is free at once.

    Args:
        ice_servers: STUN and TURN servers for the server's own side.
    """

    def __init__(self, ice_servers: Sequence[Mapping[str, Any]] = ()) -> None:
        self.service: Service | None = None
        self.has_outputs = False
        self.configurations = ConfigurationCache()
        self._ice_servers = ice_servers
        # By the ids that the server made; None for one that is being opened.
        self._sessions: dict[str, Session | None] = {}
        self._directory = Directory()
        self._tasks: set[asyncio.Task[str]] = set()
        self._maker: HandlerMaker | None = None
        self._admissions = Admissions()
        self._stopped: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()

    def __len__(self) -> int:
        return len(self._sessions)

    async def handle(self, body: object, request: Any = None) -> dict[str, Any]:
        """Answers one signalling request of a page, as `handle_request` does."""
        return await handle_request(self, body, request)

    def find(self, webrtc_id: object, secret: object, page: str | None = None) -> Session:
        """Returns the session with this id, for the page that offered and knows the secret.

        Raises:
            SessionUnknown: There is none, the secret is another, or the page is.
        """
        return self._directory.find(webrtc_id, secret, page)

    def check(self, webrtc_id: object, secret: object) -> Entry:
        """Returns the session with this id and this secret, whose page is still to be compared.

        Raises:
            SessionUnknown: There is none, or the secret is another.
        """
        return self._directory.check(webrtc_id, secret)

    def get(self, webrtc_id: object) -> Session | None:
        """The session with this id or alias, for our own server's code, or ``None``.

        Never call it with what a page said.
        """
        return self._directory.get(webrtc_id)

    def end(self, webrtc_id: object, reason: str) -> bool:
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

    def count_sessions(self) -> int:
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
                session.end(STOPPING, ServerStopping.code)
        await self.wait_idle()

    def loops(self) -> set[asyncio.AbstractEventLoop]:
        """The event loops of the calls under way; from any thread."""
        return {each.call.loop for each in list(self._sessions.values()) if each is not None}

    async def drain(self, grace_s: float = GRACE_S) -> None:
        """Refuses new calls, and ends those under way once their replies are over.

        Await it on any event loop. Refused is what comes over a server whose event loop took part;
        one that is started later has a loop of its own, and calls again.

        Args:
            grace_s: How long replies may go on, in seconds.

        Raises:
            ValueError: The grace time is below 0 or beyond a minute.
            TimeoutError: Calls are over, and their pages were told, but not all of them are freed.
        """
        check_grace(grace_s)
        loops = self.loops() | {asyncio.get_running_loop()}
        self._stopped.update(loops)
        async with asyncio.timeout(grace_s + CLOSE_S):
            await asyncio.gather(*(on_loop(loop, self.drain_here(grace_s)) for loop in loops))

    async def drain_here(self, grace_s: float) -> None:
        """Does what `drain` does on the running event loop, and takes its time to free calls."""
        loop = asyncio.get_running_loop()
        self._stopped.add(loop)
        held = [each for each in self._sessions.values() if each is not None]
        await asyncio.gather(*(each.stop(grace_s) for each in held if each.call.loop is loop))
        await self.wait_idle()

    def hurry(self) -> None:
        """Leaves calls that are ending no more time; from any thread."""
        for session in list(self._sessions.values()):
            if session is not None:
                session.hurry()

    def _check_open(self) -> None:
        if is_stopping() or asyncio.get_running_loop() in self._stopped:
            raise ServerStopping

    async def answer(self, body: Mapping[str, object], request: Any) -> dict[str, Any]:
        """Answers an offer.

        Raises:
            SignalingError: It is refused, and nothing of it is left.
        """
        self._check_open()
        naming, service, offer, ticket = await self._admit(body, request)
        note_offer(self)
        line = MessageRelay(naming.name)
        try:
            with in_session(line, request):
                session, answer = await self._open(line, service, offer)
                self._sessions[naming.session_id] = session
                self._directory.enter(naming, session)
                session.when_connected(ticket.connected)
                task = asyncio.get_running_loop().create_task(session.run())
        except BaseException:
            self._give_back(naming)
            ticket.close()
            raise
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._forget(naming, done))
        lag_meter().hold()
        session.when_over(lag_meter().release)
        session.when_over(ticket.close)
        ticket.answered(lambda: session.end(GAVE_WAY))
        return {**answer, "webrtc_id": naming.session_id, "secret": session.secret}

    async def _open(
        self, line: MessageRelay, service: Service, offer: Offer
    ) -> tuple[Session, dict[str, Any]]:
        """A session and our answer; what the user's code takes part in comes first."""
        if self._maker is None or self._maker.make != service.make_handler:
            self._maker = HandlerMaker(service.make_handler)
        handler = await self._maker.make_for(line.webrtc_id)
        if any(each is not None and each.handler is handler for each in self._sessions.values()):
            copy = f"copy() of {type(handler).__name__}"
            error = HandlerError(f"{copy} returned a handler that serves another call")
            raise refuse(error, f"{copy}, asked for {line.webrtc_id}")
        transport = PeerTransport(self._ice_servers, _track_terms(service), service.limits)
        try:
            session = self._introduce(line, service, transport, handler)
            answer = await transport.answer(offer)
            self._check_open()
        except BaseException:
            await transport.close()
            raise
        return session, answer

    def _introduce(
        self,
        line: MessageRelay,
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

    async def _admit(
        self, body: Mapping[str, object], request: Any
    ) -> tuple[Naming, Service, Offer, Ticket]:
        """Takes a place and the names of a session, before anything is built for the client."""
        if (service := self.service) is None:
            error = HandlerError("this component has no stream event: call .stream(...) on it")
            raise refuse(error, "a page that calls")
        client = client_of(request, service.limits.trusted_proxies)
        admissions = self._admissions if service.places is None else service.places.admissions
        # Reading an offer takes time, which a stranger could ask for without an end.
        _refuse_when_busy(service.limits, is_guest=client is not None)
        admissions.here().count(client, service.limits)
        naming = self._directory.claim(body.get("webrtc_id"), page_of(request))
        try:
            # What cannot be answered is to cost neither a place nor a handler.
            async with offer_queue().entering():
                offer = read_offer(body, _track_terms(service), service.limits)
            place = _Place(self, naming.session_id, service)
            return naming, service, offer, await admissions.here().admit(client, place)
        except BaseException:
            self._directory.release(naming)
            raise

    def room(self, service: Service) -> Room:
        """How many calls there may be and are, here or in all components that share places."""
        if service.places is None:
            return Room(service.concurrency_limit, self.count_sessions())
        return Room(service.places.limit_for(self), service.places.count_taken())

    def take_place(self, session_id: str, service: Service) -> bool:
        """Takes a place for a session, if one is free."""
        with nullcontext() if service.places is None else service.places.lock:
            limit, taken = self.room(service)
            if limit is not None and taken >= limit:
                return False
            self._sessions[session_id] = None
            return True

    def give_back(self, session_id: str) -> None:
        """Frees a place that no call came to."""
        self._sessions.pop(session_id, None)

    def _give_back(self, naming: Naming) -> None:
        self._sessions.pop(naming.session_id, None)
        self._directory.release(naming)

    def _forget(self, naming: Naming, task: asyncio.Task[str]) -> None:
        self._tasks.discard(task)
        self._give_back(naming)
        note_idle()
        if not task.cancelled() and task.exception() is not None:
            logger.error("the call %s failed", naming.name, exc_info=task.exception())


def _refuse_when_busy(limits: Limits, *, is_guest: bool) -> None:
    """Raises `ServerBusy` when a call more would harm those in progress."""
    if threads_blocked() >= limits.blocked_threads:
        # Each place was named in a warning; a stranger can have any number of calls refused.
        logger.info(
            "a call is refused: %d threads are blocked by user code whose calls have ended",
            threads_blocked(),
        )
        raise ServerBusy("the server is busy with calls that do not end: try again later")
    if is_guest and lag_meter().is_late():
        raise ServerBusy


class _Place(NamedTuple):
    """The place that one offer asks for; see `admission.Place`."""

    manager: SessionManager
    session_id: str
    service: Service

    def room(self) -> Room:
        return self.manager.room(self.service)

    def take(self) -> bool:
        return self.manager.take_place(self.session_id, self.service)

    def give_back(self) -> None:
        self.manager.give_back(self.session_id)


def _track_terms(service: Service) -> TrackTerms:
    return TrackTerms(
        service.modality,
        are_taken=service.mode != "receive",
        allows_others=service.allows_other_tracks,
    )
