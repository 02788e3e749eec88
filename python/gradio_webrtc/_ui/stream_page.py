"""The page of a `Stream`: the component, with the inputs and outputs of the program around it.

Built once, where the `Stream` is made. Imports no component: it is given the class.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import gradio as gr
from gradio.components.base import Component
from gradio.context import get_blocks_context

from gradio_webrtc._mistakes import shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from gradio.components import Button

    from gradio_webrtc.types import Modality, Mode

C = TypeVar("C")

PAIRS: Final = frozenset(
    {
        ("audio", "send"),
        ("audio", "receive"),
        ("audio", "send-receive"),
        ("video", "send"),
        ("video", "receive"),
        ("video", "send-receive"),
        ("audio-video", "send-receive"),
    }
)
"""The modalities and modes for which there is a page, the same as in fastrtc."""

OPTIONS: Final = (
    "title",
    "subtitle",
    "icon",
    "icon_button_color",
    "pulse_color",
    "icon_radius",
    "send_input_on",
    "hide_title",
    "full_screen",
    "variant",
)
"""The keys of `UIArgs`."""

LOOKS: Final = ("icon", "icon_button_color", "pulse_color", "icon_radius")
"""Those of them that the component takes as they are."""

HTML: Final = re.compile(r"<[^<>]+>")

WIDE: Final = """
.gradio-container .sidebar {
  background-color: color-mix(in srgb, var(--block-background-fill) 60%, transparent);
}
@media (width <= 768px) {
  .gradio-container .sidebar {
    position: static;
    width: 100% !important;
    height: auto;
    transform: none !important;
    background: none;
    box-shadow: none !important;
  }
  .gradio-container .sidebar .toggle-button { display: none; }
  .gradio-container .sidebar .sidebar-content { padding: 0 !important; }
}
"""
"""The styles of a page with sidebars: beside a video that fills it they let it shine through. On a
phone, where Gradio would open them above everything else, their contents stand below it."""

COMPACT: Final = """
.stream-call { max-width: 640px; margin: 0 auto; }
.stream-call > .block:has(.bubble-wrap) { max-height: max(12rem, 100svh - 30rem); }
"""
"""The styles of a page without: a conversation leaves room for the button below it."""


@dataclass(frozen=True)
class PageParts:
    """The parts of a page.

    Attributes:
        mode: The direction of the media, from the page's side.
        modality: The kinds of media.
        inputs: Components whose values the handler gets.
        outputs: Components that show what the handler emits besides media.
        options: The keys of `UIArgs`.
        settings: Further arguments of the component, by name.
    """

    mode: Mode
    modality: Modality
    inputs: Sequence[Component] = ()
    outputs: Sequence[Component] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def inputs_alone(self) -> list[Component]:
        """The inputs that are no outputs as well."""
        return [each for each in self.inputs if each not in self.outputs]

    @property
    def has_text_field(self) -> bool:
        """True if the component has a text field beside the microphone."""
        return self.options.get("variant") == "textbox"

    @property
    def is_compact(self) -> bool:
        """True if the component is one of several things on the page, and does not fill it."""
        components = [*self.inputs, *self.outputs]
        has_chat = self.modality == "audio" and any(map(_is_chatbot, components))
        return self.options.get("full_screen") is False or has_chat or self.has_text_field


def read_components(name: str, components: object) -> tuple[Component, ...]:
    """Reads an argument of a stream that lists components.

    Args:
        name: The argument, for the text of the error.
        components: Its value; ``None`` for none.

    Raises:
        TypeError: It is something else than a list of components.
    """
    if components is None:
        return ()
    if isinstance(components, (list, tuple, set)):
        wrong = [each for each in components if not isinstance(each, Component)]
        if not wrong:
            return tuple(components)
        got = f"{shorten(wrong[0])} in it"
    else:
        got = shorten(components)
    raise TypeError(f"{name} must be a list of Gradio components, such as [gr.Slider()]; got {got}")


def check_parts(parts: PageParts) -> None:
    """Checks the parts of a page; warns of options that there are not.

    Raises:
        ValueError: There is no page for this mode and this modality.
    """
    if (parts.modality, parts.mode) not in PAIRS:
        raise ValueError(
            f"Invalid modality: {parts.modality} and mode: {parts.mode}. The modalities are "
            '"audio" and "video", with the modes "send", "receive" and "send-receive", and '
            '"audio-video" with "send-receive"'
        )
    for name in set(parts.options) - set(OPTIONS):
        warnings.warn(f"ui_args has no {shorten(name)}: it has {', '.join(OPTIONS)}", stacklevel=4)


def build_page(
    make_component: Callable[..., C], parts: PageParts, bind: Callable[[C, Button | None], object]
) -> gr.Blocks:
    """Returns the page.

    Args:
        make_component: The component's class.
        parts: The components and options of the page.
        bind: Binds the events, called within the page: with the component, and with the button that
            starts it in mode "receive". A page that is entered a second time for that would stand
            twice in the Blocks of a program around it.
    """
    around = get_blocks_context()
    for each in {*parts.inputs, *parts.outputs}:
        # One that was made where the stream is, inside the Blocks of the program, has a place there
        # already. One of another page keeps its own: Gradio shows it on both.
        if around is not None and each._id in around.blocks:  # noqa: SLF001 - the only name it has
            each.unrender()  # type: ignore[no-untyped-call]
    title = _title(parts)
    page = gr.Blocks(title=HTML.sub("", title))
    with page:
        gr.HTML(f"<style>{COMPACT if parts.is_compact else WIDE}</style>", visible="hidden")
        if not parts.options.get("hide_title"):
            _show_title(title, parts.options.get("subtitle"))
        lay_out = _lay_out_columns if parts.mode != "send-receive" else _lay_out_call
        bind(*lay_out(make_component, parts))
    return page


def _lay_out_columns(make_component: Callable[..., C], parts: PageParts) -> tuple[C, Button | None]:
    """Inputs on the left, the component with the outputs on the right."""
    button = None
    with gr.Row():
        if parts.inputs or parts.mode == "receive":
            with gr.Column():
                _render(parts.inputs)
                if parts.mode == "receive":
                    button = gr.Button("Start Stream", variant="primary")
        with gr.Column():
            component = _make(make_component, parts)
            _render(each for each in parts.outputs if each not in parts.inputs)
    return component, button


def _lay_out_call(make_component: Callable[..., C], parts: PageParts) -> tuple[C, None]:
    """The component in the middle, and the rest beside it or in sidebars."""
    if not parts.is_compact:
        component = _make(make_component, parts)
        if parts.inputs_alone:
            with gr.Sidebar(position="left"):
                _render(parts.inputs_alone)
        if parts.outputs:
            with gr.Sidebar(position="right"):
                _render(parts.outputs)
        return component, None
    chats = [each for each in parts.outputs if _is_chatbot(each)]
    with gr.Row():
        with gr.Column(elem_classes=["stream-call"]):
            _render(chats)
            component = _make(make_component, parts)
            _render(parts.inputs_alone)
        others = [each for each in parts.outputs if each not in chats]
        if others:
            with gr.Column():
                _render(others)
    return component, None


def _make(make_component: Callable[..., C], parts: PageParts) -> C:
    if parts.modality == "audio":
        looks = {name: parts.options.get(name) for name in LOOKS}
    else:
        looks = {"full_screen": not parts.is_compact}
    return make_component(
        label="Audio Stream" if parts.modality == "audio" else "Video Stream",
        mode=parts.mode,
        modality=parts.modality,
        variant=parts.options.get("variant", "wave"),
        **looks,
        **parts.settings,
    )


def _render(components: Iterable[Component]) -> None:
    for each in dict.fromkeys(components):
        each.render()  # type: ignore[no-untyped-call]


def _title(parts: PageParts) -> str:
    kind = "Audio" if parts.modality == "audio" else "Video"
    return str(parts.options.get("title") or f"{kind} Streaming")


def _show_title(title: str, subtitle: str | None) -> None:
    is_html = HTML.search(title) is not None
    gr.HTML(title if is_html else f"<h1 style='text-align: center'>{title}</h1>")
    if subtitle:
        gr.Markdown(f"<div style='text-align: center'>{subtitle}</div>")


def _is_chatbot(component: Component) -> bool:
    return component.get_block_name() == "chatbot"
