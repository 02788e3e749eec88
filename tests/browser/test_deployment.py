"""The configurations of nginx in the guide to deployment, with calls through them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from support.browser import chromium
from support.documents import blocks, edited
from support.ffmpeg_publisher import make_certificate
from support.networks import free_port
from support.programs import ROOT, running
from support.reverse_proxy import nginx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Playwright

pytestmark = pytest.mark.browser

PATHS = "sessionStorage.getItem('gradio_webrtc_paths') ?? ''"
"""The page's notes on what does not get through."""


@contextmanager
def documented(url: str, folder: Path, *, below: str) -> Iterator[str]:
    """Runs nginx as the guide has it, in front of the app at ``url``; yields its own address."""
    site, location = blocks("nginx")
    app, port = urlsplit(url).netloc, free_port(None)
    files = make_certificate(folder)
    if below:
        at = site.index("    location / {")
        site = f"{site[:at]}{location}}}\n"
    pieces = {
        "listen 443": f"listen 127.0.0.1:{port}",
        "/etc/ssl/example.com.pem": files["cert_file"],
        "/etc/ssl/example.com.key": files["key_file"],
        "127.0.0.1:7860": app,
    }
    with nginx(edited(site, pieces), folder):
        yield f"https://127.0.0.1:{port}{below}/"


@pytest.mark.parametrize("below", ["", "/talk"])
@pytest.mark.parametrize("fallback", ["never", "always"])
def test_a_page_is_called_through_the_proxy_of_the_guide(
    below: str, fallback: str, playwright: Playwright, tmp_path: Path
) -> None:
    program = ROOT / "tests" / "browser" / "repeated.py"
    environment = {"GRADIO_ROOT_PATH": below, "FALLBACK": fallback}
    with (
        running(program, environment=environment) as programs,
        documented(programs.url(), tmp_path, below=below) as url,
        chromium(playwright) as browser,
    ):
        call = browser.open(url)
        call.press()
        call.wait_for_state("open")
        call.wait_for_audio()
        call.press()
        call.wait_for_state("idle")
        # A browser looks for a favicon at the root, where this proxy has nothing.
        assert [each for each in call.problems if "/favicon.ico" not in each] == []
        # A link goes over a WebSocket: the page has not noted that none gets through.
        assert "websocket" not in call.page.evaluate(PATHS)
