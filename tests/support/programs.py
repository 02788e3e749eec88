"""Runs Gradio programs in a process of their own, as users would, reachable on 127.0.0.1 alone."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .forked import Forked, start
from .notes import read_notes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .networks import Network

ROOT = Path(__file__).resolve().parents[2]
_LAUNCHER = Path(__file__).with_name("launch_on_loopback.py")
_ADDRESS = re.compile(
    r"(?:Running on local URL:|Uvicorn running on)\s+(http://[\w.]+:\d+(?:/[\w/]*)?)"
)

START_LIMIT_S = 100.0
"""A machine busy with other work takes long to import Gradio and load two models."""

MAX_SHOWN = 400
"""Of a line, in a failure's message: some notes carry a second of audio."""

NEWS_LIMIT_S = 60.0
"""The time that something which a test waits for may take."""

STOP_LIMIT_S = 20.0
"""The time that a process may take to end after Ctrl-C before that counts as hanging."""


class Programs:
    """Programs that run in one process, each with a server and an address of its own."""

    def __init__(self, process: Forked, names: Sequence[str]) -> None:
        self._process = process
        self._names = names
        self._lines: list[str] = []
        self._addresses: list[str] = []
        self._news = threading.Condition()
        self._has_ended = False

    def _serves(self, number: int) -> bool:
        return len(self._addresses) > number or self._has_ended

    @property
    def output(self) -> str:
        """Everything the process has written so far, to either stream; long lines are cut."""
        return "".join(
            line if len(line) <= MAX_SHOWN else f"{line[:MAX_SHOWN]}…\n" for line in self._lines
        )

    def url(self, program: int | str = 0) -> str:
        """The address of a program, named by its file or its place; waits until it serves.

        Raises:
            AssertionError: The process ended, or took longer than `START_LIMIT_S`.
        """
        number = self._names.index(program) if isinstance(program, str) else program
        with self._news:
            self._news.wait_for(lambda: self._serves(number), START_LIMIT_S)
        assert len(self._addresses) > number, f"the program did not start:\n{self.output}"
        return self._addresses[number]

    def notes(self, name: str) -> list[dict[str, Any]]:
        """The values of the notes of this name so far, see `notes.note`."""
        return read_notes(self._lines, name)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds; it is looked at whenever a line has been written.

        Raises:
            AssertionError: It took longer than `NEWS_LIMIT_S`.
        """
        with self._news:
            assert self._news.wait_for(condition, NEWS_LIMIT_S), f"in vain:\n{self.output}"

    def follow(self) -> None:
        """Collect the output until the process ends; blocks, so give it a thread."""
        for written in self._process.stdout:
            line = written.decode()
            address = _ADDRESS.search(line)
            with self._news:
                self._lines.append(line)
                if address:
                    self._addresses.append(address[1])
                self._news.notify_all()
        with self._news:
            self._has_ended = True
            self._news.notify_all()

    def kill(self) -> None:
        """End the process as a crash does: without a word to its clients."""
        self._process.kill()
        self._process.wait()

    def interrupt(self) -> None:
        """Press Ctrl-C and wait until the process has ended.

        In the middle of starting a program it would write the traceback that Python has for that.

        Raises:
            AssertionError: It had to be killed.
        """
        with self._news:
            self._news.wait_for(lambda: self._serves(len(self._names) - 1), START_LIMIT_S)
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"hung on Ctrl-C:\n{self.output}") from None


@contextmanager
def running(
    *programs: Path,
    prelude: str = "",
    environment: Mapping[str, str] | None = None,
    network: Network | None = None,
) -> Iterator[Programs]:
    """Run `programs` until the block ends. They share a process, since loading models is slow.

    Args:
        programs: Python files, each of which launches one Gradio page.
        prelude: Python source whose names the programs find as their globals.
        environment: Variables for their process, beside the usual ones.
        network: The network in which they run; by default the machine's.

    Raises:
        AssertionError: One of them wrote a traceback, or did not end when it was interrupted.
    """
    command = [str(_LAUNCHER), prelude, *map(str, programs)]
    variables = os.environ | {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONUNBUFFERED": "1",
        **(environment or {}),
    }
    with start(command, variables, network.namespaces if network else ()) as process:
        started = Programs(process, [program.name for program in programs])
        reader = threading.Thread(target=started.follow)
        reader.start()
        try:
            yield started
        finally:
            started.interrupt()
            reader.join()
    assert "Traceback" not in started.output, started.output
