"""The Gradio component: its props and its value. What answers its calls is in `answering`."""

from __future__ import annotations

import warnings
from abc import ABCMeta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import gradio as gr
from gradio.component_meta import ComponentMeta, get_local_contexts, updateable
from gradio.components.base import Component

from ._limits import DEFAULT_LIMITS
from ._session.manager import SessionManager
from ._ui.answering import Answering
from ._ui.chatbot import accept_messages_type
from ._ui.claim import read_value
from ._ui.origins import read_origins
from ._ui.served import serve_icon
from ._ui.settings import check_constructor
from ._ui.streaming import check_mode, default_track_constraints
from ._ui.values import describe_kind, value_is_ours
from .types import WebRTCData

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradio.components import Timer

    from ._limits import Limits
    from .types import Modality, Mode

accept_messages_type()

SERVER_ONLY: Final = frozenset(
    {"_page", "_sessions", "allow_extra_tracks", "allowed_origins", "server_rtc_configuration"}
)
"""Arguments that do not go to a page: there are credentials among them."""

TEMPLATES: Final = Path(__file__).parent / "templates" / "component" / "index.js"


class WithoutStubs(ComponentMeta):
    """Gradio's metaclass, but for the type stubs that it writes beside a component's source.

    They would be made at each import, and take a quarter of it, of source that has its types
    already, and be left in whatever directory it is installed in.
    """

    def __new__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> Any:
        """The class; of a component that somebody else makes of ours, all that Gradio does."""
        if attrs["__module__"] != __name__:
            return super().__new__(cls, name, bases, attrs)  # type: ignore[no-untyped-call]
        # For a class that inherits its events, this is all but the stubs.
        attrs["__init__"] = updateable(attrs["__init__"])  # type: ignore[no-untyped-call]
        return ABCMeta.__new__(cls, name, bases, attrs)


