"""This package behind `call_server.py`."""

import functools

import own_part
from conversing import make_handler

from gradio_webrtc import ReplyOnPause, StreamHandler
from gradio_webrtc._handlers.turn_handler import TurnHandler
from gradio_webrtc._session.manager import SessionManager
from gradio_webrtc._session.signaling import Signaling


def make_offer(scenario, meter):
    """Answers offers with that scenario's handler."""
    # A class that overrides `emit` itself would be asked differently.
    emit = TurnHandler.emit_async

    @functools.wraps(emit)
    async def counting(handler):
        # The session asks whether `emit` is a coroutine function, so this has to be one.
        meter.emits += 1
        return await emit(handler)

    TurnHandler.emit_async = counting
    if scenario == "reply":
        own_part.watch(meter)
    manager = SessionManager()
    handler = make_handler(scenario, StreamHandler, ReplyOnPause, meter)
    manager.serve(handler.copy, concurrency_limit=None)
    return Signaling(manager).handle_request
