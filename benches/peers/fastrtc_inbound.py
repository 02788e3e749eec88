"""Measures fastrtc's ReplyOnPause while somebody talks. Runs in fastrtc's environment."""

import json
import sys

import fastrtc_model  # noqa: F401  # before the model is made
import frame_costs
import numpy as np
from fastrtc import ReplyOnPause

RATE_HZ = 48_000


def reply(_audio):
    """Is never called: nobody pauses."""
    yield from ()


handler = ReplyOnPause(reply, input_sample_rate=RATE_HZ)
handler.send_message_sync = lambda _message: None
handler._clear_queue = lambda: None
samples = np.load(sys.argv[1])
frames = samples[: samples.size // 960 * 960].reshape(-1, 1, 960)
print(json.dumps(frame_costs.measure(lambda frame: handler.receive((RATE_HZ, frame)), frames)))
