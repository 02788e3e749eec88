"""Components of one concurrency_id share one limit.

All in an event loop: outside of one Gradio makes loops that it never closes.
"""

from __future__ import annotations

import uuid
from typing import Any

import gradio as gr
import pytest
from support.client import Client
from support.serving import server_of

from gradio_webrtc import ReplyOnPause, WebRTC


def add(concurrency_id: str | None, **settings: Any) -> WebRTC:
    webrtc = WebRTC(modality="audio")
    handler = ReplyOnPause(lambda audio: audio)
    webrtc.stream(handler, [webrtc], [webrtc], concurrency_id=concurrency_id, **settings)
    return webrtc


async def call(webrtc: WebRTC) -> tuple[Client, Any]:
    """A session, and the limit that refused it, or nothing."""
    client = Client(server_of(webrtc))
    answer = await client.call()
    return client, answer.get("meta", {}).get("limit")


async def hang_up(*clients: Client) -> None:
    for client in clients:
        await client.hang_up()
    for client in clients:
        await client._server.wait_idle()  # noqa: SLF001 - the test's own tool


@pytest.fixture
def name() -> str:
    return str(uuid.uuid4())


async def test_sessions_of_one_id_are_counted_together(name: str) -> None:
    with gr.Blocks():
        one, two, other = add(name, concurrency_limit=2), add(name), add(None)
    first, second = await call(one), await call(two)
    third, refused_by = await call(two)
    alone = await call(other)
    assert (first[1], second[1], refused_by, alone[1]) == (None, None, 2, None)
    await hang_up(first[0])
    fourth = await call(two)
    assert fourth[1] is None, "a place is free for every component when a call of one ends"
    await hang_up(second[0], third, alone[0], fourth[0])


async def test_without_a_limit_there_is_one_place_for_all(name: str) -> None:
    with gr.Blocks():
        one, two = add(name), add(name, concurrency_limit=None)
    first, second = await call(one), await call(two)
    assert (first[1], second[1]) == (None, 1)
    await hang_up(first[0], second[0])


async def test_of_two_limits_the_lower_counts_and_is_reported(name: str) -> None:
    with gr.Blocks():
        one = add(name, concurrency_limit=1)
        with pytest.warns(UserWarning, match="limits 1, 3: 1 counts, the lowest") as reported:
            two = add(name, concurrency_limit=3)
        add(name, concurrency_limit=None)
    assert name in str(reported[0].message)
    first, second = await call(one), await call(two)
    assert (first[1], second[1]) == (None, 1)
    await hang_up(first[0], second[0])


async def test_another_program_of_the_process_shares_the_places_but_not_the_limit(
    name: str,
) -> None:
    with gr.Blocks():
        before = add(name, concurrency_limit=1)
    with gr.Blocks():
        now = add(name, concurrency_limit=2)
    first, second, third = await call(before), await call(now), await call(now)
    assert (first[1], second[1], third[1]) == (None, None, 2)
    await hang_up(first[0], second[0], third[0])
