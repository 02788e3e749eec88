"""Whoever gives credentials is asked once at a time, and not again while they are good."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Any

import gradio as gr
import pytest
from support.page import serve_page

from gradio_webrtc import WebRTC
from gradio_webrtc._session.rtc_configuration import (
    DEFAULT_LIFETIME_S,
    MAX_ASKS,
    MAX_CLIENTS,
    ConfigurationCache,
    lifetime_of,
)


class CredentialsService:
    """Gives credentials, one more secret than the other."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self) -> dict[str, Any]:
        self.asked += 1
        await self.may_answer.wait()
        return {"iceServers": [{"urls": "turn:x", "username": "u", "credential": str(self.asked)}]}


async def test_a_flood_of_pages_asks_a_service_once() -> None:
    service = CredentialsService()
    with gr.Blocks() as blocks:
        WebRTC(modality="audio", rtc_configuration=service)
    async with serve_page(blocks) as page:
        component = page.component("webrtc")
        answers = await asyncio.gather(
            *(page.call_server(component, "turn", None) for _ in range(100))
        )
    assert service.asked == 1
    assert sum(answer is not None for answer in answers) == MAX_ASKS


async def test_who_leaves_takes_nothing_from_those_who_wait() -> None:
    service, desk = CredentialsService(), ConfigurationCache()
    service.may_answer.clear()
    loop = asyncio.get_running_loop()
    first, second = (loop.create_task(desk.give(service, each)) for each in "ab")
    await asyncio.sleep(0)
    first.cancel()
    service.may_answer.set()
    answer = await second
    assert (service.asked, answer is not None, first.cancelled()) == (1, True, True)


async def test_an_answer_serves_for_half_of_its_lifetime() -> None:
    now_s = [0.0]
    service, desk = CredentialsService(), ConfigurationCache(lambda: now_s[0])
    for then_s, asked in ((0.0, 1), (DEFAULT_LIFETIME_S / 2 - 1, 1), (DEFAULT_LIFETIME_S / 2, 2)):
        now_s[0] = then_s
        await desk.give(service, "")
        assert service.asked == asked


async def test_what_failed_is_logged_once_and_asked_for_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk, asked = ConfigurationCache(), list[int]()

    async def fail() -> dict[str, Any]:
        asked.append(1)
        raise ValueError("hunter2")

    assert await asyncio.gather(*(desk.give(fail, str(each)) for each in range(9))) == [None] * 9
    assert len(asked) == 1
    assert len([each for each in caplog.records if each.levelno == logging.ERROR]) == 1
    await desk.give(fail, "")
    assert len(asked) == 2


async def test_each_client_has_its_own_share() -> None:
    now_s = 0.0
    desk, given = ConfigurationCache(lambda: now_s), {"iceServers": list[Any]()}
    answers = [await desk.give(given, "a") for _ in range(MAX_ASKS + 5)]
    assert [each is not None for each in answers] == [True] * MAX_ASKS + [False] * 5
    assert await desk.give(given, "b") == given
    now_s = 60.0
    assert await desk.give(given, "a") == given
    for each in range(MAX_CLIENTS * 2):
        await desk.give(given, f"stranger {each}")
    assert len(desk._asks) == MAX_CLIENTS  # noqa: SLF001 - the bound of the table


@pytest.mark.parametrize(
    ("username", "source", "lifetime_s"),
    [
        ("1700000030:ada", print, 30.0),
        ("1700000030", print, 30.0),
        ("1600000000:ada", print, 0.0),
        ("1800000000:ada", print, DEFAULT_LIFETIME_S),
        ("ada", print, DEFAULT_LIFETIME_S),
        (7, print, DEFAULT_LIFETIME_S),
        ("ada", functools.partial(print, ttl=40), 40.0),
    ],
)
def test_the_lifetime_is_the_least_that_is_known(
    username: Any, source: Any, lifetime_s: float
) -> None:
    servers = [{"urls": "turn:x", "username": username}]
    assert lifetime_of({"iceServers": servers}, source, 1_700_000_000.0) == lifetime_s


@pytest.mark.parametrize("answer", [None, 7, [], {"iceServers": [1]}, {"iceServers": 7}])
def test_an_answer_of_any_kind_has_a_lifetime(answer: Any) -> None:
    assert lifetime_of(answer, print, 0.0) == DEFAULT_LIFETIME_S


async def test_a_page_without_a_session_gets_no_credentials() -> None:
    service = CredentialsService()
    with gr.Blocks() as blocks:
        WebRTC(modality="audio", rtc_configuration=service)
    async with serve_page(blocks) as page:
        page._session_hash = ""  # noqa: SLF001 - what a page of Gradio's never is
        assert await page.call_server(page.component("webrtc"), "turn", None) is None
    assert service.asked == 0
