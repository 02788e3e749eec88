"""The time until a user gets the answer, over a real connection; and our own part of that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import clients
import numpy as np
from clients import Client, Player, Server
from figures import OURS, Figures

from support.spliced import LEAD_S, RATE_HZ, hesitate  # isort: skip  # report makes it importable

from gradio_webrtc._audio import Resampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

STACKS: Final = (OURS, "fastrtc")
USERS: Final = 10
TURNS: Final = 10
"""Of each user: a hundred in a run."""

INNER_PAUSES_S: Final = (0.2, 0.5)
REST_S: Final = 2.0
"""After a turn: longer than any answer takes to come and go."""


class Script(NamedTuple):
    """A user's speech: Opus packets, and for each turn when it begins and ends, in seconds."""

    packets: list[bytes]
    turns: list[tuple[float, float]]


class Outcome(NamedTuple):
    """The result of a run."""

    late_ms: list[float]
    cut: int
    unanswered: int
    own_ms: list[float]


def script(rng: np.random.Generator) -> Script:
    """Turns of one utterance each, with a pause or two between its words, over noise."""
    parts: list[NDArray[np.int16]] = [np.zeros(RATE_HZ, np.int16)]
    turns = []
    for _ in range(TURNS):
        before_s = sum(part.size for part in parts) / RATE_HZ
        turn = hesitate(rng, *INNER_PAUSES_S)
        parts.append(turn.samples[: round((turn.end_s + REST_S) * RATE_HZ)])
        turns.append((before_s + LEAD_S, before_s + turn.end_s))
    samples = Resampler(RATE_HZ, clients.CALL_RATE_HZ).process(np.concatenate(parts))
    return Script(clients.encode(samples.reshape(-1)), turns)


async def measure(stack: str, run: int) -> Outcome:
    """Has all users speak their turns to a server of that stack."""
    scripts = [script(np.random.default_rng((run, nth))) for nth in range(USERS)]
    server = await Server.start(stack, "reply")
    people = [Client(Player(each.packets)) for each in scripts]
    for client in people:
        await client.call(server)
    length_s = max(len(each.packets) for each in scripts) * clients.FRAME_S
    # The players would begin again.
    await asyncio.sleep(length_s - REST_S / 2)
    own_ms = (await server.ask("measure"))["own_ms"]
    await server.stop()
    await asyncio.gather(*(client.hang_up() for client in people))
    late_ms: list[float] = []
    cut = unanswered = 0
    for client, each in zip(people, scripts, strict=True):
        for begin_s, end_s in each.turns:
            answers = answered(client, begin_s, end_s + REST_S)
            cut += any(at_s < end_s for at_s in answers)
            unanswered += not answers
            if answers and answers[0] >= end_s:
                late_ms.append(1000 * (answers[0] - end_s))
    return Outcome(late_ms, cut, unanswered, own_ms)


def answered(client: Any, begin_s: float, until_s: float) -> list[float]:
    """The times of an answer's packets in that stretch, in seconds of the user's speech."""
    # Neither stack sends anything from soon after one answer to the next.
    times = (at_s - client._origin_s for at_s, _size in client.received)
    return [at_s for at_s in times if begin_s <= at_s < until_s]


def add(figures: Figures, found: dict[str, Outcome]) -> None:
    """A run's figures."""
    target = {"times": 1, "beside": "fastrtc"}
    for percent in (50, 90, 99):
        values = {
            stack: float(np.percentile(outcome.late_ms, percent))
            for stack, outcome in found.items()
        }
        name = f"end of speech to first packet of the answer at the client: p{percent}"
        figures.add(name, "ms", values, target=target if percent < 99 else None)  # noqa: PLR2004
    cuts = {stack: 100 * outcome.cut / (USERS * TURNS) for stack, outcome in found.items()}
    name = "answered before the user was done, inner pauses of 0.2 to 0.5 s"
    figures.add(name, "% of turns", cuts, target={"times": 4, "beside": "fastrtc"})
    lost = {stack: float(outcome.unanswered) for stack, outcome in found.items()}
    figures.add("turns without an answer", "", lost)
    for percent in (50, 99):
        own = {OURS: float(np.percentile(found[OURS].own_ms, percent))}
        name = f"our own part, pause decided to packet sent: p{percent}"
        figures.add(name, "ms", own, target={"most": 20} if percent == 99 else None)  # noqa: PLR2004


def main() -> None:
    """Measures the stacks in turn."""
    figures = Figures("replies", f"Answers over aiortc, {USERS * TURNS} turns in each run")
    stacks = clients.installed(STACKS, figures)
    clients.pin()
    for run in range(figures.runs):
        add(figures, {stack: asyncio.run(measure(stack, run)) for stack in stacks})
    figures.close()


if __name__ == "__main__":
    main()
