"""The wait of a thread for something that an event loop does.

Any thread. Imports nothing of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures


def note_wait(
    loop: asyncio.AbstractEventLoop | None, outcome: concurrent.futures.Future[Any]
) -> None:
    """Notes that this thread waits for ``outcome``, right before it does.

    The virtual clock of `testing` stands still while a thread is busy, and would for ever where
    that thread waits for something of a later time. Any other loop is not concerned.
    """
    note = getattr(loop, "note_wait", None)
    if note is not None and not outcome.done():
        note(outcome)
