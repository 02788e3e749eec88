"""Cloudflare's Realtime TURN service, with an account there or through Hugging Face.

May block; the async form runs on the event loop. Imports neither sessions nor transports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from .exchange import Request, configuration_of, fetch, fetch_async, from_environment, require
from .hugging_face import DEFAULT_TTL_S, hf_request

if TYPE_CHECKING:
    import httpx

CLOUDFLARE_API_URL: Final = "https://rtc.live.cloudflare.com/v1"
"""The root of Cloudflare's Realtime API, documented as "Generate Credentials"."""

# fastrtc reads the first name of each and documents the second.
_ID_VARIABLES: Final = ("CLOUDFLARE_TURN_KEY_ID", "TURN_KEY_ID")
_TOKEN_VARIABLES: Final = ("CLOUDFLARE_TURN_KEY_API_TOKEN", "TURN_KEY_API_TOKEN")


def get_cloudflare_turn_credentials(
    turn_key_id: str | None = None,
    turn_key_api_token: str | None = None,
    hf_token: str | None = None,
    ttl: int = DEFAULT_TTL_S,
) -> dict[str, Any]:
    """Returns TURN servers from Cloudflare; blocks for some ten seconds at most.

    Arguments take precedence over the environment, and there ``HF_TOKEN`` over a key of
    Cloudflare's.

    Args:
        turn_key_id: A TURN key's id; by default ``CLOUDFLARE_TURN_KEY_ID``.
        turn_key_api_token: Its token; by default ``CLOUDFLARE_TURN_KEY_API_TOKEN``.
        hf_token: A Hugging Face access token, in place of those two; by default ``HF_TOKEN``.
        ttl: The lifetime of the credentials, in seconds.

    Returns:
        ``{"iceServers": [...]}`` for ``rtc_configuration``.

    Raises:
        CredentialsError: There is nothing to log in with, or the service gave no credentials.

    Example:
        >>> from functools import partial
        >>> configuration = partial(get_cloudflare_turn_credentials, ttl=300)
        >>> webrtc = WebRTC(rtc_configuration=configuration)
    """
    request = _request(turn_key_id, turn_key_api_token, hf_token, ttl)
    return configuration_of(request, fetch(request).get("iceServers"))


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
        client: Makes the request with this client, and leaves it open.

    Returns:
        As there.

    Raises:
        CredentialsError: As there.

    Example:
        >>> from functools import partial
        >>> configuration = partial(get_cloudflare_turn_credentials_async, ttl=300)
        >>> webrtc = WebRTC(rtc_configuration=configuration)
    """
    request = _request(turn_key_id, turn_key_api_token, hf_token, ttl)
    return configuration_of(request, (await fetch_async(request, client)).get("iceServers"))


def _request(
    key_id: str | None, api_token: str | None, hf_token: str | None, ttl_s: int
) -> Request:
    has_key = bool(key_id or api_token)
    if hf_token or (not has_key and from_environment("HF_TOKEN")):
        return hf_request(hf_token, ttl_s)
    key_id, api_token = require(
        "a TURN key of Cloudflare's is needed (turn_key_id and turn_key_api_token), "
        "or a Hugging Face token (hf_token, HF_TOKEN)",
        CLOUDFLARE_TURN_KEY_ID=key_id or from_environment(*_ID_VARIABLES),
        CLOUDFLARE_TURN_KEY_API_TOKEN=api_token or from_environment(*_TOKEN_VARIABLES),
    )
    return Request(
        "POST",
        f"{CLOUDFLARE_API_URL}/turn/keys/{quote(key_id, safe='')}/credentials/generate-ice-servers",
        {"headers": {"Authorization": f"Bearer {api_token}"}, "json": {"ttl": ttl_s}},
        secrets=(api_token, key_id),
    )
