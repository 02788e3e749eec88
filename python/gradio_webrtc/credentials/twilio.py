"""Twilio's Network Traversal Service, over HTTP: the package ``twilio`` is not needed.

May block; the async form runs on the event loop. Imports neither sessions nor transports.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from .exchange import Request, configuration_of, fetch, fetch_async, from_environment, require

TWILIO_API_URL: Final = "https://api.twilio.com/2010-04-01"
"""The root of Twilio's REST API. The resource is documented as "Tokens"."""


def get_twilio_turn_credentials(
    twilio_sid: str | None = None, twilio_token: str | None = None
) -> dict[str, Any]:
    """Returns TURN servers from Twilio; blocks for some ten seconds at most.

    Args:
        twilio_sid: The account's SID; by default the environment variable ``TWILIO_ACCOUNT_SID``.
        twilio_token: Its auth token; by default ``TWILIO_AUTH_TOKEN``.

    Returns:
        ``{"iceServers": [...], "iceTransportPolicy": "relay"}`` for ``rtc_configuration``:
        the media of every session go through Twilio.

    Raises:
        CredentialsError: One of the two is missing, or the service gave no credentials.

    Example:
        >>> webrtc = WebRTC(rtc_configuration=get_twilio_turn_credentials)
    """
    request = _request(twilio_sid, twilio_token)
    return _relayed(request, fetch(request))


async def get_twilio_turn_credentials_async(
    twilio_sid: str | None = None, twilio_token: str | None = None
) -> dict[str, Any]:
    """Like `get_twilio_turn_credentials`, on the event loop.

    Args:
        twilio_sid: As there.
        twilio_token: As there.

    Returns:
        As there.

    Raises:
        CredentialsError: As there.

    Example:
        >>> webrtc = WebRTC(rtc_configuration=get_twilio_turn_credentials_async)
    """
    request = _request(twilio_sid, twilio_token)
    return _relayed(request, await fetch_async(request))


def _request(sid: str | None, token: str | None) -> Request:
    sid, token = require(
        "a Twilio account is needed (twilio_sid and twilio_token)",
        TWILIO_ACCOUNT_SID=sid or from_environment("TWILIO_ACCOUNT_SID"),
        TWILIO_AUTH_TOKEN=token or from_environment("TWILIO_AUTH_TOKEN"),
    )
    url = f"{TWILIO_API_URL}/Accounts/{quote(sid, safe='')}/Tokens.json"
    return Request("POST", url, {"auth": (sid, token)}, secrets=(token, sid))


def _relayed(request: Request, answer: dict[str, Any]) -> dict[str, Any]:
    configuration = configuration_of(request, answer.get("ice_servers"))
    return configuration | {"iceTransportPolicy": "relay"}
