"""Cloudflare's Realtime TURN service, with an account there or through Hugging Face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from .exchange import Question, ask, ask_async, configuration_of, from_environment, require
from .hugging_face import DEFAULT_TTL_S, hf_question

if TYPE_CHECKING:
    import httpx

CLOUDFLARE_API_URL: Final = "https://rtc.live.cloudflare.com/v1"
"""The root of Cloudflare's Realtime API, documented as "Generate Credentials"."""

# fastrtc read the first name of each and told of the second.
_ID_VARIABLES: Final = ("CLOUDFLARE_TURN_KEY_ID", "TURN_KEY_ID")
_TOKEN_VARIABLES: Final = ("CLOUDFLARE_TURN_KEY_API_TOKEN", "TURN_KEY_API_TOKEN")


def get_cloudflare_turn_credentials(
    turn_key_id: str | None = None,
    turn_key_api_token: str | None = None,
    hf_token: str | None = None,
    ttl: int = DEFAULT_TTL_S,
) -> dict[str, Any]:
    """TURN servers from Cloudflare; blocks for some ten seconds at most.

    Arguments come before the environment, where ``HF_TOKEN`` comes before a key of Cloudflare's.

    Args:
        turn_key_id: A TURN key's id; by default ``CLOUDFLARE_TURN_KEY_ID``.
        turn_key_api_token: Its token; by default ``CLOUDFLARE_TURN_KEY_API_TOKEN``.
        hf_token: A Hugging Face access token, in place of those two; by default ``HF_TOKEN``.
        ttl: For how many seconds the credentials are good.

    Returns:
        ``{"iceServers": [...]}`` for ``rtc_configuration``.

    Raises:
        CredentialsError: Nothing to log in with, or the service gave no credentials.
    """
    question = _question(turn_key_id, turn_key_api_token, hf_token, ttl)
    return configuration_of(question, ask(question).get("iceServers"))


async def get_cloudflare_turn_credentials_async(
    turn_key_id: str | None = None,
    turn_key_api_token: str | None = None,
    hf_token: str | None = None,
    ttl: int = DEFAULT_TTL_S,
    client: httpx.AsyncClient | None = None,
) -> dict[str, Any]:
    """Like `get_cloudflare_turn_credentials`, on the event loop.

    Args:
        turn_key_id: As there.
        turn_key_api_token: As there.
        hf_token: As there.
        ttl: As there.
        client: Asks with this client, and leaves it open.

    Raises:
        CredentialsError: As there.
    """
    question = _question(turn_key_id, turn_key_api_token, hf_token, ttl)
    return configuration_of(question, (await ask_async(question, client)).get("iceServers"))


def _question(
    key_id: str | None, api_token: str | None, hf_token: str | None, ttl_s: int
) -> Question:
    has_key = bool(key_id or api_token)
    if hf_token or (not has_key and from_environment("HF_TOKEN")):
        return hf_question(hf_token, ttl_s)
    key_id, api_token = require(
        "a TURN key of Cloudflare's is wanted (turn_key_id and turn_key_api_token), "
        "or a Hugging Face token (hf_token, HF_TOKEN)",
        CLOUDFLARE_TURN_KEY_ID=key_id or from_environment(*_ID_VARIABLES),
        CLOUDFLARE_TURN_KEY_API_TOKEN=api_token or from_environment(*_TOKEN_VARIABLES),
    )
    return Question(
        "POST",
        f"{CLOUDFLARE_API_URL}/turn/keys/{quote(key_id, safe='')}/credentials/generate-ice-servers",
        {"headers": {"Authorization": f"Bearer {api_token}"}, "json": {"ttl": ttl_s}},
        secrets=(api_token, key_id),
    )
