"""The moments at which fastrtc's ReplyOnPause ends a turn. Runs in fastrtc's environment.

``fastrtc_turns.py FILE [AUDIO_CHUNK_DURATION]``: the seconds of a chunk, if not its default.
"""

import json
import sys

import fastrtc_model  # noqa: F401  # before the model is made
import numpy as np
from fastrtc import AlgoOptions, ReplyOnPause

RATE_HZ = 16_000
FRAME_SAMPLES = RATE_HZ // 50
OPTIONS = AlgoOptions(audio_chunk_duration=float(sys.argv[2])) if len(sys.argv) > 2 else None  # noqa: PLR2004


def reply(_audio):
    """Replies with nothing; the handler then waits for the next turn."""
    yield from ()


def decisions(samples):
    """The moment of each decision that a turn is over, in seconds of audio."""
    handler = ReplyOnPause(reply, algo_options=OPTIONS, input_sample_rate=RATE_HZ)
    handler.send_message_sync = lambda _message: None
    handler._clear_queue = lambda: None
    times = []
    for begin in range(0, samples.size - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        handler.receive((RATE_HZ, samples[begin : begin + FRAME_SAMPLES].reshape(1, -1)))
        if handler.event.is_set():
            times.append((begin + FRAME_SAMPLES) / RATE_HZ)
            handler.emit()
    return times


with np.load(sys.argv[1]) as spoken:
    result = [decisions(spoken[f"arr_{index}"]) for index in range(len(spoken.files))]
print(json.dumps(result))
