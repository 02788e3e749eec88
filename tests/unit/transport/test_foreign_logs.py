"""Lines of aiortc's and aioice's loggers, which quote what a remote peer sent."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from typing import TYPE_CHECKING

import aioice.ice
import aiortc.rtcpeerconnection
import aiortc.rtcrtpreceiver

from gradio_webrtc._transport.webrtc.foreign_logs import PACKAGES, ForeignLines, filter_foreign_logs
from gradio_webrtc._transport.webrtc.quiet_log import INTERVAL_S

if TYPE_CHECKING:
    import pytest


def record(level: int, line: int, message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("aiortc.x", level, "/x.py", line, message, args, None)


def test_a_warning_of_a_place_passes_once_a_minute_with_how_many_did_not() -> None:
    now = [0.0]
    lines = ForeignLines(lambda: now[0])
    assert lines.filter(record(logging.WARNING, 1, "first"))
    assert not any(lines.filter(record(logging.WARNING, 1, "more")) for _ in range(99))
    assert lines.filter(record(logging.WARNING, 2, "another place"))
    assert all(lines.filter(record(logging.DEBUG, 1, "whoever asks")) for _ in range(9))
    now[0] += INTERVAL_S
    later = record(logging.WARNING, 1, "later")
    assert lines.filter(later)
    assert later.getMessage() == "later (99 more since the last line)"


def test_what_came_over_the_network_is_one_line() -> None:
    injected = record(logging.INFO, 1, "check of %s", "x\n2026-01-01 ERROR root\x1b[2J 100%d")
    assert ForeignLines().filter(injected)
    assert injected.getMessage() == "check of x\\n2026-01-01 ERROR root\\x1b[2J 100%d"


def test_every_logger_of_theirs_is_filtered(caplog: pytest.LogCaptureFixture) -> None:
    filter_foreign_logs()
    filter_foreign_logs()
    for module in (aioice.ice, aiortc.rtcpeerconnection, aiortc.rtcrtpreceiver):
        assert len(module.logger.filters) == 1
        assert module.logger.name.partition(".")[0] in PACKAGES
    with caplog.at_level(logging.INFO):
        aioice.ice.logger.info("from %s", "a\nb")
    assert caplog.messages == ["from a\\nb"]


async def test_a_server_without_descriptors_logs_it_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    filter_foreign_logs()
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        listener.settimeout(0)
        server = await asyncio.start_server(lambda *_: None, sock=listener, backlog=50)

        def refuse(*_: object) -> None:
            raise OSError(errno.EMFILE, "too many open files")

        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "accept", refuse)
            loop._accept_connection(asyncio.Protocol, listener, backlog=50)  # type: ignore[attr-defined]  # noqa: SLF001
        loop.call_exception_handler({"message": "of another kind"})
        server.close()
    assert [each.getMessage().partition("\\n")[0] for each in caplog.records] == [
        "socket.accept() out of system resource",
        "of another kind",
    ]
    assert caplog.records[0].exc_info is None
