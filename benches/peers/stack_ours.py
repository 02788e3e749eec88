"""This package behind `call_server.py`."""

from conversing import count, make_handler

from gradio_webrtc import ReplyOnPause, StreamHandler
from gradio_webrtc.handlers.turn_handler import TurnHandler
from gradio_webrtc.registry import Service, SessionRegistry


def make_offer(scenario, meter):
    """Answers offers with that scenario's handler."""
    # A class that overrides `emit` itself would be asked differently.
    count(TurnHandler, "emit_async", meter, "emits")
    registry = SessionRegistry()
    handler = make_handler(scenario, StreamHandler, ReplyOnPause, meter)
    registry.service = Service(handler.copy, concurrency_limit=None)
    return registry.handle
