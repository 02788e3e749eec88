"""The Gradio component: its properties, its value, its events and its server functions.

The class must stay in this file: Gradio finds the built front end beside it. Gradio reads the
sections ``Parameters`` of the docstrings, of which each entry has one line.
"""

from __future__ import annotations

import warnings
from abc import ABCMeta
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import gradio as gr
from gradio.component_meta import ComponentMeta, get_local_contexts, updateable
from gradio.components.base import Component, server
from gradio.context import get_blocks_context

from ._addresses import read_addresses
from ._config import SessionConfig
from ._limits import DEFAULT_LIMITS
from ._session.client_address import client_address, gradio_session_of
from ._session.manager import SessionManager
from ._session.origins import read_origins
from ._session.places import DEFAULT_LIMIT, places_of
from ._session.signaling import Signaling, refusal_of
from ._session.signals import end_with_process
from ._session.stopping import end_with_app
from ._ui.chatbot import accept_messages_type
from ._ui.claim import read_value
from ._ui.component_sessions import ComponentSessions
from ._ui.events import (
    ComponentEvents,
    bind_inputs,
    bind_outputs,
    prepare_gradio,
    show_notices,
)
from ._ui.link import serve_links
from ._ui.page_context import check_page, find_app, find_request, site_of
from ._ui.page_sessions import remember_page
from ._ui.served import serve_icon
from ._ui.settings import check_constructor, check_stream_settings
from ._ui.streaming import (
    check_arguments,
    check_mode,
    check_stream,
    default_track_constraints,
    follows_inputs,
    make_template,
)
from ._ui.values import START_COMMAND, describe_kind, value_is_ours
from ._video_terms import read_video_terms
from .errors import SignalingError
from .types import WebRTCData

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gradio.components import Timer
    from gradio.events import Dependency

    from ._limits import Limits
    from ._session.places import Places
    from ._turn_timings import TurnTimings
    from .types import Fallback, FrameFormat, Modality, Mode

accept_messages_type()

SERVER_ONLY: Final = frozenset(
    {"_page", "_signaling", "allow_extra_tracks", "allowed_origins", "on_turn"}
    | {"server_rtc_configuration"}
)
"""Arguments that are not sent to a page: there are credentials among them."""

TEMPLATES: Final = Path(__file__).parent / "templates" / "component" / "index.js"
"""The built front end."""


class WithoutStubs(ComponentMeta):
    """Gradio's metaclass without the type stubs that it writes beside a component's source.

    Writing them takes a quarter of each import. They would be left in the directory of the
    installation, beside source that has its types already.
    """

    def __new__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> Any:
        """Returns the class; for a subclass of ours, made by all that Gradio's metaclass does."""
        if any(isinstance(base, cls) for base in bases):
            return super().__new__(cls, name, bases, attrs)  # type: ignore[no-untyped-call]
        # For a class that inherits its events, these are all steps but the stubs.
        attrs["__init__"] = updateable(attrs["__init__"])  # type: ignore[no-untyped-call]
        return ABCMeta.__new__(cls, name, bases, attrs)


