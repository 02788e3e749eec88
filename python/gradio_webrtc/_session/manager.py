"""All sessions of one component: admission, limits, look-up, and their end with the server.

Transports come in by a `TransportFactory`, each under the same limits. Runs on the event loop,
except where a method states otherwise. Imports no transport but its protocol, and no Gradio.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import weakref
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from gradio_webrtc._config import DEFAULT_CONFIG
from gradio_webrtc._handlers import MessageRelay, in_session
from gradio_webrtc._workers.offer_queue import offer_queue
from gradio_webrtc._workers.per_loop import PerLoop
from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc._workers.workers import threads_blocked
from gradio_webrtc.errors import HandlerError, ServerBusy, ServerStopping, SessionUnknown

from .admission import Admission, Room
from .client_address import client_of, gradio_session_of, has_left
from .copying import HandlerMaker, refuse
from .directory import Directory, Entry
from .lag import lag_meter
from .session import STOPPING, Session
from .signals import note_idle, note_offer
from .stopping import CLOSE_S, GRACE_S, check_grace, is_stopping, on_loop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from gradio_webrtc._config import SessionConfig
    from gradio_webrtc._handlers import StreamHandlerBase
    from gradio_webrtc._limits import Limits
    from gradio_webrtc._transport import Transport
    from gradio_webrtc.types import AdditionalOutputs, SessionStats

    from .admission import Ticket
    from .directory import SessionNames
    from .places import Places

logger = logging.getLogger(__name__)

FETCH_TIMEOUT_S: Final = 10.0
"""The wait of `SessionManager.fetch_output`, in seconds, as in fastrtc."""

LEFT: Final = "The client left before its answer came."

GAVE_WAY: Final = "The call was not connected in time, and gave way to another."


class TransportFactory(Protocol):
    """The way to the transport of one client that asks for a session.

    `SessionManager.admit` calls the methods once each and in this order, on the event loop.
    """

    def check(self, config: SessionConfig) -> None:
        """Reads what the client sent, before it costs a place or a handler.

        Raises:
            SignalingError: It cannot be answered.
        """

    def make(self, config: SessionConfig) -> Transport:
        """Returns the transport, not yet open."""

    async def answer(self) -> None:
        """Answers the client; its handler is bound to the session by then.

        Raises:
            SignalingError: It cannot be answered after all.
        """


class _Served(NamedTuple):
    """The handler that a component serves, and on which terms.

    Attributes:
        maker: Makes the handler of each session.
        config: The terms of each session.
        concurrency_limit: Sessions at once; ``None`` for any number.
        places: Places shared with other components, which then set the limit.
    """

    maker: HandlerMaker
    config: SessionConfig
    concurrency_limit: int | None
    places: Places | None


class SessionManager:
    """Admits clients, keeps their sessions and looks them up.

    Every session is removed when it is over, however it ended, and its place is free at once.

    Attributes:
        has_outputs: True if the client fetches AdditionalOutputs.
    """

    def __init__(self) -> None:
        self.has_outputs = False
        self._served: _Served | None = None
        # By the ids that the server made; None for one that is being opened.
        self._sessions: dict[str, Session | None] = {}
        self._directory = Directory()
        self._tasks = TaskScope()
        self._admissions = PerLoop(Admission)
        self._stopped: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def config(self) -> SessionConfig | None:
        """The terms of the sessions; ``None`` before `serve`."""
        return None if self._served is None else self._served.config

    @property
    def concurrency_limit(self) -> int | None:
        """Sessions at once, unless places are shared; ``None`` for any number."""
        return None if self._served is None else self._served.concurrency_limit

    @property
    def is_full(self) -> bool:
        """True if one more session would have to wait for a place now; any thread."""
        if self._served is None:
            return False
        limit, taken = self.room(self._served)
        return limit is not None and taken >= limit

    @property
    def is_stopping(self) -> bool:
        """True if every new session is refused, since the server of this event loop stops."""
        return is_stopping() or asyncio.get_running_loop() in self._stopped

    def serve(
        self,
        make_handler: Callable[[], StreamHandlerBase],
        config: SessionConfig = DEFAULT_CONFIG,
        *,
        concurrency_limit: int | None = 1,
        places: Places | None = None,
    ) -> None:
        """Serves a handler from now on; in any thread.

        Args:
            make_handler: Makes the handler of one session; called once for each, as `HandlerMaker`
                describes.
            config: The terms of each session.
            concurrency_limit: Sessions at once; ``None`` for any number.
            places: Places shared with other components, which then set the limit.
        """
        self._served = _Served(HandlerMaker(make_handler), config, concurrency_limit, places)

    # Look-up

    def find(self, webrtc_id: object, secret: object, gradio_session: str | None = None) -> Session:
        """Returns the session with this id, for the client that made it and has its secret.

        Raises:
            SessionUnknown: There is none, the secret is another, or the Gradio session is.
        """
        return self._directory.find(webrtc_id, secret, gradio_session)

    def check(self, webrtc_id: object, secret: object) -> Entry:
        """Returns the session with this id and secret; its Gradio session is still to be compared.

        Raises:
            SessionUnknown: There is none, or the secret is another.
        """
        return self._directory.check(webrtc_id, secret)

    def get(self, webrtc_id: object) -> Session | None:
        """Returns the session with this id or alias, for the server's own code, or ``None``.

        Never call it with an id that came from a client.
        """
        return self._directory.get(webrtc_id)

    def handlers(self) -> dict[str, StreamHandlerBase]:
        """Returns the handlers of all sessions under way, by the session's name; any thread."""
        return {each.webrtc_id: each.handler for each in self._open_sessions() if not each.is_over}

    def _open_sessions(self) -> list[Session]:
        """Returns the sessions that are made and not freed yet; from any thread."""
        # A list, since the event loop may add one meanwhile.
        return [each for each in list(self._sessions.values()) if each is not None]

    def stats(self, webrtc_id: object) -> SessionStats | None:
        """Returns the counters of a session under way, or ``None``; from any thread."""
        session = self.get(webrtc_id)
        return None if session is None else session.stats()

    def all_stats(self) -> list[SessionStats]:
        """Returns the counters of all sessions under way; from any thread."""
        return [each.stats() for each in self._open_sessions()]

    def end(self, webrtc_id: object, reason: str) -> bool:
        """Ends a session, from any thread.

        Args:
            webrtc_id: The id of the session.
            reason: Shown to the user; may be empty.

        Returns:
            True if there was such a session.
        """
        session = self.get(webrtc_id)
        if session is None or session.is_over:
            return False
        try:
            session.context.loop.call_soon_threadsafe(session.end, reason)
        except RuntimeError:  # the event loop is closed, and the session with it
            return False
        return True

    def output_setter(self, webrtc_id: str) -> Callable[[AdditionalOutputs], None]:
        """Returns a function that sends outputs to a client, or does nothing without one."""

        def set_outputs(outputs: AdditionalOutputs) -> None:
            if (session := self.get(webrtc_id)) is not None:
                session.put_outputs(outputs)

        return set_outputs

    async def output_stream(self, webrtc_id: str) -> AsyncGenerator[AdditionalOutputs]:
        """Yields the AdditionalOutputs of a session until it ends; none without such a session.

        Each goes to one reader: this one, another, or the client.
        """
        session = self.get(webrtc_id)
        while session is not None and (outputs := await session.outputs.next()) is not None:
            yield outputs

    async def fetch_output(self, webrtc_id: str) -> AdditionalOutputs:
        """Waits for the oldest AdditionalOutputs of a session that nobody fetched.

        Raises:
            SessionUnknown: There is no such session, or it ended.
            TimeoutError: There were none for `FETCH_TIMEOUT_S`.
        """
        async with asyncio.timeout(FETCH_TIMEOUT_S):
            async for outputs in self.output_stream(webrtc_id):
                return outputs
        raise SessionUnknown("no call with this id is under way")

    # Admission

    async def admit(
        self,
        factory: TransportFactory,
        alias: object = None,
        request: Any = None,
        *,
        phone_mode: bool = False,
        adapt: Callable[[SessionConfig], SessionConfig] | None = None,
    ) -> Entry:
        """Opens a session for a client, if there is a place for it.

        Args:
            factory: Reads what the client sent, makes its transport and answers it.
            alias: The id that the client proposes; ``None`` for none.
            request: The ``gr.Request`` that `get_current_context` returns in the session. Its
                ``session_hash`` identifies the client's Gradio session.
            phone_mode: True for a client without inputs, and without a place for outputs; see
                `StreamHandlerBase`.
            adapt: Returns the terms of this client's session, from those of all and what the
                factory has read; called once, behind its `check`.

        Returns:
            The session, which runs, with its names.

        Raises:
            SignalingError: The client is refused, and nothing of it is left.
        """
        self._check_open()
        served = self._served
        if served is None:
            error = HandlerError("this component has no stream event: call .stream(...) on it")
            raise refuse(error, "a request for a session")
        names, ticket = await self._take_place(served, factory, alias, request)
        note_offer(self)
        try:
            if adapt is not None:
                served = served._replace(config=adapt(served.config))
            entry = await self._open(served, factory, names, request, ticket, phone_mode=phone_mode)
        except BaseException:
            self._give_back(names)
            ticket.close()
            raise
        if await has_left(request):
            # Without the answer it cannot end its session, which would wait for it.
            entry.session.end(LEFT)
        return entry

    async def _take_place(
        self, served: _Served, factory: TransportFactory, alias: object, request: Any
    ) -> tuple[SessionNames, Ticket]:
        """Takes a place and the names of a session, before anything is built for the client."""
        limits = served.config.limits
        client = client_of(request, limits.trusted_proxies, alias)
        admissions = self._admissions if served.places is None else served.places.admissions
        # Counted before it is read: reading takes time, and a stranger can send offers for ever.
        _refuse_when_busy(limits, is_guest=client is not None)
        admissions.here().count(client, limits)
        names = self._directory.claim(alias, gradio_session_of(request))
        try:
            # An offer that cannot be answered costs neither a place nor a handler.
            async with offer_queue().entering():
                factory.check(served.config)
            place = _Place(self, names.session_id, served)
            return names, await admissions.here().admit(client, place)
        except BaseException:
            self._directory.release(names)
            raise

    async def _open(
        self,
        served: _Served,
        factory: TransportFactory,
        names: SessionNames,
        request: Any,
        ticket: Ticket,
        *,
        phone_mode: bool,
    ) -> Entry:
        """Makes and starts a session; the user's code, which may refuse it, comes first."""
        line = MessageRelay(names.name)
        with in_session(line, request):
            handler = await served.maker.make_for(names.name)
            self._refuse_shared(handler, names)
            if phone_mode:
                handler.phone_mode = True
            transport = factory.make(served.config)
            try:
                session = self._bind(line, transport, handler, served.config)
                await factory.answer()
                self._check_open()
            except BaseException:
                await transport.close()
                raise
            self._sessions[names.session_id] = session
            self._directory.enter(names, session)
            session.when_connected(ticket.connected)
            task = self._tasks.start(session.run())
        task.add_done_callback(lambda done: self._forget(names, done))
        lag_meter().hold()
        session.when_over(lag_meter().release)
        session.when_over(ticket.close)
        ticket.answered(lambda: session.end(GAVE_WAY))
        return Entry(names, session)

    def _refuse_shared(self, handler: StreamHandlerBase, names: SessionNames) -> None:
        """Raises if a session under way has the same handler: each needs one of its own."""
        if any(each.handler is handler for each in self._open_sessions()):
            copy = f"copy() of {type(handler).__name__}"
            error = HandlerError(f"{copy} returned a handler that serves another session")
            raise refuse(error, f"{copy}, called for {names.name}")

    def _bind(
        self,
        line: MessageRelay,
        transport: Transport,
        handler: StreamHandlerBase,
        config: SessionConfig,
    ) -> Session:
        # A handler whose constructor left out that of the base class is refused below.
        is_on_the_phone = getattr(handler, "phone_mode", False)
        has_own_inputs = config.default_inputs is None and not is_on_the_phone
        has_outputs = self.has_outputs and has_own_inputs
        config = dataclasses.replace(config, has_outputs=has_outputs)
        try:
            session = Session(line.webrtc_id, transport, handler, config)
            line.connect(session.context)
        except Exception as error:  # noqa: BLE001 - any handler may raise here: its client is refused
            kind = type(handler).__name__
            raise refuse(error, f"{kind} at the start of {line.webrtc_id}") from None
        return session

    def room(self, served: _Served) -> Room:
        """Counts the sessions that are and may be, here or in all components that share places."""
        if served.places is None:
            return Room(served.concurrency_limit, self.count_sessions())
        return Room(served.places.limit_for(self), served.places.count_taken())

    def take_place(self, session_id: str, served: _Served) -> bool:
        """Takes a place for a session, if one is free."""
        with nullcontext() if served.places is None else served.places.lock:
            limit, taken = self.room(served)
            if limit is not None and taken >= limit:
                return False
            self._sessions[session_id] = None
            return True

    def give_back(self, session_id: str) -> None:
        """Frees a place that no session came to."""
        self._sessions.pop(session_id, None)

    def count_sessions(self) -> int:
        """Counts the sessions that are being opened or under way; from any thread.

        One that is over and being freed takes no place: a client that starts again at once, as a
        click in mode "receive" makes it, is not refused.
        """
        sessions = list(self._sessions.values())
        return sum(session is None or not session.is_over for session in sessions)

    def _give_back(self, names: SessionNames) -> None:
        self._sessions.pop(names.session_id, None)
        self._directory.release(names)

    def _forget(self, names: SessionNames, task: asyncio.Task[str]) -> None:
        self._give_back(names)
        note_idle()
        if not task.cancelled() and task.exception() is not None:
            logger.error("the session %s failed", names.name, exc_info=task.exception())

    # The end

    async def wait_idle(self) -> None:
        """Returns once no session is under way and everything of theirs is freed."""
        await self._tasks.wait()

    async def close(self) -> None:
        """Ends all sessions and returns when everything of theirs is freed."""
        for session in self._open_sessions():
            session.end(STOPPING, ServerStopping.code)
        await self.wait_idle()

    def loops(self) -> set[asyncio.AbstractEventLoop]:
        """Returns the event loops of the sessions under way; from any thread."""
        return {each.context.loop for each in self._open_sessions()}

    async def drain(self, grace_s: float = GRACE_S) -> None:
        """Refuses new sessions, and ends those under way once their replies are over.

        Await it on any event loop. Requests are refused on the event loops that took part; a server
        that is started later has a loop of its own, and serves again.

        Args:
            grace_s: The time that replies may go on, in seconds.

        Raises:
            ValueError: The grace time is below 0 or beyond a minute.
            TimeoutError: The sessions are over, and their clients have the reason, but not all of
                them are freed.
        """
        check_grace(grace_s)
        loops = self.loops() | {asyncio.get_running_loop()}
        self._stopped.update(loops)
        async with asyncio.timeout(grace_s + CLOSE_S):
            await asyncio.gather(*(on_loop(loop, self.drain_here(grace_s)) for loop in loops))

    async def drain_here(self, grace_s: float) -> None:
        """Drains the sessions of the running event loop, for as long as it takes to free them."""
        loop = asyncio.get_running_loop()
        self._stopped.add(loop)
        held = [each for each in self._open_sessions() if each.context.loop is loop]
        await asyncio.gather(*(each.stop(grace_s) for each in held))
        await self.wait_idle()

    def serve_here(self) -> None:
        """Serves on the running event loop again, after `drain_here`."""
        self._stopped.discard(asyncio.get_running_loop())

    def hurry(self) -> None:
        """Ends the grace time of sessions that are ending; from any thread."""
        for session in self._open_sessions():
            session.hurry()

    def _check_open(self) -> None:
        if self.is_stopping:
            raise ServerStopping


def _refuse_when_busy(limits: Limits, *, is_guest: bool) -> None:
    """Raises `ServerBusy` if one more session would harm those under way."""
    if threads_blocked() >= limits.blocked_threads:
        # The blocked places were logged as warnings; strangers can cause any number of refusals.
        logger.info(
            "a session is refused: %d threads are blocked by user code whose sessions have ended",
            threads_blocked(),
        )
        raise ServerBusy("the server is busy with calls that do not end: try again later")
    if is_guest and lag_meter().is_late():
        raise ServerBusy


class _Place(NamedTuple):
    """The place that one offer asks for; see `admission.Place`."""

    manager: SessionManager
    session_id: str
    served: _Served

    def room(self) -> Room:
        return self.manager.room(self.served)

    def take(self) -> bool:
        return self.manager.take_place(self.session_id, self.served)

    def give_back(self) -> None:
        self.manager.give_back(self.session_id)
