"""A model of the end of a turn beside a plain pause: pipecat's Smart Turn v3.2, at our candidates.

The model is asked wherever our detector finds that a turn may be over, after 0.192 s of silence. A
turn ends there if it is sure enough, and otherwise after a pause. A sentence that is broken off is
one of those that it should not end.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import conversations
import numpy as np
import peers
from figures import OURS, Figures
from first_audio import CONVERSATIONS, NEURAL, RATE_HZ, READ, SPEECH_THRESHOLD_S, Speech
from turns import CALL_RATE_HZ, SPOKEN, conversing, read_turns

from gradio_webrtc import AlgoOptions, SileroVadOptions
from gradio_webrtc._audio import InboundAudio
from gradio_webrtc._turns.options import make_detector

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

MODEL: Final = "pipecat, its model and our pause"

LONGEST_S: Final = 3.0
"""The silence after which pipecat ends a turn of which its model is not sure."""

PRE_ROLL_S: Final = 0.5
"""Audio from before the speech that pipecat passes to its model."""

MODEL_S: Final = 0.032
"""CPU of a decision with its features, on a core that nobody else uses."""

PAUSES_S: Final = np.arange(0.224, LONGEST_S, 0.032)
HALF: Final = 0.5
"""From which pipecat takes it for an end."""

EARLY: Final = 0.05
"""The share of turns that may be decided early."""


class Candidate(NamedTuple):
    """A moment at which a turn may be over; times in seconds of the audio.

    Attributes:
        turn: The number of the turn.
        time_s: The time at which the detector finds it.
        silence_s: The silence that the detector finds; infinite if nobody goes on.
        is_behind: It is behind the last word.
        samples: The turn so far, int16 at 16 kHz.
    """

    turn: int
    time_s: float
    silence_s: float
    is_behind: bool
    samples: NDArray[np.int16]


def candidates(turn: int, speech: Speech) -> list[Candidate]:
    """Those in a turn, up to the first one behind its end."""
    options = AlgoOptions(
        audio_chunk_duration=LONGEST_S + SPEECH_THRESHOLD_S, speech_threshold=SPEECH_THRESHOLD_S
    )
    inbound = InboundAudio(RATE_HZ, 1, CALL_RATE_HZ)
    detector = make_detector(CALL_RATE_HZ, options, SileroVadOptions())
    frame_samples = RATE_HZ // 50
    events = []
    for begin in range(0, speech.samples.size - frame_samples + 1, frame_samples):
        for frame in inbound.process(speech.samples[begin : begin + frame_samples]):
            events += [each for each in detector.process(frame) if each.kind != "speech_started"]
    found: list[Candidate] = []
    for event, after in zip(events, [*events[1:], None], strict=True):
        if event.kind != "pause_candidate" or (found and found[-1].is_behind):
            continue
        goes_on = after is not None and after.kind == "pause_cancelled"
        begin = max(0, round((event.speech_start_s - PRE_ROLL_S) * RATE_HZ))
        found.append(
            Candidate(
                turn,
                event.time_s,
                after.time_s - event.speech_end_s if goes_on else np.inf,
                event.time_s >= speech.end_s,
                speech.samples[begin : round(event.time_s * RATE_HZ)][-8 * RATE_HZ :],
            )
        )
    return found


def ask(found: Sequence[Candidate]) -> tuple[NDArray[np.float64], float]:
    """The model's probability that each is the end, and the CPU of one decision in ms."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "asked.npz"
        np.savez(file, *(each.samples for each in found))
        answer = peers.run(peers.PIPECAT.python, "smart_turn.py", str(file))
    return np.array(answer["probabilities"]), answer["cpu_ms"]


def area(is_end: NDArray[np.bool_], sure: NDArray[np.float64]) -> float:
    """The share of pairs of an end and none in which the model is surer of the end (AUC)."""
    ends, others = sure[is_end], sure[~is_end]
    over = (ends[:, None] > others[None, :]).mean()
    return float(over + (ends[:, None] == others[None, :]).mean() / 2)


class Turns(NamedTuple):
    """The candidates of all turns that are not broken off, one entry for each.

    Attributes:
        late_s: From its end to the candidate behind it.
        end_sure: The model's probability there.
        inner: Of each candidate before: the probability, and how long the silence is.
    """

    late_s: NDArray[np.float64]
    end_sure: NDArray[np.float64]
    inner: list[NDArray[np.float64]]


def turns_of(
    spoken: Sequence[Speech], found: Sequence[Candidate], sure: NDArray[np.float64]
) -> Turns:
    """Those of which the end has a candidate."""
    late, end_sure, inner = [], [], []
    for turn, speech in enumerate(spoken):
        own = [(each, p) for each, p in zip(found, sure, strict=True) if each.turn == turn]
        ends = [(each, p) for each, p in own if each.is_behind]
        if ends and not speech.is_broken:
            late.append(ends[0][0].time_s - speech.end_s)
            end_sure.append(ends[0][1])
            before = [(p, each.silence_s) for each, p in own if not each.is_behind]
            inner.append(np.array(before, float).reshape(-1, 2))
    return Turns(np.array(late), np.array(end_sure), inner)


def outcome(turns: Turns, threshold: float, pause_s: float) -> tuple[NDArray[np.float64], float]:
    """When each turn is decided, in ms after its end, and the share that is decided early."""
    rest_s = pause_s - PAUSES_S[0] + 0.032
    is_sure = turns.end_sure >= threshold
    late_ms = 1000 * (turns.late_s + np.where(is_sure, MODEL_S, rest_s))
    early = [
        bool(((each[:, 0] >= threshold) | (each[:, 1] > pause_s)).any()) for each in turns.inner
    ]
    return late_ms, float(np.mean(early))


