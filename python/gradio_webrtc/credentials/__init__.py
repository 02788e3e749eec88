"""Credentials of TURN services, for the client's side of a session. Imports no session.

=========== ==================================== ================================================
method      service                              credentials
=========== ==================================== ================================================
hf          Hugging Face's own TURN service      ``HF_TOKEN``
twilio      Twilio's Network Traversal Service   ``TWILIO_ACCOUNT_SID``, ``TWILIO_AUTH_TOKEN``
cloudflare  Cloudflare's Realtime TURN service   ``CLOUDFLARE_TURN_KEY_ID``,
                                                 ``CLOUDFLARE_TURN_KEY_API_TOKEN``; or ``HF_TOKEN``
=========== ==================================== ================================================

Each function has a twin for the event loop, with ``_async`` behind its name. All of them return a
W3C ``RTCConfiguration`` and raise `gradio_webrtc.errors.CredentialsError`. Credentials expire: pass
the function itself as ``rtc_configuration``, which is then called for every session.
"""

import typing

from gradio_webrtc._advice import names_elsewhere

from .choice import get_turn_credentials, get_turn_credentials_async
from .cloudflare import get_cloudflare_turn_credentials, get_cloudflare_turn_credentials_async
from .hugging_face import get_hf_turn_credentials, get_hf_turn_credentials_async
from .twilio import get_twilio_turn_credentials, get_twilio_turn_credentials_async

__all__ = [
    "get_cloudflare_turn_credentials",
    "get_cloudflare_turn_credentials_async",
    "get_hf_turn_credentials",
    "get_hf_turn_credentials_async",
    "get_turn_credentials",
    "get_turn_credentials_async",
    "get_twilio_turn_credentials",
    "get_twilio_turn_credentials_async",
]

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)
