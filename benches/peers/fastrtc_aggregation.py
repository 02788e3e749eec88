"""The CPU of fastrtc's 16-bit aggregation, in µs a chunk, run in fastrtc's environment.

``fastrtc_aggregation.py FILE PASSES``: the file has bytes, and the length of each chunk of them.
"""

import json
import statistics
import sys
import time

import numpy as np
from fastrtc import aggregate_bytes_to_16bit


def cpu_us(chunks, rounds):
    """The CPU of a chunk, the mean of so many rounds."""
    began = time.thread_time_ns()
    for _ in range(rounds):
        for _ in aggregate_bytes_to_16bit(chunks):
            pass
    return (time.thread_time_ns() - began) / rounds / len(chunks) / 1000


with np.load(sys.argv[1]) as saved:
    octets, ends, rounds = saved["octets"].tobytes(), np.cumsum(saved["lengths"]), saved["rounds"]
begins = [0, *ends[:-1]]
cut = [octets[begin:end] for begin, end in zip(begins, ends, strict=True)]
print(json.dumps(statistics.median(cpu_us(cut, int(rounds)) for _ in range(int(sys.argv[2])))))
