"""A call without a browser, a network or waiting: sound in, the handler's answer out."""

from .simulation import SimulatedEvent, SimulatedOutput, Simulation, Turn, simulate
from .transport import FakeTransport

__all__ = [
    "FakeTransport",
    "SimulatedEvent",
    "SimulatedOutput",
    "Simulation",
    "Turn",
    "simulate",
]
