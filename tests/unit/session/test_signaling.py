"""Offers that cannot be answered are refused in words, at once, and never raise."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from aiortc import RTCPeerConnection
from support.offers import make_sdp
from support.serving import SessionServer
from support.transports import LineFactory

from gradio_webrtc import AsyncAudioVideoStreamHandler, ReplyOnPause
from gradio_webrtc._session.client_address import MAX_SESSION_CHARS, gradio_session_of
from gradio_webrtc._session.signaling import refusal_of
from gradio_webrtc._transport.webrtc.offer import read_candidate
from gradio_webrtc._ui.streaming import make_template
from gradio_webrtc.errors import (
    HandlerUnavailable,
    InvalidCandidate,
    SessionUnknown,
    TooManySessions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradio_webrtc.types import Modality, Mode


class Mirror(AsyncAudioVideoStreamHandler):
    async def receive(self, frame: Any) -> None:
        pass

    async def emit(self) -> None:
        return None

    async def video_receive(self, frame: Any) -> None:
        pass

    async def video_emit(self) -> None:
        return None

    def copy(self) -> Mirror:
        return Mirror()


FUNCTIONS: dict[str, Any] = {
    "audio": ReplyOnPause(lambda audio: audio),
    "video": lambda frame: frame,
    "audio-video": Mirror(),
}


def registry_of(modality: Modality, mode: Mode = "send-receive") -> tuple[SessionServer, list[Any]]:
    """A registry with one place, and the handlers that it made."""
    fn = FUNCTIONS[modality] if mode != "receive" or modality == "audio-video" else print
    template, made = make_template(fn, mode, modality), list[Any]()

    def make() -> Any:
        made.append(template.copy())
        return made[-1]

    manager = SessionServer()
    manager.serve(make, mode=mode, modality=modality)
    return manager, made


async def ask(manager: SessionServer, sdp: str, webrtc_id: Any = "client") -> dict[str, Any]:
    answer = await manager.handle_request({"type": "offer", "sdp": sdp, "webrtc_id": webrtc_id})
    json.dumps(answer, ensure_ascii=False).encode()
    return answer


def section(sdp: str, kind: str) -> str:
    """One media section, with all its lines."""
    (found,) = re.findall(rf"m={kind} .*?(?=m=|\Z)", sdp, re.DOTALL)
    return str(found)


def without(pattern: str) -> Callable[[str], str]:
    return lambda sdp: re.sub(rf"a={pattern}.*\r\n", "", sdp)


def going(direction: str) -> Callable[[str], str]:
    return lambda sdp: sdp.replace("a=sendrecv", f"a={direction}")


EXPECTS_AUDIO = "expected an offer in which the client sends audio"
EXPECTS_VIDEO = "expected an offer in which the client sends video"
EXPECTS_BOTH = "expected an offer in which the client sends audio or video"
PLAYS_AUDIO = "expected an offer in which the client receives audio"


@pytest.mark.parametrize(
    ("modality", "mode", "kinds", "change", "text"),
    [
        ("audio", "send-receive", [], str, f"{EXPECTS_AUDIO}; got a data channel alone"),
        ("video", "send", [], str, f"{EXPECTS_VIDEO}; got a data channel alone"),
        ("audio-video", "send-receive", [], str, f"{EXPECTS_BOTH}; got a data channel alone"),
        ("audio", "receive", [], str, f"{PLAYS_AUDIO}; got a data channel alone"),
        (
            "audio",
            "send-receive",
            ["audio"],
            going("recvonly"),
            f"{EXPECTS_AUDIO}; got audio recvonly",
        ),
        ("audio", "send", ["audio"], going("inactive"), f"{EXPECTS_AUDIO}; got audio inactive"),
        ("audio", "receive", ["audio"], going("sendonly"), f"{PLAYS_AUDIO}; got audio sendonly"),
        ("video", "send-receive", ["audio"], str, "Unsupported track kind 'audio' for modality"),
        (
            "video",
            "send-receive",
            ["audio"],
            going("recvonly"),
            f"{EXPECTS_VIDEO}; got audio recvonly",
        ),
        ("audio", "send-receive", ["audio"], without("rtpmap"), "none of its codecs is known here"),
        (
            "audio",
            "send-receive",
            ["audio"],
            lambda sdp: re.sub(r"(a=rtpmap:\d+) \w+/", r"\1 FOO/", sdp),
            "none of its codecs is known here",
        ),
        (
            "audio",
            "send-receive",
            ["audio"],
            lambda sdp: sdp.replace("m=audio", "m=foo"),
            "expected media sections of audio, video and application; got foo",
        ),
        (
            "audio",
            "send-receive",
            ["audio"],
            lambda sdp: sdp + section(sdp, "audio"),
            "two media sections with the a=mid '0'",
        ),
        (
            "audio",
            "send-receive",
            ["audio"],
            lambda sdp: sdp + section(sdp, "application").replace("a=mid:1", "a=mid:2"),
            "at most one data channel section, got 2",
        ),
        ("audio", "send-receive", ["audio"], without("fingerprint"), "has no a=fingerprint"),
        ("audio", "send-receive", ["audio"], without("setup"), "has no a=setup"),
        ("audio", "send-receive", ["audio"], without("rtcp-mux"), "has no a=rtcp-mux"),
        ("audio", "send-receive", ["audio"], without("mid:1"), "expected an a=mid in each"),
        (
            "audio",
            "send-receive",
            ["audio"],
            lambda sdp: sdp.replace("BUNDLE 0", "BUNDLE 7"),
            "expected a=group:BUNDLE of media sections, got '7'",
        ),
        ("audio", "send-receive", ["audio"], without("ice-pwd"), "has no a=ice-ufrag"),
        (
            "audio",
            "send-receive",
            ["audio"],
            lambda sdp: sdp.replace("a=mid:0", "a=mid:\ud800"),
            "text that is not Unicode",
        ),
        ("audio", "send-receive", [], lambda _: "v=0\r\nm=\r\n", "cannot read this offer"),
        ("audio", "send-receive", [], lambda _: "v=0\r\nm=audio\r\n", "cannot read this offer"),
        (
            "audio",
            "send-receive",
            ["audio"],
            lambda sdp: re.sub(r"a=rtpmap:.*", "a=rtpmap:x", sdp),
            "cannot read this offer",
        ),
        (
            "audio",
            "send-receive",
            ["audio"],
            lambda sdp: re.sub(r"a=rtpmap:\d+", "a=rtpmap:96", sdp),
            "codecs with the payload type 96",
        ),
        (
            "audio",
            "send-receive",
            ["audio"],
            lambda sdp: re.sub(r"a=rtpmap:\d+", "a=rtpmap:128", sdp),
            "cannot read this offer",
        ),
        (
            "audio",
            "send-receive",
            ["audio"],
            lambda sdp: sdp + "a=x\r\n" * 3000,
            "at most 2048 lines of SDP",
        ),
        (
            "audio",
            "send-receive",
            ["audio"],
            lambda sdp: sdp + "a=extmap:1 urn:x\r\n" * 300,
            "at most 128 lines with a=extmap:",
        ),
    ],
)
async def test_an_offer_that_cannot_be_answered_is_refused_in_words(
    modality: Modality, mode: Mode, kinds: list[str], change: Callable[[str], str], text: str
) -> None:
    manager, made = registry_of(modality, mode)
    sdp = await make_sdp(*kinds)
    answer = await ask(manager, change(sdp))
    assert answer["status"] == "failed"
    assert answer["meta"]["error"] == "invalid_offer"
    assert text in answer["meta"]["message"]
    assert len(manager) == 0, "the place is free at once"
    assert made == [] or "codecs" in text or "password" in text


@pytest.mark.parametrize("kind", ["audio", "video"])
async def test_a_client_with_one_of_two_media_is_let_in(kind: str) -> None:
    manager, _ = registry_of("audio-video")
    answer = await ask(manager, await make_sdp(kind))
    await manager.close()
    assert re.findall(r"m=(\w+)", answer["sdp"]) == [kind, "application"]


@pytest.mark.parametrize(
    ("mode", "for_all", "direction"),
    [("send-receive", "", "sendrecv"), ("send", "a=sendonly\r\n", "recvonly")],
)
async def test_a_direction_need_not_be_said(mode: Mode, for_all: str, direction: str) -> None:
    manager, _ = registry_of("audio", mode)
    sdp = without("sendrecv")(await make_sdp("audio")).replace("m=", f"{for_all}m=", 1)
    answer = await ask(manager, sdp)
    await manager.close()
    assert f"a={direction}\r\n" in section(answer["sdp"], "audio")


@pytest.mark.parametrize(
    "webrtc_id",
    ["", "x" * 129, "\ud800", "a\nb", "a\n", "a b", "é", "__webrtc_value__", 7, ["x"], {"a": "b"}],
)
async def test_what_is_no_id_is_refused(webrtc_id: Any) -> None:
    manager, _ = registry_of("audio")
    answer = await ask(manager, await make_sdp("audio"), webrtc_id)
    assert answer["meta"]["error"] == "invalid_offer"
    assert "webrtc_id" in answer["meta"]["message"]
    assert len(manager) == 0


@pytest.mark.parametrize("kind", [["x"] * 100_000, "x" * 100_000, "\ud800", None, 7])
async def test_a_request_of_no_known_type_is_refused_briefly(kind: Any) -> None:
    manager, _ = registry_of("audio")
    answer = await manager.handle_request({"type": kind, "webrtc_id": "client"})
    assert answer["meta"]["error"] == "invalid_offer"
    assert len(json.dumps(answer, ensure_ascii=False).encode()) < 300


async def test_a_secret_of_any_kind_is_only_a_wrong_one() -> None:
    manager, _ = registry_of("audio")
    await ask(manager, await make_sdp("audio"))
    for secret in ("\ud800", "x" * 100_000, None, 7, ["x"]):
        request = {"type": "close", "webrtc_id": "client", "secret": secret}
        assert (await manager.handle_request(request))["meta"]["error"] == "unknown_connection"
    await manager.close()


@pytest.mark.parametrize("place", [{"sdpMid": ["x"]}, {"sdpMLineIndex": {}}, {"sdpMid": 7}])
async def test_a_candidate_of_no_place_is_refused(place: dict[str, Any]) -> None:
    manager, _ = registry_of("audio")
    answer = await ask(manager, await make_sdp("audio"))
    refusal = await manager.handle_request(
        {
            "type": "ice-candidate",
            "candidate": {"candidate": "candidate:1 1 UDP 1 127.0.0.1 9 typ host", **place},
            **{name: answer[name] for name in ("webrtc_id", "secret")},
        }
    )
    await manager.close()
    assert refusal["meta"]["error"] == "invalid_candidate_format"


@pytest.mark.parametrize("long", ["candidate", "sdpMid"])
async def test_a_candidate_is_no_longer_than_candidates_are(long: str) -> None:
    candidate = {"candidate": "candidate:1 1 UDP 1 127.0.0.1 9 typ host", "sdpMid": "0"}
    given = candidate[long].replace("1", "1" * 2000, 1) + "x" * 2000
    with pytest.raises(InvalidCandidate):
        read_candidate(candidate | {long: given})


def test_a_page_with_a_long_name_is_kept_short() -> None:
    first, same, other = (
        gradio_session_of(SimpleNamespace(session_hash="\ud800" * 1_000_000 + last))
        for last in "112"
    )
    assert first == same != other
    assert first is not None
    assert len(first) <= MAX_SESSION_CHARS
    assert gradio_session_of(SimpleNamespace(session_hash="x5j2")) == "x5j2"


async def test_whatever_else_goes_wrong_is_a_refusal_and_in_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager, _ = registry_of("audio")
    sdp = await make_sdp("audio")

    async def fail(*_: Any) -> None:
        raise AttributeError("password is hunter2")

    with monkeypatch.context() as patch:
        patch.setattr(RTCPeerConnection, "createAnswer", fail)
        answer = await ask(manager, sdp)
    assert answer["meta"]["error"] == "server_error"
    assert "hunter2" not in str(answer)
    assert "see the server's log" in answer["meta"]["message"]
    (record,) = (each for each in caplog.records if each.levelno == logging.ERROR)
    mark = record.getMessage().split(":")[0]
    assert re.fullmatch("[0-9a-f]{8}", mark)
    assert mark in answer["meta"]["message"]
    assert record.exc_info is not None
    assert len(manager) == 0, "the place is free at once"
    assert (await ask(manager, sdp))["type"] == "answer"
    await manager.close()


async def test_candidates_are_for_sessions_over_webrtc_alone() -> None:
    manager, _ = registry_of("audio")
    names, session = await manager.admit(LineFactory())
    body = {"webrtc_id": names.session_id, "secret": session.secret}
    for kind in ("candidates", "ice-candidate"):
        answer = await manager.handle_request({**body, "type": kind, "candidate": None})
        assert answer["meta"]["error"] == SessionUnknown.code
        assert not session.is_over
    assert await manager.handle_request({**body, "type": "close"}) == {"status": "success"}
    await manager.close()


async def test_a_session_that_is_over_has_no_candidates() -> None:
    manager, _ = registry_of("audio")
    names, session = await manager.admit(LineFactory())
    await manager.close()
    body = {"type": "close", "webrtc_id": names.session_id, "secret": session.secret}
    assert (await manager.handle_request(body))["meta"]["error"] == SessionUnknown.code


async def test_a_refusal_has_its_limit_and_its_title() -> None:
    assert refusal_of(TooManySessions(3))["meta"]["limit"] == 3
    assert refusal_of(HandlerUnavailable("text", "title"))["meta"] == {
        "error": HandlerUnavailable.code,
        "message": "text",
        "title": "title",
    }
    assert set(refusal_of(HandlerUnavailable("text"))["meta"]) == {"error", "message"}


@pytest.mark.parametrize("body", [None, 7, "offer", ["offer"]])
async def test_a_request_of_no_known_form_is_refused(body: Any) -> None:
    manager, made = registry_of("audio")
    answer = await manager.handle_request(body)
    assert answer["meta"]["error"] == "invalid_offer"
    assert "expected a JSON object" in answer["meta"]["message"]
    assert made == []


# ------------------------------------------------------------------------------ links


async def ask_link(manager: SessionServer, **body: Any) -> dict[str, Any]:
    asked = {"type": "link", "audio": {"codecs": ["opus"]}, "video": ["jpeg"], **body}
    answer = await manager.handle_request(asked)
    json.dumps(answer)
    return answer


async def test_a_link_is_admitted_as_any_session_and_found_by_its_secret() -> None:
    manager, made = registry_of("audio")
    answer = await ask_link(manager, webrtc_id="mine")
    assert answer["audio"] == {"codec": "opus", "rate": 48_000}
    assert len(made) == 1
    secret = answer["secret"]
    link = manager.signaling.find_link(answer["webrtc_id"], secret)
    assert manager.signaling.find_link("mine", secret) is link
    for webrtc_id, wrong in (("other", secret), ("mine", "wrong"), ("mine", None), (None, secret)):
        with pytest.raises(SessionUnknown):
            manager.signaling.find_link(webrtc_id, wrong)
    assert (await ask_link(manager))["meta"]["error"] == "concurrency_limit_reached"
    link.hang_up()
    with pytest.raises(SessionUnknown):
        manager.signaling.find_link("mine", secret)
    await manager.wait_idle()


async def test_a_link_belongs_to_the_event_loop_of_its_session() -> None:
    manager, _ = registry_of("audio")
    answer = await ask_link(manager)

    async def find_elsewhere() -> None:
        manager.signaling.find_link(answer["webrtc_id"], answer["secret"])

    with pytest.raises(SessionUnknown):
        await asyncio.to_thread(lambda: asyncio.run(find_elsewhere()))
    manager.signaling.find_link(answer["webrtc_id"], answer["secret"]).hang_up()
    await manager.wait_idle()


async def test_a_link_that_is_refused_leaves_nothing() -> None:
    manager, made = registry_of("audio")
    refused = await ask_link(manager, audio=None)
    assert refused["meta"]["error"] == "invalid_offer"
    assert (len(manager), made) == (0, [])


async def test_a_link_has_no_candidates_but_its_client_may_ask() -> None:
    manager, _ = registry_of("audio")
    answer = await ask_link(manager)
    names = {"webrtc_id": answer["webrtc_id"], "secret": answer["secret"]}
    assert await manager.handle_request({"type": "candidates", **names}) == {"candidates": []}
    asked = {"type": "ice-candidate", "candidate": {"candidate": ""}, **names}
    refused = await manager.handle_request(asked)
    assert refused["meta"]["error"] == "unknown_connection"
    await manager.handle_request({"type": "close", **names})
    await manager.wait_idle()


async def test_a_place_is_free_once_the_goodbye_is_answered() -> None:
    manager, _ = registry_of("audio")
    for _ in range(5):
        answer = await ask_link(manager)
        assert "secret" in answer, answer
        names = {"webrtc_id": answer["webrtc_id"], "secret": answer["secret"]}
        reply = await manager.handle_request({"type": "close", **names})
        assert reply == {"status": "success"}
    await manager.wait_idle()


async def test_a_webrtc_session_has_no_link() -> None:
    manager, _ = registry_of("audio")
    answer = await ask(manager, await make_sdp("audio"))
    with pytest.raises(SessionUnknown):
        manager.signaling.find_link(answer["webrtc_id"], answer["secret"])
    await manager.close()
