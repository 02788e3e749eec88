"""The bearer token of a request (RFC 6750), compared with a text or by a function of the user's.

Runs on the event loop; a function that may block runs in a thread. No token and no text of an
exception of that function is logged.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import warnings
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeAlias

from gradio_webrtc._session.reporting import report_without_text
from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc._workers.workers import UserFunction, Worker

from .problems import RequestProblem

if TYPE_CHECKING:
    from fastapi import Request

TokenCheck: TypeAlias = Callable[[str], bool | Awaitable[bool]]
"""Returns True for a token that is right; sync or async."""

TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]{1,4096}=*")
"""A token (RFC 6750 section 2.1), in a length that headers have room for."""

SHORT: Final = 16
"""Characters of a token that can be guessed, if it has fewer: with 64 letters they have 96 bits."""

CHECK_LIMIT_S: Final = 10.0
"""The time that the user's function has for one token, in seconds."""

MAX_CHECKS: Final = 16
"""Tokens that are being checked at once: anybody can send one, and each may hold a thread. Further
requests are refused until one returns."""


class BearerToken:
    """Lets requests with the right token pass.

    Args:
        expected: The token; or a function that returns if a token is right; ``None`` to let every
            request pass.

    Attributes:
        is_required: False if every request passes.

    Raises:
        TypeError: It is neither of these.
        ValueError: The token cannot be sent as one.
    """

    def __init__(self, expected: str | TokenCheck | None) -> None:
        if isinstance(expected, str):
            check_token(expected)
        elif expected is not None and not callable(expected):
            raise TypeError(
                "expected a token as text, a function of a token, or None; got "
                f"{type(expected).__name__}"
            )
        self.is_required = expected is not None
        self._expected = expected
        self._tasks = TaskScope()
        self._running = 0

    async def check(self, request: Request) -> None:
        """Returns if the request may pass.

        Raises:
            RequestProblem: Without a token, or with a wrong one, status 401; 503 if that cannot be
                found out now, and 500 if the user's function fails.
        """
        if self._expected is None:
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise _unauthorized("expected a bearer token (RFC 6750)", "Bearer")
        if TOKEN.fullmatch(token) is None or not await self._is_right(token):
            raise _unauthorized("the bearer token is not right", 'Bearer error="invalid_token"')

    async def _is_right(self, token: str) -> bool:
        if isinstance(self._expected, str):
            return hmac.compare_digest(_digest(token), _digest(self._expected))
        if self._running >= MAX_CHECKS:
            raise RequestProblem(
                HTTPStatus.SERVICE_UNAVAILABLE, "too many tokens are being checked: try again later"
            )
        # A task of its own: a client that leaves frees no place of a thread that is still busy.
        task = self._tasks.start(self._ask(token))
        done, _ = await asyncio.wait({task}, timeout=CHECK_LIMIT_S)
        if not done:
            raise RequestProblem(
                HTTPStatus.SERVICE_UNAVAILABLE, "the token could not be checked in time"
            )
        return task.result()

    async def _ask(self, token: str) -> bool:
        worker = Worker("token-check")
        self._running += 1
        try:
            return bool(await UserFunction(self._expected, worker)(token))  # type: ignore[arg-type]  # no text here
        except Exception as error:  # noqa: BLE001 - `guard` would log a text that may hold the token
            report_without_text(error, "the check of a bearer token", "the request is refused")
            raise RequestProblem(
                HTTPStatus.INTERNAL_SERVER_ERROR, "the token could not be checked"
            ) from None
        finally:
            self._running -= 1
            worker.close()


def check_token(token: str) -> None:
    """Checks a token that a program has written.

    Raises:
        ValueError: It cannot be sent as a bearer token.
    """
    if TOKEN.fullmatch(token) is None:
        raise ValueError(
            "expected a token of 1 to 4096 letters, digits and -._~+/ (RFC 6750 section 2.1), got "
            f"{len(token)} characters that are not all of these"
        )
    if len(token) < SHORT:
        warnings.warn(
            f"a token of {len(token)} characters can be guessed: make one with "
            "secrets.token_urlsafe()",
            stacklevel=4,
        )


def _digest(token: str) -> bytes:
    # Of one length, so that the time of a comparison does not reveal that of the token either.
    return hashlib.sha256(token.encode()).digest()


def _unauthorized(detail: str, challenge: str) -> RequestProblem:
    headers = {"WWW-Authenticate": challenge}
    return RequestProblem(HTTPStatus.UNAUTHORIZED, detail, headers)
