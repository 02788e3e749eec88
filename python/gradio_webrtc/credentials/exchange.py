"""One request to a credentials service and its answer, without a secret in any text of ours.

Imports httpx, when a request is made, and no session.
"""

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
"""Seconds for each of: connecting, sending, every wait for more of the answer. A client waits for
this before it can connect, and users wait no longer."""

SHOWN_CHARS: Final = 200
"""Characters of a refusal that are quoted: enough for its reason, not for an HTML document."""

SERVER_MEMBERS: Final = ("urls", "username", "credential")
"""The members of an RTCIceServer (W3C WebRTC section 4.2.4). Twilio's older ``url`` is left out:
aiortc, which may get the same dict for the server's side, takes no other members."""


@dataclass(frozen=True)
class Request:
    """A request to a service; its ``repr`` shows nothing secret.

    Attributes:
        method: The HTTP method.
        url: The address; may hold an account's id.
        options: More arguments for httpx: ``headers``, ``params``, ``json``, ``auth``.
        secrets: Texts that must not be quoted.
        failure: The beginning of an error's text.
    """

    method: Literal["GET", "POST"]
    url: str = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    failure: str = "Failed to get TURN credentials"

    def error(self, reason: str) -> CredentialsError:
        """Returns an error of one short line, with the secrets taken out."""
        for secret in self.secrets:
            reason = reason.replace(secret, "***")
        line = " ".join(reason.split())
        shown = line if len(line) <= SHOWN_CHARS else f"{line[:SHOWN_CHARS]}…"
        return CredentialsError(f"{self.failure}: {shown}")


def fetch(request: Request) -> dict[str, Any]:
    """Returns the service's answer, a JSON object; blocks for about `TIMEOUT_S` at most.

    Raises:
        CredentialsError: The service refused, did not answer, or answered something else.
    """
    import httpx  # noqa: PLC0415 - needed for requests alone, and slow to import

    try:
        response = httpx.request(request.method, request.url, timeout=TIMEOUT_S, **request.options)
    except httpx.HTTPError as error:
        failure = _describe(error)
    else:
        return _read(request, response)
    # Outside the except block: httpx's error carries the request, and with it the secrets.
    raise request.error(failure)


async def fetch_async(request: Request, client: httpx.AsyncClient | None = None) -> dict[str, Any]:
    """Like `fetch`, on the event loop.

    Args:
        request: The request.
        client: Makes the request with it and leaves it open. Without one a thread makes it: a new
            client reads the certificates of all authorities, which blocks for long enough that
            other sessions would lose audio.

    Raises:
        CredentialsError: As `fetch`.
    """
    if client is None:
        worker = Worker("turn-credentials")
        try:
            return await worker.run(fetch, request)
        finally:
            worker.close()
    import httpx  # noqa: PLC0415 - as above

    try:
        response = await client.request(
            request.method, request.url, timeout=TIMEOUT_S, **request.options
        )
    except httpx.HTTPError as error:
        failure = _describe(error)
    else:
        return _read(request, response)
    raise request.error(failure)


def configuration_of(request: Request, servers: object) -> dict[str, Any]:
    """Returns an RTCConfiguration with the ICE servers of an answer.

    Args:
        request: The request that was answered.
        servers: A list of RTCIceServer, or a single one.

    Raises:
        CredentialsError: They are none.
    """
    listed = [servers] if isinstance(servers, dict) else servers
    if not isinstance(listed, list) or not listed:
        raise request.error("the answer names no ICE servers")
    if not all(isinstance(server, dict) and server.get("urls") for server in listed):
        raise request.error("the answer has an ICE server without urls")
    return {
        "iceServers": [
            {member: server[member] for member in SERVER_MEMBERS if member in server}
            for server in listed
        ]
    }


def from_environment(*names: str) -> str | None:
    """Returns the first of these environment variables that is set and not empty."""
    return next((value for name in names if (value := os.environ.get(name))), None)


def require(what: str, **values: str | None) -> list[str]:
    """Returns the values, if all of them are there.

    Args:
        what: The beginning of the error's text, which names what is needed.
        **values: Each under the name of the environment variable that it may come from.

    Raises:
        CredentialsError: Values are missing; names their variables.
    """
    missing = [variable for variable, value in values.items() if not value]
    if missing:
        raise CredentialsError(f"{what}; environment variables not set: {', '.join(missing)}")
    return [value for value in values.values() if value]


def _describe(error: httpx.HTTPError) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _read(request: Request, response: httpx.Response) -> dict[str, Any]:
    if not response.is_success:
        raise request.error(f"{response.status_code} {response.text or response.reason_phrase}")
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        # Nothing is quoted: an answer of another form may hold credentials all the same.
        raise request.error(f"{response.status_code} without a JSON object")
    return answer
