"""The requests of clients about their sessions: an offer, candidates, a goodbye.

Clients that WebRTC does not reach ask for a link, a transport over the app's own origin.

A request is anything that JSON can hold, from anybody. Every request is answered, and no answer
reveals whether a session exists to a client that does not have its secret. Runs on the event loop.
"""

from __future__ import annotations

import asyncio
import dataclasses
import weakref
from typing import TYPE_CHECKING, Any, Final, cast

from gradio_webrtc._transport import LinkTransport, PeerTransport, read_link_request, read_offer
from gradio_webrtc.errors import (
    HandlerUnavailable,
    InvalidOffer,
    RequestFailed,
    SessionUnknown,
    SignalingError,
    TooManySessions,
)

from .client_address import gradio_session_of
from .reporting import report_error
from .rtc_configuration import ConfigurationCache

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gradio_webrtc._config import SessionConfig
    from gradio_webrtc._transport import Offer
    from gradio_webrtc._transport.link import LinkTerms
    from gradio_webrtc.types import Mode

    from .client_inputs import ReadInputs
    from .manager import SessionManager
    from .session import Session

GATHER_ALL_S: Final = 5.5
"""The wait for all candidates of the server, in seconds, where nothing follows the answer (RFC 9725
section 4.3.2). aioice gives a STUN or TURN server up after five seconds."""


class OfferedPeer:
    """The transport factory of a client that sent a WebRTC offer; see `TransportFactory`.

    Args:
        body: The request with the offer.
        ice_servers: STUN and TURN servers for the server's own side.

    Attributes:
        sent: The answer, once it is made.
        peer: The connection, once it is made.
        offer: The offer, once it is read.
    """

    def __init__(
        self, body: Mapping[str, object], ice_servers: Sequence[Mapping[str, Any]]
    ) -> None:
        self.sent: dict[str, Any] = {}
        self.peer: PeerTransport | None = None
        self._body = body
        self._ice_servers = ice_servers
        self.offer: Offer | None = None

    def check(self, config: SessionConfig) -> None:
        """Reads the offer."""
        self.offer = read_offer(self._body, config)

    def make(self, config: SessionConfig) -> PeerTransport:
        """Returns the connection, not yet open."""
        self.peer = PeerTransport(self._ice_servers, config)
        return self.peer

    async def answer(self) -> None:
        """Answers the offer."""
        peer, offer = self._read()
        self.sent = await peer.answer(offer)

    def adapt(self, config: SessionConfig) -> SessionConfig:
        """Returns the terms for this client, which may play nothing although it could be answered.

        What a handler emits for such a client is dropped, and not kept until somebody takes it.
        """
        takes_media = cast("Offer", self.offer).client_receives
        if config.mode == "send-receive" and not takes_media:
            return dataclasses.replace(config, mode="send")
        return config

    def _read(self) -> tuple[PeerTransport, Offer]:
        """Returns the connection and the offer; the manager has called `check` and `make`."""
        return cast("PeerTransport", self.peer), cast("Offer", self.offer)


class OneAnswerPeer(OfferedPeer):
    """The factory of a client that gets one answer, and nothing behind it, as with WHIP and WHEP.

    The answer has all candidates of the server. The client has no input values of its own, and
    fetches no outputs.

    Args:
        sdp: The offer.
        ice_servers: STUN and TURN servers for the server's own side.
        mode: The direction of the media from this client's side, if not that of the stream.
        inputs: Returns the values of the inputs, called once for a client that is admitted.
    """

    def __init__(
        self,
        sdp: str,
        ice_servers: Sequence[Mapping[str, Any]],
        mode: Mode | None = None,
        inputs: Callable[[], Sequence[Any]] = tuple,
    ) -> None:
        super().__init__({"type": "offer", "sdp": sdp}, ice_servers)
        self._mode = mode
        self._inputs = inputs

    def check(self, config: SessionConfig) -> None:
        """Reads the offer."""
        super().check(dataclasses.replace(config, mode=self._mode or config.mode))

    async def answer(self) -> None:
        """Answers the offer, once all candidates of the server are gathered."""
        peer, offer = self._read()
        self.sent = await peer.answer(offer, GATHER_ALL_S)

    def adapt(self, config: SessionConfig) -> SessionConfig:
        """Returns the terms for this client."""
        config = dataclasses.replace(config, mode=self._mode or config.mode)
        return dataclasses.replace(super().adapt(config), default_inputs=tuple(self._inputs()))


class OfferedLink:
    """The transport factory of a client that asked for a link; see `TransportFactory`.

    Args:
        body: The request.

    Attributes:
        sent: The answer, once it is made.
        link: The transport, once it is made.
    """

    def __init__(self, body: Mapping[str, object]) -> None:
        self.sent: dict[str, Any] = {}
        self.link: LinkTransport | None = None
        self._body = body
        self._terms: LinkTerms | None = None

    def check(self, config: SessionConfig) -> None:
        """Reads the request."""
        self._terms = read_link_request(self._body, config)

    def make(self, config: SessionConfig) -> LinkTransport:
        """Returns the transport, without a carrier."""
        self.link = LinkTransport(cast("LinkTerms", self._terms), config)
        return self.link

    async def answer(self) -> None:
        """Answers with the media that both sides have."""
        self.sent = cast("LinkTerms", self._terms).answer()


