"""A worker for a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gradio_webrtc._workers.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker("test-worker")
    yield worker
    worker.close()
