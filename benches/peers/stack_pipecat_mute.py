"""pipecat without an output track, for users who are never answered, behind `call_server.py`."""

import functools

from stack_pipecat import make_offer

make_offer = functools.partial(make_offer, has_output=False)
