"""Programs of the shapes of fastrtc's 26 demos, each with a call that does what it is for.

The programs in `fastrtc/` are written again in words of ours, without the services that they use.
Those with an app are called over its routes, the others from their Gradio pages.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
import pytest
from fastapi import FastAPI
from support.fastrtc_programs import ICE_SERVER, NAMES, goodbye, kept_log, load, outside  # noqa: F401
from support.frames import Camera, colour_of, number_of
from support.page import GradioPage, PageClient
from support.posting import DemoClient
from support.signals import pitch_hz
from support.streaming_asgi import opened
from support.vendors import VOICES

from gradio_webrtc import get_tts_model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from numpy.typing import NDArray

    from gradio_webrtc import WebRTC

pytestmark = [
    pytest.mark.network,
    # By the first program of a process that writes it.
    pytest.mark.filterwarnings("ignore:gr.Chatbot.type=:DeprecationWarning"),
    # By Gradio's queue, where Pandas is installed.
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting'"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
]


def computer() -> NDArray[np.int16]:
    """The word that one program waits for, and a question."""
    rate, spoken = get_tts_model("hibari").tts("Computer, what time is it?")
    assert rate == 24_000
    samples = (np.repeat(spoken, 2) * 32767).astype(np.int16)
    return np.append(np.zeros(24_000, np.int16), samples)


@asynccontextmanager
async def demo_page(
    program: Any,
    microphone: Any = None,
    *,
    fields: dict[str, Any] | None = None,
    camera: Camera | None = None,
    **options: Any,
) -> AsyncIterator[Any]:
    """A page of the program's own that calls over the routes of its app."""
    async with opened(program.app) as browser:
        client = DemoClient(browser, microphone, **options)
        client.fields = fields or {}
        client.camera = camera or client.camera
        await client.call()
        yield client
        await client.hang_up()
        await program.stream.webrtc_component.signaling.sessions.wait_idle()
    assert program.stream.handlers == {}


@asynccontextmanager
async def gradio_page(page: gr.Blocks | FastAPI) -> AsyncIterator[GradioPage]:
    """A page of Gradio's, alone or on an app."""
    app = gr.mount_gradio_app(FastAPI(), page, path="/") if isinstance(page, gr.Blocks) else page
    async with opened(app) as browser:
        answer = await browser.get("/config")
        yield GradioPage(browser, answer.raise_for_status().json())


@asynccontextmanager
async def gradio_call(
    page: gr.Blocks | FastAPI,
    component: WebRTC,
    microphone: Any = None,
    values: dict[str, Any] | None = None,
) -> AsyncIterator[Any]:
    """A call from a Gradio page, whose components have these values by their labels."""
    async with gradio_page(page) as shown:
        for label, value in (values or {}).items():
            shown.values[labelled(shown, label)] = value
        client = PageClient(shown, microphone=microphone)
        await client.call()
        yield client
        await client.hang_up()
        await component.signaling.sessions.wait_idle()
    assert component.handlers == {}


def labelled(page: GradioPage, label: str) -> int:
    """The id of the component with a label."""
    (found,) = (
        each["id"] for each in page.config["components"] if each["props"].get("label") == label
    )
    return int(found)


def loud_hz(client: Any) -> float:
    """The pitch of what came back, where it is loud."""
    loud = [samples for _, samples in client.audio_frames if np.abs(samples).max() > 4_000]
    return pitch_hz(np.concatenate(loud), 48_000)


def has_answer(client: Any) -> bool:
    """True once most of a spoken answer has come back."""
    return bool(client.loud_seconds() > 0.3)


def check_voice(client: Any, voice: str = "middle") -> None:
    assert loud_hz(client) == pytest.approx(VOICES[voice], abs=15)


def plain(text: str) -> str:
    """The words of a transcript, in which the recogniser may write a word in two ways."""
    return text.replace("-", "").replace("Good bye", "Goodbye")


