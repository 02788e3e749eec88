"""TURN credentials for the page's side of a call."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


async def resolve_rtc_configuration(
    configuration: dict[str, Any] | Callable[..., Any] | None,
) -> dict[str, Any] | None:
    """The RTCConfiguration for one call.

    Args:
        configuration: The dict itself; or a function, coroutine function, partial or bound method
            without arguments that gives it, called for every call so that credentials are fresh.
    """
    if not callable(configuration):
        return configuration
    result = configuration()
    resolved: dict[str, Any] | None = await result if inspect.isawaitable(result) else result
    return resolved
