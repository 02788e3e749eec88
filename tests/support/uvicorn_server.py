"""A real HTTP server on the loopback address, on the event loop of the test."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class WithoutSignals(uvicorn.Server):
    """A server that leaves signals to the tests."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes none."""
        yield


@asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[str]:
    """Serves an app; yields host and port.

    Args:
        app: The app.
        options: Those of ``uvicorn.Config``.
    """
    options = {"timeout_graceful_shutdown": 5, **options}
    config = uvicorn.Config(app, log_config=None, lifespan="off", **options)
    server = WithoutSignals(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host, port = listening.getsockname()[:2]
        task = asyncio.get_running_loop().create_task(server.serve([listening]))
        try:
            yield f"{host}:{port}"
        finally:
            server.should_exit = True
            await task
