"""Stand-ins for all that the guide's "Async Stream Handlers" needs: Gemini, and Twilio's address.

Both are stand-ins on this machine. The session does what a live one may do: it starts slowly, sends
odd numbers of bytes and messages without audio, and hangs up.
"""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import numpy as np
from support.notes import note
from support.signals import tone

from gradio_webrtc.credentials import twilio

__all__: list[str] = []

LISTENS_S = 1.0
ANSWER = tone(0.5, 600, 24_000).tobytes()
ODD_BYTES = 1001


class LiveSession:
    """Listens for a second, answers with half a second of a tone, and hangs up.

    Args:
        answers: The number of answers before that.
    """

    def __init__(self, answers: int) -> None:
        self._answers = answers

    async def start_stream(
        self, stream: AsyncIterator[str], mime_type: str
    ) -> AsyncIterator[SimpleNamespace]:
        for _ in range(self._answers):
            received = b""
            async for message in stream:
                received += base64.b64decode(message)
                if len(received) >= LISTENS_S * 16_000 * 2:
                    break
            note("C04.received", mime_type=mime_type, samples=np.frombuffer(received, np.int16))
            await asyncio.sleep(0.3)
            for begin in range(0, len(ANSWER), ODD_BYTES):
                yield SimpleNamespace(data=ANSWER[begin : begin + ODD_BYTES])
                yield SimpleNamespace(data=None)
        note("C04.hung_up")


class Client:
    """A stand-in for `google.genai.Client`."""

    def __init__(self, api_key: str, http_options: dict[str, str]) -> None:
        note("C04.client", api_key=api_key, http_options=http_options)
        self.aio = SimpleNamespace(live=self)
        self._answers = 30 if "talkative" in api_key else 1

    @asynccontextmanager
    async def connect(self, model: str, config: dict[str, Any]) -> AsyncIterator[LiveSession]:
        note("C04.connect", model=model, config=config)
        yield LiveSession(self._answers)


def _offer_gemini() -> None:
    google, genai = cast("Any", ModuleType("google")), cast("Any", ModuleType("google.genai"))
    google.genai, genai.Client = genai, Client
    sys.modules |= {"google": google, "google.genai": genai}


_offer_gemini()
cast("Any", twilio).TWILIO_API_URL = os.environ["STAND_IN_FOR_TWILIO"]
