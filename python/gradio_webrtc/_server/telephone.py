"""The routes of telephone calls: the webhook of each that comes in, and the WebSocket of its audio.

`_transport.telephone` has the protocol of the WebSocket, `twilio` that of the webhook. A session
over them is one like any other, with its limits. Runs on the event loop.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from fastapi import HTTPException, Request, Response, WebSocket

from gradio_webrtc._session.origins import log_refusal
from gradio_webrtc._transport import TelephoneReader, TelephoneStart, TelephoneTransport, read_start
from gradio_webrtc.errors import ConnectionLost, InvalidOffer, RequestRefused

from .bounded import MAX_BODY_BYTES
from .newcomers import ending_session, receive_start, refuse
from .sockets import carry
from .twilio import (
    SIGNATURE_HEADER,
    TwilioAccount,
    busy_twiml,
    connect_twiml,
    route_path,
    signed_urls,
    socket_url,
)
from .websocket import check_has_audio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import APIRouter

    from gradio_webrtc._config import SessionConfig
    from gradio_webrtc._session.manager import SessionManager
    from gradio_webrtc._session.origins import Site

logger = logging.getLogger(__name__)

INCOMING: Final = "/telephone/incoming"
HANDLER: Final = "/telephone/handler"

XML: Final = "application/xml"

MAX_FIELDS: Final = 256
"""Fields of a webhook's form. Twilio sends some thirty."""

TICKET: Final = "ticket"
"""The name of the parameter that is ours."""

GREETING: Final = "You are being connected."
FAREWELL: Final = "The connection has ended."
"""Words read to the user before and after a session, in the service's own voice."""

FORBIDDEN: Final = 403
BAD: Final = 400
TOO_LARGE: Final = 413

_ADVICE: Final = (
    "if it should be let in, check twilio_auth_token; behind a proxy that changes the Host, name "
    "its address in Limits(trusted_proxies=...)"
)


class TelephoneCall:
    """The transport factory of a telephone call; see `TransportFactory`.

    Args:
        start: The beginning of the call.

    Attributes:
        transport: The connection, once `make` was called.
    """

    transport: TelephoneTransport

    def __init__(self, start: TelephoneStart) -> None:
        self._start = start

    def check(self, config: SessionConfig) -> None:
        """Raises unless a telephone can take part."""
        check_has_audio(config)
        if config.mode != "send-receive":
            raise InvalidOffer(f'a telephone needs the mode "send-receive", not "{config.mode}"')

    def make(self, config: SessionConfig) -> TelephoneTransport:
        """Returns the connection, not yet open."""
        self.transport = TelephoneTransport(self._start, config)
        return self.transport

    async def answer(self) -> None:
        """Does nothing: the call waits for no answer."""


class TelephoneRoutes:
    """Answers the webhooks of telephone calls, and holds their sessions.

    Args:
        sessions: Admits them.
        site: The addresses of the server.
        auth_token: The auth token of the Twilio account; ``None`` to take calls from anybody.
    """

    def __init__(self, sessions: SessionManager, site: Site, auth_token: str | None) -> None:
        self._sessions = sessions
        self._site = site
        self._account = None if auth_token is None else TwilioAccount(auth_token)
        self._has_warned = False

    def add_to(self, router: APIRouter) -> None:
        """Adds the routes."""
        router.post(
            INCOMING,
            name="telephone_incoming",
            summary="Answer a telephone call",
            response_class=Response,
            responses={
                200: {"content": {XML: {}}, "description": "TwiML"},
                FORBIDDEN: {"description": "The request is not signed"},
            },
        )(self.answer)
        router.add_api_websocket_route(HANDLER, self.open, name="telephone_handler")

    async def answer(self, request: Request) -> Response:
        """Answers the webhook of an incoming telephone call."""
        return await self.answer_with(request)

    async def answer_with(
        self,
        request: Request,
        handler_path: str | None = None,
        greeting: str | None = GREETING,
        farewell: str | None = FAREWELL,
    ) -> Response:
        """Answers the webhook of an incoming telephone call; see `Stream.handle_incoming_call`."""
        fields = await _read_form(request)
        parameters: list[tuple[str, str]] = []
        if self._account is None:
            self._warn_once()
        else:
            signature = request.headers.get(SIGNATURE_HEADER)
            urls = [*signed_urls(request, self._site)]
            if not self._account.has_signed(signature, urls, fields):
                log_refusal(f"a webhook is not signed for {urls[0]}: {_ADVICE}")
                return Response(status_code=FORBIDDEN)
            parameters = [(TICKET, self._account.issue_ticket(dict(fields).get("CallSid", "")))]
        if self._sessions.is_full or self._sessions.is_stopping:
            return Response(busy_twiml(), media_type=XML)
        url = socket_url(request, self._site, handler_path or _handler_beside(request))
        return Response(connect_twiml(url, parameters, greeting, farewell), media_type=XML)

    async def open(self, websocket: WebSocket) -> None:
        """Holds the session of one call, from its WebSocket to the end."""
        try:
            message = await receive_start(websocket, self._site, self._site.trusted_proxies)
            await self._hold(websocket, self._check(websocket, read_start(message)))
        except ConnectionLost:
            return
        except Exception as error:  # noqa: BLE001 - a client gets an answer, whatever went wrong
            await refuse(websocket, error)

    def _check(self, websocket: WebSocket, start: TelephoneStart) -> TelephoneStart:
        """Returns the beginning of a genuine call, with the parameters of others alone."""
        ticket = start.parameters.get(TICKET, "")
        if self._account is None:
            self._warn_once()
        elif not self._account.redeem_ticket(ticket, start.call_sid):
            urls = [*signed_urls(websocket, self._site)]
            if not self._account.has_signed(websocket.headers.get(SIGNATURE_HEADER), urls):
                log_refusal(f"a telephone call has no ticket, and is not signed: {_ADVICE}")
                raise RequestRefused
        others = {name: value for name, value in start.parameters.items() if name != TICKET}
        return start._replace(parameters=others)

    async def _hold(self, websocket: WebSocket, start: TelephoneStart) -> None:
        call = TelephoneCall(start)
        _, session = await self._sessions.admit(call, start.stream_sid, websocket, phone_mode=True)
        call.transport.deliver_text(_describe(start))
        reader = TelephoneReader(call.transport, start)
        await carry(websocket, call.transport, ending_session(session, reader.read))

    def _warn_once(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "telephone calls are taken from anybody who has the address: pass "
                "twilio_auth_token to Stream"
            )


def _describe(start: TelephoneStart) -> str:
    """Returns the message for a handler that a call has begun."""
    described: Mapping[str, Any] = {
        "type": "start",
        "call_sid": start.call_sid,
        "stream_sid": start.stream_sid,
        "parameters": start.parameters,
    }
    return json.dumps(described)


def _handler_beside(request: Request) -> str:
    """Returns the path of the WebSocket beside a webhook's; that of the app for another webhook."""
    path = route_path(request)
    return path.removesuffix(INCOMING) + HANDLER if path.endswith(INCOMING) else HANDLER


async def _read_form(request: Request) -> list[tuple[str, str]]:
    """Returns the fields of a form, in which a name may occur more than once."""
    try:
        body = await _read_body(request)
    except RuntimeError:
        # The route has read it already.
        form = await request.form()
        return [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    except HTTPException:
        raise
    except Exception as error:  # Starlette's, of a client that left
        raise HTTPException(BAD, "the request was cut off") from error
    try:
        text = body.decode()
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise HTTPException(BAD, "expected a form") from error


async def _read_body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(TOO_LARGE, f"expected at most {MAX_BODY_BYTES} bytes")
    return body
