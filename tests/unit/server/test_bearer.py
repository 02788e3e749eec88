"""Bearer tokens: the right one passes, and no check of one holds up the server."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from gradio_webrtc._server import bearer as bearer_module
from gradio_webrtc._server.bearer import MAX_CHECKS, BearerToken
from gradio_webrtc._server.problems import RequestProblem

TOKEN = "0123456789abcdef"  # noqa: S105 - of the test alone


def asking(header: str | None) -> Any:
    headers = {} if header is None else {"authorization": header}
    return SimpleNamespace(headers=headers)


async def status_of(expected: Any, header: str | None) -> int:
    """The status with which a request is refused; 200 if it may pass."""
    try:
        await BearerToken(expected).check(asking(header))
    except RequestProblem as problem:
        return problem.answer().status_code
    return 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"BEARER  {TOKEN} ", 200),
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        (f"Basic {TOKEN}", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Bearer {TOKEN}{TOKEN}", 401),
        (f"Bearer {TOKEN} {TOKEN}", 401),
        ("Bearer \xfcnicode-of-any-kind", 401),
        (f"Bearer {'a' * 100_000}", 401),
    ],
)
async def test_the_token_passes_and_nothing_else(header: str | None, status: int) -> None:
    assert await status_of(TOKEN, header) == status
    assert await status_of(lambda token: token == TOKEN, header) == status


async def test_without_a_token_everybody_passes() -> None:
    assert not BearerToken(None).is_required
    assert await status_of(None, None) == 200
    assert await status_of(None, "Bearer anything") == 200


async def is_right(token: str) -> bool:
    await asyncio.sleep(0)
    return token == TOKEN


class Checker:
    """An object that is called, in the thread where a plain function belongs."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def __call__(self, token: str) -> int:
        self.threads.add(threading.get_ident())
        return token.count("f")


@pytest.mark.parametrize("check", [is_right, Checker()])
async def test_a_function_decides_in_a_thread_where_it_may_block(check: Any) -> None:
    assert await status_of(check, f"Bearer {TOKEN}") == 200
    assert await status_of(check, "Bearer 0123456789") == 401
    assert threading.get_ident() not in getattr(check, "threads", ())


async def test_a_function_that_fails_is_a_fault_of_the_server_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(token: str) -> bool:
        raise ValueError(f"no such token: {token}")

    assert await status_of(fail, f"Bearer {TOKEN}") == 500
    assert "check of a bearer token" in caplog.text
    assert TOKEN not in caplog.text


async def test_checks_that_never_end_are_few_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bearer_module, "CHECK_LIMIT_S", 0.01)
    may_end = asyncio.Event()

    async def wait(_token: str) -> bool:
        await may_end.wait()
        return True

    token = BearerToken(wait)

    async def status() -> int:
        try:
            await token.check(asking(f"Bearer {TOKEN}"))
        except RequestProblem as problem:
            answer = problem.answer()
            assert answer.headers["retry-after"]
            return answer.status_code
        return 200

    assert set(await asyncio.gather(*(status() for _ in range(MAX_CHECKS)))) == {503}
    monkeypatch.setattr(bearer_module, "CHECK_LIMIT_S", 10.0)
    assert await status() == 503, "at once: the others hold their places"
    may_end.set()
    await asyncio.sleep(0.01)
    assert await status() == 200


@pytest.mark.parametrize("token", ["", "two words", "\xfcnicode-of-any-kind", "a" * 5000, "a\r\nb"])
def test_a_token_that_cannot_be_sent_is_a_mistake(token: str) -> None:
    with pytest.raises(ValueError, match="RFC 6750"):
        BearerToken(token)


def test_anything_else_is_a_mistake() -> None:
    wrong: Any = 42
    with pytest.raises(TypeError, match="got int"):
        BearerToken(wrong)


def test_a_short_token_is_a_warning_without_the_token() -> None:
    with pytest.warns(UserWarning, match=r"3 characters can be guessed") as warned:
        BearerToken("abc")
    assert "abc" not in str(warned[0].message)


async def test_the_comparison_takes_as_long_for_tokens_of_every_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[int, int]] = []

    def note(first: bytes, second: bytes) -> bool:
        compared.append((len(first), len(second)))
        return first == second

    monkeypatch.setattr("hmac.compare_digest", note)
    for header in ("Bearer a", f"Bearer {TOKEN}", f"Bearer {'a' * 4000}"):
        await status_of(TOKEN, header)
    assert compared == [(32, 32)] * 3
