"""Candidates that come without the secret of their session, in the name of its client.

A page that was written for fastrtc posts candidates from the moment on at which it has an offer, so
the first come before the answer that brings the cookie. In a frame of another site, and on a page
of another origin, browsers send no cookie at all. Such a candidate belongs to the session that the
same client opens, or has just opened, under the id that it names: what it can do there is to name
one more address, to which the server sends checks that only the client can answer. Every other
request for a session needs the secret. Runs on the event loop.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from gradio_webrtc._session.client_address import client_of
from gradio_webrtc._session.directory import is_id
from gradio_webrtc._session.signaling import refusal_of
from gradio_webrtc._transport import read_candidate
from gradio_webrtc.errors import SessionUnknown, SignalingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradio_webrtc._session.client_inputs import ReadInputs
    from gradio_webrtc._session.signaling import Signaling

V = TypeVar("V")

EARLY_S: Final = 15.0
"""The time for which candidates wait for the answer to their offer, in seconds. An offer may wait
for a place for 2.5 s, and for the handler of its session for ten."""

LATE_S: Final = 30.0
"""The time after the answer in which candidates may come without a secret, in seconds: a connection
has as long to come about."""

MAX_EARLY: Final = 64
"""Ids for which candidates wait, with `MAX_OF_ONE` of 2 kB each; the oldest are dropped first."""

MAX_OF_ONE: Final = 32
"""Candidates that wait for one session; further ones are dropped."""

MAX_ANSWERED: Final = 1024
"""Sessions whose candidates may come without a secret; the oldest are dropped first."""

FIELDS: Final = ("candidate", "sdpMid", "sdpMLineIndex")
"""The members of a W3C ``RTCIceCandidateInit`` that are read."""


class Owner(NamedTuple):
    """The client of a session, and the id that it proposed.

    Attributes:
        client: The name under which limits count it; empty for a program of this process.
        alias: The id.
    """

    client: str
    alias: str


class ShortLived(OrderedDict[Owner, tuple[float, V]]):
    """Values with the time at which they came, of which each is stored for a short while.

    Args:
        lasting_s: The time for which a value is stored, in seconds.
        most: The most values; the oldest is dropped first.
    """

    def __init__(self, lasting_s: float, most: int) -> None:
        super().__init__()
        self._lasting_s = lasting_s
        self._most = most

    def store(self, owner: Owner, value: V, now_s: float) -> None:
        """Stores a value, in place of an earlier one of the same owner."""
        self.pop(owner, None)
        self[owner] = (now_s, value)
        self._drop_old(now_s)

    def find(self, owner: Owner, now_s: float) -> V | None:
        """Returns the value of an owner; ``None`` without one."""
        self._drop_old(now_s)
        return self[owner][1] if owner in self else None

    def _drop_old(self, now_s: float) -> None:
        """Drops what is too old or too much."""
        while self and (
            len(self) > self._most or now_s - next(iter(self.values()))[0] > self._lasting_s
        ):
            self.popitem(last=False)


class EarlyCandidates:
    """Answers requests like `Signaling`, and brings candidates without a secret to their session.

    Args:
        signaling: Answers them.
        trusted_proxies: Addresses or networks of proxies that name their clients.
        read_inputs: Checks the input values that clients send; ``None`` if they may send none.
    """

    def __init__(
        self,
        signaling: Signaling,
        trusted_proxies: Sequence[str] = (),
        read_inputs: ReadInputs | None = None,
    ) -> None:
        self._signaling = signaling
        self._read_inputs = read_inputs
        self._proxies = trusted_proxies
        self._waiting: ShortLived[list[dict[str, Any]]] = ShortLived(EARLY_S, MAX_EARLY)
        self._secrets: ShortLived[str] = ShortLived(LATE_S, MAX_ANSWERED)

    async def handle_request(
        self, body: Mapping[str, Any], request: Any = None, cookie: str | None = None
    ) -> dict[str, Any]:
        """Answers one request.

        Args:
            body: The request; see `Signaling.handle_request`.
            request: The HTTP request, ``None`` for a program of this process.
            cookie: The secret that the browser added. It may be that of an earlier session with the
                same id.

        Returns:
            The answer. It is success for every candidate without a secret that can be read, so it
            does not reveal whether there is a session.
        """
        asked = dict(body)
        if "secret" not in asked and cookie is not None:
            asked["secret"] = cookie
        if asked.get("type") == "ice-candidate" and "secret" not in body:
            return await self._add(asked, request)
        answer = await self._signaling.handle_request(asked, request, read_inputs=self._read_inputs)
        if "secret" in answer:
            await self._deliver(self._owner_of(asked, request), answer["secret"], request)
        return answer

    async def _add(self, asked: dict[str, Any], request: Any) -> dict[str, Any]:
        """Passes a candidate on with the cookie's secret, with a stored one, or later."""
        if "secret" in asked:
            answer = await self._signaling.handle_request(asked, request)
            if answer.get("meta", {}).get("error") != SessionUnknown.code:
                return answer
        owner = self._owner_of(asked, request)
        if (secret := self._secrets.find(owner, _now_s())) is not None:
            return await self._signaling.handle_request({**asked, "secret": secret}, request)
        try:
            self._keep(owner, asked.get("candidate"))
        except SignalingError as error:
            return refusal_of(error)
        return {"status": "success"}

    def _keep(self, owner: Owner, candidate: Any) -> None:
        """Keeps a candidate for the offer to come.

        Raises:
            InvalidCandidate: It cannot be read.
        """
        parsed = read_candidate(candidate)
        # Others would be left out by the session as well.
        if parsed is None or parsed.protocol.lower() != "udp" or not is_id(owner.alias):
            return
        now_s = _now_s()
        kept = self._waiting.find(owner, now_s)
        if kept is None:
            kept = []
            self._waiting.store(owner, kept, now_s)
        if len(kept) < MAX_OF_ONE:
            kept.append({name: candidate.get(name) for name in FIELDS})

    async def _deliver(self, owner: Owner, secret: str, request: Any) -> None:
        """Passes on what waits for a session that is answered now, and stores its secret."""
        now_s = _now_s()
        self._secrets.store(owner, secret, now_s)
        waiting = self._waiting.find(owner, now_s) or []
        self._waiting.pop(owner, None)
        for candidate in waiting:
            body = {"type": "ice-candidate", "candidate": candidate, "webrtc_id": owner.alias}
            await self._signaling.handle_request({**body, "secret": secret}, request)

    def _owner_of(self, asked: Mapping[str, Any], request: Any) -> Owner:
        alias = asked.get("webrtc_id")
        client = client_of(request, self._proxies, alias)
        return Owner("" if client is None else client.key, alias if isinstance(alias, str) else "")


def _now_s() -> float:
    return asyncio.get_running_loop().time()
