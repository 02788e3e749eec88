"""Spans and histograms of turns, for programs that use OpenTelemetry.

No other module imports it. It is no dependency: where nobody has imported its API, as FastAPI does,
there is nobody to record for, and a turn costs one look-up. Without an SDK nothing is recorded.
"""

from __future__ import annotations

import functools
import sys
import time
from dataclasses import fields
from typing import Any, Final, NamedTuple

from gradio_webrtc._turn_timings import TurnTimings

SCOPE: Final = "gradio_webrtc"
"""The name of the tracer and of the meter."""

TURN: Final = "gradio_webrtc.turn"
"""The span of a turn, and the beginning of all other names."""

API: Final = "opentelemetry.trace"
"""Imported by every program that sets up an SDK, by every instrumentation, and by FastAPI."""

LENGTHS: Final = {
    "response": "From the last speech to the first packet of the answer",
    "pause": "From the last speech to the decision that the turn is over",
    "function": "From the start of the function to its first audio",
    "sending": "From the first audio, or the decision, to the first packet",
    "delivery": "From the first packet to the moment at which it is heard",
}
"""The histograms: names behind that of a turn, each that of a property of `TurnTimings` without its
unit, and their descriptions."""

PARTS: Final = {
    "pause": ("last_speech_s", "decision_s"),
    "function": ("function_start_s", "first_item_s"),
    "sending": ("first_item_s", "first_packet_s"),
    "delivery": ("first_packet_s", "heard_s"),
}
"""The child spans, and the moments at which they begin and end. With speculation the function may
run during the pause, and its audio waits for the decision."""

MOMENTS: Final = tuple(each.name for each in fields(TurnTimings) if each.name.endswith("_s"))
"""The moments of a turn; its span is from the first of them to the last."""

EVENTS: Final = ("candidate_s", "decision_s")
"""Those that are events of the span, without their unit."""

BOUNDARIES_MS: Final = (10, 20, 50, 100, 150, 200, 300, 400, 500, 700, 1000, 1500, 2000, 3000, 5000)
"""Of the buckets, from less than a frame to a user who hangs up; the SDK's own are for integers."""

SECOND_NS: Final = 1_000_000_000


class Instruments(NamedTuple):
    """The API, as far as turns need it.

    Attributes:
        tracer: Makes spans.
        root: A context without a span.
        with_span: Returns a context with a span, from the span and another context.
        histograms: By the ends of their names.
    """

    tracer: Any
    root: Any
    with_span: Any
    histograms: dict[str, Any]


def record_turn(turn: TurnTimings, webrtc_id: str, now_s: float) -> None:
    """Records a turn that is complete, if the program has OpenTelemetry; on the event loop.

    Args:
        turn: The turn.
        webrtc_id: The id of the session: an attribute of spans. Metrics have none.
        now_s: The time on the clock of the turn's moments, in seconds.
    """
    if API not in sys.modules:
        return
    found = instruments()
    attributes = {"gradio_webrtc.interrupted": turn.was_interrupted}
    for name, histogram in found.histograms.items():
        if (length_s := getattr(turn, f"{name}_s")) is not None:
            histogram.record(length_s, attributes)
    # `time_ns` for the date alone: the lengths are those of the monotonic clock.
    _record_spans(turn, webrtc_id, found, time.time_ns() - round(now_s * SECOND_NS))


@functools.cache
def instruments() -> Instruments:
    """Returns the instruments, made once: those of an SDK that is set up later as well."""
    from opentelemetry import context, metrics, trace  # noqa: PLC0415 - the program has it, or not

    meter = metrics.get_meter(SCOPE)
    advice = {"explicit_bucket_boundaries_advisory": [each / 1000 for each in BOUNDARIES_MS]}
    histograms = {
        name: meter.create_histogram(f"{TURN}.{name}", unit="s", description=text, **advice)
        for name, text in LENGTHS.items()
    }
    tracer, root = trace.get_tracer(SCOPE), context.Context()
    return Instruments(tracer, root, trace.set_span_in_context, histograms)


def _record_spans(turn: TurnTimings, webrtc_id: str, found: Instruments, origin_ns: int) -> None:
    """Records the spans, now that they are over: a trace for each turn."""

    def ns(moment_s: float) -> int:
        return origin_ns + round(moment_s * SECOND_NS)

    known = [each for each in (getattr(turn, name) for name in MOMENTS) if each is not None]
    tracer = found.tracer
    span = tracer.start_span(TURN, context=found.root, start_time=ns(min(known)))
    if not span.is_recording():
        return
    span.set_attributes(
        {
            "gradio_webrtc.webrtc_id": webrtc_id,
            "gradio_webrtc.turn.number": turn.number,
            "gradio_webrtc.turn.discarded_starts": turn.discarded_starts,
            "gradio_webrtc.interrupted": turn.was_interrupted,
        }
    )
    for name in EVENTS:
        if (moment_s := getattr(turn, name)) is not None:
            span.add_event(name.removesuffix("_s"), timestamp=ns(moment_s))
    parent = found.with_span(span, found.root)
    for name, (begin, end) in PARTS.items():
        begin_s, end_s = getattr(turn, begin), getattr(turn, end)
        if name == "sending" and begin_s is not None and turn.decision_s is not None:
            # Until then it was held back, which is a part of the pause.
            begin_s = max(begin_s, turn.decision_s)
        if begin_s is not None and end_s is not None:
            child = tracer.start_span(f"{TURN}.{name}", context=parent, start_time=ns(begin_s))
            child.end(ns(end_s))
    span.end(ns(max(known)))
