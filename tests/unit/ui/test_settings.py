"""Arguments either take effect or are reported to have none, with what to write instead.

All in an event loop: outside of one Gradio makes loops that it never closes.
"""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
import pytest

from gradio_webrtc import ReplyOnPause, StreamHandler, WebRTC
from gradio_webrtc._ui.settings import CONSTRUCTOR, check_constructor

if TYPE_CHECKING:
    from collections.abc import Iterator


class Echo(StreamHandler):
    def receive(self, frame: Any) -> None:
        pass

    def emit(self) -> None:
        return None

    def copy(self) -> Echo:
        return Echo()


def plain(*_: Any) -> None:
    pass


VIDEO, VOICE, LISTEN = (
    {"modality": "video"},
    {"modality": "audio"},
    {"modality": "audio", "mode": "receive"},
)


def yielding(turn: object) -> Iterator[object]:
    yield turn


@pytest.mark.parametrize(
    ("kind", "name", "value", "instead"),
    [
        (VOICE, "value", "song.wav", "trigger=button.click"),
        (VOICE, "value", np.zeros(9), "trigger=button.click"),
        (VOICE, "every", 2, r"gr\.Timer\(seconds\)\.tick"),
        (VOICE, "inputs", [], r"stream\(fn, inputs=\[webrtc, \.\.\.\]"),
        (VOICE, "mirror_webcam", False, "leave it out"),
        (VOICE, "full_screen", False, "leave it out"),
        (LISTEN, "track_constraints", {"channelCount": 2}, "leave it out"),
        (LISTEN, "rtp_params", {"priority": "high"}, "leave it out"),
        (VIDEO, "icon", "https://example.com/icon.png", 'modality="audio"'),
        (VIDEO, "icon_button_color", "red", "leave it out"),
        (VIDEO, "pulse_color", "red", "leave it out"),
        (VIDEO, "icon_radius", 0, "leave it out"),
        ({"modality": "audio-video"}, "allow_extra_tracks", True, "leave it out"),
        (VIDEO, "latency", True, "leave it out"),
        (VIDEO, "on_turn", plain, "leave it out"),
        (VOICE, "button_labels", {"Start": "Go"}, "start, stop, waiting have"),
        (VOICE, "server_rtc_configuration", {"iceTransportPolicy": "all"}, "iceServers has"),
    ],
)
async def test_an_argument_without_effect_is_reported(
    kind: dict[str, Any], name: str, value: Any, instead: str
) -> None:
    with gr.Blocks(), pytest.warns(UserWarning, match=instead) as reported:
        WebRTC(**kind, **{name: value})
    assert [name in str(each.message) for each in reported] == [True]
    assert [each.filename for each in reported] == [__file__], "it points at the program's line"


async def test_arguments_with_effect_are_no_news() -> None:
    audio_alone = {"icon_button_color": "red", "pulse_color": "red", "icon_radius": 0}
    video_alone = {"mirror_webcam": False, "full_screen": False, "allow_extra_tracks": True}
    both = {"rtp_params": {}, "track_constraints": {"width": 9}, "button_labels": {"start": "Go"}}
    with gr.Blocks():
        WebRTC(modality="audio", allow_extra_tracks=True, **audio_alone, **both)  # type: ignore[arg-type]
        WebRTC(modality="video", time_limit=2.5, **video_alone, **both)  # type: ignore[arg-type]
        WebRTC(None, modality="video", mode="receive", server_rtc_configuration={"iceServers": []})


async def test_every_argument_that_may_do_nothing_is_one_of_the_constructors() -> None:
    parameters = inspect.signature(WebRTC.__init__).parameters
    assert {name: parameters[name].default for name in CONSTRUCTOR} == {
        name: useless.default for name, useless in CONSTRUCTOR.items()
    }
    given = {name: parameter.default for name, parameter in parameters.items()}
    for mode in ("send-receive", "send", "receive"):
        for modality in ("audio", "video", "audio-video"):
            assert check_constructor(given, mode, modality) == []


