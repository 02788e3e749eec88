"""One question to a credentials service and its answer, without a secret in any text of ours."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from gradio_webrtc._workers.workers import Worker
from gradio_webrtc.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

TIMEOUT_S: Final = 10.0
"""For each of: connecting, sending, every wait for more of the answer. A page waits for this
before it can call, and callers wait no longer."""

SHOWN_CHARS: Final = 200
"""How much of a refusal is quoted: enough for its reason, not for a page of HTML."""

SERVER_MEMBERS: Final = ("urls", "username", "credential")
"""Of an RTCIceServer (W3C WebRTC section 4.2.4). Twilio's older ``url`` is left out: aiortc, which
may be given the same dict for the server's side, takes no other members."""


@dataclass(frozen=True)
class Question:
    """What to ask a service; its ``repr`` shows nothing secret.

    Attributes:
        method: Of HTTP.
        url: Where.
        options: More arguments for httpx: ``headers``, ``params``, ``json``, ``auth``.
        secrets: What must not be quoted.
        failure: How an error's text begins.
    """

    method: Literal["GET", "POST"]
    url: str = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    failure: str = "Failed to get TURN credentials"

    def error(self, reason: str) -> CredentialsError:
        """An error in one short line, with the secrets taken out."""
        for secret in self.secrets:
            reason = reason.replace(secret, "***")
        line = " ".join(reason.split())
        shown = line if len(line) <= SHOWN_CHARS else f"{line[:SHOWN_CHARS]}…"
        return CredentialsError(f"{self.failure}: {shown}")


def ask(question: Question) -> dict[str, Any]:
    """The service's answer, a JSON object; blocks for about `TIMEOUT_S` at most.

    Raises:
        CredentialsError: The service refused, did not answer, or answered something else.
    """
    import httpx  # noqa: PLC0415 - wanted by those who ask, not by everybody who imports us

    try:
        response = httpx.request(
            question.method, question.url, timeout=TIMEOUT_S, **question.options
        )
    except httpx.HTTPError as error:
        failure = _describe(error)
    else:
        return _read(question, response)
    # Outside the except block: httpx's error carries the request, and with it the secrets.
    raise question.error(failure)


async def ask_async(question: Question, client: httpx.AsyncClient | None = None) -> dict[str, Any]:
    """Like `ask`, on the event loop.

    Args:
        question: What to ask.
        client: Asks with it and leaves it open. Without one a thread asks: making a client reads
            the certificates of all authorities, and calls in progress would hear that.

    Raises:
        CredentialsError: As `ask`.
    """
    if client is None:
        worker = Worker("turn-credentials")
        try:
            return await worker.run(ask, question)
        finally:
            worker.close()
    import httpx  # noqa: PLC0415 - as above

    try:
        response = await client.request(
            question.method, question.url, timeout=TIMEOUT_S, **question.options
        )
    except httpx.HTTPError as error:
        failure = _describe(error)
    else:
        return _read(question, response)
    raise question.error(failure)


def configuration_of(question: Question, servers: object) -> dict[str, Any]:
    """An RTCConfiguration with the ICE servers of an answer.

    Args:
        question: What was asked.
        servers: A list of RTCIceServer, or the only one.

    Raises:
        CredentialsError: They are none.
    """
    listed = [servers] if isinstance(servers, dict) else servers
    if not isinstance(listed, list) or not listed:
        raise question.error("the answer names no ICE servers")
    if not all(isinstance(server, dict) and server.get("urls") for server in listed):
        raise question.error("the answer has an ICE server without urls")
    return {
        "iceServers": [
            {member: server[member] for member in SERVER_MEMBERS if member in server}
            for server in listed
        ]
    }


def from_environment(*names: str) -> str | None:
    """The first of these variables that is set and not empty."""
    return next((value for name in names if (value := os.environ.get(name))), None)


def require(what: str, **values: str | None) -> list[str]:
    """The values, when all of them are there.

    Args:
        what: What an error says is wanted.
        **values: Each under the name of the environment variable that it may come from.

    Raises:
        CredentialsError: Naming the variables of those that are missing.
    """
    missing = [variable for variable, value in values.items() if not value]
    if missing:
        raise CredentialsError(f"{what}; environment variables not set: {', '.join(missing)}")
    return [value for value in values.values() if value]


def _describe(error: httpx.HTTPError) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _read(question: Question, response: httpx.Response) -> dict[str, Any]:
    if not response.is_success:
        raise question.error(f"{response.status_code} {response.text or response.reason_phrase}")
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        # Nothing is quoted: what looks like no answer may hold credentials all the same.
        raise question.error(f"{response.status_code} without a JSON object")
    return answer
