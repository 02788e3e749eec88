"""Forks Python programs that find Gradio imported: ``fork_server.py DESCRIPTOR``.

The descriptor is a socket that `support.forked` asks over. A request comes with three file
descriptors: the program's standard input and its output, and a pipe for its id and its status.
"""

from __future__ import annotations

import ctypes
import json
import os
import runpy
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import gradio  # noqa: F401 - to have it imported, which is what takes the time

import gradio_webrtc  # noqa: F401 - the same

MAX_REQUEST = 1 << 17


def serve(requests: socket.socket) -> dict[str, Any] | None:
    """Forks until nobody can ask any more.

    Returns:
        A program's request, in the process that is to run it; ``None`` in this one.
    """
    assert threading.active_count() == 1, "a fork would lack these threads"
    # Nothing waits for the processes that wait for programs.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, MAX_REQUEST, 3)
        if not message:
            return None
        if os.fork() == 0:
            requests.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            become_program(*descriptors)
            request: dict[str, Any] = json.loads(message)
            return request
        for each in descriptors:
            os.close(each)


def become_program(stdin: int, stdout: int, status: int) -> None:
    """Forks once more, and returns in the new process alone; this one waits for its end."""
    pid = os.fork()
    if pid:
        os.write(status, f"{pid}\n".encode())
        _, code = os.waitpid(pid, 0)
        os.write(status, f"{os.waitstatus_to_exitcode(code)}\n".encode())
        os._exit(0)
    for source, target in ((stdin, 0), (stdout, 1), (stdout, 2)):
        os.dup2(source, target)
    for each in (stdin, stdout, status):
        os.close(each)


def enter(namespaces: list[str]) -> None:
    """Moves this process into namespaces, each named by its file."""
    libc = ctypes.CDLL(None, use_errno=True)
    for each in namespaces:
        with Path(each).open("rb") as file:
            if libc.setns(file.fileno(), 0):
                raise OSError(ctypes.get_errno(), f"cannot enter {each}")


def run(command: list[str], environment: dict[str, str]) -> None:
    """Runs a file of Python, or the source behind ``-c``, as the interpreter would."""
    os.environ.clear()
    os.environ.update(environment)
    if command[0] == "-c":
        sys.argv = ["-c", *command[2:]]
        exec(command[1], {"__name__": "__main__"})  # noqa: S102 - the test's own source
        return
    sys.argv = command
    sys.path[0] = os.path.dirname(command[0])  # noqa: PTH120 - as Python itself has it, a string
    runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        wanted = serve(asked)
    if wanted is not None:
        enter(wanted["namespaces"])
        run(wanted["command"], wanted["environment"])
