"""The conditions that every test runs under."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# Before anything imports Gradio: no test talks to the outside.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

# A change is judged by the same inputs as the one before it; `make fuzz-python` tries others.
settings.register_profile("fixed", derandomize=True, database=None, deadline=None, max_examples=40)
settings.register_profile("many", settings.get_profile("fixed"), max_examples=400)
settings.register_profile("long", deadline=None, max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

FOLDERS = ("browser", "guide", "integration")
IN_REAL_TIME = [Path(__file__).parent / folder for folder in FOLDERS]
"""Tests of real peers: what they wait for may come late on a machine that others use too."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives a test in real time a second try; the summary names each that took it.

    A name that comes up there again is a fault to look for, with ``RERUNS=0``.
    """
    reruns = int(os.environ.get("RERUNS", "1"))
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in IN_REAL_TIME):
            item.add_marker(pytest.mark.flaky(reruns=reruns))


@pytest.fixture(autouse=True)
def only_jobs_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test counts no job that a session of an earlier one has left behind."""
    if concurrency := sys.modules.get("gradio_webrtc._workers.workers"):
        monkeypatch.setattr(concurrency, "_orphaned", set())
        monkeypatch.setattr(concurrency, "_blocked", set())
