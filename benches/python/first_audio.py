"""The time from the end of speech to the first audio of the answer, rule by rule."""

from __future__ import annotations

import asyncio
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
from figures import OURS

from gradio_webrtc import AlgoOptions, ReplyOnPause
from gradio_webrtc.testing import simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from figures import Figures
    from numpy.typing import NDArray

RATE_HZ: Final = 16_000
SPEECH_THRESHOLD_S: Final = 0.1

FUNCTIONS_S: Final = (0.2, 0.4, 0.65, 1.0)
"""The times that a user's function takes to its first audio."""

SHOWN_S: Final = 0.65
"""That of the plot: speech to text, a language model and speech, as fast as they are to be had."""

OUR_PAUSES_S: Final = (0.5, 0.7, 0.832)
SPECULATIVE: Final = f"{OURS}, speculative"

READ: Final = "read speech"
CONVERSATIONS: Final = "conversations"
NEURAL: Final = "those of neural voices"
"""The conversations in which the melody is more than that of rules."""

AUDIO: Final = (24_000, np.full((1, 4_800), 8_000, np.int16))


class Speech(NamedTuple):
    """A turn of a user.

    Attributes:
        samples: int16 at 16 kHz.
        end_s: The end of the last word.
        is_broken: The user breaks off, so that this is not the end of a turn.
    """

    samples: NDArray[np.int16]
    end_s: float
    is_broken: bool = False


class Answer(NamedTuple):
    """One answer, or several where the turn was decided too early.

    Attributes:
        decided_s: The times at which it was decided that the turn is over.
        first_s: The first audio behind the last decision, by the time of a function; ``None``
            without any.
        discarded: The answers that were begun and dropped.
    """

    decided_s: list[float]
    first_s: dict[float, float]
    discarded: float = 0.0


Rule: TypeAlias = "Callable[[Sequence[Speech]], list[Answer]]"


def function_of(seconds: float) -> Any:
    """A user's function whose first audio takes so long."""

    async def fn(_audio):
        await asyncio.sleep(seconds)
        yield AUDIO

    return fn


class Session(NamedTuple):
    """A session to simulate.

    Attributes:
        pause_s: The silence that ends a turn; ``None`` for answers that begin before.
        function_s: The time that the user's function takes.
        speech: The user's.
    """

    pause_s: float | None
    function_s: float
    speech: Speech


class Outcome(NamedTuple):
    """The times of the decisions, that of the first audio behind them, and the starts discarded."""

    decided_s: list[float]
    first_s: float
    discarded: int


def pause(pause_s: float) -> Rule:
    """Our rule with a pause alone: the first audio of any function is as much later as it takes."""

    def answer(spoken: Sequence[Speech]) -> list[Answer]:
        found = _all([Session(pause_s, SHOWN_S, each) for each in spoken])
        return [
            Answer(one.decided_s, {each: one.first_s - SHOWN_S + each for each in FUNCTIONS_S})
            for one in found
        ]

    return answer


def speculative(spoken: Sequence[Speech]) -> list[Answer]:
    """Our rule with answers that begin before the end is certain: simulated with each function."""
    sessions = [Session(None, seconds, each) for each in spoken for seconds in FUNCTIONS_S]
    found = iter(_all(sessions))
    answers = []
    for _ in spoken:
        of = {seconds: next(found) for seconds in FUNCTIONS_S}
        first = {seconds: one.first_s for seconds, one in of.items()}
        answers.append(Answer(of[SHOWN_S].decided_s, first, of[SHOWN_S].discarded))
    return answers


def _all(sessions: list[Session]) -> list[Outcome]:
    # On a virtual clock: that others work beside it changes nothing.
    with ProcessPoolExecutor() as pool:
        return list(pool.map(simulated, sessions, chunksize=8))


def simulated(session: Session) -> Outcome:
    """A whole session of one turn."""
    fn = function_of(session.function_s)
    if session.pause_s is None:
        handler = ReplyOnPause(fn, speculative=True)
    else:
        chunk_s = session.pause_s + SPEECH_THRESHOLD_S
        options = AlgoOptions(audio_chunk_duration=chunk_s, speech_threshold=SPEECH_THRESHOLD_S)
        handler = ReplyOnPause(fn, algo_options=options)
    result = simulate(handler, (RATE_HZ, session.speech.samples))
    first_s = result.turns[-1].reply_start_s if result.turns else None
    return Outcome(
        [turn.pause_s for turn in result.turns],
        float("nan") if first_s is None else first_s,
        sum(event.name == "reply_discarded" for event in result.events),
    )


def ours() -> dict[str, Rule]:
    """All our rules, by name."""
    pauses = {
        OURS if each == OUR_PAUSES_S[0] else f"{OURS}, pause {each:g} s": pause(each)
        for each in OUR_PAUSES_S
    }
    return pauses | {SPECULATIVE: speculative}


def theirs(decide: Callable[[Any], list[list[float]]]) -> Rule:
    """A peer's rule: its function begins when the turn is decided, and is not simulated."""

    def answer(spoken: Sequence[Speech]) -> list[Answer]:
        return [
            Answer(times, {each: times[-1] + each for each in FUNCTIONS_S} if times else {})
            for times in decide(spoken)
        ]

    return answer


def late_ms(spoken: Sequence[Speech], answers: Sequence[Answer], function_s: float) -> list[float]:
    """From the end of speech to the first audio, where the last decision is behind the end."""
    return [
        1000 * (answer.first_s[function_s] - each.end_s)
        for each, answer in zip(spoken, answers, strict=True)
        if answer.decided_s and answer.decided_s[-1] >= each.end_s
    ]


def add(figures: Figures, words: str, spoken: list[Speech], found: dict[str, list[Answer]]) -> None:
    """A run's figures of one set of turns."""
    whole = [number for number, each in enumerate(spoken) if not each.is_broken]
    broken = [number for number, each in enumerate(spoken) if each.is_broken]

    def late(answers: list[Answer], some: list[int], function_s: float) -> list[float]:
        chosen = [answers[number] for number in some]
        return late_ms([spoken[number] for number in some], chosen, function_s)

    for seconds in FUNCTIONS_S:
        for percent in (50, 90):
            values = {
                rule: float(np.percentile(late(answers, whole, seconds), percent))
                for rule, answers in found.items()
            }
            name = f"{words}, function of {seconds:g} s: first audio p{percent}"
            figures.add(name, "ms after speech", values)
    early = {
        rule: 100 * float(np.mean([_is_early(spoken[each], answers[each]) for each in whole]))
        for rule, answers in found.items()
    }
    figures.add(f"{words}: decided early", "% of turns", early)
    discarded = {
        rule: float(np.mean([answers[each].discarded for each in whole]))
        for rule, answers in found.items()
        if rule == SPECULATIVE
    }
    figures.add(f"{words}: starts discarded", "a turn", discarded)
    if broken:
        values = {
            rule: float(np.percentile(late(answers, broken, SHOWN_S), 50))
            for rule, answers in found.items()
        }
        name = f"{words}, broken off: first audio p50, function of {SHOWN_S:g} s"
        figures.add(name, "ms after speech", values, better="higher")


def _is_early(speech: Speech, answer: Answer) -> bool:
    return any(each < speech.end_s for each in answer.decided_s)