def texts(messages: Any) -> list[str]:
    """The texts of the messages of a chatbot, with which Gradio makes lists of parts."""
    return [
        plain(each["content"])
        if isinstance(each["content"], str)
        else plain("".join(part.get("text", "") for part in each["content"]))
        for each in messages
    ]


# ------------------------------------------------------------------------------ all of them


def test_there_are_as_many_as_fastrtc_has() -> None:
    assert len(NAMES) == 26


# ----------------------------------------------------------------------- over their own routes


async def test_echo_audio() -> None:
    program = load("echo_audio")
    async with demo_page(program, goodbye()) as client:
        await client.until(lambda: client.loud_seconds() > 0.4)


async def test_hello_computer() -> None:
    program = load("hello_computer")
    fields: Any = {"chatbot": [], "state": []}
    async with demo_page(
        program, computer(), hook="/input_hook", mode="send", fields=fields
    ) as client:
        client.read("/outputs")
        await client.until(lambda: len(client.events) == 2)
        question, answer = client.messages_read()
        assert "time" in question["message"]["content"]
        assert question["audio"].startswith("data:audio/wav;base64,UklGR")
        assert answer["message"]["content"].startswith("You said: ")
        assert answer["audio"] is None


@pytest.mark.filterwarnings("ignore:SileroVadOptions.min_silence_duration_ms has no effect")
async def test_nextjs_voice_chat() -> None:
    program = load("nextjs_voice_chat")
    async with demo_page(program, goodbye()) as client:
        await client.until(lambda: has_answer(client))
        check_voice(client)
        await client.until(lambda: len(program.messages) == 3)
        reply = await client.browser.get("/reset", headers={"origin": "https://page.example"})
        assert reply.headers["access-control-allow-origin"]
        assert len(program.messages) == 1


async def test_object_detection() -> None:
    program = load("object_detection")
    grey = np.full((240, 320, 3), 90, np.uint8)
    camera = Camera(take=lambda _: grey)
    fields = {"conf_threshold": 0.9}
    async with demo_page(
        program, hook="/input_hook", modality="video", camera=camera, fields=fields
    ) as client:
        frames = client.video_frames
        await client.until(lambda: frames and frames[-1][1].shape == (500, 500, 3))
        assert not is_framed(frames[-1][1])
        client.fields = {"conf_threshold": 0.2}
        client.send_inputs()
        await client.until(lambda: is_framed(frames[-1][1]))
        assert client.replies == [200, 200]


