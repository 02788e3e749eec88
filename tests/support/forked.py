"""Python programs as processes that need not import Gradio, which takes seconds of a processor.

They are forks of one process that has imported it; see `support.fork_server`. Otherwise they are
what a command line would start: their own arguments, environment, signals and exit status.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SERVER = Path(__file__).with_name("fork_server.py")


class Forked:
    """A running program, with the part of `subprocess.Popen` that the tests use."""

    def __init__(self, stdin: IO[bytes], stdout: IO[bytes], status: IO[bytes]) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.returncode: int | None = None
        self._status = status
        self.pid = int(status.readline())

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless the program has ended."""
        if self.returncode is None:
            # Other code that waits for it may have noticed its end already.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends the program whatever it does."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once the program has ended.

        Raises:
            subprocess.TimeoutExpired: It goes on, after so many seconds.
        """
        if self.returncode is None:
            readable, _, _ = select.select([self._status], [], [], timeout)
            if not readable:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            self.returncode = int(self._status.readline())
        return self.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Closes its pipes, and waits until it has ended, as `subprocess.Popen` does."""
        self.stdin.close()
        self.wait()
        self.stdout.close()
        self._status.close()


def start(
    command: Sequence[str], environment: Mapping[str, str], namespaces: Sequence[str] = ()
) -> Forked:
    """Begins a Python file, or a source behind ``-c``, with the arguments behind it.

    Args:
        command: The words behind ``python`` on a command line.
        environment: All variables of the program. Those that Gradio reads when it is imported have
            the values of this process.
        namespaces: The files of the namespaces that it enters, see `support.networks`.
    """
    stdin, our_stdin = os.pipe()
    our_stdout, stdout = os.pipe()
    our_status, status = os.pipe()
    theirs = (stdin, stdout, status)
    request = {
        "command": list(command),
        "environment": dict(environment),
        "namespaces": list(namespaces),
    }
    try:
        socket.send_fds(_server(), [json.dumps(request).encode()], theirs)
    finally:
        for each in theirs:
            os.close(each)
    return Forked(
        os.fdopen(our_stdin, "wb", 0), os.fdopen(our_stdout, "rb"), os.fdopen(our_status, "rb", 0)
    )


def run(*command: str, timeout: float | None = None) -> tuple[int, str]:
    """Runs a Python program to its end.

    Args:
        command: The words behind ``python`` on a command line.
        timeout: After so many seconds it is killed.

    Returns:
        The exit status, and all that it wrote.

    Raises:
        subprocess.TimeoutExpired: It was killed.
    """
    with start(command, os.environ) as process:
        killer = threading.Timer(timeout or threading.TIMEOUT_MAX, process.kill)
        killer.daemon = True
        killer.start()
        written = process.stdout.read().decode()
        status = process.wait()
        killer.cancel()
    if status == -signal.SIGKILL:
        raise subprocess.TimeoutExpired(command, timeout or 0.0, written)
    return status, written


@functools.cache
def _server() -> socket.socket:
    """The socket of a process that starts programs, and that ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-u", str(SERVER), str(theirs.fileno())],
            env=variables,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours
