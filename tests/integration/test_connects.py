"""Calls that connect and hang up leave nothing in a server that collects no garbage."""

from __future__ import annotations

import os

import pytest
from aioice import ice
from support.connects import judge, measure
from support.forked import start
from support.processes import until_served
from support.repository import ROOT

pytestmark = pytest.mark.network

PROGRAM = ROOT / "tests" / "soak" / "program.py"
CALLS = 80
"""`make connects` makes a thousand."""

WARM_UP = 25
"""More than the pages that Gradio keeps in this program."""


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice, "get_host_addresses", lambda **_: ["127.0.0.1"])


async def test_calls_that_connect_and_hang_up() -> None:
    command = [str(PROGRAM), "without-collections"]
    with start(command, os.environ) as server:
        try:
            url = server.stdout.readline().decode().strip()
            await until_served(url)
            grown = await measure(url, CALLS, WARM_UP)
        finally:
            server.kill()
    assert not judge(grown, CALLS), grown
