"""Video calls between a function and a caller with a camera, in one process."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gradio_webrtc._session.manager import Service, SessionRegistry
from gradio_webrtc._transport import PeerTransport
from gradio_webrtc._ui.streaming import make_template

from .caller import Caller
from .pictures import Camera, numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradio_webrtc.types import Mode


def serve_video(
    fn: Any, mode: Mode = "send-receive", *, takes_inputs: bool = False, **service: Any
) -> SessionRegistry:
    registry = SessionRegistry()
    template = make_template(fn, mode, "video", takes_inputs=takes_inputs)
    registry.service = Service(template.copy, mode=mode, modality="video", **service)
    return registry


def caller_of(
    registry: SessionRegistry,
    mode: Mode = "send-receive",
    *,
    inputs: Sequence[Any] = (),
    colour: tuple[int, int, int] | None = None,
) -> Caller:
    caller = Caller(registry, inputs=inputs, mode=mode, modality="video")
    if colour is not None:
        caller.camera = Camera(take=lambda number: numbered(number, colour=colour))
    return caller


async def finish(registry: SessionRegistry, *callers: Caller) -> None:
    await asyncio.gather(*(caller.hang_up() for caller in callers))
    await registry.wait_idle()


def transport_of(registry: SessionRegistry, caller: Caller) -> PeerTransport:
    transport = registry.find(caller.webrtc_id, caller.secret).transport
    assert isinstance(transport, PeerTransport)
    return transport


def is_growing(numbers: list[int]) -> bool:
    return all(a < b for a, b in pairwise(numbers))


async def see(fn: Callable[..., Any], pictures: int, **options: Any) -> Caller:
    """One call with ``fn`` until so many pictures have come back."""
    registry = serve_video(fn)
    caller = caller_of(registry, **options)
    await caller.call()
    await caller.until(lambda: len(caller.seen) >= pictures)
    await finish(registry, caller)
    return caller