class Signaling:
    """Answers the requests of a component's clients.

    Args:
        sessions: Admits and finds the sessions.
        ice_servers: STUN and TURN servers for the server's own side.

    Attributes:
        sessions: As given.
        configurations: The RTCConfigurations that clients ask for before their offers.
        ice_servers: As given.
    """

    def __init__(
        self, sessions: SessionManager, ice_servers: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        self.sessions = sessions
        self.configurations = ConfigurationCache()
        self.ice_servers = ice_servers
        # A session has any kind of transport, and candidates are for this kind alone.
        self._peers: weakref.WeakKeyDictionary[Session, PeerTransport] = weakref.WeakKeyDictionary()
        self._links: weakref.WeakKeyDictionary[Session, LinkTransport] = weakref.WeakKeyDictionary()

    async def handle_request(
        self, body: object, request: Any = None, *, read_inputs: ReadInputs | None = None
    ) -> dict[str, Any]:
        """Answers one request.

        Args:
            body: ``type`` "offer" with ``sdp`` and, if the client proposes an id, ``webrtc_id``; or
                "link" with the media of the client; or
                "ice-candidate" with ``candidate``, "candidates", "outputs" or "close", each with
                the ``webrtc_id`` and the ``secret`` of the answer.
            request: The ``gr.Request`` that `get_current_context` returns in the session of an
                offer. Its ``session_hash`` identifies the client's Gradio session.
            read_inputs: Checks the input values that clients of a route send themselves, who may
                also read the outputs; ``None`` for a page of Gradio's, where Gradio does both.

        Returns:
            The answer with ``webrtc_id`` and ``secret``, ``{"status": "success"}``, or
            ``{"status": "failed", "meta": {"error", "message"}}`` with ``limit`` where it applies.
        """
        try:
            return await self._dispatch(body, request, read_inputs)
        except SignalingError as error:
            return refusal_of(error)
        except Exception as error:  # noqa: BLE001 - a client gets an answer, whatever went wrong
            shown = report_error(error, "the answer to a request", "the request is refused")
            return refusal_of(RequestFailed("" if shown is None else shown.text))

    async def _dispatch(
        self, body: object, request: Any, read_inputs: ReadInputs | None
    ) -> dict[str, Any]:
        if not isinstance(body, dict):
            raise InvalidOffer(f"expected a JSON object, got {type(body).__name__}")
        match body.get("type"):
            case "ice-candidate":
                peer = self._peer_of(self._find(body, request))
                await peer.add_candidate(body.get("candidate"))
                return {"status": "success"}
            case "candidates":
                return {"candidates": await self._candidates_of(self._find(body, request))}
            case "link":
                return await self._open_link(body, request, read_inputs)
            case "outputs" if read_inputs is not None:
                return {"outputs": self._find(body, request).read_outputs()}
            case "close":
                self._find(body, request).end("the client left")
                # Its place is free in the next turn of the loop: a client may need it at once.
                await asyncio.sleep(0)
                return {"status": "success"}
            case _:
                return await self._open(body, request, read_inputs)

    async def _open(
        self, body: Mapping[str, object], request: Any, read_inputs: ReadInputs | None
    ) -> dict[str, Any]:
        offered = OfferedPeer(body, self.ice_servers)
        names, session = await self.sessions.admit(
            offered, body.get("webrtc_id"), request, adapt=offered.adapt
        )
        if offered.peer is not None:
            self._peers[session] = offered.peer
        if read_inputs is not None:
            session.accept_inputs(read_inputs)
        return {**offered.sent, "webrtc_id": names.session_id, "secret": session.secret}

    async def _open_link(
        self, body: Mapping[str, object], request: Any, read_inputs: ReadInputs | None
    ) -> dict[str, Any]:
        offered = OfferedLink(body)
        names, session = await self.sessions.admit(offered, body.get("webrtc_id"), request)
        if offered.link is not None:
            self._links[session] = offered.link
        if read_inputs is not None:
            session.accept_inputs(read_inputs)
        return {**offered.sent, "webrtc_id": names.session_id, "secret": session.secret}

    def find_link(self, webrtc_id: object, secret: object) -> LinkTransport:
        """Returns the link of a session, for a carrier of the client that has its secret.

        A carrier names no Gradio session; the secret went to one client alone.

        Raises:
            SessionUnknown: There is none, the secret is another, or it has another transport.
        """
        session = self.sessions.check(webrtc_id, secret).session
        link = self._links.get(session)
        # A component may be served by two servers, each with an event loop of its own.
        is_here = session.context.loop is asyncio.get_running_loop()
        if link is None or link.is_over or not is_here:
            raise SessionUnknown
        return link

    def _find(self, body: Mapping[str, object], request: Any) -> Session:
        webrtc_id, secret = body.get("webrtc_id"), body.get("secret")
        return self.sessions.find(webrtc_id, secret, gradio_session_of(request))

    async def _candidates_of(self, session: Session) -> list[dict[str, Any]]:
        # A link has none, but its client may ask whether the session is still there.
        return [] if session in self._links else await self._peer_of(session).candidates()

    def _peer_of(self, session: Session) -> PeerTransport:
        peer = self._peers.get(session)
        if peer is None:
            raise SessionUnknown
        return peer


def refusal_of(error: SignalingError) -> dict[str, Any]:
    """Returns the answer to a request that is refused, with the reason."""
    meta: dict[str, Any] = {"error": error.code, "message": str(error)}
    if isinstance(error, TooManySessions):
        meta["limit"] = error.limit
    if isinstance(error, HandlerUnavailable) and error.title is not None:
        meta["title"] = error.title
    return {"status": "failed", "meta": meta}
