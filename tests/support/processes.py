"""Python programs of the tests' own, as processes that are controlled line by line."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[Process]:
    """A program, which is ended behind it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def read_line(process: Process) -> str:
    """The next line that a program writes."""
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def until_served(url: str) -> None:
    """Returns when the server of tests/soak/program.py answers, whose socket listens earlier."""
    async with httpx.AsyncClient(timeout=60.0) as client:
        (await client.get(f"{url}/counts")).raise_for_status()