def is_framed(frame: NDArray[np.uint8]) -> bool:
    """True if the left edge in the middle of a frame is red."""
    blue, green, red = frame[frame.shape[0] // 2, :8].mean(axis=0)
    return bool(red > 150 and max(blue, green) < 100)


async def test_qwen_phone_chat() -> None:
    program = load("qwen_phone_chat")
    async with demo_page(program, goodbye()) as client:
        await client.until(lambda: has_answer(client))
        assert loud_hz(client) == pytest.approx(700, abs=15)
        reply = await client.browser.post("/telephone/incoming")
        assert "<Stream" in reply.text
        program.stream.concurrency_limit = 0.5
        reply = await client.browser.post("/telephone/incoming")
        assert "<Say>" in reply.text


async def test_send_text_or_audio() -> None:
    program = load("send_text_or_audio")
    fields: Any = {"chatbot": [], "state": [], "textbox": ""}
    async with demo_page(
        program, goodbye(), hook="/input_hook", mode="send", fields=fields
    ) as client:
        client.read("/outputs")
        await client.until(lambda: len(client.events) == 2)
        spoken = texts(each["message"] for each in client.messages_read())
        assert spoken == ["Goodbye.", "You said: Goodbye."]
        client.fields = {"chatbot": [], "state": [], "textbox": "by hand"}
        client.send_inputs()
        await client.until(lambda: len(client.events) == 4)
        written = [each["message"]["content"] for each in client.messages_read()[2:]]
        assert written == ["by hand", "You said: by hand"]


async def test_talk_to_azure_openai() -> None:
    program = load("talk_to_azure_openai")
    async with demo_page(program, goodbye()) as client:
        client.read("/outputs")
        await client.until(lambda: has_answer(client) and client.events)
        assert loud_hz(client) == pytest.approx(700, abs=15)
        assert client.messages_read() == [{"role": "assistant", "content": "Answer number 1"}]


async def test_talk_to_claude() -> None:
    program = load("talk_to_claude")
    fields = {"chatbot": [{"role": "user", "content": "before"}]}
    async with demo_page(program, goodbye(), hook="/input_hook", fields=fields) as client:
        client.read("/outputs")
        await client.until(lambda: has_answer(client) and len(client.events) > 1)
        check_voice(client)
        question, answer = client.messages_read()
        assert question["content"].endswith("seconds")
        assert answer["content"] == f"You said: {question['content']}"
        assert program.llm.asked[0][0]["content"] == "before"
        assert client.replies == [200]


async def test_talk_to_gemini() -> None:
    program = load("talk_to_gemini")
    fields = {"voice_name": "high", "api_key": "mine"}
    async with demo_page(program, goodbye(), hook="/input_hook", fields=fields) as client:
        client.send_inputs()
        await client.until(lambda: has_answer(client))
        check_voice(client, "high")
        assert program.keys == ["mine"]
    assert not program.service.connections[0].is_open


async def test_talk_to_llama4() -> None:
    program = load("talk_to_llama4")
    async with demo_page(program, goodbye()) as client:
        client.read("/outputs")
        await client.until(lambda: has_answer(client) and len(client.events) == 2)
        check_voice(client)
        said = texts(each["message"] for each in client.messages_read())
        assert said == ["Goodbye.", "Yes, and here is why."]
        assert list(program.conversations) == [client.webrtc_id]


async def test_talk_to_openai() -> None:
    program = load("talk_to_openai")
    async with demo_page(program, goodbye()) as client:
        client.read("/outputs")
        await client.until(lambda: has_answer(client) and len(client.events) >= 2)
        check_voice(client)
        assert client.messages_read()[:2] == [
            {"role": "user", "content": "a question"},
            {"role": "assistant", "content": "an answer"},
        ]
    assert not program.service.connections[0].is_open


async def test_talk_to_sambanova() -> None:
    program = load("talk_to_sambanova")
    async with demo_page(program, goodbye(), hook="/input_hook", mode="send") as client:
        shown = (await client.browser.get("/")).text
        assert json.dumps({"iceServers": [ICE_SERVER]}) in shown
        client.fields = {"chatbot": [], "state": []}
        client.read("/outputs")
        await client.until(lambda: len(client.events) == 2)
        question, answer = client.messages_read()
        assert plain(question["message"]["content"]) == "Goodbye."
        assert question["audio"].startswith("data:audio/wav;base64,UklGR")
        assert plain(answer["message"]["content"]) == "You said: Goodbye."
        assert answer["audio"] is None


async def test_webrtc_vs_websocket() -> None:
    program = load("webrtc_vs_websocket")
    fields: Any = {"chatbot": []}
    async with demo_page(program, goodbye(), hook="/input_hook", fields=fields) as client:
        client.read("/outputs")
        await client.until(lambda: has_answer(client) and len(client.events) == 2)
        check_voice(client)
        question, answer = client.messages_read()
        assert answer["content"] == f"You said: {question['content']}"


async def test_whisper_realtime() -> None:
    program = load("whisper_realtime")
    fields = {"transcript": "before"}
    async with demo_page(
        program, goodbye(), hook="/send_input", mode="send", fields=fields
    ) as client:
        client.read("/transcript")
        await client.until(lambda: client.events)
        (line,) = client.events
        assert line.endswith("seconds")


# ------------------------------------------------------------------------- from Gradio's pages


async def test_gemini_audio_video() -> None:
    program = load("gemini_audio_video")
    async with gradio_call(program.stream.ui, program.stream.webrtc_component, goodbye()) as client:
        await client.until(lambda: has_answer(client) and len(client.video_frames) > 20)
        check_voice(client, "high")
        assert number_of(client.video_frames[-1][1]) > 10
        assert colour_of(client.video_frames[-1][1]) == pytest.approx((90, 90, 90), abs=12)
        assert program.service.connections[0].images >= 1
    assert not program.service.connections[0].is_open


async def test_gemini_conversation() -> None:
    program = load("gemini_conversation")
    teacher, student = program.teacher_stream, program.student_stream
    async with gradio_call(student.ui, student.webrtc_component) as client:
        await client.until(lambda: has_answer(client))
        check_voice(client)
    async with gradio_call(teacher.ui, teacher.webrtc_component, goodbye()) as client:
        await client.until(lambda: has_answer(client))
        check_voice(client, "low")


async def test_gpt_oss() -> None:
    program = load("gpt_oss")
    stream, values = program.stream, {"Token": "mine"}
    async with gradio_call(stream.ui, stream.webrtc_component, goodbye(), values) as client:
        component = client.page.component("webrtc")
        given = await client.page.call_server(component, "turn", None)
        assert given == {"iceServers": [ICE_SERVER]}
        await client.until(lambda: has_answer(client) and client.pages)
        check_voice(client)
        assert texts(client.pages[-1][labelled(client.page, "Chat")])[1:] == [
            "Goodbye.",
            "You said: Goodbye. ",
        ]
    async with gradio_call(stream.ui, stream.webrtc_component, goodbye()) as client:
        await client.until(lambda: any(each["type"] == "error" for each in client.messages))
        (error,) = (each for each in client.messages if each["type"] == "error")
        assert "token" in json.dumps(error)


@pytest.mark.filterwarnings("ignore:stream.. sends nothing to its output component")
async def test_integrated_textbox() -> None:
    program = load("integrated_textbox")
    values = {"Provider": "somebody", "Token": "mine", "Model": "large"}
    async with gradio_call(program.demo, program.webrtc, goodbye(), values) as client:
        chatbot = client.page.component("chatbot")
        await client.until(lambda: len(client.pages) == 2)
        assert texts(client.pages[-1][chatbot]) == [
            "Goodbye.",
            "You said: Goodbye., large of somebody",
        ]
        client.page.values[client.page.component("webrtc")]["textbox"] = "by hand"
        await client.page.dispatch(client.page.component("webrtc"), "submit")
        await client.until(lambda: len(client.pages) == 4)
        assert texts(client.pages[-1][chatbot])[2] == "by hand"


async def test_llama_code_editor() -> None:
    program = load("llama_code_editor")
    assert program.stream.ui is program.demo
    async with gradio_call(program.demo, program.webrtc, goodbye()) as client:
        await client.until(lambda: len(client.pages) == 2)
        code = client.page.component("code")
        assert client.pages[0][code] == program.WAITING
        assert client.pages[1][code] == "<!DOCTYPE html><html><body>Hello</body></html>"
        assert "1." in texts(client.pages[1][client.page.component("chatbot")])[1]


async def test_llm_voice_chat() -> None:
    program = load("llm_voice_chat")
    async with gradio_call(program.app, program.stream.webrtc_component, goodbye()) as client:
        await client.until(lambda: has_answer(client) and len(client.pages) == 2)
        check_voice(client)
        chat = client.pages[-1][client.page.component("chatbot")]
        assert texts(chat) == ["Goodbye.", "You said: Goodbye."]


async def test_moonshine_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "default-favicon.ico").write_bytes(b"\0\0\1\0")
    monkeypatch.chdir(tmp_path)
    program = load("moonshine_live")
    stream, values = program.stream, {"Captions": "Before."}
    async with gradio_call(stream.ui, stream.webrtc_component, goodbye(), values) as client:
        await client.until(lambda: client.pages)
        captions = client.pages[-1][labelled(client.page, "Captions")]
        assert plain(captions) == "Before.\nBefore.\nGoodbye."


