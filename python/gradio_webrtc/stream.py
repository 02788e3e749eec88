"""A handler with a page of its own and with routes for a FastAPI app: fastrtc's `Stream`.

All clients of a stream, from its own page or over the routes, have sessions of one manager: the
limits count them together, and every method finds them all.
"""

from __future__ import annotations

import typing
import warnings
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict

import gradio as gr
from fastapi import APIRouter, Request, Response, WebSocket
from gradio.utils import colab_check, get_space
from starlette.routing import Mount

from ._advice import names_elsewhere
from ._handlers.stream_handler import INPUT_PLACEHOLDER
from ._server.bearer import BearerToken
from ._server.bounded import BoundedRoute
from ._server.client_files import ClientFiles
from ._server.early_candidates import EarlyCandidates
from ._server.link import LinkRoute
from ._server.realtime import RealtimeRoute, RealtimeSettings, check_config, read_keys
from ._server.schemas import Body
from ._server.telephone import FAREWELL, GREETING, TelephoneRoutes
from ._server.webrtc import OfferRoute
from ._server.websocket import WebSocketRoute
from ._server.whip import WHEP, WHIP, WhipRoutes, WhipSettings
from ._session.origins import Site, read_origins
from ._session.rtc_configuration import resolve_rtc_configuration
from ._session.stopping import GRACE_S, end_here
from ._ui.client_inputs import input_reader
from ._ui.default_inputs import default_inputs
from ._ui.stream_page import PageParts, build_page, check_parts, read_components
from .component import WebRTC
from .errors import InvalidOffer
from .types import WebRTCData

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Future
    from enum import Enum

    from fastapi import FastAPI
    from gradio.components import Button
    from gradio.components.base import Component

    from ._handlers import StreamHandlerBase
    from ._limits import Limits
    from ._server.whip import Protocol
    from ._turn_timings import TurnTimings
    from ._workers.workers import Done
    from .types import (
        AdditionalOutputs,
        Fallback,
        FrameFormat,
        Modality,
        Mode,
        SessionStats,
    )

__all__ = ["Body", "Stream", "UIArgs"]

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)


class UIArgs(TypedDict, total=False):
    """The look of the page of a `Stream`.

    Attributes:
        title: The title of the page, as text or HTML.
        subtitle: The line below the title, as text or HTML.
        icon: Path or URL of the icon in the middle of the component.
        icon_button_color: CSS colour of the button.
        pulse_color: CSS colour of the pulse around the icon.
        icon_radius: Roundness of the icon, in percent.
        send_input_on: The event on which the inputs are sent to a session under way: "submit" of
            the text field, or every "change".
        hide_title: Leaves title and subtitle out.
        full_screen: False to give the component a place in the page, between the others.
        variant: "textbox" for a text field beside the microphone.
    """

    title: str
    subtitle: str
    icon: str
    icon_button_color: str
    pulse_color: str
    icon_radius: int
    send_input_on: Literal["submit", "change"]
    hide_title: bool
    full_screen: bool
    variant: Literal["wave", "textbox"]


COMPONENT_SETTINGS: Final = (
    "allowed_origins",
    "limits",
    "fallback",
    "udp_ports",
    "host_candidates",
    "video_bitrate",
    "codec_preferences",
    "latency",
    "on_turn",
)
"""Arguments that go to the component as they are."""


