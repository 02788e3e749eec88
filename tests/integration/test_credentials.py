"""TURN credentials from stand-ins of the three services."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import logging
import threading
import traceback
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.turn_services import SERVERS, TWILIO_SERVERS, TurnServices, turn_services

import gradio_webrtc
from gradio_webrtc import (
    CredentialsError,
    get_cloudflare_turn_credentials,
    get_hf_turn_credentials,
    get_hf_turn_credentials_async,
    get_turn_credentials,
    get_turn_credentials_async,
    get_twilio_turn_credentials,
)
from gradio_webrtc._session.rtc_configuration import resolve_rtc_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.network

VARIABLES = [
    "HF_TOKEN",
    "TWILIO_ACCOUNT_SID",
    "TWILIO_AUTH_TOKEN",
    "CLOUDFLARE_TURN_KEY_ID",
    "CLOUDFLARE_TURN_KEY_API_TOKEN",
    "TURN_KEY_ID",
    "TURN_KEY_API_TOKEN",
]
ANSWERS: dict[str, dict[str, Any]] = {
    "hf": {"iceServers": SERVERS},
    "twilio": {"ice_servers": TWILIO_SERVERS, "username": "client", "ttl": "86400"},
    "cloudflare": {"iceServers": SERVERS},
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "hf": {"token": "hf_secret"},
    "twilio": {"twilio_sid": "AC/secret", "twilio_token": "twilio-secret"},
    "cloudflare": {"turn_key_id": "key-secret", "turn_key_api_token": "cf-secret"},
}
METHODS = sorted(ANSWERS)


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[TurnServices]:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    with turn_services() as started:
        for module, constant, path in (
            ("hugging_face", "HF_TURN_URL", "/credentials"),
            ("twilio", "TWILIO_API_URL", "/2010-04-01"),
            ("cloudflare", "CLOUDFLARE_API_URL", "/v1"),
        ):
            place = f"gradio_webrtc.credentials.{module}.{constant}"
            monkeypatch.setattr(place, started.url + path)
        yield started


def ask_sync(method: str, **arguments: Any) -> dict[str, Any]:
    return get_turn_credentials(method, **arguments)  # type: ignore[arg-type]  # any text


def ask_async(method: str, **arguments: Any) -> dict[str, Any]:
    return asyncio.run(get_turn_credentials_async(method, **arguments))  # type: ignore[arg-type]


both_ways = pytest.mark.parametrize("ask", [ask_sync, ask_async])
each_service = pytest.mark.parametrize("method", METHODS)


@both_ways
def test_hugging_face_is_asked_with_the_token(services: TurnServices, ask: Any) -> None:
    services.give(ANSWERS["hf"])
    assert ask("hf", **ARGUMENTS["hf"], ttl=60) == {"iceServers": SERVERS}
    [request] = services.requests
    assert request == ("GET", "/credentials?ttl=60", "Bearer hf_secret", "")


@both_ways
def test_twilio_is_asked_as_the_account_and_relays_everything(
    services: TurnServices, ask: Any
) -> None:
    services.give(ANSWERS["twilio"], 201)
    configuration = ask("twilio", **ARGUMENTS["twilio"])
    # Without Twilio's obsolete "url", which aiortc would refuse.
    assert configuration == {"iceServers": SERVERS, "iceTransportPolicy": "relay"}
    [request] = services.requests
    login = base64.b64encode(b"AC/secret:twilio-secret").decode()
    assert request[:3] == ("POST", "/2010-04-01/Accounts/AC%2Fsecret/Tokens.json", f"Basic {login}")


@both_ways
def test_cloudflare_is_asked_with_the_key(services: TurnServices, ask: Any) -> None:
    services.give(ANSWERS["cloudflare"], 201)
    assert ask("cloudflare", **ARGUMENTS["cloudflare"], ttl=60) == {"iceServers": SERVERS}
    [request] = services.requests
    path = "/v1/turn/keys/key-secret/credentials/generate-ice-servers"
    assert request[:3] == ("POST", path, "Bearer cf-secret")
    assert json.loads(request.body) == {"ttl": 60}


@pytest.mark.parametrize("prefix", ["CLOUDFLARE_", ""])
def test_the_key_is_found_under_the_name_read_and_the_name_documented(
    services: TurnServices, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv(f"{prefix}TURN_KEY_ID", "one")
    monkeypatch.setenv(f"{prefix}TURN_KEY_API_TOKEN", "two")
    services.give(ANSWERS["cloudflare"])
    get_cloudflare_turn_credentials()
    assert services.requests[0].path.startswith("/v1/turn/keys/one/")
    assert services.requests[0].authorization == "Bearer two"


def test_cloudflare_through_hugging_face(
    services: TurnServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.give(ANSWERS["hf"])
    get_cloudflare_turn_credentials(None, None, "hf_given")
    monkeypatch.setenv("HF_TOKEN", "hf_environment")
    get_cloudflare_turn_credentials()
    get_cloudflare_turn_credentials(**ARGUMENTS["cloudflare"])
    assert [request.authorization for request in services.requests] == [
        "Bearer hf_given",
        "Bearer hf_environment",
        "Bearer cf-secret",  # an argument comes before the environment
    ]


def test_one_server_without_a_list_is_taken(services: TurnServices) -> None:
    services.give({"iceServers": SERVERS[1]})
    assert get_hf_turn_credentials("hf_secret") == {"iceServers": [SERVERS[1]]}


def test_hugging_face_and_twilio_are_found_in_the_environment(
    services: TurnServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_environment")
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC1")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "secret")
    services.give(ANSWERS["hf"] | ANSWERS["twilio"])
    get_turn_credentials()
    get_twilio_turn_credentials()
    assert services.requests[0].authorization == "Bearer hf_environment"
    assert services.requests[1].path == "/2010-04-01/Accounts/AC1/Tokens.json"


@both_ways
@pytest.mark.parametrize(
    ("method", "arguments", "missing"),
    [
        ("hf", {}, ["HF_TOKEN"]),
        ("twilio", {}, ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"]),
        ("twilio", {"twilio_sid": "AC1"}, ["TWILIO_AUTH_TOKEN"]),
        ("cloudflare", {}, ["CLOUDFLARE_TURN_KEY_ID", "CLOUDFLARE_TURN_KEY_API_TOKEN"]),
        ("cloudflare", {"turn_key_id": "k"}, ["CLOUDFLARE_TURN_KEY_API_TOKEN"]),
    ],
)
def test_what_is_missing_is_named_and_nobody_asked(
    services: TurnServices, ask: Any, method: str, arguments: dict[str, str], missing: list[str]
) -> None:
    with pytest.raises(CredentialsError) as raised:
        ask(method, **arguments)
    assert str(raised.value).endswith(f"not set: {', '.join(missing)}")
    assert services.requests == []


@both_ways
@each_service
def test_a_refusal_is_quoted_without_secrets(
    services: TurnServices, ask: Any, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = list(ARGUMENTS[method].values())
    services.status, services.answer = 401, f"you said {secrets}:\nthat is wrong" + "." * 300
    with pytest.raises(CredentialsError, match=r": 401 you said .* that is wrong\.+…$") as raised:
        ask(method, **ARGUMENTS[method])
    written = "".join(traceback.format_exception(raised.value)) + repr(raised.value)
    assert raised.value.__context__ is None, "httpx's errors carry the request's headers"
    for secret in secrets:
        assert secret not in written


def test_the_error_texts_begin_as_before(services: TurnServices) -> None:
    services.give({"error": "no"}, 500)
    with pytest.raises(ValueError, match=r"^Failed to get credentials from HF turn server: 500 "):
        get_hf_turn_credentials("hf_secret")
    with pytest.raises(ValueError, match=r"^Failed to get TURN credentials: 500 "):
        get_cloudflare_turn_credentials("id", "token")
    with pytest.raises(ValueError, match=r"^Invalid method. Must be 'hf', "):
        ask_sync("smoke signals")


@pytest.mark.parametrize("method", ["hf", "twilio"])
@pytest.mark.parametrize(
    "answer",
    [
        "",
        "<html>",
        "[]",
        "null",
        "{}",
        '{"iceServers": [], "ice_servers": []}',
        '{"iceServers": 1, "ice_servers": 1}',
        '{"iceServers": [{"username": "x"}], "ice_servers": [{"username": "x"}]}',
        '{"error": "a body that is no configuration"}',
    ],
)
def test_an_answer_that_is_no_configuration_is_an_error(
    services: TurnServices, method: str, answer: str
) -> None:
    services.answer = answer
    with pytest.raises(CredentialsError, match=r"JSON object|ICE server"):
        ask_sync(method, **ARGUMENTS[method])


@both_ways
def test_nobody_at_the_address(
    services: TurnServices, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradio_webrtc.credentials.hugging_face.HF_TURN_URL", "http://127.0.0.1:9")
    with pytest.raises(CredentialsError, match="HF turn server: ConnectError") as raised:
        ask("hf", **ARGUMENTS["hf"])
    assert raised.value.__context__ is None
    assert services.requests == []


@both_ways
def test_a_service_that_never_answers(
    services: TurnServices, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradio_webrtc.credentials.exchange.TIMEOUT_S", 0.05)
    services.answer = None
    with pytest.raises(CredentialsError, match="ReadTimeout"):
        ask("hf", **ARGUMENTS["hf"])


@each_service
def test_nothing_secret_is_logged(
    services: TurnServices, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    services.give(ANSWERS[method])
    ask_sync(method, **ARGUMENTS[method])
    for record in caplog.records:
        assert "pass-of-the-relay" not in record.getMessage()
        for name, secret in ARGUMENTS[method].items():
            # httpx logs the address, and an account's or a key's id is part of it.
            assert secret not in record.getMessage() or name in {"twilio_sid", "turn_key_id"}


def test_arguments_of_another_service_are_ignored_and_unknown_ones_refused(
    services: TurnServices,
) -> None:
    services.give(ANSWERS["twilio"])
    ask_sync("twilio", **ARGUMENTS["twilio"], **ARGUMENTS["hf"], ttl=5)
    assert len(services.requests) == 1
    with pytest.raises(TypeError, match="no TURN service takes the argument 'tokn'"):
        ask_sync("hf", tokn="hf_secret")


async def test_a_client_of_ones_own_is_used_and_left_open(services: TurnServices) -> None:
    services.give(ANSWERS["hf"])
    via_hf = {"hf_token": "hf_secret"}
    async with httpx.AsyncClient(headers={"X-Mine": "1"}) as client:
        await get_hf_turn_credentials_async("hf_secret", client=client)
        await get_turn_credentials_async("cloudflare", **via_hf, client=client)
        assert not client.is_closed
    assert len(services.requests) == 2


async def test_a_function_that_asks_does_not_hold_up_the_loop(services: TurnServices) -> None:
    services.give(ANSWERS["hf"])
    threads = []

    def configure(token: str) -> dict[str, Any]:
        threads.append(threading.current_thread())
        return get_hf_turn_credentials(token)

    configuration = await resolve_rtc_configuration(functools.partial(configure, "hf_secret"))
    assert configuration == {"iceServers": SERVERS}
    assert threads != [threading.main_thread()]


async def test_every_form_of_configuration_is_resolved() -> None:
    class Configured:
        def sync(self) -> dict[str, Any]:
            return {"iceServers": []}

        async def coroutine(self) -> dict[str, Any]:
            return {"iceServers": []}

        async def __call__(self) -> dict[str, Any]:
            return {"iceServers": []}

    one = Configured()
    forms: list[Any] = [
        {"iceServers": []},
        one.sync,
        one.coroutine,
        one,
        functools.partial(one.coroutine),
    ]
    assert [await resolve_rtc_configuration(form) for form in forms] == [{"iceServers": []}] * 5
    assert await resolve_rtc_configuration(None) is None


def test_each_function_has_its_twin() -> None:
    for method in ("hf", "twilio", "cloudflare"):
        for suffix in ("", "_async"):
            assert f"get_{method}_turn_credentials{suffix}" in gradio_webrtc.__all__
