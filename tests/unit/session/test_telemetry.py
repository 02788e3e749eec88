"""Spans and histograms of turns: with an SDK, without one, and without OpenTelemetry."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from gradio_webrtc import TurnTimings
from gradio_webrtc._session import telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator

TURN = TurnTimings(4, 10.0, 10.2, 10.5, 10.2, 10.9, 10.95, 11.1, discarded_starts=1)
NOW_S = 11.0


class Recorded:
    """What an SDK has got."""

    def __init__(self) -> None:
        export = pytest.importorskip("opentelemetry.sdk.trace.export")
        in_memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
        trace = pytest.importorskip("opentelemetry.sdk.trace")
        metrics = pytest.importorskip("opentelemetry.sdk.metrics")
        readers = pytest.importorskip("opentelemetry.sdk.metrics.export")
        self._spans = in_memory.InMemorySpanExporter()
        self.tracers = trace.TracerProvider()
        self.tracers.add_span_processor(export.SimpleSpanProcessor(self._spans))
        self._reader = readers.InMemoryMetricReader()
        self.meters = metrics.MeterProvider([self._reader])

    @property
    def spans(self) -> dict[str, Any]:
        return {each.name: each for each in self._spans.get_finished_spans()}

    @property
    def metrics(self) -> dict[str, Any]:
        data = self._reader.get_metrics_data()
        found = [] if data is None else data.resource_metrics
        return {
            metric.name: metric
            for resource in found
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def close(self) -> None:
        self.tracers.shutdown()
        self.meters.shutdown()


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    recorded = Recorded()
    # A process has one provider, which is set once.
    monkeypatch.setattr("opentelemetry.trace.get_tracer", recorded.tracers.get_tracer)
    monkeypatch.setattr("opentelemetry.metrics.get_meter", recorded.meters.get_meter)
    telemetry.instruments.cache_clear()
    yield recorded
    telemetry.instruments.cache_clear()
    recorded.close()


def test_a_turn_is_a_span_with_a_child_for_each_part(recorded: Recorded) -> None:
    before_ns = time.time_ns()
    telemetry.record_turn(TURN, "client", NOW_S)
    spans = recorded.spans
    turn = spans.pop("gradio_webrtc.turn")
    assert {name: seconds(each) for name, each in spans.items()} == {
        "gradio_webrtc.turn.pause": pytest.approx(0.5),
        "gradio_webrtc.turn.function": pytest.approx(0.7),
        "gradio_webrtc.turn.sending": pytest.approx(0.05),
        "gradio_webrtc.turn.delivery": pytest.approx(0.15),
    }
    assert {each.parent.span_id for each in spans.values()} == {turn.context.span_id}
    assert turn.parent is None
    assert dict(turn.attributes) == {
        "gradio_webrtc.webrtc_id": "client",
        "gradio_webrtc.turn.number": 4,
        "gradio_webrtc.turn.discarded_starts": 1,
        "gradio_webrtc.interrupted": False,
    }
    assert seconds(turn) == pytest.approx(1.1)
    origin_ns = turn.start_time - 10_000_000_000
    assert abs(origin_ns + NOW_S * 1e9 - before_ns) < 1e9, "the date is that of now"
    events = {each.name: (each.timestamp - origin_ns) / 1e9 for each in turn.events}
    assert events == {"candidate": pytest.approx(10.2), "decision": pytest.approx(10.5)}


def test_an_answer_that_was_held_back_is_sent_from_the_decision_on(recorded: Recorded) -> None:
    held = TurnTimings(4, 10.0, 10.2, 10.9, 10.2, 10.4, 10.95, 11.1)
    telemetry.record_turn(held, "client", NOW_S)
    assert seconds(recorded.spans["gradio_webrtc.turn.sending"]) == pytest.approx(0.05)
    assert held.sending_s == pytest.approx(0.05)


def test_lengths_of_time_are_in_histograms_without_the_session(recorded: Recorded) -> None:
    telemetry.record_turn(TURN, "client", NOW_S)
    telemetry.record_turn(TURN, "another", NOW_S)
    sums = {}
    for name, metric in recorded.metrics.items():
        (point,) = metric.data.data_points
        assert (metric.unit, point.count) == ("s", 2)
        assert dict(point.attributes) == {"gradio_webrtc.interrupted": False}
        assert len(point.explicit_bounds) == len(telemetry.BOUNDARIES_MS)
        sums[name.removeprefix("gradio_webrtc.turn.")] = point.sum / 2
    assert sums == {
        "response": pytest.approx(0.95),
        "pause": pytest.approx(0.5),
        "function": pytest.approx(0.7),
        "sending": pytest.approx(0.05),
        "delivery": pytest.approx(0.15),
    }


def test_what_never_came_is_not_recorded(recorded: Recorded) -> None:
    telemetry.record_turn(TurnTimings(1, decision_s=3.0, was_interrupted=True), "client", 3.0)
    assert set(recorded.spans) == {"gradio_webrtc.turn"}
    assert recorded.metrics == {}


def test_without_an_sdk_nothing_is_recorded_and_nothing_fails() -> None:
    trace = pytest.importorskip("opentelemetry.trace")
    assert not trace.get_tracer("a test").start_span("a span").is_recording()
    telemetry.record_turn(TURN, "client", NOW_S)


def test_without_opentelemetry_nothing_of_it_is_imported() -> None:
    program = (
        "import sys; from gradio_webrtc import TurnTimings; "
        "from gradio_webrtc._session.telemetry import record_turn; "
        "record_turn(TurnTimings(1, decision_s=1.0), 'client', 1.0); "
        "print(*(name for name in sys.modules if name.startswith('opentelemetry')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == []


def seconds(span: Any) -> float:
    return float(span.end_time - span.start_time) / 1e9
