"""Measures the import, the size and a thousand turns of this package."""

import asyncio
import json
import sys
from pathlib import Path

import footprints
import numpy as np

RATE_HZ = 48_000


class Call:
    """A call that forgets what its handler does to it."""

    webrtc_id = "client"

    def __init__(self, loop):
        self.loop = loop
        self.pauses = 0

    def event(self, name, **_data):
        self.pauses += name == "pause_detected"

    def report(self, error):
        raise error

    def send(self, _message):
        """Nobody reads it."""

    def clear(self):
        """Nothing is queued."""

    request_inputs = end_reply = clear


def reply(audio):
    """Answers with the user's own audio."""
    yield audio


async def memory(turn):
    """The memory that the turns after the first few took, in MB."""
    from gradio_webrtc import ReplyOnPause  # noqa: PLC0415

    handler = ReplyOnPause(reply).copy()
    call = Call(asyncio.get_running_loop())
    handler.bind(call)
    begin_mb = 0.0
    for count in range(footprints.TURNS):
        if count == footprints.WARM_TURNS:
            begin_mb = footprints.resident_mb()
        for frame in turn:
            handler.receive((RATE_HZ, frame))
            await asyncio.sleep(0)
        if call.pauses > count:
            await handler.wait_until_ready()
            while await handler.session_emit() is not None:
                pass
    grown_mb = footprints.resident_mb() - begin_mb
    if call.pauses != footprints.TURNS:
        raise RuntimeError(f"{call.pauses} turns were detected")
    await handler.release()
    return grown_mb


result = {"import": footprints.import_ms("gradio_webrtc", ["gradio", "aiortc"])}
if len(sys.argv) > 1:
    folder = Path(sys.modules["gradio_webrtc"].__file__).parent
    result |= {
        "grown": asyncio.run(memory(np.load(sys.argv[1]))),
        "packed": footprints.packed_mb(folder),
        "page": footprints.page_kb(folder),
        "beyond": len(footprints.beyond("gradio_webrtc", frozenset())),
    }
print(json.dumps(result))
