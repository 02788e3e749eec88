"""Runs a Gradio program in a process of its own, as a user would, reachable on 127.0.0.1 alone."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LAUNCHER = Path(__file__).with_name("launch_on_loopback.py")
_ADDRESS = re.compile(r"Running on local URL:\s+(http://\S+)")

START_LIMIT_S = 90.0
"""A machine busy with other work takes long to import Gradio and load two models."""

STOP_LIMIT_S = 20.0
"""What a program may take to end after Ctrl-C before that counts as hanging."""


@dataclass
class Program:
    """A running program.

    Attributes:
        url: Where its page is.
        lines: What it has written so far, to either stream, a line at a time.
    """

    process: subprocess.Popen[str]
    url: str = ""
    lines: list[str] = field(default_factory=list)
    _started: threading.Event = field(default_factory=threading.Event)

    @property
    def output(self) -> str:
        """Everything written so far."""
        return "".join(self.lines)

    def follow(self) -> None:
        """Collect the program's output until it ends; blocks, so give it a thread."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if address := _ADDRESS.search(line):
                self.url = address[1]
                self._started.set()
        self._started.set()  # it ended: whoever waits shall see that there is no address

    def wait_for_address(self) -> None:
        """Return when the page can be opened; fail with the output when it never can."""
        self._started.wait(START_LIMIT_S)
        if not self.url:
            raise AssertionError(f"the program did not start:\n{self.output}")


@contextmanager
def running(program: Path, *, prelude: str = "") -> Iterator[Program]:
    """Run `program` until the block ends, then interrupt it as Ctrl-C would.

    Args:
        program: A Python file that launches a Gradio page.
        prelude: Python source whose names the program finds as its globals.

    Raises:
        AssertionError: When it does not start, or does not end when it is interrupted.
    """
    environment = os.environ | {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        [sys.executable, str(_LAUNCHER), str(program), prelude],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    started = Program(process)
    reader = threading.Thread(target=started.follow, daemon=True)
    reader.start()
    try:
        started.wait_for_address()
        yield started
    finally:
        _interrupt(started)
        reader.join(STOP_LIMIT_S)


def _interrupt(program: Program) -> None:
    process = program.process
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise AssertionError(f"the program hung on Ctrl-C:\n{program.output}") from None
