"""Networks of a test's own, in which servers and browsers meet and UDP can be made to vanish.

A network is a network namespace of Linux with a loopback address of its own: a page at
``http://127.0.0.1`` there is a secure context, which a microphone requires. Datagrams are dropped
as a firewall drops them: where they arrive, so that their sender notices nothing::

    with network(block=["udp"]) as net:
        with running(program, network=net) as programs:
            with chromium(playwright, network=net) as browser:
                page = browser.open(programs.url())

A process that does not run as root gets its namespaces from a user namespace, where the machine
allows those.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ADDRESS = "192.0.2.1"
"""The address of the network's interface besides the loopback one (RFC 5737: no real machine's).

Without it a browser takes itself to be offline. The other end of the interface leads nowhere."""

_RULES = """
table inet tests {
    counter dropped {}
    chain input { type filter hook input priority 0; }
}
"""
_FAMILIES = {"udp", "tcp"}


class Network:
    """A network namespace, and what to begin a command with so that it runs in there.

    Attributes:
        pid: The process that keeps it.
        prefix: The words before those of a command.
        namespaces: The files of ``/proc`` that name the namespaces, in the order to enter them.
    """

    def __init__(self, holder: subprocess.Popen[bytes], requests: socket.socket) -> None:
        kinds = ["net"] if os.geteuid() == 0 else ["user", "net"]
        options = [f"--{kind}" for kind in kinds]
        if "user" in kinds:
            options.append("--preserve-credentials")
        self.pid = str(holder.pid)
        self.prefix = [_program("nsenter"), "--target", self.pid, *options, "--"]
        self.namespaces = [f"/proc/{holder.pid}/ns/{kind}" for kind in kinds]
        self._requests = requests

    def run(self, *command: str, text: str = "") -> str:
        """Runs a command in there to its end, with ``text`` as its input; returns its output."""
        done = subprocess.run(
            [*self.prefix, *command], input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def block(self, *protocols: str) -> None:
        """Drops all that arrives by these protocols, "udp" or "tcp", from now on."""
        self.unblock()
        for protocol in protocols:
            assert protocol in _FAMILIES, protocol
            rule = f"add rule inet tests input meta l4proto {protocol} counter name dropped drop"
            self.run("nft", "-f", "-", text=rule)

    def unblock(self) -> None:
        """Lets everything arrive again."""
        self.run("nft", "flush", "chain", "inet", "tests", "input")

    def dropped(self) -> int:
        """The number of packets that were dropped so far."""
        written = self.run("nft", "-j", "list", "counter", "inet", "tests", "dropped")
        (packets,) = (each["counter"]["packets"] for each in _listed(written) if "counter" in each)
        return int(packets)

    def open_socket(self, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """Returns an IPv4 socket of that network, for this process."""
        self._requests.send(bytes([kind]))
        _, (descriptor,), _, _ = socket.recv_fds(self._requests, 1, 1)
        return socket.socket(fileno=descriptor)

    def connect(self, port: int) -> socket.socket:
        """Returns a TCP connection of this process to a server in there, on 127.0.0.1."""
        connection = self.open_socket()
        connection.connect(("127.0.0.1", port))
        return connection

    def link(self, name: str, address: str, other: Network, others_address: str) -> None:
        """Lays a cable to another network, made with ``beside=`` this one.

        Args:
            name: The name of the interface, at both ends.
            address: The address of this end, with the length of its network: "10.0.0.1/24".
            other: The network at the other end.
            others_address: The address of that end.
        """
        self.run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-there")
        self.run("ip", "link", "set", f"{name}-there", "netns", other.pid)
        other.run("ip", "link", "set", f"{name}-there", "name", name)
        for end, own in ((self, address), (other, others_address)):
            end.run("ip", "address", "add", own, "dev", name)
            end.run("ip", "link", "set", name, "up")

    def script(self, folder: Path, program: str) -> Path:
        """Writes a program that is another one in there, for drivers that take a file's name."""
        script = folder / f"{program.rpartition('/')[2]}-in-network"
        words = " ".join([*self.prefix, program])
        script.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
        script.chmod(0o700)
        return script


def prefix_of(network: Network | None) -> list[str]:
    """The words before a command that runs in this network; none for the machine's own."""
    return [] if network is None else network.prefix


def free_port(network: Network | None = None) -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() if network is None else network.open_socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def network(*, block: Sequence[str] = ()) -> Iterator[Network]:
    """Makes a network, which is gone with the block, and with this process in any case.

    Args:
        block: The protocols that are dropped, see `Network.block`.

    Raises:
        AssertionError: A program is missing, or the machine lets nobody but root make a namespace.
    """
    with empty_network() as made:
        made.run("ip", "link", "set", "lo", "up")
        made.run("ip", "link", "add", "test0", "type", "veth", "peer", "name", "nowhere0")
        made.run("ip", "address", "add", f"{ADDRESS}/24", "dev", "test0")
        for interface in ("test0", "nowhere0"):
            made.run("ip", "link", "set", interface, "up")
        made.run("ip", "route", "add", "default", "dev", "test0")
        made.run("nft", "-f", "-", text=_RULES)
        made.block(*block)
        yield made


@contextmanager
def empty_network(beside: Network | None = None) -> Iterator[Network]:
    """Makes a network without any interface that is up.

    Args:
        beside: The network with which it may be linked.
    """
    for needed in ("ip", "nft", "nsenter"):
        _program(needed)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    own_user = [] if os.geteuid() == 0 or beside else ["--map-root-user"]
    unshare = [*prefix_of(beside), _program("unshare"), *own_user, "--net"]
    with (
        ours,
        subprocess.Popen(
            [*unshare, sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as holder,
    ):
        theirs.close()
        if not ours.recv(1):
            assert holder.stderr is not None
            raise AssertionError(f"no network namespace: {holder.stderr.read().decode()}")
        try:
            yield Network(holder, ours)
        finally:
            # It ends when nobody can ask it any more.
            ours.shutdown(socket.SHUT_RDWR)


def _program(name: str) -> str:
    """The path of a program; those of administrators are not on everybody's path."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    assert path is not None, f"{name} is needed: sudo apt-get install iproute2 nftables util-linux"
    return path


def _listed(written: str) -> list[dict[str, dict[str, int]]]:
    """What ``nft -j`` lists."""
    objects: list[dict[str, dict[str, int]]] = json.loads(written)["nftables"]
    return objects


def _hold(requests: socket.socket) -> None:
    """Keeps the namespace of this process, and makes sockets in it, until nobody asks any more."""
    requests.send(b"1")
    while kind := requests.recv(1):
        with socket.socket(socket.AF_INET, kind[0]) as made:
            socket.send_fds(requests, [b"1"], [made.fileno()])


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        _hold(asked)
