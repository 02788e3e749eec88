"""Keeps the pauses of Python's garbage collector short while there are sessions.

A full collection looks at every object of a process, and nothing else runs meanwhile: with Gradio
alone, some 190,000 of them, it takes 120 ms, more than a client's jitter buffer holds. It comes
when enough new objects have lived for a while, so in the middle of sessions. Any thread.
"""

from __future__ import annotations

import atexit
import gc
from typing import Final

MANY_OBJECTS: Final = 50_000
"""Objects that a full collection takes some 30 ms for: half of what a browser's jitter buffer
bridges."""


def shorten_pauses() -> None:
    """Leaves out of later collections what the process has loaded so far, if that is much.

    Call it when a session begins and no other is under way: objects that exist then stay as long as
    the program, and garbage is freed first. A later call does the same again once as much has been
    added, for instance by a model that the first session has loaded. Does nothing in a program that
    has switched the collector off.
    """
    if gc.isenabled() and len(gc.get_objects()) > MANY_OBJECTS:
        gc.collect()
        gc.freeze()


def hasten_exit() -> None:
    """Saves the interpreter its last garbage collections: a second, where pandas is imported."""
    # Once, however often it is called: `atexit` would keep every registration.
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
