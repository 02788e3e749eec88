"""Measures each frame of a recording, whatever receives it; for every stack's environment."""

from __future__ import annotations

import time

FRAMES_PER_SECOND = 50
AFTER_S = (10, 60, 300)
WINDOW_S = 5.0
"""Seconds of audio before each of those moments, of which the mean is taken: several of the
blocks of 0.6 s in which gradio_webrtc 0.0.31 and fastrtc detect speech."""

WARM_S = 2.0
"""At the beginning, of which nothing counts."""


def measure(receive, frames) -> dict[str, float]:
    """CPU of this thread: ms per second of audio after each of `AFTER_S`, and the worst frame's.

    Args:
        receive: Takes one frame.
        frames: 20 ms each, as many as the longest of those moments has.
    """
    costs_ms = []
    for frame in frames:
        began = time.thread_time_ns()
        receive(frame)
        costs_ms.append((time.thread_time_ns() - began) / 1e6)
    result = {"worst": max(costs_ms[round(WARM_S * FRAMES_PER_SECOND) :])}
    for after_s in AFTER_S:
        window = costs_ms[: after_s * FRAMES_PER_SECOND][-round(WINDOW_S * FRAMES_PER_SECOND) :]
        result[str(after_s)] = sum(window) / WINDOW_S
    return result
