"""The way to a service for as long as a session lasts: it connects again where that may help.

Runs on the event loop, in one task. What events mean is up to who made it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from gradio_webrtc._messages import printable
from gradio_webrtc._workers.task_scope import TaskScope

from .line import ServiceLost, ServiceRefused
from .outgoing import Outgoing
from .protocol import PCM, Event, append_audio, object_of, read_event, text_of, write_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from .line import Line, OpenLine

logger = logging.getLogger(__name__)

GREETING_TIMEOUT_S: Final = 10.0
"""The time from an open connection to ``session.created``, its first event."""

ANSWER_TIMEOUT_S: Final = 30.0
"""The longest silence of a service that owes an answer. A model takes a few seconds to its first;
a connection behind which nobody is answers pings all the same."""

MAX_TRIES: Final = 5
"""Connections in a row that may fail before the service counts as gone: about half a minute."""

FIRST_WAIT_S: Final = 0.5
"""The longest wait before the second try; it doubles with every further one."""

LONGEST_WAIT_S: Final = 10.0

STEADY_S: Final = 30.0
"""Seconds that a connection has to last before the tries are counted from the start again."""

REFUSALS: Final = frozenset({"invalid_request_error", "authentication_error", "permission_error"})
"""Types of errors before a session begins that another request would have again."""

MAX_UNREADABLE: Final = 100
"""Messages of one connection that may be no events. A service that sends more speaks another
protocol."""


class ServiceGone(Exception):
    """The service cannot be reached any more.

    Attributes:
        is_refusal: True if it refuses this client, so that nobody need try again soon.
    """

    def __init__(self, message: str, *, is_refusal: bool = False) -> None:
        super().__init__(message)
        self.is_refusal = is_refusal


class Address(NamedTuple):
    """The address of a service, and the headers of the request for a connection."""

    url: str
    headers: Mapping[str, str]


class Client(Protocol):
    """The side that uses a `Link`; every method is called in its task."""

    async def find_address(self) -> Address:
        """Returns the address for the next connection, with a key that is valid now."""

    def greet(self, terms: Mapping[str, Any], *, is_again: bool) -> list[Event]:
        """Returns the first events for a connection.

        Args:
            terms: The terms of the session as the service has sent them.
            is_again: True if there was a connection before.
        """

    async def take_event(self, event: Event) -> None:
        """Acts on an event; the next one is not read before it returns."""

    def note_lost(self, tries: int) -> None:
        """Acts on a connection that is lost; ``tries`` counts those in a row that failed."""


class Link:
    """The connection of one session to its service, one after the other where one is lost.

    Args:
        open_line: Opens a connection.
        client: Acts on events.
        lots: Randomness for the waits, so that the sessions of a server whose service was away do
            not all come back at once.
    """

    def __init__(
        self, open_line: OpenLine, client: Client, lots: random.Random | None = None
    ) -> None:
        self._open_line = open_line
        self._client = client
        self._lots = lots or random.Random()  # noqa: S311 - for waits, not for secrets
        self._outgoing = Outgoing()
        self._is_open = False
        self._has_greeted = False
        # The reason to give a connection up, which neither side of it has.
        self._failed: asyncio.Future[str] | None = None
        self._due: asyncio.TimerHandle | None = None
        self._heard_s = 0.0

    @property
    def is_open(self) -> bool:
        """True while the service takes events."""
        return self._is_open

    def send(self, event: Mapping[str, Any]) -> None:
        """Sends an event; while there is no connection it is dropped, since it belongs to one.

        Raises:
            TypeError: JSON cannot carry a value in it.
        """
        text = write_event(event)
        if self._is_open and not self._outgoing.put(text):
            self._fail("the service takes no events")

    def expect_answer(self) -> None:
        """Gives the connection up once the service is silent for `ANSWER_TIMEOUT_S`.

        Until `note_answer`: it confirms a turn at once, and may then never answer it.
        """
        if self._is_open and self._due is None:
            self._heard_s = asyncio.get_running_loop().time()
            self._wait_for_answer()

    def note_answer(self) -> None:
        """Records that the service owes no answer any more."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def send_audio(self, samples: NDArray[np.int16], kind: str = PCM.kind) -> None:
        """Sends the user's audio; while there is no connection, the last seconds are kept."""
        self._outgoing.put_audio(append_audio(samples, kind))

    async def run(self) -> None:
        """Holds the connection, and connects again when it is lost, until it is cancelled.

        Raises:
            ServiceGone: It is of no use to go on.
        """
        loop = asyncio.get_running_loop()
        tries = 0
        while True:
            began_s = loop.time()
            try:
                await self._hold()
            except ServiceRefused as error:
                raise ServiceGone(str(error), is_refusal=True) from error
            except ServiceLost as error:
                tries = 1 if loop.time() - began_s >= STEADY_S else tries + 1
                logger.warning("a realtime service is lost, %d in a row: %s", tries, error)
                if tries >= MAX_TRIES:
                    raise ServiceGone(str(error)) from error
            self._client.note_lost(tries)
            await asyncio.sleep(self._wait_s(tries))

    def _wait_s(self, tries: int) -> float:
        longest_s = min(FIRST_WAIT_S * 2.0 ** (tries - 1), LONGEST_WAIT_S)
        return self._lots.uniform(longest_s / 2, longest_s)

    async def _hold(self) -> None:
        """Holds one connection until it is lost.

        Raises:
            ServiceLost: It is.
            ServiceRefused: The service has nothing for this client.
        """
        address = await self._client.find_address()
        scope = TaskScope()
        self._failed = failed = asyncio.get_running_loop().create_future()
        async with self._open_line(*address) as line:
            try:
                await self._greet(line)
                sending = scope.start(self._send_all(line))
                reading = scope.start(self._read_all(line))
                waited_for: set[asyncio.Future[Any]] = {sending, reading, failed}
                await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
                # The reader has the service's own reason, where both have ended.
                for task in (reading, sending):
                    if task.done():
                        task.result()
                raise ServiceLost(failed.result())
            finally:
                self._is_open = False
                self.note_answer()
                await scope.close()

    def _fail(self, reason: str) -> None:
        if self._failed is not None and not self._failed.done():
            self._failed.set_result(reason)

    def _wait_for_answer(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = self._heard_s + ANSWER_TIMEOUT_S
        if loop.time() < due_s:
            self._due = loop.call_at(due_s, self._wait_for_answer)
        else:
            self._fail(f"the service was silent for {ANSWER_TIMEOUT_S:g} s")

    async def _greet(self, line: Line) -> None:
        """Waits for the service's first event, and sends ours."""
        try:
            async with asyncio.timeout(GREETING_TIMEOUT_S):
                created = await self._first_event(line)
        except TimeoutError:
            raise ServiceLost(
                f"the service sent no session.created within {GREETING_TIMEOUT_S:g} s"
            ) from None
        terms = object_of(created, "session")
        self._outgoing.keep_audio()
        first = self._client.greet(terms, is_again=self._has_greeted)
        self._has_greeted = self._is_open = True
        for event in first:
            await line.send(write_event(event))
            if event["type"] == "response.create":
                self.expect_answer()

    async def _first_event(self, line: Line) -> Event:
        for _ in range(MAX_UNREADABLE):
            event = read_event(await line.receive())
            if event is None:
                continue
            if event["type"] == "session.created":
                return event
            if event["type"] == "error":
                raise _refusal_of(object_of(event, "error"))
        raise ServiceRefused("the service does not speak the Realtime protocol")

    async def _send_all(self, line: Line) -> None:
        while True:
            await line.send(await self._outgoing.take())

    async def _read_all(self, line: Line) -> None:
        loop = asyncio.get_running_loop()
        unreadable = 0
        while True:
            event = read_event(await line.receive())
            self._heard_s = loop.time()
            if event is not None:
                await self._client.take_event(event)
                continue
            unreadable += 1
            if unreadable > MAX_UNREADABLE:
                raise ServiceLost("the service sends what are no events")


def _refusal_of(error: Mapping[str, Any]) -> ServiceLost | ServiceRefused:
    """Returns the end of a session that the service did not begin."""
    text = f"the service refused the session: {printable(text_of(error, 'message'))}"
    return (ServiceRefused if text_of(error, "type") in REFUSALS else ServiceLost)(text)
