"""Handlers that cannot work: refused when the page is built, with what to write instead."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest
from support.fake_session import FakeSession

from gradio_webrtc import (
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    ReplyOnPause,
    StreamHandler,
    VideoStreamHandler,
    WebRTC,
)
from gradio_webrtc._ui.streaming import make_template
from gradio_webrtc.errors import HandlerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class Echo(StreamHandler):
    def receive(self, frame: Any) -> Any:
        pass

    def emit(self) -> Any:
        return None

    def copy(self) -> Any:
        return type(self)()


class YieldingReceive(Echo):
    def receive(self, frame: Any) -> Any:
        yield frame


class YieldingEmit(Echo):
    def emit(self) -> Any:
        yield None


class YieldingStart(Echo):
    def start_up(self) -> Any:
        yield


class YieldingShutdown(Echo):
    def shutdown(self) -> Any:
        yield


class AsyncCopy(Echo):
    async def copy(self) -> Any:  # type: ignore[override]  # the mistake
        return AsyncCopy()


class AsyncDeterminePause(ReplyOnPause):
    async def determine_pause(self, *_: Any) -> Any:  # type: ignore[override]  # the mistake
        return False


class AsyncYielding(AsyncStreamHandler):
    async def receive(self, frame: Any) -> Any:
        yield frame

    async def emit(self) -> None:
        return None

    def copy(self) -> Any:
        return AsyncYielding()


class Mirror(AsyncAudioVideoStreamHandler):
    async def video_receive(self, frame: Any) -> None:
        pass

    async def video_emit(self) -> Any:
        return None

    def copy(self) -> Any:
        return type(self)()


class YieldingShow(Mirror):
    async def video_emit(self) -> AsyncIterator[Any]:  # type: ignore[override]  # the mistake
        yield None


class VideoAndAudio(AudioVideoStreamHandler):
    def emit(self) -> None:
        return None

    def video_receive(self, frame: Any) -> None:
        pass

    def video_emit(self) -> None:
        return None

    def copy(self) -> Any:
        return VideoAndAudio()


class Uninitialised(Echo):
    def __init__(self) -> None:
        self.frames: list[Any] = []


@dataclass
class UninitialisedData(Echo):
    voice: str = "low"


class PlainAsync(AsyncStreamHandler):
    """A handler of coroutines whose other methods are plain."""

    def receive(self, frame: Any) -> Any:
        pass

    async def emit(self) -> None:
        return None

    def start_up(self) -> None:
        pass

    def copy(self) -> Any:
        return PlainAsync()


class SyncWithCoroutines(StreamHandler):
    async def receive(self, frame: Any) -> None:  # type: ignore[override]  # as people write it
        pass

    async def emit(self) -> Any:  # type: ignore[override]  # as people write it
        return None

    async def shutdown(self) -> None:
        pass

    def copy(self) -> Any:
        return SyncWithCoroutines()


def reply(audio: Any) -> Iterator[Any]:
    yield audio


class Replier:
    def __call__(self, audio: Any) -> Any:
        return audio

    def reply(self, audio: Any) -> Any:
        return audio


MISTAKES = [
    (YieldingReceive, "YieldingReceive.receive is a generator function: .*emit.*ReplyOnPause"),
    (YieldingEmit, "YieldingEmit.emit is a generator function: .*return in place of yield"),
    (YieldingStart, "YieldingStart.start_up is a generator function: .*without yield"),
    (YieldingShutdown, "YieldingShutdown.shutdown is a generator function"),
    (AsyncYielding, "AsyncYielding.receive is a generator function"),
    (AsyncCopy, "AsyncCopy.copy is async, .*Write def copy"),
    (lambda: AsyncDeterminePause(reply), "determine_pause is async, .*Write def determine_pause"),
]


@pytest.mark.parametrize(("make", "text"), MISTAKES)
def test_a_callback_that_cannot_work_is_refused(make: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        make_template(make(), "send-receive", "audio")


@pytest.mark.parametrize(("make", "text"), MISTAKES)
async def test_a_session_reports_one_that_nobody_refused(make: Any, text: str) -> None:
    session = FakeSession()
    make().bind(session)
    [error] = session.errors
    assert isinstance(error, HandlerError)
    with pytest.raises(HandlerError, match=text):
        raise error


def test_frames_are_emitted_one_at_a_time_as_well() -> None:
    with pytest.raises(TypeError, match="video_emit gives one item each time"):
        make_template(YieldingShow(), "send-receive", "video")


@pytest.mark.parametrize("make", [PlainAsync, SyncWithCoroutines, Echo])
async def test_a_callback_may_be_sync_or_async(make: Any) -> None:
    session = FakeSession()
    make_template(make(), "send-receive", "audio").copy().bind(session)
    assert session.errors == []


@pytest.mark.parametrize("make", [Uninitialised, UninitialisedData])
async def test_a_missing_init_of_the_base_class_is_reported(make: Any) -> None:
    text = rf"write super\(\).__init__\(\) as the first line of {make.__name__}.__init__"
    with pytest.raises(TypeError, match=text):
        make_template(make(), "send-receive", "audio")
    with pytest.raises(HandlerError, match=text):
        make().bind(FakeSession())


@pytest.mark.parametrize(
    ("mode", "modality", "fn", "text"),
    [
        ("send-receive", "audio", reply, r"write ReplyOnPause\(reply\)"),
        ("send-receive", "audio", partial(reply), r"Got partial: write ReplyOnPause\(fn\)"),
        ("send-receive", "audio", lambda audio: audio, r"<lambda>: write ReplyOnPause\(fn\)"),
        ("send-receive", "audio", Replier(), r"Got Replier: write ReplyOnPause\(fn\)"),
        ("send-receive", "audio", Replier().reply, r"Replier.reply: write ReplyOnPause\(fn\)"),
        ("send-receive", "audio-video", reply, "function reply: .* an AudioVideoStreamHandler"),
        ("send-receive", "audio-video", partial(reply), "partial: .* an AudioVideoStreamHandler"),
        ("send-receive", "audio-video", ReplyOnPause, "ReplyOnPause: .* AudioVideoStreamHandler"),
        ("send-receive", "audio", Echo, r"Got the class Echo: write Echo\(\)"),
        ("send-receive", "audio", ReplyOnPause, r"write ReplyOnPause\(fn\)"),
        ("send-receive", "audio-video", Mirror, r"write Mirror\(\)"),
        ("send-receive", "video", Mirror, r"write Mirror\(\)"),
        ("receive", "audio", Echo, r"write Echo\(\)"),
        ("send-receive", "audio", Echo().receive, "Echo.receive: give the handler itself"),
        ("receive", "audio", Echo().emit, "Echo.emit: give the handler itself"),
        ("send-receive", "audio", reply(None), "without calling it"),
        ("receive", "video", reply(None), "without calling it"),
        ("send-receive", "audio", None, "Got None"),
        ("send-receive", "audio", VideoStreamHandler(reply), "for the modality 'video'"),
        ("send-receive", "video", Echo(), r'write WebRTC\(modality="audio"\)'),
        ("send-receive", "video", ReplyOnPause(reply), r'write WebRTC\(modality="audio"\)'),
        ("send-receive", "audio-video", Echo(), r'modality="audio".*AudioVideoStreamHandler'),
        ("send-receive", "audio", Mirror(), r'write WebRTC\(modality="audio-video"\)'),
        ("receive", "audio", ReplyOnPause(reply), r'WebRTC\(mode="send-receive"\), or .*generator'),
        ("receive", "audio-video", reply, "give stream.. an AudioVideoStreamHandler"),
    ],
)
async def test_a_handler_that_does_not_fit_is_refused_with_what_to_write(
    mode: Any, modality: Any, fn: Any, text: str
) -> None:
    with gr.Blocks():
        webrtc, button = WebRTC(mode=mode, modality=modality), gr.Button()
        inputs, trigger = ([], button.click) if mode == "receive" else ([webrtc], None)
        with pytest.raises((TypeError, ValueError), match=text):
            webrtc.stream(fn, inputs, [webrtc], trigger=trigger)


async def test_a_handler_of_video_and_audio_is_warned_of_a_call_by_voice() -> None:
    with gr.Blocks():
        webrtc = WebRTC(modality="audio")
        with pytest.warns(UserWarning, match='modality="audio-video"') as reported:
            webrtc.stream(VideoAndAudio(), [webrtc], [webrtc])
    assert reported[0].filename == __file__


@pytest.mark.parametrize("make", [ReplyOnPause, VideoStreamHandler])
def test_what_is_no_function_is_refused(make: Any) -> None:
    with pytest.raises(TypeError, match="give the function itself, without calling it"):
        make(reply(None))


LONG = "x" * 1_000_000


@pytest.mark.parametrize("settings", [{"mode": LONG}, {"modality": LONG}])
def test_a_refusal_does_not_repeat_what_is_long(settings: Any) -> None:
    with pytest.raises(ValueError, match="must be one of") as refused:
        WebRTC(**settings)
    assert len(str(refused.value)) < 250


def test_a_long_text_for_a_function_is_not_repeated() -> None:
    fn: Any = LONG
    with pytest.raises(TypeError) as refused:
        VideoStreamHandler(fn)
    assert len(str(refused.value)) < 250