class WebRTC(ComponentSessions, ComponentEvents, Component, metaclass=WithoutStubs):
    """Real-time audio and video between a page and a Python handler, over WebRTC.

    Attach a handler with `stream`, and a function for its AdditionalOutputs with
    `on_additional_outputs`.

    Example:
        >>> import gradio as gr
        >>> def echo(audio):
        ...     yield audio
        >>> with gr.Blocks() as demo:
        ...     webrtc = WebRTC(modality="audio", mode="send-receive")
        ...     event = webrtc.stream(ReplyOnPause(echo), inputs=[webrtc], outputs=[webrtc])
    """

    def __init__(
        self,
        value: None = None,
        height: int | str | None = None,
        width: int | str | None = None,
        label: str | None = None,
        every: Timer | float | None = None,
        inputs: Component | Sequence[Component] | set[Component] | None = None,
        show_label: bool | None = None,
        container: bool = True,
        scale: int | None = None,
        min_width: int = 160,
        interactive: bool | None = None,
        visible: bool | Literal["hidden"] = True,
        elem_id: str | None = None,
        elem_classes: list[str] | str | None = None,
        render: bool = True,
        key: int | str | None = None,
        mirror_webcam: bool = True,
        rtc_configuration: dict[str, Any] | Callable[..., Any] | None = None,
        track_constraints: dict[str, Any] | None = None,
        time_limit: float | None = None,
        mode: Mode = "send-receive",
        modality: Modality = "video",
        rtp_params: dict[str, Any] | None = None,
        icon: str | Path | None = None,
        icon_button_color: str | None = None,
        pulse_color: str | None = None,
        button_labels: dict[str, str] | None = None,
        *,
        server_rtc_configuration: dict[str, Any] | None = None,
        allow_extra_tracks: bool = False,
        icon_radius: int | None = None,
        variant: Literal["wave", "textbox"] = "wave",
        full_screen: bool = True,
        allowed_origins: Sequence[str] | None = None,
        limits: Limits | None = None,
        fallback: Fallback = "auto",
        udp_ports: int | tuple[int, int] | range | None = None,
        host_candidates: Sequence[str] | Mapping[str, str] | None = None,
        video_bitrate: float | tuple[float, float, float] | None = None,
        codec_preferences: Sequence[str] | None = None,
        latency: bool = False,
        on_turn: Callable[[TurnTimings], Any] | None = None,
        _signaling: Signaling | None = None,
        _page: str | None = None,
    ) -> None:
        """
        Parameters:
            value: Has no effect, since a session has no value.
            height: Of the component, in pixels or any CSS length.
            width: Of the component, in pixels or any CSS length.
            label: Label at the top, also for screen readers.
            every: Has no effect; kept for the order of the arguments.
            inputs: Has no effect; the inputs of `stream` count.
            show_label: True to show the label.
            container: True for a border and padding around the component.
            scale: Size relative to other components in a row.
            min_width: Least width in pixels before wrapping.
            interactive: False to prevent sessions.
            visible: False to remove the component from the page; "hidden" keeps it there unseen.
            elem_id: HTML id.
            elem_classes: HTML classes.
            render: False to place it later with `.render()`.
            key: Identity across re-renders.
            mirror_webcam: True to show the user's own camera as a mirror does.
            rtc_configuration: W3C RTCConfiguration for the page, with TURN servers for instance; or a function, sync or async, that returns it.
            track_constraints: W3C MediaTrackConstraints; {"audio": ..., "video": ...} for audio-video. Asked again without "exact" when a device cannot meet them.
            time_limit: Seconds that a session may last once it is connected; the time limit of `stream` takes precedence.
            mode: "send-receive", "send" (nothing comes back) or "receive" (nothing is recorded).
            modality: "audio", "video" or "audio-video".
            rtp_params: W3C RTCRtpSendParameters for the page's sender.
            icon: Path of the image in the middle of an audio session, or its URL (https:, http: or data:).
            icon_button_color: CSS colour of the button.
            pulse_color: CSS colour of the pulse around the icon.
            button_labels: Texts of the button, under "start", "stop" and "waiting".
            server_rtc_configuration: {"iceServers": [...]} for the server's own side.
            allow_extra_tracks: True to accept offers with tracks that the modality does not need, and ignore the tracks.
            icon_radius: Roundness of the icon, in percent.
            variant: "wave", or "textbox" with a text field beside the microphone; functions then get a WebRTCData.
            full_screen: True to ask for video of 1280 x 720 and show a full-screen button.
            allowed_origins: Origins of other web pages that may open sessions, such as ["https://example.com"]; by default pages of this server alone.
            limits: Limits for the clients of the server, such as Limits(idle_limit_s=60); by default Limits().
            fallback: "auto" for a WebSocket or HTTP where WebRTC does not connect, since UDP is blocked; "never" for WebRTC alone; "always" without WebRTC.
            udp_ports: UDP ports of the server for audio and video: one that all sessions share, such as 50000, or the first and the last of several, (50000, 50100), of which each session takes one; by default any that are free.
            host_candidates: Addresses that clients reach the server at, in place of those of its own network interfaces: ["203.0.113.7"], or {"10.0.0.5": "203.0.113.7"} for one of them.
            video_bitrate: Bits per second of the video that the server sends, 30,000 to 50,000,000: the most, such as 1_500_000, or the least, the first and the most, (200_000, 800_000, 1_500_000); by default what suits the size of the frames. Within it the rate follows what the client reports.
            codec_preferences: Codecs of video, the best first, such as ["H264", "VP8"]; a codec that is not listed comes after them. By default the client's own order.
            latency: True for a bar at the bottom that shows where the time of the last answer went.
            on_turn: A function, sync or async, that is called once with a TurnTimings for each turn of a user, when its answer begins to be heard, or it has ended without one.
        """
        arguments = dict(locals())
        check_mode(mode, modality)
        if _signaling is None and not _is_an_update():
            for text in check_constructor(arguments, mode, modality):
                # Gradio's wrapper is between here and the code that the warning is for.
                warnings.warn(text, stacklevel=3)
        self.height = height
        self.width = width
        self.mirror_webcam = mirror_webcam
        self.mode = mode
        self.modality = modality
        self.time_limit = time_limit
        self.rtp_params = rtp_params or {}
        self.icon_button_color = icon_button_color
        self.pulse_color = pulse_color
        self.icon_radius = icon_radius
        self.variant = variant
        self.full_screen = full_screen
        self.allow_extra_tracks = allow_extra_tracks
        self.fallback = fallback
        self.latency = latency
        self.button_labels = {"start": "", "stop": "", "waiting": "", **(button_labels or {})}
        self.track_constraints = track_constraints or default_track_constraints(
            modality, full_screen=full_screen
        )
        self.server_rtc_configuration = server_rtc_configuration
        self._rtc_configuration = rtc_configuration
        self.rtc_configuration = None if callable(rtc_configuration) else rtc_configuration
        self.allowed_origins = read_origins(allowed_origins)
        self._terms = SessionConfig(
            mode,
            modality,
            limits=limits or DEFAULT_LIMITS,
            addresses=read_addresses(udp_ports, host_candidates),
            video=read_video_terms(video_bitrate, codec_preferences),
            on_turn=on_turn,
            latency=latency,
        )
        self.page_session = _page
        # A program that answers clients over routes may pass inputs with `set_input` alone.
        self.gets_inputs_elsewhere = False
        if _signaling is None:
            ice_servers = (server_rtc_configuration or {}).get("iceServers", ())
            _signaling = Signaling(SessionManager(), ice_servers)
        self._signaling = _signaling
        self._sessions = _signaling.sessions
        super().__init__(
            label=label,
            show_label=show_label,
            container=container,
            scale=scale,
            min_width=min_width,
            interactive=interactive,
            visible=visible,
            elem_id=elem_id,
            elem_classes=elem_classes,
            render=render,
            key=key,
        )
        self.icon: Any = icon
        if not _is_an_update():
            self._settle()
        if not TEMPLATES.exists():
            raise RuntimeError(
                f"the front end is missing at {TEMPLATES.parent}: install a wheel, or build it "
                "with 'make build' (Node.js 20.19 or later)"
            )

    def _settle(self) -> None:
        """Serves the icon, and passes it and the signalling on to a component that Gradio rebuilds.

        Gradio rebuilds a component from its arguments when an event updates it. The new one must
        answer for the same sessions, and the file of its icon may be gone.
        """
        self.icon = serve_icon(self.icon, self)
        self.constructor_args.update(_signaling=self._signaling, icon=self.icon)

    def belong_to(self, page: str) -> None:
        """Makes this the component of one Gradio session, also after updates of its properties.

        Parameters:
            page: The hash of the Gradio session.
        """
        self.page_session = page
        self._constructor_args = [{**self.constructor_args, "_page": page}]

    def get_config(self, cls: type[Any] | None = None) -> dict[str, Any]:
        """Returns the properties that are sent to a page, without those for the server alone."""
        config: dict[str, Any] = super().get_config(cls)
        return {name: value for name, value in config.items() if name not in SERVER_ONLY}

    def preprocess(self, payload: Any) -> str | WebRTCData:
        """
        Parameters:
            payload: The id and the secret of the session under way, and the text last sent, as the page sends them.
        Returns:
            The id, when the secret is right and the session is this page's; "__webrtc_value__" in every other case. With `variant="textbox"`, a WebRTCData with that id and the text.
        """
        value = read_value(payload, self._sessions, self.page_session)
        if self.variant != "textbox":
            return value
        text = payload.get("textbox", "") if isinstance(payload, dict) else ""
        return WebRTCData(value, str(text))

    def postprocess(self, value: Any) -> Any:
        """
        Parameters:
            value: "start_webrtc_stream" starts a session in mode "receive", None does nothing, and the value that a function got for this component may be returned. Anything else is an error: audio and video come from `stream`.
        Returns:
            The same.
        """
        if value is None or value_is_ours(value, self._sessions):
            return value
        raise gr.Error(
            f"A WebRTC component got {describe_kind(value)} as the output of an event. Audio and "
            "video come from a stream: write .stream(fn, inputs=[...], outputs=[webrtc], "
            'trigger=button.click), with WebRTC(mode="receive"), in place of button.click(fn, ...)'
        )

    def api_info(self) -> dict[str, Any]:
        return {
            "type": "object",
            "description": "the id and the secret of a session; null without one",
        }

    def example_payload(self) -> Any:
        return None

    def example_value(self) -> Any:
        return None

    def stream(
        self,
        fn: Callable[..., Any] | Any | None = None,
        inputs: Component | Sequence[Component] | None = None,
        outputs: Component | Sequence[Component] | None = None,
        js: str | None = None,
        concurrency_limit: int | None | Literal["default"] = "default",
        concurrency_id: str | None = None,
        time_limit: float | None = None,
        trigger: Callable[..., Any] | None = None,
        send_input_on: Literal["submit", "change"] = "change",
        *,
        frame_format: FrameFormat = "bgr",
    ) -> Dependency | None:
        """Connects users of this component to a handler.

        Parameters:
            fn: A handler, of which every session gets a copy; or a function: one that returns a frame for each frame of a video session, or in mode "receive" a generator, called once with the values of `inputs`.
            inputs: This component first, then the components whose values the handler gets; in mode "receive" only the latter.
            outputs: This component.
            js: JavaScript to run in the page each time that it sends the inputs.
            concurrency_limit: Number of sessions at once; "default" and None stand for 1.
            concurrency_id: Shares that limit with all components of the same id, whose sessions are counted together.
            time_limit: Seconds that a session may last once it is connected; by default the time limit of the component.
            trigger: In mode "receive", the event that starts the stream, such as button.click.
            send_input_on: Occasion on which the inputs are sent to a session under way, besides its beginning and each turn of ReplyOnPause: "change", or "submit" with the text field of the variant "textbox".
            frame_format: Channel order of video frames: "bgr", as in OpenCV, or "rgb".
        """
        settings = {
            "concurrency_limit": concurrency_limit,
            "frame_format": frame_format,
            "send_input_on": send_input_on,
            "time_limit": time_limit,
            "trigger": trigger,
            "variant": self.variant,
        }
        self._warn_of(settings)
        components = _as_list(inputs)
        check_stream(self, fn, components, _as_list(outputs), trigger)
        others = [each for each in components if each is not self]
        template = make_template(fn, self.mode, self.modality, takes_inputs=bool(others))
        if others or not self.gets_inputs_elsewhere:
            check_arguments(template, others)
        prepare_gradio()
        show_notices(self)
        if time_limit is not None:
            self.time_limit = time_limit
        limit = concurrency_limit if isinstance(concurrency_limit, int) else None
        config = replace(
            self._terms,
            mode=self.mode,
            modality=self.modality,
            frame_format=frame_format,
            time_limit_s=self.time_limit,
            allows_other_tracks=self.allow_extra_tracks,
            fallback=self.fallback,
        )
        self._sessions.serve(
            template.copy,
            config,
            concurrency_limit=limit or DEFAULT_LIMIT,
            places=self._share_places(concurrency_id, limit),
        )
        end_with_process(self._sessions)
        if trigger is not None and self.mode == "receive":
            trigger(
                lambda: START_COMMAND,
                inputs=None,
                outputs=self,
                queue=False,
                show_progress="hidden",
            )
        asked = bind_inputs(
            self,
            others,
            js=js,
            send_on=send_input_on if follows_inputs(template, self.mode) else None,
        )
        return None if self.mode == "receive" else asked

    def on_additional_outputs(
        self,
        fn: Callable[..., Any],
        inputs: Component | Sequence[Component] | None = None,
        outputs: Component | Sequence[Component] | None = None,
        js: str | None = None,
        concurrency_limit: int | None | Literal["default"] = "default",
        concurrency_id: str | None = None,
        show_progress: Literal["full", "minimal", "hidden"] = "full",
        queue: bool = True,
    ) -> Dependency:
        """Runs a function once for every AdditionalOutputs of a handler, in order.

        Parameters:
            fn: Called with the values of `inputs`, then those of the AdditionalOutputs.
            inputs: Components whose values come first.
            outputs: Components that get the values that `fn` returns.
            js: JavaScript to run in the page.
            concurrency_limit: Number of runs at once in the queue.
            concurrency_id: Shares that limit with other events of the same id.
            show_progress: Display of the progress of `fn` on the outputs.
            queue: False to bypass Gradio's queue.
        """
        self._sessions.has_outputs = True
        return bind_outputs(
            self,
            fn,
            _as_list(inputs),
            _as_list(outputs),
            js=js,
            concurrency_limit=concurrency_limit,
            concurrency_id=concurrency_id,
            show_progress=show_progress,
            queue=queue,
        )

    def _warn_of(self, settings: dict[str, Any]) -> None:
        """Warns the code that called `stream` of arguments without an effect."""
        for text in check_stream_settings(settings, self.mode, self.modality):
            warnings.warn(text, stacklevel=3)
        if self._sessions.config is not None:
            warnings.warn(
                "stream() was called on this component before: the last handler answers all its "
                "sessions; use another WebRTC component for another handler",
                stacklevel=3,
            )

    def _share_places(self, concurrency_id: str | None, limit: int | None) -> Places | None:
        """Returns the places of an id, which this component's sessions take from now on."""
        if concurrency_id is None:
            return None
        places = places_of(concurrency_id)
        context = get_blocks_context()
        app = 0 if context is None else id(context.root_block)
        if (text := places.join(self._sessions, limit, app)) is not None:
            warnings.warn(text, stacklevel=3)
        return places

    @property
    def signaling(self) -> Signaling:
        """The answers to clients, for transports of one's own; on the event loop."""
        return self._signaling

    def _check_page(self) -> tuple[str, ...]:
        """Raises for a request of another server's page; returns the trusted proxies."""
        trusted = tuple(self._terms.limits.trusted_proxies)
        check_page(self.allowed_origins, trusted)
        return trusted

    @server  # type: ignore[untyped-decorator]
    async def offer(self, body: Any) -> dict[str, object]:
        """Answers an offer or a candidate of the page."""
        try:
            trusted = self._check_page()
        except SignalingError as error:
            return refusal_of(error)
        end_with_app(self._sessions, find_app())
        request = await find_request(body)
        answer = await self._signaling.handle_request(body, request)
        if "secret" in answer:
            remember_page(self, gradio_session_of(request))
        if answer.get("type") == "link":
            site = site_of(self.allowed_origins, trusted)
            answer["path"] = serve_links(find_app(), self._signaling, site)
        return answer

    @server  # type: ignore[untyped-decorator]
    async def turn(self, _: Any) -> dict[str, Any] | None:
        """Returns the RTCConfiguration for the session that the page is about to start."""
        try:
            trusted = self._check_page()
        except SignalingError:
            return None
        request = await find_request(None)
        if request is not None and not gradio_session_of(request):
            return None
        client = client_address(request, trusted)
        return await self._signaling.configurations.give(self._rtc_configuration, client)


def _is_an_update() -> bool:
    """True if a component that is being made is only the update that an event's function returns.

    Gradio takes its arguments for an update of the one on the page, and never finishes it.
    """
    is_in_event, is_rendered = get_local_contexts()  # type: ignore[no-untyped-call]
    return bool(is_in_event and not is_rendered)


def _as_list(components: Any) -> list[Any]:
    if components is None:
        return []
    return list(components) if isinstance(components, (list, tuple, set)) else [components]
