"""Certainty of pipecat's Smart Turn that a turn is over. Runs in pipecat's environment.

``smart_turn.py FILE``: an npz of int16 arrays at 16 kHz, each a turn so far. Prints, as JSON, a
probability for each, and the CPU of one on one thread, in ms.
"""

import json
import sys
import time

import numpy as np
from loguru import logger
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3


def main():
    """Asks the model about each."""
    logger.remove()
    smart = LocalSmartTurnAnalyzerV3(cpu_count=1)
    with np.load(sys.argv[1]) as asked:
        every = [asked[f"arr_{index}"] for index in range(len(asked.files))]
    began = time.thread_time()
    found = [smart._predict_endpoint(each.astype(np.float32) / 32_768) for each in every]
    cpu_ms = 1_000 * (time.thread_time() - began) / len(every)
    print(json.dumps({"probabilities": [each["probability"] for each in found], "cpu_ms": cpu_ms}))


main()
