"""The RTCConfiguration of clients for one session: credentials of a relay, as a rule.

Clients request it before each session; the user's function that fetches the credentials is called
less often. Runs on the event loop. Imports neither transports nor handlers.
"""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeAlias

from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc._workers.workers import UserFunction, Worker

from .reporting import report_without_text

RTCConfigurationCallable: TypeAlias = Callable[[], dict[str, Any] | Awaitable[dict[str, Any]]]
"""Returns a W3C ``RTCConfiguration``; sync or async."""

DEFAULT_LIFETIME_S: Final = 120.0
"""Seconds for which credentials without a stated lifetime are taken to be good. Known services give
ten minutes and more."""

LEAST_KEPT_S: Final = 1.0
"""Seconds for which an answer is kept at least: credentials that have expired already are still not
fetched for every client."""

MAX_ASKS: Final = 20
"""The requests of one client in `ASKS_WINDOW_S`: far more than any user starts sessions."""

ASKS_WINDOW_S: Final = 60.0
"""The time for which the requests of a client are counted, in seconds."""

MAX_CLIENTS: Final = 1024
"""Clients whose requests are counted; the one whose last request is the oldest is removed first."""

# "expiry:name", as TURN servers with a shared secret have it (draft-uberti-behave-turn-rest-00,
# section 2.2): seconds since 1970.
_EXPIRY: Final = re.compile(r"(\d{9,12})(:|$)")


async def resolve_rtc_configuration(
    configuration: dict[str, Any] | RTCConfigurationCallable | None,
) -> dict[str, Any] | None:
    """Returns the RTCConfiguration for one session; call it on the event loop.

    Args:
        configuration: The dict itself; or a function, coroutine function, partial or bound method
            without arguments that returns it. One that is not async runs in a thread of its own,
            since it may wait for a service.

    Raises:
        Exception: Anything that the function raises.
    """
    if not callable(configuration):
        return configuration
    worker = Worker("rtc-configuration")
    try:
        resolved: dict[str, Any] | None = await UserFunction(configuration, worker)()
    finally:
        worker.close()
    return resolved


def _wall_clock_s() -> float:
    return datetime.now(UTC).timestamp()


class _Answer(NamedTuple):
    """The result of a function, and the end of its use on the monotonic clock."""

    configuration: dict[str, Any] | None
    good_until_s: float


class ConfigurationCache:
    """Keeps the configuration of clients for a while, and calls for it once at a time.

    Args:
        clock: Returns the monotonic time in seconds.
        wall_clock: Returns the seconds since 1970.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = _wall_clock_s,
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._source: object = None
        self._answer: _Answer | None = None
        self._asking: asyncio.Task[_Answer] | None = None
        # The client whose request started it may leave: the task belongs to the cache.
        self._tasks = TaskScope()
        self._asks: OrderedDict[str, tuple[float, int]] = OrderedDict()

    async def give(
        self, source: dict[str, Any] | RTCConfigurationCallable | None, client: str
    ) -> dict[str, Any] | None:
        """Returns the configuration for a client.

        A function's answer is kept for half of the lifetime of its credentials, so that a session
        has the other half to connect in. An exception is logged once, and clients connect without.

        Args:
            source: As `resolve_rtc_configuration` takes it.
            client: The key of the client; empty for one whose requests are not counted.

        Returns:
            The configuration; ``None`` for none, and for a client with too many requests.
        """
        if client and not self._may_ask(client):
            return None
        if not callable(source):
            return source
        if source != self._source:
            self._source, self._answer, self._asking = source, None, None
        if self._answer is None or self._clock() >= self._answer.good_until_s:
            # A client that leaves meanwhile must not cancel the answer for the others.
            self._answer = await asyncio.shield(self._ask(source))
        return self._answer.configuration

    def _ask(self, source: RTCConfigurationCallable) -> asyncio.Task[_Answer]:
        task = self._asking
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            task = self._asking = self._tasks.start(self._resolve(source))
        return task

    async def _resolve(self, source: RTCConfigurationCallable) -> _Answer:
        try:
            configuration = await resolve_rtc_configuration(source)
        except Exception as error:  # noqa: BLE001 - `guard` would log a text that may hold secrets
            # A session on one network needs no relay.
            report_without_text(error, "rtc_configuration", "the client connects without it")
            return _Answer(None, self._clock())
        lifetime_s = lifetime_of(configuration, source, self._wall_clock())
        return _Answer(configuration, self._clock() + max(LEAST_KEPT_S, lifetime_s / 2))

    def _may_ask(self, client: str) -> bool:
        since_s, asked = self._asks.pop(client, (self._clock(), 0))
        if self._clock() - since_s >= ASKS_WINDOW_S:
            since_s, asked = self._clock(), 0
        self._asks[client] = (since_s, min(asked + 1, MAX_ASKS + 1))
        if len(self._asks) > MAX_CLIENTS:
            self._asks.popitem(last=False)
        return asked < MAX_ASKS


def lifetime_of(configuration: object, source: object, now_s: float) -> float:
    """Returns the seconds for which the credentials of a configuration are good.

    They are good until the time that begins a user name, for the ``ttl`` of a
    ``functools.partial``, or for `DEFAULT_LIFETIME_S`, whichever is least.

    Args:
        configuration: The result of a function.
        source: The function.
        now_s: Seconds since 1970.
    """
    servers = configuration.get("iceServers") if isinstance(configuration, dict) else None
    listed = servers if isinstance(servers, (list, tuple)) else ()
    names = [each.get("username") for each in listed if isinstance(each, dict)]
    found = (_EXPIRY.match(name) for name in names if isinstance(name, str))
    lifetimes_s = [float(each[1]) - now_s for each in found if each is not None]
    ttl = source.keywords.get("ttl") if isinstance(source, functools.partial) else None
    if isinstance(ttl, (int, float)):
        lifetimes_s.append(float(ttl))
    return max(0.0, min([*lifetimes_s, DEFAULT_LIFETIME_S]))
