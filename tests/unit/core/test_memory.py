"""Audio without enough memory for it raises `MemoryError`, and the process goes on."""

from __future__ import annotations

import pytest
from support.forked import run

# The memory that the program may take beyond its start, in bytes: less than any result below.
ROOM = 150_000_000

LIMITED = """
import resource, sys
import numpy as np
from gradio_webrtc import _core

long = np.zeros((1, 40_000_000), np.int16)
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + int(sys.argv[2]),) * 2)
try:
    exec(sys.argv[1])
except MemoryError as error:
    print("refused:", error)
"""

ATTEMPTS = {
    "resampling": "_core.Resampler(8_000, 192_000).process(long)",
    "resampling several channels": (
        "_core.Resampler(48_000, 48_000, channels=16).process(long.reshape(16, -1)[:, ::-1])"
    ),
    "writing into a FIFO": "fifo = _core.AudioFifo(960)\nwhile True: fifo.write(long)",
    "assembling bytes": "_core.Pcm16Assembler().push(bytes(140_000_000))",
    "converting inbound audio": (
        "_core.InboundAudio(8_000, 1, 192_000, frame_samples=960).process(long)"
    ),
    "pushing an outbound chunk": (
        "_core.OutboundAudio(call_rate_hz=192_000, max_buffered_s=3600).push(8_000, long)"
    ),
}


def run_limited(program: str, room: int) -> tuple[int, str]:
    return run("-c", LIMITED, program, str(room))


@pytest.mark.parametrize("program", ATTEMPTS.values(), ids=ATTEMPTS)
def test_no_memory_is_an_exception(program: str) -> None:
    status, written = run_limited(program, ROOM)
    assert status == 0, written
    assert written.startswith("refused:"), written


def test_long_silence_needs_no_memory_for_its_windows() -> None:
    # 80 MB of samples, and 160 MB if they were converted to floats at once.
    ran = run_limited("_core.turns.PauseDetector(48_000).process(long)\nprint('done')", 30_000_000)
    assert ran == (0, "done\n")
