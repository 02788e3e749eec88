"""How soon the end of a turn is decided, and how often a pause for breath is taken for it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
import peers
from report import RUNS, Report, Spread

from support.spliced import RATE_HZ, Spliced, splice  # isort: skip  # report makes it importable

from gradio_webrtc import AlgoOptions, SileroVadOptions
from gradio_webrtc.audio import InboundAudio
from gradio_webrtc.handlers.options import make_detector

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SPOKEN: Final = 200
"""Turns in each run; each run splices others."""

PAUSES: Final = {"pauses of 0.2 to 0.5 s": (0.2, 0.5), "pauses of 0.2 to 0.8 s": (0.2, 0.8)}

SPEECH_THRESHOLD_S: Final = 0.1
CALL_RATE_HZ: Final = 48_000

Decided: TypeAlias = list[list[float]]
"""For each turn, when it was decided that it is over: more than once if it was cut off."""


class Outcome(NamedTuple):
    """What one run over all turns gave."""

    p50_ms: float
    p90_ms: float
    cut_percent: float


def ours(pause_s: float) -> Callable[[list[Spliced]], Decided]:
    """Our rule with a pause of that length: the sound core of a call, frame by frame."""
    options = AlgoOptions(
        audio_chunk_duration=pause_s + SPEECH_THRESHOLD_S, speech_threshold=SPEECH_THRESHOLD_S
    )

    def decide(spoken: list[Spliced]) -> Decided:
        return [_decisions(options, each.samples) for each in spoken]

    return decide


def _decisions(options: AlgoOptions, samples: NDArray[np.int16]) -> list[float]:
    frame_samples = RATE_HZ // 50
    inbound = InboundAudio(RATE_HZ, 1, CALL_RATE_HZ)
    detector = make_detector(CALL_RATE_HZ, options, SileroVadOptions())
    padded = np.pad(samples, (0, 2 * RATE_HZ))
    times = []
    for begin in range(0, padded.size - frame_samples + 1, frame_samples):
        for frame in inbound.process(padded[begin : begin + frame_samples]):
            pauses = [event for event in detector.process(frame) if event.kind == "pause"]
            times += [(begin + frame_samples) / RATE_HZ] * len(pauses)
    return times


def theirs(spoken: list[Spliced]) -> Decided:
    """Fastrtc's ReplyOnPause with the Silero it was made for, fed the same frames."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spoken.npz"
        np.savez(file, *(each.samples for each in spoken))
        decided: Decided = peers.run(peers.FASTRTC.python, "fastrtc_turns.py", str(file))
    return decided


def outcome(spoken: list[Spliced], decided: Decided) -> Outcome:
    """Latency of the last decision after the true end; a turn decided before its end is cut."""
    late_ms = [
        1000 * (times[-1] - each.end_s)
        for each, times in zip(spoken, decided, strict=True)
        if times and times[-1] >= each.end_s
    ]
    cut = sum(
        any(time < each.end_s for time in times)
        for each, times in zip(spoken, decided, strict=True)
    )
    p50, p90 = np.percentile(late_ms, [50, 90])
    return Outcome(float(p50), float(p90), 100 * cut / len(spoken))


def main() -> None:
    """Measures all rules on all turns."""
    report = Report(
        "turns",
        f"End of speech to pause decided, {SPOKEN} spliced turns of real speech in each run",
        ["rule, inner pauses", "p50 ms", "p90 ms", "cut off %"],
    )
    rules: dict[str, Any] = {
        f"ours, pause {pause:g} s{' (the default)' if pause == 0.5 else ''}": ours(pause)  # noqa: PLR2004
        for pause in (0.448, 0.5, 0.704, 0.832)
    }
    if line := peers.absent(peers.FASTRTC, peers.SILERO_OLD):
        report.note(f"fastrtc: {line}")
    else:
        rules["fastrtc 0.0.34"] = theirs
    for words, (shortest_s, longest_s) in PAUSES.items():
        for name, decide in rules.items():
            outcomes = []
            for run in range(RUNS):
                rng = np.random.default_rng(100 + run)
                spoken = [splice(rng, shortest_s, longest_s) for _ in range(SPOKEN)]
                outcomes.append(outcome(spoken, decide(spoken)))
            columns = [Spread.of(column) for column in zip(*outcomes, strict=True)]
            report.row(f"{name}, {words}", *(f"{column:.1f}" for column in columns))
            report.values[f"{name}, {words}"] = [column._asdict() for column in columns]
    report.close()


if __name__ == "__main__":
    main()
