"""Twilio's Network Traversal Service, asked over HTTP: the package ``twilio`` is not needed."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from .exchange import Question, ask, ask_async, configuration_of, from_environment, require

TWILIO_API_URL: Final = "https://api.twilio.com/2010-04-01"
"""The root of Twilio's REST API. The resource is documented as "Tokens"."""


def get_twilio_turn_credentials(
    twilio_sid: str | None = None, twilio_token: str | None = None
) -> dict[str, Any]:
    """TURN servers from Twilio; blocks for some ten seconds at most.

    Args:
        twilio_sid: The account's SID; by default the environment variable ``TWILIO_ACCOUNT_SID``.
        twilio_token: Its auth token; by default ``TWILIO_AUTH_TOKEN``.

    Returns:
        ``{"iceServers": [...], "iceTransportPolicy": "relay"}`` for ``rtc_configuration``: every
        call goes through Twilio.

    Raises:
        CredentialsError: One of the two is missing, or the service gave no credentials.
    """
    question = _question(twilio_sid, twilio_token)
    return _relayed(question, ask(question))


async def get_twilio_turn_credentials_async(
    twilio_sid: str | None = None, twilio_token: str | None = None
) -> dict[str, Any]:
    """Like `get_twilio_turn_credentials`, on the event loop.

    Args:
        twilio_sid: As there.
        twilio_token: As there.

    Raises:
        CredentialsError: As there.
    """
    question = _question(twilio_sid, twilio_token)
    return _relayed(question, await ask_async(question))


def _question(sid: str | None, token: str | None) -> Question:
    sid, token = require(
        "a Twilio account is wanted (twilio_sid and twilio_token)",
        TWILIO_ACCOUNT_SID=sid or from_environment("TWILIO_ACCOUNT_SID"),
        TWILIO_AUTH_TOKEN=token or from_environment("TWILIO_AUTH_TOKEN"),
    )
    url = f"{TWILIO_API_URL}/Accounts/{quote(sid, safe='')}/Tokens.json"
    return Question("POST", url, {"auth": (sid, token)}, secrets=(token, sid))


def _relayed(question: Question, answer: dict[str, Any]) -> dict[str, Any]:
    configuration = configuration_of(question, answer.get("ice_servers"))
    return configuration | {"iceTransportPolicy": "relay"}
