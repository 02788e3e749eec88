"""The Gradio events behind a session: inputs to the handler, and outputs back to the page.

Listeners are bound where the page is built. Those of a session run on its event loop.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import gradio as gr
from gradio.events import EventListener

from gradio_webrtc._messages import read_duration
from gradio_webrtc.types import WebRTCData

from .page_sessions import session_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradio.components.base import Component
    from gradio.events import Dependency

    from gradio_webrtc._session.session import Session


class ComponentEvents:
    """The component's events, as Gradio's listeners: ``component.submit(fn, inputs, outputs)``.

    Gradio's metaclass makes such listeners too, of the names in a component's own ``EVENTS``, where
    no type checker finds them. It leaves inherited ones alone.
    """

    _LISTENERS = (
        EventListener("tick", doc="The server requested the values of the inputs."),
        EventListener("state_change", doc="A handler emitted AdditionalOutputs."),
        EventListener("submit", doc="The user sent the text of the text field."),
        EventListener("start_recording", doc="The page began a session."),
        EventListener("stop_recording", doc="The session of the page is over."),
        EventListener("notice", doc="A session shows a message with a title of its own."),
    )
    tick, state_change, submit, start_recording, stop_recording, notice = (
        event.listener for event in _LISTENERS
    )
    EVENTS: ClassVar[list[EventListener | str]] = [*_LISTENERS]


def prepare_gradio() -> None:
    """Imports the modules that Gradio's first event would otherwise import on the event loop.

    That is Matplotlib where it is installed, down to the backend that it chooses. It takes a second
    or two, several on a busy machine, in which the audio of all sessions would stand still. The
    first event comes with the first session, which requests the inputs from the page.
    """
    # Gradio goes on without it in the same cases.
    with suppress(ImportError):
        importlib.import_module("matplotlib").get_backend()


def bind_inputs(
    component: Any,
    inputs: Sequence[Component],
    *,
    js: str | None,
    send_on: Literal["submit", "change"] | None,
) -> Dependency:
    """Binds the values of input components to the session of the page.

    They are sent when the server requests them (the page answers with the event ``tick``), and when
    the user changes or submits them.

    Args:
        component: The WebRTC component.
        inputs: The components whose values are sent, without the WebRTC component.
        js: JavaScript to run in the page when the server requests them.
        send_on: The other occasion on which they are sent; ``None`` for none.

    Returns:
        The event in which the page answers the server's request.
    """

    async def take(value: str | WebRTCData, *args: Any) -> None:
        if (session := session_of(component, value)) is not None:
            # The page's value still has the text that was sent last, which was for one turn.
            head = [replace(each, textbox="") for each in _head(session, value)]
            session.set_inputs([*head, *args])

    async def take_text(value: str | WebRTCData, *args: Any) -> None:
        if (session := session_of(component, value)) is not None:
            session.submit([*_head(session, value), *args])

    def listen(event: Callable[..., Any], fn: Callable[..., Any] = take, **options: Any) -> Any:
        return event(
            fn,
            inputs=[component, *inputs],
            outputs=None,
            queue=False,
            show_progress="hidden",
            api_visibility="private",
            **options,
        )

    if send_on == "submit" or component.variant == "textbox":
        listen(component.submit, take_text, trigger_mode="multiple")
    changes = [getattr(each, "change", None) for each in inputs] if send_on == "change" else []
    for change in filter(None, changes):
        # A slider on its way sends many values; the one at rest counts.
        listen(change, trigger_mode="always_last")
    requested: Dependency = listen(component.tick, js=js, trigger_mode="multiple")
    return requested


def bind_outputs(
    component: Any,
    fn: Callable[..., Any],
    inputs: Sequence[Component],
    outputs: Sequence[Component],
    **event: Any,
) -> Dependency:
    """Runs ``fn`` once for every AdditionalOutputs of the session of the page, in order.

    Args:
        component: The WebRTC component.
        fn: Called with the values of ``inputs``, then those of the AdditionalOutputs.
        inputs: Components whose values come first.
        outputs: Components that get the values that ``fn`` returns.
        **event: Further arguments of the Gradio event.

    Returns:
        The event with which the page answers that there are outputs.
    """

    async def fetch(value: str | WebRTCData, *args: Any) -> Any:
        session = session_of(component, value)
        waiting = session.outputs.take() if session is not None else None
        if session is None or waiting is None:
            return gr.skip() if len(outputs) <= 1 else tuple(gr.skip() for _ in outputs)
        try:
            if inspect.iscoroutinefunction(fn):
                values = await fn(*args, *waiting.args)
            else:
                values = await asyncio.to_thread(fn, *args, *waiting.args)
        except BaseException:
            session.outputs.done()
            raise
        session.outputs.sent()
        return values

    async def confirm(value: str | WebRTCData) -> None:
        if (session := session_of(component, value)) is not None:
            session.outputs.confirm()

    announced: Dependency = component.state_change(
        fetch,
        inputs=[component, *inputs],
        outputs=outputs,
        trigger_mode="multiple",
        api_visibility="private",
        **event,
    )
    # Announced any earlier, the next one would find the old values of the inputs in the page: where
    # a function adds to one of them, what this one has added would be lost.
    announced.then(
        confirm,
        inputs=[component],
        outputs=None,
        queue=False,
        show_progress="hidden",
        trigger_mode="multiple",
        api_visibility="private",
    )
    return announced


def show_notices(component: Any) -> None:
    """Makes Gradio show a session's messages that have a title or a duration of their own.

    A component in a page can show messages in the usual look only. So the page sends them here, and
    Gradio sends them back to that page alone, as it does with all such messages of Python code.

    Args:
        component: The WebRTC component.
    """
    component.notice(
        _show,
        inputs=None,
        outputs=None,
        concurrency_limit=None,
        show_progress="hidden",
        trigger_mode="multiple",
        api_visibility="private",
    )


def _show(event: gr.EventData) -> None:
    data = event._data  # noqa: SLF001 - Gradio's only way to the data of an event
    message = data if isinstance(data, dict) else {}
    text, title = str(message.get("text", "")), str(message.get("title", ""))
    duration = read_duration(message.get("duration"))
    match message.get("kind"):
        case "warning":
            gr.Warning(text, duration=duration, title=title)
        case "info":
            gr.Info(text, duration=duration, title=title)
        case "success":
            gr.Success(text, duration=duration, title=title)
        case "error":
            raise gr.Error(text, duration=duration, title=title, print_exception=False)


def _head(session: Session, value: object) -> list[WebRTCData]:
    """Returns the component's value at the head of a handler's values, with the session's name.

    Only the variant with a text field has one; a handler adds the placeholder for the others.
    """
    return [replace(value, webrtc_id=session.webrtc_id)] if isinstance(value, WebRTCData) else []


def id_of(value: object) -> str:
    """Returns the id of a session in a result of `WebRTC.preprocess`; in all else an empty one."""
    webrtc_id = value.webrtc_id if isinstance(value, WebRTCData) else value
    return webrtc_id if isinstance(webrtc_id, str) else ""