@pytest.mark.filterwarnings("ignore:response.audio. takes the audio alone")
async def test_patient_intake() -> None:
    program = load("patient_intake")
    stream = program.stream
    async with gradio_call(stream.ui, stream.webrtc_component) as client:
        await client.until(lambda: has_answer(client) and len(client.pages) == 1)
        chatbot = client.page.component("chatbot")
        assert texts(client.pages[0][chatbot]) == ["When were you born?"]
        client.microphone.say(goodbye())
        await client.until(lambda: len(client.pages) == 4)
        client.microphone.say(goodbye())
        await client.until(lambda: len(client.pages) == 7)
        await client.ended.wait()
        said = texts(client.pages[-1][chatbot])
        assert said[-1] == program.STEPS["list_visit_reasons"]
        assert said[1:3] == ["Goodbye.", "verify_birthday({'said': 'Goodbye.'})"]


async def test_phonic_chat() -> None:
    program = load("phonic_chat")
    stream, values = program.stream, {"Voice": "high"}
    async with gradio_call(stream.ui, stream.webrtc_component, goodbye(), values) as client:
        await client.until(lambda: has_answer(client) and len(client.pages) >= 2)
        check_voice(client, "high")
        chat = client.pages[1][client.page.component("chatbot")]
        assert texts(chat) == ["a question", "an answer"]


