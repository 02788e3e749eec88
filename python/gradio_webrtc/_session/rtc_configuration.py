"""What a page is configured with for one call: credentials of a relay, as a rule.

Runs on the event loop. Pages ask before each call; whoever gives the credentials is asked less.
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
"""Gives a W3C ``RTCConfiguration``; sync or async."""

DEFAULT_LIFETIME_S: Final = 120.0
"""How long credentials are taken to be good when they do not say so. The services that we know of
give ten minutes and more."""

LEAST_KEPT_S: Final = 1.0
"""What has expired already, or is good for no time, is still not asked for by every page."""

MAX_ASKS: Final = 20
"""How often one client may ask in `ASKS_WINDOW_S`: far more than anybody starts calls."""

ASKS_WINDOW_S: Final = 60.0

MAX_CLIENTS: Final = 1024
"""Clients whose asking is counted; the one that asked longest ago is forgotten first."""

# "expiry:name", as TURN servers with a shared secret have it (draft-uberti-behave-turn-rest-00,
# section 2.2): seconds since 1970.
_EXPIRY: Final = re.compile(r"(\d{9,12})(:|$)")


async def resolve_rtc_configuration(
    configuration: dict[str, Any] | RTCConfigurationCallable | None,
) -> dict[str, Any] | None:
    """The RTCConfiguration for one call; call it on the event loop.

    Args:
        configuration: The dict itself; or a function, coroutine function, partial or bound method
            without arguments that gives it. What is not async runs in a thread of its own: it may
            wait for a service.

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


def _wall_clock_s() -> float:
    return datetime.now(UTC).timestamp()


class _Answer(NamedTuple):
    """What a function gave, and until when it is given to pages, on the monotonic clock."""

    configuration: dict[str, Any] | None
    good_until_s: float


class ConfigurationCache:
    """Gives pages their configuration: asks for it once at a time, and keeps it for a while.

    Args:
        clock: The monotonic time in seconds.
        wall_clock: Seconds since 1970.
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
        # A client that asks may leave before the answer; the task is nobody's but the cache's.
        self._tasks = TaskScope()
        self._asks: OrderedDict[str, tuple[float, int]] = OrderedDict()

    async def give(
        self, source: dict[str, Any] | RTCConfigurationCallable | None, client: str
    ) -> dict[str, Any] | None:
        """Returns the configuration for a page.

        A function's answer is kept for half of the lifetime of its credentials, so that a call has
        the other half to connect in. What it raises is logged once, and pages call without.

        Args:
            source: As `resolve_rtc_configuration` takes it.
            client: Who asks; empty for nobody whose asking is counted.

        Returns:
            The configuration; ``None`` for none, and for a client that asks too often.
        """
        if client and not self._may_ask(client):
            return None
        if not callable(source):
            return source
        if source != self._source:
            self._source, self._answer, self._asking = source, None, None
        if self._answer is None or self._clock() >= self._answer.good_until_s:
            # Whoever leaves meanwhile leaves the others their answer.
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
        except Exception as error:  # noqa: BLE001  # a call on one network needs none
            report_without_text(error, "rtc_configuration", "the page calls without it")
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
    """Returns for how many seconds the credentials of a configuration are good.

    That is until the time that begins a user name, or the ``ttl`` of a ``functools.partial``, or
    `DEFAULT_LIFETIME_S`, whichever is least.

    Args:
        configuration: What a function gave.
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
