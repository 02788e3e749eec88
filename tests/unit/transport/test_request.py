"""Requests for a link: the media that both sides have, or a refusal that names what is missing."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from gradio_webrtc._config import SessionConfig
from gradio_webrtc._transport.link import LinkTerms, read_link_request, request
from gradio_webrtc.errors import InvalidOffer

BOTH = {"codecs": ["opus", "pcm16"]}


def read(config: SessionConfig | None = None, **body: Any) -> LinkTerms:
    return read_link_request({"type": "link", **body}, config or SessionConfig())


def test_the_first_codec_of_the_client_that_is_here_is_chosen() -> None:
    assert read(audio=BOTH) == LinkTerms("opus", 48_000)
    assert read(audio={"codecs": ["flac", "pcm16", "opus"]}) == LinkTerms("pcm16", 24_000)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_a_client_chooses_the_rate_of_samples(rate_hz: int) -> None:
    terms = read(audio={"codecs": ["pcm16"], "rate": rate_hz})
    assert terms.answer()["audio"] == {"codec": "pcm16", "rate": rate_hz}


@pytest.mark.parametrize("rate", [0, 7_950, 44_099, 48_050, -1, True, "24000", 24_000.0, None, []])
def test_other_rates_are_refused(rate: Any) -> None:
    with pytest.raises(InvalidOffer, match="expected a rate"):
        read(audio={"codecs": ["pcm16"], "rate": rate})


@pytest.mark.parametrize(
    "asked",
    [None, {}, [], "opus", {"codecs": "opus"}, {"codecs": [1]}, {"codecs": ["opus"] * 17}],
)
def test_a_request_without_a_codec_is_refused(asked: Any) -> None:
    with pytest.raises(InvalidOffer, match="expected audio"):
        read(audio=asked)


@pytest.mark.parametrize("asked", [None, [], ["vp8"], "jpeg", {"jpeg": 1}])
def test_video_without_jpeg_is_refused(asked: Any) -> None:
    with pytest.raises(InvalidOffer, match="expected video"):
        read(SessionConfig(modality="video"), video=asked)


def test_the_answer_has_the_media_of_the_modality() -> None:
    video = read(SessionConfig(modality="video"), video=["jpeg"], audio=BOTH)
    answer = {"type": "link", "audio": None, "video": "jpeg", "websocket": True}
    assert video.answer() == answer
    both = read(SessionConfig(modality="audio-video"), video=["jpeg"], audio=BOTH)
    opus = {"codec": "opus", "rate": 48_000}
    assert both.answer() == {**answer, "audio": opus}
    assert read(video=["jpeg"], audio=BOTH).answer()["video"] is None


def test_a_component_without_fallback_refuses_all() -> None:
    with pytest.raises(InvalidOffer, match='fallback="never"'):
        read(SessionConfig(fallback="never"), audio=BOTH)


def test_a_server_without_websockets_reports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    request.serves_websockets.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: name == "wsproto" or None)
        assert LinkTerms("opus").answer()["websocket"] is True
        request.serves_websockets.cache_clear()
        patch.setattr(importlib.util, "find_spec", lambda _name: None)
        assert LinkTerms("opus").answer()["websocket"] is False
    request.serves_websockets.cache_clear()
    assert LinkTerms("opus").answer()["websocket"] is True