class Stream:
    """Connects a handler to the users of a page, and to clients of a FastAPI app.

    Args:
        handler: A handler, of which every session gets a copy; or a function, as for
            `WebRTC.stream`: for the modality "video", and for the mode "receive".
        additional_outputs_handler: Called with the current values of ``additional_outputs``, then
            with those of each AdditionalOutputs; returns the new values.
        mode: The direction of the media, from the client's side.
        modality: The kinds of media.
        concurrency_limit: Sessions at once, those of the page and of all routes together; "default"
            and ``None`` stand for 1, as in fastrtc.
        time_limit: Seconds that a session may last once it is connected; ``None`` for any time.
        allow_extra_tracks: True to accept offers with tracks that the modality does not need.
        rtp_params: W3C RTCRtpSendParameters for the page's sender.
        rtc_configuration: W3C RTCConfiguration for the page; or a function, sync or async, that
            returns it.
        server_rtc_configuration: ``{"iceServers": [...]}`` for the server's own side.
        track_constraints: W3C MediaTrackConstraints for the page.
        additional_inputs: Components whose values the handler gets.
        additional_outputs: Components that show what the handler emits besides media.
        ui_args: The look of the page.
        verbose: Has no effect; kept for programs written for fastrtc.
        frame_format: Channel order of video frames: "bgr", as in OpenCV, or "rgb".
        allowed_origins: Origins of other web pages that may open sessions, such as
            ``["https://example.com"]``; by default pages of this server alone.
        limits: Limits for the clients of the server; by default ``Limits()``.
        fallback: "auto" for a WebSocket or HTTP where WebRTC does not connect, since UDP is
            blocked; "never" for WebRTC alone; "always" without WebRTC.
        udp_ports: UDP ports of the server for audio and video: one that all sessions share, such as
            50000, or the first and the last of several, (50000, 50100), of which each session takes
            one; by default any that are free.
        host_candidates: Addresses that clients reach the server at, in place of those of its own
            network interfaces: ``["203.0.113.7"]``, or ``{"10.0.0.5": "203.0.113.7"}`` for one of
            them.
        video_bitrate: Bits per second of the video that the server sends, 30,000 to 50,000,000: the
            most, such as 1_500_000, or the least, the first and the most, (200_000, 800_000,
            1_500_000); by default what suits the size of the frames. Within it the rate follows
            what the client reports.
        codec_preferences: Codecs of video, the best first, such as ``["H264", "VP8"]``; a codec
            that is not listed comes after them. By default the client's own order.
        latency: True for a bar at the bottom of the component that shows where the time of the
            last answer went; the client of own pages has an event ``turn`` then.
        on_turn: A function, sync or async, that is called once with a `TurnTimings` for each turn
            of a user; see the guide.
        whip_token: The bearer token that clients of WHIP and WHEP need: a text, or a function, sync
            or async, that returns if a token is right. ``None`` lets in whoever reaches
            ``/webrtc/offer``, which has no token either.
        twilio_auth_token: The auth token of the Twilio account that telephone calls come from: what
            is not signed with it is refused. ``None`` to take calls from anybody.

    Attributes:
        mode: As given.
        modality: As given.
        event_handler: The handler, as given.
        webrtc_component: The component of the page.
        ui: The page; any other Blocks may take its place.

    Raises:
        ValueError: There is no page for the mode and the modality, the handler does not fit them,
            there are outputs without a function for them, or ``twilio_auth_token`` is empty.
        TypeError: The handler cannot work as it is written.
        ValueError: ``whip_token`` cannot be sent as a bearer token.

    Example:
        >>> from gradio_webrtc import ReplyOnPause, Stream
        >>> def echo(audio):
        ...     yield audio
        >>> stream = Stream(ReplyOnPause(echo), modality="audio", mode="send-receive")
        >>> from fastapi import FastAPI
        >>> app = FastAPI()
        >>> stream.mount(app)
        >>> sorted({route.path.split("/")[1] for route in stream.router().routes})[3:]
        ['telephone', 'webrtc', 'websocket', 'whep', 'whip']
    """

    def __init__(
        self,
        handler: StreamHandlerBase | Callable[..., Any],
        *,
        additional_outputs_handler: Callable[..., Any] | None = None,
        mode: Mode = "send-receive",
        modality: Modality = "video",
        concurrency_limit: int | Literal["default"] | None = "default",
        time_limit: float | None = None,
        allow_extra_tracks: bool = False,
        rtp_params: dict[str, Any] | None = None,
        rtc_configuration: dict[str, Any] | Callable[..., Any] | None = None,
        server_rtc_configuration: dict[str, Any] | None = None,
        track_constraints: dict[str, Any] | None = None,
        additional_inputs: Sequence[Component] | None = None,
        additional_outputs: Sequence[Component] | None = None,
        ui_args: UIArgs | Mapping[str, Any] | None = None,
        verbose: bool = True,
        frame_format: FrameFormat = "bgr",
        allowed_origins: Sequence[str] | None = None,
        limits: Limits | None = None,
        fallback: Fallback = "auto",
        udp_ports: int | tuple[int, int] | range | None = None,
        host_candidates: Sequence[str] | Mapping[str, str] | None = None,
        video_bitrate: float | tuple[float, float, float] | None = None,
        codec_preferences: Sequence[str] | None = None,
        latency: bool = False,
        on_turn: Callable[[TurnTimings], Any] | None = None,
        whip_token: str | Callable[[str], bool | Awaitable[bool]] | None = None,
        twilio_auth_token: str | None = None,
    ) -> None:
        arguments = dict(locals())
        self.mode = mode
        self.modality = modality
        self.event_handler = handler
        self.concurrency_limit: int = (
            1 if concurrency_limit is None or concurrency_limit == "default" else concurrency_limit
        )
        self.time_limit = time_limit
        self.allow_extra_tracks = allow_extra_tracks
        self.rtp_params = rtp_params
        self.rtc_configuration = rtc_configuration
        self.server_rtc_configuration = server_rtc_configuration
        self.track_constraints = track_constraints
        self.additional_input_components = additional_inputs
        self.additional_output_components = additional_outputs
        self.additional_outputs_handler = additional_outputs_handler
        self._token = BearerToken(whip_token)
        proxies = tuple(limits.trusted_proxies) if limits is not None else ()
        self._site = Site(read_origins(allowed_origins), trusted_proxies=proxies)
        _check_outputs(additional_outputs, additional_outputs_handler)
        _warn_without_relay(rtc_configuration)
        settings = {name: arguments[name] for name in COMPONENT_SETTINGS}
        parts = self._parts(ui_args or {}, settings)
        check_parts(parts)

        def bind(component: WebRTC, button: Button | None) -> None:
            self.webrtc_component = component
            self._bind(parts, frame_format, None if button is None else button.click)

        self._ui = build_page(WebRTC, parts, bind)
        signaling = self.webrtc_component.signaling
        self._requests = EarlyCandidates(signaling, proxies, input_reader(parts.inputs))
        self._websockets = WebSocketRoute(signaling.sessions, self._site)
        self._telephone = TelephoneRoutes(signaling.sessions, self._site, twilio_auth_token)

    def _parts(self, options: Mapping[str, Any], settings: dict[str, Any]) -> PageParts:
        """Returns the parts of the page, with further settings of its component."""
        own = {
            "rtc_configuration": self.rtc_configuration,
            "track_constraints": self.track_constraints,
            "rtp_params": self.rtp_params,
            "server_rtc_configuration": self.server_rtc_configuration,
            "allow_extra_tracks": self.allow_extra_tracks,
        }
        return PageParts(
            self.mode,
            self.modality,
            read_components("additional_inputs", self.additional_input_components),
            read_components("additional_outputs", self.additional_output_components),
            options,
            own | settings,
        )

    def _bind(
        self, parts: PageParts, frame_format: FrameFormat, trigger: Callable[..., Any] | None
    ) -> None:
        """Binds the events of the page; called within it."""
        component = self.webrtc_component
        component.gets_inputs_elsewhere = True
        head = [] if parts.mode == "receive" else [component]
        component.stream(
            self.event_handler,
            inputs=[*head, *parts.inputs],
            outputs=[component],
            trigger=trigger,
            concurrency_limit=self.concurrency_limit,
            time_limit=self.time_limit,
            send_input_on=parts.options.get("send_input_on", "change"),
            frame_format=frame_format,
        )
        if parts.outputs and self.additional_outputs_handler is not None:
            outputs = list(parts.outputs)
            component.on_additional_outputs(
                self.additional_outputs_handler, inputs=outputs, outputs=outputs
            )

    @property
    def ui(self) -> gr.Blocks:
        """The page: `launch` it, or mount it with ``gr.mount_gradio_app``.

        Raises:
            TypeError: It was set to something else than Blocks.
        """
        return self._ui

    @ui.setter
    def ui(self, blocks: gr.Blocks) -> None:
        if not isinstance(blocks, gr.Blocks):
            raise TypeError(f"expected gr.Blocks, got {type(blocks).__name__}")
        self._ui = blocks

    # Routes

    def mount(
        self,
        app: FastAPI,
        path: str = "",
        tags: list[str | Enum] | None = None,
        *,
        realtime: bool = False,
        realtime_key: str | Iterable[str] | None = None,
    ) -> None:
        """Adds the routes of the stream to an app, before what is mounted there already.

        Args:
            app: The FastAPI app.
            path: A path before that of each route, such as ``"/talk"``.
            tags: Tags of the routes in OpenAPI.
            realtime: True to serve ``/v1/realtime`` as well, to clients that speak the OpenAI
                Realtime protocol.
            realtime_key: The key, or several, that such a client needs; ``None`` to let everybody
                in.

        Raises:
            TypeError: The keys are no texts.
            ValueError: A key is empty, or is given without ``realtime``; or the stream is not for
                audio both ways.
        """
        earlier = list(app.routes)
        routes = self.router(path, tags, realtime=realtime, realtime_key=realtime_key)
        app.include_router(routes)
        # A Gradio page at "/" answers every request that no route before it does.
        mounts = [at for at, each in enumerate(earlier) if isinstance(each, Mount)]
        if mounts:
            added = app.routes[len(earlier) :]
            app.routes[:] = [*earlier[: mounts[0]], *added, *earlier[mounts[0] :]]

    def router(
        self,
        path: str = "",
        tags: list[str | Enum] | None = None,
        *,
        realtime: bool = False,
        realtime_key: str | Iterable[str] | None = None,
    ) -> APIRouter:
        """Returns the routes of the stream, for an app or another router; see `mount`."""
        router = APIRouter(
            prefix=path, tags=tags, route_class=BoundedRoute, lifespan=self._end_with_app
        )
        signaling = self.webrtc_component.signaling
        OfferRoute(self._requests, self._site).add_to(router)
        LinkRoute(signaling, self._site).add_to(router)
        ClientFiles(self._site).add_to(router)
        settings = WhipSettings(self._token, self._default_inputs, self.rtc_configuration)
        for protocol in self._protocols():
            WhipRoutes(protocol, signaling, self._site, settings).add_to(router)
        self._websockets.add_to(router)
        self._telephone.add_to(router)
        if realtime:
            self._realtime_route(self._site, realtime_key).add_to(router)
        elif realtime_key is not None:
            raise ValueError("realtime_key is for the route of realtime=True")
        return router

    def _realtime_route(self, site: Site, keys: str | Iterable[str] | None) -> RealtimeRoute:
        try:
            check_config(self.mode, self.modality)
        except InvalidOffer as error:
            raise ValueError(str(error)) from None
        takes_text = self.webrtc_component.variant == "textbox"
        settings = RealtimeSettings(read_keys(keys), self._default_inputs, takes_text)
        return RealtimeRoute(self.webrtc_component.signaling.sessions, site, settings)

    @asynccontextmanager
    async def _end_with_app(self, _app: object) -> AsyncIterator[None]:
        """Ends the sessions before an app that has the routes, whatever stops its server."""
        sessions = self.webrtc_component.signaling.sessions
        try:
            yield
        finally:
            await end_here(sessions)
            # The same event loop may start the app again, as tests do.
            sessions.serve_here()

    def _protocols(self) -> list[Protocol]:
        """Returns the protocols that have something to do with this stream.

        Who only plays gives a function nothing that it could answer.
        """
        answers_frames = self.mode == "send-receive" and self.modality == "video"
        has_media_to_play = self.mode != "send" and not answers_frames
        return [WHIP] * (self.mode != "receive") + [WHEP] * has_media_to_play

    def _default_inputs(self) -> list[Any]:
        """Returns the values of the inputs for a client that has no page."""
        is_text = self.webrtc_component.variant == "textbox"
        own = [WebRTCData(INPUT_PLACEHOLDER)] if is_text else []
        return own + default_inputs(self.additional_input_components or ())

    async def offer(self, body: Body, request: Request | None = None) -> dict[str, Any]:
        """Answers an offer or a candidate, for a route of the program's own.

        Args:
            body: The request. It must have the ``secret`` of the answer in all that follows the
                offer but candidates.
            request: The HTTP request, by whose sender limits count; ``None`` for a program of this
                process, which has none.

        Returns:
            The answer; see `docs/reference.md`.
        """
        return await self._requests.handle_request(body.model_dump(exclude_none=True), request)

    async def websocket_offer(self, websocket: WebSocket) -> None:
        """Holds the session of a client that speaks fastrtc's protocol, for a route of one's own.

        Returns once the session is over. `docs/telephone.md` has the protocol.

        Args:
            websocket: The client's, not accepted yet.
        """
        await self._websockets.open(websocket)

    async def telephone_handler(self, websocket: WebSocket) -> None:
        """Holds the session of a telephone call, for a route of the program's own.

        Returns once the session is over. `docs/telephone.md` has more.

        Args:
            websocket: That of Twilio's media stream, not accepted yet.
        """
        await self._telephone.open(websocket)

    async def handle_incoming_call(
        self,
        request: Request,
        *,
        handler_path: str | None = None,
        greeting: str | None = GREETING,
        farewell: str | None = FAREWELL,
    ) -> Response:
        """Answers Twilio's webhook of an incoming telephone call, for a route of the program's own.

        Args:
            request: The webhook's request.
            handler_path: The path within the app of the WebSocket that `telephone_handler` answers;
                by default the one that is mounted beside ``/telephone/incoming``, and
                ``"/telephone/handler"`` for a webhook of another name.
            greeting: Read aloud before the session; ``None`` for nothing.
            farewell: Read aloud after it, likewise.

        Returns:
            TwiML. The status is 403 for a request that is not signed with ``twilio_auth_token``.
        """
        return await self._telephone.answer_with(request, handler_path, greeting, farewell)

    async def get_rtc_configuration(self) -> dict[str, Any] | None:
        """Returns the RTCConfiguration for one page; awaits or calls ``rtc_configuration``."""
        return await resolve_rtc_configuration(self.rtc_configuration)

    def fastphone(self, *_: Any, **__: Any) -> None:
        """Is not here: it called through a service of fastrtc's, which has ended.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            "fastphone() called through a service of fastrtc's that has ended: mount the stream on "
            "an app with stream.mount(app), and name its address with /telephone/incoming as the "
            "webhook of a number of Twilio's; see docs/telephone.md"
        )

    # Sessions, from any thread

    @property
    def handlers(self) -> dict[str, StreamHandlerBase]:
        """The handlers of the sessions under way, by the id of the session."""
        return self.webrtc_component.handlers

    @property
    def connections(self) -> dict[str, list[StreamHandlerBase]]:
        """The sessions under way by id; ``len`` counts them, ``in`` looks one up."""
        return self.webrtc_component.connections

    def set_input(self, webrtc_id: str, *args: Any) -> None:
        """Passes new input values to a session; see `WebRTC.set_input`."""
        self.webrtc_component.set_input(webrtc_id, *args)

    def set_additional_outputs(self, webrtc_id: str) -> Callable[[AdditionalOutputs], None]:
        """Returns a function that sends outputs to a client; see the method of `WebRTC`."""
        return self.webrtc_component.set_additional_outputs(webrtc_id)

    def output_stream(self, webrtc_id: str) -> AsyncIterator[AdditionalOutputs]:
        """Yields the AdditionalOutputs of a session; see `WebRTC.output_stream`."""
        return self.webrtc_component.output_stream(webrtc_id)

    async def fetch_latest_output(self, webrtc_id: str) -> AdditionalOutputs:
        """Returns the next AdditionalOutputs of a session; see the method of `WebRTC`."""
        return await self.webrtc_component.fetch_latest_output(webrtc_id)

    def stats(self, webrtc_id: str | WebRTCData) -> SessionStats | None:
        """Returns the counters of a session; see `WebRTC.stats`."""
        return self.webrtc_component.stats(webrtc_id)

    def say(
        self,
        webrtc_id: str | WebRTCData,
        audio: Any,
        when: Literal["now", "silence"] = "now",
    ) -> Future[float] | None:
        """Plays audio to the user of a session that is no answer; see `WebRTC.say`."""
        return self.webrtc_component.say(webrtc_id, audio, when)

    def interrupt(self, webrtc_id: str | WebRTCData) -> None:
        """Ends what is played to the user of a session; see `WebRTC.interrupt`."""
        self.webrtc_component.interrupt(webrtc_id)

    def close(self, webrtc_id: str | WebRTCData, reason: str = "") -> None:
        """Ends a session, with a reason for the user; see `WebRTC.close`."""
        self.webrtc_component.close(webrtc_id, reason)

    def clean_up(self, webrtc_id: str) -> None:
        """Ends a session, as in fastrtc; `close` has a reason for the user."""
        self.webrtc_component.close(webrtc_id)

    def update_connection(
        self, webrtc_data: str | WebRTCData, desired_state: Literal["closed"]
    ) -> Done[bool]:
        """Ends a session, as in fastrtc; see `WebRTC.update_connection`."""
        return self.webrtc_component.update_connection(webrtc_data, desired_state)

    async def drain(self, grace_s: float = GRACE_S) -> None:
        """Ends all sessions, and refuses new ones; see `WebRTC.drain`."""
        await self.webrtc_component.drain(grace_s)


def _check_outputs(components: object, handler: object) -> None:
    """Raises if there are outputs, and no function for them; the text is fastrtc's."""
    if components and handler is None:
        raise ValueError(
            "additional_outputs_handler must be provided if there are additional output components."
        )


def _warn_without_relay(rtc_configuration: object) -> None:
    """Warns where only a relay connects clients: the server has no address of its own there."""
    place = "Colab" if colab_check() else "Spaces" if get_space() else None
    if place is not None and not rtc_configuration:
        warnings.warn(
            f"{place} connects nobody from outside without a TURN server: pass rtc_configuration, "
            "such as get_cloudflare_turn_credentials_async",
            stacklevel=3,
        )
