"""The key for a service: given, or asked for with a function of the user's.

Runs on the event loop. Logs no key, and no text that may quote one.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import TYPE_CHECKING, Final

from gradio_webrtc._workers.user_code import guard
from gradio_webrtc._workers.workers import UserFunction

from .line import ServiceLost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gradio_webrtc._workers.workers import Worker

logger = logging.getLogger(__name__)

KEY_TIMEOUT_S: Final = 20.0
"""The time that a function for the key has. It asks another server, twice at most."""


async def read_key(
    source: str | Callable[[], str | Awaitable[str]] | None, worker: Worker
) -> str | None:
    """Returns the key for the next connection; ``None`` for none.

    Args:
        source: The key, or a function that returns it, sync or async.
        worker: Runs the function if it blocks.

    Raises:
        ServiceLost: The function failed, or took too long.
        TypeError: The key is no text.
        ValueError: It has characters that a header cannot have.
    """
    key = source
    if callable(key):
        with guard(_log_without_text) as asking:
            async with asyncio.timeout(KEY_TIMEOUT_S):
                key = await UserFunction(key, worker)()
        if asking.error is not None:
            raise ServiceLost("the function for the key failed")
    return None if key is None else check_key(key)


def check_key(key: object) -> str:
    """Returns a key as it can stand in a header.

    Raises:
        TypeError: It is no text.
        ValueError: It has characters that a header cannot have. It is not quoted.
    """
    if not isinstance(key, str):
        raise TypeError(f"the key of a service must be text, got {type(key).__name__}")
    if not key or not key.isascii() or not key.isprintable() or key != key.strip():
        raise ValueError("the key of a service must be printable ASCII without blanks around it")
    return key


def _log_without_text(error: BaseException) -> None:
    """Logs an error of the function for the key: its text, and what it quotes, may be the key."""
    frames = traceback.extract_tb(error.__traceback__)
    places = ", ".join(f"{each.filename}:{each.lineno}" for each in frames[-2:])
    kind = type(error).__name__
    logger.error("%s in the function for the key of a realtime service (%s)", kind, places)
