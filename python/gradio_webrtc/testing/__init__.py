"""A session without a browser, a network or waiting: audio in, the handler's reply out.

For tests of users' handlers. `simulate` runs a whole session, `FakeTransport` is its other end.
"""

from .echo import Echo
from .network import Network
from .simulation import SimulatedEvent, SimulatedOutput, Simulation, Turn, simulate
from .transport import FakeTransport

__all__ = [
    "Echo",
    "FakeTransport",
    "Network",
    "SimulatedEvent",
    "SimulatedOutput",
    "Simulation",
    "Turn",
    "simulate",
]