async def test_the_button_of_send_text_or_audio() -> None:
    program = load("send_text_or_audio")
    stream = program.stream
    async with gradio_call(stream.ui, stream.webrtc_component) as client:
        page = client.page
        page.values[page.component("textbox")] = "by hand"
        await page.dispatch(page.component("button", "Send"), "click")
        await client.until(lambda: len(client.pages) == 2)
        chat = client.pages[-1][page.component("chatbot")]
        assert texts(chat) == ["by hand", "You said: by hand"]


async def test_the_page_of_talk_to_llama4_which_is_put_into_another() -> None:
    program = load("talk_to_llama4")
    async with gradio_call(program.demo, program.stream.webrtc_component, goodbye()) as client:
        await client.until(lambda: has_answer(client) and client.pages)
        chat = client.pages[0][client.page.component("chatbot")]
        assert texts(chat)[1:] == ["Goodbye.", "Yes, and here is why."]


# By the library with which Gradio reads recordings.
@pytest.mark.filterwarnings("ignore:unclosed file .*audio.wav:ResourceWarning")
async def test_the_page_of_talk_to_sambanova_which_shows_recordings() -> None:
    program = load("talk_to_sambanova")
    stream = program.stream
    async with gradio_call(stream.ui, stream.webrtc_component, goodbye()) as client:
        await client.until(lambda: len(client.pages) == 2)
        chat = client.pages[1][client.page.component("chatbot")]
        assert chat[0]["content"][0]["type"] == "component"
        assert texts(chat)[1] == "You said: Goodbye."
        client.microphone.say(goodbye())
        await client.until(lambda: len(client.pages) == 4)
        assert len(client.pages[3][client.page.component("chatbot")]) == 4


async def test_talk_to_smolagents() -> None:
    program = load("talk_to_smolagents")
    stream = program.stream
    async with gradio_call(stream.ui, stream.webrtc_component, goodbye()) as client:
        await client.until(lambda: has_answer(client))
        check_voice(client)
        assert "Goodbye." in plain(program.agent.llm.asked[0][0]["content"])


async def test_voice_text_editor() -> None:
    program = load("voice_text_editor")
    stream, values = program.stream, {"Document": "Dear all,"}
    async with gradio_call(stream.ui, stream.webrtc_component, goodbye(), values) as client:
        await client.until(lambda: client.pages)
        document = client.pages[-1][labelled(client.page, "Document")]
        assert plain(document) == "Dear all,\nGoodbye."


async def test_voice_text_editor_local() -> None:
    program = load("voice_text_editor_local")
    stream = program.stream
    async with gradio_call(stream.ui, stream.webrtc_component, goodbye()) as client:
        document = labelled(client.page, "Document")
        await client.until(lambda: client.pages)
        assert client.pages[-1][document] == "The model is not running."
        client.microphone.say(goodbye())
        await client.until(lambda: len(client.pages) == 2)
        assert client.pages[-1][document] == "the new text"
