"""The icon is to be had wherever the page is: below a path, behind a proxy, changed by an event.

All in an event loop: outside of one Gradio makes loops that it never closes.
"""

from __future__ import annotations

import asyncio
import base64
import copy
from typing import TYPE_CHECKING, Any

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI
from support.page import serve_page

from gradio_webrtc import WebRTC
from gradio_webrtc._ui.served import ServedFile

if TYPE_CHECKING:
    from pathlib import Path

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
DATA_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


@pytest.fixture
def icon(tmp_path: Path) -> Path:
    path = tmp_path / "an icon.png"
    path.write_bytes(PNG)
    return path


def program(icon: Any) -> gr.Blocks:
    demo = gr.Blocks()
    with demo:
        WebRTC(modality="audio", icon=icon)
        gr.Image(icon)
    return demo


def client_of(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers)


async def props_of(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    """The properties of the components, by their type."""
    config = (await client.get(f"{path}/config")).raise_for_status().json()
    return {each["type"]: each["props"] for each in config["components"]}


@pytest.mark.parametrize("kind", [str, lambda path: path])
@pytest.mark.parametrize(
    ("options", "headers", "base"),
    [
        ({"path": "/talk"}, {}, "http://testserver/talk"),
        ({"path": "/", "root_path": "/apps/talk"}, {}, "http://testserver/apps/talk"),
        ({"path": "/"}, {"X-Forwarded-Host": "example.com"}, "http://example.com"),
    ],
)
async def test_the_icon_is_where_an_image_of_gradio_is(
    icon: Path, kind: Any, options: dict[str, str], headers: dict[str, str], base: str
) -> None:
    app = gr.mount_gradio_app(FastAPI(), program(kind(icon)), **options)
    path = options["path"].rstrip("/")
    async with client_of(app, **headers) as client:
        props = await props_of(client, path)
        address = props["webrtc"]["icon"]
        # What a proxy takes off is not there when the app itself is asked.
        got = await client.get(f"{path}{address.removeprefix(base)}")
    assert address == props["image"]["value"]["url"]
    assert address.startswith(f"{base}/gradio_api/file=")
    assert got.content == PNG


async def test_two_apps_and_two_askers_do_not_meet(icon: Path) -> None:
    demo = program(icon)
    app = gr.mount_gradio_app(FastAPI(), demo, path="/talk")
    for host in ("one.example", "two.example"):
        async with client_of(app, **{"X-Forwarded-Host": host}) as client:
            props = await props_of(client, "/talk")
        assert props["webrtc"]["icon"].startswith(f"http://{host}/talk/gradio_api/file=")


@pytest.mark.parametrize("icon", ["https://example.com/a.svg", "http://127.0.0.1/a", DATA_URL])
async def test_an_address_stays_as_it_is(icon: str) -> None:
    with gr.Blocks() as demo:
        WebRTC(modality="audio", icon=icon)
    app = gr.mount_gradio_app(FastAPI(), demo, path="/talk")
    async with client_of(app) as client:
        props = await props_of(client, "/talk")
    assert props["webrtc"]["icon"] == icon


@pytest.mark.parametrize(
    ("icon", "error", "text"),
    [
        ("no/such/icon.png", FileNotFoundError, r"'no/such/icon\.png'.*begins with https:"),
        (".", FileNotFoundError, "no such file"),
        (7, TypeError, "got int"),
    ],
)
async def test_an_icon_that_is_not_there_is_reported_when_the_page_is_built(
    icon: Any, error: type[Exception], text: str
) -> None:
    with gr.Blocks(), pytest.raises(error, match=text):
        WebRTC(modality="audio", icon=icon)


@pytest.mark.parametrize("kind", ["gr.update", "a component"])
async def test_an_event_changes_the_icon_and_keeps_it(
    icon: Path, tmp_path: Path, kind: str
) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(PNG + b"other")

    def change() -> Any:
        if kind == "gr.update":
            return gr.update(icon=str(other))
        return WebRTC(icon=str(other))

    with gr.Blocks() as demo:
        call = WebRTC(modality="audio", icon=icon)
        button = gr.Button()
        button.click(change, None, call, queue=False)
        # The icon's file may be gone by now; what is served is a copy.
        again = gr.Button("again")
        again.click(lambda: gr.update(label="Now"), None, call, queue=False)
    answers: list[Any] = []
    async with serve_page(demo) as page:
        vars(page)["_take"] = lambda _, value: answers.append(value)
        await asyncio.to_thread(icon.unlink)
        await page.dispatch(page.component("button", "again"), "click")
        await page.dispatch(page.component("button", "Run"), "click")
        got = await page.fetch(answers[1]["icon"]["url"])
    assert answers[0] == {"__type__": "update", "label": "Now"}
    assert got == PNG + b"other"


async def test_a_served_file_is_a_file_to_gradio_and_text_to_json() -> None:
    file = ServedFile({"path": "a", "url": "/a", "meta": {"_type": "gradio.FileData"}})
    assert isinstance(file, dict)
    for twin in (copy.copy(file), copy.deepcopy(file)):
        twin["url"] = "/below/a"
        assert (str(twin), str(file), type(twin)) == ("/below/a", "/a", ServedFile)
    del file["meta"]
    assert dict(file) == {"path": "a", "url": "/a"}
    assert len(file) == 2
