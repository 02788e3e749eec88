"""An audio server that plays into nothing: PulseAudio, for a machine without a loudspeaker.

Firefox's Web Audio takes its time from a loudspeaker, and stands still without one. Chromium has
one of its own making.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_LIMIT_S = 60.0
"""A machine busy with other work takes seconds to start it."""

_SETTINGS = """
load-module module-null-sink rate=48000
load-module module-native-protocol-unix socket={socket} auth-anonymous=1
"""
_STARTED = "Daemon startup complete"


@contextmanager
def audio_server(folder: Path) -> Iterator[str]:
    """Runs an audio server until the block ends.

    Args:
        folder: An empty one, for its files.

    Yields:
        Its address, as clients have it in the variable ``PULSE_SERVER``.
    """
    program = shutil.which("pulseaudio")
    if program is None:
        raise AssertionError("PulseAudio is needed: sudo apt-get install pulseaudio")
    socket = folder / "socket"
    settings = folder / "settings.pa"
    settings.write_text(_SETTINGS.format(socket=socket), encoding="utf-8")
    options = ("-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm", "--log-level=info")
    with subprocess.Popen(
        [program, *options, "--use-pid-file=no", "-F", str(settings)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | dict.fromkeys(("HOME", "XDG_RUNTIME_DIR"), str(folder)),
    ) as process:
        lines: list[str] = []
        has_started = threading.Event()
        reader = threading.Thread(target=_follow, args=(process, lines, has_started))
        reader.start()
        try:
            has_started.wait(START_LIMIT_S)
            assert any(_STARTED in line for line in lines), "".join(lines)
            yield f"unix:{socket}"
        finally:
            process.terminate()
            reader.join()


def _follow(process: subprocess.Popen[str], lines: list[str], has_started: threading.Event) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line)
        if _STARTED in line:
            has_started.set()
    has_started.set()
