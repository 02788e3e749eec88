"""Links of a component's page: their routes are added to Gradio's app while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
import websockets
from support.link_client import BYE, LinkClient, write
from support.programs import running
from support.signals import chirp, pieces_found, tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.link_client import CarrierKind
    from support.programs import Programs

PAGES = Path(__file__).parents[1] / "guide" / "pages"
PLAIN, LOGIN, MOUNTED, RENDERED = (
    f"{name}.py" for name in ("places", "behind_a_login", "mounted", "rendered_on_the_server")
)
USER = {"username": "somebody", "password": "a-password"}

SAID = chirp(0.6)
BEFORE_S = 0.3


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    """Pages that are served in every way that Gradio has; the last one serves by itself."""
    with running(*(PAGES / name for name in (PLAIN, LOGIN, RENDERED, MOUNTED))) as started:
        yield started


async def ask(http: httpx.AsyncClient, root: str, place: int = 0) -> Any:
    """The answer to a request for a link, of one of the page's components."""
    await http.post(f"{root}/login", data=USER)
    config = (await http.get(f"{root}/config")).raise_for_status().json()
    calls = [each["id"] for each in config["components"] if each["type"] == "webrtc"]
    body = {
        "component_id": calls[place],
        "session_hash": f"a-page-{place}",
        "fn_name": "offer",
        "data": {"type": "link", "audio": {"codecs": ["opus"]}},
    }
    reply = await http.post(f"{root}/gradio_api/component_server", json=body)
    return reply.raise_for_status().json()


async def talk(root: str, carrier: CarrierKind, place: int = 0) -> None:
    """Opens a session, talks, is answered, and leaves."""
    async with httpx.AsyncClient(timeout=20) as http:
        answer = await ask(http, root, place)
    assert answer["path"] == "gradio_api/gradio_webrtc/link"
    said = np.concatenate([tone(BEFORE_S, 200), SAID])
    client = LinkClient(f"{root}/{answer['path']}", answer, said, carrier=carrier)
    await client.join()
    await client.until(lambda: client.received_audio().size > said.size + 4_800)
    await client.leave()
    assert min(pieces_found(client.received_audio(), SAID)) >= 0


@pytest.mark.parametrize(
    ("program", "carrier"),
    [
        (PLAIN, "websocket"),
        (PLAIN, "http"),
        (LOGIN, "websocket"),
        (LOGIN, "http"),
        (MOUNTED, "websocket"),
        (MOUNTED, "http"),
        (RENDERED, "http"),
    ],
)
async def test_a_page_talks_wherever_it_was_loaded_from(
    programs: Programs, program: str, carrier: CarrierKind
) -> None:
    await talk(programs.url(program).rstrip("/"), carrier)


async def test_all_components_of_a_page_share_one_route(programs: Programs) -> None:
    root = programs.url(PLAIN).rstrip("/")
    await talk(root, "websocket", 1)
    await talk(root, "websocket", 0)


async def test_pages_of_other_sites_have_no_websocket(programs: Programs) -> None:
    root = programs.url(PLAIN).rstrip("/")
    async with httpx.AsyncClient() as http:
        answer = await ask(http, root, 1)
    protocols: Any = ["link", f"{answer['webrtc_id']}.{answer['secret']}.0"]
    url = f"{root.replace('http', 'ws')}/{answer['path']}"
    evil: Any = f"{root}.evil.example"
    with pytest.raises(websockets.InvalidStatus):
        await websockets.connect(url, subprotocols=protocols, origin=evil)
    own: Any = root
    socket = await websockets.connect(url, subprotocols=protocols, origin=own)
    await socket.send(write(BYE))
    await socket.wait_closed()
