"""The moments at which fastrtc's ReplyOnPause ends a turn. Runs in fastrtc's environment."""

import json
import sys

import fastrtc_model  # noqa: F401  # before the model is made
import numpy as np
from fastrtc import ReplyOnPause

RATE_HZ = 16_000
FRAME_SAMPLES = RATE_HZ // 50
TAIL_S = 2.0
"""As long as a simulated session goes on after its recording."""


def reply(_audio):
    """Replies with nothing; the handler then waits for the next turn."""
    yield from ()


def decisions(samples):
    """The moment of each decision that a turn is over, in seconds of audio."""
    handler = ReplyOnPause(reply, input_sample_rate=RATE_HZ)
    handler.send_message_sync = lambda _message: None
    handler._clear_queue = lambda: None
    padded = np.pad(samples, (0, round(TAIL_S * RATE_HZ)))
    times = []
    for begin in range(0, padded.size - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        handler.receive((RATE_HZ, padded[begin : begin + FRAME_SAMPLES].reshape(1, -1)))
        if handler.event.is_set():
            times.append((begin + FRAME_SAMPLES) / RATE_HZ)
            handler.emit()
    return times


with np.load(sys.argv[1]) as spoken:
    result = [decisions(spoken[f"arr_{index}"]) for index in range(len(spoken.files))]
print(json.dumps(result))
