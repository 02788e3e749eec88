"""A real TURN server of Debian's package coturn, on 127.0.0.1 alone."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER, CREDENTIAL = "client", "pass-of-the-relay"

START_LIMIT_S = 60.0
"""A machine busy with other work takes seconds to start it."""


class TurnServer:
    """A running server.

    Attributes:
        port: The port on which it listens, for UDP and for TCP.
        lines: The lines that it has written so far.
    """

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.port = port
        self.lines: list[str] = []
        self._process = process
        self._listens = threading.Event()

    def ice_server(self, transport: str, credential: str = CREDENTIAL) -> dict[str, Any]:
        """The server as an RTCIceServer; ``transport`` is "udp" or "tcp"."""
        urls = f"turn:127.0.0.1:{self.port}?transport={transport}"
        return {"urls": urls, "username": USER, "credential": credential}

    def follow(self) -> None:
        """Collects what the server writes until it ends; blocks, so give it a thread."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line)
            if "Total General servers" in line:
                self._listens.set()
        self._listens.set()  # it ended: whoever waits shall find that it does not listen

    def wait_until_it_listens(self) -> None:
        """Returns when it can be asked; fails with its output when it never can."""
        self._listens.wait(START_LIMIT_S)
        if not any("Total General servers" in line for line in self.lines):
            raise AssertionError(f"turnserver did not start:\n{''.join(self.lines)}")


@contextmanager
def turn_server(folder: Path) -> Iterator[TurnServer]:
    """Runs a server until the block ends; ``folder`` takes its files."""
    port = free_port()
    options = {
        "listening-ip": "127.0.0.1",
        "relay-ip": "127.0.0.1",
        "listening-port": port,
        "user": f"{USER}:{CREDENTIAL}",
        "realm": "example.test",
        "log-file": "stdout",
        "pidfile": folder / "pid",
        "userdb": folder / "users",
    }
    # Without a configuration file; one of its own would be the machine's.
    switches = ["-n", "-v", "--lt-cred-mech", "--no-cli", "--no-tls", "--no-dtls"]
    # Peers on 127.0.0.1 are refused unless asked for: here everybody is one.
    switches.append("--allow-loopback-peers")
    arguments = [f"--{name}={value}" for name, value in options.items()]
    with _running([_program(), *switches, *arguments], port) as server:
        yield server


@contextmanager
def configured_turn_server(configuration: Path, port: int) -> Iterator[TurnServer]:
    """Runs a server with a configuration file until the block ends; it listens on ``port``."""
    with _running([_program(), "-v", "-c", str(configuration)], port) as server:
        yield server


@contextmanager
def _running(command: list[str], port: int) -> Iterator[TurnServer]:
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        server = TurnServer(process, port)
        reader = threading.Thread(target=server.follow)
        reader.start()
        try:
            server.wait_until_it_listens()
            yield server
        finally:
            process.terminate()
            reader.join()


def _program() -> str:
    program = shutil.which("turnserver")
    if program is None:
        raise AssertionError("turnserver is needed: sudo apt-get install coturn")
    return program


def free_port() -> int:
    """Returns a port of 127.0.0.1 that nobody has, for UDP and TCP as far as TCP shows it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
