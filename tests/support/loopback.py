"""A transport over WebRTC and a client of its own, over the loopback address, without a session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .client import FRAME_SAMPLES, Client
from .signals import tone

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from gradio_webrtc._config import SessionConfig


class TransportServer:
    """As much of a server as a `Client` needs: one transport that answers its offer.

    Args:
        transport: A `PeerTransport`, of whichever import.
        read_offer: Of the same import.
        config: The terms of the offer.
    """

    def __init__(self, transport: Any, read_offer: Any, config: SessionConfig) -> None:
        self._transport = transport
        self._read_offer = read_offer
        self._config = config

    async def handle_request(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if body["type"] == "candidates":
            return {"candidates": await self._transport.candidates()}
        answer = await self._transport.answer(self._read_offer(body, self._config))
        return {**answer, "webrtc_id": "", "secret": ""}


def client_of(
    transport: Any,
    read_offer: Any,
    config: SessionConfig,
    microphone: NDArray[np.int16] | None = None,
) -> Client:
    """Returns a client that has not called yet."""
    server: Any = TransportServer(transport, read_offer, config)
    return Client(server, microphone, mode=config.mode, modality=config.modality)


class Tone:
    """A source of audio without an end: 440 Hz at a quarter of full scale.

    Attributes:
        pulled: The times at which frames were pulled, in seconds of the event loop.
    """

    def __init__(self) -> None:
        self.pulled: list[float] = []
        self._samples = tone(1.0, 440, level=0.25).reshape(-1, 1, FRAME_SAMPLES)

    async def wait_ready(self) -> None:
        """Always ready."""

    def pull(self, *, partial: bool = False) -> NDArray[np.int16] | None:
        del partial
        frame: NDArray[np.int16] = self._samples[len(self.pulled) % len(self._samples)]
        self.pulled.append(asyncio.get_running_loop().time())
        return frame

    def pull_early(self) -> NDArray[np.int16] | None:
        return self.pull()