def best(turns: Turns, thresholds: Sequence[float]) -> tuple[float, float, float]:
    """Mean, p50 and p90 of the setting with the least mean, of those that are seldom early."""
    allowed = []
    for threshold in thresholds:
        for pause_s in PAUSES_S:
            late_ms, early = outcome(turns, threshold, float(pause_s))
            if early <= EARLY:
                allowed.append(late_ms)
                break  # A longer pause is later and no better.
    least = min(allowed, key=np.mean)
    p50, p90 = np.percentile(least, [50, 90])
    return float(np.mean(least)), float(p50), float(p90)


class Asked(NamedTuple):
    """A set of speech, and what the model makes of it.

    Attributes:
        spoken: The turns.
        found: All candidates in them.
        sure: The model's probability that each is the end.
    """

    spoken: list[Speech]
    found: list[Candidate]
    sure: NDArray[np.float64]

    def of(self, turns: Iterable[int]) -> Asked:
        """The part of some of the turns."""
        number = {turn: new for new, turn in enumerate(turns)}
        some = [nth for nth, each in enumerate(self.found) if each.turn in number]
        found = [self.found[nth]._replace(turn=number[self.found[nth].turn]) for nth in some]
        return Asked([self.spoken[turn] for turn in number], found, self.sure[some])

    def is_end(self) -> NDArray[np.bool_]:
        """True for each candidate that is the end of a turn."""
        return np.array(
            [each.is_behind and not self.spoken[each.turn].is_broken for each in self.found]
        )


def add_certainty(figures: Figures, words: str, asked: Asked) -> None:
    """How well the model parts ends from pauses and from sentences that are broken off."""
    is_end, is_behind = asked.is_end(), np.array([each.is_behind for each in asked.found])
    figures.add(f"{words}: AUC", "", {MODEL: area(is_end, asked.sure)}, better="higher")
    if (is_behind & ~is_end).any():
        others = {"pauses": ~is_behind | is_end, "sentences broken off": is_behind}
        for name, some in others.items():
            value = {MODEL: area(is_end[some], asked.sure[some])}
            figures.add(f"{words}: AUC against {name}", "", value, better="higher")
    for name, some in {"ends": is_end, "the others": ~is_end}.items():
        value = {MODEL: 100 * float((asked.sure[some] > HALF).mean())}
        title = f"{words}: of {name} taken for one by its own threshold"
        figures.add(title, "%", value, better="higher" if name == "ends" else "lower")


def add_wait(figures: Figures, words: str, asked: Asked) -> None:
    """The wait for a decision beside that of a pause alone."""
    turns = turns_of(asked.spoken, asked.found, asked.sure)
    plain = best(turns, [np.inf])
    model = best(turns, [np.inf, *np.quantile(asked.sure, np.linspace(0, 1, 201))])
    for nth, name in enumerate(("mean", "p50", "p90")):
        title = f"{words}: decided, with {EARLY:.0%} of the turns early, {name}"
        figures.add(title, "ms after speech", {OURS: plain[nth], MODEL: model[nth]})


def asked_about(spoken: list[Speech]) -> tuple[Asked, float]:
    """The set with the model's answers, and the CPU of one in ms."""
    found = [each for turn, speech in enumerate(spoken) for each in candidates(turn, speech)]
    sure, cpu_ms = ask(found)
    return Asked(spoken, found, sure), cpu_ms


def add_conversations(figures: Figures) -> None:
    """The figures of the conversational set: of all, by voices and language, without rooms."""
    labels = [each.label for each in conversations.load()]
    asked, _ = asked_about(conversing())
    neural = [turn for turn, each in enumerate(labels) if each.is_neural]
    add_certainty(figures, CONVERSATIONS, asked)
    add_certainty(figures, f"{CONVERSATIONS}, {NEURAL}", asked.of(neural))
    dry, _ = asked_about(conversing(in_rooms=False))
    words = "without room and noise"
    add_certainty(figures, f"{CONVERSATIONS}, {words}", dry)
    add_certainty(figures, f"{CONVERSATIONS}, {NEURAL}, {words}", dry.of(neural))
    groups = {"language": lambda label: label.language, "voice": lambda label: label.voice}
    for group in groups.values():
        for name in dict.fromkeys(map(group, labels)):
            some = asked.of(turn for turn, each in enumerate(labels) if group(each) == name)
            value = {MODEL: area(some.is_end(), some.sure)}
            figures.add(f"{CONVERSATIONS}, {name}: AUC", "", value, better="higher")
    add_wait(figures, CONVERSATIONS, asked)
    add_wait(figures, f"{CONVERSATIONS}, {NEURAL}", asked.of(neural))
    add_wait(figures, f"{CONVERSATIONS}, {NEURAL}, {words}", dry.of(neural))


def main() -> None:
    """Measures the model on both sets."""
    figures = Figures("smart_turn", "Smart Turn beside a pause")
    if line := peers.absent(peers.PIPECAT):
        figures.note(line)
        figures.close()
        return
    if conversations.load():
        add_conversations(figures)
    else:
        figures.note("conversations: skipped: not made (benches/python/conversations.py)")
    for run in range(figures.runs):
        asked, cpu_ms = asked_about(read_turns(run, 2 * SPOKEN))
        add_certainty(figures, READ, asked)
        add_wait(figures, READ, asked)
        figures.add("CPU of a decision", "ms", {MODEL: cpu_ms})
    figures.close()


if __name__ == "__main__":
    main()
