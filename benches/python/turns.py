"""The time until the end of a turn is decided, and the hesitations that are taken for one."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import conversations
import first_audio
import numpy as np
import peers
from figures import OURS, Figures
from first_audio import CONVERSATIONS, NEURAL, READ, Speech

from support.spliced import RATE_HZ, TAIL_S, Spliced, hesitate  # isort: skip  # report makes it importable

from gradio_webrtc import AlgoOptions, SileroVadOptions
from gradio_webrtc._audio import InboundAudio
from gradio_webrtc._turns.options import make_detector

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from peers import Peer

SPOKEN: Final = 100
"""Turns in each run; each run splices others."""

BREATHS_S: Final = (0.2, 0.3, 0.4, 0.5)
"""Pauses between two words; a quarter of the turns has each, none longer than `DEFAULT_S`."""

BREATHS: Final = "pauses of 0.2 to 0.5 s"

LONG_PAUSES: Final = "pauses of 0.2 to 0.8 s"
LONG_PAUSES_S: Final = (0.2, 0.8)

DEFAULT_S: Final = 0.5
OUR_PAUSES_S: Final = (DEFAULT_S, 0.448, 0.704, 0.832)
FASTRTC_CHUNKS_S: Final = (None, 0.9, 1.2)
"""Its curve: the length of a chunk, in the last of which less than 0.1 s of speech ends a turn.
``None`` is its default, 0.6 s."""

PIPECAT_RULES: Final = {
    "pipecat": "smart",
    "pipecat, Silero alone, pause 0.5 s": "0.5",
    "pipecat, Silero alone, pause 0.8 s": "0.8",
}
"""Its default, and the same detector with a pause and without its model of the end of a turn."""

PEERS: Final = ("fastrtc", "pipecat")
"""Whose answers are measured too, with their defaults."""

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
    undecided: float


# field of an outcome, unit, what to reach
COLUMNS: Final[tuple[tuple[str, str, dict[str, Any] | None], ...]] = (
    ("p50", "ms after speech", {"times": 1, "beside": "fastrtc"}),
    ("p90", "ms after speech", {"times": 1, "beside": "fastrtc"}),
    ("p99", "ms after speech", None),
    ("cut_off", "% of turns", {"times": 4, "beside": "fastrtc"}),
    ("undecided", f"% of turns, {TAIL_S:g} s after them", None),
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
    times = []
    for begin in range(0, samples.size - frame_samples + 1, frame_samples):
        for frame in inbound.process(samples[begin : begin + frame_samples]):
            pauses = [event for event in detector.process(frame) if event.kind == "pause"]
            times += [(begin + frame_samples) / RATE_HZ] * len(pauses)
    return times


def theirs(peer: Peer, script: str, *options: str) -> Callable[[list[Spliced]], Decided]:
    """A peer's rule, fed the same frames by a script in its environment."""

    def decide(spoken: list[Spliced]) -> Decided:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "spoken.npz"
            np.savez(file, *(each.samples for each in spoken))
            decided: Decided = peers.run(peer.python, script, str(file), *options)
        return decided

    return decide


def rules(figures: Figures) -> dict[str, Callable[[list[Spliced]], Decided]]:
    """What decides, by its name; the peers that are installed among them."""
    found = {
        OURS if pause_s == DEFAULT_S else f"ours, pause {pause_s:g} s": ours(pause_s)
        for pause_s in OUR_PAUSES_S
    }
    if line := peers.absent(peers.FASTRTC, peers.SILERO_OLD):
        figures.note(f"fastrtc: {line}")
    else:
        for chunk_s in FASTRTC_CHUNKS_S:
            name = "fastrtc" if chunk_s is None else f"fastrtc, chunks of {chunk_s:g} s"
            options = [] if chunk_s is None else [str(chunk_s)]
            found[name] = theirs(peers.FASTRTC, "fastrtc_turns.py", *options)
    if line := peers.absent(peers.PIPECAT):
        figures.note(f"pipecat: {line}")
    else:
        for name, rule in PIPECAT_RULES.items():
            found[name] = theirs(peers.PIPECAT, "pipecat_turns.py", rule)
    return found


