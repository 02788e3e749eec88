"""Keeps the pauses of Python's garbage collector short while there are calls.

A full collection looks at every object of a process, and nothing else runs meanwhile: with Gradio
alone, some 190,000 of them, it takes 120 ms, more than a playout buffer holds. It comes when enough
new objects have lived for a while, so in the middle of calls.
"""

from __future__ import annotations

import atexit
import gc
from typing import Final

MANY_OBJECTS: Final = 50_000
"""A full collection of so many takes some 30 ms: half of what a page bridges."""


def shorten_pauses() -> None:
    """Leaves out of later collections what a process has loaded so far, if that is much.

    Call it when a call begins and none is under way: what is there then stays as long as the
    program, and what is garbage already is freed first. Asked again it does so again once as much
    has been added, by a model that the first call has loaded, for instance.
    """
    if gc.isenabled() and len(gc.get_objects()) > MANY_OBJECTS:
        gc.collect()
        gc.freeze()


def hasten_exit() -> None:
    """Spares the interpreter its last garbage collections: a second, where pandas is imported."""
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
