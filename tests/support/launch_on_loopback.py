"""Runs Gradio programs with media on 127.0.0.1 alone: ``launch_on_loopback.py PRELUDE FILE...``.

aioice leaves the loopback address out of its candidates, so without this a machine that has no
network could not run the tests, and one that has would send their media through it. PRELUDE is
Python source; the names it makes are the programs' globals. A program that leaves its page `demo`
without launching it is launched, as the command `gradio` would.
"""

from __future__ import annotations

import functools
import signal
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import aioice.ice
import gradio as gr
import uvicorn


def _loopback_only(use_ipv4: bool, use_ipv6: bool) -> list[str]:  # noqa: ARG001, FBT001 - its own
    return ["127.0.0.1"] if use_ipv4 else []


def _serve(app: Any, **options: Any) -> None:
    """Runs uvicorn at a free port, as Gradio takes one, whatever the program wrote."""
    _UVICORN_RUN(app, **{**options, "port": 0})


_UVICORN_RUN = uvicorn.run


def _run(program: Path, prelude: str) -> None:
    names: dict[str, Any] = {"__name__": "__main__", "__file__": str(program)}
    exec(prelude, names)  # noqa: S102 - the test's own source
    exec(compile(program.read_text("utf-8"), program, "exec"), names)  # noqa: S102 - the program
    if "demo" in names and names["demo"].local_url is None:
        names["demo"].launch()


def main(prelude: str, *programs: str) -> None:
    """Launch all but the last in the background, and the last as it would launch itself."""
    # A shell that runs the tests in the background has them, and all that they start, ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    aioice.ice.get_host_addresses = _loopback_only
    uvicorn.run = _serve
    sys.path[:0] = [str(Path(program).parent) for program in programs]
    *others, last = map(Path, programs)
    in_background = functools.partialmethod(gr.Blocks.launch, prevent_thread_lock=True)
    with mock.patch.object(gr.Blocks, "launch", in_background):
        for program in others:
            _run(program, prelude)
    _run(last, prelude)


if __name__ == "__main__":
    main(*sys.argv[1:])
