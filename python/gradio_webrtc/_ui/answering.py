"""What answers the calls of the component: a handler, and functions of what it gives."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

from gradio.components.base import server
from gradio.context import get_blocks_context

from gradio_webrtc._session.client_address import client_address, page_of
from gradio_webrtc._session.manager import Service, SessionManager
from gradio_webrtc._session.places import DEFAULT_LIMIT, places_of
from gradio_webrtc._session.signaling import refusal_of
from gradio_webrtc._session.signals import end_with_process
from gradio_webrtc._session.stopping import GRACE_S, end_with_app
from gradio_webrtc._workers.workers import Done
from gradio_webrtc.errors import SignalingError

from .events import (
    ComponentEvents,
    bind_inputs,
    bind_outputs,
    id_of,
    prepare_gradio,
    show_notices,
)
from .page_context import check_page, find_app, find_request
from .page_sessions import remember_page
from .settings import check_stream_settings
from .streaming import check_arguments, check_stream, follows_inputs, make_template
from .values import START_COMMAND

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from gradio.components.base import Component
    from gradio.events import Dependency

    from gradio_webrtc._limits import Limits
    from gradio_webrtc._session.places import Places
    from gradio_webrtc.types import AdditionalOutputs, FrameFormat, Modality, Mode, WebRTCData


class Answering(ComponentEvents):
    """The part of the component that is about its calls: its events, methods and server calls."""

    # What is asked of the component's constructor.
    mode: Mode
    modality: Modality
    time_limit: float | None
    variant: Literal["wave", "textbox"]
    allow_extra_tracks: bool
    _rtc_configuration: dict[str, Any] | Callable[..., Any] | None
    _sessions: SessionManager
    page_session: str | None
    allowed_origins: frozenset[str]
    _limits: Limits

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
        """Connects callers of this component to a handler.

        Parameters:
            fn: A handler, of which every caller gets a copy; or a function: one that answers each picture of a video call, or in mode "receive" a generator, called once with the values of `inputs`.
            inputs: This component first, then those whose values the handler gets; in mode "receive" only the latter.
            outputs: This component.
            js: JavaScript to run in the page with each delivery of inputs.
            concurrency_limit: How many calls at once; "default" and None stand for 1.
            concurrency_id: Shares that limit with all components of the same id, whose calls are counted together.
            time_limit: Seconds a call may last from the moment it connects; by default that of the component.
            trigger: In mode "receive", the event that starts the stream, such as button.click.
            send_input_on: When the inputs reach a call under way, other than at its beginning and at each turn of ReplyOnPause: "change", or "submit" with the text field of the variant "textbox".
            frame_format: The order of colours in pictures: "bgr", as OpenCV has it, or "rgb".
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
        given, taken = _as_list(inputs), _as_list(outputs)
        check_stream(self, fn, given, taken, trigger)
        others = [each for each in given if each is not self]
        template = make_template(fn, self.mode, self.modality, takes_inputs=bool(others))
        check_arguments(template, others)
        prepare_gradio()
        show_notices(self)
        if time_limit is not None:
            self.time_limit = time_limit
        limit = concurrency_limit if isinstance(concurrency_limit, int) else None
        self._sessions.service = Service(
            make_handler=template.copy,
            concurrency_limit=limit or DEFAULT_LIMIT,
            time_limit_s=self.time_limit,
            mode=self.mode,
            modality=self.modality,
            frame_format=frame_format,
            allows_other_tracks=self.allow_extra_tracks,
            places=self._share_places(concurrency_id, limit),
            limits=self._limits,
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
            outputs: Components that get what `fn` returns.
            js: JavaScript to run in the page.
            concurrency_limit: How many may run at once in the queue.
            concurrency_id: Shares that limit with other events of the same id.
            show_progress: How the outputs show that `fn` runs.
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
        """Says which settings of `stream` do nothing, to whoever called it."""
        for text in check_stream_settings(settings, self.mode, self.modality):
            warnings.warn(text, stacklevel=3)
        if self._sessions.service is not None:
            warnings.warn(
                "stream() was called on this component before: the last handler answers all its "
                "calls; use another WebRTC component for another handler",
                stacklevel=3,
            )

    def _share_places(self, concurrency_id: str | None, limit: int | None) -> Places | None:
        """The places of an id, which this component's calls take from now on."""
        if concurrency_id is None:
            return None
        places = places_of(concurrency_id)
        context = get_blocks_context()
        app = 0 if context is None else id(context.root_block)
        if (text := places.join(self._sessions, limit, app)) is not None:
            warnings.warn(text, stacklevel=3)
        return places

    def set_input(self, webrtc_id: str, *args: Any) -> None:
        """Hands new input values to a call; does nothing when there is no such call.

        Parameters:
            webrtc_id: The id of the call.
            args: The values, without the component's own.
        """
        if (session := self._sessions.get(webrtc_id)) is not None:
            session.set_inputs(args)

    def set_additional_outputs(self, webrtc_id: str) -> Callable[[AdditionalOutputs], None]:
        """Gives a function that sends AdditionalOutputs to the page of a call from outside its handler.

        Parameters:
            webrtc_id: The id of the call.
        Returns:
            Takes AdditionalOutputs, in any thread; does nothing when there is no such call.
        """
        return self._sessions.output_setter(webrtc_id)

    def output_stream(self, webrtc_id: str) -> AsyncIterator[AdditionalOutputs]:
        """The AdditionalOutputs of a call as they come, until it ends. Each goes to one reader, this or the page.

        Parameters:
            webrtc_id: The id of the call.
        """
        return self._sessions.output_stream(webrtc_id)

    async def fetch_latest_output(self, webrtc_id: str) -> AdditionalOutputs:
        """The oldest AdditionalOutputs of a call that nobody fetched yet; waits ten seconds for one, then raises TimeoutError.

        Parameters:
            webrtc_id: The id of the call.
        """
        return await self._sessions.fetch_output(webrtc_id)

    def close(self, webrtc_id: str | WebRTCData, reason: str = "") -> None:
        """Ends a call from Python, from any thread: the page hears out what is on its way, and shows why it ended. Does nothing when there is no such call.

        Parameters:
            webrtc_id: The id of the call, or the value that a function got for this component.
            reason: A sentence for the caller; may be empty.
        """
        if not isinstance(reason, str):
            raise TypeError(f"expected the reason as text, got {type(reason).__name__}")
        # Without a result: Gradio would warn of it where a function of the page ends with this.
        self._sessions.end(id_of(webrtc_id), reason)

    async def drain(self, grace_s: float = GRACE_S) -> None:
        """Refuses new calls at once, and ends those under way: replies may be finished, and every page is told that the server is stopping. Await it on any event loop, or in any other thread with asyncio.run(webrtc.drain()).

        Parameters:
            grace_s: Seconds that replies under way may take.
        """
        await self._sessions.drain(grace_s)

    def update_connection(
        self, webrtc_id: str | WebRTCData, desired_state: Literal["closed"]
    ) -> Done[bool]:
        """Ends a call from Python, from any thread; `close` also tells the page why.

        Parameters:
            webrtc_id: The id of the call, or the value that a function got for this component.
            desired_state: "closed"; a call can be brought to no other state.
        Returns:
            True when there was such a call, else False; it may be awaited, as in fastrtc, and need not be.
        """
        if desired_state != "closed":
            raise ValueError(
                f'expected "closed", got {desired_state!r}: a call can only be ended, with '
                "update_connection(webrtc_id, \"closed\") or close(webrtc_id, reason='...')"
            )
        return Done(self._sessions.end(id_of(webrtc_id), ""))

    def _check_page(self) -> tuple[str, ...]:
        """Raises for a request of another server's page; returns the trusted proxies."""
        limits: Any = getattr(self, "limits", None)
        trusted = tuple(getattr(limits, "trusted_proxies", ()))
        check_page(self.allowed_origins, trusted)
        return trusted

    @server  # type: ignore[untyped-decorator]
    async def offer(self, body: Any) -> dict[str, object]:
        """Answers an offer or a candidate of the page."""
        try:
            self._check_page()
        except SignalingError as error:
            return refusal_of(error)
        end_with_app(self._sessions, find_app())
        request = await find_request(body)
        answer = await self._sessions.handle(body, request)
        if "secret" in answer:
            remember_page(self, page_of(request))
        return answer

    @server  # type: ignore[untyped-decorator]
    async def turn(self, _: Any) -> dict[str, Any] | None:
        """The RTCConfiguration for the call that the page is about to make."""
        try:
            trusted = self._check_page()
        except SignalingError:
            return None
        request = await find_request(None)
        if request is not None and not page_of(request):
            return None
        client = client_address(request, trusted)
        return await self._sessions.configurations.give(self._rtc_configuration, client)


def _as_list(components: Any) -> list[Any]:
    if components is None:
        return []
    return list(components) if isinstance(components, (list, tuple, set)) else [components]
