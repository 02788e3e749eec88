"""Measures the import, the size and a thousand turns of fastrtc, in its environment."""

import json
import sys
from pathlib import Path

import footprints
import numpy as np

RATE_HZ = 48_000


def reply(audio):
    """Answers with the user's own audio."""
    yield audio


def memory(turn):
    """The memory that the turns after the first few took, in MB."""
    import fastrtc_model  # noqa: F401, PLC0415  # before the model is made
    from fastrtc import ReplyOnPause  # noqa: PLC0415

    handler = ReplyOnPause(reply, input_sample_rate=RATE_HZ)
    handler.send_message_sync = lambda _message: None
    handler._clear_queue = lambda: None
    begin_mb = 0.0
    for count in range(footprints.TURNS):
        if count == footprints.WARM_TURNS:
            begin_mb = footprints.resident_mb()
        for frame in turn:
            handler.receive((RATE_HZ, frame))
            while handler.event.is_set():
                handler.emit()
    return footprints.resident_mb() - begin_mb


result = {"import": footprints.import_ms("fastrtc", ["gradio", "aiortc"])}
if len(sys.argv) > 1:
    folder = Path(sys.modules["fastrtc"].__file__).parent
    result |= {
        "grown": memory(np.load(sys.argv[1])),
        "packed": footprints.packed_mb(folder),
        "page": footprints.page_kb(folder),
        "beyond": len(footprints.beyond("fastrtc", frozenset({"vad"}))),
        "all": footprints.count_all("fastrtc", frozenset({"vad"})),
    }
print(json.dumps(result))
