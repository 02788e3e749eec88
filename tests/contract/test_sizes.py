"""A file that can be read in one go: 400 lines at most."""

import pytest
from support.repository import ROOT, tracked_files

LIMIT = 400

# File: why it may be longer.
EXCEPTIONS: dict[str, str] = {
    "python/gradio_webrtc/_core.pyi": "the documentation of eight compiled classes, and no code",
}

SOURCES = tracked_files("*.py", "*.pyi", "*.rs", "*.ts", "*.svelte", "*.js", "*.mjs", "Makefile")


@pytest.mark.parametrize("file", SOURCES, ids=str)
def test_file_is_short_enough_to_read(file: str) -> None:
    lines = len((ROOT / file).read_text("utf-8").splitlines())
    if str(file) in EXCEPTIONS:
        assert lines > LIMIT, "no longer an exception: take it out of the table"
    else:
        assert lines <= LIMIT
