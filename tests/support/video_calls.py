"""Sessions of video between a function and a client with a camera, in one process."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from support.serving import SessionServer

from gradio_webrtc._transport import PeerTransport
from gradio_webrtc._ui.streaming import make_template

from .client import Client
from .frames import Camera, numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradio_webrtc.types import Mode


def serve_video(
    fn: Any, mode: Mode = "send-receive", *, takes_inputs: bool = False, **service: Any
) -> SessionServer:
    manager = SessionServer()
    template = make_template(fn, mode, "video", takes_inputs=takes_inputs)
    manager.serve(template.copy, mode=mode, modality="video", **service)
    return manager


def client_of(
    manager: SessionServer,
    mode: Mode = "send-receive",
    *,
    inputs: Sequence[Any] = (),
    colour: tuple[int, int, int] | None = None,
) -> Client:
    client = Client(manager, inputs=inputs, mode=mode, modality="video")
    if colour is not None:
        client.camera = Camera(take=lambda number: numbered(number, colour=colour))
    return client


async def finish(manager: SessionServer, *clients: Client) -> None:
    await asyncio.gather(*(client.hang_up() for client in clients))
    await manager.wait_idle()


def transport_of(manager: SessionServer, client: Client) -> PeerTransport:
    transport = manager.find(client.webrtc_id, client.secret).transport
    assert isinstance(transport, PeerTransport)
    return transport


def is_growing(numbers: list[int]) -> bool:
    return all(a < b for a, b in pairwise(numbers))


async def see(fn: Callable[..., Any], frames: int, **options: Any) -> Client:
    """One session with ``fn`` until so many frames have come back."""
    manager = serve_video(fn)
    client = client_of(manager, **options)
    await client.call()
    await client.until(lambda: len(client.video_frames) >= frames)
    await finish(manager, client)
    return client
