"""The shares of sessions in which `ReplyOnStopWords` finds, misses or mistakes its word.

Repeat with ``python benches/python/stopwords.py`` (20 minutes on two cores); it needs the extra
``talk``. The users are synthetic: hibari-tts speaks each word with each request, in three ways,
clean and in noise. The other speech is tests/data's recordings of people, and sentences of
hibari-tts that resemble the words.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import av
import numpy as np
from hibari import Hibari

from gradio_webrtc import ReplyOnStopWords, get_stt_model
from gradio_webrtc._audio import Resampler
from gradio_webrtc._turns.stop_words import find_phrase, words_of
from gradio_webrtc.testing import simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

DATA: Final = Path(__file__).parents[2] / "tests" / "data"
RATE_HZ: Final = 16_000
SNR_DB: Final = 15.0
AUDIBLE: Final = 0.01
"""-40 dB of full scale."""

PAIRS: Final = ("hello iris", "ok computer", "okay robot", "hey llama")
WORDS: Final = ("computer", "jarvis", "alexa", *PAIRS)
REQUESTS: Final = (
    "What is the weather like in Paris today?",
    "Turn off the light in the kitchen.",
    "Set a timer for ten minutes.",
    "Who wrote the play about the prince of Denmark?",
    "Read me my messages, please.",
    "How far is it to the next train station?",
)
WAYS: Final = {
    "word, request": "{word}, {request}",
    "so, word, request": "So, {word}, {request}",
    "word … request": "{word}. | {request}",
}
LOOKALIKES: Final = (
    "The commuter train was late, and the computed value was wrong.",
    "I compete every year, and my opponent is a compulsive puter.",
    "There is a jar of this on the shelf, next to the service door.",
    "He drives a Lexus, and his sister Alex uses the bus.",
    "Hello, I risk nothing by asking, and the iris is a flower.",
    "Okay, rob what you like; the robust lock will hold. A robot can not.",
    "Hey, lamb or mutton? The lama stood on the hill in Peru.",
    "The competition will be judged by a panel of seven experts from abroad.",
    "We walked along the river until the sun had gone down behind the hills.",
    "She opened the letter slowly, read it twice, and put it back on the table.",
)


@dataclass
class Count:
    """The results of some trials."""

    trials: int = 0
    found: int = 0
    doubled: int = 0
    turns: int = 0
    words: int = 0
    wrong_words: int = 0
    delays_s: list[float] = field(default_factory=list)

    def row(self) -> str:
        """For a table."""
        delay = f"{np.median(self.delays_s):.2f} s" if self.delays_s else "-"
        rate = f"{self.wrong_words / self.words:.0%}" if self.words else "-"
        return f"{self.found}/{self.trials} | {self.turns}/{self.trials} | {rate} | {delay}"


class Meter:
    """The default model; stores what it transcribed and what it cost."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.cpu_s = 0.0
        self.audio_s = 0.0
        self._model = get_stt_model()

    def stt(self, audio: tuple[int, NDArray[Any]]) -> str:
        """Transcribes; see `STTModel`."""
        began_s = time.process_time()
        text = self._model.stt(audio)
        self.cpu_s += time.process_time() - began_s
        self.audio_s += audio[1].size / audio[0]
        self.texts.append(text)
        return text


def answer(_audio: tuple[int, NDArray[np.int16]]) -> Iterator[None]:
    """Replies with nothing."""
    yield None


def resample(rate_hz: int, samples: NDArray[Any]) -> NDArray[np.float32]:
    """The samples at `RATE_HZ`, float32 ``(n,)``."""
    resampler = Resampler(rate_hz, RATE_HZ)
    parts = (resampler.process(samples.astype(np.float32).reshape(1, -1)), resampler.flush())
    return np.concatenate(parts, axis=1).reshape(-1)


def recording(file: Path) -> NDArray[np.float32]:
    """An audio file at `RATE_HZ`."""
    with av.open(str(file), "r") as container:
        rate_hz = container.streams.audio[0].rate
        converter = av.AudioResampler("flt", "mono", rate_hz)
        frames = [
            part.to_ndarray()
            for frame in container.decode(audio=0)
            for part in converter.resample(frame)
        ]
    return resample(rate_hz or RATE_HZ, np.concatenate(frames, axis=1))


class Speaker:
    """Speaks sentences, each once; ``|`` is a pause of a second."""

    def __init__(self) -> None:
        self._voice = Hibari(threads=1)
        self._spoken: dict[tuple[str, int], NDArray[np.float32]] = {}

    def say(self, text: str, seed: int) -> NDArray[np.float32]:
        """Float32 ``(n,)`` at `RATE_HZ`, with silence around it."""
        if (text, seed) not in self._spoken:
            pause = np.zeros(RATE_HZ, np.float32)
            parts = [pause]
            for part in text.split("|"):
                chunks = list(self._voice.stream(part.strip(), seed=seed))
                parts += [resample(24_000, np.concatenate(chunks)), pause]
            self._spoken[text, seed] = np.concatenate(parts)
        return self._spoken[text, seed]


