"""Dead offers, over real connections: they keep nobody out, and cost nobody else anything."""

from __future__ import annotations

import itertools
from queue import Queue
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest
from support.client import Client
from support.dead_offers import Flood, request_from
from support.offers import make_sdp
from support.page import GradioPage, PageClient, serve_page
from support.serving import SessionServer
from support.signals import chirp

from gradio_webrtc import Limits, StreamHandler, WebRTC
from gradio_webrtc._session import signaling
from gradio_webrtc._transport import read_offer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

Frame = tuple[int, "NDArray[np.int16]"]


class Echo(StreamHandler):
    def __init__(self) -> None:
        super().__init__()
        self.queue: Queue[Frame] = Queue()

    def receive(self, frame: Frame) -> None:
        self.queue.put(frame)

    def emit(self) -> Frame:
        return self.queue.get()

    def copy(self) -> Echo:
        return Echo()


class From:
    """A session manager as clients at one address see it.

    Args:
        manager: The one that takes their offers.
        address: The address that they come from.
        sessions: The session of each offer.
    """

    def __init__(
        self, manager: SessionServer, address: str, sessions: Iterator[str] | None = None
    ) -> None:
        self._server = manager
        self._address = address
        self._sessions = sessions or itertools.repeat("one")

    async def handle_request(self, body: dict[str, Any]) -> dict[str, Any]:
        return await self._server.handle_request(
            body, request_from(self._address, next(self._sessions))
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)


def serve(**service: Any) -> SessionServer:
    manager = SessionServer()
    manager.serve(Echo, **service)
    return manager


def client_at(manager: SessionServer, address: str, *args: Any) -> Client:
    return Client(From(manager, address), *args)  # type: ignore[arg-type]  # the part that a client calls


async def test_dead_offers_of_one_address_do_not_keep_the_only_place() -> None:
    manager = serve(concurrency_limit=1)
    async with Flood(From(manager, "8.8.8.8").handle_request).running() as flood:
        for n in range(2):
            client = client_at(manager, f"9.9.9.{n}")
            answer = await client.call()
            await client.hang_up()
            assert "secret" in answer, f"try {n}: {answer['meta']}, after {flood.taken} dead offers"
    await manager.close()


async def test_dead_offers_leave_half_of_the_places_free_and_sessions_whole() -> None:
    manager = serve(concurrency_limit=4)
    sent = chirp(1.0)
    first = client_at(manager, "9.9.9.1", sent)
    await first.call()
    async with Flood(
        From(manager, "8.8.8.8", map(str, itertools.count())).handle_request
    ).running() as (flood):
        await flood.until(lambda: len(flood.refused) >= 5)
        assert flood.taken <= 3
        second = client_at(manager, "9.9.9.2", sent)
        assert "secret" in await second.call()
        await second.until(lambda: second.loud_seconds() >= 0.9)
    await first.until(lambda: first.loud_seconds() >= 0.9)
    await first.hang_up()
    await second.hang_up()
    await manager.close()


async def test_an_offer_that_cannot_be_answered_takes_no_place() -> None:
    manager = serve(concurrency_limit=1)
    bad = {
        "type": "offer",
        "sdp": (await make_sdp("audio")).replace("a=setup", "a=x"),
        "webrtc_id": "x",
    }
    counted: list[int] = []

    def make() -> Echo:
        counted.append(1)
        return Echo()

    manager.serve(make, concurrency_limit=1)
    for _ in range(10):
        refusal = await manager.handle_request(bad, request_from("8.8.8.8"))
        assert refusal["meta"]["error"] == "invalid_offer"
    assert not counted
    assert len(manager) == 0


async def test_an_offer_counts_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []

    def note(body: object, *arguments: Any) -> Any:
        read.append(body)
        return read_offer(body, *arguments)  # type: ignore[arg-type]  # any body

    monkeypatch.setattr(signaling, "read_offer", note)
    manager = serve(limits=Limits(offers_per_minute=12))
    refusals = [
        (await manager.handle_request({"type": "offer", "sdp": "v=0"}, request_from("8.8.8.8")))[
            "meta"
        ]
        for _ in range(6)
    ]
    assert [each["error"] for each in refusals] == ["invalid_offer"] * 4 + ["too_many_offers"] * 2
    assert len(read) == 4


TRIES = 3
"""Of a page, by its user. Where dead offers did not give way, none of a hundred would get in."""


def page_of(sessions: list[WebRTC]) -> gr.Blocks:
    demo = gr.Blocks()
    with demo:
        webrtc = WebRTC(modality="audio")
        webrtc.stream(Echo(), inputs=[webrtc], outputs=[webrtc], concurrency_limit=1)
    sessions.append(webrtc)
    return demo


@pytest.mark.parametrize("session", ["", "stranger"])
async def test_behind_a_nameless_proxy_one_session_does_not_shut_the_others_out(
    session: str,
) -> None:
    """All requests come from one address, as with Gradio's rendering proxy."""
    made: list[WebRTC] = []
    async with serve_page(page_of(made)) as page:
        stranger = GradioPage(page._client, page.config)  # noqa: SLF001 - a page like any other
        stranger._session_hash = session  # noqa: SLF001 - a stranger may send any
        component = page.component("webrtc")

        async def post(body: dict[str, Any]) -> dict[str, Any]:
            return dict(await stranger.call_server(component, "offer", body))

        async with Flood(post).running():
            # A dead offer gives way within a second, or a little more on a busy machine.
            for _ in range(TRIES):
                client = PageClient(page)
                answer = await client.call()
                await client.hang_up()
                if "secret" in answer:
                    break
        assert "secret" in answer, answer
        await made[0]._sessions.close()  # noqa: SLF001 - the end of its sessions
