"""One function for all services, so that a setting of an application can choose among them.

May block; the async form runs on the event loop. Imports the services and nothing else of ours.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from .cloudflare import get_cloudflare_turn_credentials, get_cloudflare_turn_credentials_async
from .hugging_face import get_hf_turn_credentials, get_hf_turn_credentials_async
from .twilio import get_twilio_turn_credentials, get_twilio_turn_credentials_async

if TYPE_CHECKING:
    from collections.abc import Callable

Method: TypeAlias = Literal["hf", "twilio", "cloudflare"]

_SYNC: Final[dict[str, Callable[..., Any]]] = {
    "hf": get_hf_turn_credentials,
    "twilio": get_twilio_turn_credentials,
    "cloudflare": get_cloudflare_turn_credentials,
}
_ASYNC: Final[dict[str, Callable[..., Any]]] = {
    "hf": get_hf_turn_credentials_async,
    "twilio": get_twilio_turn_credentials_async,
    "cloudflare": get_cloudflare_turn_credentials_async,
}


def get_turn_credentials(method: Method = "hf", **kwargs: Any) -> dict[str, Any]:
    """Returns TURN servers of the service of your choice; blocks for some ten seconds at most.

    Args:
        method: "hf", the default as in gradio_webrtc 0.0.31 (fastrtc's is "cloudflare", which has
            the same result with ``HF_TOKEN``); "twilio"; or "cloudflare".
        **kwargs: The arguments of that service's function. Those of another service are ignored,
            so that the method alone can change.

    Returns:
        An RTCConfiguration for ``rtc_configuration``.

    Raises:
        ValueError: There is no such method.
        TypeError: No service has such an argument.
        CredentialsError: As the service's function.

    Example:
        >>> from functools import partial
        >>> configuration = partial(get_turn_credentials, "twilio")  # new ones for every session
    """
    configuration: dict[str, Any] = _choose(_SYNC, method)(**_arguments(_SYNC, method, kwargs))
    return configuration


async def get_turn_credentials_async(method: Method = "hf", **kwargs: Any) -> dict[str, Any]:
    """Like `get_turn_credentials`, on the event loop.

    Args:
        method: As there.
        **kwargs: As there; for "hf" and "cloudflare" also ``client``, an httpx.AsyncClient that
            makes the request.

    Returns:
        As there.

    Raises:
        ValueError: As there.
        TypeError: As there.
        CredentialsError: As there.

    Example:
        >>> webrtc = WebRTC(rtc_configuration=get_turn_credentials_async)
    """
    get = _choose(_ASYNC, method)
    configuration: dict[str, Any] = await get(**_arguments(_ASYNC, method, kwargs))
    return configuration


def _choose(functions: dict[str, Callable[..., Any]], method: str) -> Callable[..., Any]:
    if method not in functions:
        raise ValueError("Invalid method. Must be 'hf', 'twilio', or 'cloudflare'")
    return functions[method]


def _arguments(
    functions: dict[str, Callable[..., Any]], method: str, given: dict[str, Any]
) -> dict[str, Any]:
    """Returns those of the given arguments that the method's function takes."""
    known = {name: set(inspect.signature(fn).parameters) for name, fn in functions.items()}
    unknown = set(given).difference(*known.values())
    if unknown:
        raise TypeError(f"no TURN service takes the argument {min(unknown)!r}")
    return {name: value for name, value in given.items() if name in known[method]}
