"""A transport over the app's own origin, for clients that WebRTC does not reach.

One reliable channel of frames, carried by a WebSocket or by HTTP, that outlives both. Imports
neither a server nor a session.
"""

from .carrier import Carrier
from .request import LinkTerms, read_link_request
from .transport import BrokenRules, LinkTransport, TooManyCarriers

__all__ = [
    "BrokenRules",
    "Carrier",
    "LinkTerms",
    "LinkTransport",
    "TooManyCarriers",
    "read_link_request",
]
