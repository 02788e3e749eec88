"""A server without Gradio: what answers a client's requests, and the sessions behind it."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from gradio_webrtc._config import SessionConfig
from gradio_webrtc._session.manager import SessionManager
from gradio_webrtc._session.signaling import Signaling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gradio_webrtc import WebRTC

TERMS = {field.name for field in fields(SessionConfig)}


class SessionServer:
    """Signalling and sessions as one object, which has the methods and attributes of both.

    Args:
        ice_servers: STUN and TURN servers for the server's own side.
        signaling: That of a component; by default one of its own.
    """

    def __init__(
        self, ice_servers: Sequence[Mapping[str, Any]] = (), signaling: Signaling | None = None
    ) -> None:
        self.signaling = signaling or Signaling(SessionManager(), ice_servers)
        self.manager = self.signaling.sessions

    def serve(self, make_handler: Callable[[], Any], **terms: Any) -> None:
        """Serves a handler; ``terms`` are those of the session and of `SessionManager.serve`."""
        config = SessionConfig(**{name: terms.pop(name) for name in TERMS & set(terms)})
        self.manager.serve(make_handler, config, **terms)

    async def handle_request(self, body: object, request: Any = None) -> dict[str, Any]:
        return await self.signaling.handle_request(body, request)

    @property
    def has_outputs(self) -> bool:
        return self.manager.has_outputs

    @has_outputs.setter
    def has_outputs(self, has_outputs: bool) -> None:
        self.manager.has_outputs = has_outputs

    def __len__(self) -> int:
        return len(self.manager)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.manager, name)


def server_of(webrtc: WebRTC) -> SessionServer:
    """The server of a component, reached as its server functions reach it."""
    return SessionServer(signaling=webrtc._signaling)  # noqa: SLF001