def mix(speech: NDArray[np.float32], noise: NDArray[np.float32] | None) -> NDArray[np.int16]:
    """Speech in noise at `SNR_DB`, measured where there is speech; int16 ``(n,)``."""
    if noise is not None:
        power = float((speech[np.abs(speech) > AUDIBLE] ** 2).mean())
        looped = np.resize(noise, speech.shape)
        looped = looped * np.sqrt(power / (looped**2).mean() / 10 ** (SNR_DB / 10))
        speech = speech + looped
    scaled: NDArray[np.int16] = (np.clip(speech, -1, 1) * 32767).astype(np.int16)
    return scaled


def wrong_words(got: list[str], expected: list[str]) -> int:
    """Words added, left out or changed (Levenshtein)."""
    row = list(range(len(expected) + 1))
    for i, word in enumerate(got, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(expected, 1):
            previous, row[j] = (
                row[j],
                min(row[j] + 1, row[j - 1] + 1, previous + (word != other)),
            )
    return row[-1]


def try_word(
    word: str, request: str, way: str, seed: int, noise: NDArray[np.float32] | None, count: Count
) -> None:
    """One session in which the word and the request are spoken."""
    meter = Meter()
    handler = ReplyOnStopWords(answer, [word], input_sample_rate=RATE_HZ, stt_model=meter)
    text = WAYS[way].format(word=word.capitalize(), request=request)
    simulation = simulate(handler, (RATE_HZ, mix(SPEAKER.say(text, seed), noise)))
    events = [event for event in simulation.events if event.name == "stopword"]
    count.trials += 1
    count.found += bool(events)
    count.doubled += len(events) > 1
    if events and way == "word … request":
        alone = SPEAKER.say(word.capitalize() + ".", seed)
        end_s = np.flatnonzero(np.abs(alone) > AUDIBLE)[-1] / RATE_HZ
        count.delays_s.append(events[0].time_s - end_s)
    if simulation.turns:
        count.turns += 1
        reference = words_of(meter.stt((RATE_HZ, mix(SPEAKER.say(request, seed), noise))))
        words = words_of(" ".join(meter.stt(turn.audio) for turn in simulation.turns))
        count.words += len(reference)
        count.wrong_words += wrong_words(words, reference)


def other_speech(samples: NDArray[np.float32], noise: NDArray[np.float32] | None) -> Meter:
    """A session without any of the words; returns all that was transcribed."""
    meter = Meter()
    handler = ReplyOnStopWords(answer, ["\u2603 x9"], input_sample_rate=RATE_HZ, stt_model=meter)
    simulate(handler, (RATE_HZ, mix(samples, noise)))
    return meter


def measure_words(words: list[str], noises: dict[str, NDArray[np.float32] | None]) -> None:
    """Prints the table of words that were spoken."""
    print("| word | noise | found | turns | words wrong in the turn | signal after the word |")
    print("|---|---|---|---|---|---|")
    for word in words:
        for name, noise in noises.items():
            count = Count()
            for seed, request in enumerate(REQUESTS):
                for way in WAYS:
                    try_word(word, request, way, seed, noise, count)
            print(f"| {word} | {name} | {count.row()} |", flush=True)


def measure_others(words: list[str], noises: dict[str, NDArray[np.float32] | None]) -> None:
    """Prints the table of words that were not spoken, and the cost of listening."""
    people = [recording(file) for file in sorted(DATA.glob("*_16k.flac"))]
    voice = [SPEAKER.say(text, 0) for text in LOOKALIKES]
    print("\n| other speech | noise | length | found where nobody spoke it | CPU |")
    print("|---|---|---|---|---|")
    for source, parts in (("people", people), ("sentences with similar words", voice)):
        for name, noise in noises.items():
            meters = [other_speech(part, noise) for part in parts]
            texts = [text for meter in meters for text in meter.texts]
            found = {word: sum(bool(find_phrase(text, [word])) for text in texts) for word in words}
            false = ", ".join(f"{word}: {n}" for word, n in found.items() if n) or "0"
            length_s = sum(part.size for part in parts) / RATE_HZ
            cpu = sum(meter.cpu_s for meter in meters) / length_s
            print(f"| {source} | {name} | {length_s:.0f} s | {false} | {cpu:.2f} s/s |", flush=True)


SPEAKER = Speaker()


def main() -> None:
    """Measures the words given, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", default=WORDS)
    words = list(parser.parse_args().words)
    noises: dict[str, NDArray[np.float32] | None] = {
        "none": None,
        "pink, 15 dB": recording(DATA / "noise" / "gen_pink_16k.flac"),
        "babble, 15 dB": recording(DATA / "noise" / "babble14_16k.flac"),
    }
    measure_words(words, noises)
    measure_others(words, noises)


if __name__ == "__main__":
    main()