@pytest.mark.parametrize(
    ("name", "value", "error", "text"),
    [
        ("time_limit", 0, ValueError, "above 0"),
        ("time_limit", float("nan"), ValueError, "above 0"),
        ("time_limit", "60", TypeError, "number of seconds"),
        ("time_limit", True, TypeError, "number of seconds"),
        ("variant", "text", ValueError, '"wave" or "textbox"'),
        ("fallback", "sometimes", ValueError, '"auto", "never" or "always"'),
        ("fallback", None, ValueError, '"auto", "never" or "always"'),
        ("rtc_configuration", [{"urls": "stun:x"}], TypeError, "iceServers"),
        ("server_rtc_configuration", dict, TypeError, "iceServers"),
        ("server_rtc_configuration", {"iceServers": {"urls": "stun:x"}}, TypeError, "as dict"),
        ("server_rtc_configuration", {"iceServers": ["stun:x"]}, ValueError, "no urls"),
        (
            "server_rtc_configuration",
            {"iceServers": [{"urls": "x", "user": 1}]},
            ValueError,
            "user",
        ),
        ("udp_ports", 0, ValueError, "from 1 to 65535"),
        ("udp_ports", "50000-50100", TypeError, "first and the last"),
        ("host_candidates", "203.0.113.7", TypeError, "list of addresses"),
        ("video_bitrate", 1500, ValueError, "from 30,000 to 50,000,000 bits a second"),
        ("on_turn", "print", TypeError, "a function of one argument"),
        ("on_turn", yielding, TypeError, "must not yield"),
        ("codec_preferences", ["VP9"], ValueError, "of VP8 and H264"),
        ("host_candidates", ["example.com"], ValueError, "no names"),
    ],
)
async def test_an_argument_that_can_never_work_is_refused(
    name: str, value: Any, error: type[Exception], text: str
) -> None:
    with gr.Blocks(), pytest.raises(error, match=text) as refused:
        WebRTC(modality="audio", **{name: value})
    assert name in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "fn", "name", "value", "instead"),
    [
        (VOICE, Echo(), "trigger", plain, 'mode="receive"'),
        (VOICE, Echo(), "frame_format", "rgb", "leave it out"),
        (VOICE, Echo(), "send_input_on", "submit", 'variant="textbox"'),
    ],
)
async def test_a_setting_of_stream_without_effect_is_reported(
    kind: dict[str, Any], fn: Any, name: str, value: Any, instead: str
) -> None:
    with gr.Blocks():
        webrtc = WebRTC(**kind)
        with pytest.warns(UserWarning, match=instead) as reported:
            webrtc.stream(fn, [webrtc], [webrtc], **{name: value})
    assert [name in str(each.message) for each in reported] == [True]
    assert [each.filename for each in reported] == [__file__]


@pytest.mark.parametrize(
    ("name", "value", "error", "text"),
    [
        ("time_limit", -1, ValueError, "above 0"),
        ("concurrency_limit", 0, ValueError, "at least 1"),
        ("concurrency_limit", 2.0, TypeError, "whole number"),
        ("concurrency_limit", "many", TypeError, "whole number"),
        ("frame_format", "rgb24", ValueError, '"bgr" or "rgb"'),
        ("send_input_on", "click", ValueError, '"submit" or "change"'),
    ],
)
async def test_a_setting_of_stream_that_can_never_work_is_refused(
    name: str, value: Any, error: type[Exception], text: str
) -> None:
    with gr.Blocks():
        webrtc = WebRTC(modality="video")
        with pytest.raises(error, match=text) as refused:
            webrtc.stream(plain, [webrtc], [webrtc], **{name: value})
    assert name in str(refused.value)


async def test_a_second_handler_for_one_component_is_reported_to_replace_the_first() -> None:
    with gr.Blocks():
        webrtc = WebRTC(modality="audio")
        webrtc.stream(Echo(), [webrtc], [webrtc])
        with pytest.warns(UserWarning, match="another WebRTC component"):
            webrtc.stream(ReplyOnPause(plain), [webrtc], [webrtc])


@pytest.mark.parametrize(("of_stream", "counts"), [(None, 2), (7, 7)])
async def test_the_time_limit_of_the_component_ends_sessions_unless_stream_has_one(
    of_stream: float | None, counts: float
) -> None:
    with gr.Blocks():
        webrtc = WebRTC(modality="audio", time_limit=2)
        webrtc.stream(Echo(), [webrtc], [webrtc], time_limit=of_stream)
    config = webrtc._sessions.config  # noqa: SLF001 - what sessions are made of
    assert config is not None
    assert config.time_limit_s == webrtc.time_limit == counts


async def test_a_component_that_gradio_rebuilds_warns_of_nothing_again() -> None:
    with gr.Blocks():
        with pytest.warns(UserWarning, match="every"):
            webrtc = WebRTC(modality="audio", every=2)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            WebRTC(**{**webrtc.constructor_args, "render": False})


@pytest.mark.parametrize("fallback", ["auto", "never", "always"])
async def test_the_page_and_the_sessions_get_the_fallback(fallback: Any) -> None:
    with gr.Blocks():
        webrtc = WebRTC(modality="audio", fallback=fallback)
        webrtc.stream(Echo(), inputs=[webrtc], outputs=[webrtc])
    assert webrtc.get_config()["fallback"] == fallback
    config = webrtc.signaling.sessions.config
    assert config is not None
    assert config.fallback == fallback
