"""The time until the end of a turn is decided, and the pauses for breath that are taken for one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
import peers
from figures import OURS, Figures

from support.spliced import RATE_HZ, Spliced, splice  # isort: skip  # report makes it importable

from gradio_webrtc import AlgoOptions, SileroVadOptions
from gradio_webrtc._audio import InboundAudio
from gradio_webrtc._turns.options import make_detector

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SPOKEN: Final = 200
"""Turns in each run; each run splices others."""

BREATHS_S: Final = (0.2, 0.3, 0.4, 0.5)
"""Pauses for breath; a quarter of the turns has each. They are no longer than `DEFAULT_S`."""

BREATHS: Final = "pauses of 0.2 to 0.5 s"

LONG_PAUSES: Final = "pauses of 0.2 to 0.8 s"
LONG_PAUSES_S: Final = (0.2, 0.8)

DEFAULT_S: Final = 0.5
SPEECH_THRESHOLD_S: Final = 0.1
CALL_RATE_HZ: Final = 48_000

Decided: TypeAlias = list[list[float]]
"""For each turn, when it was decided that it is over: more than once if it was cut off."""


class Outcome(NamedTuple):
    """The result of one run over all turns."""

    p50: float
    p90: float
    p99: float
    cut_off: float


# field of an outcome, unit, what to reach
COLUMNS: Final[tuple[tuple[str, str, dict[str, Any] | None], ...]] = (
    ("p50", "ms after speech", {"times": 1, "beside": "fastrtc"}),
    ("p90", "ms after speech", {"times": 1, "beside": "fastrtc"}),
    ("p99", "ms after speech", None),
    ("cut_off", "% of turns", {"times": 4, "beside": "fastrtc"}),
)


def ours(pause_s: float) -> Callable[[list[Spliced]], Decided]:
    """Our rule with a pause of that length: the audio core of a session, frame by frame."""
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
    p50, p90, p99 = np.percentile(late_ms, [50, 90, 99])
    return Outcome(float(p50), float(p90), float(p99), cut_off(spoken, decided))


def cut_off(spoken: list[Spliced], decided: Decided) -> float:
    """In percent of the turns."""
    cut = [
        any(time < each.end_s for time in times)
        for each, times in zip(spoken, decided, strict=True)
    ]
    return 100 * sum(cut) / len(cut)


def add(figures: Figures, words: str, outcomes: dict[str, Outcome], *, has_target: bool) -> None:
    """A run's figures of all turns with such pauses."""
    for field, unit, target in COLUMNS:
        values = {name: float(getattr(each, field)) for name, each in outcomes.items()}
        name = f"turn decided, {words}: {field.replace('_', ' ')}"
        figures.add(name, unit, values, target=target if has_target else None)


def main() -> None:
    """Measures all rules on all turns."""
    figures = Figures("turns", f"End of speech to pause decided, {SPOKEN} turns in each run")
    rules: dict[str, Any] = {
        OURS if pause_s == DEFAULT_S else f"ours, pause {pause_s:g} s": ours(pause_s)
        for pause_s in (DEFAULT_S, 0.448, 0.704, 0.832)
    }
    if line := peers.absent(peers.FASTRTC, peers.SILERO_OLD):
        figures.note(f"fastrtc: {line}")
    else:
        rules["fastrtc"] = theirs
    for run in range(figures.runs):
        rng = np.random.default_rng(100 + run)
        count = SPOKEN // len(BREATHS_S)
        spoken = [splice(rng, each, each) for each in BREATHS_S for _ in range(count)]
        decided = {name: decide(spoken) for name, decide in rules.items()}
        outcomes = {name: outcome(spoken, each) for name, each in decided.items()}
        add(figures, BREATHS, outcomes, has_target=True)
        for nth, pause_s in enumerate(BREATHS_S):
            some = slice(nth * count, (nth + 1) * count)
            cuts = {name: cut_off(spoken[some], each[some]) for name, each in decided.items()}
            figures.add(f"cut off at pauses of {pause_s:g} s", "% of turns", cuts)
        # These may be longer than the one that ends a turn: no target here.
        spoken = [splice(rng, *LONG_PAUSES_S) for _ in range(SPOKEN)]
        outcomes = {name: outcome(spoken, decide(spoken)) for name, decide in rules.items()}
        add(figures, LONG_PAUSES, outcomes, has_target=False)
    figures.close()


if __name__ == "__main__":
    main()
