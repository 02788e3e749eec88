"""What a page is configured with for one call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from .concurrency import UserFunction, Worker

RTCConfigurationCallable: TypeAlias = Callable[[], dict[str, Any] | Awaitable[dict[str, Any]]]
"""Gives a W3C ``RTCConfiguration``; sync or async."""


async def resolve_rtc_configuration(
    configuration: dict[str, Any] | RTCConfigurationCallable | None,
) -> dict[str, Any] | None:
    """The RTCConfiguration for one call; call it on the event loop.

    Args:
        configuration: The dict itself; or a function, coroutine function, partial or bound method
            without arguments that gives it, called for every call so that credentials are fresh.
            What is not async runs in a thread of its own: it may wait for a service.

    Raises:
        Exception: Whatever the function raises.
    """
    if not callable(configuration):
        return configuration
    worker = Worker("rtc-configuration")
    try:
        resolved: dict[str, Any] | None = await UserFunction(configuration, worker)()
    finally:
        worker.close()
    return resolved
