"""A request for credentials: the answer is read, and no secret is in the text of an error."""

from __future__ import annotations

import traceback
from typing import Any

import httpx
import pytest

from gradio_webrtc.credentials.exchange import (
    SHOWN_CHARS,
    Request,
    configuration_of,
    fetch_async,
    from_environment,
    require,
)
from gradio_webrtc.errors import CredentialsError

SECRET = "hunter2"  # noqa: S105 - of no account
REQUEST = Request(
    "POST",
    f"https://turn.invalid/{SECRET}",
    {"headers": {"Authorization": SECRET}, "json": {"ttl": 60}},
    (SECRET,),
)
SERVER = {"urls": "turn:turn.invalid", "username": "u", "credential": "c"}


async def answered(response: httpx.Response) -> dict[str, Any]:
    """The result of a request that a service answers in this way."""
    transport = httpx.MockTransport(lambda _request: response)
    async with httpx.AsyncClient(transport=transport) as client:
        return await fetch_async(REQUEST, client)


async def test_a_request_goes_out_as_it_is_described() -> None:
    got: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        got.append(request)
        return httpx.Response(200, json={"iceServers": []})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        assert await fetch_async(REQUEST, client) == {"iceServers": []}
        assert not client.is_closed
    [request] = got
    assert (request.method, str(request.url)) == ("POST", REQUEST.url)
    assert request.headers["Authorization"] == SECRET
    assert request.content == b'{"ttl":60}'


async def test_a_refusal_is_quoted_on_one_short_line_without_secrets() -> None:
    text = f"bad key {SECRET}\n" + "x" * 1000
    with pytest.raises(
        CredentialsError, match=r"^Failed to get TURN credentials: 403 bad"
    ) as raised:
        await answered(httpx.Response(403, text=text))
    shown = str(raised.value)
    assert "bad key *** xxx" in shown
    assert len(shown) == len("Failed to get TURN credentials: ") + SHOWN_CHARS + 1


async def test_a_refusal_without_a_text_is_named_by_its_code() -> None:
    with pytest.raises(CredentialsError, match="404 Not Found"):
        await answered(httpx.Response(404))


@pytest.mark.parametrize("content", [b"[]", b"null", b"no json", f'"{SECRET}"'.encode(), b"\xff"])
async def test_an_answer_of_another_form_is_an_error_and_not_quoted(content: bytes) -> None:
    with pytest.raises(CredentialsError, match=r"200 without a JSON object$"):
        await answered(httpx.Response(200, content=content))


async def test_no_secret_is_in_the_traceback_of_a_failed_connection() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"cannot reach {request.url}", request=request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as client:
        with pytest.raises(
            CredentialsError, match=r"ConnectError: cannot reach .*\*\*\*"
        ) as raised:
            await fetch_async(REQUEST, client)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert SECRET not in "".join(traceback.format_exception(raised.value))
    assert SECRET not in repr(REQUEST)


@pytest.mark.parametrize("servers", [SERVER, [SERVER], [SERVER | {"url": "old", "ttl": 9}]])
def test_servers_have_the_members_of_the_standard_alone(servers: Any) -> None:
    assert configuration_of(REQUEST, servers) == {"iceServers": [SERVER]}


@pytest.mark.parametrize("servers", [None, [], "turn:turn.invalid", [SERVER, {}], ["turn:x"], {}])
def test_an_answer_without_servers_is_an_error(servers: Any) -> None:
    with pytest.raises(CredentialsError, match="ICE server"):
        configuration_of(REQUEST, servers)


def test_the_first_variable_that_is_not_empty_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST", "")
    monkeypatch.setenv("SECOND", "2")
    monkeypatch.setenv("THIRD", "3")
    assert from_environment("MISSING", "FIRST", "SECOND", "THIRD") == "2"
    assert from_environment("MISSING", "FIRST") is None


def test_missing_values_are_named_by_their_variables() -> None:
    assert require("needs an account", SID="a", KEY="b") == ["a", "b"]
    with pytest.raises(CredentialsError, match=r"needs an account; .* not set: KEY, REGION$"):
        require("needs an account", SID="a", KEY="", REGION=None)
