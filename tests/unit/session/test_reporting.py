"""Text of a client reaches the log as one line."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gradio_webrtc._messages import MAX_LOGGED_CHARS, printable
from gradio_webrtc._session.reporting import report_error
from gradio_webrtc.errors import WebRTCError

if TYPE_CHECKING:
    import pytest

FORGED = "no voice\nERROR root: all is lost \x1b[2J\x9b\u2028\u202e\ud800"


def test_words_of_an_error_forge_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    reported = report_error(WebRTCError(FORGED), "the handler of a call", "the call goes on")
    (record,) = (each for each in caplog.records if each.levelno == logging.WARNING)
    assert record.getMessage().isprintable()
    assert r"no voice\nERROR" in record.getMessage()
    assert reported is not None
    assert reported.text == FORGED, "the page gets the words themselves"


def test_a_log_is_not_filled_by_one_text() -> None:
    assert len(printable("x" * 1_000_000)) == MAX_LOGGED_CHARS + 1
    assert printable("Grüße, 你好") == "Grüße, 你好"
