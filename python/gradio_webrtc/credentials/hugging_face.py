"""Hugging Face's TURN service, which anybody with an account may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .exchange import Question, ask, ask_async, configuration_of, from_environment, require

if TYPE_CHECKING:
    import httpx

HF_TURN_URL: Final = "https://turn.fastrtc.org/credentials"
"""Gives Cloudflare's servers to those who have a Hugging Face token. The Space that
gradio_webrtc 0.0.x asked is gone."""

DEFAULT_TTL_S: Final = 600
"""Ten minutes to make a call in; a call that stands goes on for longer."""


def get_hf_turn_credentials(token: str | None = None, ttl: int = DEFAULT_TTL_S) -> dict[str, Any]:
    """TURN servers from Hugging Face; blocks for some ten seconds at most.

    Args:
        token: A Hugging Face access token; by default the environment variable ``HF_TOKEN``.
        ttl: For how many seconds the credentials are good.

    Returns:
        ``{"iceServers": [...]}`` for ``rtc_configuration``.

    Raises:
        CredentialsError: There is no token, or the service gave no credentials.
    """
    question = hf_question(token, ttl)
    return configuration_of(question, ask(question).get("iceServers"))


async def get_hf_turn_credentials_async(
    token: str | None = None, ttl: int = DEFAULT_TTL_S, client: httpx.AsyncClient | None = None
) -> dict[str, Any]:
    """Like `get_hf_turn_credentials`, on the event loop.

    Args:
        token: As there.
        ttl: As there.
        client: Asks with this client, and leaves it open.

    Raises:
        CredentialsError: As there.
    """
    question = hf_question(token, ttl)
    return configuration_of(question, (await ask_async(question, client)).get("iceServers"))


def hf_question(token: str | None, ttl_s: int) -> Question:
    """What to ask.

    Raises:
        CredentialsError: There is no token.
    """
    [token] = require(
        "a Hugging Face token is wanted (token)", HF_TOKEN=token or from_environment("HF_TOKEN")
    )
    return Question(
        "GET",
        HF_TURN_URL,
        {"headers": {"Authorization": f"Bearer {token}"}, "params": {"ttl": ttl_s}},
        secrets=(token,),
        failure="Failed to get credentials from HF turn server",
    )