def outcome(spoken: list[Spliced], decided: Decided) -> Outcome:
    """Latency of the last decision after the true end; a turn decided before its end is cut.

    A turn in which nothing is decided after its end has no latency, and is counted.
    """
    late_ms = [
        1000 * (times[-1] - each.end_s)
        for each, times in zip(spoken, decided, strict=True)
        if times and times[-1] >= each.end_s
    ]
    p50, p90, p99 = np.percentile(late_ms, [50, 90, 99]) if late_ms else [float("nan")] * 3
    undecided = 100 * (1 - len(late_ms) / len(spoken))
    return Outcome(float(p50), float(p90), float(p99), cut_off(spoken, decided), undecided)


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


def read_turns(run: int, count: int) -> list[Speech]:
    """Turns of read speech with pauses of any length up to 0.8 s."""
    rng = np.random.default_rng(200 + run)
    turns = [hesitate(rng, *LONG_PAUSES_S) for _ in range(count)]
    return [Speech(each.samples, each.end_s) for each in turns]


def conversing(*, in_rooms: bool = True) -> list[Speech]:
    """The conversational set, which is the same in each run; empty if it was not made."""
    return [
        Speech(each.samples, each.end_s, each.label.kind == "broken")
        for each in conversations.load(in_rooms=in_rooms)
    ]


def answering(decide: dict[str, Callable[[Any], Decided]]) -> dict[str, first_audio.Rule]:
    """The rules whose answers are measured: all of ours, and the defaults of the peers."""
    peers_own = {name: first_audio.theirs(decide[name]) for name in PEERS if name in decide}
    return first_audio.ours() | peers_own


def add_conversations(figures: Figures, rules: dict[str, first_audio.Rule]) -> None:
    """The figures of the conversational set."""
    spoken = conversing()
    if not spoken:
        figures.note("conversations: skipped: not made (benches/python/conversations.py)")
        return
    found = {name: rule(spoken) for name, rule in rules.items()}
    first_audio.add(figures, CONVERSATIONS, spoken, found)
    neural = [nth for nth, each in enumerate(conversations.load()) if each.label.is_neural]
    some = {name: [answers[nth] for nth in neural] for name, answers in found.items()}
    first_audio.add(figures, NEURAL, [spoken[nth] for nth in neural], some)


def add_decisions(
    figures: Figures, decide: dict[str, Callable[[Any], Decided]], rng: np.random.Generator
) -> None:
    """A run's figures of when a turn is decided, by many settings."""
    count = SPOKEN // len(BREATHS_S)
    spoken = [hesitate(rng, each, each) for each in BREATHS_S for _ in range(count)]
    decided = {name: rule(spoken) for name, rule in decide.items()}
    outcomes = {name: outcome(spoken, each) for name, each in decided.items()}
    add(figures, BREATHS, outcomes, has_target=True)
    for nth, pause_s in enumerate(BREATHS_S):
        some = slice(nth * count, (nth + 1) * count)
        cuts = {name: cut_off(spoken[some], each[some]) for name, each in decided.items()}
        figures.add(f"cut off at pauses of {pause_s:g} s", "% of turns", cuts)
    # These may be longer than the one that ends a turn: no target here. fastrtc's other
    # settings take minutes, and are measured above.
    spoken = [hesitate(rng, *LONG_PAUSES_S) for _ in range(SPOKEN)]
    outcomes = {
        name: outcome(spoken, rule(spoken))
        for name, rule in decide.items()
        if "fastrtc," not in name
    }
    add(figures, LONG_PAUSES, outcomes, has_target=False)


def main() -> None:
    """Measures all rules on all turns."""
    parser = argparse.ArgumentParser(description="The end of a turn, and the answer to it")
    parser.add_argument("--answers", action="store_true", help="measure the first audio alone")
    title = f"End of speech to pause decided and to first audio, {SPOKEN} turns in each run"
    figures = Figures("turns", title, parser=parser)
    decide = rules(figures)
    answer = answering(decide)
    add_conversations(figures, answer)
    for run in range(figures.runs):
        spoken = read_turns(run, SPOKEN)
        found = {name: rule(spoken) for name, rule in answer.items()}
        first_audio.add(figures, READ, spoken, found)
        if not figures.asked.answers:
            add_decisions(figures, decide, np.random.default_rng(100 + run))
    figures.close()


if __name__ == "__main__":
    main()