class WebRTC(Answering, Component, metaclass=WithoutStubs):
    """Real-time audio and video between a page and a Python handler, over WebRTC.

    Attach a handler with `stream`, and a function for its AdditionalOutputs with
    `on_additional_outputs`.
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
        _sessions: SessionManager | None = None,
        _page: str | None = None,
    ) -> None:
        """
        Parameters:
            value: Has no effect: a call has no value.
            height: Of the component, in pixels or any CSS length.
            width: Of the component, in pixels or any CSS length.
            label: Shown at the top, and read out by screen readers.
            every: Has no effect; kept for the order of arguments.
            inputs: Has no effect: those of `stream` count.
            show_label: Whether the label is shown.
            container: Whether there is a border and padding around.
            scale: Size beside other components in a row.
            min_width: Least width in pixels before wrapping.
            interactive: Whether calls can be started.
            visible: Whether it is shown; "hidden" keeps it in the page.
            elem_id: HTML id.
            elem_classes: HTML classes.
            render: False to place it later with `.render()`.
            key: Identity across re-renders.
            mirror_webcam: Show the caller's own picture as a mirror does.
            rtc_configuration: W3C RTCConfiguration for the page, with TURN servers for instance; or a function, sync or async, called for each call.
            track_constraints: W3C MediaTrackConstraints; {"audio": ..., "video": ...} for audio-video. Asked again without "exact" when a device cannot meet them.
            time_limit: Seconds a call may last from the moment it connects; that of `stream` goes before it.
            mode: "send-receive", "send" (nothing comes back) or "receive" (nothing is recorded).
            modality: "audio", "video" or "audio-video".
            rtp_params: W3C RTCRtpSendParameters for the page's sender.
            icon: Path of the picture in the middle of an audio call, or its URL (https:, http: or data:).
            icon_button_color: CSS colour of the button.
            pulse_color: CSS colour of the pulse around the icon.
            button_labels: Texts of the button, under "start", "stop" and "waiting".
            server_rtc_configuration: {"iceServers": [...]} for the server's own side.
            allow_extra_tracks: Accept tracks that the modality does not ask for, and ignore them.
            icon_radius: Roundness of the icon, in percent.
            variant: "wave", or "textbox" with a text field beside the microphone; functions then get a WebRTCData.
            full_screen: Ask for a large picture and offer a full-screen button.
            allowed_origins: Other web pages that may call, such as ["https://example.com"]; by default those of this server alone.
            limits: What a client of the server may do, such as Limits(idle_limit_s=60); by default Limits().
        """
        given = dict(locals())
        check_mode(mode, modality)
        if _sessions is None and not _is_an_update():
            for text in check_constructor(given, mode, modality):
                # Between here and whoever is to read it is Gradio's wrapper.
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
        self._limits = limits or DEFAULT_LIMITS
        self.button_labels = {"start": "", "stop": "", "waiting": "", **(button_labels or {})}
        self.track_constraints = track_constraints or default_track_constraints(
            modality, full_screen=full_screen
        )
        self.server_rtc_configuration = server_rtc_configuration
        self._rtc_configuration = rtc_configuration
        self.rtc_configuration = None if callable(rtc_configuration) else rtc_configuration
        self.allowed_origins = read_origins(allowed_origins)
        self.page_session = _page
        # One without a call is empty, and counts as false.
        if _sessions is None:
            _sessions = SessionManager((server_rtc_configuration or {}).get("iceServers", ()))
        self._sessions = _sessions
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
        """Serves the icon, and has Gradio rebuild what an event updates with what we have.

        The rebuilt component must answer for the same calls, and its icon's file may be gone.
        """
        self.icon = serve_icon(self.icon, self)
        self.constructor_args.update(_sessions=self._sessions, icon=self.icon)

    def belong_to(self, page: str) -> None:
        """Makes this the component of one Gradio session, also after updates of its properties.

        Parameters:
            page: The session hash.
        """
        self.page_session = page
        self._constructor_args = [{**self.constructor_args, "_page": page}]

    def get_config(self, cls: type[Any] | None = None) -> dict[str, Any]:
        """The properties that a page gets: not those that only the server has a use for."""
        config: dict[str, Any] = super().get_config(cls)
        return {name: value for name, value in config.items() if name not in SERVER_ONLY}

    def preprocess(self, payload: Any) -> str | WebRTCData:
        """
        Parameters:
            payload: The id and the secret of the call under way, and the text last sent, as the page has them.
        Returns:
            The id, when the secret is right and the call is this page's; "__webrtc_value__" in every other case. With `variant="textbox"`, a WebRTCData with that id and the text.
        """
        value = read_value(payload, self._sessions, self.page_session)
        if self.variant != "textbox":
            return value
        text = payload.get("textbox", "") if isinstance(payload, dict) else ""
        return WebRTCData(value, str(text))

    def postprocess(self, value: Any) -> Any:
        """
        Parameters:
            value: "start_webrtc_stream" starts a call in mode "receive", None does nothing, and the value that a function got for this component may go back. Anything else is an error: what is to be heard or seen comes from `stream`.
        Returns:
            The same.
        """
        if value is None or value_is_ours(value, self._sessions):
            return value
        raise gr.Error(
            f"A WebRTC component got {describe_kind(value)} as the output of an event. What is to be "
            "heard or seen comes from a stream: write .stream(fn, inputs=[...], outputs=[webrtc], "
            'trigger=button.click), with WebRTC(mode="receive"), in place of button.click(fn, ...)'
        )

    def api_info(self) -> dict[str, Any]:
        return {
            "type": "object",
            "description": "the id and the secret of a call; null without one",
        }

    def example_payload(self) -> Any:
        return None

    def example_value(self) -> Any:
        return None


def _is_an_update() -> bool:
    """Whether a component that is being made is what an event's function returns, and no more.

    Gradio takes its arguments for an update of the one on the page, and never finishes it.
    """
    is_in_event, is_rendered = get_local_contexts()  # type: ignore[no-untyped-call]
    return bool(is_in_event and not is_rendered)
