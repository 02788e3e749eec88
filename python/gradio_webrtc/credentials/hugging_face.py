"""Hugging Face's TURN service, which anybody with an account may use.

May block; the async form runs on the event loop. Imports neither sessions nor transports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .exchange import Request, configuration_of, fetch, fetch_async, from_environment, require

if TYPE_CHECKING:
    import httpx

HF_TURN_URL: Final = "https://turn.fastrtc.org/credentials"
"""An endpoint that gives Cloudflare's servers for a Hugging Face token. The Space that
gradio_webrtc 0.0.31 asked is gone."""

DEFAULT_TTL_S: Final = 600
"""Ten minutes to connect in, in seconds; a session that is connected goes on for longer."""


def get_hf_turn_credentials(token: str | None = None, ttl: int = DEFAULT_TTL_S) -> dict[str, Any]:
    """Returns TURN servers from Hugging Face; blocks for some ten seconds at most.

    Args:
        token: A Hugging Face access token; by default the environment variable ``HF_TOKEN``.
        ttl: The lifetime of the credentials, in seconds.

    Returns:
        ``{"iceServers": [...]}`` for ``rtc_configuration``.

    Raises:
        CredentialsError: There is no token, or the service gave no credentials.

    Example:
        >>> from functools import partial
        >>> webrtc = WebRTC(rtc_configuration=partial(get_hf_turn_credentials, ttl=300))
    """
    request = hf_request(token, ttl)
    return configuration_of(request, fetch(request).get("iceServers"))


async def get_hf_turn_credentials_async(
    token: str | None = None, ttl: int = DEFAULT_TTL_S, client: httpx.AsyncClient | None = None
) -> dict[str, Any]:
    """Like `get_hf_turn_credentials`, on the event loop.

    Args:
        token: As there.
        ttl: As there.
        client: Makes the request with this client, and leaves it open.

    Returns:
        As there.

    Raises:
        CredentialsError: As there.

    Example:
        >>> from functools import partial
        >>> webrtc = WebRTC(rtc_configuration=partial(get_hf_turn_credentials_async, ttl=300))
    """
    request = hf_request(token, ttl)
    return configuration_of(request, (await fetch_async(request, client)).get("iceServers"))


def hf_request(token: str | None, ttl_s: int) -> Request:
    """Returns the request for credentials.

    Args:
        token: A Hugging Face access token; by default ``HF_TOKEN``.
        ttl_s: The lifetime of the credentials, in seconds.

    Raises:
        CredentialsError: There is no token.
    """
    [token] = require(
        "a Hugging Face token is needed (token)", HF_TOKEN=token or from_environment("HF_TOKEN")
    )
    return Request(
        "GET",
        HF_TURN_URL,
        {"headers": {"Authorization": f"Bearer {token}"}, "params": {"ttl": ttl_s}},
        secrets=(token,),
        failure="Failed to get credentials from HF turn server",
    )
