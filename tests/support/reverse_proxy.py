"""A real HTTP reverse proxy in front of a server: Debian's nginx, on 127.0.0.1 alone.

Its settings are nginx's own wherever a test does not need others, as those of most servers are: it
forwards no WebSocket unless its configuration has three more lines, and may hold up an answer until
it has some kilobytes of it, unless that has the header ``X-Accel-Buffering: no``.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .networks import free_port, prefix_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .networks import Network

START_LIMIT_S = 60.0
"""A machine busy with other work takes seconds to start it."""

_WEBSOCKET = """
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
"""

_CONFIGURATION = """
daemon off;
# Workers of another user could not write to the folder of a test.
user root;
pid {folder}/pid;
error_log stderr notice;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {site}
}}
"""

_SITE = """
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    server {{
        listen 127.0.0.1:{port};
        location {prefix}/ {{
            proxy_pass {target}/;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Prefix {prefix}/;{websocket}
        }}
    }}
"""


class _Nginx:
    """A starting nginx, and the lines that it has written."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[str] = []
        self._process = process
        self._has_started = threading.Event()

    def follow(self) -> None:
        """Collects what it writes until it ends; blocks, so give it a thread."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append(line)
            if "start worker process " in line:
                self._has_started.set()
        self._has_started.set()

    def wait_until_it_listens(self) -> None:
        """Returns when it can be asked; fails with its output when it never can."""
        self._has_started.wait(START_LIMIT_S)
        if not any("start worker process " in line for line in self.lines):
            raise AssertionError(f"nginx did not start:\n{''.join(self.lines)}")


@contextmanager
def reverse_proxy(
    url: str,
    folder: Path,
    *,
    websocket: bool,
    prefix: str = "",
    port: int | None = None,
    network: Network | None = None,
) -> Iterator[str]:
    """Runs a proxy until the block ends.

    Args:
        url: The server's address; a path in it is left out.
        folder: Takes the proxy's files; one for each proxy.
        websocket: True if it forwards WebSockets. Otherwise a request for one reaches the server
            as a request for a page.
        prefix: The path under which the proxy shows the server, such as "/talk". The server does
            not see it, so a Gradio program needs ``GRADIO_ROOT_PATH``.
        port: Its own port; by default a free one.
        network: That of the server.

    Yields:
        The proxy's address with the prefix, without a slash at its end.
    """
    port = port or free_port(network)
    site = _SITE.format(
        port=port,
        prefix=prefix,
        target=f"http://{urlsplit(url).netloc}",
        websocket=_WEBSOCKET if websocket else "",
    )
    with nginx(site, folder, network=network):
        yield f"http://127.0.0.1:{port}{prefix}"


@contextmanager
def nginx(site: str, folder: Path, *, network: Network | None = None) -> Iterator[None]:
    """Runs nginx with this configuration until the block ends.

    Args:
        site: The text of a file of ``conf.d``: servers, and what they need besides.
        folder: Takes its files; one for each.
        network: The network in which it runs; by default the machine's.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise AssertionError("nginx is needed: sudo apt-get install nginx-light")
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, site=site), encoding="utf-8")
    command = [program, "-c", str(configuration), "-e", "stderr"]
    with subprocess.Popen(
        [*prefix_of(network), *command], stderr=subprocess.PIPE, text=True
    ) as process:
        started = _Nginx(process)
        reader = threading.Thread(target=started.follow)
        reader.start()
        try:
            started.wait_until_it_listens()
            yield
        finally:
            process.terminate()
            reader.join()
