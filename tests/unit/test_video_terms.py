"""`video_bitrate` and `codec_preferences`: what is read, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from gradio_webrtc._video_terms import DEFAULT_VIDEO_TERMS, LEAST_BITS, read_video_terms


def test_nothing_is_the_default() -> None:
    assert read_video_terms(None, None) == DEFAULT_VIDEO_TERMS


def test_one_number_is_the_most_and_the_first() -> None:
    assert read_video_terms(1_500_000, None).bitrate == (LEAST_BITS, 1_500_000, 1_500_000)
    assert read_video_terms(5e5, None).bitrate == (LEAST_BITS, 500_000, 500_000)


def test_three_are_the_least_the_first_and_the_most() -> None:
    assert read_video_terms((200_000, 8e5, 1_500_000), None).bitrate == (2e5, 8e5, 1.5e6)
    assert read_video_terms([100_000] * 3, None).bitrate == (100_000,) * 3


@pytest.mark.parametrize(
    ("given", "codecs"),
    [
        (["H264", "VP8"], ("H264", "VP8")),
        (("video/VP8",), ("VP8",)),
        (["h264", "VIDEO/H264", "vp8"], ("H264", "VP8")),
        ([], ()),
    ],
)
def test_codecs_are_named_as_in_mime_types_in_any_case(given: Any, codecs: tuple[str, ...]) -> None:
    assert read_video_terms(None, given).codecs == codecs


@pytest.mark.parametrize(
    ("bitrate", "codecs", "error", "text"),
    [
        ("1M", None, TypeError, "video_bitrate must be the most bits a second"),
        (True, None, TypeError, "got True"),
        (1500, None, ValueError, "from 30,000 to 50,000,000 bits a second; got 1500"),
        (6e7, None, ValueError, "from 30,000"),
        (float("nan"), None, ValueError, "from 30,000"),
        ((500_000, 900_000), None, ValueError, "the least, the first and the most"),
        ((900_000, 500_000, 1_000_000), None, ValueError, "none below the one before"),
        ((100_000, "x", 1_000_000), None, TypeError, "got .100000"),
        (None, "H264", TypeError, "list of video codecs"),
        (None, [1], TypeError, "list of video codecs"),
        (None, ["VP9"], ValueError, "of VP8 and H264; got 'VP9'"),
        (None, ["audio/opus"], ValueError, "got 'audio/opus'"),
        (None, {"H264": 1}, TypeError, "list of video codecs"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    bitrate: Any, codecs: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        read_video_terms(bitrate, codecs)
