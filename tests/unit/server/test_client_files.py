"""The files of the client package: their types, their tags, and who may load them."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import APIRouter, FastAPI
from support.posting import browser

from gradio_webrtc import ReplyOnPause, Stream
from gradio_webrtc._server import client_files
from gradio_webrtc._server.client_files import NAMES, ClientFiles
from gradio_webrtc._session.origins import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OTHER_PAGE = "https://page.example"


def app_of(path: str = "", origins: frozenset[str] = frozenset()) -> FastAPI:
    router = APIRouter(prefix=path)
    ClientFiles(Site(origins)).add_to(router)
    app = FastAPI()
    app.include_router(router)
    return app


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in place of the built files."""
    monkeypatch.setattr(client_files, "FOLDER", tmp_path)
    client_files.read_file.cache_clear()
    yield tmp_path
    client_files.read_file.cache_clear()


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_is_javascript_to_be_asked_for_each_time(name: str) -> None:
    async with browser(app_of()) as page:
        reply = await page.get(f"/{name}")
        assert reply.status_code == 200
        assert reply.content == (client_files.FOLDER / name).read_bytes()
        assert reply.headers["content-type"] == "text/javascript; charset=utf-8"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-cache"
        assert reply.headers["etag"].startswith('"')
        asked = await page.head(f"/{name}")
        assert asked.content == b""
        assert asked.headers["etag"] == reply.headers["etag"]


@pytest.mark.parametrize(
    ("form", "status"),
    [("{}", 304), ("W/{}", 304), ('"other", {}', 304), ("*", 304), ('"other"', 200), ("", 200)],
)
async def test_a_browser_that_has_it_gets_no_copy(form: str, status: int) -> None:
    async with browser(app_of()) as page:
        tag = (await page.get("/client.js")).headers["etag"]
        reply = await page.get("/client.js", headers={"if-none-match": form.format(tag)})
        assert reply.status_code == status
        assert reply.headers["etag"] == tag
        assert bool(reply.content) == (status == 200)


async def test_another_version_has_another_tag(folder: Path) -> None:
    (folder / "client.js").write_text("export const connect = 1;")
    async with browser(app_of()) as page:
        first = await page.get("/client.js")
        client_files.read_file.cache_clear()
        (folder / "client.js").write_text("export const connect = 2;")
        second = await page.get("/client.js", headers={"if-none-match": first.headers["etag"]})
        assert second.text == "export const connect = 2;"


async def test_without_a_build_the_answer_has_the_remedy(folder: Path) -> None:
    del folder
    async with browser(app_of()) as page:
        reply = await page.get("/client.js")
        assert reply.status_code == 503
        assert "make build" in reply.text


@pytest.mark.parametrize("origins", [frozenset[str](), frozenset({f"{OTHER_PAGE}:443"})])
async def test_pages_of_other_origins_load_it_where_they_are_listed(origins: Any) -> None:
    async with browser(app_of(origins=origins)) as page:
        reply = await page.get("/client.js", headers={"origin": OTHER_PAGE})
        assert reply.headers.get("access-control-allow-origin") == (OTHER_PAGE if origins else None)
        assert reply.headers["vary"] == "Origin"


async def test_every_stream_serves_them_in_its_folder() -> None:
    stream = Stream(ReplyOnPause(lambda audio: audio), modality="audio")
    app, outer = FastAPI(), FastAPI()
    stream.mount(app, path="/talk")
    outer.mount("/below", app)
    async with browser(outer) as page:
        for name in NAMES:
            assert (await page.get(f"/below/talk/{name}")).status_code == 200
        assert (await page.get("/below/client.js")).status_code == 404
    assert not {f"/talk/{name}" for name in NAMES} & set(app.openapi()["paths"])


def test_what_every_page_loads_is_small() -> None:
    assert len(gzip.compress((client_files.FOLDER / "client.js").read_bytes())) <= 12_000
