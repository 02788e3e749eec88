"""Stand-ins for the services that give TURN credentials: one HTTP server on 127.0.0.1."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVERS: list[dict[str, Any]] = [
    {"urls": ["stun:stun.example.test:3478"]},
    {
        "urls": ["turn:turn.example.test:3478?transport=udp"],
        "username": "client",
        "credential": "pass-of-the-relay",
    },
]
TWILIO_SERVERS: list[dict[str, Any]] = [{"url": server["urls"][0], **server} for server in SERVERS]


class Request(NamedTuple):
    """A request that reached the service."""

    method: str
    path: str
    authorization: str | None
    body: str


class TurnServices:
    """The three services at one address.

    Attributes:
        url: The address, without a slash at the end.
        requests: Those that were made so far.
        status: Of every answer to come.
        answer: Its body; ``None`` leaves whoever asks without an answer.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[Request] = []
        self.status = 200
        self.answer: str | None = ""
        self.released = threading.Event()

    def give(self, answer: Any, status: int = 200) -> None:
        """Answers with this JSON from now on."""
        self.answer, self.status = json.dumps(answer), status


@contextmanager
def turn_services() -> Iterator[TurnServices]:
    """Serves until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length).decode()
            authorization = self.headers.get("Authorization")
            services.requests.append(Request(self.command, self.path, authorization, body))
            if services.answer is None:
                services.released.wait()
                return
            self.send_response(services.status)
            self.send_header("Content-Length", str(len(services.answer.encode())))
            self.end_headers()
            self.wfile.write(services.answer.encode())

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_args: object) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    services = TurnServices(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield services
    finally:
        services.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
