"""The arguments of ``WebRTC.stream``: taken, refused, and passed to Gradio.

All in an event loop: outside of one Gradio makes loops that it never closes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest

from gradio_webrtc import (
    AdditionalOutputs,
    AsyncAudioVideoStreamHandler,
    Limits,
    ReplyOnPause,
    Stream,
    StreamHandler,
    VideoStreamHandler,
    WebRTC,
)
from gradio_webrtc._handlers import AudioGenerator, VideoFunction, VideoGenerator
from gradio_webrtc._ui.streaming import make_template
from gradio_webrtc.errors import SessionUnknown

if TYPE_CHECKING:
    from support.serving import SessionServer

from support.serving import server_of

from gradio_webrtc._addresses import read_addresses
from gradio_webrtc._config import SessionConfig


class Echo(StreamHandler):
    def receive(self, frame: Any) -> None:
        pass

    def emit(self) -> None:
        return None

    def copy(self) -> Echo:
        return Echo()


class Mirror(AsyncAudioVideoStreamHandler):
    async def video_receive(self, frame: Any) -> None:
        pass

    async def video_emit(self) -> None:
        return None

    def copy(self) -> Mirror:
        return Mirror()


def plain(*_: Any) -> None:
    pass


NEEDS_HANDLER = (
    "In the {mode} mode for audio, the event handler must be an instance of StreamHandlerBase."
)
FIRST_INPUT = "In the webrtc stream event, the first input component must be the WebRTC component."
ONLY_OUTPUT = "In the webrtc stream event, the only output component must be the WebRTC component."
NO_INPUT = "In the receive mode stream event, the WebRTC component cannot be an input."
RECEIVE_OUTPUT = (
    "In the receive mode stream, the only output component must be the WebRTC component."
)
NEEDS_TRIGGER = "In the receive mode stream event, the trigger parameter must be provided"


@pytest.mark.parametrize(
    ("mode", "modality", "fn", "inputs", "outputs", "text"),
    [
        ("send-receive", "audio", plain, "c", "c", NEEDS_HANDLER.format(mode="send-receive")),
        ("send-receive", "audio-video", plain, "c", "c", NEEDS_HANDLER.format(mode="send-receive")),
        ("send", "audio", plain, "c", "c", NEEDS_HANDLER.format(mode="send")),
        ("send-receive", "audio", Echo(), "s", "c", FIRST_INPUT),
        ("send-receive", "audio", Echo(), "sc", "c", FIRST_INPUT),
        ("send", "video", plain, "", "c", FIRST_INPUT),
        ("send-receive", "video", plain, "c", "ss", ONLY_OUTPUT),
        ("send-receive", "video", plain, "c", "", ONLY_OUTPUT),
        ("receive", "audio", plain, "cs", "c", NO_INPUT),
        ("receive", "video", plain, "s", "s", RECEIVE_OUTPUT),
        ("receive", "video", plain, "s", "cs", RECEIVE_OUTPUT),
        ("receive", "audio", plain, "s", "c", NEEDS_TRIGGER),
    ],
)
async def test_what_does_not_fit_is_refused_in_the_words_of_fastrtc(
    mode: Any, modality: Any, fn: Any, inputs: str, outputs: str, text: str
) -> None:
    with gr.Blocks():
        webrtc = WebRTC(mode=mode, modality=modality)
        parts = {"c": webrtc, "s": gr.Slider()}
        with pytest.raises(ValueError, match="In the ") as refused:
            webrtc.stream(fn, [parts[p] for p in inputs], [parts[p] for p in outputs])
    # Behind the words that programs may look for comes what to write instead.
    assert str(refused.value).startswith(text)


@pytest.mark.parametrize(
    ("mode", "modality", "fn", "kind"),
    [
        ("send-receive", "audio", Echo(), Echo),
        ("send", "audio", Echo(), Echo),
        ("receive", "audio", plain, AudioGenerator),
        ("receive", "audio", Echo(), Echo),
        ("send-receive", "video", plain, VideoFunction),
        ("send-receive", "video", VideoStreamHandler(plain, 15, skip_frames=True), VideoFunction),
        ("send-receive", "video", Mirror(), Mirror),
        ("send", "video", plain, VideoFunction),
        ("receive", "video", plain, VideoGenerator),
        ("receive", "video", VideoStreamHandler(plain, fps=60), VideoGenerator),
        ("send-receive", "audio-video", Mirror(), Mirror),
        ("send", "audio-video", Mirror(), Mirror),
        ("receive", "audio-video", Mirror(), Mirror),
    ],
)
async def test_every_mode_and_modality_has_its_handler(
    mode: Any, modality: Any, fn: Any, kind: Any
) -> None:
    template = make_template(fn, mode, modality)
    copy = template.copy()
    assert type(template) is type(copy) is kind
    assert copy is not template


@pytest.mark.parametrize(
    ("mode", "modality", "fn", "error"),
    [
        ("send-receive", "video", Echo(), ValueError),
        ("send-receive", "audio-video", ReplyOnPause(plain), ValueError),
        ("receive", "audio-video", plain, ValueError),
        ("receive", "audio", VideoStreamHandler(plain), ValueError),
        ("send-receive", "video", None, TypeError),
        ("receive", "audio", "song.wav", TypeError),
    ],
)
async def test_what_cannot_play_the_part_is_refused(
    mode: Any, modality: Any, fn: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        make_template(fn, mode, modality)


async def test_an_output_that_gets_nothing_is_warned_of() -> None:
    with gr.Blocks():
        webrtc, text = WebRTC(modality="audio"), gr.Textbox()
        with pytest.warns(UserWarning, match="on_additional_outputs"):
            webrtc.stream(Echo(), [webrtc], [text])


# The events that Gradio gets


def id_of(component: Any) -> int:
    return component._id  # type: ignore[no-any-return]  # noqa: SLF001 - Gradio has no public name


def sessions_of(webrtc: WebRTC) -> SessionServer:
    return server_of(webrtc)


def events(blocks: gr.Blocks) -> list[tuple[int, str, list[int], list[int]]]:
    """The events and their targets, with ids of inputs and outputs; without those for toasts."""
    return [
        (target, name, [id_of(c) for c in fn.inputs], [id_of(c) for c in fn.outputs])
        for fn in blocks.fns.values()
        for target, name in fn.targets
        if target is not None and name != "notice"
    ]


async def test_a_changed_slider_brings_the_inputs() -> None:
    with gr.Blocks() as blocks:
        webrtc, slider, unchanging = WebRTC(), gr.Slider(), WebRTC()
        dependency = webrtc.stream(plain, [webrtc, slider, unchanging], [webrtc])
    given = [id_of(webrtc), id_of(slider), id_of(unchanging)]
    assert dependency is not None
    assert events(blocks) == [
        (id_of(slider), "change", given, []),
        (id_of(webrtc), "tick", given, []),
    ]


async def test_a_handler_of_turns_asks_by_itself() -> None:
    with gr.Blocks() as blocks:
        webrtc, slider = WebRTC(modality="audio"), gr.Slider()
        webrtc.stream(ReplyOnPause(plain), [webrtc, slider], [webrtc])
    assert [(target, name) for target, name, _, _ in events(blocks)] == [(id_of(webrtc), "tick")]


async def test_a_submitted_line_brings_the_inputs() -> None:
    with gr.Blocks() as blocks:
        webrtc, slider = WebRTC(modality="audio", variant="textbox"), gr.Slider()
        webrtc.stream(Echo(), [webrtc, slider], [webrtc], send_input_on="submit")
    assert [(target, name) for target, name, _, _ in events(blocks)] == [
        (id_of(webrtc), "submit"),
        (id_of(webrtc), "tick"),
    ]


async def test_a_click_starts_a_stream() -> None:
    with gr.Blocks() as blocks:
        webrtc, slider = WebRTC(mode="receive", modality="audio"), gr.Slider()
        button = gr.Button()
        returned = webrtc.stream(plain, [slider], [webrtc], trigger=button.click)
    assert returned is None
    assert events(blocks) == [
        (id_of(button), "click", [], [id_of(webrtc)]),
        (id_of(webrtc), "tick", [id_of(webrtc), id_of(slider)], []),
    ]
    [start] = [fn for fn in blocks.fns.values() if fn.targets == [(id_of(button), "click")]]
    assert start.fn is not None
    assert start.fn() == "start_webrtc_stream"


async def test_terms_of_the_stream_reach_the_sessions() -> None:
    with gr.Blocks():
        limits = Limits(idle_limit_s=7)
        webrtc = WebRTC(modality="video", allow_extra_tracks=True, limits=limits)
        webrtc.stream(plain, webrtc, webrtc, time_limit=10, concurrency_limit=3, frame_format="rgb")
    assert sessions_of(webrtc).config == SessionConfig(
        modality="video",
        frame_format="rgb",
        time_limit_s=10,
        allows_other_tracks=True,
        limits=limits,
    )
    assert sessions_of(webrtc).concurrency_limit == 3
    assert webrtc.time_limit == 10


async def test_ports_and_addresses_reach_the_sessions_and_no_page() -> None:
    own: dict[str, Any] = {
        "udp_ports": (50_000, 50_100),
        "host_candidates": {"10.0.0.5": "203.0.113.7"},
    }
    with gr.Blocks() as blocks:
        webrtc = WebRTC(modality="audio", **own)
        webrtc.stream(Echo(), webrtc, webrtc)
    stream = Stream(Echo(), modality="audio", **own)
    for each in (webrtc, stream.webrtc_component):
        config = sessions_of(each).config
        assert config is not None
        assert config.addresses == read_addresses(**own)
    sent = json.dumps([blocks.get_config_file(), stream.ui.get_config_file()], default=str)
    assert not [text for text in ("50100", "10.0.0.5", "203.0.113.7") if text in sent]


async def test_a_session_that_is_not_there_gives_and_takes_nothing() -> None:
    with gr.Blocks():
        webrtc = WebRTC()
    webrtc.set_input("nobody", 1)
    webrtc.set_additional_outputs("nobody")(AdditionalOutputs(1))
    assert [each async for each in webrtc.output_stream("nobody")] == []
    with pytest.raises(SessionUnknown):
        await webrtc.fetch_latest_output("nobody")
    assert len(sessions_of(webrtc)) == 0
